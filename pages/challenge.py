"""Let the agents write a function, and see what it scores."""

import json
from contextlib import suppress

import pandas as pd
import streamlit as st

from grader import challenges, extract_code, read_and_grade, task_request
from grader.errors import GraderError
from grader.grading.challenge import Challenge
from pages.parts.layout import page_body, row
from pages.parts.problems import Shown, show_problem
from pages.parts.report import checks_table, points, show_report, title_of
from pages.parts.session import init_session
from pages.parts.setup import setup_line
from pages.parts.stream import draw_turn_layers, play, running, tidy_after_stop
from pages.state.attempts import Attempt
from pages.state.provenance import seeded
from pages.state.text import as_markdown, as_plain, capitalised, count
from pages.state.turn import Turn

session = init_session()


def choose_latest() -> None:
    """Show the newest attempt again, whichever was looked at."""
    st.session_state.pop("challenge_shown", None)


def draw_brief(challenge: Challenge) -> None:
    """The task on the left, the baseline beside it."""
    left, right = st.columns([9, 11], gap="medium")
    with left:
        st.markdown(challenge.brief)
    with right:
        st.markdown("**The baseline:** it runs, and it has bugs. Your agents get to see it.")
        st.code(challenge.baseline, language="python", wrap_lines=True)


def draw_details(challenge: Challenge) -> None:
    """Checks, public cases and the request, one at a time."""
    checks, cases, request = st.tabs(
        [
            f"{len(challenge.checks)} checks, {points(challenge.max_score)} points",
            "Public cases",
            "What the agents are asked",
        ]
    )
    with checks:
        checks_table(challenge)
    with cases:
        draw_public_cases(challenge)
    with request:
        st.code(task_request(challenge), language="markdown", wrap_lines=True, height=320)


def draw_public_cases(challenge: Challenge) -> None:
    """One public case at a time: what goes in, what must come out."""
    cases = challenge.public_cases
    st.caption(
        "The grader also draws cases of its own, the same for everyone, so that nobody can write the "
        "answers down."
    )
    index = st.selectbox(
        "Case",
        range(len(cases)),
        format_func=lambda number: f"{title_of(cases[number].check)}: {cases[number].name}",
        key=f"challenge_case_{challenge.name}",
    )
    case = cases[index]
    left, right = st.columns(2)
    with left:
        st.caption("Input")
        st.code(json.dumps(case.input, indent=1), language="json", height=260)
    with right:
        st.caption("The reference's answer")
        st.code(json.dumps(case.expected, indent=1), language="json", height=260)


def judge(attempt: Attempt, challenge: Challenge) -> None:
    """Take the code out of the answer and grade it."""
    try:
        graded = read_and_grade(attempt.turn.answer, challenge)
    except GraderError as exc:
        attempt.code = extract_code(attempt.turn.answer, challenge.function_name).code
        attempt.reason = f"The grader itself failed: {exc}"
        return
    found = graded.extraction
    attempt.code, attempt.reason = found.code, found.reason
    if found.found:
        attempt.report = graded.report.to_dict()


def make_attempt(challenge: Challenge) -> None:
    """Run the agents on the challenge, then grade what they wrote."""
    request = task_request(challenge)
    number = len(session.attempts) + 1
    turn = Turn(request, title=f"{challenge.title}, attempt {number}")
    attempt = Attempt(number, challenge.name, turn)
    session.attempts.append(attempt)
    with suppress(*Shown), running(session, attempt.turn):
        tidy_after_stop(attempt.turn)
        messages = [{"role": "user", "content": request}]
        play(attempt.turn, lambda: seeded(attempt, session.draft.to_config(), messages), messages)
        if attempt.turn.state == "done":
            with st.spinner("Grading"):
                judge(attempt, challenge)
    st.rerun()


def draw_attempt(attempt: Attempt) -> None:
    """One attempt: the report first, then the code, then how it came about."""
    st.subheader(f"Attempt {attempt.number}")
    turn = attempt.turn
    if turn.error is not None:
        show_problem(turn.error)
    if turn.state == "stopped":
        st.badge("Stopped before it was graded", icon=":material/stop_circle:", color="gray")
    if attempt.reason:
        st.warning(
            as_plain(capitalised(attempt.reason)), title="No points this time", icon=":material/code_off:"
        )
    if attempt.report:
        show_report(attempt.report)
    for note in turn.notes:
        st.caption(f":material/info: {as_plain(note)}")
    if attempt.code:
        with st.expander("The code that was graded", icon=":material/code:", expanded=True):
            st.code(attempt.code, language="python", line_numbers=True)
    draw_turn_layers(turn, expanded=not attempt.code)
    if turn.answer:
        with st.expander("The summarizer's whole answer", icon=":material/notes:", expanded=not attempt.code):
            st.markdown(as_markdown(turn.answer))


def history_rows(attempts: list[Attempt]) -> pd.DataFrame:
    rows = []
    for attempt in attempts:
        report, records = attempt.report or {}, attempt.turn.records
        rows.append(
            {
                "number": attempt.number,
                "score": report.get("score", 0.0),
                "letter": report.get("letter", "–"),
                "tokens": sum(record.completion_tokens or 0 for record in records),
                "total_s": attempt.turn.total_s,
                "models": ", ".join(dict.fromkeys(record.model for record in records)),
            }
        )
    return pd.DataFrame(rows)


def draw_history(attempts: list[Attempt], challenge: Challenge) -> None:
    """All attempts of this session on this challenge."""
    st.subheader("Attempts in this session")
    st.dataframe(
        history_rows(attempts),
        hide_index=True,
        column_config={
            "number": st.column_config.NumberColumn("Attempt", width="small"),
            "score": st.column_config.ProgressColumn(
                "Score", min_value=0, max_value=challenge.max_score, format="%.1f"
            ),
            "letter": st.column_config.TextColumn("Letter", width="small"),
            "tokens": st.column_config.NumberColumn("Tokens written", format="localized"),
            "total_s": st.column_config.NumberColumn("Seconds", format="%.1f"),
            "models": st.column_config.TextColumn("Models"),
        },
        alt=f"{count(len(attempts), 'attempt')} with score, tokens and seconds",
    )


with page_body():
    with row():
        st.title("Challenge")
    st.caption(
        "You do not write the code: your agents do. Configure them well, let them write, and read the report."
    )
    all_challenges = challenges()
    challenge = all_challenges[0]
    if len(all_challenges) > 1:
        by_name = {each.name: each for each in all_challenges}
        chosen = st.segmented_control(
            "Challenge",
            list(by_name),
            default=challenge.name,
            required=True,
            format_func=lambda name: by_name[name].title,
            key="challenge_name",
            persist_state="session",
        )
        challenge = by_name[chosen]

    draw_brief(challenge)
    draw_details(challenge)

    st.subheader("Your agents' turn")
    with row(vertical_alignment="center", gap="small"):
        st.caption(setup_line(session.draft), width="content")
        st.page_link("pages/agents.py", label="Change the agents", icon=":material/tune:")
    with row():
        is_started = st.button(
            "Let the agents write it",
            type="primary",
            icon=":material/play_arrow:",
            key="challenge_go",
            on_click=choose_latest,
        )
        if is_started:
            st.button("Stop", icon=":material/stop_circle:", key="challenge_stop")
    if is_started:
        make_attempt(challenge)

    attempts = [attempt for attempt in session.attempts if attempt.challenge == challenge.name]
    if attempts:
        if len(attempts) > 1:
            draw_history(attempts, challenge)
            st.segmented_control(
                "Show attempt",
                [attempt.number for attempt in attempts],
                default=attempts[-1].number,
                required=True,
                key="challenge_shown",
            )
        shown = st.session_state.get("challenge_shown")
        draw_attempt(next((a for a in attempts if a.number == shown), attempts[-1]))
