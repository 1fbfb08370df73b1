# Towpath. `make` lists the verbs; `make demo` and `make test` set up everything they need.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SOURCES := shared daemons pipelines scripts tests bench
PYTEST := $(BIN)/python -m pytest
DAEMONS := $(notdir $(patsubst %/__main__.py,%,$(wildcard daemons/*/__main__.py)))

.PHONY: help install system demo test check format lint types imports reference soak bench lock clean

help: ## list the verbs
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 12

install: $(VENV)/.done ## make .venv with every pinned dependency and this project

$(VENV)/.done: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "towpath needs Python >= 3.11; say PYTHON=/path/to/python3.11 make ..." >&2; exit 2; }
	@echo "installing into $(VENV) (about a minute the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements/dev.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

system: ## install the Debian packages that the heavier tests use (skipped where not root)
	@scripts/install_system_packages.sh

demo: install ## run the suite for real on an embedded S3, about three minutes (KEEP=1 leaves it running)
	@$(BIN)/python -m scripts.demo $(if $(PART),--part $(PART)) $(if $(KEEP),--keep)

test: install ## every check and every test, with the time per part
	@$(BIN)/python -m scripts.run_tests

check: install ## the quick part: format, lint, types, import contracts
	@$(BIN)/python -m scripts.run_tests --part checks

format: install ## rewrite the sources in the house format
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix-only --quiet $(SOURCES)

lint: install ## ruff, all rules
	@$(BIN)/ruff format --check $(SOURCES) && $(BIN)/ruff check $(SOURCES)

types: install ## mypy, strict
	@$(BIN)/mypy

imports: install ## who may import whom
	@$(BIN)/lint-imports

reference: install ## write the sample files and the pages of options anew
	@for daemon in $(DAEMONS); do \
	  $(BIN)/towpath config reference $$daemon > docs/options/$$daemon.md && \
	  $(BIN)/towpath config reference --toml $$daemon > configs/$$daemon.toml || exit 1; done

soak: install ## the same properties, many more times (about an hour)
	@TOWPATH_SOAK=1 $(PYTEST) -q --timeout 7200 tests/unit tests/integration tests/acceptance

bench: install ## uploader against aws s3 mv, s5cmd mv and rclone move; prints a table and writes JSON
	@bench/run.sh

lock: install ## resolve the dependencies again (needs uv on the PATH)
	uv pip compile -q pyproject.toml --universal --generate-hashes --no-annotate --no-header -o requirements/runtime.txt
	uv pip compile -q pyproject.toml --extra neowise --group dev --group build --universal --generate-hashes --no-annotate --no-header -o requirements/dev.txt
	uv pip compile -q requirements/bench.in --universal --generate-hashes --no-annotate --no-header -o requirements/bench.txt

clean: ## remove what make made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache bench/.work demo-work
