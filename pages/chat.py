"""Ask a question: the agents answer layer by layer, the summarizer's answer stands below."""

from contextlib import suppress

import streamlit as st

from pages.parts.layout import PAGE_WIDTH_PX, page_body, row
from pages.parts.problems import Shown, show_problem
from pages.parts.run_report import show_calls, show_layer_charts, show_timeline, show_totals
from pages.parts.session import init_session
from pages.parts.setup import setup_line
from pages.parts.stream import ANSWER_CAPTION, draw_turn_layers, play, running, tidy_after_stop
from pages.state.text import as_markdown, as_plain
from pages.state.turn import Turn, conversation, finished

FIRST_QUESTIONS = (
    "Why is the sky blue?",
    "How do I make good coffee?",
    "What does a compiler do?",
    "Tell me how bees make honey.",
)
ASSISTANT_ICON = ":material/hub:"
USER_ICON = ":material/person:"

session = init_session()


def ask(question: str) -> None:
    """Remember a question to be answered in the coming run."""
    st.session_state["chat_pending"] = question


def ask_suggestion() -> None:
    """A first question was clicked."""
    if st.session_state["chat_suggestion"]:
        ask(st.session_state["chat_suggestion"])


def edit_question(question: str) -> None:
    """Put a question back into the input."""
    st.session_state["chat_input"] = question


def ask_again(turn: Turn) -> None:
    """Answer a question anew: its turn makes room for the new one."""
    session.turns.remove(turn)
    ask(turn.question)


def start_over() -> None:
    """Forget the conversation; the last run stays for the Wafer page."""
    session.turns.clear()


def draw_save() -> None:
    """Download the conversation, once there is an answer in it."""
    saved = finished(session.turns)
    if not saved.turns:
        return
    with st.popover("Save", icon=":material/download:"):
        st.download_button(
            "Markdown, to read",
            saved.to_markdown,
            "conversation.md",
            "text/markdown",
            key="chat_save_markdown",
            on_click="ignore",
        )
        st.download_button(
            "JSON, to process",
            saved.to_json,
            "conversation.json",
            "application/json",
            key="chat_save_json",
            on_click="ignore",
        )


def draw_welcome() -> None:
    """What an empty chat says."""
    st.markdown(
        "Ask a question. The agents of each layer answer at the same time and read what the layer before "
        "them wrote; the summarizer turns the last answers into one."
    )
    st.pills("Or start with one of these", FIRST_QUESTIONS, key="chat_suggestion", on_change=ask_suggestion)


def draw_question(turn: Turn) -> None:
    with st.chat_message("user", avatar=USER_ICON):
        st.markdown(as_markdown(turn.question))


def draw_turn(turn: Turn, number: int, *, is_last: bool) -> None:
    """A turn that has ended."""
    draw_question(turn)
    with st.chat_message("assistant", avatar=ASSISTANT_ICON):
        draw_turn_layers(turn, expanded=is_last)
        if turn.answer:
            st.caption(ANSWER_CAPTION)
            st.markdown(as_markdown(turn.answer))
        if turn.state == "stopped":
            st.badge("Stopped", icon=":material/stop_circle:", color="gray")
        if turn.error is not None:
            show_problem(turn.error)
        for note in turn.notes:
            st.caption(f":material/info: {as_plain(note)}")
        if is_last or turn.state == "failed":
            with row():
                st.button(
                    "Try again" if turn.state == "failed" else "Ask again",
                    icon=":material/refresh:",
                    key=f"chat_again_{number}",
                    on_click=ask_again,
                    args=(turn,),
                )
                st.button(
                    "Edit the question",
                    icon=":material/edit:",
                    key=f"chat_edit_{number}",
                    on_click=edit_question,
                    args=(turn.question,),
                )
        if turn.records:
            draw_measures(turn, number, is_last=is_last)


def draw_measures(turn: Turn, number: int, *, is_last: bool) -> None:
    """What the run took; folded away for all but the last turn."""
    fold = st.expander(
        "What this run took",
        icon=":material/timer:",
        expanded=is_last,
        key=f"chat_measures_{number}_{is_last}",
        on_change="rerun",
    )
    if not fold.open:
        return
    with fold:
        if turn.state != "failed":
            show_totals(turn)
        show_calls(turn)
        if show_layer_charts(turn, key=f"chat_layers_{number}"):
            st.page_link(
                "pages/wafer.py", label="See prefill and decode on the Wafer page", icon=":material/memory:"
            )
        elif turn.state != "failed":
            show_timeline(turn, key=f"chat_timeline_{number}")


def answer(question: str) -> None:
    """Run the agents on `question`, drawing as they write."""
    earlier = list(session.turns)
    turn = Turn(question)
    session.turns.append(turn)
    with suppress(*Shown), running(session, turn):
        draw_question(turn)
        tidy_after_stop(turn)
        with st.chat_message("assistant", avatar=ASSISTANT_ICON):
            play(turn, session.draft.to_config, conversation(earlier, question))
    st.rerun()


with st.bottom, st.container(horizontal_alignment="center"):
    typed = st.chat_input("Ask your agents", key="chat_input", submit_mode="stop", width=PAGE_WIDTH_PX)
question = typed or st.session_state.pop("chat_pending", None)

with page_body():
    with row(horizontal_alignment="distribute", vertical_alignment="center"):
        st.title("Chat")
        if session.turns:
            with row(width="content"):
                draw_save()
                st.button(
                    "New conversation", icon=":material/add_comment:", key="chat_new", on_click=start_over
                )
    with row(vertical_alignment="center", gap="small"):
        st.caption(setup_line(session.draft), width="content")
        st.page_link("pages/agents.py", label="Change the agents", icon=":material/tune:")

    welcome = st.empty()  # emptied at once when a question comes; otherwise it would fade only after the run
    if not session.turns and not question:
        with welcome.container():
            draw_welcome()

    for number, turn in enumerate(session.turns):
        draw_turn(turn, number, is_last=turn is session.turns[-1] and not question)
    if question:
        if not typed:
            st.button("Stop", icon=":material/stop_circle:", key="chat_stop")
        answer(question)
