# Everything a fresh machine needs is Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What the command needs, without the tools of its developers.
BASE := $(VENV)/.user-installed
STAMP := $(VENV)/.installed
TORCH := $(VENV)/.torch-installed
ZOO := build/zoo

.PHONY: bench demo test test-all test-fast coverage mutants fuzz audit lint lock docs site accuracy zoo clean

# Four formats on a trained network, then where the cycles and the energy of resnet50 go. Beside the first command two
# processes compile what is needed, from either end.
demo: $(BASE)
	@$(BIN)/python -m tools.compile_ahead & \
	$(BIN)/systolic simulate resnet50 --quiet & \
	command='$(BIN)/systolic compare lenet5_fashion --data fashion_mnist_1000 --mac int8 --mac elma8 --mac fp8 --mac "int4 x int4"'; \
	echo "$$command"; eval "$$command" && wait
	$(BIN)/systolic simulate resnet50

test: lint $(TORCH)
	$(BIN)/python -m pytest -n 2 -m "not exhaustive"

# More seeds and formats of what `make test` tries; for a release, and where code of their subject changes.
test-all: lint $(TORCH)
	$(BIN)/python -m pytest -n 2

test-fast: lint $(TORCH)
	$(BIN)/python -m pytest -n 2 -m "not slow and not exhaustive"

# Which lines and branches of simulator/ the fast tests run; fails below the floor in pyproject.toml.
coverage: $(TORCH)
	$(BIN)/python -m pytest -n 2 -m "not slow and not exhaustive" --cov --cov-report=term

# Try single-token mutants of modules against their own tests (docs/testing.md):
# make mutants MODULES="simulator/array/fold.py" MUTANTS=30 SEED=2 JOBS=1
mutants: $(TORCH)
	$(BIN)/python -m tools.mutants $(if $(MUTANTS),--mutants $(MUTANTS)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(JOBS),--jobs $(JOBS)) $(MODULES)

# Try changed inputs of every kind: each is accepted or refused in one line (docs/limits.md): make fuzz N=1000000 SEED=1
fuzz: $(STAMP)
	$(BIN)/python -m tests.hostile.fuzzing $(or $(N),20000) $(or $(SEED),0)

# Ask the Python Packaging Advisory Database about every pinned dependency; needs the network.
audit: $(STAMP)
	$(BIN)/python -m tools.audit requirements.lock requirements-user.lock requirements-torch.txt tools/zoo/requirements.txt

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Modules are compiled when they are imported: most files of the packages never are.
$(BASE): requirements-user.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --requirement requirements-user.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(STAMP): requirements.lock $(BASE)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	touch $@

# PyTorch is large, and only its tests need it.
$(TORCH): requirements-torch.txt $(STAMP)
	$(BIN)/python -m pip install --quiet --requirement requirements-torch.txt
	touch $@

# Renew the pins: the newest versions that the constraints in pyproject.toml admit.
lock: $(STAMP)
	$(BIN)/uv pip compile pyproject.toml --group dev --extra dask --extra parquet --extra notebook --extra rtl --universal \
	  --python-version 3.11 --no-emit-index-url --no-annotate --custom-compile-command 'make lock' --upgrade -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group install --constraint requirements.lock --universal \
	  --python-version 3.11 --no-emit-index-url --no-annotate --custom-compile-command 'make lock' -o requirements-user.lock

# Regenerate every generated page under docs/.
docs: $(STAMP)
	$(BIN)/python -m tools.generate_docs

# Build the documentation site into build/site; a warning, such as a link that leads nowhere, is an error.
site: $(STAMP)
	$(BIN)/python -m sphinx -W --keep-going --quiet docs build/site

# Execute the architectures of docs/zoo.md in PyTorch and compare them with what the ONNX reader gives; over an hour, and
# 7 GB for an environment of its own: make zoo, make zoo NAMES="bert_base resnet18"
zoo: $(ZOO)/.installed
	$(ZOO)/bin/python -W ignore -m tools.zoo $(NAMES)
	$(ZOO)/bin/python -m tools.generate_docs

$(ZOO)/.installed: requirements.lock tools/zoo/requirements.txt
	$(PYTHON) -m venv $(ZOO)
	$(ZOO)/bin/python -m pip install --quiet --requirement requirements.lock
	$(ZOO)/bin/python -m pip install --quiet --requirement tools/zoo/requirements.txt
	touch $@

# Measure the accuracy part of docs/results.md anew; many minutes.
accuracy: $(STAMP)
	$(BIN)/python -m tools.accuracy_table

# Measure everything beside its bound or peer and write docs/performance.md; under ten minutes on a quiet machine:
# make bench, make bench ONLY="start_up grid_figures"
bench: $(STAMP)
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
