"""Published speeds of services beside what the model says: a point off the line is a finding."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import BACKGROUND, KIND_COLORS, Chart, error_bars
from pages.parts.wafer.view import View
from pages.state.wafer_services import DRAFTS, Compared, compared
from wse_backend.wafer.timing.interval import Interval

TAB, ORDER = "Evidence", 30
NONE = Interval(0.0, 0.0, 0.0)  # of a service whose point is not drawn


def draw(view: View | None = None) -> tuple[Chart, ...]:
    """Bars on a linear axis, the model's points with intervals; open ones with drafts."""
    del view
    rows = compared()
    above = [row for row in rows if row.plain and row.speed.tokens_per_s > row.plain.high]
    below = [row for row in rows if row.plain and row.speed.tokens_per_s < row.plain.low]
    within = [row for row in rows if row.drafted and row.plain and row in above]
    within = [row for row in within if row.speed.tokens_per_s <= (row.drafted.high if row.drafted else 0)]
    chart = Chart(
        "What services publish",
        with_legend_below(_figure(rows)),
        f"Never fitted to. Of {len(above) + len(below)} wafer services off the bare fp16 prediction, "
        f"{len(above)} are faster; {len(within)} of these are within reach of {DRAFTS.drafted} drafts of "
        f"which {DRAFTS.acceptance:.0%} are kept. {len(below)} are slower: the model has no queue, no "
        "network and no other user. The table below has each row's reading. All of it is extrapolated: no "
        "WSE-3 and no mixture of experts was measured.",
        f"Bars of published tokens per second for {len(rows)} services, diamonds where the model has an "
        "answer",
        ("published", "modelled"),
    )
    return (chart,)


def _figure(rows: Sequence[Compared]) -> go.Figure:
    labels = [f"{row.speed.provider}<br>{row.speed.model}, {row.speed.when}" for row in rows]
    figure = go.Figure()
    figure.add_bar(
        y=labels,
        x=[row.speed.tokens_per_s for row in rows],
        name="Published",
        orientation="h",
        marker={"color": KIND_COLORS["published"]},
        customdata=[f"{row.speed.source}; {row.speed.how or 'precision not published'}" for row in rows],
        hovertemplate="%{x:,.0f} tokens/s<br>%{customdata}",
    )
    for name, symbol, found in (
        ("Modelled, fewest WSE-3, fp16", "diamond", [row.plain for row in rows]),
        (f"Modelled, {DRAFTS.acceptance:.0%} of drafts kept", "diamond-open", [row.drafted for row in rows]),
    ):
        figure.add_scatter(
            y=labels,
            x=[round(one.value, 1) if one else None for one in found],
            error_x=error_bars([one or NONE for one in found]),
            name=name,
            mode="markers",
            marker={
                "size": 12,
                "symbol": symbol,
                "color": KIND_COLORS["modelled"],
                "line": {"width": 2, **({} if "open" in symbol else {"color": BACKGROUND})},
            },
            hovertemplate="%{x:,.0f} tokens/s",
        )
    figure.update_layout(height=130 + 34 * len(rows), bargap=0.4)
    figure.update_xaxes(title="Output tokens/s of one request", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False, ticksuffix=" ")
    return figure
