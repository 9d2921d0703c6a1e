# `make` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help run build test fuzz chaos bench microbench fmt lint doc deny audit schema check-schema openapi check-api check-deploy check-workflows check-release ci up observe down logs clean app-role-password

# docker compose if its engine runs, else podman-compose. Choose another one: make up COMPOSE='podman compose'
COMPOSE ?= $(shell if docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; \
	then echo docker compose; else echo podman-compose; fi)
WORKERS ?= 1
# podman-compose makes a container require its dependencies, and Podman doesn't restart a container that requires
# a finished one. With --no-deps, the roles wait for the servers themselves, and restart until `seed` is done.
NO_DEPS = $(if $(findstring podman-compose,$(COMPOSE)),--no-deps)
# A random secret that needs no escaping in a URL.
RANDOM = random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
# Adds a secret that a .env of an earlier version doesn't have.
add_secret = grep -q '^$(1)=.' .env || { $(RANDOM); [ -z "$$(tail -c 1 .env)" ] || echo >>.env; \
	  printf '$(1)=%s\n' "$$(random)" >>.env; echo "added a random $(1) to .env"; }
# Podman keeps the health check of an image only in Docker's format.
export BUILDAH_FORMAT = docker

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

run: ## Build and start the embedded deployment with demo data: http://localhost:8080
	@command -v cargo >/dev/null || { echo "Rust is missing: https://rustup.rs"; exit 1; }
	@command -v cc >/dev/null || { echo "A C compiler is missing (Debian: gcc libc6-dev, macOS: xcode-select --install)"; exit 1; }
	cargo run --profile $(or $(PROFILE),quick) --locked -- serve --demo

build: ## Build the release program, target/release/shakerqueue
	cargo build --profile $(or $(PROFILE),release) --locked

test: ## Run every test, or those of one area (T=orders), with a private PostgreSQL and RabbitMQ
	tests/with-servers cargo test --locked $(if $(T),--lib --test api -- $(T))

fuzz: ## Run the property tests with more cases (CASES=n for each; 2 minutes)
	PROPTEST_CASES=$(or $(CASES),20000) cargo test --locked --lib -- proptests::

chaos: ## Inject faults under load and check for lost orders (FAULT=name,name SECONDS=n SEED=n; 8 minutes)
	tests/with-servers --programs cargo test --locked --test chaos -- \
	  $(if $(FAULT),--fault $(FAULT)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

bench: ## Measure the system against its parts (ROW=name,name ROUNDS=n OUT=folder; 15 minutes)
	tests/with-servers --programs cargo bench --locked $(if $(PROFILE),--profile $(PROFILE)) --bench load -- \
	  $(if $(ROW),--row $(ROW)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(OUT),--out $(OUT))

microbench: ## Measure the pieces of the hot path (QUICK=1: run each once; 2 minutes)
	tests/with-servers --postgres-only cargo bench --locked $(if $(PROFILE),--profile $(PROFILE)) --bench hot_path \
	  $(if $(QUICK),-- --test)

fmt: ## Format the sources
	cargo fmt --all

lint: ## Run Clippy; warnings are errors
	cargo clippy --all-targets --locked -- -D warnings

doc: ## Build the Rust documentation; warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --locked

deny: ## Check licences, sources and known vulnerabilities of the libraries (cargo-deny)
	cargo deny --locked check --hide-inclusion-graph licenses bans sources
	@.ci/advisories deny

audit: ## Check known vulnerabilities of the libraries again (cargo-audit, if installed)
	@.ci/advisories audit

schema: ## Write src/store/schema.rs from the migrations (Diesel CLI)
	.ci/schema write

check-schema: ## Compare src/store/schema.rs with the migrations
	.ci/schema check

openapi: ## Write docs/openapi.json, the API document
	cargo run --locked $(if $(PROFILE),--profile $(PROFILE)) -- openapi >docs/openapi.json.new && mv docs/openapi.json.new docs/openapi.json

check-api: ## Compare the API with its document, per role and deployment (SECONDS=n a run; 15 minutes)
	PROFILE=$(or $(PROFILE),dev) tests/with-servers tests/check-api $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

check-workflows: ## Check the workflows, the issue templates and Renovate's settings
	@.ci/workflows

check-release: ## Test the steps of a release, without releasing
	@.ci/check-release

check-deploy: ## Check alerts, their tests and the dashboard, and compare them with docs/metrics.md
	deploy/check

ci: ## Run everything that CI runs
	bash .ci/run

up: .env app-role-password ## Build the image and start the scaled-out deployment in containers (WORKERS=n)
	$(COMPOSE) up --build -d $(NO_DEPS) --scale work=$(WORKERS)
	@echo "http://localhost:8080 (the API), http://localhost:15672 (RabbitMQ)"

observe: .env app-role-password ## Like up, with Prometheus and Grafana
	@$(call add_secret,GRAFANA_PASSWORD)
	$(COMPOSE) --profile observe up --build -d $(NO_DEPS) --scale work=$(WORKERS)
	@echo "http://localhost:8080 (the API), http://localhost:15672 (RabbitMQ), http://localhost:9090 (Prometheus)"
	@echo "http://localhost:3000 (Grafana: admin, with GRAFANA_PASSWORD of .env)"

down: ## Stop the containers; the data stay
	$(COMPOSE) --profile observe down --remove-orphans

logs: ## Follow the containers' logs
	$(COMPOSE) logs -f

clean: ## Remove the build output
	cargo clean

app-role-password: .env
	@$(call add_secret,APP_ROLE_PASSWORD)

.env:
	@umask 077; $(RANDOM); \
	printf 'JWT_SECRET=%s\nPOSTGRES_PASSWORD=%s\nAPP_ROLE_PASSWORD=%s\nRABBITMQ_PASSWORD=%s\nGRAFANA_PASSWORD=%s\n' \
	  "$$(random)" "$$(random)" "$$(random)" "$$(random)" "$$(random)" >$@
	@echo "wrote .env with random secrets"
