# `make help` lists what there is. `make demo` and `make test` need nothing but
# Go, git and make: the rest is installed where that is possible, and named
# where it is not.

SHELL    := bash
SOLUTION ?= hdinsightkafka-databricks-sqldw
DEMO     ?= -t 1 --duration 20s
SOAK     ?= 30m
FUZZTIME ?= 10s
# Two packages at a time: some of them drive real servers, and all are meant to
# pass on two cores.
TESTFLAGS ?= -p 2 -timeout 30m
PKGS     ?= ./...

.DEFAULT_GOAL := help
.PHONY: help build demo test check lint race bench soak fuzz services services-stop generate clean go-present

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

go-present:
	@command -v go >/dev/null || { echo "Go is missing; install Go $$(sed -n 's/^go //p' go.mod) or newer from https://go.dev/dl/" >&2; exit 1; }
	@go list -m >/dev/null 2>&1 || { echo "$$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) is too old or go.mod cannot be read; install Go $$(sed -n 's/^go //p' go.mod) or newer from https://go.dev/dl/" >&2; exit 1; }

build: go-present ## build bin/millrace
	@test/services/install.sh build
	@mkdir -p bin
	go build -o bin/millrace ./cmd/millrace

demo: build ## run the first solution for a few seconds, and see the verdict
	bin/millrace run $(SOLUTION) $(DEMO)

test: go-present ## everything: linters, then all tests, with the race detector, real services and real clients
	@test/services/install.sh test
	@test/services/clients.sh install
	@$(MAKE) --no-print-directory lint
	CI=true test/services/with.sh go test -race $(TESTFLAGS) $(PKGS)

check: go-present ## linters and the quick tests; tests that need a server skip themselves
	@$(MAKE) --no-print-directory lint
	go test -short $(TESTFLAGS) $(PKGS)

lint: go-present ## gofmt, go vet, staticcheck, and the rules of the architecture
	@test/services/install.sh build
	@files=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$files" ]; then echo "not formatted; type: gofmt -w" $$files >&2; exit 1; fi
	go vet $(PKGS)
	go tool staticcheck $(PKGS)
	go test ./internal/archtest

race: go-present ## the tests with the race detector, without starting services
	@test/services/install.sh build
	go test -race $(TESTFLAGS) $(PKGS)

bench: go-present ## benchmarks as ratios to their limits, with real services
	@test/services/install.sh test
	test/services/with.sh go run ./bench -n 3 -out bench/results/$$(date +%F).json

soak: build ## the first solution for a long time: SOAK=30m
	bin/millrace run $(SOLUTION) -t 5 --duration $(SOAK) --report bin/soak.html

fuzz: go-present ## every fuzz target for a short time: FUZZTIME=10s
	@test/services/install.sh build
	@set -e; for pkg in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n1 dirname | sort -u); do \
		for f in $$(grep -h -o '^func Fuzz[A-Za-z0-9_]*' $$pkg/*_test.go | sed 's/func //'); do \
			echo "fuzz $$pkg $$f"; \
			go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$pkg; \
		done; done

services: ## start Kafka, PostgreSQL, Azurite and a Cosmos DB for tests; install them and the clients that tests drive
	@test/services/install.sh test
	@test/services/clients.sh install
	@test/services/kafka.sh start
	@test/services/postgres.sh start
	@test/services/azurite.sh start
	@test/services/cosmosdbserver.sh start

services-stop: ## stop them
	@test/services/kafka.sh stop
	@test/services/postgres.sh stop
	@test/services/azurite.sh stop
	@test/services/cosmosdbserver.sh stop

generate: go-present ## write docs/ from the code: the schema and the table of options
	go test ./cmd/millrace -run TestDocs -update

clean: ## remove what was built; services and their data stay
	rm -rf bin
