# make demo: set up .venv and explain the images that ship with pysmdl.   make test: the same set-up, then every test.
# make quick: the tests that take a moment, for the inner loop.
PYTHON ?= python3
BIN := .venv/bin
SITE := import sysconfig; here = sysconfig.get_path('purelib')
SOURCES := pyproject.toml constraints.txt CMakeLists.txt $(shell find csrc -type f)

.PHONY: demo test quick compat oldest lint bench gpu clean

demo: .venv/ready
	$(BIN)/pysmdl demo --out demo

test: .venv/ready
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

quick: .venv/ready
	$(BIN)/pytest -n 2 -m 'not slow' --no-header

# The ways in for Captum, Quantus and shapiq against the packages themselves, in an environment on top of .venv.
compat: .venv/ready
	$(BIN)/python -m venv build/compat
	$(BIN)/python -c "$(SITE); print(f'import site; site.addsitedir({here!r})')" \
		> "$$(build/compat/bin/python -c "$(SITE); print(here)")/below.pth"
	build/compat/bin/python -m pip install --quiet --constraint constraints.txt captum quantus shapiq
	build/compat/bin/python -m pytest tests/test_compat.py

# The tests with the oldest packages that pyproject.toml admits, in an environment of their own: PYTHON=python3.10.
oldest:
	$(PYTHON) -m venv build/oldest
	build/oldest/bin/python -m pip install --quiet uv 'scikit-build-core>=0.11' 'pybind11>=3.0' cmake ninja
	build/oldest/bin/uv pip install --quiet --python build/oldest/bin/python --resolution lowest-direct --editable '.[test]'
	build/oldest/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps --upgrade --target build/typed .
	cd build/typed && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml -p pysmdl

bench: .venv/ready
	$(BIN)/pytest benchmarks --record --benchmark-columns=median,iqr,rounds
	$(BIN)/python benchmarks/tables.py

gpu:
	PYTHON=$(PYTHON) benchmarks/gpu.sh

# The stamp depends on what the installed extension is built from; Python files are used where they lie.
.venv/ready: $(SOURCES)
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 10), f"Python 3.10 or newer is needed, this is {sys.version}"'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build demo
