"""Speculative decoding: speed over how often a drafted token is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import (
    KIND_COLORS,
    Chart,
    add_band,
    extrapolated,
    mark_x,
    rate_between,
    times_between,
)
from pages.parts.wafer.view import View
from wse_backend.wafer.speculative import DRAFTED_LIMIT, Speculation, speculate

TAB, NAME, ORDER = "Scaling", "Drafts", 50


def controls(view: View) -> Mapping[str, Any]:
    """Acceptance, drafted tokens, what a draft costs."""
    del view
    with st.grid(3, min_column_width=160):
        acceptance = st.slider("Drafted tokens kept", 0.0, 1.0, 0.7, 0.05, key="wafer_acceptance")
        drafted = st.slider("Drafted per pass", 0, DRAFTED_LIMIT, 4, key="wafer_drafted")
        share = st.slider("Time of a draft, of a step", 0.0, 1.0, 0.1, 0.05, key="wafer_draft_share")
    return {"speculation": Speculation(acceptance, drafted, share)}


def draw(view: View, speculation: Speculation | None = None) -> tuple[Chart, ...]:
    """One user's speed with drafts, over the acceptance."""
    speculation = speculation or Speculation()
    found = speculate(view.placement, speculation, view.workload)
    acceptances = np.linspace(0, 1, 41)
    kept = np.array([replace(speculation, acceptance=float(a)).kept for a in acceptances])
    a_pass = found.pass_s
    figure = go.Figure()
    add_band(figure, acceptances, kept / a_pass.high, kept / a_pass.low)
    figure.add_scatter(
        x=acceptances,
        y=np.round(kept / a_pass.value, 1),
        name="With drafts, modelled",
        mode="lines",
        line={"color": KIND_COLORS["modelled"]},
        hovertemplate="%{y:,.0f} tokens/s",
    )
    plain = found.plain_s.rate
    ends = np.array([0.0, 1.0])
    add_band(figure, ends, np.full(2, plain.low), np.full(2, plain.high), is_named=False)
    figure.add_scatter(
        x=ends,
        y=[round(plain.value, 1)] * 2,
        name="Without",
        mode="lines",
        line={"dash": "dash"},
        hovertemplate="%{y:,.0f} tokens/s",
    )
    mark_x(figure, speculation.acceptance, "chosen", is_log=False, y=0.0)
    figure.update_layout(height=340, hovermode="x unified")
    figure.update_xaxes(title="Chance that a drafted token is kept", tickformat=".0%")
    figure.update_yaxes(title="Output tokens/s of one user", rangemode="tozero")
    way = {
        "one behind another": "the drafted tokens follow one another through the regions",
        "together": "the drafted tokens pass every region together",
    }[found.way]
    setting = view.setting
    chart = Chart(
        "Speculative decoding",
        with_legend_below(figure),
        f"{speculation.drafted} drafted tokens, {speculation.acceptance:.0%} of them kept: "
        f"{rate_between(found.drafted_s.rate)} instead of {rate_between(found.plain_s.rate)}, "
        f"{times_between(found.gain)} as fast; a pass keeps {speculation.kept:.1f} tokens, and {way}. "
        "Acceptances are taken to be independent (Leviathan et al., arXiv "
        f"2211.17192).{extrapolated(setting.model, setting.spec, setting.context, view.placement.wafers)}",
        "Curve of tokens per second over the share of drafted tokens that are kept, and a line without "
        "drafts",
    )
    return (chart,)
