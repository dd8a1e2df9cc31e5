"""A graded report on the page: score, letter, and every check with what a student can act on.

Everything a submission printed or returned is untrusted, so it is shown through st.code or escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from grader.grading.challenge import Challenge
from pages.parts.charts import CHART_CONFIG, category_bars, kept
from pages.state.text import as_plain, count

LETTER_COLOURS = {"A": "green", "B": "green", "C": "orange", "D": "orange", "F": "red"}
CATEGORY_WIDTH_PX = 420


def points(value: float) -> str:
    """ "15", "7.5"; never "15.0"."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def title_of(name: str) -> str:
    """ "critical_bugs" as "Critical bugs"."""
    return name.replace("_", " ").replace("doesnt", "doesn't").capitalize()


def checks_table(challenge: Challenge) -> None:
    """What will be checked, and what each check pays."""
    rows = [
        {
            "check": title_of(check.name),
            "points": check.points,
            "category": title_of(check.category),
            "description": check.description,
        }
        for check in challenge.checks
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "check": st.column_config.TextColumn("Check", width="medium"),
            "points": st.column_config.NumberColumn("Points", width="small"),
            "category": st.column_config.TextColumn("Category", width="small"),
            "description": st.column_config.TextColumn("Full marks when", width="large"),
        },
        height="content",
        alt=f"The {len(rows)} checks of {challenge.title} with their points",
    )


def show_report(report: Mapping[str, Any]) -> None:
    """The score, then each category with its checks."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.metric("Score", f"{points(report['score'])} of {points(report['max_score'])}", width="content")
        st.metric("Share", f"{report['percentage']:.1f} %", width="content")
        st.metric(
            "Letter", f":{LETTER_COLOURS.get(report['letter'], 'gray')}[{report['letter']}]", width="content"
        )
    if report.get("refusal"):
        st.error(as_plain(report["refusal"]), title="The code was not run", icon=":material/block:")
    for note in report.get("notes", ()):
        st.caption(f":material/info: {as_plain(note)}")
    categories = list(dict.fromkeys(check["category"] for check in report["checks"]))
    draw_categories(report, categories)
    with st.grid(2, min_column_width=CATEGORY_WIDTH_PX):
        for category in categories:
            show_category(category, [check for check in report["checks"] if check["category"] == category])


def draw_categories(report: Mapping[str, Any], categories: Sequence[str]) -> None:
    """Points per category, earned and lost, as bars."""
    earned, most = [], []
    for category in categories:
        checks = [check for check in report["checks"] if check["category"] == category]
        earned.append(sum(check["score"] for check in checks))
        most.append(sum(check["max_score"] for check in checks))
    st.plotly_chart(
        kept(category_bars, [title_of(category) for category in categories], earned, most),
        config=CHART_CONFIG,
        alt="Points per category: "
        + ", ".join(
            f"{title_of(category)} {points(got)} of {points(of)}"
            for category, got, of in zip(categories, earned, most, strict=True)
        ),
    )


def show_category(category: str, checks: Sequence[Mapping[str, Any]]) -> None:
    """One card: the category's points, and a line per check."""
    score, most = sum(check["score"] for check in checks), sum(check["max_score"] for check in checks)
    with st.container(border=True, height="stretch"):
        st.markdown(f"**{title_of(category)}** · {points(score)} of {points(most)} points")
        for check in checks:
            with st.container(gap="xsmall"):
                show_check(check)


def show_check(check: Mapping[str, Any]) -> None:
    """A check's line; less than full marks says why, with the smallest case that fails."""
    icon = ":red[:material/cancel:]" if check["score"] == 0 else ":orange[:material/error:]"
    if check["passed"]:
        icon = ":green[:material/check_circle:]"
    amount = f"{points(check['score'])} of {points(check['max_score'])}"
    st.markdown(f"{icon} {title_of(check['name'])} :gray[· {amount}]")
    if check["passed"]:
        return
    st.caption(as_plain(check["message"]))
    failed = [case for case in check.get("cases", ()) if case["status"] == "failed" and case["input"]]
    if failed:
        with st.expander(f"See {count(len(failed), 'failing case')}", type="compact"):
            for case in failed:
                lines = [("input", case["input"]), ("got", case["got"]), ("expected", case["expected"])]
                if case.get("line"):
                    lines.append(("line", str(case["line"])))
                text = "\n".join(f"{label + ':':10}{value}" for label, value in lines if value)
                st.caption(as_plain(title_of(case["name"])))
                st.code(text, language=None, wrap_lines=True)
