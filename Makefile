# Each target does its own set-up: a clean clone needs Python 3.11, make, Java 17 and Maven.
#   make demo ARGS="--seed 7 --keep"     make test ARGS="-k kafka"     make PYTHON=python3.12 test

PYTHON ?= python3
ARGS ?=
# Many tests wait for a broker or a meter: three workers keep two cores busy.
WORKERS ?= -n 3 --dist loadfile --no-loadscope-reorder
# What the modules that decide, and the codecs, are tested by.
DECIDING := $(addprefix tests/unit/,billing billing_core control customers ingest metrology metrology_core \
	payments payments_core validation cli/test_encode.py cli/test_decode.py)
BIN := .venv/bin
SETUP := $(PYTHON) scripts/bootstrap.py

.PHONY: demo test check coverage simulate faults bench docs clean

demo:  ## three billing months of a small utility on a real Kafka, with planted faults
	@$(SETUP) runtime kafka
	@$(BIN)/gridledger demo $(ARGS)

test: $(if $(ARGS),,coverage)  ## every test; fails when none ran on a real Kafka or on PostgreSQL
	@$(SETUP) dev kafka postgres
	@GRIDLEDGER_REQUIRE_REAL=1 $(BIN)/python -m pytest $(WORKERS) $(or $(ARGS),$(addprefix --but-examples-of=,$(DECIDING)))

check:  ## formatting, lint, types, import contracts, style, locks
	@$(SETUP) dev check-locks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	MYPYPATH=scripts $(BIN)/mypy scripts/bootstrap.py
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/test_tidy.py

coverage:  ## every branch of what decides and of the codecs, by examples: nothing found by chance counts
	@$(SETUP) dev
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(WORKERS) --hypothesis-profile=examples_only -m "not wide" $(DECIDING)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --include="$$($(BIN)/python -m tests.tidy covered)"

simulate:  ## crashes, zombies and rebalances in the simulated log
	@$(SETUP) dev
	@$(BIN)/python -m pytest tests/simulation $(ARGS)

faults:
	@echo "make faults: the fault suite against three real nodes comes with a later issue"

bench:  ## medians and ratios against a baseline of the same run: make bench ARGS="dlt645"
	@$(SETUP) dev
	@$(BIN)/python -m bench $(ARGS)

docs:  ## docs/asyncapi.yaml and one JSON Schema per type, from topics.yaml and the registry
	@$(SETUP) dev
	@$(BIN)/gridledger catalogue generate

clean:  ## what set-up and tests made; the data of a local installation (.data) stays
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf build gridledger.egg-info .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
