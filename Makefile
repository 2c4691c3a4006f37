# Each target prepares .venv first (once, about a minute) and uses it again as long as pyproject.toml is the same.
.DEFAULT_GOAL := help
.PHONY: help prepare demo test check format bench soak kafka kafka-stop clean

PYTHON := .venv/bin/python
FAULT ?= classifier
SEED ?= 0
LOG ?= sqlite
DATA ?= ../shared/data/causal-faults
# Tests that want a Kafka broker mostly wait: one process runs them, with one broker, beside all others.
TWO_AT_ONCE := --numprocesses 2 --dist loadgroup

help:  ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

prepare:  ## Create .venv, or bring it up to pyproject.toml
	@.ci/prepare

demo: prepare  ## Break the claims pipeline and find the fault (FAULT=classifier|amounts|slow|failing|witnesses|none SEED=0 LOG=sqlite|kafka)
	@$(PYTHON) -m experiments.demo --fault '$(FAULT)' --seed '$(SEED)' --log '$(LOG)' --out build/demo

test: prepare  ## Run every test
	@$(PYTHON) -m pytest $(TWO_AT_ONCE)

check: prepare  ## Check format, lint, types and layers
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports --no-logo

bench: prepare  ## Measure engine and localiser into build/bench (DATA=folder of the recorded study)
	$(PYTHON) -m experiments.engine_latency --out build/bench
	@if [ -d '$(DATA)' ]; then set -x; .venv/bin/dfml evaluate --suite recorded --quick --data '$(DATA)' --out build/bench/recorded; \
	else echo "recorded study skipped: there is no folder $(DATA); name it with DATA=..." >&2; fi

kafka: prepare  ## Start an Apache Kafka on free loopback ports and print its address (KAFKA_VERSION=3.9.1; wants Java 17 and Maven)
	@$(PYTHON) -m experiments.kafka_broker start $(if $(KAFKA_VERSION),--version '$(KAFKA_VERSION)')

kafka-stop: prepare  ## Stop it and remove its data
	@$(PYTHON) -m experiments.kafka_broker stop

format: prepare  ## Format the code and mend what the linter can mend
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

clean:  ## Remove what runs left behind, but not .venv
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

soak: prepare  ## Compare the engine with the interpreter of the rules on 2,000 drawn cases of each kind (some minutes)
	DFML_SOAK=1 $(PYTHON) -m pytest $(TWO_AT_ONCE) tests/oracle
