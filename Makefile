# The verbs of this project. Everything installs itself into .venv; no service is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BUNDLE ?= examples/orders
WORKERS ?= 2
SEEDS ?= 10000

.PHONY: setup fmt check test test-unit test-simulation test-faults run bench docs clean

setup: $(STAMP)

$(STAMP): pyproject.toml .ci/constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt -e '.[dev]'
	@touch $@

fmt: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --quiet .

check: setup
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy app actors grammar tests
	$(BIN)/lint-imports
	$(BIN)/greentic-events docs --output docs --check

test: $(VENV)/.postgres
	$(BIN)/pytest -q -n $(WORKERS) --dist loadgroup

$(VENV)/.postgres: $(STAMP) .ci/postgres
	.ci/postgres
	@touch $@

test-unit: setup
	$(BIN)/pytest -q -n $(WORKERS) -m "not server and not e2e"

test-faults: setup
	$(BIN)/python -m tests.faults.run $(if $(FAULTS),--only $(FAULTS)) $(if $(KILLS),--kills $(KILLS)) \
	  $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(JSON),--json)

test-simulation: setup
	$(BIN)/python -m tests.simulation.run --seeds $(SEEDS) --workers $(WORKERS)

run: setup
	$(BIN)/greentic-events start $(BUNDLE)

bench: $(VENV)/.bench
	$(BIN)/python -m tests.benchmarks.run

$(VENV)/.bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt -e '.[dev,bench]'
	command -v wrk >/dev/null || apt-get install -y -qq wrk
	@touch $@

docs: setup
	$(BIN)/greentic-events docs --output docs

clean:
	rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
