"""Fixtures that several packages share: the real weights, fetched once, and one real database server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.grader.competition.postgres import NoServer, Postgres, running
from wse_backend import models


@pytest.fixture(scope="session")
def smollm2_path() -> Path:
    """The verified file of SmolLM2-135M-Instruct (architecture llama, Q4_1)."""
    return models.ensure("smollm2-135m")


@pytest.fixture(scope="session")
def qwen_path() -> Path:
    """The verified file of Qwen2.5-Coder-0.5B-Instruct (architecture qwen2, Q4_K_M)."""
    return models.ensure("qwen2.5-coder-0.5b")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for the whole run."""
    try:
        with running() as server:
            yield server
    except NoServer as exc:
        pytest.skip(str(exc))
