# Everything runs in a virtual environment of its own, made from constraints.txt.
#   make demo    simulate, fit, test and predict (20 seconds after the install)
#   make test    all tests          make check   lint, types, walls, docs
#   make bench   speed beside a dense twin; QUICK=1: in 3 minutes
PYTHON ?= python3
# Where pip looks for torch; for a CPU-only laptop: https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Threads that wait for work must not spin: on shared cores that costs three to five times the time.
export OMP_WAIT_POLICY ?= passive

.PHONY: demo test check docs bench clean

demo: $(VENV)/.runtime
	$(BIN)/combo-lightning demo

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	for script in .ci/run $(wildcard scripts/slurm/*.sbatch); do bash -n $$script || exit 1; done
	$(MAKE) --no-print-directory docs

docs: $(VENV)/.dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build

bench: $(VENV)/.runtime
	$(BIN)/python -m scripts.bench $(if $(QUICK),--quick)

$(VENV)/.runtime: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install pip==26.3
	$(PIP) install -c constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) install -c constraints.txt --group dev
	touch $@

clean:
	rm -rf $(VENV) docs/_build demo
