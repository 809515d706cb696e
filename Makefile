# Everything one types to work on Holdfast. The programs do the work; this file names them.

# rustup puts it there; the shell that runs make may not know yet.
CARGO ?= $(or $(shell command -v cargo),$(HOME)/.cargo/bin/cargo)
# Where cargo builds, so that a target folder of one's own is found again.
BUILT = $(or $(CARGO_TARGET_DIR),target)/release
STACK = $(BUILT)/holdfast-stack
# What is replayed under faults: the Online Retail file; a small made-up one where it is absent.
RETAIL ?= ../shared/data/online-retail.csv
FAULTS ?= 52

.DEFAULT_GOAL := help
.PHONY: help install build up sentinel cluster demo status down test test-faults test-matrix test-sanitizer test-contract simulate lint fuzz bench failover

help: ## Show this list
	@echo "Holdfast: a shop that stays honest under a rush"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 24

install: ## Install what the machine lacks (Debian)
	@deploy/install.sh

build: install ## Build everything, optimised
	$(CARGO) build --release --workspace

up: build ## Start the whole stack and watch the shop sell
	@$(STACK) up

sentinel: build ## The same on a primary of Redis with two replicas and three Sentinels
	@$(STACK) up --shape sentinel

cluster: build ## The same on a Redis Cluster of three primaries with a replica each
	@$(STACK) up --shape cluster

demo: ## Watch the shop sell again (SHAPE=sentinel or cluster for that of make sentinel or make cluster)
	@$(STACK) demo $(if $(SHAPE),--shape $(SHAPE))

status: ## Tell what runs, and where
	@$(STACK) status

down: ## Stop whatever of it runs; its data stays
	@if [ -x $(STACK) ]; then $(STACK) down; else echo "nothing runs: the stack was never built"; fi

test: build lint fuzz ## Check formatting, lints and docs, fuzz for a minute, and run every test
	@$(STACK) fetch
	$(CARGO) test --release --workspace --no-fail-fast
	@CARGO=$(CARGO) tests/matrix.sh

test-faults: build ## Kill a shop's servers under load, FAULTS=52 times, give it other troubles, and audit it
	HOLDFAST_FAULTS=$(FAULTS) HOLDFAST_RETAIL=$(wildcard $(RETAIL)) HOLDFAST_STOPPED_MS=60000 \
	$(CARGO) test --release -p holdfast-tests --test shop_faults --test shop_troubles --test shop_disk_full -- --nocapture

test-matrix: build ## Fetch Redis 7.2 to 8, Valkey 8 and 9 and MySQL 9, and run on each the tests that it serves
	@tests/fetch-servers.sh && CARGO=$(CARGO) tests/matrix.sh --all

test-sanitizer: build ## Run the module's tests under valgrind
	@CARGO=$(CARGO) tests/sanitizer/run

test-contract: build ## Have Schemathesis compare the shop's answers with /openapi.json (SECONDS for each who asks, SEED)
	schemathesis=$$(tests/contract/install) && \
	HOLDFAST_SCHEMATHESIS=$$PWD/$$schemathesis HOLDFAST_CONTRACT_SECONDS=$(or $(SECONDS),60) HOLDFAST_CONTRACT_SEED=$(or $(SEED),1) \
	$(CARGO) test --release -p holdfast-tests --test shop_contract -- --ignored --nocapture

simulate: ## Simulate millions of steps among servers that fail (STEPS, SEEDS, SEED), and walk every interleaving
	$(CARGO) run --release -p holdfast-simulation -- --steps $(or $(STEPS),10000000) --seeds $(or $(SEEDS),4) $(if $(SEED),--seed $(SEED))
	$(CARGO) test --release -p holdfast-simulation --test interleavings -- --nocapture --test-threads 1

lint: ## Check formatting, lints and docs
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" $(CARGO) doc --release --workspace --no-deps --document-private-items

fuzz: install ## Look for inputs that break the module; SECONDS=1200 looks for so long at each target
	CARGO=$(CARGO) tests/fuzz/run $(SECONDS)

bench: build ## Measure the pure cores, the module on live servers, and orders beside other designs
	$(CARGO) bench -p holdfast-benches
	@$(BUILT)/holdfast-bench

failover: build ## Measure what clients see of each fault (SCENARIO=name, REPEAT=20 in a row, OUT=docs/failures draws)
	@$(STACK) fetch
	@$(BUILT)/holdfast-failover $(SCENARIO) --repeat $(or $(REPEAT),1) $(if $(OUT),--out $(OUT))
