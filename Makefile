# Every command of the project. `make` alone lists them.
#
#   PYTHON=python3.12     the interpreter that makes .venv (3.11, 3.12 or 3.13)
#   ARGS="clock.days=1"   passed on: overrides to `forecast`, paths and options to pytest
#   WORKERS=2             processes of the tests, one thread each

PYTHON ?= python3
WORKERS ?= 2
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
SETTINGS := pyproject.toml setup.py constraints.txt
ONE_THREAD := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE MLFLOW_DISABLE_TELEMETRY=true
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# $(call install,extras): uv where it is there and gets the job done, else pip. uv does not read pip's
# configuration, so the places that pip looks into are handed on.
pip_setting = $$($(BIN)/python -m pip config get global.$(1) 2>/dev/null || true)
define install
	@links="$${UV_FIND_LINKS:-$${PIP_FIND_LINKS:-$(call pip_setting,find-links)}}"; \
	index="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$(call pip_setting,index-url)}}"; \
	set --; \
	if [ -n "$$links" ]; then set -- "$$@" "UV_FIND_LINKS=$$(echo $$links | tr -s ' ' ',')"; fi; \
	if [ -n "$$index" ]; then set -- "$$@" "UV_DEFAULT_INDEX=$$index"; fi; \
	echo "installing .$(1) into $(VENV): the first time takes minutes"; \
	if command -v uv >/dev/null 2>&1 && \
		env "$$@" uv pip install --quiet --python $(BIN)/python -c constraints.txt -e ".$(1)"; then :; \
	else $(BIN)/python -m pip install --quiet -c constraints.txt -e ".$(1)"; fi
endef

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: nowcast
nowcast: $(VENV)/.installed  ## replay real weather through the whole loop: table, report, MLflow runs
	@$(BIN)/forecast replay +experiment=nyc run=nyc-$$(date +%Y%m%d-%H%M%S) $(ARGS)

.PHONY: ui
ui: $(VENV)/.installed  ## open the MLflow UI on the runs
	@$(BIN)/forecast ui $(ARGS)

.PHONY: test
test: $(VENV)/.installed-test  ## every test
	@$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

.PHONY: check
check: lint types contract  ## format, lint, types, import contract, fast tests: before each commit
	@$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) -m "not slow" $(ARGS)

.PHONY: lint
lint: $(VENV)/.installed-dev  ## format and lint, nothing is changed
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .

.PHONY: types
types: $(VENV)/.installed-dev  ## mypy
	@$(BIN)/mypy

.PHONY: contract
contract: $(VENV)/.installed-dev  ## who may import whom
	@$(BIN)/lint-imports

.PHONY: bench
bench: $(VENV)/.installed-test  ## every benchmark; figures go to benchmarks/results
	@for script in $$(grep -l __main__ benchmarks/*.py); do \
		echo "== $$script"; $(ONE_THREAD) $(BIN)/python -m benchmarks.$$(basename $$script .py) || exit 1; \
	done

.PHONY: notebook
notebook: $(VENV)/.installed-test  ## execute the notebooks afresh from their scripts; ARGS=stocks.py: this one
	@cd notebooks && for script in $(or $(ARGS),*.py); do \
		done=$${script%.py}.ipynb; \
		$(ONE_THREAD) ../$(BIN)/jupytext --quiet --to ipynb --output .$$done $$script && \
		$(ONE_THREAD) MPLBACKEND= ../$(BIN)/jupyter-execute --inplace .$$done && mv .$$done $$done || \
		{ rm -f .$$done; echo "$$script failed: $$done stays as it was" >&2; exit 1; }; \
	done

.PHONY: clean
clean:  ## remove .venv, caches and build products; runs/ stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: $(SETTINGS) | $(BIN)/python
	$(call install,)
	@touch $@

$(VENV)/.installed-test: $(SETTINGS) | $(BIN)/python
	$(call install,[test])
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: $(SETTINGS) | $(BIN)/python
	$(call install,[dev])
	@touch $@ $(VENV)/.installed $(VENV)/.installed-test

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null || { \
		echo "$(PYTHON) is $$($(PYTHON) --version 2>&1 || true)" >&2; \
		echo "Python 3.11, 3.12 or 3.13 is needed: name it, e.g. make nowcast PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); command -v uv >/dev/null && uv venv --quiet --seed --python $(PYTHON) $(VENV); } || { \
		rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment: install its venv module" \
		"(on Debian and Ubuntu the package python3-venv), or uv" >&2; exit 1; }
