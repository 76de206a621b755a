# The two commands of the README are `make run` and `make test`. They need python3 (with venv and pip) and make.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
MINUTES ?= 20
WORKERS ?= 3

BIN := .venv/bin

.PHONY: help run test test-long check format bench bench-soak docs clean

help:
	@echo "make run         serve the example graphs (PORT=8000, HOST=127.0.0.1)"
	@echo "make test        all checks, then all tests, WORKERS=3 at once"
	@echo "make test-long   the same with the long tests at their full size"
	@echo "make check       Ruff, its formatter, mypy, import-linter"
	@echo "make format      let Ruff format and mend what it can"
	@echo "make bench       measure the engine and the streams"
	@echo "make bench-soak  load a server for MINUTES=20 and see whether what it holds grows"
	@echo "make docs        write the generated pages of docs/"
	@echo "make clean       remove .venv and what the tools left behind"

run: export GRAPHWIRE_HOST = $(HOST)
run: export GRAPHWIRE_PORT = $(PORT)
run: export GRAPHWIRE_GRAPHS ?= examples
run: export GRAPHWIRE_DATABASE_URL ?= sqlite:///.data/graphwire.db
run: .venv/installed-run
	@mkdir -p .data
	@$(BIN)/graphwire serve

# Half of what a test takes it waits, for a process, a disk or a clock: 3 at once keep 2 processors busy.
test: check
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

test-long: check
	$(BIN)/python -m pytest --long -o faulthandler_timeout=3600

check: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed-test
	$(BIN)/python -m tests.benchmarks

bench-soak: .venv/installed-test
	$(BIN)/python -m tests.benchmarks.soak --minutes $(MINUTES)

docs: .venv/installed-test
	$(BIN)/python -m tests.docs

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist

# Installed once, and again when pyproject.toml changes. A run needs no test tools.
.venv/bin/python:
	@echo "Making .venv and installing into it, once"
	@$(PYTHON) -m venv .venv

.venv/installed-run: pyproject.toml | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/installed-test: pyproject.toml | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@touch $@ .venv/installed-run
