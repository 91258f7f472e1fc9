# make demo: everything from a fresh clone to the test accuracy; make test: the test-suite.
PYTHON ?= python3
VENV := .venv
RUN_DIR := runs/demo

$(VENV)/.installed: setup.py spikingconvnet/__init__.py $(wildcard spikingconvnet/backends/local/*.[ch])
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	touch $@

.PHONY: demo test lint clean
demo: $(VENV)/.installed
	$(VENV)/bin/python main.py --mode demo --run-dir $(RUN_DIR)

test: $(VENV)/.installed
	$(VENV)/bin/python -m pytest

lint: $(VENV)/.installed
	$(VENV)/bin/python -m ruff check .

clean:
	rm -rf $(VENV) runs build *.egg-info
