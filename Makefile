# `make` lists what there is. Everything installs into .venv and .tools and may be run again at any time.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install run dev test nightly lint format agent unit live live-all load e2e reload-lies zero-drop interleavings lock openapi docs cases transcripts \
	crash crash-engines events-kills faults bench-save bench-scale bench-first-host bench-changes bench-backup soak-agent crs evaluate-crs \
	rx-differential parsers agent-profile bench-data-path bench-stack bench-attack bench-terminator bench-memory bench-events bench-ingest bench-event-pages clean
MAKEFLAGS += --no-print-directory

PYTHON_IN := .venv/bin/python
CHECK = $(PYTHON_IN) tools/check.py
ARGS ?=
soak_seconds = $(or $(SOAK),600)

help: ## this list
	@sed -nE 's/^([a-z][a-z0-9-]*):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

install: ## install what is missing; afterwards .venv/bin/guardpanel is the command
	@tools/install.sh

run: install ## install, then run the panel, HAProxy and the WAF agent
	@exec .venv/bin/guardpanel up

dev: install ## install the linters and test tools, too
	@tools/install-dev.sh packages

test: dev ## everything that CI runs
	@tools/install-dev.sh haproxies chromium parsers
	@$(CHECK) -- $(ARGS)

lint: dev ## ruff, mypy, import contracts, djlint, biome, gofmt, go vet
	@$(CHECK) lint

format: dev ## lay out the code, and mend what ruff can
	@.venv/bin/ruff check --fix-only --quiet .
	@.venv/bin/ruff format --quiet .
	@cd spoa && ../tools/go.sh fmt ./...

agent: dev ## the WAF agent's tests, with the race detector
	@$(CHECK) agent

unit: dev ## tests without engines (ARGS="-k words": those alone; for live and e2e, too)
	@$(CHECK) unit -- $(ARGS)

live: dev ## tests on the real HAProxy, 2.6 and 2.8, with the real agent
	@tools/install-dev.sh haproxies
	@$(CHECK) live -- $(ARGS)

live-all: dev ## those on every HAProxy that can be had here: 3.0, 3.2 and 3.4, too (ARGS="-k words")
	@tools/install-dev.sh newer_haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies-all) $(CHECK) live -- $(ARGS)

load: dev ## saves under load, short: no request lost, none judged by half of a change
	@tools/install-dev.sh haproxies
	@$(CHECK) load -- $(ARGS)

e2e: dev ## tests in a browser
	@tools/install-dev.sh chromium
	@$(CHECK) e2e -- $(ARGS)

nightly: dev ## all long forms, with random seeds, one after the other (hours; NIGHTLY_SCALE=0.01: minutes; ARGS="parsers soak": those alone)
	@tools/install-dev.sh newer_haproxies chromium parsers
	@$(PYTHON_IN) tools/nightly.py $(ARGS)

crash: dev ## kill -9 of the panel at every system call of a save, 20 times each (hours; ARGS="--sample 100": minutes)
	@tools/install-dev.sh haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.crash.sweep $(ARGS)

crash-engines: dev ## kill -9 of the agent, of HAProxy's worker and of its master at every step of a save
	@tools/install-dev.sh haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.crash.engine_kills $(ARGS)

events-kills: dev ## kill -9 of the ingest of events, 100 times, and of the agent beside it: nothing lost, nothing twice
	@tools/install-dev.sh haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.crash.event_kills $(ARGS)

faults: dev ## a disk that fails at every step of a save: no space, I/O errors, short writes, read-only; and one that is full
	@tools/install-dev.sh haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.crash.faults $(ARGS)
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.crash.full_disk

reload-lies: dev ## the ways in which a reload lies, each planted in a save: what the panel says is so
	@tools/install-dev.sh haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m pytest -v tests/live/lies $(ARGS)

zero-drop: dev ## 1,000 saves and 1,000,000 requests on each HAProxy: none is lost (most of an hour)
	@tools/install-dev.sh haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.load.zero_drop $(ARGS)

lock: install ## the lock files from pyproject.toml (UPGRADE=1: the newest versions it allows)
	@tools/lock.sh

cases: dev ## tests/rendering/cases anew from the code, and what changed there
	@$(PYTHON_IN) -m tests.rendering

transcripts: dev ## what the real engines say, recorded anew for the tests of our parsers
	@tools/install-dev.sh newer_haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies-all) $(PYTHON_IN) -m tests.engines.record

openapi: install ## openapi.json from the code
	@$(PYTHON_IN) -m guardpanel openapi > openapi.json.new && mv openapi.json.new openapi.json

docs: install ## docs/configuration.md from the settings
	@$(PYTHON_IN) -m guardpanel configuration > docs/configuration.md.new && mv docs/configuration.md.new docs/configuration.md

bench-save: dev ## how long a save takes until it is live, beside the same by hand
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.save $(ARGS)

bench-scale: dev ## saves, every page and memory at 10 to 5,000 virtual hosts
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.scale $(ARGS)

bench-first-host: dev ## from the log-in page to the first virtual host live, in a browser
	@tools/install-dev.sh chromium
	@$(PYTHON_IN) -m bench.first_host

bench-changes: dev ## how long the pages of changes take with thousands of virtual hosts
	@$(PYTHON_IN) -m bench.changes $(ARGS)

interleavings: dev ## 10,000 rounds of people who save at once while the panel is killed, against a model
	@$(PYTHON_IN) -m tests.interleavings $(ARGS)

bench-backup: dev ## what a backup, a restore and retention cost, and a save beside them
	@$(PYTHON_IN) -m bench.backup $(ARGS)

bench-events: install ## what events cost the WAF agent
	@cd spoa && ../tools/go.sh test -run '^$$' -bench 'Event|Inspection' -benchtime 10s .

bench-ingest: dev ## how many events a second are read, and how long every search takes among a million
	@$(PYTHON_IN) -m bench.ingest $(ARGS)

bench-event-pages: dev ## how long the pages of events take with a million of them
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

evaluate-crs: install ## the rule set's 4,674 tests: HAProxy's way and `evaluate` give the same verdicts (minutes)
	@cd spoa && GUARDPANEL_CRS=all ../tools/go.sh test -run TestEvaluateGivesTheVerdictOfTheLivePath -count=1 -timeout 60m -v .

parsers: dev ## 20,000 bodies as PHP, Python, Node and Go read them: no value that the agent did not inspect (ARGS="--seed 7 --bodies 500")
	@tools/install-dev.sh haproxies parsers
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies) $(PYTHON_IN) -m tests.parsers $(ARGS)

rx-differential: install ## 12 million comparisons of @rx with Coraza's own: every CRS pattern, every value of CRS's tests
	@cd spoa && GUARDPANEL_RX_COMPARISONS=12000000 ../tools/go.sh test -run TestTheAutomaton -count=1 -timeout 60m -v ./...

bench-data-path: dev ## what a request costs in the library, PL1 to PL4, and in the whole stack; beside Coraza's own @rx
	@cd spoa && ../tools/go.sh test -run '^$$' -bench DataPath -benchtime 1x -timeout 60m . | grep -v ' ns/op$$'
	@$(MAKE) bench-stack ARGS="$(ARGS)"

agent-profile: install ## spoa/default.pgo: where the agent spends its time, for the compiler
	@cd spoa && ../tools/go.sh test -run '^$$' -bench Profile -benchtime 1x -cpuprofile default.pgo -o /dev/null .

bench-stack: dev ## its second part alone: the whole stack, the WAF off, detect only and blocking (minutes; ARGS="--rounds 9")
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.data_path $(ARGS)

bench-terminator: dev ## eight visitors behind one TLS terminator, beside eight alone (minutes; ARGS="--rounds 15")
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.terminator $(ARGS)

bench-memory: dev ## what HAProxy takes while 300 visitors stall, beside a policy of 4 MiB, on every HAProxy at hand (minutes)
	@tools/install-dev.sh newer_haproxies
	@GUARDPANEL_TEST_HAPROXIES=$$(cat .tools/haproxies-all) $(PYTHON_IN) -m bench.memory $(ARGS)

bench-attack: dev ## the worst requests that the rule set allows, and how long somebody else waits beside them (minutes)
	@tools/install-dev.sh haproxies
	@$(PYTHON_IN) -m bench.attack $(ARGS)

clean: ## remove what was installed and built here; var/ (your data) stays
	@rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache dist test-results
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
