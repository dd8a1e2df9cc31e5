"""Try it on this input: an edited example runs through the agents' function and the reference."""

from __future__ import annotations

import json

import streamlit as st

from grader import Tryout, try_input
from grader.errors import GraderError
from grader.grading.challenge import Challenge
from pages.state.attempts import Attempt
from pages.state.text import as_plain, capitalised

RESULT = "challenge_tryout"


def try_it(attempt: Attempt, challenge: Challenge, key: str) -> None:
    """The button was pressed: run the typed input, remember what came of it."""
    typed = st.session_state[key]
    found: Tryout | str
    try:
        named = json.loads(typed)
        if not isinstance(named, dict):
            raise ValueError("the input is a JSON object with the names of the parameters")
        found = try_input(attempt.code, challenge, named)
    except (ValueError, RecursionError) as exc:
        found = f"This cannot be tried: {exc}"
    except GraderError as exc:
        found = f"The sandbox itself failed: {exc}"
    st.session_state[RESULT] = (attempt.key, typed, found)


def draw_tryout(attempt: Attempt, challenge: Challenge) -> None:
    """The input to edit, the button, and both answers side by side."""
    example = next(
        (case for case in challenge.public_cases if 0 < len(json.dumps(case.input)) < 1500),
        challenge.public_cases[0],
    )
    key = f"challenge_try_{attempt.key}"
    st.caption("Edit the input, then run your agents' function (in the sandbox) and the reference on it.")
    st.text_area("Input as JSON", json.dumps(example.input, indent=1), key=key, height=220, max_chars=60_000)
    st.button(
        "Try it",
        icon=":material/science:",
        key=f"challenge_try_go_{attempt.key}",
        on_click=try_it,
        args=(attempt, challenge, key),
    )
    whose, typed, found = st.session_state.get(RESULT, ("", "", ""))
    if whose != attempt.key or not found:
        return
    if isinstance(found, str):
        st.error(as_plain(found), icon=":material/error:")
        return
    if typed != st.session_state[key]:
        st.caption(":material/history: The answers below belong to the input as it was.")
    if found.agrees:
        st.success("Both give the same answer.", icon=":material/check_circle:")
    left, right = st.columns(2)
    with left:
        st.caption("Your agents' function")
        draw_answer(found.got, found.problem)
    with right:
        st.caption("The reference")
        draw_answer(found.expected, found.reference_problem)


def draw_answer(value: object, problem: str) -> None:
    """A value as JSON, or why there is none."""
    if problem:
        st.warning(as_plain(capitalised(problem)))
    else:
        st.code(json.dumps(value, indent=1, default=repr), language="json", wrap_lines=True, height=240)
