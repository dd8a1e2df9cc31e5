"""A participant's own submissions: scores over time, reports, what changed, and the recap."""

from __future__ import annotations

import streamlit as st

from grader import challenge as find_challenge
from grader.competition import Participant, Round, Submission, now_ms
from pages.parts.charts import CHART_CONFIG, kept
from pages.parts.competition import backend as shared
from pages.parts.competition.charts import scores_over_time
from pages.parts.competition.view import outcome as outcome_of
from pages.parts.competition.view import when
from pages.parts.files import offer_file
from pages.parts.layout import row
from pages.parts.report import points, show_report
from pages.state.certificate import RoundOutcome, to_html
from pages.state.config_diff import config_diff
from pages.state.recap import Step, recap
from pages.state.text import count


def draw_attempts(found: Round, who: Participant, mine: list[Submission]) -> None:
    """My submissions: their scores over time, the report on one, and what changed between two."""
    st.subheader("My submissions")
    max_score = find_challenge(found.challenge).max_score
    graded = [each for each in mine if each.score is not None]
    if graded:
        scores = [each.score or 0.0 for each in graded]
        st.plotly_chart(
            kept(scores_over_time, scores, max_score),
            key="competition_scores",
            config=CHART_CONFIG,
            alt=f"Scores of {count(len(scores), 'submission')}, the last {points(scores[-1])}",
        )
    names = {each.id: submission_name(number, each) for number, each in enumerate(mine, start=1)}
    ids = list(names)
    # A new submission or grade makes new boxes: an old one would keep its choice, and the label it had.
    state = f"{len(ids)}_{len(graded)}"
    report_tab, diff_tab, recap_tab = st.tabs(["Report", "What changed", "Recap"])
    with report_tab:
        key = f"competition_shown_report_{state}"
        chosen = st.selectbox("Submission", ids[::-1], format_func=names.__getitem__, key=key)
        provenance = shared.store().submissions.provenance(chosen)
        if provenance.report:
            show_report(provenance.report)
        with st.expander("The code that was submitted", icon=":material/code:"):
            st.code(provenance.code, language="python", line_numbers=True)
    with diff_tab:
        draw_diff(ids, names, state)
    with recap_tab:
        draw_recap(found, who, graded)


def submission_name(number: int, submission: Submission) -> str:
    return f"{number}: {outcome_of(submission)}, {when(submission.created_ms)}"


def draw_diff(ids: list[int], names: dict[int, str], state: str) -> None:
    """The configurations of two submissions, line by line. state: changes when a name may have changed."""
    if len(ids) < 2:
        st.caption("With your second submission you see here what you changed and what it brought.")
        return
    left, right = st.columns(2)
    with left:
        before = st.selectbox(
            "From",
            ids,
            index=len(ids) - 2,
            format_func=names.__getitem__,
            key=f"competition_diff_from_{state}",
        )
    with right:
        after = st.selectbox(
            "To", ids, index=len(ids) - 1, format_func=names.__getitem__, key=f"competition_diff_to_{state}"
        )
    submissions = shared.store().submissions
    diff = config_diff(submissions.provenance(before).config, submissions.provenance(after).config)
    if diff:
        st.code(diff, language="diff", wrap_lines=True)
    else:
        st.caption("The same configuration: what differs is chance, the agents were sampled anew.")


def draw_recap(found: Round, who: Participant, graded: list[Submission]) -> None:
    """My attempts and what helped, to look at and to keep; when the round is over."""
    if found.state(now_ms()) != "closed" or not graded:
        st.caption("When the round is over, this says what helped, and you can keep it.")
        return
    provenance = shared.store().submissions.provenance
    steps = [
        Step(number, each.score or 0.0, each.tokens, provenance(each.id).config)
        for number, each in enumerate(graded, start=1)
    ]
    board = shared.public_board(found) if shared.is_scores_public(found) else ()
    place = next((line.place for line in board if line.participant_id == who.id), None)
    latest = shared.latest_final(found)
    standings = latest[2] if latest is not None and latest[0].released_ms is not None else ()
    standing = next((line for line in standings if line.participant_id == who.id), None)
    max_score = find_challenge(found.challenge).max_score
    text = recap(who.nickname, found.title, max_score, steps, place, len(board), standing)
    with row(vertical_alignment="center"):
        offer_file(
            "Keep it (Markdown)",
            text,
            f"recap-{found.uid[:8]}.md",
            icon="download",
            key="competition_recap",
        )
        draw_certificate(found, who)
    with st.container(border=True):
        st.markdown(text)


def draw_certificate(found: Round, who: Participant) -> None:
    """My certificate, once it is settled what ranks: the final where there is one, else the board."""
    latest = shared.latest_final(found)
    if latest is None and found.frozen_ms is None:
        outcome = RoundOutcome(shared.public_board(found))
    elif latest is not None and latest[0].released_ms is not None:
        outcome = RoundOutcome((), latest[0], latest[2])
    else:
        st.caption("Your certificate comes when the host shows the result.", width="content")
        return
    mine = shared.all_certificates(found, [who], outcome).get(who.id)
    if mine is not None:
        offer_file(
            "Certificate, to print",
            to_html(mine),
            f"certificate-{found.uid[:8]}.html",
            icon="workspace_premium",
            key="competition_certificate",
            about="A page of its own: open it and print it, or print it into a PDF.",
        )
