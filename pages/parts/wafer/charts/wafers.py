"""Tokens/s and time to first token over the number of wafers."""

from __future__ import annotations

import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import (
    Chart,
    duration_between,
    error_bars,
    extrapolated,
    log_axis,
    rate_between,
)
from pages.parts.wafer.view import View
from pages.state.wafer_setting import WaferPoint, wafers_points

TAB, NAME, ORDER = "Scaling", "Wafers", 30


def draw(view: View) -> tuple[Chart, ...]:
    """From the fewest wafers that hold the model on."""
    points = wafers_points(view.setting)
    return _speed_chart(view, points), _first_token_chart(view, points)


def _speed_chart(view: View, points: list[WaferPoint]) -> Chart:
    figure = go.Figure()
    for name, values in (
        ("One user", [point.token_s.rate for point in points]),
        ("All users, pipeline full", [point.slowest_s.rate for point in points]),
    ):
        figure.add_scatter(
            x=[point.wafers for point in points],
            y=[round(value.value, 1) for value in values],
            error_y=error_bars(values),
            name=name,
            mode="lines+markers",
            hovertemplate="%{y:,.0f} tokens/s",
        )
    speeds = [one for point in points for one in (point.token_s.rate.low, point.slowest_s.rate.high)]
    log_axis(figure.update_yaxes, "Tokens/s (logarithmic)", min(speeds) / 2, max(speeds) * 2)
    few, many = points[0], points[-1]
    far = extrapolated(view.setting.model, view.setting.spec, view.setting.context, many.wafers)
    return Chart(
        "Speed over the number of wafers",
        _styled(figure),
        f"{few.wafers} to {many.wafers} x {view.setting.spec.name}, a region for every transformer layer: "
        f"one user goes from {rate_between(few.token_s.rate)} to {rate_between(many.token_s.rate)}, "
        f"everybody together from {rate_between(few.slowest_s.rate)} to "
        f"{rate_between(many.slowest_s.rate)}: wafers add room, hardly speed.{far}",
        "Two curves of tokens per second over the number of wafers",
    )


def _first_token_chart(view: View, points: list[WaferPoint]) -> Chart:
    few, many = points[0], points[-1]
    unit, factor = ("ms", 1e3) if few.prefill_s.value < 1 else ("s", 1.0)
    figure = go.Figure()
    figure.add_scatter(
        x=[point.wafers for point in points],
        y=[round(point.prefill_s.value * factor, 4) for point in points],
        error_y=error_bars([point.prefill_s for point in points], factor),
        name="Time to first token",
        mode="lines+markers",
        hovertemplate=f"%{{y:.3g}} {unit}",
    )
    figure.update_yaxes(title="Milliseconds" if unit == "ms" else "Seconds", rangemode="tozero")
    why = (
        "every transformer layer has more PEs to itself"
        if many.prefill_s.value < few.prefill_s.value
        else "larger regions and more crossings cost more than they give"
    )
    return Chart(
        "Time to first token",
        _styled(figure),
        f"A prompt of {view.setting.prompt_tokens:,} tokens has its first answer token after "
        f"{duration_between(few.prefill_s)} on {few.wafers} and {duration_between(many.prefill_s)} on "
        f"{many.wafers}: {why}.",
        "Curve of the time to first token over the number of wafers",
    )


def _styled(figure: go.Figure) -> go.Figure:
    figure.update_layout(height=320, hovermode="x unified")
    figure.update_xaxes(title="Wafers", dtick=1)
    return with_legend_below(figure)
