# make demo: install and verify an example.  make test: install what tests need, and run them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEBIAN := bubblewrap g++ iverilog make

.PHONY: install demo test check format lab clean debian

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt hatch_build.py $(wildcard openforge/native/*.c)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "OpenForge needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[api,dash,dev,yices]'
	touch $@

demo: install
	$(BIN)/openforge run examples/ntt-butterfly

# What the tests use of Debian: installed where we may, named where we may not.
debian:
	@missing=$$(for p in $(DEBIAN); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; \
	else echo "The tests need Debian packages; please run: sudo apt-get install $$missing"; exit 1; fi

test: debian install
	$(BIN)/python -m pytest -n auto --dist loadgroup

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/nbstripout --verify $$(git ls-files '*.ipynb')

format: install
	$(BIN)/ruff format --quiet .
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lab: install
	$(BIN)/openforge lab

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
