# make demo    install into .venv, then run the example on real data
# make test    install what the tests need, then run all checks but the slow tests
# make test-all  the slow tests too
# make coverage  the tests again, and which lines of the package they do not reach
# make bench   measure against pypolymlp, compiled for this machine, and the host
# GNU make and Python are needed, for tests and benchmarks a C++ compiler as well: they
# compare with pypolymlp. Nothing outside .venv is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Modules are compiled when they are first imported: most never are.
INSTALL := $(BIN)/python -m pip install --quiet --no-compile
EXAMPLE := example/NaCl-pypolymlp
# Tests run in so many processes: a module's stay together, for they share what its
# fixtures made. In their own order: the longest modules do not come last.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-all check ruff mypy imports docs coverage bench host-tests clean

help:
	@echo "make demo        install into $(VENV), then train on NaCl up to its thermal conductivity"
	@echo "make test        install what the tests need, then run all checks but the slow tests"
	@echo "make test-all    the same with the slow tests"
	@echo "make coverage    run the tests and show which lines they do not reach"
	@echo "make bench       measure against pypolymlp, compiled for this machine, and the host"
	@echo "make host-tests  run the host's own tests without and with this package"
	@echo "make clean       remove $(VENV) and everything generated"

demo: $(VENV)/.package
	@$(BIN)/python $(EXAMPLE)/run.py --demo

# The tests come last: their closing line is what a reader looks for.
test: $(VENV)/.test
	@$(MAKE) --no-print-directory --jobs=2 check
	$(PYTEST) -m "not slow"

test-all: $(VENV)/.test
	@$(MAKE) --no-print-directory --jobs=2 check
	$(PYTEST)

check: ruff mypy imports docs

ruff: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check

mypy: $(VENV)/.test
	$(BIN)/mypy

imports: $(VENV)/.test
	$(BIN)/lint-imports

docs: $(VENV)/.test
	$(BIN)/sphinx-build -q -W --keep-going docs docs/_build/html

coverage: $(VENV)/.test
	$(PYTEST) --cov --cov-report=term-missing:skip-covered

bench: $(VENV)/.native
	@$(BIN)/python benchmarks/engine.py
	@$(BIN)/python benchmarks/scattering.py

host-tests: $(VENV)/.test
	@$(BIN)/python tests/host/compare.py

# Stamps: each step is done once, and again when what it was made from changes.
$(VENV)/.created:
	@tools/check_python.sh "$(PYTHON)"
	@echo "Creating $(VENV)"
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@

$(VENV)/.package: pyproject.toml $(VENV)/.created
	@echo "Installing the package and what the demo needs"
	@$(INSTALL) --editable ".[ase]"
	@touch $@

# After the package: it is built against the numpy that the package brought.
$(VENV)/.pypolymlp: tools/install_pypolymlp.sh | $(VENV)/.package
	@tools/check_compiler.sh
	@echo "Building pypolymlp (a minute or two)"
	@tools/install_pypolymlp.sh $(BIN)/python
	@touch $@

# In a folder of its own: the fair opponent is compiled for the machine it runs on.
$(VENV)/.native: tools/install_pypolymlp.sh | $(VENV)/.package
	@tools/check_compiler.sh
	@echo "Building pypolymlp for this machine (a minute or two)"
	@CXXFLAGS="-O3 -march=native" tools/install_pypolymlp.sh $(BIN)/python $(VENV)/native
	@touch $@

$(VENV)/.test: $(VENV)/.package $(VENV)/.pypolymlp
	@echo "Installing what the tests need"
	@$(INSTALL) --editable ".[test,docs,ase,hiphive]"
	@touch $@

clean:
	rm -rf $(VENV) $(EXAMPLE)/run docs/_build build dist
	rm -rf .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .grimp_cache
