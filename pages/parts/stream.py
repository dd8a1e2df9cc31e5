"""Draws a turn: live while its events come in, and again from its record on every later rerun."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from moa_core import CallRecord, Checker, MoAConfig, run
from moa_core.errors import MoAError
from pages.parts import backend
from pages.parts.call_view import open_call
from pages.parts.lanes import draw_lanes
from pages.parts.notices import PAUSED, runs_are_paused
from pages.parts.problems import Shown
from pages.parts.setup import MODEL_CHARS
from pages.state.background import Stopped, start
from pages.state.lanes import lanes_of
from pages.state.model_choice import dollars
from pages.state.routing import forget_old_routes
from pages.state.session import Session
from pages.state.text import as_markdown, as_plain, count, seconds, shortened, size
from pages.state.turn import CallView, LayerView, Turn, is_cut
from wse_backend import EnginePool, Load

CARD_HEIGHT_PX = 230
MIN_CARD_WIDTH_PX = 260
SHORT_CHARS = 300  # answers that need no scrolling
MAX_CARDS_PER_ROW = 3
REDRAW_S = 0.12  # a card is redrawn at most this often, however fast its tokens come
LANES_S = 1.0
FOLLOW_S = 0.5
LOAD_POLL_S = 0.1

ANSWER_CAPTION = "Summarizer"
STAGE_NAMES = {
    "waiting": "starting",
    "compile kernels": "compiling the kernels for this processor (only the first time)",
    "first pass": "warming up",
}
STAGES = {"failed": ("Left out", "red"), "stopped": ("Stopped", "gray")}


class LiveTurn:
    """The elements of a running turn. Created on the script thread, drawn into by it only."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._line = st.empty()  # not st.status: it folds itself when it is updated many times a second
        self._lanes = st.empty()
        self._frame = st.container()
        self._answer_head, self._answer = st.empty(), st.empty()
        self._slots: dict[tuple[int, int], tuple[DeltaGenerator, DeltaGenerator]] = {}
        self._drawn: dict[tuple[int, int], tuple[int, int, str, str]] = {}
        self._answer_drawn = ""
        self._lanes_at = -LANES_S

    def redraw(self) -> None:
        """Draw every card that changed, the answer, the lanes, and the time that went by."""
        for layer in list(self._turn.layers):
            if layer.calls and (layer.number, layer.calls[0].index) not in self._slots:
                self._open_layer(layer)
            for call in layer.calls:
                self._draw_call(call)
        if self._turn.answer != self._answer_drawn:
            self._answer_head.caption(ANSWER_CAPTION)
            self._answer.markdown(as_markdown(self._turn.answer))
            self._answer_drawn = self._turn.answer
        elapsed_s = self._turn.clock()
        self._line.markdown(f":shimmer[{as_plain(self._turn.progress)}] :gray[· {elapsed_s:.1f} s]")
        if elapsed_s - self._lanes_at >= LANES_S and (rows := lanes_of(self._turn)):
            self._lanes_at = elapsed_s
            with self._lanes.container():
                draw_lanes(rows, elapsed_s)

    def _draw_call(self, call: CallView) -> None:
        place = (call.layer, call.index)
        looks = (len(call.text), len(call.reasoning), call.state, call.note)
        if place in self._slots and self._drawn.get(place) != looks:
            draw_card_body(*self._slots[place], call, None)
            self._drawn[place] = looks

    def _open_layer(self, layer: LayerView) -> None:
        with self._frame:
            frames = draw_layer_frame(layer, self._turn.n_layers, is_live=True)
            for call, frame in zip(layer.calls, frames, strict=True):
                self._slots[call.layer, call.index] = frame


def begin(
    session: Session,
    turn: Turn,
    make_config: Callable[[], MoAConfig],
    messages: Sequence[dict[str, str]],
    after: Callable[[], None] = lambda: None,
    checker: Checker | None = None,
) -> None:
    """Start a run that belongs to the server: it goes on whoever looks at it, until `turn.stop()`.

    Call it in a callback or in the script; what is wrong with the configuration is said by the turn.
    after: what follows the answer, on the run's thread (no `st` calls). checker: tries answers, for the
    strategies that test their work.
    """
    session.last_run = turn
    forget_old_routes(session)
    turn.activity = "Preparing"
    try:
        if runs_are_paused():
            raise MoAError(PAUSED)
        config = backend.routed(make_config())
        providers = backend.providers()
    except Shown as exc:
        turn.finish_early(exc)
        turn.ended.set()
        session.save()
        return
    pool = backend.engine_pool()
    here = [model for model in config.models if backend.is_in_process(model)]
    start(
        turn,
        lambda: run(config, messages, providers, checker),
        before=lambda: wait_for_models(turn, pool, here),
        after=after,
        at_end=session.save,
    )


def wait_for_models(turn: Turn, pool: EnginePool, models: Sequence[str]) -> None:
    """Fetch and load the in-process models; `turn.activity` says how far. Raises what loading raised."""
    for model in models:
        load = pool.start_loading(model)
        while not load.wait(LOAD_POLL_S):
            share = f" {load.share:.0%}" if load.total else ""
            turn.activity = f"{_loading_text(load)}{share}"
            if turn.stop_wanted.is_set():
                raise Stopped
        load.engine.result()
    turn.activity = "Preparing"


def watch(turn: Turn) -> None:
    """Draw a run until it ends. Leaving early (another page, another click) leaves the run alone."""
    live = LiveTurn(turn)
    live.redraw()
    while not turn.ended.wait(REDRAW_S):
        live.redraw()
    live.redraw()


def follow(turn: Turn) -> None:
    """Wait at the end of a page for a run that it was drawn with, then draw the page anew.

    One line says what runs elsewhere; a run that ended meanwhile is not missed.
    """
    line = st.empty()
    while not turn.ended.wait(FOLLOW_S):
        line.caption(f":shimmer[{as_plain(turn.name)}: {as_plain(turn.progress)}] · {turn.clock():.0f} s")
    st.rerun()


def stop_button(turn: Turn, key: str) -> None:
    """Ends the run; what was written so far stays."""
    st.button(
        "Stop", icon=":material/stop_circle:", key=key, on_click=turn.stop, disabled=turn.stop_wanted.is_set()
    )


def load_models(config: MoAConfig) -> None:
    """Fetch and load the in-process models of `config`, with a progress bar for each that is not here yet.

    Raises what the loading raised.
    """
    for model in config.models:
        if not backend.is_in_process(model):
            continue
        load = backend.engine_pool().start_loading(model)
        if not load.wait(LOAD_POLL_S):
            slot = st.empty()
            while not load.wait(LOAD_POLL_S):
                slot.progress(load.share, text=as_plain(_loading_text(load)))
            slot.empty()
        load.engine.result()


def _loading_text(load: Load) -> str:
    """How far it is, in words. The fetcher's own sentences begin with a capital and name the model."""
    stage = STAGE_NAMES.get(load.stage, load.stage)
    amount = f" · {size(load.done)} of {size(load.total)}" if load.total > 1e6 else ""
    name = "" if stage[:1].isupper() else f"{load.model}: "
    return f"{name}{stage}{amount}"


def draw_turn_layers(turn: Turn, *, expanded: bool, key: str) -> None:
    """The layers of a turn that has ended, folded into one line; every call can be opened."""
    if not turn.calls:
        return
    total_s = f" · {seconds(turn.total_s)}" if turn.total_s else ""
    cost = "" if turn.cost_usd is None else f" · {as_plain(dollars(turn.cost_usd))}"
    label = f"{count(len(turn.layers), 'agent layer')} · {count(len(turn.calls), 'call')}{total_s}{cost}"
    icon = ":material/check:" if turn.state == "done" else ":material/error:"
    fold = st.expander(
        label, type="compact", icon=icon, expanded=expanded, key=f"{key}_fold", on_change="rerun"
    )
    if not fold.open:
        return
    with fold:
        for layer in turn.layers:
            frames = draw_layer_frame(layer, turn.n_layers, is_live=False, key=key)
            for call, (body, foot) in zip(layer.calls, frames, strict=True):
                draw_card_body(body, foot, call, find_record(turn.records, call))
        final = turn.summarizer
        record = None if final is None else find_record(turn.records, final)
        if record is not None and st.button(
            "Open the summarizer's call", icon=":material/open_in_full:", key=f"{key}_open_final"
        ):
            open_call(record)
        for call in turn.calls:
            record = find_record(turn.records, call)
            if record is not None and st.session_state.get(open_key(key, call)):
                open_call(record)


def open_key(key: str, call: CallView) -> str:
    """The key of the button that opens a call."""
    return f"{key}_open_{call.layer}_{call.index}"


def draw_layer_frame(
    layer: LayerView, n_layers: int, *, is_live: bool, key: str = ""
) -> Iterator[tuple[DeltaGenerator, DeltaGenerator]]:
    """A caption and one card per call; yields the places for its text and for the line under it."""
    title = f" · {as_plain(layer.title)}" if layer.title else ""
    st.caption(f"Agent layer {layer.number} of {n_layers}{title}")
    columns = min(len(layer.calls), MAX_CARDS_PER_ROW)
    is_short = not is_live and all(
        call.state not in ("waiting", "writing") and len(call.text) < SHORT_CHARS for call in layer.calls
    )
    frames = []
    with st.grid(columns, min_column_width=MIN_CARD_WIDTH_PX):
        for call in layer.calls:
            with st.container(border=True, gap="xsmall", height="stretch"):
                with st.container(horizontal=True, horizontal_alignment="distribute"):
                    st.markdown(f"**{as_plain(call.agent)}**", width="content")
                    if not is_live and call.end_s is not None:
                        st.button(
                            "Open",
                            type="tertiary",
                            icon=":material/open_in_full:",
                            key=open_key(key, call),
                            help=f"What {as_plain(call.agent)} was sent, wrote and took",
                        )
                height: Literal["content"] | int = "content" if is_short else CARD_HEIGHT_PX
                body = st.container(height=height, border=False, autoscroll=is_live).empty()
                frames.append((body, st.empty()))
    return iter(frames)


def draw_card_body(
    body: DeltaGenerator, foot: DeltaGenerator, call: CallView, record: CallRecord | None
) -> None:
    """The text of one call and why it failed; under it the model, and what the call took."""
    parts = [as_markdown(call.text)] if call.text else []
    if not parts and call.reasoning:
        parts.append(f":gray[:material/psychology: {as_plain(call.reasoning)}]")
    if call.state == "failed":
        parts.append(f":red[{as_plain(call.note)}]")
    elif call.note:
        parts.append(f":gray[{as_plain(call.note)}]")
    elif call.state == "waiting" and not parts:
        parts.append(":shimmer[Reading the prompt]")
    body.markdown("\n\n".join(parts))
    foot.markdown(_foot(call, record))


def _foot(call: CallView, record: CallRecord | None) -> str:
    parts = [f":gray-badge[{as_plain(shortened(call.model, MODEL_CHARS))}]"] if call.model else []
    if call.state in STAGES:
        label, colour = STAGES[call.state]
        parts.append(f":{colour}-badge[{label}]")
    if record is not None and record.completion_tokens is not None and call.state == "done":
        parts.append(
            f"{count(record.completion_tokens, 'token')} in {seconds(record.end_s - record.start_s)}"
        )
    if record is not None and is_cut(record):
        parts.append(":orange-badge[:material/content_cut: Cut at its token limit]")
    return f":small[{' '.join(parts)}]" if parts else "\u00a0"


def find_record(records: Sequence[CallRecord], call: CallView) -> CallRecord | None:
    """The record of this call, when it has ended."""
    return next((r for r in records if (r.layer, r.index) == (call.layer, call.index)), None)
