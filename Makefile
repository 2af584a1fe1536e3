# The targets and what they do: make help
PY := .venv/bin/python
NOTEBOOK ?=
NAME ?=
SUBMISSIONS ?=
ASSIGNMENT ?=
EXERCISES ?=
JOBS ?= 2
# exercises/book is made from the notebooks in exercises.
NOTEBOOKS = $(wildcard chapters exercises) --ignore=exercises/book
# One thread a process, $(JOBS) processes: small recurrent steps get slower with two threads.
PYTEST = OMP_NUM_THREADS=1 $(PY) -m pytest -q -n $(JOBS) --dist loadfile
NBVAL = --nbval --nbval-current-env --nbval-cell-timeout=300

.DEFAULT_GOAL := help
.PHONY: help book serve test check execute lab results bench race colab-check clean assignments \
    grade install-book install

help:
	@echo 'make book         build the HTML book (the first time: makes .venv with what that needs)'
	@echo 'make serve        serve the built book on this machine and print the address'
	@echo 'make test         everything CI checks: tests, notebooks, book, pages, style'
	@echo 'make check        the every-day part of it: no notebook is run, no page is opened'
	@echo 'make lab          open the chapters in JupyterLab'
	@echo 'make execute      run all notebooks and store their outputs; NOTEBOOK=path runs one'
	@echo 'make results      run the recorded experiments that are missing; NAME=name runs one'
	@echo 'make bench        measure speed against a textbook, as ratios (5 minutes)'
	@echo 'make race         training time to 99 %, the textbook and ours (an hour; resumable)'
	@echo 'make assignments  write the exercises as zip files, for students and for instructors'
	@echo 'make grade        grade notebooks: SUBMISSIONS=folder-or-zip [ASSIGNMENT=n] [EXERCISES=3.1,3.4]'
	@echo 'make colab-check  run every notebook alone with the versions Colab has (7 GB, Python 3.13)'
	@echo 'make clean        remove what was built (not .venv)'

install-book:
	@sh tools/install.sh book

install:
	@sh tools/install.sh all

book: install-book
	@$(PY) tools/build_book.py

serve: book
	@$(PY) tools/serve.py

test: install
	@$(PYTEST) $(NBVAL) --durations=10 $(NOTEBOOKS) tests

check: install
	@$(PYTEST) -m 'not slow and not browser' tests

lab: install
	@$(PY) -m jupyterlab --notebook-dir=. chapters

execute: install
	@OMP_NUM_THREADS=1 $(PY) tools/execute.py $(NOTEBOOK)

results: install
	@OMP_NUM_THREADS=1 $(PY) -m attention_course.experiments $(NAME)

bench: install
	@$(PY) benchmarks/run.py

race: install
	@$(PY) benchmarks/time_to_accuracy.py

assignments: install
	@$(PY) tools/assignments.py

grade: install
	@$(PY) tools/grade.py "$(SUBMISSIONS)" --assignment "$(ASSIGNMENT)" --exercises "$(EXERCISES)"

colab-check: install
	@$(PY) tools/colab_check.py $(NOTEBOOK)

clean:
	@rm -rf _build exercises/book build dist .pytest_cache .ruff_cache .hypothesis code/*.egg-info
	@find . -name .venv\* -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) \
	    -prune -exec rm -rf {} +
