PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test lint bench clean

run: .venv/run
	$(BIN)/streamlit run streamlit_app.py

test: .venv/dev lint
	$(BIN)/python -m pytest

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/bench
	@for script in bench/*.py; do echo "== $$script"; PYTHONPATH=. $(BIN)/python $$script || exit 1; done

# One virtual environment; a stamp per requirements file says what was installed into it.
.venv/run: requirements.txt | .venv
	$(BIN)/python -m pip install --quiet -r $<
	@touch $@

.venv/dev: requirements-dev.txt requirements.txt | .venv
	$(BIN)/python -m pip install --quiet -r $<
	@touch $@

.venv/bench: requirements-bench.txt requirements.txt | .venv
	$(BIN)/python -m pip install --quiet -r $<
	@touch $@

.venv:
	$(PYTHON) -m venv .venv

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
