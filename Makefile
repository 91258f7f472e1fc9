# make demo: everything from a fresh clone to the test accuracy; make best: the same for the most accurate recipe;
# make test: the test-suite; make test EXTRAS=complete: with the tests that need NEST, Brian2 or torch; make check: those
# tests that take no board and less than 2 minutes; make browser: pages of runs and the site in a real browser, which is
# fetched if there is none; make package: build, install elsewhere, run the demo of what was built; make site: the
# documentation, build/site/index.html, in an environment of its own.
PYTHON ?= python3
VENV := .venv
RUN_DIR := runs/demo
EXTRAS ?= test
# Named after the interpreter, so that another PYTHON gets a new environment instead of the old one.
INSTALLED := $(VENV)/.installed-$(EXTRAS)-$(shell $(PYTHON) -c 'import sys; print(sys.implementation.cache_tag)')

# pip would compile its 16,000 files on one core; of those that no Python can read it says nothing either.
$(INSTALLED): setup.py distribution.py spikingconvnet/__init__.py $(wildcard spikingconvnet/*/*.[ch] spikingconvnet/*/*/*.[ch])
	$(PYTHON) -m venv $(if $(wildcard $@),,--clear) $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -e ".[$(EXTRAS)]"
	$(VENV)/bin/python -m compileall -qq -j 0 $(VENV)/lib || true
	touch $@

# What a change of most files breaks first; no simulator, no emulated board.
QUICK := $(addprefix tests/,test_architecture.py test_docs.py test_docstrings.py test_face.py test_packaging.py \
	test_records.py test_errors.py test_makefile.py cli/test_arguments.py cli/test_pasting.py \
	cli/test_messages.py gates network model/test_sequential.py model/test_shorthand.py store/test_directory.py)

.PHONY: demo best test check browser package lint site pages clean
demo: $(INSTALLED)
	$(VENV)/bin/python main.py --mode demo --run-dir $(RUN_DIR)

best: $(INSTALLED)
	$(VENV)/bin/python main.py --mode demo --parameters examples/best.py --run-dir runs/best

# One process more than cores: those that wait for a board leave theirs to others.
test: export PYTEST_XDIST_AUTO_NUM_WORKERS = $(shell $(PYTHON) -c "import os; print(os.cpu_count() + 1)")
test: $(INSTALLED)
	$(VENV)/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: $(INSTALLED)
	$(VENV)/bin/python -m pytest -n auto --dist loadfile $(QUICK)

browser: $(INSTALLED)
	$(VENV)/bin/python -m pytest -n 0 -m browser tests/browser

package: $(INSTALLED)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check build
	$(VENV)/bin/python .ci/package.py

lint: $(INSTALLED)
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m mypy spikingconvnet parameters.py examples

site:
	$(MAKE) pages VENV=build/site-environment EXTRAS=docs

# What the site has no word for is a warning, and a warning is an error. Nothing is fetched.
pages: $(INSTALLED)
	$(VENV)/bin/python -m sphinx -W --keep-going -n -q -d build/doctrees docs build/site

clean:
	rm -rf $(VENV) runs build *.egg-info
