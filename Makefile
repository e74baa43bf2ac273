# Everything a checkout needs: Python 3.11 or later, make, and the package registry. No root, no Docker.
# The virtual environment is made once and again only when what it is made of has changed.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup run test lint types bench suites lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## install into .venv what requirements.lock names, and gauger itself

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gauger needs Python 3.11 or later, not " + sys.version.split()[0] + ": set PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(READY) ## try it: a demo model server, a store, the gateway, and three curl lines (UPSTREAM=https://... for a real server)
	@$(BIN)/gauger demo $(if $(UPSTREAM),--upstream '$(UPSTREAM)')

test: lint types ## lint, types, and all tests
	$(BIN)/python -m pytest -n auto --maxprocesses 4

lint: $(READY) ## ruff and hadolint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/hadolint Dockerfile

types: $(READY) ## mypy, strict
	$(BIN)/mypy

bench: $(READY) ## CPU a request and a streamed chunk, rate and latency, beside nginx; a table in bench/results (ARGS=--help)
	$(BIN)/python bench/gateway.py $(ARGS)

suites: $(READY) ## the SDK vendors' own test suites, directly and through the gateway; fetches them (ARGS=--help)
	$(BIN)/python bench/sdk_suites.py $(ARGS)

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command 'make lock' pyproject.toml

lock: $(READY) ## pin the newest versions that pyproject.toml allows, with their hashes (deploy/runtime.lock: without the tools)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(LOCK) --upgrade --group dev --output-file requirements.lock
	$(LOCK) --upgrade --group build --constraint requirements.lock --no-annotate --output-file deploy/runtime.lock

clean: ## remove what these targets made
	rm -rf .venv .gauger bench/results build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
