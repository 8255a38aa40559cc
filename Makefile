# volant: `make demo` shows it, `make test` proves it.
#
#   demo      install the core into .venv and watch the wheel turn
#   test      the fast tests                  test-all  all tests
#   lint      ruff                            types     mypy
#   bench     the performance board           docs      write the reference anew and test the docs
#   examples  run the commands of the READMEs and put in what they say
#   clean     remove what was made here, .venv included
#
# Needs make and Python 3.11 or newer. PYTHON=python3.12 chooses the interpreter.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALL := $(RUN) -m pip install --disable-pip-version-check -qq --no-compile -c constraints.txt
DATA := $(abspath ../shared/data)

# Files of tests go on side by side, one process for each core.
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile

# Tests and benchmarks on public data sets skip where there are none.
ifneq ($(wildcard $(DATA)/.),)
export VOLANT_DATA ?= $(DATA)
endif

.PHONY: demo test test-all lint types bench docs examples constraints clean

demo: $(VENV)/core
	$(VENV)/bin/volant demo

test: $(VENV)/dev
	$(RUN) -m pytest $(SIDE_BY_SIDE) -m "not slow"

test-all: $(VENV)/dev
	$(RUN) -m pytest $(SIDE_BY_SIDE)

lint: $(VENV)/dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(VENV)/dev
	$(RUN) -m mypy

bench: $(VENV)/dev
	@mkdir -p bench/out
	@set -e; for script in bench/[!_]*.py; do \
	  echo "$$script"; $(RUN) $$script > bench/out/$$(basename $$script .py).jsonl; \
	  cat bench/out/$$(basename $$script .py).jsonl; \
	done

docs: $(VENV)/dev
	$(RUN) scripts/reference.py
	$(RUN) -m pytest tests/docs

examples: $(VENV)/dev
	$(RUN) scripts/readme_examples.py

# The stamps `core` and `dev` are touched last: what was interrupted is done again.
# volant is installed from this checkout, in place; packages come from pip's cache where it has them.
$(VENV)/core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("volant needs Python 3.11 or newer")'
	@$(RUN) -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing the core into $(VENV)"
	@$(INSTALL) setuptools
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: $(VENV)/core
	@echo "installing the development tools into $(VENV)"
	@$(RUN) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")' > $(VENV)/dev.txt
	@$(INSTALL) -r $(VENV)/dev.txt
	@touch $@

constraints: $(VENV)/dev
	@head -2 constraints.txt > $(VENV)/pins
	@$(RUN) -m pip freeze --disable-pip-version-check --all --exclude-editable --exclude pip \
	  | sed 's/+cpu$$//' >> $(VENV)/pins
	@cp $(VENV)/pins constraints.txt

clean:
	rm -rf $(VENV) build dist src/*.egg-info bench/out .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests bench examples scripts -name __pycache__ -type d -prune -exec rm -rf {} +
