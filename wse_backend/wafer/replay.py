"""What the same run would have taken elsewhere: a call graph replayed through the model of each machine.

The input is plain numbers, so that whoever has a trace can ask: one Call per request, with the layer of the
call graph it belongs to. Layers wait for one another; the calls of a layer run at once: their prompts are
prefilled one after another, then all decode together until each has its tokens. Modelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from wse_backend.errors import DoesNotFit, InvalidParams
from wse_backend.wafer import gpu
from wse_backend.wafer.checks import TOKENS_LIMIT, whole
from wse_backend.wafer.gpu import GpuSpec
from wse_backend.wafer.placement import WAFERS_LIMIT, place
from wse_backend.wafer.shapes import BYTES_PER_VALUE, ModelShape, as_shape
from wse_backend.wafer.spec import WaferSpec
from wse_backend.wafer.timing.interval import Interval, interval, plus
from wse_backend.wafer.timing.phases import decode_seconds, prefill_seconds, replacement_seconds


@dataclass(frozen=True)
class ReplayCall:
    """One request: cached_tokens of its prompt_tokens were in a prefix cache already.

    Raises InvalidParams (counts below their least, more cached than prompt).
    """

    layer: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int

    def __post_init__(self) -> None:
        least = {"layer": 0, "prompt_tokens": 1, "cached_tokens": 0, "completion_tokens": 0}
        for name, low in least.items():
            whole(name, getattr(self, name), low, TOKENS_LIMIT)
        if self.cached_tokens > self.prompt_tokens:
            allowed = f"at most prompt_tokens = {self.prompt_tokens}"
            raise InvalidParams("cached_tokens", self.cached_tokens, allowed)


@dataclass(frozen=True)
class Machine:
    """A machine to replay on: `count` wafers or GPUs of one kind."""

    spec: WaferSpec | GpuSpec
    count: int = 1

    @property
    def name(self) -> str:
        return self.spec.name if self.count == 1 else f"{self.count} x {self.spec.name}"


@dataclass(frozen=True)
class Replay:
    """A replayed run. seconds: None when the model does not fit; `refusal` says why, with the numbers.

    layers_s: (prefill, decode) of each layer of the call graph. note: how the machine was used. interval: of
    the seconds, phases: of prefill and decode; from refits on a wafer, from the worst error of the measured
    rows on GPUs.
    """

    machine: str
    model: str
    seconds: float | None
    layers_s: tuple[tuple[float, float], ...]
    note: str
    refusal: str = ""
    interval: Interval | None = None
    phases: tuple[Interval, Interval] | None = None
    kind: str = "modelled"


@dataclass(frozen=True)
class _Timed:
    """A machine's two functions: prefill(tokens, cached) and decode(contexts of the running streams)."""

    prefill: Callable[[int, int], float]
    decode: Callable[[Sequence[int]], float]
    between_s: float
    note: str
    spread: Callable[[Sequence[ReplayCall]], tuple[Interval, Interval]]


def replay(
    calls: Iterable[ReplayCall], shape: ModelShape | str, machine: Machine, *, program: str = "reference"
) -> Replay:
    """Replay a call graph on one machine; program: of a wafer's prefill (timing.PROGRAMS).

    Raises InvalidParams (no calls, no such preset, no machine, no such program).
    """
    model, graph = as_shape(shape), sorted(calls, key=lambda call: call.layer)
    if not graph:
        raise InvalidParams("calls", 0, "at least one call")
    most = WAFERS_LIMIT if isinstance(machine.spec, WaferSpec) else gpu.GPUS_LIMIT
    whole("machines", machine.count, 1, most)
    longest = max(call.prompt_tokens + call.completion_tokens for call in graph)
    try:
        timed = _timed_machine(model, machine, longest, program)
    except DoesNotFit as refused:
        return Replay(machine.name, model.name, None, (), "", str(refused))
    layers = []
    for layer in sorted({call.layer for call in graph}):
        at_once = [call for call in graph if call.layer == layer]
        layers.append((_prefill_s(at_once, timed), _decode_s(at_once, timed)))
    total = sum(prefilled + decoded for prefilled, decoded in layers)
    phases = _intervals(graph, timed, layers)
    sure = plus(*phases)
    return Replay(machine.name, model.name, total, tuple(layers), timed.note, interval=sure, phases=phases)


def _intervals(
    graph: Sequence[ReplayCall], timed: _Timed, layers: Sequence[tuple[float, float]]
) -> tuple[Interval, Interval]:
    """The replay's seconds of prefill and of decode, as unsure as at the graph's mean prompt and context."""
    read, written = timed.spread(graph)
    reading, writing = (sum(layer[phase] for layer in layers) for phase in (0, 1))
    return read.scaled(reading / read.value), written.scaled(writing / written.value)


def _prefill_s(calls: Sequence[ReplayCall], timed: _Timed) -> float:
    """Prompts one after another; a prompt that was cached whole still needs its last token."""
    fresh = [(max(call.prompt_tokens - call.cached_tokens, 1), call) for call in calls]
    return sum(timed.prefill(tokens, call.prompt_tokens - tokens) for tokens, call in fresh)


def _decode_s(calls: Sequence[ReplayCall], timed: _Timed) -> float:
    """All streams step together; whoever has its tokens leaves. Each stretch is timed at its middle context.

    The first token of each call comes from its prefill.
    """
    steps = {call: max(call.completion_tokens - 1, 0) for call in set(calls)}
    running, done, seconds = [call for call in calls if steps[call]], 0, 0.0
    while running:
        until = min(steps[call] for call in running)
        middle = [call.prompt_tokens + (done + until + 1) // 2 for call in running]
        seconds += (until - done) * timed.decode(middle)
        done, running = until, [call for call in running if steps[call] > until]
    return seconds + (timed.between_s if done else 0.0)


def _timed_machine(model: ModelShape, machine: Machine, longest: int, program: str) -> _Timed:
    if isinstance(machine.spec, WaferSpec):
        return _wafers(model, machine.spec, machine.count, longest, program)
    return _gpus(model, machine.spec, machine.count, longest)


def _wafers(model: ModelShape, spec: WaferSpec, count: int, longest: int, program: str) -> _Timed:
    """Prefill on the fastest grid that holds a wafer's share, decode on the fastest regions that do.

    A stream's token passes all layers; the other streams' tokens fill the regions behind it, so that a step
    of n streams takes as long as one stream or as n times the slowest region, whichever is longer.
    """
    place(model, spec, longest, count)  # raises DoesNotFit with the numbers
    held = (model.params * BYTES_PER_VALUE + model.cache_bytes(longest)) / count
    smallest = min(int(np.ceil(np.sqrt(held / spec.sram_bytes_per_pe / 0.95))), spec.largest_square)
    sides = np.arange(smallest, spec.largest_square + 1)
    prefill_side = int(sides[np.argmin(prefill_seconds(model, spec, sides, 2048, program=program))])
    decode_side, stages = _decode_regions(model, spec, count, longest)
    between = replacement_seconds(model, spec, longest, (prefill_side,) * 2, (decode_side,) * 2) / count

    def decode_step(contexts: Sequence[int]) -> float:
        alone = decode_seconds(model, spec, decode_side, np.asarray(contexts))
        return float(max(alone.max(), alone.sum() / stages))

    def prefill_one(tokens: int, cached: int) -> float:
        return float(prefill_seconds(model, spec, prefill_side, tokens, cached, program=program))

    def spread(calls: Sequence[ReplayCall]) -> tuple[Interval, Interval]:
        prompt = round(sum(call.prompt_tokens for call in calls) / len(calls))
        context = prompt + round(sum(call.completion_tokens for call in calls) / len(calls) / 2)
        read = interval(
            lambda c: prefill_seconds(model, spec, prefill_side, prompt, program=program, constants=c),
            "prefill",
        )
        written = interval(
            lambda c: decode_seconds(model, spec, decode_side, max(context, 1), constants=c), "decode"
        )
        return read, written

    note = (
        f"prefill on {prefill_side} x {prefill_side} PEs, "
        f"decode in {stages} regions of {decode_side} x {decode_side}"
        f"{', experts spread over each' if model.n_experts else ''}"
    )
    return _Timed(prefill_one, decode_step, between, note, spread)


def _decode_regions(model: ModelShape, spec: WaferSpec, wafers: int, context: int) -> tuple[int, int]:
    """Side and number of the square regions that decode one stream fastest and hold the model."""
    sides = np.arange(16, spec.largest_square + 1)
    per_wafer = np.minimum(spec.pes // sides**2, -(-model.n_layers // wafers))
    stages = np.minimum(per_wafer * wafers, model.n_layers)
    layers = -(-model.n_layers // stages)
    in_layers = sum(n * kind.layer_params for kind, n in model.kinds)
    weights = in_layers / model.n_layers * BYTES_PER_VALUE / sides**2
    cached = sum(
        n * np.ceil(kind.seen(context) / sides) * np.ceil(kind.cache_dim / 2 / sides)
        for kind, n in model.kinds
    )
    cache = cached / model.n_layers * 2 * BYTES_PER_VALUE
    fits = layers * (weights + cache) <= 0.95 * spec.sram_bytes_per_pe
    seconds = np.where(fits, decode_seconds(model, spec, sides, context), np.inf)
    best = int(np.argmin(seconds))
    if not fits[best]:
        short = layers * (weights + cache) - 0.95 * spec.sram_bytes_per_pe
        raise DoesNotFit(model.name, spec.name, wafers, int((short * sides**2).min()), None)
    return int(sides[best]), int(stages[best])


def _gpus(model: ModelShape, spec: GpuSpec, count: int, longest: int) -> _Timed:
    needed = gpu.needed_gpus(model, spec, longest)
    if needed > count:
        held = model.params * BYTES_PER_VALUE + model.cache_bytes(longest)
        missing = int(held - 0.9 * count * spec.memory_bytes)
        raise DoesNotFit(model.name, spec.name, count, missing, needed)

    def decode_step(contexts: Sequence[int]) -> float:
        mean = max(1, round(sum(contexts) / len(contexts)))
        return gpu.decode_seconds(model, spec, count, mean, len(contexts))

    def prefill_one(tokens: int, cached: int) -> float:
        return gpu.prefill_seconds(model, spec, count, tokens, cached)

    def spread(calls: Sequence[ReplayCall]) -> tuple[Interval, Interval]:
        del calls
        return gpu.unsure(1.0), gpu.unsure(1.0)

    note = "memory-bandwidth roofline at the measured efficiency"
    return _Timed(prefill_one, decode_step, 0.0, note, spread)
