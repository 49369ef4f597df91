# Everything runs in .venv. It is created on first use, and again when the requirements change.
PYTHON ?= python3
BIN := .venv/bin
PEERS := keras-tensorflow keras-jax keras-torch openvino
RUN_INSTALL := .venv/.installed
DEV_INSTALL := .venv/.installed-dev

.PHONY: demo test docs sweep damage lint format mutate hostile scoring bench bench-peers bench-readme soak sanitize sanitize-memory sanitize-thread neon windows emulate wheels wheels-arm compat clean always

demo: $(RUN_INSTALL) ## Train an LSTM on embedded images of digits, read row by row
	$(BIN)/holdfast train digits

test: $(DEV_INSTALL) ## Run the tests
	$(BIN)/python -m pytest -n 2

SPHINX := $(BIN)/sphinx-build -q -W --keep-going -n -j 2 -c docs/site
docs: $(DEV_INSTALL) ## Build the documentation site in build/site, English and Chinese, and check it
	rm -rf build/site
	$(SPHINX) -d build/doctrees/en docs build/site
	$(SPHINX) -d build/doctrees/zh -D language=zh_CN docs/zh build/site/zh
	$(BIN)/python docs/site/check.py build/site

sweep: $(DEV_INSTALL) ## Compare the kernels with the reference on 300 random cells with extreme values
	HOLDFAST_SWEEP=300 $(BIN)/python -m pytest tests/engines/test_extremes.py

damage: $(DEV_INSTALL) ## Damage each of Holdfast's own files 1,000 times in each way
	HOLDFAST_DAMAGES=1000 $(BIN)/python -m pytest -n 2 tests/files/test_damage.py

lint: $(DEV_INSTALL) ## Check style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(DEV_INSTALL) ## Format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

mutate: $(DEV_INSTALL) ## Try every reader on 1,000 damaged files, ten times as many as in the tests
	$(BIN)/python -m tests.mutation 10

hostile: $(DEV_INSTALL) ## Send 2,000 mutated requests to a server, many times as many as in the tests
	HOLDFAST_HOSTILE=2000 $(BIN)/python -m pytest -s tests/serve/test_hostile.py

scoring: $(DEV_INSTALL) ## Score 10 million rows: speed, memory, killed and resumed, in shares
	$(BIN)/python -m benchmarks.scoring

bench: $(DEV_INSTALL) ## Measure Holdfast, torch.nn and onnxruntime; Keras and OpenVINO if bench-peers was run
	$(BIN)/python -m benchmarks --json build/benchmark.json $(BENCH)

soak: $(DEV_INSTALL) ## Run servers under load for 10 minutes, stop 100 under load, and do to streams all that can happen to them
	$(BIN)/python -m benchmarks.serving.state
	$(BIN)/python -m benchmarks.serving.soak --minutes 10 --signals 100 --replicas 20000

bench-peers: $(PEERS:%=.venv-%/.installed) ## Create an environment for OpenVINO and for each backend of Keras

bench-readme: ## Write the results of `make bench` into the READMEs
	cp build/benchmark.json benchmarks/results.json
	$(BIN)/python -m benchmarks.table benchmarks/results.json README.md README.zh-CN.md

sanitize: sanitize-memory sanitize-thread ## Run the kernels under the sanitizers of GCC

# First the kernels without Python, then their tests in Python. For Python, AddressSanitizer must be loaded first, leak
# detection is off (it finds Python's own leaks), and malloc may return null, which the kernels report themselves. Two
# kinds of tests do not run: those that measure memory, because the sanitizer holds some back, and those that start
# another process, because that process uses the installed kernels.
SANITIZED_TESTS := tests/engines/test_native*.py tests/engines/test_bfloat16*.py tests/layers/test_stream*.py tests/runtime
NOT_SANITIZED := leak or memory_does_not_grow or torch_is_never_loaded or loads_without_torch
sanitize-memory: PRELOAD = $(foreach name,libasan.so libstdc++.so.6,$(shell $(CXX) -print-file-name=$(name)))
sanitize-memory: sanitized-kernels-memory
	$(BIN)/cmake --build build/sanitize-memory --target _native
	HOLDFAST_TEST_KERNELS="$$(echo $(CURDIR)/build/sanitize-memory/_native*)" LD_PRELOAD="$(PRELOAD)" \
	    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
	    $(BIN)/python -m pytest $(SANITIZED_TESTS) -k 'not ($(NOT_SANITIZED))'

# Without Python: the sanitizer does not understand the locks of torch's threads and would report false races.
sanitize-thread: sanitized-kernels-thread

sanitized-kernels-memory: SANITIZERS := address,undefined
sanitized-kernels-thread: SANITIZERS := thread
sanitized-kernels-%: $(DEV_INSTALL)
	$(BIN)/cmake -S . -B build/sanitize-$* -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -DCMAKE_BUILD_TYPE=Debug \
	    -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python -DHOLDFAST_ISAS=native -DHOLDFAST_SANITIZE=$(SANITIZERS)
	$(BIN)/cmake --build build/sanitize-$* --target kernels_test
	build/sanitize-$*/kernels_test

# With Debian's packages g++-aarch64-linux-gnu and qemu-user. Speed under QEMU says nothing.
neon: $(DEV_INSTALL) ## Build the kernels for ARM's NEON with a cross compiler, and compare them with the scalar ones under QEMU
	$(BIN)/cmake -S . -B build/neon -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja \
	    -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
	    -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DHOLDFAST_ISAS=all
	$(BIN)/cmake --build build/neon --target kernels_test
	qemu-aarch64 -L /usr/aarch64-linux-gnu build/neon/kernels_test

# With Debian's package g++-mingw-w64-x86-64-posix. It shows that the kernels compile for Windows; they are not run there.
windows: $(DEV_INSTALL) ## Compile the kernels for Windows with a cross compiler
	$(BIN)/cmake -S . -B build/windows -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja \
	    -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python -DCMAKE_SYSTEM_NAME=Windows -DCMAKE_SYSTEM_PROCESSOR=AMD64 \
	    -DCMAKE_CXX_COMPILER=x86_64-w64-mingw32-g++-posix -DHOLDFAST_ISAS=all
	$(BIN)/cmake --build build/windows --target kernels_test

# AVX-512's kernels as pairs of AVX2 vectors: their layouts and tiles, without its instructions.
emulate: $(DEV_INSTALL) ## Compare the kernels of AVX-512 with the scalar ones, on a processor that has only AVX2
	$(BIN)/cmake -S . -B build/emulate -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja \
	    -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python -DHOLDFAST_ISAS=avx512,scalar -DHOLDFAST_EMULATE=ON
	$(BIN)/cmake --build build/emulate --target kernels_test
	build/emulate/kernels_test

# The release: dist/ gets the wheels and source distributions of holdfast-runtime and holdfast. WHEEL_PYTHONS makes the
# wheels of holdfast-runtime: Python 3.11, and any newer one for all Pythons from 3.12 on.
WHEEL_PYTHONS ?= python3.11 python3.12
wheels: $(DEV_INSTALL) ## Build and check the wheels and source distributions in dist/
	$(BIN)/python wheels/build.py dist $(WHEEL_PYTHONS)

wheels-arm: $(DEV_INSTALL) ## Build the wheels for ARM with a cross compiler, in dist/
	$(BIN)/python wheels/build.py --arm dist $(WHEEL_PYTHONS)

# Environments .venv-compat-oldest and -newest: the least versions of pyproject.toml, and the newest of all.
COMPAT ?= oldest newest
compat: $(DEV_INSTALL) ## Run the tests with the oldest and the newest versions of Python's libraries that are supported
	$(BIN)/python wheels/compat.py $(COMPAT)

clean: ## Remove the environment and all files of the tools
	rm -rf .venv $(PEERS:%=.venv-%) .venv-wheels .venv-compat-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), f"Holdfast needs Python 3.11 or newer, and this is {sys.version}"'
	$(PYTHON) -m venv .venv

NATIVE := CMakeLists.txt $(wildcard native/*)
MODULES := $(sort $(shell find src -name '*.py' -o -name '*.pyi'))

# An editable installation has a list of all modules, so a new or deleted module needs a new installation.
.venv/.modules: .venv/bin/python always
	@echo '$(MODULES)' | cmp -s - $@ || echo '$(MODULES)' > $@

# The tools of the build are in .venv. With isolation, pip would make a new environment for them in each installation,
# and scikit-build-core would then compile everything again.
PIP := -m pip install --quiet --disable-pip-version-check
PIP_INSTALL := $(PIP) -c constraints.txt
.venv/.build-tools: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python $(PIP_INSTALL) scikit-build-core nanobind cmake ninja
	touch $@

# make demo compiles the best kernels of this processor, in about 60 % of the time that all of them take with AVX-512.
# Tests and benchmarks need all, and where these are installed, make demo keeps them.
$(RUN_INSTALL): export HOLDFAST_ISAS ?= $(if $(wildcard $(DEV_INSTALL)),native,best)
$(RUN_INSTALL): .venv/.build-tools .venv/.modules $(NATIVE)
	$(BIN)/python $(PIP_INSTALL) --no-build-isolation -e .
	touch $@

$(DEV_INSTALL): export HOLDFAST_ISAS ?= native
$(DEV_INSTALL): .venv/.build-tools .venv/.modules $(NATIVE)
	$(BIN)/python $(PIP_INSTALL) --no-build-isolation -e '.[dev]'
	touch $@ $(RUN_INSTALL)

.venv-%/.installed: benchmarks/%.txt constraints.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python $(PIP) -r $<
	touch $@
