"""One call opened: the very messages it was sent, what it wrote, its tokens, its times, what came with it."""

from __future__ import annotations

import streamlit as st

from moa_core import CallRecord
from pages.state.measured import call_rows
from pages.state.model_choice import dollars
from pages.state.text import as_markdown, as_plain, seconds
from pages.state.turn import is_cut

ROLE_NAMES = {"system": "System prompt", "user": "User", "assistant": "Assistant"}


@st.dialog("A call, opened", width="large")
def open_call(record: CallRecord) -> None:
    """Everything that is known about a call."""
    where = "Summarizer" if record.role == "summarizer" else f"Agent layer {record.layer}"
    st.markdown(f"**{as_plain(record.agent)}** · {where} · {as_plain(record.model)}")
    row = call_rows([record])[0]
    with st.grid(4, min_column_width=120):
        st.metric("Prompt tokens", _number(record.prompt_tokens))
        st.metric("Of them cached", _number(record.cached_tokens))
        st.metric("Tokens written", _number(record.completion_tokens))
        st.metric("Tokens per second", "–" if row["tokens_per_s"] is None else f"{row['tokens_per_s']:.1f}")
        st.metric("Began after", seconds(record.start_s))
        st.metric(
            "To the first token", "–" if row["first_token_s"] is None else seconds(row["first_token_s"])
        )
        st.metric("In all", seconds(row["total_s"]))
        st.metric("Attempts", record.attempts)
        if record.reasoning_tokens:
            st.metric("Tokens of thinking", _number(record.reasoning_tokens))
        if record.cost_usd is not None:
            st.metric("Cost", as_plain(dollars(record.cost_usd)))
    if (times := server_times(record)) != "":
        st.caption(times)
    for note in record.notes:
        st.caption(f":material/info: {as_plain(note)}")
    if record.error:
        st.error(as_plain(record.error), title="It failed and was left out", icon=":material/error:")
    if is_cut(record):
        st.warning(
            "It was cut at its token limit. On the Agents page a higher limit gives it room.",
            icon=":material/content_cut:",
        )
    answer, asked, raw = st.tabs(["What it wrote", "What it was sent", "Raw"])
    with answer:
        st.markdown(as_markdown(record.text) or "Nothing.")
        if record.reasoning:
            st.caption("Thinking, no part of the answer")
            st.code(record.reasoning, language=None, wrap_lines=True)
    with asked:
        if not record.messages:
            st.caption("The messages of this call were not kept.")
        for message in record.messages:
            st.caption(ROLE_NAMES.get(message["role"], message["role"]))
            st.code(message["content"], language=None, wrap_lines=True)
    with raw:
        st.caption("As the provider reported it; times are measured here.")
        st.json(
            {
                "provider": record.provider,
                "finish_reason": record.finish_reason,
                "start_s": round(record.start_s, 4),
                "first_token_s": record.first_token_s,
                "end_s": round(record.end_s, 4),
                "usage": {
                    "prompt_tokens": record.prompt_tokens,
                    "cached_tokens": record.cached_tokens,
                    "completion_tokens": record.completion_tokens,
                    "reasoning_tokens": record.reasoning_tokens,
                },
                "cost_usd": record.cost_usd,
                "notes": list(record.notes),
                "reported": dict(record.raw),
            }
        )


def server_times(record: CallRecord) -> str:
    """ "The server's own times: 0.25 s in its queue, 0.02 s reading, 0.50 s writing."; "" without any."""
    told = ((record.queue_s, "in its queue"), (record.prompt_s, "reading"), (record.completion_s, "writing"))
    parts = [f"{seconds(value)} {what}" for value, what in told if value is not None]
    return f"The server's own times: {', '.join(parts)}." if parts else ""


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
