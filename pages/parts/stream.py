"""Draws a turn: live while its events come in, and again from its record on every later rerun."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from moa_core import CallRecord, Event, MoAConfig, run
from pages.parts import backend
from pages.parts.session import Session
from pages.parts.setup import MODEL_CHARS
from pages.state.text import as_markdown, as_plain, count, seconds, shortened, size
from pages.state.ticking import ticking
from pages.state.turn import CallView, LayerView, Turn

CARD_HEIGHT_PX = 230
MIN_CARD_WIDTH_PX = 260
SHORT_CHARS = 300  # answers that need no scrolling
MAX_CARDS_PER_ROW = 3
REDRAW_S = 0.12  # a card is redrawn at most this often, however fast its tokens come

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
        self._started = time.monotonic()
        self._line = st.empty()  # not st.status: it folds itself when it is updated many times a second
        self._frame = st.container()
        self._answer_head, self._answer = st.empty(), st.empty()
        self._slots: dict[tuple[int, int], DeltaGenerator] = {}
        self._feet: dict[tuple[int, int], DeltaGenerator] = {}
        self._dirty: dict[tuple[int, int], CallView] = {}
        self._drawn_at = 0.0
        self._answer_drawn = ""

    def take(self, event: Event | None) -> None:
        """Apply an event (None: only time went by) and redraw what is due."""
        if event is not None:
            call = self._turn.apply(event)
            if self._turn.layers and len(self._turn.layers[-1].calls) and self._is_new(self._turn.layers[-1]):
                self._open_layer(self._turn.layers[-1])
            if call is not None:
                self._dirty[call.layer, call.index] = call
        if time.monotonic() - self._drawn_at >= REDRAW_S:
            self.redraw()

    def redraw(self) -> None:
        """Draw every changed card, the answer, and the time that went by."""
        for key, call in self._dirty.items():
            if key in self._slots:
                draw_card_body(self._slots[key], self._feet[key], call, None)
        self._dirty.clear()
        if self._turn.answer != self._answer_drawn:
            self._answer_head.caption(ANSWER_CAPTION)
            self._answer.markdown(as_markdown(self._turn.answer))
            self._answer_drawn = self._turn.answer
        elapsed_s = time.monotonic() - self._started
        self._line.markdown(f":shimmer[{self._turn.progress}] :gray[· {elapsed_s:.1f} s]")
        self._drawn_at = time.monotonic()

    def _is_new(self, layer: LayerView) -> bool:
        return (layer.number, layer.calls[0].index) not in self._slots

    def _open_layer(self, layer: LayerView) -> None:
        with self._frame:
            for call, (body, foot) in zip(
                layer.calls, draw_layer_frame(layer, self._turn.n_layers, is_live=True), strict=True
            ):
                self._slots[call.layer, call.index] = body
                self._feet[call.layer, call.index] = foot
                draw_card_body(body, foot, call, None)


@contextmanager
def running(session: Session, turn: Turn) -> Iterator[None]:
    """The time in which `turn` is the session's run. However the block ends, `turn` says how it ended.

    An interrupted script (stop button, another question, another page) leaves it like any other exception.
    """
    started = time.monotonic()
    session.last_run = turn
    try:
        yield
    except Exception as exc:
        turn.finish_early(exc)
        raise
    finally:
        turn.finish_early()
        turn.elapsed_s = time.monotonic() - started
        turn.ended.set()


def play(turn: Turn, make_config: Callable[[], MoAConfig], messages: Sequence[dict[str, str]]) -> None:
    """Run a configuration and draw it live; leaving early cancels every call before this ends.

    Raises what fails before the run: the configuration, or loading a model.
    """
    live = LiveTurn(turn)
    config = backend.routed(make_config())
    load_models(config)
    with ticking(lambda: run(config, messages, backend.providers())) as items:
        for event in items:
            live.take(event)
    live.redraw()


@st.fragment(run_every=0.5)
def tidy_after_stop(turn: Turn) -> None:
    """Draw the page anew once the run was stopped: a stopped script cannot do it itself."""
    if turn.state != "running":
        st.rerun()


def load_models(config: MoAConfig) -> None:
    """Fetch and load the in-process models of `config`, with a progress bar for each that is not here yet.

    Raises what the loading raised.
    """
    for model in config.models:
        if not backend.is_in_process(model):
            continue
        load = backend.loads().start(model)
        if not load.finished.wait(0.05):
            slot = st.empty()
            while not load.finished.wait(0.1):
                slot.progress(load.share, text=_loading_text(load))
            slot.empty()
        if load.error is not None:
            raise load.error


def _loading_text(load: backend.Load) -> str:
    """What the progress bar stands for."""
    stage = STAGE_NAMES.get(load.stage, load.stage)
    amount = f" · {size(load.done)} of {size(load.total)}" if load.total > 1e6 else ""
    name = (
        "" if stage[:1].isupper() else f"{load.model}: "
    )  # the fetcher's sentences name the model themselves
    return f"{as_plain(name + stage)}{amount}"


def draw_turn_layers(turn: Turn, *, expanded: bool) -> None:
    """The layers of a turn that has ended, folded into one line."""
    if not turn.layers:
        return
    n_calls = sum(len(layer.calls) for layer in turn.layers)
    total_s = f" · {seconds(turn.total_s)}" if turn.total_s else ""
    label = f"{count(len(turn.layers), 'layer')} · {count(n_calls, 'call')}{total_s}"
    icon = ":material/check:" if turn.state == "done" else ":material/error:"
    with st.expander(label, type="compact", icon=icon, expanded=expanded):
        for layer in turn.layers:
            for call, (body, foot) in zip(
                layer.calls, draw_layer_frame(layer, turn.n_layers, is_live=False), strict=True
            ):
                draw_card_body(body, foot, call, find_record(turn.records, call))


def draw_layer_frame(
    layer: LayerView, n_layers: int, *, is_live: bool
) -> Iterator[tuple[DeltaGenerator, DeltaGenerator]]:
    """A caption and one card per call; yields the places for its text and for the line under it."""
    title = f" · {as_plain(layer.title)}" if layer.title else ""
    st.caption(f"Layer {layer.number} of {n_layers}{title}")
    columns = min(len(layer.calls), MAX_CARDS_PER_ROW)
    is_short = not is_live and all(
        call.state not in ("waiting", "writing") and len(call.text) < SHORT_CHARS for call in layer.calls
    )
    frames = []
    with st.grid(columns, min_column_width=MIN_CARD_WIDTH_PX):
        for call in layer.calls:
            with st.container(border=True, gap="xsmall", height="stretch"):
                st.markdown(f"**{as_plain(call.agent)}**")
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
    return f":small[{' '.join(parts)}]" if parts else "\u00a0"


def find_record(records: Sequence[CallRecord], call: CallView) -> CallRecord | None:
    """The record of this call, when it has ended."""
    return next((r for r in records if (r.layer, r.index) == (call.layer, call.index)), None)
