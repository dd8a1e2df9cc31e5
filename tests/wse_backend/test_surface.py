"""The public surface: what is exported is there, and nothing is loaded before it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import wse_backend

ROOT = Path(__file__).parents[2]
HEAVY = ("numba", "llvmlite", "tokenizers", "jinja2", "wse_backend.engine.engine")


def loaded_after(statement: str) -> set[str]:
    """Which of HEAVY a fresh Python has loaded after `statement`."""
    code = f"{statement}\nimport sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_every_exported_name_is_there_and_listed() -> None:
    for name in wse_backend.__all__:
        assert getattr(wse_backend, name) is getattr(wse_backend, name)
    assert set(wse_backend.__all__) <= set(dir(wse_backend))
    assert len(wse_backend.__all__) == len(set(wse_backend.__all__))


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'wse_backend' has no attribute 'Engin'"):
        getattr(wse_backend, "Engin")  # noqa: B009


@pytest.mark.parametrize(
    "statement",
    [
        "import wse_backend",
        "import wse_backend.wafer.timing, wse_backend.wafer.shapes, wse_backend.wafer.economics",
        "from wse_backend import models, OP_GROUPS, Completion, WseError; models.available()",
        "import moa_core.config",
    ],
)
def test_arithmetic_of_the_wafer_and_lists_of_models_load_no_compiler(statement: str) -> None:
    assert loaded_after(statement) == set()


def test_the_engine_does_load_it() -> None:
    assert "numba" in loaded_after("from wse_backend import Engine")
