# Towpath. `make` lists the verbs; `make demo` and `make test` set up everything they need.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# As for units: the system's own Python where it is new enough, else the one on the PATH. Distributions
# optimise theirs, and what people build themselves often is not: half as quick again.
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for each in /usr/bin/python3 python3; do $$each -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
PYTHON := $(or $(PYTHON),python3)
endif
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SOURCES := shared daemons infra pipelines scripts tests bench
PYTEST := $(BIN)/python -m pytest
INFRA_VENV := .venv-infra
INFRA := $(INFRA_VENV)/bin
DAEMONS := $(notdir $(patsubst %/__main__.py,%,$(wildcard daemons/*/__main__.py)))

include make/wildlife.mk

.PHONY: help install system demo test check format lint types imports reference synth soak bench lock clean

help: ## list the verbs
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 12

# From the command line alone: some shells have a variable PREFIX that means something else.
ifeq ($(origin PREFIX),command line)
install: prefix
else
install: $(VENV)/.done ## make .venv with every dependency, or PREFIX=/opt/towpath [EXTRAS=neowise] for units
endif

.PHONY: prefix
prefix:
	@PYTHON="$(if $(filter command environment,$(firstword $(origin PYTHON))),$(PYTHON))" scripts/install_prefix.sh "$(PREFIX)" $(EXTRAS)

$(VENV)/.done: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "towpath needs Python >= 3.11; say PYTHON=/path/to/python3.11 make ..." >&2; exit 2; }
	@echo "installing into $(VENV) (about a minute the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements/dev.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

system: ## install the Debian packages that the heavier tests use (skipped where not root)
	@scripts/install_system_packages.sh

demo: install ## run the suite for real on an embedded S3, about two minutes (PART=ingester|glacier|wildlife|all; KEEP=1 leaves it running)
	@$(BIN)/python -m scripts.demo $(if $(PART),--part $(PART)) $(if $(KEEP),--keep)

test: ## every check and every test, with the time per part
	@$(MAKE) --no-print-directory --jobs=2 install $(INFRA_VENV)/.done
	@$(MAKE) --no-print-directory $(VENV)/wheels/.done
	@$(BIN)/python -m scripts.run_tests

# What the systemd tests install from inside of their machine, where no network is.
$(VENV)/wheels/.done: requirements/runtime.txt requirements/build.txt scripts/fetch_wheels.sh | $(VENV)/.done
	@scripts/install_system_packages.sh tests
	@scripts/fetch_wheels.sh $(BIN)/python $(@D)

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
	@$(BIN)/python -m scripts.reference_units systemd
	@$(BIN)/python -m scripts.reference_schemas pipelines/wildlife/schemas

synth: $(INFRA_VENV)/.done ## write the CloudFormation templates to cdk.out, checked; asks nobody outside
	@rm -rf cdk.out
	@$(INFRA)/python -m infra $(if $(SETTINGS),--settings $(SETTINGS))
	@$(INFRA)/cfn-lint --ignore-checks W3005 -- cdk.out/*.template.json && echo "cfn-lint and cdk-nag: nothing found"

$(INFRA_VENV)/.done: requirements/infra.txt
	@echo "installing into $(INFRA_VENV) (a few minutes the first time)"
	@test -x $(INFRA)/python || $(PYTHON) -m venv $(INFRA_VENV)
	@# Compiling all of CDK would take a minute; a synthesis imports a tenth of it.
	@$(INFRA)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/infra.txt
	@touch $@

soak: install ## the same properties, many more times (about an hour)
	@TOWPATH_SOAK=1 $(PYTEST) -q --timeout 7200 tests/unit tests/integration tests/acceptance

bench: install ## uploader against aws s3 mv, s5cmd mv and rclone move; prints a table and writes JSON
	@bench/run.sh

lock: install ## resolve the dependencies again (needs uv on the PATH)
	uv pip compile -q pyproject.toml --universal --generate-hashes --no-annotate --no-header -o requirements/runtime.txt
	uv pip compile -q pyproject.toml --extra detector --extra glacier --extra neowise --extra podcast --extra wildlife --group dev --group build --universal --generate-hashes --no-annotate --no-header -o requirements/dev.txt
	uv pip compile -q pyproject.toml --extra glacier -c requirements/dev.txt --universal --generate-hashes --no-annotate --no-header -o requirements/glacier.txt
	uv pip compile -q pipelines/glacier/image/requirements.in -c requirements/dev.txt --universal --generate-hashes --no-annotate --no-header -o pipelines/glacier/image/requirements.txt
	uv pip compile -q pyproject.toml --extra neowise -c requirements/dev.txt --universal --generate-hashes --no-annotate --no-header -o requirements/neowise.txt
	uv pip compile -q pyproject.toml --extra podcast -c requirements/dev.txt --universal --generate-hashes --no-annotate --no-header -o requirements/podcast.txt
	uv pip compile -q pyproject.toml --extra wildlife -c requirements/dev.txt --universal --generate-hashes --no-annotate --no-header -o requirements/wildlife.txt
	uv pip compile -q pyproject.toml --extra detector -c requirements/dev.txt --universal --generate-hashes --no-annotate --no-header -o requirements/detector.txt
	uv pip compile -q pyproject.toml requirements/infra.in -c requirements/dev.txt --group build --universal --generate-hashes --no-annotate --no-header -o requirements/infra.txt
	uv pip compile -q --group pyproject.toml:build -c requirements/dev.txt --universal --generate-hashes --no-annotate --no-header -o requirements/build.txt
	uv pip compile -q requirements/bench.in --universal --generate-hashes --no-annotate --no-header -o requirements/bench.txt

clean: ## remove what make made
	rm -rf $(VENV) $(INFRA_VENV) build cdk.out infra/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache bench/.work demo-work
