"""Figures of routers' choices: how often each expert is chosen, how evenly; a run's choices as a trace."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from moa_core.runs.trace import CallRecord
from pages.state.turn import Turn
from wse_backend.engine.completion import RoutedTokens
from wse_backend.wafer.routing import TRACE_TOKENS_LIMIT, RouterTrace

if TYPE_CHECKING:
    from pages.state.session import Session

RUNS_KEPT = 3  # whose routes a session keeps; a large model's take half a megabyte per call
SHARE_STEPS = 255


@dataclass(frozen=True)
class Balance:
    """How evenly the choices of a text fall. bits: entropy of each layer's, (n_layers,).

    busiest: choices of a layer's busiest expert over the mean of all, mean over the layers; 1 is even.
    """

    bits: npt.NDArray[np.float64]
    busiest: float


def use_of_experts(texts: Sequence[RoutedTokens]) -> npt.NDArray[np.float64]:
    """The share of each layer's choices that falls on each expert: float64 (n_layers, n_experts)."""
    n_experts = texts[0].n_experts
    counts = np.zeros((texts[0].chosen.shape[1], n_experts))
    for routed in texts:
        for layer, row in enumerate(counts):
            row += np.bincount(routed.chosen[:, layer].ravel(), minlength=n_experts + 1)[:n_experts]
    shares: npt.NDArray[np.float64] = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    return shares


def balance(use: npt.NDArray[np.float64]) -> Balance:
    """Shannon's entropy of each layer in bits (log2 of the experts, all used alike), and the busiest."""
    logs = np.log2(use, where=use > 0, out=np.zeros_like(use))
    bits: npt.NDArray[np.float64] = -(use * logs).sum(axis=1)
    return Balance(bits, float(use.max(axis=1).mean() * use.shape[1]))


def weights_of_token(routed: RoutedTokens, token: int) -> npt.NDArray[np.float64]:
    """The shares that one token gave to each expert: float64 (n_layers, n_experts)."""
    chosen, shares = routed.chosen[token], routed.shares[token]
    grid = np.zeros((len(chosen), routed.n_experts + 1))
    np.put_along_axis(grid, chosen.astype(np.int64), shares / SHARE_STEPS, axis=1)
    return grid[:, :-1]


def token_rows(routed: RoutedTokens, layer: int) -> list[dict[str, str]]:
    """A line per token: its text, whose it is, and its experts in `layer` with their shares."""
    rows = []
    for token, text in enumerate(routed.texts):
        pairs = zip(routed.chosen[token, layer], routed.shares[token, layer], strict=True)
        known = [(expert, share / SHARE_STEPS) for expert, share in pairs if expert < routed.n_experts]
        said = ", ".join(f"{expert} ({share:.0%})" for expert, share in known)
        part = "prompt" if token < routed.n_prompt else "answer"
        rows.append({"token": _visible(text), "part": part, "experts": said or "not computed"})
    return rows


def _visible(text: str) -> str:
    """A token that is nothing but space, as marks."""
    return text if text.strip() else text.replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")


def routed_calls(records: Iterable[CallRecord]) -> dict[str, list[CallRecord]]:
    """By model, the calls whose routes were recorded, in the order they ran."""
    found: dict[str, list[CallRecord]] = {}
    for record in records:
        if isinstance(record.routing, RoutedTokens) and len(record.routing.texts):
            found.setdefault(record.model, []).append(record)
    return found


def router_trace(calls: Sequence[CallRecord]) -> RouterTrace | None:
    """The choices of a model's calls as the wafer takes them; None where no token passed every layer.

    Tokens of which a layer was not computed are left out, and what is more than a trace may have.
    """
    whole = [routed.chosen[(routed.chosen < routed.n_experts).all(axis=(1, 2))] for routed in _routes(calls)]
    tokens = np.concatenate(whole)[:TRACE_TOKENS_LIMIT].astype(np.int64)
    return RouterTrace(tokens, _routes(calls)[0].n_experts) if len(tokens) else None


def router_traces(records: Iterable[CallRecord]) -> dict[str, RouterTrace]:
    """By model, what the routers chose in a run's calls."""
    traces = {model: router_trace(calls) for model, calls in routed_calls(records).items()}
    return {model: trace for model, trace in traces.items() if trace is not None}


def trace_json(trace: RouterTrace) -> str:
    """The trace as the Wafer page reads it."""
    return json.dumps(trace.experts.tolist(), separators=(",", ":"))


def _routes(calls: Sequence[CallRecord]) -> list[RoutedTokens]:
    return [call.routing for call in calls]


def forget_old_routes(session: Session) -> None:
    """Drop the routes of all runs of a session but its newest."""
    turns = [*session.turns, *(attempt.turn for attempt in session.attempts)]
    for turn in turns[: max(0, len(turns) - RUNS_KEPT)]:
        _forget(turn)
        if turn.single is not None:
            _forget(turn.single)


def _forget(turn: Turn) -> None:
    if any(call.routing is not None for call in turn.records):
        turn.finished_calls = [_without(call) for call in turn.finished_calls]
        if turn.trace is not None:
            turn.trace = replace(turn.trace, calls=tuple(map(_without, turn.trace.calls)))


def _without(call: CallRecord) -> Any:
    return replace(call, routing=None)
