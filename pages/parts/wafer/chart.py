"""A chart with its story: the figure, a caption, words for screen readers, and the kinds of its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.parts.charts import CHART_CONFIG
from wse_backend.wafer.shapes import ModelShape
from wse_backend.wafer.spec import WaferSpec
from wse_backend.wafer.timing.interval import Interval, extrapolations

FIGURE_LIMIT_BYTES = 300_000
"""No figure's JSON is larger than this; tests hold every chart to it."""

NEUTRAL = "rgba(127, 127, 127, 0.85)"  # lines that must show on light and on dark
GAP = "\u2003"  # between a mark and its words; an ordinary space would be dropped
BAND = "rgba(127, 127, 127, 0.25)"

# Streamlit's Plotly theme swaps these for the theme's own colours, light or dark: text, and categorical
# colours.
TEXT = "#000037"
BACKGROUND = "#000038"
KIND_COLORS = {"modelled": "#000002", "measured": "#000008", "published": "#000004"}
"""One colour for each kind of number, the same in every chart, near its badge's."""

MARKS = {
    "measured": ":green-badge[measured]",
    "modelled": ":blue-badge[modelled]",
    "published": ":violet-badge[published]",
}


@dataclass(frozen=True)
class Chart:
    """What a section draws. marks: kinds of its numbers, keys of MARKS."""

    title: str
    figure: go.Figure
    caption: str
    alt: str
    marks: tuple[str, ...] = ("modelled",)


def show_chart(chart: Chart, key: str) -> None:
    """Title with marks, figure, caption."""
    st.markdown(f"**{chart.title}** {' '.join(MARKS[mark] for mark in chart.marks)}")
    chart.figure.update_xaxes(tickfont_color=TEXT, title_font_color=TEXT)
    chart.figure.update_yaxes(tickfont_color=TEXT, title_font_color=TEXT)
    st.plotly_chart(chart.figure, config=CHART_CONFIG, key=key, alt=chart.alt)
    st.caption(chart.caption)


def log_axis(
    update: Callable[..., go.Figure],
    title: str,
    low: float,
    high: float,
    say: Callable[[float], str] = "{:,.10g}".format,
) -> None:
    """A logarithmic axis with round ticks in words; update: a figure's update_xaxes or update_yaxes."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) < 2.5 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
    update(
        title=title,
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickvals=ticks,
        ticktext=[say(tick) for tick in ticks],
    )


def mark_x(figure: go.Figure, x: float, text: str = "", *, is_log: bool = True, y: float = 1.0) -> None:
    """A dotted line at x with a word at its foot (y 0) or head (y 1)."""
    figure.add_vline(x=x, line={"dash": "dot", "width": 1.5, "color": NEUTRAL})
    if text:
        figure.add_annotation(
            x=math.log10(x) if is_log else x,  # annotations, unlike shapes, want the exponent
            y=y,
            yref="paper",
            text=text,
            font={"color": TEXT},
            showarrow=False,
            xanchor="left",
            yanchor="top" if y > 0.5 else "bottom",
            xshift=4,
        )


def mark_y(figure: go.Figure, y: float, text: str) -> None:
    """A dashed line at y of a logarithmic axis with a word at its right end."""
    figure.add_hline(y=y, line={"dash": "dash", "width": 1.5, "color": NEUTRAL})
    figure.add_annotation(
        x=1,
        xref="paper",
        y=math.log10(y),
        text=text,
        font={"color": TEXT},
        showarrow=False,
        xanchor="right",
        yanchor="bottom",
    )


def duration(value_s: float) -> str:
    """A duration of any size: "188 µs", "4.2 ms", "0.22 s", "12 s", "2 min 05 s"."""
    if value_s < 0.9995e-3:
        return f"{_short(value_s * 1e6)} µs"
    if value_s < 0.09995:
        return f"{_short(value_s * 1e3)} ms"
    if value_s < 59.5:
        return f"{_short(value_s)} s"
    return f"{round(value_s) // 60} min {round(value_s) % 60:02d} s"


DURATION_UNITS = (("µs", 1e6, 0.9995e-3), ("ms", 1e3, 0.09995))


def rate(tokens_per_s: float) -> str:
    """ "2,524 tokens/s", "78.9 tokens/s"."""
    return f"{_short(tokens_per_s)} tokens/s"


def rate_between(found: Interval) -> str:
    """ "2,524 tokens/s (2,450 to 2,600)": a modelled speed with what refits on fewer rows say."""
    return f"{rate(found.value)} ({_short(found.low)} to {_short(found.high)})"


def duration_between(found: Interval) -> str:
    """ "4.2 ms (4.1 to 4.4)": a modelled duration in one unit."""
    unit, factor = next(
        ((unit, factor) for unit, factor, below in DURATION_UNITS if found.value < below), ("s", 1.0)
    )
    value, low, high = (_short(part * factor) for part in (found.value, found.low, found.high))
    return f"{value} {unit} ({low} to {high})"


def times_between(found: Interval) -> str:
    """ "3.2 times (3.0 to 3.4)": how many times one modelled number is another."""
    digits = 0 if found.value >= 10 else 1
    return f"{found.value:,.{digits}f} times ({found.low:,.{digits}f} to {found.high:,.{digits}f})"


def joules_between(found: Interval) -> str:
    """ "9.1 J (8.8 to 10.1)"."""
    return f"{found.value:.3g} J ({found.low:.3g} to {found.high:.3g})"


def error_bars(sure: Sequence[Interval], factor: float = 1.0) -> dict[str, object]:
    """What refits say as a trace's error_x or error_y; factor: into the axis' unit."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [round((one.high - one.value) * factor, 6) for one in sure],
        "arrayminus": [round((one.value - one.low) * factor, 6) for one in sure],
        "thickness": 1.5,
        "width": 3,
    }


def add_whiskers(figure: go.Figure, at: Sequence[object], sure: Sequence[Interval], factor: float) -> None:
    """How sure stacked bars are, as whiskers at their ends; at: their places on the category axis."""
    is_lying = any(trace.orientation == "h" for trace in figure.data if trace.type == "bar")
    ends = [round(one.value * factor, 6) for one in sure]
    along, across, bars = ("x", "y", "error_x") if is_lying else ("y", "x", "error_y")
    figure.add_scatter(
        **{along: ends, across: list(at), bars: error_bars(sure, factor) | {"color": NEUTRAL}},
        name="Refits on fewer rows",
        mode="markers",
        marker={
            "symbol": "line-ns" if is_lying else "line-ew",
            "size": 8,
            "line": {"width": 1.5, "color": NEUTRAL},
        },
        hoverinfo="skip",
    )
    if not is_lying:  # points would pad the axis with layers that there are not
        figure.update_xaxes(range=[-0.6, len(ends) - 0.4])


def add_words(figure: go.Figure, x: Sequence[float], y: Sequence[str], words: Sequence[str]) -> None:
    """Words beside lying bars or points, behind their whiskers; x: where those end."""
    figure.add_scatter(
        x=list(x),
        y=list(y),
        text=[f"{GAP}{one}" for one in words],
        textposition="middle right",
        textfont={"color": TEXT},
        cliponaxis=False,
        mode="text",
        showlegend=False,
        hoverinfo="skip",
    )


def extrapolated(model: ModelShape, spec: WaferSpec, tokens: int, wafers: int = 1) -> str:
    """ " An extrapolation: no WSE-3 was measured." or nothing."""
    reasons = extrapolations(model, spec, tokens, wafers)
    return f" An extrapolation: {'; '.join(reasons)}." if reasons else ""


def add_band(
    figure: go.Figure,
    x: Sequence[float] | np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    is_named: bool = True,
) -> None:
    """What refits on fewer rows say, as a band behind a curve; is_named: whether the legend has it."""
    figure.add_scatter(
        x=np.concatenate([x, np.asarray(x)[::-1]]),
        y=np.round(np.concatenate([high, low[::-1]]), 4),
        name="Refits on fewer rows",
        showlegend=is_named,
        fill="toself",
        fillcolor=BAND,
        mode="none",
        hoverinfo="skip",
    )


def kib(value_bytes: float) -> str:
    """ "43.2 KB", of 1,024 bytes each: the unit of a PE's "48 KB"."""
    return f"{value_bytes / 1024:.1f} KB"


def _short(value: float) -> str:
    """About three digits: 0.22, 4.2, 78.9, 188, 2,524."""
    if value >= 99.95:
        return f"{value:,.0f}"
    if value >= 9.995:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.2f}" if value >= 0.01 else f"{value:.1g}"
