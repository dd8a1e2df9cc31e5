"""Experiments for others: every trial as CSV, and the whole as one HTML page with its charts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from moa_core.experiments import drawing
from moa_core.experiments.spread import Spread, gathered
from moa_core.experiments.statistics import SURE_ENOUGH
from moa_core.experiments.trial import Trial

COLUMNS = (
    "label",
    "seed",
    "score",
    "maximum",
    "problem",
    "prompt_tokens",
    "completion_tokens",
    "calls",
    "reused",
    "seconds",
    "dollars",
    "version",
    "models",
    "reply",
    "config",
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2933}"
    "table{border-collapse:collapse}td,th{padding:.25rem .7rem;border-bottom:1px solid #cbd2d9;"
    "text-align:right}td:first-child,th:first-child{text-align:left}pre{background:#f5f7fa;padding:.7rem;"
    "overflow:auto;white-space:pre-wrap}summary{cursor:pointer}svg{max-width:100%;height:auto}"
)


def to_csv(trials: Sequence[Trial]) -> str:
    """One row per trial. Text that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for trial in trials:
        row = (
            trial.label,
            trial.seed,
            None if trial.score is None else trial.score.value,
            None if trial.score is None else trial.score.maximum,
            trial.problem,
            trial.prompt_tokens,
            trial.completion_tokens,
            trial.n_calls,
            trial.n_reused,
            round(trial.seconds, 2),
            trial.dollars,
            trial.version,
            ", ".join(dict.fromkeys(call.model for call in trial.trace.calls)),
            trial.reply,
            json.dumps(trial.config.to_dict(), ensure_ascii=False),
        )
        writer.writerow([_harmless(value) for value in row])
    return out.getvalue()


def to_html(title: str, trials: Sequence[Trial], found: Mapping[str, Any], mark: float | None = None) -> str:
    """One self-contained page: what was found, in words, pictures and numbers, and every trial to unfold.

    found: the result's `to_dict()`; an experiment that is still running, or was stopped, has none: {}.
    """
    spreads = spreads_of(trials, [each["label"] for each in found.get("spreads", ())])
    parts = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(line)}</p>" for line in words_of(found))]
    parts.append(drawing.dots(spreads, "Every try a dot, the median a stroke, its 95 % interval a band"))
    if gains := gains_of(found):
        parts.append(drawing.bars(gains, "Points that each part gives"))
    if "likeness" in found:
        matrix = np.array(found["likeness"]["matrix"], np.float64)
        parts.append(drawing.heat(found["likeness"]["names"], matrix, "How alike the answers' code is"))
    if points := points_of(found):
        parts.append(drawing.front(points, "tokens written in a try", "Score and cost of what was tried"))
    parts.append(_table(spreads, mark))
    parts.append("<h2>Every trial</h2>")
    parts += [_trial(trial) for each in spreads for trial in each.trials]
    body = "\n".join(parts)
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def spreads_of(trials: Sequence[Trial], order: Sequence[str] = ()) -> list[Spread]:
    """The spread of every label: those in `order` first, but a confirmation before all."""
    labels = list(dict.fromkeys(trial.label for trial in trials))
    known = [label for label in order if label in labels]
    labels = [*known, *(label for label in labels if label not in known)]
    labels.sort(key=lambda label: not label.startswith("confirmed"))  # stable
    return [gathered(label, trials) for label in labels]


def words_of(found: Mapping[str, Any]) -> list[str]:
    """What a result says in sentences."""
    if "words" in found:
        return str(found["words"]).splitlines()
    said = [*found.get("differences", ()), *found.get("parts", ())]
    return [str(each["words"]) for each in said]


def gains_of(found: Mapping[str, Any]) -> list[drawing.Gain]:
    """What each part gives, of an ablation's result."""
    return [
        drawing.Gain(
            each["name"],
            each["gain"],
            None if each["interval"] is None else tuple(each["interval"]),
            each["sure"] >= SURE_ENOUGH and each["gain"] != 0,
        )
        for each in found.get("parts", ())
    ]


def points_of(found: Mapping[str, Any]) -> list[tuple[float, float, str, bool]]:
    """(tokens, score, label, is on the Pareto front) of what a search tried."""
    return [
        (each["tokens"], each["score"], each["label"], each["front"])
        for each in found.get("candidates", ())
        if each["score"] is not None
    ]


def _table(spreads: Sequence[Spread], mark: float | None) -> str:
    above = "" if mark is None else f"<th>at least {mark:g}</th>"
    rows = [
        f"<tr><th>setup</th><th>tries</th><th>median</th><th>95 % interval</th>{above}"
        "<th>tokens written</th><th>seconds</th><th>dollars</th><th>failed</th></tr>"
    ]
    for each in spreads:
        interval = "–" if each.interval is None else f"{each.interval[0]:.4g} to {each.interval[1]:.4g}"
        share = "" if mark is None else f"<td>{_number(each.share_above(mark), '.0%')}</td>"
        rows.append(
            f"<tr><td>{escape(each.label)}</td><td>{len(each.values)}</td>"
            f"<td>{_number(each.median, '.4g')} of {each.maximum:g}</td><td>{interval}</td>{share}"
            f"<td>{_number(each.completion_tokens, ',.0f')}</td><td>{_number(each.seconds, '.1f')}</td>"
            f"<td>{_number(each.dollars, '.4f')}</td><td>{each.n_failed}</td></tr>"
        )
    return f"<table>{''.join(rows)}</table>"


def _trial(trial: Trial) -> str:
    score = trial.problem or f"{trial.value:g} points"
    config = json.dumps(trial.config.to_dict(), indent=2, ensure_ascii=False)
    return (
        f"<details><summary>{escape(trial.label)}, seed {trial.seed}: {escape(score)}</summary>"
        f"<pre>{escape(trial.reply)}</pre><details><summary>its configuration</summary>"
        f"<pre>{escape(config)}</pre></details></details>"
    )


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
