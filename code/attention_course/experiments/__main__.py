"""`python -m attention_course.experiments [NAME ...]`: record the runs that are missing."""

from attention_course.experiments.runner import main

if __name__ == "__main__":
    raise SystemExit(main())
