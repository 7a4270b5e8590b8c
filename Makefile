# placevec: `make demo` runs the main job, `make test` the tests. Both build the environment first.
PYTHON ?= python3
VENV   ?= .venv
EXTRAS ?= all,dev
ARGS   ?=
BIN    := $(VENV)/bin
# The tests load a thousand files in many processes: they are compiled once, even where Python is told not to.
export PYTHONDONTWRITEBYTECODE :=
STAMP  := $(VENV)/.installed

.PHONY: init demo test test-tile-server lint soak bench fuzz docs clean help
help:            ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

init: $(STAMP)   ## the environment alone (VENV=, PYTHON=, EXTRAS=)

# uv inside the environment for speed, plain pip where uv cannot be had or fails.
# uv does not read pip's configuration, hence UV_FIND_LINKS; empty is harmless.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "placevec needs Python 3.11, 3.12 or 3.13: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo "python's venv module is missing: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing placevec into $(VENV) (about a minute, 3 GB)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv 2>/dev/null || true
	@if [ -x $(BIN)/uv ] && UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" \
	   $(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt -e ".[$(EXTRAS)]"; then :; \
	 else echo "uv did not do it; using pip"; \
	   $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"; fi
	@touch $@

demo: $(STAMP)   ## the main job on the embedded extract (ARGS="--force")
	@$(BIN)/placevec demo $(ARGS)

# Types are checked beside the tests; what they say is printed at the end, and before the tests by `make lint`.
test: $(STAMP)   ## lint, types, layers and tests
	@$(BIN)/ruff check . && $(BIN)/ruff format --check -q src tests benchmarks && $(BIN)/lint-imports
	@$(BIN)/mypy > $(VENV)/types.log & types=$$!; \
	 OMP_NUM_THREADS=1 $(BIN)/python -m tests.compiled; \
	 $(BIN)/pytest -n 2 --dist worksteal -q $(ARGS); failed=$$?; \
	 wait $$types || failed=1; cat $(VENV)/types.log; exit $$failed

test-tile-server: $(STAMP)  ## prepare, train and embed from mod_tile, renderd and Mapnik (installs them, as root)
	@PLACEVEC_TILE_SERVER=1 $(BIN)/pytest -q tests/test_real_tile_server.py $(ARGS)

lint: $(STAMP)   ## ruff, mypy, import-linter
	@$(BIN)/ruff check . && $(BIN)/ruff format --check -q src tests benchmarks && $(BIN)/mypy && $(BIN)/lint-imports

soak: $(STAMP)   ## kills at random moments, fifty of each command (ARGS="--kills 50 --seed 0")
	@$(BIN)/python -m tests.robustness.soak $(ARGS)

bench: $(STAMP)  ## the figures of BENCHMARKS.md
	@$(BIN)/python -m benchmarks $(ARGS)

fuzz: $(STAMP)   ## fuzz every reader, led by coverage (ARGS="--seconds 60 extract"); needs the extra fuzz
	@$(BIN)/python -m tests.fuzz $(ARGS)

docs: $(STAMP)   ## the documentation, into site/
	@$(BIN)/mkdocs build -q --strict

clean:           ## remove the environment and what the demo made
	rm -rf $(VENV) demo site
