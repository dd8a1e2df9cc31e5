"""Ask a question: the agents answer layer by layer, the summarizer makes one answer of theirs."""

from dataclasses import replace

import streamlit as st

from moa_core import Agent, MoAConfig
from pages.parts.files import offer_file
from pages.parts.layout import PAGE_WIDTH_PX, page_body, page_title, row
from pages.parts.problems import show_problem
from pages.parts.router_view import show_routes_of_run
from pages.parts.run_report import show_calls, show_layer_charts, show_timeline, show_totals
from pages.parts.scroll import scroll_to
from pages.parts.session import init_session
from pages.parts.setup import setup_line
from pages.parts.stream import begin, draw_turn_layers, follow, stop_button, watch
from pages.parts.tour import draw_tour
from pages.parts.words import draw_words
from pages.state.draft import NEW_AGENT_PROMPT
from pages.state.model_choice import dollars
from pages.state.text import as_markdown, as_plain, count, seconds
from pages.state.turn import Turn, conversation, finished, to_json

FIRST_QUESTIONS = (
    "Why is the sky blue?",
    "How do I make good coffee?",
    "What does a compiler do?",
    "Tell me how bees make honey.",
)
ASSISTANT_ICON = ":material/hub:"
USER_ICON = ":material/person:"
CUT = (
    ":material/content_cut: The answer was cut at the summarizer's token limit. A higher limit (Agents page) "
    "gives it room; a small model may still repeat itself."
)

session = init_session()


def ask(question: str) -> None:
    """Start the agents on a question; the run goes on in the server, whoever looks at it."""
    if not question.strip() or session.running:
        return
    turn, earlier = Turn(question), list(session.turns)
    session.turns.append(turn)
    begin(session, turn, session.draft.to_config, conversation(earlier, question))


def ask_typed() -> None:
    """A question was sent."""
    if not (st.session_state["chat_input"] or "").strip():
        st.toast("That was an empty question: type some words first.", icon=":material/edit:")
        return
    ask(st.session_state["chat_input"])


def ask_suggestion() -> None:
    """A first question was clicked."""
    if st.session_state["chat_suggestion"]:
        ask(st.session_state["chat_suggestion"])


def edit_question(question: str) -> None:
    """Put a question back into the input."""
    st.session_state["chat_input"] = question


def ask_again(turn: Turn) -> None:
    """Answer a question anew: its turn makes room for the new one."""
    if not session.running:
        session.turns.remove(turn)
        ask(turn.question)


def ask_one_model(turn: Turn) -> None:
    """The same question to the summarizer's model alone, with nobody's help."""
    if session.running:
        return
    earlier = session.turns[: session.turns.index(turn)]
    turn.single = Turn(turn.question)
    begin(session, turn.single, alone, conversation(earlier, turn.question))


def alone() -> MoAConfig:
    """A configuration of one model: the summarizer's, with a plain prompt."""
    writer: Agent = session.draft.summarizer.to_agent()
    return MoAConfig(summarizer=replace(writer, name="One model", prompt=NEW_AGENT_PROMPT))


def start_over() -> None:
    """Forget the conversation; the last run stays for the Wafer page."""
    if session.running:
        session.running.stop()
    session.turns.clear()


def draw_save() -> None:
    """Download the conversation, once there is an answer in it."""
    saved = finished(session.turns)
    if not saved.turns:
        return
    with st.popover("Save", icon=":material/download:"):
        offer_file(
            "Markdown, to read",
            saved.to_markdown,
            "conversation.md",
            key="chat_save_markdown",
        )
        offer_file(
            "JSON, with every agent's text and times",
            lambda: to_json(session.turns),
            "conversation.json",
            key="chat_save_json",
        )


def draw_welcome() -> None:
    """What an empty chat says."""
    st.markdown(
        "Ask a question. The agents of each layer answer at the same time and read what the layer before "
        "them wrote; the summarizer turns the last answers into one."
    )
    draw_words(agents="Mixture of agents", token="Token")
    st.pills("Or start with one of these", FIRST_QUESTIONS, key="chat_suggestion", on_change=ask_suggestion)


def draw_turn(turn: Turn, number: int) -> None:
    """A question and what became of it, or what becomes of it right now."""
    is_last = turn is session.turns[-1]
    with st.container(key=f"chat_turn_{number}"):
        with st.chat_message("user", avatar=USER_ICON):
            st.markdown(as_markdown(turn.question))
        with st.chat_message("assistant", avatar=ASSISTANT_ICON):
            if turn.is_running:
                scroll_to(f"chat_turn_{number}", "asked")
                watch(turn)
                st.rerun()
            if is_last:
                scroll_to(f"chat_turn_{number}", "answered", after="asked")
            draw_answer(turn, number)
            draw_actions(turn, number, is_last=is_last)
            draw_turn_layers(turn, expanded=is_last, key=f"chat_layers_{number}")
            if turn.records:
                draw_measures(turn, number, is_last=is_last)


def draw_answer(turn: Turn, number: int) -> None:
    """The answer, or why there is none; beside it what one model alone says, if it was asked."""
    if turn.single is None:
        draw_text(turn)
        return
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True):
        st.markdown(f"**The agents** :gray[· {took(turn)}]")
        draw_text(turn)
    with right, st.container(border=True):
        title = st.empty()
        if turn.single.is_running:
            watch(turn.single)
            st.rerun()
        title.markdown(f"**One model alone** :gray[· {took(turn.single)}]")
        draw_text(turn.single)


def draw_text(turn: Turn) -> None:
    """What a turn's answer is, whether it is whole, and what had to be said about it."""
    if turn.answer:
        st.markdown(as_markdown(turn.answer))
    if turn.is_cut:
        st.caption(CUT)
    if turn.state == "stopped":
        st.badge("Stopped", icon=":material/stop_circle:", color="gray")
    if turn.error is not None:
        show_problem(turn.error)
    for note in turn.notes:
        st.caption(f":material/info: {as_plain(note)}")


def took(turn: Turn) -> str:
    """ "34 s, 812 tokens in 7 calls", and what it cost where prices are known."""
    tokens = sum(record.completion_tokens or 0 for record in turn.records)
    calls = count(len(turn.records), "call")
    cost = "" if turn.cost_usd is None else f", {as_plain(dollars(turn.cost_usd))}"
    return f"{seconds(turn.total_s)}, {count(tokens, 'token')} in {calls}{cost}"


def draw_actions(turn: Turn, number: int, *, is_last: bool) -> None:
    """What can be done with a question that was answered, or not."""
    if not is_last and turn.state != "failed":
        return
    is_busy = session.running is not None
    with row():
        st.button(
            "Try again" if turn.state == "failed" else "Ask again",
            icon=":material/refresh:",
            key=f"chat_again_{number}",
            on_click=ask_again,
            args=(turn,),
            disabled=is_busy,
        )
        st.button(
            "Edit the question",
            icon=":material/edit:",
            key=f"chat_edit_{number}",
            on_click=edit_question,
            args=(turn.question,),
        )
        if turn.state == "done" and turn.single is None and turn.layers:
            st.button(
                "Ask one model alone",
                icon=":material/compare:",
                key=f"chat_single_{number}",
                on_click=ask_one_model,
                args=(turn,),
                disabled=is_busy,
                help="The same question to the summarizer's model without the agents, side by side.",
            )


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
            show_timeline(turn, key=f"chat_timeline_{number}")
        show_calls(turn)
        show_routes_of_run(turn, key=f"chat_routes_{number}")
        if show_layer_charts(turn, key=f"chat_bars_{number}"):
            st.page_link(
                "pages/wafer.py",
                label="See prefill and decode on the Wafer page",
                icon=":material/memory:",
            )
        draw_words(prefill="Prefill and decode", first="Time to first token", attention="Attention")


running = session.running
with (
    st.bottom,
    st.container(horizontal_alignment="center"),
    row(width=PAGE_WIDTH_PX, vertical_alignment="bottom"),
):
    st.chat_input(
        "Your agents are at work" if running else "Ask your agents",
        key="chat_input",
        on_submit=ask_typed,
        disabled=running is not None,
    )
    if running:
        stop_button(running, "chat_stop")

with page_body():
    line = page_title("Chat")
    if session.turns:
        with line, row(width="content"):
            draw_save()
            st.button("New conversation", icon=":material/add_comment:", key="chat_new", on_click=start_over)
    with row(vertical_alignment="center", gap="small"):
        st.caption(setup_line(session.draft), width="content")
        st.page_link("pages/agents.py", label="Change the agents", icon=":material/tune:")

    draw_tour("pages/chat.py")
    if not session.turns:
        draw_welcome()
    for number, turn in enumerate(session.turns):
        draw_turn(turn, number)
    if running:
        follow(running)
