"""Setups worth starting from, made and measured with the Lab: one JSON file each, and what each reached.

Every setup is shipped for each coder in `MODELS`. `figures.json` holds the scores by setup and model;
a setup without figures was not measured here, and says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from moa_core.config.values import MoAConfig
from moa_core.experiments.statistics import median, median_interval

FOLDER = Path(__file__).parent
FIGURES = FOLDER / "figures.json"
WRITTEN_FOR = "qwen2.5-coder-1.5b"
SETUPS = (
    "single",
    "exact-rules",
    "specialists",
    "two-layers",
    "best-of-n",
    "propose-critique-refine",
    "propose-test-repair",
)
LOCAL_MODELS = ("qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b")
CLOUD_MODELS = ("gpt-oss-120b", "qwen-3.8-27b")  # Cerebras' shared inference models, October 2026
CLOUD_MAX_TOKENS = 8000  # of a call; these models think before they answer
MODELS = (*LOCAL_MODELS, *CLOUD_MODELS)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a setup reached on `task`. scores: one per fresh seed; tokens: written per try, the median."""

    task: str
    scores: tuple[float, ...]
    seeds: tuple[int, ...]
    maximum: float
    tokens: float
    max_tokens: float
    version: str

    @property
    def median(self) -> float:
        """The middle score."""
        return median(self.scores)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the median lies with 95 %."""
        return median_interval(self.scores)

    @property
    def words(self) -> str:
        """The figures in a line, with the number of tries they stand on."""
        tries = f"{len(self.scores)} {'try' if len(self.scores) == 1 else 'tries'}"
        return f"median {self.median:.3g} of {self.maximum:g} over {tries}, {self.tokens:,.0f} tokens a try"


@dataclass(frozen=True, slots=True)
class Preset:
    """A setup for one model. figures: None when it was not measured here."""

    setup: str
    model: str
    config: MoAConfig
    figures: Figures | None

    @property
    def words(self) -> str:
        """What is known about it."""
        return "not measured here" if self.figures is None else self.figures.words


@cache
def presets() -> tuple[Preset, ...]:
    """Every setup for every model, in the order of `SETUPS`, the models of this process first."""
    figures = read_figures()
    return tuple(
        Preset(setup, model, _config(setup, model), figures.get((setup, model)))
        for model in MODELS
        for setup in SETUPS
    )


def find_preset(setup: str, model: str) -> Preset:
    """The preset by its setup and model; KeyError when there is none."""
    return {(preset.setup, preset.model): preset for preset in presets()}[setup, model]


def read_figures(path: Path = FIGURES) -> dict[tuple[str, str], Figures]:
    """What was measured, by setup and model; nothing when the file is not there."""
    if not path.exists():
        return {}
    rows: list[Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return {
        (row["setup"], row["model"]): Figures(
            task=row["task"],
            scores=tuple(row["scores"]),
            seeds=tuple(row["seeds"]),
            maximum=row["maximum"],
            tokens=row["tokens"],
            max_tokens=row["max_tokens"],
            version=row["version"],
        )
        for row in rows
    }


def _config(setup: str, model: str) -> MoAConfig:
    config = MoAConfig.from_json((FOLDER / f"{setup}.json").read_bytes())
    if model in CLOUD_MODELS:
        data = config.to_dict()
        agents = [agent for layer in data["layers"] for agent in layer["agents"]]
        for agent in (*agents, *data["roles"].values(), data["summarizer"]):
            agent["max_tokens"] = CLOUD_MAX_TOKENS
        config = MoAConfig.from_json(data)
    return replace(config.with_models({WRITTEN_FOR: model}), notes=())
