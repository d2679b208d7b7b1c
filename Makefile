# What one types here. `make run` starts Tocsin, `make demo` shows it, `make test` proves it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv installs exactly what uv.lock pins, itself included.
UV_VERSION := $(shell sed -n '/^name = "uv"$$/{n;s/version = "\(.*\)"/\1/p;}' uv.lock)
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(VENV)
# Start-up time is mostly reading modules: keep them compiled, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE
export UV_COMPILE_BYTECODE := 1
# Tests run in this many processes at once.
WORKERS ?= auto

.PHONY: help run install demo test check read types layers bench bundle screenshots chaos storm migrate format assets packages clean

help: ## Show these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

run: $(VENV)/.installed ## Install what is locked, migrate, and start Tocsin on http://localhost:8000
	@exec $(BIN)/tocsin serve

install: $(VENV)/.installed ## Install what is locked, and start nothing

demo: $(VENV)/.installed ## Start with its own data and let sample alerts come in; nothing leaves the machine
	@exec $(BIN)/tocsin demo

migrate: $(VENV)/.installed ## Bring the database to this version
	@exec $(BIN)/tocsin migrate

test: $(VENV)/.installed-all packages ## Every test, on SQLite and PostgreSQL, with real servers and a browser
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -q -m "not alone" $(ARGS)
	$(BIN)/pytest -q -m alone $(ARGS) || test $$? = 5 # 5: there is none in what ARGS names

check: read ## The quick loop: style, types, layers, templates, and the tests that need no server
	$(BIN)/pytest -n $(WORKERS) -q -m "not servers and not slow" $(ARGS)

read: $(VENV)/.installed-all ## What is seen without running it: style, types, layers, templates
	$(BIN)/ruff check .
	@$(MAKE) --no-print-directory -j2 --output-sync=target types layers

types: # the longest of them, so the others go on beside it
	$(BIN)/mypy

layers:
	$(BIN)/lint-imports
	$(BIN)/djlint web/templates --lint --quiet

format: $(VENV)/.installed-all ## Put every file into the house's format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-all ## Measure on this machine, on SQLite and PostgreSQL; OUT=results.json keeps the figures
	$(BIN)/python -m bench.run $(if $(OUT),--out $(OUT)) $(ARGS)

bundle: $(VENV)/.installed ## One file in dist/ that installs Tocsin on a machine without a network, for this platform
	$(BIN)/python -m bundle.make $(if $(OUT),--out $(OUT)) $(ARGS)

screenshots: $(VENV)/.installed-all packages ## Photograph every page with Chromium, phone and desktop, light and dark
	$(BIN)/python tests/browser/screenshots.py $(ARGS)

chaos: $(VENV)/.installed-all ## Kill Tocsin a thousand times under load, then compare with an outside ledger; KILLS=1000 SEED=7
	TOCSIN_CHAOS_KILLS=$(or $(KILLS),1000) $(if $(SEED),TOCSIN_CHAOS_SEED=$(SEED)) $(BIN)/pytest tests/chaos -q -s $(ARGS)

storm: $(VENV)/.installed-all ## A hundred thousand alerts of fifty kinds in one go, both shapes, with figures; ALERTS=100000
	TOCSIN_STORM_ALERTS=$(or $(ALERTS),100000) $(BIN)/pytest tests/storm -q -s --timeout 3600 $(ARGS)

assets: ## Fetch the browser assets by version again and keep what the templates use (needs node)
	cd web/assets && npm ci --no-audit --no-fund --ignore-scripts && node build.mjs

packages: # what the tests need beside Python: Debian's Chromium, OpenLDAP and Dovecot
	@sh tests/support/packages.sh

clean: ## Remove the environment and every cache; data/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tocsin needs Python 3.11 or newer; name one: make run PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.installed: uv.lock pyproject.toml | $(BIN)/uv
	@$(BIN)/uv sync --quiet --locked --inexact --no-default-groups
	@touch $@

$(VENV)/.installed-all: uv.lock pyproject.toml | $(BIN)/uv
	@$(BIN)/uv sync --quiet --locked --inexact --all-groups
	@touch $@ $(VENV)/.installed
