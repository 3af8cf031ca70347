# Two commands set up a fresh machine that has Python >= 3.11, make and pip:
#
#   make demo       the demo: what allcores gains on this machine
#   make test       all checks and all tests with the present interpreter
#
#   make check      lint, format, types
#   make docs       the documentation, in build/docs
#   make test-all   all tests with each of Python 3.11, 3.12 and 3.13 that is found
#   make bench      the benchmarks
#   make peers      the tests that joblib and scikit-learn ship, with our backend and our searches
#   make clean      remove everything that these commands made
#
# PYTHON=/path/to/python chooses another interpreter; ARGS="..." is handed on to the demo, pytest or the benchmark.
# A stamp in a virtual environment says which extra is installed there; a change of pyproject.toml renews it.

PYTHON ?= python3
VENV ?= .venv
VERSIONS ?= 3.11 3.12 3.13
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK = 1
bin = $(VENV)/bin

.PHONY: demo test check docs test-all bench peers clean
.DELETE_ON_ERROR:

# An installed package is compiled, a checkout is not: without this every cold start would pay for compiling.
demo: $(VENV)/.installed-demo
	$(bin)/python -m compileall -q src
	$(bin)/allcores demo $(ARGS)

test: check
	sh tools/run_tests.sh $(bin)/python $(ARGS)

check: $(VENV)/.installed-test
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy

docs: $(VENV)/.installed-docs
	$(bin)/python -m sphinx -q -W --keep-going -b html docs build/docs
	@echo "open build/docs/index.html"

bench: $(VENV)/.installed-bench
	$(bin)/python -m compileall -q src
	$(bin)/python benchmarks/regret.py $(ARGS)

peers: $(VENV)/.installed-test
	$(bin)/python tools/peers/run.py -n 2 $(ARGS)

test-all: $(VERSIONS:%=test-%)

# One version: `make test-3.12`. An interpreter that is not there is said and skipped.
test-%:
	@python=$$(sh tools/find_python.sh $*) || { echo "Python $* was not found: skipped"; exit 0; }; \
	$(MAKE) --no-print-directory PYTHON="$$python" VENV=.venv-$* .venv-$*/.installed-test && \
	sh tools/run_tests.sh .venv-$*/bin/python $(ARGS)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "allcores needs Python >= 3.11; choose one with make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-%: pyproject.toml | $(VENV)/bin/python
	$(bin)/python -m pip install --quiet --editable ".[$*]"
	@touch $@

clean:
	rm -rf .venv .venv-* build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
