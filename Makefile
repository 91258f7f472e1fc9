# make demo: everything from a fresh clone to the test accuracy; make best: the same for the most accurate recipe;
# make test: the test-suite.
PYTHON ?= python3
VENV := .venv
RUN_DIR := runs/demo
# Named after the interpreter, so that another PYTHON gets a new environment instead of the old one.
INSTALLED := $(VENV)/.installed-$(shell $(PYTHON) -c 'import sys; print(sys.implementation.cache_tag)')

$(INSTALLED): setup.py spikingconvnet/__init__.py $(wildcard spikingconvnet/backends/local/*.[ch])
	$(PYTHON) -m venv $(if $(wildcard $@),,--clear) $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	touch $@

.PHONY: demo best test lint clean
demo: $(INSTALLED)
	$(VENV)/bin/python main.py --mode demo --run-dir $(RUN_DIR)

best: $(INSTALLED)
	$(VENV)/bin/python main.py --mode demo --parameters examples/best.py --run-dir runs/best

test: $(INSTALLED)
	$(VENV)/bin/python -m pytest -n auto --dist loadfile

lint: $(INSTALLED)
	$(VENV)/bin/python -m ruff check .

clean:
	rm -rf $(VENV) runs build *.egg-info
