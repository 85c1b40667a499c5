# `make run` and `make test` install what is missing on Debian and need only Swift 6.3 beforehand.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run build test soak hostile contract openapi openapi-check schemathesis fuzz ci lint imports format bench conformance image image-check swift

GFPD := $(CURDIR)/.build/release/gfpd
SQLITE := /usr/include/sqlite3.h
CRYPTO := /usr/include/openssl/evp.h
EXPAT := /usr/include/expat.h
LIBRARIES := $(SQLITE) $(CRYPTO) $(EXPAT)
WRK := /usr/bin/wrk
APT := $(if $(filter 0,$(shell id -u)),,sudo) env DEBIAN_FRONTEND=noninteractive apt-get -q -y
DIR = ../shared/groundtruth
ANSWERS = .build/conformance
CYCLES = 1000
RESTARTS = 100
CASES = 20000
CONTRACT := .build/contract
CONTRACT_RUN := GFPD_BINARY=$(GFPD) PYTHONDONTWRITEBYTECODE=1 $(CONTRACT)/bin/python
FACTOR = 2
SECONDS = 60
TARGETS = http json request tokens allocate batch control explain free-page machine renew zoneinfo hwloc
TEST_LOG := .build/test.log
TREE = git status --porcelain 2>/dev/null | cksum
TREE_BEFORE := $(shell $(TREE))

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: build ## Build for release and serve: make run ARGS="--port 9000 --data DIR --topology FILE"
	@exec $(GFPD) serve $(ARGS)

build: swift $(LIBRARIES) ## Build gfpd for release
	swift build -c release --product gfpd

test: build ## Run every test; those of the whole service run the release build
	swift build --build-tests
	@GFPD_BINARY=$(GFPD) swift test --skip-build --disable-xctest 2>&1 | tee $(TEST_LOG) || { echo "What failed, once more:"; grep -A 3 "recorded an issue\|unexpected signal\|Fatal error" $(TEST_LOG); exit 1; }

soak: build ## Kill and restart the server under load: make soak CYCLES=1000 RESTARTS=100
	swift build --build-tests
	GFPD_BINARY=$(GFPD) GFPD_KILL_CYCLES=$(CYCLES) GFPD_RESTART_CYCLES=$(RESTARTS) swift test --skip-build --disable-xctest --filter "KillTests|RollingRestartTests"

contract: build $(CONTRACT)/ready ## Hold the server to openapi.yaml: examples, statuses, a client, a fuzzer
	$(CONTRACT_RUN) -m pytest -q -p no:cacheprovider Tests/Contract
	$(CONTRACT_RUN) Tests/Contract/fuzz.py 1

openapi: $(CONTRACT)/ready ## Make Sources/CContract/openapi.json of openapi.yaml, after every change of that
	$(CONTRACT)/bin/python Tests/Contract/openapi_json.py

openapi-check: $(CONTRACT)/ready
	$(CONTRACT)/bin/python Tests/Contract/openapi_json.py --check

schemathesis: build $(CONTRACT)/ready ## Fuzz by openapi.yaml: make schemathesis CASES=20000
	$(CONTRACT_RUN) Tests/Contract/fuzz.py $(CASES)

$(CONTRACT)/ready: Tests/Contract/requirements.txt
	@python3 -c 'import ensurepip' 2>/dev/null || { $(APT) update && $(APT) install --no-install-recommends python3-venv; }
	python3 -m venv --clear $(CONTRACT)
	@$(CONTRACT)/bin/pip install --quiet --disable-pip-version-check --retries 2 --requirement $< || { echo "The contract is checked with what $< names, and pip could not get it from PyPI: see above. Nothing of the contract was checked." >&2; exit 1; }
	@touch $@

hostile: build ## Attack the server and hold the others' p99 to FACTOR times: make hostile FACTOR=2
	swift build --build-tests
	GFPD_BINARY=$(GFPD) GFPD_HOSTILE_FACTOR=$(FACTOR) swift test --skip-build --disable-xctest --no-parallel --filter Hostile

fuzz: swift $(LIBRARIES) ## Fuzz parsers and bodies: make fuzz SECONDS=600 TARGETS="http json"
	GFPD_FUZZ=1 swift build -c release --product Fuzz --sanitize fuzzer --scratch-path .build/fuzz
	@for target in $(TARGETS); do \
	  mkdir -p .build/corpus/$$target && cd $(CURDIR) && \
	  SWIFT_BACKTRACE=enable=no .build/fuzz/release/Fuzz $$target -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 -artifact_prefix=.build/corpus/$$target- .build/corpus/$$target Tests/Fuzz/Corpus/$$target || exit 1; \
	done

ci: lint openapi-check build imports test contract ## What CI runs; leaves the work tree as it was
	@test "$$($(TREE))" = "$(TREE_BEFORE)" || { git status --short; echo "make ci changed the work tree." >&2; exit 1; }

lint: swift ## Check the format of all Swift files
	swift format lint --strict --recursive Sources Tests Package.swift

imports: swift $(LIBRARIES) ## Check that targets import only what Package.swift lets them
	swift build --explicit-target-dependency-import-check error

format: swift ## Format all Swift files in place
	swift format --in-place --recursive Sources Tests Package.swift

bench: build $(WRK) ## Measure the service and its allocator: make bench ALL=1 adds 1 TiB
	swift build -c release --product AllocatorBench
	@$(CURDIR)/.build/release/AllocatorBench $(if $(ALL),,--quick)
	@exec $(GFPD) bench $(ARGS)

conformance: build ## Compare placements with running kernels: make conformance DIR=... ANSWERS=...
	@exec $(GFPD) conformance --dir $(DIR) --answers $(ANSWERS)

image: ## Build the container image
	docker build --tag gfpd .

image-check: swift $(LIBRARIES) ## Carry out the Dockerfile's steps without an engine; as root
	python3 -B Tests/Image/check.py

swift:
	@command -v swift >/dev/null || { echo "gfpd is built with Swift 6.3, and there is no swift in PATH: see https://www.swift.org/install" >&2; exit 1; }

$(SQLITE): PACKAGE := libsqlite3-dev
$(CRYPTO): PACKAGE := libssl-dev
$(EXPAT): PACKAGE := libexpat1-dev
$(WRK): PACKAGE := wrk
$(LIBRARIES) $(WRK):
	@command -v apt-get >/dev/null || { echo "$@ is missing, and this is no Debian: install what Debian calls $(PACKAGE), then try again." >&2; exit 1; }
	@$(APT) --version >/dev/null 2>&1 || { echo "$@ is missing: install $(PACKAGE) as root, or install sudo, then try again." >&2; exit 1; }
	$(APT) update
	$(APT) install --no-install-recommends $(PACKAGE)
