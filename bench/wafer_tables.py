"""The tables of docs/wafer.md that the model computes: mixtures of experts, and what services publish.

    PYTHONPATH=. python bench/wafer_tables.py

A test holds the page to what this prints.
"""

from __future__ import annotations

from collections.abc import Iterator

from pages.state.wafer_experts import PlacedExperts, compare_placements
from pages.state.wafer_services import compared
from pages.state.wafer_setting import Setting
from wse_backend.wafer.shapes import PRESETS
from wse_backend.wafer.spec import WSE3
from wse_backend.wafer.timing.interval import Interval

PROMPT_TOKENS = 4096


def expert_lines() -> Iterator[str]:
    """Every preset with experts on a WSE-3, in both placements."""
    yield "| model | wafers, spread | decode | prefill | wafers, blocks | decode | prefill |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for name, shape in PRESETS.items():
        if shape.n_experts:
            found = compare_placements(Setting(shape, WSE3, prompt_tokens=PROMPT_TOKENS))
            yield f"| {name} | {_placed(found['spread'])} | {_placed(found['blocks'])} |"


def service_lines() -> Iterator[str]:
    """Every published speed of a wafer service whose model has a shape here."""
    yield "| model | when | published | modelled | with drafts | reading |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for row in compared():
        if row.plain and row.drafted:
            speed = f"{row.speed.model} | {row.speed.when} | {row.speed.tokens_per_s:,.0f}"
            yield f"| {speed} | {_said(row.plain)} | {_said(row.drafted)} | {row.reading} |"


def _placed(found: PlacedExperts) -> str:
    read = found.intervals.prefill_s.rate.scaled(PROMPT_TOKENS)
    return f"{found.wafers} | {_said(found.intervals.token_s.rate)} | {_said(read)}"


def _said(found: Interval) -> str:
    return f"{found.value:,.0f} ({found.low:,.0f} to {found.high:,.0f})"


def main() -> None:
    for lines in (expert_lines(), service_lines()):
        print("\n".join(lines), end="\n\n")


if __name__ == "__main__":
    main()
