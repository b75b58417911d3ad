# `make demo` and `make test` set everything up by themselves. They need Python 3.11 or newer, and Go to build the control plane once
# (or a folder of envtest binaries in KUBEBUILDER_ASSETS). What they build is kept in the user's cache and never built twice.
# `make test` needs Java 17 or newer and Maven too, for Keycloak (SIGNOFF_KEYCLOAK=skip does without), and Chromium.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:

# A uv that answers, or one of the checkout's own.
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
# What was synced is what runs: nothing is resolved again on the way.
RUN := $(UV) run --no-sync
PUBLIC_INDEX := https://pypi.org/simple
CLUSTER_BINARIES := etcd kube-apiserver kube-controller-manager kube-scheduler kwok kubectl helm
CHROMIUM := $(or $(SIGNOFF_CHROMIUM),/usr/bin/chromium)

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 10

.PHONY: demo
demo: sync ## The main job in scenes, on a real control plane; ARGS=--keep leaves it running
	@$(RUN) python -m controlplane binaries $(CLUSTER_BINARIES) >/dev/null
	@$(RUN) python -m demo $(ARGS)

.PHONY: test
test: lint chromium binaries ## Everything that CI asks: lint, types, contracts, all tests; ARGS go to pytest
	@$(RUN) pytest -n 2 --dist loadscope --no-loadscope-reorder $(ARGS)

.PHONY: lint
lint: sync check-lock ## Style, types, and who may import whom
	@$(RUN) ruff check .
	@$(RUN) mypy
	@$(RUN) lint-imports

.PHONY: faults
faults: sync binaries ## Kill a process at each request that it makes, and every fault of archive and API server (about 20 minutes)
	@SIGNOFF_FAULTS=all $(RUN) pytest tests/faults $(ARGS)

.PHONY: histories
histories: sync ## 10,000 random histories of the state machine, for the night; ARGS=--histories=500 for fewer
	@$(RUN) pytest tests/model -k test_every_history -s --histories=10000 $(ARGS)

.PHONY: nightly
nightly: faults histories fuzz ## What takes too long for every change

.PHONY: bench
bench: sync ## Measure, and write docs/benchmarks.md; ARGS="--only gate --events 100" for a part, ARGS=--quick to see that it runs
	@$(RUN) python -m controlplane binaries $(CLUSTER_BINARIES) >/dev/null
	@$(RUN) python -m bench run $(ARGS)
	@if [[ " $(ARGS) " != *" --quick "* ]]; then $(RUN) python -m bench report; fi

.PHONY: mutants
mutants: sync ## Break the product on purpose, one thing at a time: rules of the verifier, promises; the tests must notice
	@$(RUN) python tests/verify/mutants.py
	@$(RUN) python tests/model/mutants.py

.PHONY: fuzz
fuzz: sync ## Hostile input with ever new seeds; ARGS=--minutes=60
	@$(RUN) python -m tests.hostile.long $(ARGS)

.PHONY: schemas
schemas: sync ## Write docs/schemas/ anew, from the models of the record
	@$(RUN) python -m signoff.cli.schemas docs/schemas

.PHONY: lock
lock: $(filter .uv/bin/uv,$(UV)) ## Resolve the dependencies anew, by the public index alone; ARGS=--upgrade
	@env -u UV_INDEX -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS -u UV_FROZEN \
	  $(UV) lock --no-config --default-index $(PUBLIC_INDEX) $(ARGS)
	@$(MAKE) --no-print-directory check-lock

.PHONY: clean
clean: ## Remove what these commands put into the checkout; the cached binaries stay
	rm -rf .venv .uv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist build

# --- what the commands above set up ---------------------------------------------------------------------------------

# Where the public index is out of reach, the same locked hashes are taken from the index that this machine is configured for.
.PHONY: sync
sync: $(filter .uv/bin/uv,$(UV))
	@$(UV) sync --frozen || $(MAKE) --no-print-directory sync-from-mirror

.PHONY: sync-from-mirror
sync-from-mirror: $(filter .uv/bin/uv,$(UV))
	@echo "the public index did not give everything: asking this machine's own index for the same hashes" >&2
	@mirror="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$(python3 -m pip config get global.index-url 2>/dev/null || true)}}"; \
	  if [ -n "$$mirror" ]; then export UV_DEFAULT_INDEX="$$mirror"; fi; \
	  $(UV) venv --quiet --clear .venv; \
	  $(UV) export --quiet --frozen --no-emit-project | $(UV) pip install --quiet --require-hashes --requirements -; \
	  $(UV) pip install --quiet --no-deps --editable .

.uv/bin/uv:
	@echo "uv is not installed: putting one into .uv" >&2
	@python3 -m venv .uv || { echo "python3 -m venv failed: install uv (https://docs.astral.sh/uv/), or on Debian python3-venv" >&2; exit 1; }
	@printf '*\n' > .uv/.gitignore
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8'

.PHONY: binaries
binaries: sync
	@$(RUN) python -m controlplane binaries >/dev/null

.PHONY: chromium
chromium:
	@command -v jq >/dev/null || { if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends jq >/dev/null; \
	  else echo "the tests of the documented commands need jq: install it" >&2; exit 1; fi; }
	@if [ -x "$(CHROMIUM)" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && [ -z "$${SIGNOFF_CHROMIUM:-}" ] && command -v apt-get >/dev/null; then \
	  echo "installing Chromium for the browser tests" >&2; \
	  apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; exit 0; fi; \
	echo "the browser tests need Chromium, and $(CHROMIUM) is none: install it (Debian: apt-get install chromium) or name one in SIGNOFF_CHROMIUM" >&2; \
	exit 1

# A lock that names somebody's mirror would send everybody there.
.PHONY: check-lock
check-lock:
	@foreign="$$(grep -oE '(registry|url) = "[^"]+"' uv.lock | grep -vE '"(https://pypi\.org/simple|https://files\.pythonhosted\.org/[^"]+)"' | head -3 || true)"; \
	if [ -n "$$foreign" ]; then echo "uv.lock names another index than the public one: $$foreign; write it with: make lock" >&2; exit 1; fi
