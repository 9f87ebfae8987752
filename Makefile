# Everything a fresh machine needs is Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
STAMP := $(VENV)/.installed

.PHONY: demo test test-fast coverage mutants fuzz audit lint lock docs accuracy clean

demo: $(STAMP)
	$(BIN)/systolic compare resnet50 --arch int8_32x32 --arch elma8_32x32

test: lint
	$(BIN)/python -m pytest -n 2

test-fast: lint
	$(BIN)/python -m pytest -n 2 -m "not slow"

# Which lines and branches of simulator/ the fast tests run; fails below the floor in pyproject.toml.
coverage: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m "not slow" --cov --cov-report=term

# Try single-token mutants of modules against their own tests (docs/testing.md):
# make mutants MODULES="simulator/array/fold.py" MUTANTS=30 SEED=2 JOBS=1
mutants: $(STAMP)
	$(BIN)/python -m tools.mutants $(if $(MUTANTS),--mutants $(MUTANTS)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(JOBS),--jobs $(JOBS)) $(MODULES)

# Try changed inputs of every kind: each is accepted or refused in one line (docs/limits.md): make fuzz N=1000000 SEED=1
fuzz: $(STAMP)
	$(BIN)/python -m tests.hostile.fuzzing $(or $(N),20000) $(or $(SEED),0)

# Ask the Python Packaging Advisory Database about every pinned dependency; needs the network.
audit: $(STAMP)
	$(BIN)/uv tool run pip-audit --strict --no-deps --disable-pip --requirement requirements.lock \
	  --requirement requirements-torch.txt

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(STAMP): requirements.lock requirements-torch.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --requirement requirements-torch.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# Renew the pins: the newest versions that the constraints in pyproject.toml admit.
lock: $(STAMP)
	$(BIN)/uv pip compile pyproject.toml --group dev --extra dask --extra parquet --extra notebook --universal \
	  --python-version 3.11 --no-emit-index-url --no-annotate --custom-compile-command 'make lock' --upgrade -o requirements.lock

# Regenerate every generated page under docs/.
docs: $(STAMP)
	$(BIN)/python -m tools.generate_docs

# Measure the accuracy part of docs/results.md anew; many minutes.
accuracy: $(STAMP)
	$(BIN)/python -m tools.accuracy_table

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
