# Everything a stranger needs: make demo, make test. The rest is for developers.
GO      ?= go
BIN     := bin/effnet
DEMO    := run-demo
export CGO_ENABLED := 0

.PHONY: all build demo test check test-purego test-avx2 test-arm64 simulation kill faults throughput reliability fuzz bench clean data

all: build

build:
	$(GO) build -trimpath -o $(BIN) ./cmd/effnet

# The main job on real images: a search from a base network to a verdict.
demo: build data
	rm -rf $(DEMO)
	$(BIN) search small_300k --data fashion-mnist --validate 2,4 --budget 7m --out $(DEMO)

data:
	sh scripts/fetch-data.sh

test: check
	$(GO) test ./...

check:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'run gofmt -w on these'; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

# The same tests without assembly, without AVX-512, and on arm64. A browser has
# no part in that.
test-purego test-avx2 test-arm64: export EFFNET_CHROMIUM := none

# Packages whose tests compute with the kernels.
KERNELS := . ./explain ./infer ./internal/kernel/... ./internal/par ./internal/ref ./latency ./serve ./train ./cmd/effnet

test-purego:
	$(GO) vet -tags purego ./...
	$(GO) test -tags purego $(KERNELS)

test-avx2:
	EFFNET_KERNEL=avx2 $(GO) test $(KERNELS)

test-arm64:
	sh scripts/test-arm64.sh

# The search's decisions on 500 simulated searches of each kind: the table in
# docs/search.md. Some two minutes on two cores.
simulation:
	$(GO) test ./search -run 'Simulation$$' -v -sims 500 -timeout 3h

# kill -9 at random instants, then resume: the result must not change by a bit.
kill: build data
	sh scripts/kill-train.sh
	sh scripts/kill-search.sh

# Workers killed and paused, stores damaged, a cluster's nodes killed.
faults:
	sh scripts/fault-workers.sh

# What a second worker brings; wants two idle cores.
throughput: build data
	sh scripts/bench-workers.sh

# Every fuzz target for TIME, one core each. The seeds alone run in make test.
fuzz: TIME ?= 10m
fuzz:
	sh scripts/fuzz.sh $(TIME)

# The scorecard of docs/reliability.md on pictures and the server; TIME is for each
# check that goes on for as long as it is let. About a quarter of an hour.
reliability: TIME ?= 1m
reliability:
	sh scripts/reliability.sh $(TIME)

# Inference and training beside other engines, from a Python that is set up on
# first use; takes a quarter of an hour.
bench:
	sh bench/infer.sh
	sh bench/train.sh

clean:
	rm -rf bin $(DEMO)
