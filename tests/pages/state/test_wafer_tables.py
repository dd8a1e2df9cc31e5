"""docs/wafer.md: its computed tables are what the model computes today."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.wafer_tables import expert_lines, service_lines

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "wafer.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("lines", [expert_lines, service_lines], ids=["experts", "services"])
def test_computed_table_of_the_page_is_todays(lines: Callable[[], Iterator[str]]) -> None:
    assert "\n".join(lines()) in PAGE
