# `make` lists what there is. Everything installs into .venv and .tools and may be run again at any time.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help sslyze install run dev test nightly pictures lint format agent unit live imports live-all load e2e reload-lies zero-drop interleavings lock openapi release-api docs cases transcripts \
	crash crash-engines crash-orders events-kills faults faults-orders bench-save bench-scale bench-api bench-first-host bench-issue bench-changes bench-backup bench-exclusions soak-agent crs evaluate-crs \
	rx-differential parsers agent-profile bench-data-path bench-replay bench-fix bench-stack bench-attack bench-terminator bench-tls bench-certificates bench-address-lists bench-memory bench-events bench-ingest bench-event-pages clean
MAKEFLAGS += --no-print-directory

PYTHON_IN := .venv/bin/python
CHECK = $(PYTHON_IN) tools/check.py
ARGS ?=
soak_seconds = $(or $(SOAK),600)

help: ## list the targets
	@sed -nE 's/^([a-z][a-z0-9-]*):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

install: ## install into .venv and .tools; the command is then .venv/bin/guardpanel
	@tools/install.sh

run: install ## install, then run the panel, HAProxy and the WAF agent
	@exec .venv/bin/guardpanel up

dev: install ## also install linters and test tools
	@tools/install-dev.sh packages

test: dev ## everything that CI runs
	@tools/install-dev.sh haproxies chromium parsers acme openapi
	@$(CHECK) -- $(ARGS)

lint: dev ## ruff, mypy, import contracts, djlint, biome, tsc, gofmt, go vet
	@$(CHECK) lint

format: dev ## format the code and apply ruff's fixes
	@.venv/bin/ruff check --fix-only --quiet .
	@.venv/bin/ruff format --quiet .
	@cd spoa && ../tools/go.sh fmt ./...

agent: dev ## the WAF agent's tests, with the race detector
	@$(CHECK) race

unit: dev ## tests without engines (ARGS="-k words" selects tests; also for live and e2e)
	@tools/install-dev.sh acme openapi
	@$(CHECK) unit -- $(ARGS)

live: dev ## tests on the real HAProxy, 2.6 and 2.8, with the real agent
	@tools/install-dev.sh haproxies acme
	@$(CHECK) live -- $(ARGS)

imports: dev ## answers of each DIR/*.cfg by HAProxy itself and by what is imported of it (IMPORTS=DIR; a minute)
	@tools/install-dev.sh haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) GUARDPANEL_TEST_IMPORTS=$(or $(IMPORTS),tests/live/imports) \
		$(PYTHON_IN) -m pytest -q -rP tests/live/test_imported_files.py $(ARGS)

live-all: dev ## live tests on every available HAProxy, including 3.0, 3.2 and 3.4 (ARGS="-k words")
	@tools/install-dev.sh newer_haproxies acme
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies-all) $(CHECK) live -- $(ARGS)

load: dev ## saves under load, short form: no request lost, none handled by half of a change
	@tools/install-dev.sh haproxies
	@$(CHECK) load -- $(ARGS)

e2e: dev ## browser tests
	@tools/install-dev.sh chromium
	@$(CHECK) e2e -- $(ARGS)

pictures: dev ## photograph every page, light and dark, wide and narrow, into test-results/pictures (ARGS="--only 'policy.*'")
	@tools/install-dev.sh chromium
	@$(PYTHON_IN) -m tests.pictures $(ARGS)

nightly: dev ## all long tests with random seeds (hours; NIGHTLY_SCALE=0.01: minutes; ARGS="parsers soak" selects)
	@tools/install-dev.sh newer_haproxies chromium parsers acme openapi
	@$(PYTHON_IN) tools/nightly.py $(ARGS)

crash: dev ## kill -9 of the panel at every system call of a save, 20 times each (hours; ARGS="--sample 100": minutes)
	@tools/install-dev.sh haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.crash.sweep $(ARGS)

crash-engines: dev ## kill -9 of the agent, HAProxy's worker and its master at every step of a save
	@tools/install-dev.sh haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.crash.engine_kills $(ARGS)

crash-orders: dev ## kill -9 of the panel at every step of an order of a certificate
	@tools/install-dev.sh haproxies acme
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.crash.order_kills $(ARGS)

events-kills: dev ## kill -9 of the event ingest, 100 times, and of the agent: nothing lost, nothing stored twice
	@tools/install-dev.sh haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.crash.event_kills $(ARGS)

faults: dev ## disk failures at every step of a save: no space, I/O errors, short writes, read-only; and a full disk
	@tools/install-dev.sh haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.crash.faults $(ARGS)
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.crash.full_disk

faults-orders: dev ## disk failures at every step of an order of a certificate
	@tools/install-dev.sh haproxies acme
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.crash.order_faults $(ARGS)

reload-lies: dev ## false reload success: faults planted in saves, and what the panel reports
	@tools/install-dev.sh haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m pytest -v tests/live/lies $(ARGS)

zero-drop: dev ## 1,000 saves during 1,000,000 requests on each HAProxy: none lost (most of an hour)
	@tools/install-dev.sh haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.load.zero_drop $(ARGS)

lock: install ## write the lock files from pyproject.toml (UPGRADE=1: newest allowed versions)
	@tools/lock.sh

cases: dev ## regenerate tests/rendering/cases and show what changed
	@$(PYTHON_IN) -m tests.rendering

transcripts: dev ## record output of the real engines for the parser tests
	@tools/install-dev.sh newer_haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies-all) $(PYTHON_IN) -m tests.engines.record

openapi: install ## regenerate openapi.json
	@$(PYTHON_IN) -m guardpanel openapi > openapi.json.new && mv openapi.json.new openapi.json

release-api: openapi ## at a release: keep openapi.json as what clients of it rely on
	@$(PYTHON_IN) tools/release_api.py

docs: install ## regenerate docs/configuration.md and docs/cli.md
	@$(PYTHON_IN) -m guardpanel configuration > docs/configuration.md.new && mv docs/configuration.md.new docs/configuration.md
	@$(PYTHON_IN) -m guardpanel commands > docs/cli.md.new && mv docs/cli.md.new docs/cli.md

bench-save: dev ## time until a save is live, compared with doing it by hand
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.save $(ARGS)

bench-scale: dev ## saves, all pages and memory with 10 to 5,000 virtual hosts
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.scale $(ARGS)

bench-api: dev ## requests per second of the JSON API's reads, also beside saves (a minute)
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.api $(ARGS)

bench-first-host: dev ## time from the login page to the first live virtual host, in a browser
	@tools/install-dev.sh chromium
	@$(PYTHON_IN) -m bench.first_host

bench-issue: dev ## time from saving a certificate until an ACME authority's is served (minutes)
	@$(PYTHON_IN) -m bench.issue

bench-changes: dev ## time of the Changes pages with thousands of virtual hosts
	@$(PYTHON_IN) -m bench.changes $(ARGS)

interleavings: dev ## 10,000 rounds of concurrent saves and kills of the panel, checked against a model
	@$(PYTHON_IN) -m tests.interleavings $(ARGS)

bench-backup: dev ## cost of backup, restore and retention, and of a save during them
	@$(PYTHON_IN) -m bench.backup $(ARGS)

bench-exclusions: dev ## cost of 200 rule exclusions: a save, also beside 200 custom rules, and a request
	@$(PYTHON_IN) -m bench.exclusions $(ARGS)

bench-events: install ## cost of events in the WAF agent
	@cd spoa && ../tools/go.sh test -run '^$$' -bench 'Event|Inspection' -benchtime 10s .

bench-replay: dev ## 1,000 requests through the agent's replay, and what visitors notice of it
	@$(PYTHON_IN) -m bench.replay $(ARGS)

bench-fix: dev ## time from the click on *Not an attack* until the first verdict, the fix and all findings
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.fix $(ARGS)

bench-ingest: dev ## events stored per second, and search times among a million events
	@$(PYTHON_IN) -m bench.ingest $(ARGS)

bench-event-pages: dev ## time of the Events pages with a million events
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.event_pages $(ARGS)

soak-agent: install ## 10 minutes of traffic, reloads and events: nothing lost, memory flat (SOAK=30: shorter); then 1,000 reloads
	@echo "==> $(soak_seconds) seconds of mixed traffic with a reload each second and a reader of events"
	@cd spoa && GUARDPANEL_SOAK_SECONDS=$(soak_seconds) ../tools/go.sh test -run TestSoak -count=1 -timeout 60m -v .
	@echo "==> 1,000 reloads (many minutes)"
	@cd spoa && GUARDPANEL_RELOADS=1000 ../tools/go.sh test -run TestReloads -count=1 -timeout 60m -v ./...

crs: dev ## the rule set's own 4,674 tests through the whole stack, on each HAProxy, into docs/fidelity.md (minutes)
	@tools/install-dev.sh haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.crs $(ARGS)

sslyze: dev ## both TLS profiles as sslyze judges them, on every available HAProxy
	@tools/install-dev.sh newer_haproxies sslyze
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies-all) $(PYTHON_IN) -m tests.mozilla

evaluate-crs: install ## the rule set's 4,674 tests: HAProxy's way and `evaluate` give the same verdicts (minutes)
	@cd spoa && GUARDPANEL_CRS=all ../tools/go.sh test -run TestEvaluateGivesTheVerdictOfTheLivePath -count=1 -timeout 60m -v .

parsers: dev ## 20,000 bodies read by PHP, Python, Node and Go: no value escapes inspection (ARGS="--seed 7 --bodies 500")
	@tools/install-dev.sh haproxies parsers
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.parsers $(ARGS)

rx-differential: install ## compare @rx with Coraza's 12 million times: every CRS pattern, every value of CRS's tests
	@cd spoa && GUARDPANEL_RX_COMPARISONS=12000000 ../tools/go.sh test -run TestTheAutomaton -count=1 -timeout 60m -v ./...

bench-data-path: dev ## cost of a request in the library (PL1 to PL4) and the whole stack, compared with Coraza's @rx
	@cd spoa && ../tools/go.sh test -run '^$$' -bench DataPath -benchtime 1x -timeout 60m . | grep -v ' ns/op$$'
	@$(MAKE) bench-stack ARGS="$(ARGS)"

agent-profile: install ## regenerate spoa/default.pgo, the profile for the compiler
	@cd spoa && ../tools/go.sh test -run '^$$' -bench Profile -benchtime 1x -cpuprofile default.pgo -o /dev/null .

bench-stack: dev ## only its second part: the whole stack with the WAF off, detecting and blocking (minutes; ARGS="--rounds 9")
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.data_path $(ARGS)

bench-terminator: dev ## eight visitors behind one TLS terminator, compared with eight direct ones (minutes; ARGS="--rounds 15")
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.terminator $(ARGS)

bench-memory: dev ## memory of HAProxy while 300 visitors stall, with a 4 MiB policy, on every available HAProxy (minutes)
	@tools/install-dev.sh newer_haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies-all) $(PYTHON_IN) -m bench.memory $(ARGS)

bench-tls: dev ## HTTPS through the panel's HAProxy, compared with a hand-written one (a minute; ARGS="--rounds 15")
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.tls_path $(ARGS)

bench-certificates: dev ## 1,000 certificates: swaps during 20,000 handshakes, other saves, reload, memory (minutes)
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.certificates $(ARGS)

bench-address-lists: dev ## 100,000 entries of an address list: import, one entry more, bans, reloads (a minute)
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.address_lists $(ARGS)

bench-per-request: dev ## cost of a login, an idle client limit and a deny list of 100,000 entries, per request (minutes)
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.per_request $(ARGS)

bench-attack: dev ## the most expensive requests that the rule set allows, and how long others wait (minutes)
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.attack $(ARGS)

clean: ## remove everything installed and built here; keep var/ (your data)
	@rm -rf clients/typescript/{node_modules,dist,src/schema.d.ts} .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache dist test-results
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
