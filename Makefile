# `make` alone lists the targets. The environment is the active virtual environment, else .venv in this folder.

PYTHON ?= python3
NET ?= lenet
ARGS ?=
VENV := $(or $(VIRTUAL_ENV),.venv)
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
VERSION := import sys; print("%d.%d" % sys.version_info[:2])
PYTEST := $(PY) -m pytest -n 2 --dist worksteal

.PHONY: help install install-dev run test test-thorough test-all test-reference notebooks lint format docs gpu horovod clean made-from
.DEFAULT_GOAL := help

help:  ## list the targets
	@echo "make run NET=googlenet ARGS='--epochs 1'    PYTHON=python3.12 chooses the Python that .venv is made from (remove .venv to change it)"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: made-from $(VENV)/.gluon-classics  ## install the package, editable, and what it needs
install-dev: made-from $(VENV)/.gluon-classics-dev  ## install what the tests and checks need, too

run: install  ## train one network: NET=lenet|alexnet|vgg|nin|googlenet|resnet
	$(PY) experiments/do_exp.py --net $(NET) $(ARGS)

test: install-dev  ## run the quick tests, two at a time (minutes), and name the ten slowest
	$(PYTEST) --durations=10 $(ARGS)

test-thorough: install-dev  ## run the sweeps of all networks, the servers, the notebooks, several processes
	$(PYTEST) -m "thorough and not slow" --durations=10 $(ARGS)

test-all: install-dev  ## run all tests, the slow ones too (hours)
	$(PYTEST) -m "" $(ARGS)

test-reference:  ## compare with PyTorch's implementations, installed into .venv-reference (3 GB)
	$(PYTHON) -m venv .venv-reference
	.venv-reference/bin/python -m pip --disable-pip-version-check install -r requirements-reference.txt
	.venv-reference/bin/python -m pytest -m reference $(ARGS)

notebooks: install-dev  ## run the notebooks, and store them with their outputs; COIL20=coil-20-proc.zip for the ninth
	cd notebooks && $(abspath $(PY)) -m jupyter execute --inplace $(or $(NOTEBOOKS),*.ipynb)

lint: install-dev  ## check the code, its format and its types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: install-dev  ## repair what lint can repair, and format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

docs: install $(VENV)/.gluon-classics-docs  ## build the documentation's site into build/site
	$(PY) -m mkdocs build --strict --site-dir build/site

gpu: install  ## add MXNet's GPU build, in a folder of its own (4 GB)
	folder=$$($(PY) -c "from gluon_classics.runtime import library; print(library.gpu_folder())") && \
	$(PIP) install --no-deps --upgrade --target "$$folder" -r requirements-gpu.txt
	$(PY) -c "from gluon_classics import runtime; print(runtime.gpu_reason() or 'MXNet computes on the GPU')"

horovod: install  ## add Horovod, built for MXNet on the CPU (some minutes; needs g++ and make)
	bash experiments/install_horovod.sh $(PY)

clean:  ## remove caches and build results; .venv and runs stay
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

$(PY):
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 9) and 'Python 3.9 or newer is needed: make run PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)

# A PYTHON that was asked for has no effect on an environment that exists.
made-from:
ifneq ($(origin PYTHON),file)
	@if [ -x $(PY) ]; then \
		has=$$($(PY) -c '$(VERSION)'); wanted=$$($(PYTHON) -c '$(VERSION)'); \
		[ "$$has" = "$$wanted" ] || echo "$(VENV) is there, with Python $$has, so PYTHON=$(PYTHON) has no effect." \
			"To change it, remove $(VENV) and run make again." >&2; \
	fi
endif

# requirements.txt constrains the versions. The second pip call is for Python 3.13, where MXNet must go in without its
# dependencies; elsewhere it has no effect.
$(VENV)/.gluon-classics: pyproject.toml requirements.txt | $(PY)
	$(PIP) install -c requirements.txt -e .
	$(PIP) install --only-binary :all: --no-deps mxnet==1.9.1
	touch $@

$(VENV)/.gluon-classics-dev: requirements-dev.txt $(VENV)/.gluon-classics
	$(PIP) install -r requirements-dev.txt
	touch $@

$(VENV)/.gluon-classics-docs: $(VENV)/.gluon-classics
	$(PIP) install -c requirements.txt -e ".[docs]"
	touch $@
