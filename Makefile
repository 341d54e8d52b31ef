# make demo      install into .venv, then run the example on real data
# make test      install the requirements of the tests, then run all checks but the slow tests
# make test-all  the same with the slow tests
# make coverage  run the tests and show which lines of the package they do not reach
# make calibration  measure the error bars of kappa on many crystals (hours; resumable)
# make tables    measure the tables of docs/tables, those rows that can be measured here
# make examples  run the examples of the documentation whose packages are installed
# make bench     compare with pypolymlp, compiled for this machine, and with phono3py
# make dist      build wheel and sdist, and use them in empty environments
# make links     follow all links of the documentation to other sites (needs the network)
# make hosts     run the tests of the commands with the oldest and the newest phono3py
# GNU make and Python are required. Tests and benchmarks also require a C++ compiler, because
# they compare with pypolymlp. Nothing outside .venv is changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Modules are compiled when they are first imported; most of them never are.
INSTALL := $(BIN)/python -m pip install --quiet --no-compile
EXAMPLE := example/NaCl-pypolymlp
# Number of processes in which tests run. The tests of a module run in one process, because
# they share fixtures. They are not reordered, so that the longest modules do not come last.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-all check ruff mypy imports docs links coverage tables examples bench calibration host-tests hosts dist clean

help:
	@echo "make demo        install into $(VENV), then compute the thermal conductivity of NaCl"
	@echo "make test        install the requirements of the tests, then run all checks but the slow tests"
	@echo "make test-all    the same with the slow tests"
	@echo "make coverage    run the tests and show which lines they do not reach"
	@echo "make tables      measure the tables in the documentation"
	@echo "make examples    run the examples in the documentation"
	@echo "make bench       compare with pypolymlp, compiled for this machine, and with phono3py"
	@echo "make calibration  measure the error bars of kappa on many crystals (hours; resumable)"
	@echo "make dist        build wheel and sdist, and use them in empty environments"
	@echo "make links       follow all links of the documentation to other sites"
	@echo "make hosts       run the tests of the commands with the oldest and newest phono3py"
	@echo "make host-tests  run the tests of phono3py without and with this package"
	@echo "make clean       remove $(VENV) and all generated files"

demo: $(VENV)/.package
	@$(BIN)/python $(EXAMPLE)/run.py --demo

# The tests run last, so that their summary is the last line of the output.
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

links: $(VENV)/.test
	$(BIN)/sphinx-build -q -b linkcheck docs docs/_build/links

coverage: $(VENV)/.test
	$(PYTEST) --cov --cov-report=term-missing:skip-covered

# Rows whose packages are not installed are kept; another interpreter measures them:
# PATH=/other/bin:$$PATH python -m pytest tests/measured --write-tables
tables: $(VENV)/.test
	$(BIN)/python -m pytest tests/measured --ignore tests/measured/test_examples.py --write-tables

examples: $(VENV)/.test
	$(BIN)/python docs/examples/build.py

bench: $(VENV)/.native
	@$(BIN)/python benchmarks/engine.py
	@$(BIN)/python benchmarks/scattering.py
	@$(BIN)/python benchmarks/derivatives.py
	@$(BIN)/python benchmarks/history.py

# Finished crystals are kept in benchmarks/results and not computed again.
calibration: $(VENV)/.test
	@nice -n 15 $(BIN)/python benchmarks/calibration.py $(CALIBRATION)

host-tests: $(VENV)/.test
	@$(BIN)/python tests/host/compare.py

# Files of tests: make hosts HOST_TESTS=tests/host_bridge. One host: HOSTS=oldest.
hosts:
	@tools/check_python.sh "$(PYTHON)"
	@tools/test_hosts.sh "$(PYTHON)" $(WORKERS) $(HOST_TESTS)

dist: $(VENV)/.created
	@$(INSTALL) build
	$(BIN)/python tools/check_dist.py

# Stamp files: each step is run once, and again if its prerequisites change.
$(VENV)/.created:
	@tools/check_python.sh "$(PYTHON)"
	@echo "Creating $(VENV)"
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@

$(VENV)/.package: pyproject.toml $(VENV)/.created
	@echo "Installing the package and the requirements of the demo"
	@$(INSTALL) --editable ".[ase]"
	@touch $@

# After the package, because pypolymlp must be built against the same version of numpy.
$(VENV)/.pypolymlp: tools/install_pypolymlp.sh | $(VENV)/.package
	@tools/check_compiler.sh
	@echo "Building pypolymlp (a minute or two)"
	@tools/install_pypolymlp.sh $(BIN)/python
	@touch $@

# In a separate folder: for a fair comparison, pypolymlp is compiled for this machine.
$(VENV)/.native: tools/install_pypolymlp.sh | $(VENV)/.package
	@tools/check_compiler.sh
	@echo "Building pypolymlp for this machine (a minute or two)"
	@CXXFLAGS="-O3 -march=native" tools/install_pypolymlp.sh $(BIN)/python $(VENV)/native
	@touch $@

$(VENV)/.test: $(VENV)/.package $(VENV)/.pypolymlp
	@echo "Installing the requirements of the tests"
	@$(INSTALL) --editable ".[test,docs,ase,hiphive]"
	@touch $@

clean:
	rm -rf $(VENV) .venv-hosts $(EXAMPLE)/run docs/_build build dist
	rm -rf .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .grimp_cache
