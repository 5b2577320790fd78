# Everything a contributor runs. `make` or `make help` lists it.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
# The race detector needs cgo, and cgo a C compiler.
export CGO_ENABLED := 1

.PHONY: help run test client-tests test-eventstore chaos duckdb screenshots house lint bench fuzz packages

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Run everything on this machine, with simulated shoppers
	go run ./cmd/loyalty dev --demo

packages:
	@scripts/install-packages gcc libc6-dev postgresql pgbouncer redis-server chromium fonts-dejavu-core
	@command -v npm >/dev/null || scripts/install-packages npm

test: packages ## Run every test, with the race detector
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted"; exit 1; }
	go vet -race ./... # what it compiles, the tests need
	@folder=$$(scripts/test-folder); trap 'rm -rf "$$folder"' EXIT; echo "go test -race ./... # files of tests are in $$folder"; \
	TMPDIR=$$folder go test -race -timeout 25m ./cmd/loyalty ./api ./... # those that take longest first, so that none is left alone at the end
	@if docker compose version >/dev/null 2>&1; then POSTGRES_PASSWORD=x REDIS_PASSWORD=x LOYALTY_PROXY_SECRET=x LOYALTY_TOKEN_SECRET=x docker compose config --quiet; \
	else echo "docker-compose.yml is not checked: there is no docker compose here"; fi
	CGO_ENABLED=0 go test -count=1 -run '^TestOneGreedySubjectAmongAHundred$$' -v ./api # figures, which need a machine with nothing else to do
	CGO_ENABLED=0 go test ./readmodels/leaderboard/memory # its memory outside Go's heap, which the race detector can't follow

client-tests: ## Run the event store client's own tests against the embedded store (part of test)
	go test -count=1 -run '^TestTheClientsOwnTests$$' -v ./eventstore/embedded

test-eventstore: ## Try an event store (LOYALTY_TEST_EVENTSTORE=esdb://…): the contract, and the program on it. LOYALTY_TEST_ORDERS_FOR=60s leaves time to kill a node
	@[ -n "$${LOYALTY_TEST_EVENTSTORE:-}" ] || { echo "LOYALTY_TEST_EVENTSTORE names no event store, such as esdb://user:password@host1,host2,host3"; exit 2; }
	CGO_ENABLED=0 go test -count=1 -timeout 30m -run '^TestTheServerKeepsTheContract$$' -v ./eventstore
	CGO_ENABLED=0 go test -count=1 -timeout 30m -run '^TestTheProgramKeepsItsWordOnAnyEventStore$$' -v ./cmd/loyalty

chaos: packages ## Kill every part of a busy system at random, for long (LOYALTY_CHAOS=10m, PROFILE=23.10.8 for an older event store); a short form is part of test
	LOYALTY_EVENTSTORE_VERSION=$(PROFILE) LOYALTY_CHAOS=$${LOYALTY_CHAOS:-10m} go test -race -count=1 -timeout 24h -run '^TestNothingIsLostOrDoubledInChaos$$' -v ./cmd/loyalty

duckdb: ## Ask DuckDB the ten questions of docs/analysts.md; needs npm, which fetches it (test answers them in Go)
	LOYALTY_DUCKDB=1 go test -count=1 -run TenQuestions -v ./analytics/export

screenshots: packages ## Take the pictures of docs/screenshots anew, after a made-up month
	LOYALTY_SCREENSHOTS=$(CURDIR)/docs/screenshots go test -count=1 -run '^TestPagesWithAMonthOfOrdersFit$$' ./cmd/loyalty

house: ## Draw the picture of the packages in docs/architecture.md anew, from their imports (test says when)
	LOYALTY_HOUSE=write go test -count=1 -run '^TestThePictureOfTheHouseIsUpToDate$$' .

lint: ## Check style and likely mistakes
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

bench: ## Measure: dashboards/s, orders/s, events/s, each beside what it is compared with
	go test -run '^$$' -bench . -skip BenchmarkMemory -benchmem -timeout 30m ./readmodels/... ./eventstore/... ./projections/... ./analytics/... ./api/... ./internal/... ./cmd/...
	CGO_ENABLED=0 go test -run '^$$' -bench BenchmarkMemory -benchtime 1x -timeout 30m ./eventstore/embedded # as the binary in the image
	go run ./cmd/loyalty bench dashboards
	go run ./cmd/loyalty bench orders --max

fuzz: ## Fuzz every decoder for a while (FUZZTIME=10s each)
	@for package in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $${FUZZTIME:-10s} $$package; \
	  done; \
	done
