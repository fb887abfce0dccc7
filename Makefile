PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test check docs soak fuzz bench clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: $(VENV)/.tool  ## install, then a signal and a backtest on simulated bars
	@$(BIN)/python -m crypto_refactor.cli.commands.demo

test: $(VENV)/.dev  ## the fast tests
	$(BIN)/python -m pytest -q -n 3 -m "not slow"

check: $(VENV)/.dev  ## what CI runs: lint, format, types, architecture, every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n 3
	$(BIN)/python tests/mutation_tests.py

docs: $(VENV)/.dev  ## write what docs/ takes from the code and from runs, then the site (docs/_build/html)
	$(BIN)/python docs/schemas.py
	$(BIN)/python docs/drawings.py
	$(BIN)/python docs/pictures.py
	$(BIN)/python docs/generate.py
	$(BIN)/python -m sphinx --nitpicky --fail-on-warning --quiet docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

soak: $(VENV)/.dev  ## trade 30 simulated days while everything fails, and look for lost or doubled orders
	$(BIN)/python tests/trading_soak.py
	$(BIN)/python tests/crash_soak.py

fuzz: $(VENV)/.dev  ## new random examples of every property; damaged files, hostile values and hostile answers, thousands of each
	HYPOTHESIS_PROFILE=default $(BIN)/python -m pytest -q -n 2 tests/backtest tests/execution tests/features tests/market
	$(BIN)/python tests/fuzz_files.py
	$(BIN)/python tests/fuzz_answers.py

bench: $(VENV)/.dev  ## every job beside its peers and this machine's limits (DATA_DIR=folder of CSV bars)
	$(BIN)/python benchmarks/bench.py $(if $(DATA_DIR),--data-dir $(DATA_DIR)) --write docs/benchmarks.md

clean:  ## remove the environment; models and bars stay
	rm -rf $(VENV)

# Marked when it is complete: an interrupted one holds a Python without pip, and is made again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.tool: pyproject.toml hatch_build.py | $(VENV)/.made
	@echo "Installing crypto-refactor and what it needs into $(VENV): TensorFlow, Keras, pandas and smaller libraries,"
	@echo "about 2 GB on disk. This takes one to five minutes, once; nothing outside this folder is touched but pip's cache."
	@echo "Its last step, 'Installing collected packages', stands still for one or two minutes."
	@echo "Stop it whenever you like: make demo goes on with what pip has kept."
	@$(BIN)/python -m pip install --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: pyproject.toml hatch_build.py | $(VENV)/.made
	@echo "Installing crypto-refactor, its tools and the libraries its tests compare with (about 3 GB) into $(VENV)."
	@$(BIN)/python -m pip install --disable-pip-version-check -e '.[dev]'
	@touch $@
