"""The run's call graph on other machines: one point for each."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import (
    KIND_COLORS,
    Chart,
    add_words,
    duration,
    duration_between,
    log_axis,
    times_between,
)
from pages.state.wafer_machines import Bar

SECONDS = "{:,.10g} s".format


def machines_chart(bars: Sequence[Bar], what: str) -> Chart:
    """One point per machine on a logarithmic axis; what: the run in a few words, for the caption."""
    timed = [bar for bar in bars if bar.seconds]
    low, high = _span(timed)
    figure = go.Figure()
    for kind, name in (("measured", "Measured"), ("modelled", "Modelled")):
        _add_points(figure, [bar for bar in timed if bar.kind == kind], kind, name)
    _add_refusals(figure, [bar for bar in bars if not bar.seconds], low / 1.5)
    log_axis(figure.update_xaxes, "Time for the whole run (logarithmic)", low / 2, high * 9, SECONDS)
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=[bar.machine for bar in bars],
        autorange="reversed",
        showgrid=False,
        ticksuffix=" ",
    )
    figure.update_layout(height=110 + 40 * len(bars), showlegend=True)
    spoken = "; ".join(f"{bar.machine} {_time(bar)}" for bar in timed)
    return Chart(
        "One point per machine",
        with_legend_below(figure),
        f"{what} {_story(bars)}",
        f"Points of seconds for the whole run: {spoken}",
        tuple(dict.fromkeys(bar.kind for bar in bars)),
    )


def _span(timed: Sequence[Bar]) -> tuple[float, float]:
    """The shortest and the longest bar, in seconds."""
    seconds = [bar.seconds for bar in timed if bar.seconds] or [1.0]
    return min(seconds), max(seconds)


def _add_points(figure: go.Figure, bars: Sequence[Bar], kind: str, name: str) -> None:
    if bars:
        seconds = [bar.seconds or 0.0 for bar in bars]
        sure = [bar.interval for bar in bars]
        figure.add_scatter(
            y=[bar.machine for bar in bars],
            x=seconds,
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [one.high - value if one else 0 for one, value in zip(sure, seconds, strict=True)],
                "arrayminus": [
                    value - one.low if one else 0 for one, value in zip(sure, seconds, strict=True)
                ],
            },
            name=name,
            mode="markers",
            marker={"size": 12, "color": KIND_COLORS[kind]},
            hovertext=[_time(bar) for bar in bars],
            hoverinfo="text",
        )
        ends = [bar.interval.high if bar.interval else bar.seconds or 0.0 for bar in bars]
        add_words(figure, ends, [bar.machine for bar in bars], [_time(bar) for bar in bars])


def _time(bar: Bar) -> str:
    return duration_between(bar.interval) if bar.interval else duration(bar.seconds or 0.0)


def _add_refusals(figure: go.Figure, bars: Sequence[Bar], x: float) -> None:
    """Words instead of a bar: it does not fit, and how many would do."""
    if bars:
        figure.add_scatter(
            y=[bar.machine for bar in bars],
            x=[x] * len(bars),
            text=[f"does not fit; {bar.note.rpartition('; ')[2]}" for bar in bars],
            mode="text",
            textposition="middle right",
            showlegend=False,
            hovertext=[bar.note for bar in bars],
            hoverinfo="text",
        )


def _story(bars: Sequence[Bar]) -> str:
    """Wafer against GPU, in the chart's own numbers, whichever wins."""
    by_name = {bar.machine: bar for bar in bars if bar.seconds and bar.kind == "modelled"}
    wafers = [bar for name, bar in by_name.items() if "CS-" in name]
    gpus = [bar for name, bar in by_name.items() if "CS-" not in name]
    if not wafers:
        return "It fits on none of these wafers; the table says what is missing."
    wafer = wafers[0]
    gpu = min(gpus, key=lambda bar: bar.seconds or 0.0)
    if not (
        wafer.interval and wafer.prefill and wafer.decode and gpu.interval and gpu.prefill and gpu.decode
    ):
        return ""
    both = f"It takes {_time(wafer)} on {_the(wafer)} and {_time(gpu)} on {_the(gpu)}"
    far = " An extrapolation: neither a WSE-3 nor a GPU newer than the A100 was measured."
    reading = f"{duration_between(wafer.prefill)} against {duration_between(gpu.prefill)}"
    writing = f"{duration_between(wafer.decode)} against {duration_between(gpu.decode)}"
    if gpu.interval.value > wafer.interval.value:
        return (
            f"{both}, {times_between(gpu.interval.over(wafer.interval))} as long: writing alone is "
            f"{writing}, because every token makes a GPU read all weights again.{far}"
        )
    parts = f"reading takes {reading}, writing {writing}"
    if wafer.decode.value < 0.5 * gpu.decode.value:
        return f"{both}: {parts}. So few prompt tokens do not fill a wafer, and that decides this run.{far}"
    return (
        "This model is too small to need a wafer: it leaves most of one idle, and a GPU reads it in no "
        f"time (its kernel launches are not counted). {both}: {parts}.{far}"
    )


def _the(bar: Bar) -> str:
    """The machine inside a sentence."""
    return bar.machine.replace("One ", "one ").replace("Four ", "four ")
