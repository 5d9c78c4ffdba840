# Everything a person does with this repository. `make` alone lists it.
# Needed: Python >= 3.11, Go (version in sandbox/tools/kwok/go.mod), git, make. Nothing else, and no cluster.

PYTHON ?= python3
STACK  ?= small
VENV   := .venv/bin
SANDBOX = PYTHONPATH=. $(VENV)/python -m sandbox

.DEFAULT_GOAL := help
.PHONY: help venv tools up preview destroy down status env kubeconfig test test-unit test-tools test-engine test-node check format lock bench

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{gsub(/\$$\$$/, "$$"); printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  STACK=small|medium|large chooses the stack (default small)."

venv: ## the Python environment, from requirements.lock with its hashes
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not installed; Python 3.11 or newer is needed"; exit 1; }
	@$(PYTHON) -m sandbox.venv

tools: venv ## build the sandbox's programs (once; about 15 minutes on 2 cores)
	@$(SANDBOX) tools

up: venv ## deploy STACK with the real engine onto simulated machines of the right sizes
	@$(SANDBOX) up $(STACK)

preview: venv ## what an up of STACK would change
	@$(SANDBOX) preview $(STACK)

destroy: venv ## delete STACK from the sandbox; its cluster goes on running
	@$(SANDBOX) destroy $(STACK)

status: venv ## what runs, what does not, and why
	@$(SANDBOX) status

env: venv ## variables for your shell: eval "$$(make -s env)", then pulumi and kubectl
	@$(SANDBOX) env

kubeconfig: venv ## path of the sandbox's kubeconfig
	@$(SANDBOX) kubeconfig

down: venv ## end the sandbox and delete its data; built programs stay
	@$(SANDBOX) down

test: check test-unit test-tools test-engine ## linter, types, and every tier that needs no real machines

test-unit: venv ## nothing but Python, all three stacks with mocks
	@$(VENV)/pytest tests

test-tools: venv ## rendered files against the programs that read them
	@$(VENV)/pytest tests -m tools

test-engine: venv tools ## the real engine against the sandbox's cluster
	@$(VENV)/pytest tests -m engine

test-node: venv ## a real node: pods, a kill, a failover; needs root on Linux
	@$(VENV)/pytest tests -m cluster

check: venv ## linter, format and types
	@$(VENV)/ruff check . && $(VENV)/ruff format --check . && $(VENV)/mypy

format: venv ## put the house format on every file
	@$(VENV)/ruff check --fix --quiet . ; $(VENV)/ruff format .

lock: venv ## resolve requirements.lock anew from pyproject.toml
	@$(VENV)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --group dev --output-file requirements.lock pyproject.toml

bench: venv tools ## figures against their floors: up against kubectl, router against a bare HAProxy
	@PYTHONPATH=. $(VENV)/python -m sandbox.bench $(STACK)
	@$(VENV)/python -m tests.bench.router
