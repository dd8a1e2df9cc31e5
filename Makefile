PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run dev test lint bench clean

help:            ## Print these targets
	@sed -n 's/^\([a-z]*\):[^#]*## */\1\t/p' $(MAKEFILE_LIST) | expand -t 8

run: .venv/run   ## Start the app
	$(BIN)/streamlit run streamlit_app.py

dev: .venv/run   ## Start the app for who edits it: pages follow the source
	$(BIN)/streamlit run streamlit_app.py --server.fileWatcherType auto

test: .venv/dev lint   ## Lint, types and all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/e2e
	$(BIN)/python -m pytest tests/e2e

lint: .venv/dev   ## Lint, format and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/bench   ## Every benchmark, one table each
	@for script in bench/*.py; do echo "== $$script"; PYTHONPATH=. $(BIN)/python $$script || exit 1; done

# One virtual environment; a stamp per requirements file says what was installed into it.
.venv/run: requirements.txt | .venv
	$(BIN)/python -m pip install --quiet -r $<
	@touch $@

.venv/dev: requirements-dev.txt requirements-cluster.txt requirements.txt | .venv
	$(BIN)/python -m pip install --quiet -r $<
	@touch $@

.venv/bench: requirements-bench.txt requirements.txt | .venv
	$(BIN)/python -m pip install --quiet -r $<
	@touch $@

.venv:
	$(PYTHON) -m venv .venv

clean:   ## Remove the environment and the caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
