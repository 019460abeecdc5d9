# The environment is made from requirements.lock alone; a second call finds it up to date and does nothing. Compiled here, or
# every start would take twice as long wherever Python may not keep what it compiled.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PEERS := .venv-peers/bin
PEERS_READY := .venv-peers/.ready

# Says what a step of the installation is, and every four seconds that it goes on. Its arguments hold no comma.
define step
@echo "$(1)"; seconds=0; \
while sleep 4 >/dev/null && kill -0 $$$$; do seconds=$$((seconds + 4)); echo "  … $$seconds s"; done 2>/dev/null & ticker=$$!; \
$(2); status=$$?; kill $$ticker; exit $$status
endef

.PHONY: run ui test test-runs soak check golden format docs bench lock image-rootfs clean help

help:  ## what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(READY): requirements.lock pyproject.toml
	$(call step,Making an environment: .venv,$(PYTHON) -m venv .venv)
	$(call step,Fetching uv,$(BIN)/python -m pip --quiet --disable-pip-version-check install uv)
	$(call step,Installing what requirements.lock names,$(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes --python $(BIN)/python requirements.lock)
	$(call step,Installing crm_pipeline itself,$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .)
	@touch $(READY)

$(PEERS_READY): $(READY) benchmarks/requirements.lock
	$(PYTHON) -m venv .venv-peers
	$(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes --python $(PEERS)/python benchmarks/requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --python $(PEERS)/python --editable .
	@touch $(PEERS_READY)

run: $(READY)  ## refresh the sample clubs in data/sample and print the summary
	@$(BIN)/crm-pipeline run --sources data/sample

ui: $(READY)  ## Dagster on the same data, schedule and sensors on; make ui PORT=3001 where 3000 is taken
	@$(BIN)/crm-pipeline ui --sources data/sample $(if $(PORT),--port $(PORT))

# Three at a time on two cores: a third of the time goes into waiting for servers and child processes.
PYTEST = $(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

test: $(READY)  ## the tests of all parts, under ten minutes
	$(PYTEST) -m "not whole_run"

test-runs: $(READY)  ## the tests that run the whole pipeline, hour by hour or with Dagster, PostgreSQL and a browser, or kill processes
	$(PYTEST) -m whole_run

soak: $(READY)  ## all tests at their full counts
	CRM_PIPELINE_SOAK=1 $(PYTEST)

check: $(READY)  ## format, lint, types, import direction
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest crm_pipeline_tests/project/test_architecture.py

golden: $(READY)  ## make golden BASE=<commit>: this tree publishes what that commit does, row for row
	$(BIN)/python -m crm_pipeline_tests.project.golden_home $(BASE)

format: $(READY)  ## let ruff mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY)  ## write docs/data-dictionary.md from the declared tables
	$(BIN)/python -m crm_pipeline.tables.dictionary

# make bench PEOPLE=1000000 measures the largest size, make bench ONLY="whole phones" those alone, and
# make bench ONLY= makes the table from what is there.
bench: $(PEERS_READY)  ## speed and memory next to peers and limits, as docs/performance.md; half an hour on two cores
	$(PEERS)/python -m benchmarks $(if $(PEOPLE),--people $(PEOPLE)) $(if $(filter undefined,$(origin ONLY)),,--only $(ONLY))

LOCK = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-strip-extras --no-emit-index-url --no-header --upgrade
lock: $(READY)  ## resolve pyproject.toml again: requirements.lock, and what benchmarks and the image take of it
	$(LOCK) pyproject.toml --group dev --output-file requirements.lock
	$(LOCK) pyproject.toml --group dev --group peers --constraints requirements.lock --output-file benchmarks/requirements.lock
	$(LOCK) pyproject.toml --constraints requirements.lock --output-file deploy/requirements.lock
	$(LOCK) --group build --constraints requirements.lock --output-file deploy/build.lock

image-rootfs:  ## as root: the image of deploy/Dockerfile without a container engine, and the sample clubs refreshed in it
	deploy/test-rootfs.sh

clean:  ## stop the embedded server and delete what was built and loaded
	@if [ -x $(BIN)/crm-pipeline ] && [ -d data/local/postgres ]; then $(BIN)/crm-pipeline database stop || true; fi
	rm -rf .venv .venv-peers data/local .mypy_cache .pytest_cache .ruff_cache .hypothesis
