"""Let the agents write a function, and see what it scores."""

import json

import pandas as pd
import streamlit as st

from grader import challenges, grade, task_messages, task_request
from grader.errors import GraderError
from grader.grading.challenge import Challenge
from pages.parts.competition.budget_line import draw_budget_line
from pages.parts.layout import page_body, page_title, row
from pages.parts.model_advice import expected_time, show_model_advice
from pages.parts.problems import show_problem
from pages.parts.report import checks_table, points, show_report, title_of
from pages.parts.scroll import scroll_to
from pages.parts.session import init_session
from pages.parts.setup import setup_line
from pages.parts.stream import begin, draw_turn_layers, follow, stop_button, watch
from pages.parts.tryout import draw_tryout
from pages.state.attempts import Attempt
from pages.state.comparison import code_diff, is_copy
from pages.state.config_diff import config_diff
from pages.state.public_cases import PublicCases
from pages.state.text import as_markdown, as_plain, capitalised, count
from pages.state.turn import Turn

session = init_session()


@st.cache_data(show_spinner=False)
def baseline_score(challenge_name: str, baseline: str) -> float | None:
    """What the faulty first attempt itself earns; None when the grader fails here."""
    try:
        return grade(baseline, challenge_name).score
    except GraderError:
        return None


def draw_brief(challenge: Challenge) -> None:
    """The task on the left, the baseline beside it."""
    left, right = st.columns([9, 11], gap="medium")
    with left:
        st.markdown(challenge.brief)
    with right:
        own = baseline_score(challenge.name, challenge.baseline)
        earns = "" if own is None else f" It earns {points(own)} of {points(challenge.max_score)} points."
        st.markdown(f"**The baseline:** it runs, and it has bugs. Your agents get to see it.{earns}")
        st.code(challenge.baseline, language="python", wrap_lines=True)


def draw_details(challenge: Challenge) -> None:
    """Checks, public cases and the request, one at a time."""
    checks, cases, request = st.tabs(
        [
            f"{count(len(challenge.checks), 'check')}, {points(challenge.max_score)} points",
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


def make_attempt(challenge: Challenge) -> None:
    """Start the agents on the challenge; what they wrote is graded when they are done."""
    if session.running:
        return
    number = len(session.attempts) + 1
    turn = Turn(task_request(challenge), title=f"{challenge.title}, attempt {number}")
    attempt = Attempt(number, challenge.name, turn)
    session.attempts.append(attempt)
    messages = task_messages(challenge)
    begin(
        session,
        turn,
        lambda: attempt.seeded(session.draft.to_config(), messages),
        messages,
        after=lambda: attempt.grade(challenge),
        checker=PublicCases(challenge.name),
    )


def draw_steps(n_attempts: int, *, is_running: bool) -> None:
    """Where one is: four steps in a line."""
    steps = ("Read the brief", "Set up your agents", "Let them write", "Read the report")
    here = 2 if is_running else 3 if n_attempts else 0
    words = [
        f"**{number + 1}\u2009·\u2009{step}**"
        if number == here
        else f":gray[{number + 1}\u2009·\u2009{step}]"
        for number, step in enumerate(steps)
    ]
    st.markdown(" :gray[→] ".join(words))


def draw_start(challenge: Challenge, running: Turn | None) -> None:
    """The setup, how long it may take, and the button, all in the first screen."""
    with st.container(border=True):
        with row(vertical_alignment="center", gap="small"):
            st.caption(setup_line(session.draft), width="content")
            st.page_link("pages/agents.py", label="Change the agents", icon=":material/tune:")
        show_model_advice(session)
        draw_budget_line(session)
        with row(vertical_alignment="center"):
            st.button(
                "Let the agents write it",
                type="primary",
                icon=":material/play_arrow:",
                key="challenge_go",
                on_click=make_attempt,
                args=(challenge,),
                disabled=running is not None,
            )
            if running:
                stop_button(running, "challenge_stop")
            else:
                st.caption(expected_time(session), width="content")


def draw_attempt(attempt: Attempt, challenge: Challenge) -> None:
    """One attempt: the report first, then the code, then how it came about."""
    st.subheader(f"Attempt {attempt.number}")
    turn = attempt.turn
    if turn.is_running:
        watch(turn)
        st.rerun()
    if turn.error is not None:
        show_problem(turn.error)
    if turn.state == "stopped":
        st.badge("Stopped before it was graded", icon=":material/stop_circle:", color="gray")
    if attempt.reason:
        st.warning(
            as_plain(capitalised(attempt.reason)), title="No points this time", icon=":material/code_off:"
        )
    if attempt.code and is_copy(attempt.code, challenge.baseline):
        st.warning(
            "Your agents handed the faulty baseline back unchanged. Tell the last writer what to change, "
            "or give "
            "it a model that can program.",
            title="This is a copy of the baseline",
            icon=":material/content_copy:",
        )
    if turn.is_cut:
        st.caption(
            ":material/content_cut: The answer was cut at the summarizer's token limit: the function may "
            "end in "
            "the middle. Give it a higher limit on the Agents page."
        )
    for note in turn.notes:
        st.caption(f":material/info: {as_plain(note)}")
    if attempt.report:
        show_report(attempt.report)
    if attempt.code:
        code, tryout = st.tabs(["The code that was graded", "Try it on an input"])
        with code:
            st.code(attempt.code, language="python", line_numbers=True)
        with tryout:
            draw_tryout(attempt, challenge)
    draw_turn_layers(turn, expanded=not attempt.code, key=f"challenge_layers_{attempt.key}")
    if turn.answer:
        with st.expander("The summarizer's whole answer", icon=":material/notes:", expanded=not attempt.code):
            st.markdown(as_markdown(turn.answer))


def history_rows(attempts: list[Attempt]) -> pd.DataFrame:
    """One row per attempt."""
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
    """All attempts of this browser on this challenge."""
    st.subheader("Your attempts")
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
    written = [attempt for attempt in attempts if attempt.config]
    if len(written) > 1:
        with st.expander("What changed between two attempts", icon=":material/difference:"):
            draw_diff(written)


def draw_diff(attempts: list[Attempt]) -> None:
    """The configurations and the code of two attempts, line by line."""
    by_number = {attempt.number: attempt for attempt in attempts}
    numbers = list(by_number)
    left, right = st.columns(2)
    # Keys that know how many attempts there are: with a new one, the newest two are compared.
    with left:
        before = by_number[
            st.selectbox("From", numbers, index=len(numbers) - 2, key=f"challenge_from_{len(numbers)}")
        ]
    with right:
        after = by_number[
            st.selectbox("To", numbers, index=len(numbers) - 1, key=f"challenge_to_{len(numbers)}")
        ]
    setup_tab, code_tab = st.tabs(["The setup", "The code"])
    with setup_tab:
        show_diff(config_diff(before.config, after.config), "The same setup: the agents were sampled anew.")
    with code_tab:
        show_diff(code_diff(before.code, after.code), "The same code.")


def show_diff(diff: str, same: str) -> None:
    """A diff, or that there is none."""
    if diff:
        st.code(diff, language="diff", wrap_lines=True)
    else:
        st.caption(same)


def choose_attempt(attempts: list[Attempt]) -> Attempt:
    """The newest attempt, until another one is chosen; a new attempt is shown again."""
    if len(attempts) == 1:
        return attempts[0]
    number = st.segmented_control(
        "Show attempt",
        [attempt.number for attempt in attempts],
        default=attempts[-1].number,
        required=True,
        key=f"challenge_shown_{attempts[-1].key}",
    )
    return next(attempt for attempt in attempts if attempt.number == number)


with page_body():
    page_title("Challenge")
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
    attempts = [attempt for attempt in session.attempts if attempt.challenge == challenge.name]
    running = session.running
    draw_steps(len(attempts), is_running=running is not None)
    draw_start(challenge, running)
    fold = st.expander(
        "The brief, the baseline and the checks",
        icon=":material/description:",
        expanded=not attempts,
        key=f"challenge_brief_{challenge.name}_{bool(attempts)}",
        on_change="rerun",
    )
    if fold.open:
        with fold:
            draw_brief(challenge)
            draw_details(challenge)

    if attempts:
        with st.container(key="challenge_report"):
            shown = choose_attempt(attempts)
            began = f"{shown.key}_running"  # where nobody saw it begin, nothing moves when it ends
            occasion = f"{shown.key}_{shown.turn.state}"
            scroll_to("challenge_report", occasion, after="" if occasion == began else began)
            draw_attempt(shown, challenge)
        draw_history(attempts, challenge)
    if running:
        follow(running)
