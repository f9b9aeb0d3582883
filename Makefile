# Daybook's everyday commands. `make` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The stages share the machine's cores already; two at once only make each other slow.
.NOTPARALLEL:

TARGET := $(or $(CARGO_TARGET_DIR),target)
BINARY := $(TARGET)/quick/daybook
PACKAGES := frontend/node_modules/.package-lock.json
CLIENT := frontend/dist/index.html
# Everything the client is built from. `gen` is written by the build itself.
CLIENT_SOURCES := $(shell find frontend graphql/schema.graphql -type f \
	-not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/gen/*' -not -path '*/test-results/*' \
	2>/dev/null)
# Given to the program: make run ARGS="--port 9000"
ARGS ?=

.PHONY: help run test check faults bench clean setup client binary

help: ## list these commands
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|'

run: setup $(CLIENT) binary ## build what is missing or stale and open a demo
	@exec $(BINARY) demo $(ARGS)

test: ## run every test: client, rules, SQL, end to end, browser
	@scripts/test.sh

check: ## formatting, lints, house rules, and licences if cargo-deny is installed
	cargo fmt --all --check
	cargo clippy --profile quick --workspace --all-targets -- -D warnings
	cargo test --profile quick -p daybook-tests --test tidy
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check; \
	else echo "cargo-deny is not installed: licences and advisories were not checked"; fi

faults: binary ## break processes, connections and disks under load, for some minutes; prints a scoreboard
	cargo test --profile quick -p daybook-tests --test faults -- --full

bench: ## measure, in a release build
	cargo run --release -p daybook-benches

clean: ## remove everything that was built
	cargo clean
	rm -rf frontend/node_modules frontend/dist

setup:
	@scripts/setup.sh run

client: $(CLIENT)

binary:
	@echo "Building the program…"
	@cargo build --profile quick -p daybook

$(PACKAGES): frontend/package.json frontend/package-lock.json
	@echo "Installing the client's packages…"
	@cd frontend && npm install --no-audit --no-fund
	@touch $@

$(CLIENT): $(PACKAGES) $(CLIENT_SOURCES)
	@echo "Building the client…"
	@cd frontend && npm run build
	@touch $@
