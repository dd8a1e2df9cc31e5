"""The public surface: what is exported is there, and importing costs nothing."""

import subprocess
import sys
from importlib import import_module

import pytest


@pytest.mark.parametrize("name", ["moa_core", "moa_core.providers", "moa_core.strategies"])
def test_exports_are_sorted_and_there(name):
    module = import_module(name)

    assert all(hasattr(module, exported) for exported in module.__all__)
    assert module.__all__ == sorted(
        module.__all__, key=lambda text: (not text.isupper(), not text[0].isupper(), text)
    )


def test_importing_loads_no_engine_no_tables_and_no_page():
    heavy = "numba", "pandas", "streamlit", "tokenizers", "jsonschema"
    code = f"import sys, moa_core, moa_core.providers; print([m for m in {heavy!r} if m in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.strip() == "[]"
