"""`python -m attention_course.experiments [NAME ...]`: record every run that is not recorded yet."""

from attention_course.experiments.runner import main

if __name__ == "__main__":
    raise SystemExit(main())
