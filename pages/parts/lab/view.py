"""One experiment as it stands: its words, charts, figures and trials."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from moa_core import MoAConfig
from moa_core.experiments import Trial
from moa_core.experiments.export import gains_of, points_of, spreads_of, to_csv, to_html, words_of
from moa_core.experiments.spread import Spread
from moa_core.experiments.store import Record
from pages.parts.charts import CHART_CONFIG
from pages.parts.files import offer_file
from pages.parts.lab import charts
from pages.parts.layout import row
from pages.parts.report import show_report
from pages.state.text import as_markdown, as_plain, capitalised, count, seconds

TRIAL_CHARS = 400


def draw_experiment(
    record: Record,
    trials: Sequence[Trial],
    mark: float | None,
    on_replay: Callable[[Trial], None] | None = None,
) -> None:
    """Everything that is known about an experiment, running or not.

    on_replay: begins a trial once more; without it no button offers that.
    """
    found: Mapping[str, Any] = record.result or {}
    spreads = spreads_of(trials, record.request["labels"])
    for line in words_of(found):
        st.markdown(f"**{as_plain(line)}**")
    if not spreads:
        return
    maximum = max(each.maximum for each in spreads) or 1.0
    st.plotly_chart(
        charts.dots(spreads, maximum, mark),
        config=CHART_CONFIG,
        key=f"lab_dots_{record.id}",
        alt="Scores of every try, one line per setup, with the median and its interval",
    )
    st.dataframe(_figures(spreads, mark), hide_index=True, placeholder="–", key=f"lab_figures_{record.id}")
    _draw_parts(record, found, maximum)
    for trial in trials:
        if trial.score is None:
            said = as_plain(trial.problem[:TRIAL_CHARS])
            st.warning(f"{as_plain(trial.label)}, seed {trial.seed}: {said}", icon=":material/error:")
    _draw_exports(record, trials, found, mark)
    _draw_trial(record, trials, on_replay)


def winning_config(record: Record) -> MoAConfig | None:
    """The setup that a search ended with."""
    winner = (record.result or {}).get("winner")
    return MoAConfig.from_json(winner["config"]) if winner else None


def _draw_parts(record: Record, found: Mapping[str, Any], maximum: float) -> None:
    """What only some kinds of experiments have: contributions, likeness, the front."""
    if gains := gains_of(found):
        st.plotly_chart(
            charts.gains(gains), config=CHART_CONFIG, key=f"lab_gains_{record.id}",
            alt="Points that each agent, layer and instruction gives",
        )  # fmt: skip
    if "likeness" in found:
        st.markdown("**How alike the answers are**, by the tokens of their code")
        st.plotly_chart(
            charts.heat(found["likeness"]["names"], found["likeness"]["matrix"]),
            config=CHART_CONFIG, key=f"lab_heat_{record.id}", alt="How alike each pair of answers is",
        )  # fmt: skip
    if points := points_of(found):
        st.plotly_chart(
            charts.front(points, maximum), config=CHART_CONFIG, key=f"lab_front_{record.id}",
            alt="Score over tokens of every setup that was tried, with the Pareto front",
        )  # fmt: skip


def _figures(spreads: Sequence[Spread], mark: float | None) -> pd.DataFrame:
    rows = []
    for each in spreads:
        low, high = each.interval or (None, None)
        row: dict[str, object] = {
            "Setup": each.label,
            "Tries": len(each.values),
            "Median": each.median,
            "95 % from": low,
            "to": high,
        }
        if mark is not None:
            share = each.share_above(mark)
            row[f"At least {mark:g}"] = None if share is None else f"{share:.0%}"
        row |= {
            "Tokens written": each.completion_tokens,
            "Tokens per point": None if each.tokens_per_point is None else round(each.tokens_per_point, 1),
            "Seconds": None if each.seconds is None else round(each.seconds, 1),
            "Dollars": each.dollars,
            "Failed": each.n_failed,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _draw_exports(
    record: Record, trials: Sequence[Trial], found: Mapping[str, Any], mark: float | None
) -> None:
    with row():
        offer_file(
            "Trials as CSV",
            lambda: to_csv(trials),
            f"experiment-{record.id}.csv",
            icon="table",
            key=f"lab_csv_{record.id}",
        )
        offer_file(
            "Report as HTML",
            lambda: to_html(record.title, trials, found, mark),
            f"experiment-{record.id}.html",
            icon="description",
            key=f"lab_html_{record.id}",
        )


def _draw_trial(record: Record, trials: Sequence[Trial], on_replay: Callable[[Trial], None] | None) -> None:
    """One trial opened: its reply, its report, what was tried on the way, and its setup."""
    with st.expander("Open a trial", icon=":material/search:"):
        index = st.selectbox(
            "Trial",
            range(len(trials)),
            format_func=lambda number: _line(trials[number]),
            key=f"lab_trial_{record.id}",
        )
        trial = trials[index]
        tokens = count(trial.completion_tokens, "token")
        st.caption(f"{tokens} written in {seconds(trial.seconds)}, version {trial.version}")
        if on_replay is not None:
            st.button(
                "Replay this try",
                icon=":material/replay:",
                key=f"lab_replay_{record.id}",
                on_click=on_replay,
                args=(trial,),
                help="The same setup, question and seed once more: in this process, the same reply.",
            )
        report = None if trial.score is None else trial.score.detail.get("report")
        if report:
            show_report(report)
        for note in trial.trace.notes:
            st.caption(f":material/info: {as_plain(note)}")
        for check in trial.trace.checks:
            st.caption(
                f":material/labs: {as_plain(check.agent)}, layer {check.layer}: {check.share:.0%} of the "
                f"public cases. {as_plain((check.problem or check.feedback)[:TRIAL_CHARS])}"
            )
        st.markdown(as_markdown(trial.reply) if trial.reply else capitalised(as_plain(trial.problem)))
        st.code(json.dumps(trial.config.to_dict(), indent=1, ensure_ascii=False), language="json", height=220)


def _line(trial: Trial) -> str:
    score = "no score" if trial.score is None else f"{trial.score.value:g} points"
    return f"{trial.label}, seed {trial.seed}: {score}"
