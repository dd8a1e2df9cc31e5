"""A challenge as its teacher sees it before a round: task, checks, drawn cases, and if it proves right."""

from __future__ import annotations

import json

import streamlit as st

from grader import challenges
from grader.errors import GraderError
from grader.grading.challenge import DEFAULT_SEED, Challenge
from grader.grading.preview import drawn_cases
from grader.grading.proof import prove
from pages.parts.report import checks_table, title_of
from pages.state.text import as_plain, capitalised, count


def draw_preview() -> None:
    """One challenge at a time; nothing is computed while the expander is closed."""
    preview = st.expander(
        "Preview a challenge", icon=":material/preview:", key="host_preview", on_change="rerun"
    )
    if not preview.open:
        return
    with preview:
        by_name = {each.name: each for each in challenges()}
        name = st.selectbox(
            "Challenge",
            list(by_name),
            format_func=lambda each: by_name[each].title,
            key="host_preview_challenge",
        )
        task = by_name[name]
        left, right = st.columns(2, gap="medium")
        left.markdown(task.brief)
        right.code(task.baseline, language="python", wrap_lines=True)
        checks_table(task)
        _draw_cases(task)
        _draw_proof(task)


def _draw_cases(task: Challenge) -> None:
    """The hidden cases of one check, one at a time."""
    with st.container(horizontal=True):
        check = st.selectbox(
            "Hidden cases of",
            [each.name for each in task.checks],
            format_func=title_of,
            key=f"host_preview_check_{task.name}",
        )
        seed = st.number_input("Seed", 0, 2**31, DEFAULT_SEED, key="host_preview_seed")
    cases = drawn_cases(task, check, int(seed))
    if not cases:
        st.caption("This check draws no cases.")
        return
    number = st.number_input(
        f"Case, of {len(cases)}", 1, len(cases), key=f"host_preview_case_{task.name}_{check}"
    )
    case = cases[int(number) - 1]
    st.caption(as_plain(capitalised(case.kind)))
    left, right = st.columns(2)
    left.code(_shown(case.input), language="json", height=220)
    right.code(_shown(case.expected), language="json", height=220)


def _shown(value: object) -> str:
    """JSON text, cut where a browser would suffer."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return text if len(text) <= 20_000 else f"{text[:20_000]}\n..."


def _draw_proof(task: Challenge) -> None:
    """Grade its solutions, mutants, baseline and constants on a click."""
    if not st.button("Prove it", key="host_preview_prove", icon=":material/fact_check:"):
        return
    failed = 0
    with st.status("Grading solutions and mutants", expanded=True) as status:
        try:
            for finding in prove(task, elsewhere=False):
                mark = ":material/check:" if finding.ok else ":material/close:"
                st.markdown(f"{mark} {as_plain(capitalised(finding.what))}")
                failed += not finding.ok
        except GraderError as exc:
            st.error(as_plain(str(exc)))
            failed += 1
        said = "It proves right" if not failed else f"{count(failed, 'thing')} to mend"
        status.update(label=said, state="error" if failed else "complete")
