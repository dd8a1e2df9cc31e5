"""Charts as SVG text: no library, no script, the same picture in a report, a README and a mail."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

import numpy as np
import numpy.typing as npt

from moa_core.experiments.statistics import median, median_interval

WIDTH = 760
LABEL_WIDTH = 215
ROW_HEIGHT = 54
DOT_RADIUS = 5
LANES = 5  # dots of nearly the same score are moved apart over so many lines
INK, PALE, ACCENT, SOFT = "#1f2933", "#cbd2d9", "#d9480f", "#fbd0b5"
FONT = "font-family='system-ui,sans-serif' font-size='13'"


class Scores(Protocol):
    """What a line of dots is drawn from: a `Spread`, or `Line`."""

    @property
    def label(self) -> str: ...

    @property
    def values(self) -> tuple[float, ...]: ...

    @property
    def maximum(self) -> float: ...

    @property
    def n_failed(self) -> int: ...

    @property
    def median(self) -> float | None: ...

    @property
    def interval(self) -> tuple[float, float] | None: ...


@dataclass(frozen=True, slots=True)
class Line:
    """Scores of which nothing else is kept."""

    label: str
    values: tuple[float, ...]
    maximum: float
    n_failed: int = 0

    @property
    def median(self) -> float | None:
        """The middle score."""
        return median(self.values) if self.values else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where it lies with 95 %."""
        return median_interval(self.values)


def dots(spreads: Sequence[Scores], title: str = "") -> str:
    """One line per spread: every try a dot, the median a stroke, its 95 % interval a band."""
    top = 34 if title else 12
    height = top + ROW_HEIGHT * len(spreads) + 40
    maximum = max((each.maximum for each in spreads), default=0.0) or 1.0
    scale = _Scale(0.0, maximum)
    parts = [_axis(scale, top, height - 34), _text(WIDTH / 2, 18, title, "middle", bold=True)]
    for number, each in enumerate(spreads):
        middle = top + ROW_HEIGHT * number + ROW_HEIGHT / 2
        parts.append(_text(LABEL_WIDTH - 14, middle, _short(each.label, 26), "end", bold=True))
        failed = f", {each.n_failed} failed" if each.n_failed else ""
        below = "no score" if each.median is None else f"median {each.median:.4g}"
        count = f"{len(each.values)} {'try' if len(each.values) == 1 else 'tries'}"
        parts.append(_text(LABEL_WIDTH - 14, middle + 15, f"{below}, {count}{failed}", "end", size=11))
        if each.interval is not None:
            low, high = (scale(value) for value in each.interval)
            parts.append(_box(low, middle - 17, max(2.0, high - low), 34, SOFT))
        if each.median is not None:
            parts.append(_line(scale(each.median), middle - 19, scale(each.median), middle + 19, ACCENT, 3))
        parts += [
            f"<circle cx='{scale(value):.1f}' cy='{middle + offset:.1f}' r='{DOT_RADIUS}' fill='{INK}' "
            f"fill-opacity='0.65'><title>{value:g}</title></circle>"
            for value, offset in zip(each.values, _offsets(each.values, maximum), strict=True)
        ]
    return _svg(height, parts, title or "Scores of every try")


@dataclass(frozen=True, slots=True)
class Gain:
    """Points that a part gives, the 95 % interval, and whether they can be told from nothing."""

    label: str
    mean: float
    interval: tuple[float, float] | None
    is_told: bool


def bars(gains: Sequence[Gain], title: str = "") -> str:
    """One bar per gain from zero, its interval as a thin line."""
    top = 34 if title else 12
    height = top + 34 * len(gains) + 40
    ends = [0.0]
    for each in gains:
        ends += [each.mean, *(each.interval or ())]
    scale = _Scale(min(ends), max(max(ends), min(ends) + 1))
    parts = [_axis(scale, top, height - 34), _text(WIDTH / 2, 18, title, "middle", bold=True)]
    for number, each in enumerate(gains):
        middle = top + 34 * number + 17
        parts.append(_text(LABEL_WIDTH - 14, middle + 4, _short(each.label, 28), "end"))
        low, high = sorted((scale(0.0), scale(each.mean)))
        colour = ACCENT if each.is_told else PALE
        parts.append(_box(low, middle - 9, max(1.0, high - low), 18, colour, f"{each.mean:+.3g} points"))
        if each.interval is not None:
            parts.append(_line(scale(each.interval[0]), middle, scale(each.interval[1]), middle, INK, 1.5))
    return _svg(height, parts, title or "What each part gives")


def heat(names: Sequence[str], matrix: npt.NDArray[np.float64], title: str = "") -> str:
    """A square per pair, darker the more alike; the share is written in it."""
    top, cell = 34 if title else 12, 46
    height = top + cell * len(names) + 30
    parts = [_text(WIDTH / 2, 18, title, "middle", bold=True)]
    for i, name in enumerate(names):
        parts.append(_text(LABEL_WIDTH - 14, top + cell * i + 28, _short(name, 26), "end"))
        parts.append(_text(LABEL_WIDTH + cell * (i + 0.5), height - 10, str(i + 1), "middle"))
        for j in range(len(names)):
            value = float(matrix[i, j])
            x, y = LABEL_WIDTH + cell * j, top + cell * i
            shown = "–" if math.isnan(value) else f"{value:.0%}"
            share = 0.0 if math.isnan(value) else value
            pair = f"{name} and {names[j]}: {shown}"
            parts.append(_box(x, y, cell - 2, cell - 2, ACCENT, pair, opacity=0.08 + 0.8 * share))
            parts.append(_text(x + cell / 2 - 1, y + 27, shown, "middle", size=11))
    return _svg(height, parts, title or "How alike the answers are")


def front(points: Sequence[tuple[float, float, str, bool]], cost: str, title: str = "") -> str:
    """Score over cost; points: (cost, score, label, is on the Pareto front); a line joins the front."""
    top, height = 34 if title else 12, 340
    across = _Scale(0.0, max((x for x, *_ in points), default=1.0) or 1.0)
    best = max((y for _, y, *_ in points), default=1.0) or 1.0

    def up(value: float) -> float:
        return height - 46 - (height - 46 - top) * value / best

    parts = [_axis(across, top, height - 40), _text(WIDTH / 2, 18, title, "middle", bold=True)]
    parts.append(_text(WIDTH / 2, height - 4, cost, "middle", size=11))
    parts.append(_text(LABEL_WIDTH - 14, up(best) + 4, f"{best:g} points", "end", size=11))
    chosen = sorted((x, y) for x, y, _, is_front in points if is_front)
    path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in chosen)
    parts.append(f"<polyline points='{path}' fill='none' stroke='{ACCENT}' stroke-width='2'/>")
    parts += [
        f"<circle cx='{across(x):.1f}' cy='{up(y):.1f}' r='{DOT_RADIUS}' "
        f"fill='{ACCENT if is_front else PALE}'><title>{escape(label)}: {y:g} for {x:,.0f}</title></circle>"
        for x, y, label, is_front in points
    ]
    return _svg(height, parts, title or "Score and cost")


class _Scale:
    """From values to x."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low or 1.0)
        return LABEL_WIDTH + share * (WIDTH - LABEL_WIDTH - 24)

    def ticks(self) -> list[float]:
        """About six round values."""
        rough = (self.high - self.low) / 6 or 1.0
        step = next(s for s in (10 ** math.floor(math.log10(rough)) * k for k in (1, 2, 5, 10)) if s >= rough)
        first = math.ceil(self.low / step)
        return [step * k for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _offsets(values: Sequence[float], maximum: float) -> list[float]:
    """Vertical places that keep dots of nearly the same score apart; the same for the same values."""
    width = 2.2 * DOT_RADIUS * maximum / (WIDTH - LABEL_WIDTH)
    lanes = [-math.inf] * LANES
    found = [0.0] * len(values)
    for index in sorted(range(len(values)), key=lambda i: values[i]):
        order = sorted(range(LANES), key=lambda lane: abs(lane - LANES // 2))
        lane = next((each for each in order if values[index] - lanes[each] >= width), LANES // 2)
        lanes[lane] = values[index]
        found[index] = (lane - LANES // 2) * 7.0
    return found


def _axis(scale: _Scale, top: float, bottom: float) -> str:
    lines = [
        _line(scale(tick), top, scale(tick), bottom, PALE, 1)
        + _text(scale(tick), bottom + 18, f"{tick:,.6g}", "middle", size=11)
        for tick in scale.ticks()
    ]
    return "".join(lines)


def _svg(height: float, parts: Sequence[str], label: str) -> str:
    body = "".join(parts)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height:g}' width='{WIDTH}' "
        f"role='img' aria-label='{escape(label, quote=True)}'>"
        f"<rect width='100%' height='100%' fill='#ffffff'/>{body}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str, size: int = 13, bold: bool = False) -> str:
    weight = " font-weight='600'" if bold else ""
    font = FONT.replace("13", str(size))
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='{INK}' {font}{weight}>"
        f"{escape(text)}</text>"
        if text
        else ""
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:
    return (
        f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' "
        f"stroke-width='{width}'/>"
    )


def _box(
    x: float, y: float, width: float, height: float, colour: str, title: str = "", opacity: float = 1.0
) -> str:
    said = f"<title>{escape(title)}</title>" if title else ""
    return (
        f"<rect x='{x:.1f}' y='{y:.1f}' width='{width:.1f}' height='{height:.1f}' fill='{colour}' "
        f"fill-opacity='{opacity:.2f}'>{said}</rect>"
    )


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
