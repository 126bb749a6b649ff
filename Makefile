# make setup   an environment in .venv with everything: engine, prover, test and development tools
# make demo    prove and verify a small model's answer
# make test    all tests
# make bench   the engine's speed, and a whole proof's, into benchmarks/results
# make mutants drop every guard in turn: some attack of the tests must notice
# make package sdist and wheel, tried in an empty environment (PROVE=1: with torch, too)
# make docs    the documentation, with strict links, into build/site
# make notebooks  run the notebooks in examples/notebooks from an empty state
# make attack  lie and re-prove against everything that is registered, plugins included (zkcore attack, JOBS at a time)
# make fuzz    strange files for FUZZ_SECONDS (300), then as long led by coverage (atheris); `make test` does seconds of both
# make nightly mutants, fuzz and attack, at length
# make check   the one door before a commit: style, types, import rules, tests
#
# Variables: PYTHON (interpreter the environment is made with), ENGINE_FLAGS (for cmake, e.g. -DZKCORE_CUDA=OFF),
# PYTEST_FLAGS (e.g. PYTEST_FLAGS="-n 8 -m 'not slow'").

PYTHON ?= python3
ENGINE_FLAGS ?= -DZKCORE_CUDA=AUTO
PYTEST_FLAGS ?= -n 2 --dist worksteal

VENV := .venv
BIN := $(VENV)/bin
ENGINE_SOURCES := $(shell find csrc -type f -not -name '.*')
CPP_SOURCES := $(filter %.cpp %.hpp %.h %.cu %.cuh,$(ENGINE_SOURCES))

.PHONY: setup demo test bench mutants attack fuzz nightly package docs notebooks lint style types imports cpp-style check clean
.DELETE_ON_ERROR:

setup: $(VENV)/.stamp

$(VENV)/.packages: requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11) and "zkcore needs Python 3.11 or newer; try make PYTHON=python3.11 setup")'
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.lock
	touch $@

# The engine goes into zkcore/ by cmake, so that a change of one source recompiles one source;
# the editable install adds the package's metadata and the `zkcore` command.
$(VENV)/.install: $(VENV)/.packages pyproject.toml zkcore/version.py
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-build-isolation --no-deps \
	  -C wheel.cmake=false -e .
	touch $@

$(VENV)/.stamp: $(VENV)/.install $(ENGINE_SOURCES)
	PYTHON=$(CURDIR)/$(BIN)/python csrc/dev_build.sh $(ENGINE_FLAGS)
	$(BIN)/python -c 'import zkcore._engine'
	touch $@

demo: setup
	$(BIN)/zkcore demo

# Each worker computes on one thread: two workers on two cores do not fight over them.
test: setup
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest $(PYTEST_FLAGS)

# A survivor is a guard that no test misses, and ends it with an error: some ten minutes. `make test` checks the table.
mutants: setup
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python tests/mutants/run.py

BUDGET ?= quick
JOBS ?= 2
FUZZ_SECONDS ?= 300

attack: setup
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/zkcore attack --budget $(BUDGET) --jobs $(JOBS) --report build/attack.json

fuzz: setup
	$(BIN)/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS)
	! $(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python tests/fuzz/run.py --guided --seconds $(FUZZ_SECONDS)

nightly: mutants fuzz
	$(MAKE) attack BUDGET=full

bench: setup
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/tiny_llama.py
	$(BIN)/python benchmarks/tiny_llama.py --config configs/baseline.yaml

package: setup
	sh scripts/check_package.sh

$(VENV)/.docs: $(VENV)/.stamp docs/requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r docs/requirements.lock
	touch $@

docs: $(VENV)/.docs
	$(BIN)/python scripts/config_reference.py
	$(BIN)/python scripts/measured.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

notebooks: $(VENV)/.docs
	$(BIN)/python scripts/run_notebooks.py

lint: style types imports cpp-style

style: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy --strict zkcore
	cd benchmarks && ../$(BIN)/mypy --strict *.py

imports: setup
	$(BIN)/lint-imports

cpp-style: setup
	$(BIN)/clang-format --dry-run -Werror $(CPP_SOURCES)

check: lint test

clean:
	rm -rf build dist zkcore/_engine*.so $(VENV)/.stamp
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find zkcore tests examples -name __pycache__ -type d -prune -exec rm -rf {} +
