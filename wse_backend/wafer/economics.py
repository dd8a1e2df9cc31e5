"""Streams, power and money: what a placed model delivers to many users, and what a million tokens cost.

Modelled, from inputs that people can change; the defaults are marked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wse_backend.wafer import gpu
from wse_backend.wafer.checks import STREAMS_LIMIT, TOKENS_LIMIT, real, whole
from wse_backend.wafer.gpu import GpuSpec
from wse_backend.wafer.placement import Placement, Region
from wse_backend.wafer.routing import EVEN, Routing
from wse_backend.wafer.shapes import BYTES_PER_VALUE, ModelShape
from wse_backend.wafer.spec import WaferSpec
from wse_backend.wafer.timing import FITTED, Constants
from wse_backend.wafer.timing.counts import decode_counts, head_counts, prefill_counts
from wse_backend.wafer.timing.experts import check_blocks
from wse_backend.wafer.timing.interval import N_FITS, STACKED, Interval, between
from wse_backend.wafer.timing.ops import Count, Mesh, OpCount
from wse_backend.wafer.timing.phases import cycles_of, is_wide

SECONDS_PER_YEAR = 365 * 24 * 3600
STREAM_POINTS = 48  # of a curve over concurrent streams
ENERGY_USD_PER_KWH = 0.20  # electricity with cooling; an input, not a measurement
CROSSING_S = 5e-6  # from wafer to wafer through one Ethernet switch; an assumption, no published figure


@dataclass(frozen=True)
class Pipeline:
    """A placed model as a pipeline of regions, each with another stream's token in it.

    stages_s: decode seconds of one token in each region of layers, crossings between wafers included, LM head
    in the last. prefill_s: time to first token of a prompt that passes all regions, prefill_stages_s of which
    are in each. held: streams whose cache fits at once.
    """

    stages_s: tuple[float, ...]
    prefill_s: float
    held: int
    prefill_stages_s: tuple[float, ...] = ()

    @property
    def token_s(self) -> float:
        """Seconds from one token to the next for a stream that has the pipeline to itself."""
        return sum(self.stages_s)

    @property
    def slowest_s(self) -> float:
        """Seconds that a full pipeline takes per token."""
        return max(self.stages_s)

    @property
    def full_at(self) -> int:
        """Streams that keep every region busy."""
        return max(1, int(np.ceil(self.token_s / self.slowest_s)))

    def per_user(self, streams: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Tokens/s of each of `streams` concurrent users: constant until the pipeline is full."""
        waiting = np.asarray(streams, np.float64) * self.slowest_s
        return np.asarray(1.0 / np.maximum(self.token_s, waiting))

    def throughput(self, streams: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Tokens/s of all users together."""
        return np.asarray(streams, np.float64) * self.per_user(streams)


@dataclass(frozen=True)
class Workload:
    """What a placed model is timed for; the placement's own context where nothing is given.

    batch: tokens of one stream that pass a region together (checked drafts). program: of the prefill.
    routing: of a mixture of experts; prefill_routing, when a prompt's tokens fall otherwise than a step's.
    """

    context: int | None = None
    prompt_tokens: int | None = None
    batch: int = 1
    program: str = "reference"
    routing: Routing = EVEN
    prefill_routing: Routing | None = None


def pipeline(
    placement: Placement,
    context: int | None = None,
    prompt_tokens: int | None = None,
    *,
    workload: Workload | None = None,
    constants: Constants = FITTED,
) -> Pipeline:
    """Time each region of a placement, for a context and a prompt or for a whole `workload`.

    Regions of one wafer hand a token on to their neighbour; a token that changes wafers crosses the network.
    Raises InvalidParams (context or prompt below 1, an expert without a block).
    """
    workload = workload or Workload(context, prompt_tokens)
    stages, prompts = _timed_regions(placement, workload, constants)
    held = placement.held(workload.context or placement.context)
    read = tuple(float(prompt) for prompt in prompts)
    return Pipeline(tuple(float(stage) for stage in stages), sum(read), held, read)


@dataclass(frozen=True)
class PipelineIntervals:
    """How sure a pipeline's times are: of a token alone, of a full pipeline's token, of the prefill."""

    token_s: Interval
    slowest_s: Interval
    prefill_s: Interval

    def per_user(self, streams: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Lowest and highest tokens/s of each of `streams` users, as `Pipeline.per_user`."""
        n = np.asarray(streams, np.float64)
        low = 1.0 / np.maximum(self.token_s.high, n * self.slowest_s.high)
        return low, 1.0 / np.maximum(self.token_s.low, n * self.slowest_s.low)


def pipeline_intervals(placement: Placement, workload: Workload | None = None) -> PipelineIntervals:
    """The same times with the constants of every refit. Raises as `pipeline`."""
    stages, prompts = _timed_regions(placement, workload or Workload(), STACKED)
    table = np.stack([np.broadcast_to(stage, (N_FITS,)) for stage in stages])
    return PipelineIntervals(
        between(table.sum(axis=0), "decode"),
        between(table.max(axis=0), "decode"),
        between(np.asarray(sum(prompts)), "prefill"),
    )


def _timed_regions(
    placement: Placement, workload: Workload, constants: Constants
) -> tuple[list[Count], list[Count]]:
    """Decode and prefill seconds of every region, in order; arrays where the constants are."""
    context = placement.context if workload.context is None else workload.context
    prompt = placement.context if workload.prompt_tokens is None else workload.prompt_tokens
    context = whole("context", context, 1, TOKENS_LIMIT)
    prompt = whole("prompt_tokens", prompt, 1, TOKENS_LIMIT)
    whole("batch", workload.batch, 1, STREAMS_LIMIT)
    spec, model, regions = placement.spec, placement.model, placement.layer_regions
    times = _layers_s(placement, context, prompt, workload, constants)
    hop_s = constants.hop / spec.clock_hz
    stages: list[Count] = []
    prompts: list[Count] = []
    for before, region in zip((None, *regions), regions, strict=False):
        moved_s, moved_prompt_s = _handed_on(placement, before, region, prompt, hop_s)
        stage, read = np.asarray(moved_s), np.asarray(moved_prompt_s)
        for layer in region.layers:
            step_s, prompt_s = times[region.grid, model.kind_of(layer)]
            stage, read = stage + step_s, read + prompt_s
        stages.append(stage)
        prompts.append(read)
    mesh = Mesh.of(spec, *regions[-1].grid)
    heads = [_seconds(head_counts(model, mesh, n), spec, constants) for n in (workload.batch, 1)]
    stages[-1], prompts[-1] = stages[-1] + heads[0], prompts[-1] + heads[1]
    return stages, prompts


def _handed_on(
    placement: Placement, before: Region | None, region: Region, prompt: int, hop_s: float
) -> tuple[float, float]:
    """Seconds that a token and a prompt take from the region before, or from wafer to wafer."""
    if before is None:
        return 0.0, 0.0
    if before.wafer == region.wafer:
        moved_s = hop_s * (before.grid[0] + region.grid[0]) / 2
        return moved_s, moved_s
    token_s = placement.model.dim * BYTES_PER_VALUE / placement.spec.io_bytes_per_s
    return CROSSING_S + token_s, CROSSING_S + prompt * token_s


def _layers_s(
    placement: Placement, context: int, prompt: int, workload: Workload, constants: Constants
) -> dict[tuple[tuple[int, int], ModelShape], tuple[Count, Count]]:
    """Seconds of one layer in decode and in prefill, by grid and kind of layer.

    All grids of a kind are timed at once: formulas broadcast, (grids, 1) against the constants' (refits,).
    """
    grids_of: dict[ModelShape, dict[tuple[int, int], None]] = {}
    for region in placement.layer_regions:
        for layer in region.layers:
            grids_of.setdefault(placement.model.kind_of(layer), {})[region.grid] = None
    spec, in_prefill, times = placement.spec, workload.prefill_routing or workload.routing, {}
    n_fits = np.size(constants.hop)
    for kind, grids in grids_of.items():
        for grid in grids:
            check_blocks(kind, *grid, workload.routing)
        mesh = Mesh.of(spec, *np.array(list(grids)).T[:, :, None])
        step = decode_counts(kind, mesh, context, workload.batch, routing=workload.routing)
        read = prefill_counts(kind, mesh, prompt, wide_kv=is_wide(workload.program), routing=in_prefill)
        both = [np.broadcast_to(_seconds(ops, spec, constants), (len(grids), n_fits)) for ops in (step, read)]
        for index, grid in enumerate(grids):
            alone = [np.asarray(rows[index] if n_fits > 1 else rows[index, 0]) for rows in both]
            times[grid, kind] = (alone[0], alone[1])
    return times


def _seconds(ops: list[OpCount], spec: WaferSpec, constants: Constants) -> Count:
    return np.asarray(sum(cycles_of(op, spec, constants) for op in ops)) / spec.clock_hz


@dataclass(frozen=True)
class TokenCost:
    """USD per million tokens."""

    capital_usd: float
    energy_usd: float

    @property
    def total_usd(self) -> float:
        return self.capital_usd + self.energy_usd


def cost_per_million(
    capital_usd: float,
    power_w: float,
    years: float,
    tokens_per_second: float,
    energy_usd_per_kwh: float = ENERGY_USD_PER_KWH,
) -> TokenCost:
    """Cost of a million tokens of machines that are written off over `years` of running without a pause.

    power_w: of all machines together. tokens_per_second: of all their users together.
    Raises InvalidParams (a negative input, or a zero where a division needs more).
    """
    inputs = {"capital_usd": capital_usd, "power_w": power_w, "energy_usd_per_kwh": energy_usd_per_kwh}
    for name, value in inputs.items():
        real(name, value, 0)
    for name, value in {"years": years, "tokens_per_second": tokens_per_second}.items():
        real(name, value, 0, above=True)
    millions = tokens_per_second * years * SECONDS_PER_YEAR / 1e6
    kwh = power_w / 1000 * years * SECONDS_PER_YEAR / 3600
    return TokenCost(capital_usd / millions, kwh * energy_usd_per_kwh / millions)


def break_even_streams(cost: TokenCost, price_usd_per_million: float) -> float:
    """Concurrent streams, each as fast as the one that `cost` was computed for, that pay for the machines.

    Raises InvalidParams (price not above 0).
    """
    real("price_usd_per_million", price_usd_per_million, 0, above=True)
    return cost.total_usd / price_usd_per_million


@dataclass(frozen=True)
class Prices:
    """What people may change. power_kw: of one system."""

    system_usd: float
    power_kw: float
    years: float
    usd_per_kwh: float
    usd_per_million: float

    def cost(self, wafers: int, tokens_per_second: float) -> TokenCost:
        """Cost of a million tokens on `wafers` systems. Raises InvalidParams."""
        return cost_per_million(
            wafers * self.system_usd,
            wafers * self.power_kw * 1000,
            self.years,
            tokens_per_second,
            self.usd_per_kwh,
        )


@dataclass(frozen=True)
class BreakEven:
    """streams: concurrent streams, each as fast as a lone one, that pay for the machines.

    is_reached: a full pipeline is that fast. has_room: the SRAM holds the cache of so many.
    """

    alone: TokenCost
    full: TokenCost
    streams: float
    is_reached: bool
    has_room: bool


def break_even(prices: Prices, pipeline: Pipeline, wafers: int) -> BreakEven:
    """When the machines pay. Raises InvalidParams (an input out of range)."""
    alone = prices.cost(wafers, 1 / pipeline.token_s)
    full = prices.cost(wafers, 1 / pipeline.slowest_s)
    streams = break_even_streams(alone, prices.usd_per_million)
    has_room = streams <= pipeline.held
    return BreakEven(alone, full, streams, full.total_usd <= prices.usd_per_million, has_room)


def streams_axis(pipeline: Pipeline) -> npt.NDArray[np.int64]:
    """Numbers of streams from one to well beyond a full pipeline, rising geometrically."""
    most = max(8 * pipeline.full_at, 2 * pipeline.held, 256)
    return np.unique(np.geomspace(1, most, STREAM_POINTS).astype(np.int64))


@dataclass(frozen=True)
class Energy:
    """Joules per output token of a machine: with one user, and with as many as it is given."""

    machine: str
    power_w: float
    alone_j: Interval
    busy_j: Interval
    streams: int


def wafer_energy(placement: Placement, found: Pipeline, sure: PipelineIntervals) -> Energy:
    """Published system power over modelled tokens/s; busy: as many streams as the pipeline and the SRAM
    hold."""
    spec = placement.spec
    power_w = placement.wafers * spec.system_power_w
    streams = max(1, min(found.full_at, found.held))
    name = f"{placement.wafers} x {spec.system}" if placement.wafers > 1 else f"One {spec.system}"
    low, high = sure.per_user(streams)
    busy_s = Interval(*(1 / float(speed) / streams for speed in (found.per_user(streams), high, low)))
    return Energy(name, power_w, sure.token_s.scaled(power_w), busy_s.scaled(power_w), streams)


def gpu_energy(model: ModelShape, spec: GpuSpec, gpus: int, context: int) -> Energy:
    """The same for GPUs: the published power of their share of a host; busy: as many streams as memory
    holds."""
    held = gpu.held_streams(model, spec, gpus, context)
    power_w = gpus * spec.host_power_w
    alone_s = gpu.decode_seconds(model, spec, gpus, context)
    busy_s = gpu.decode_seconds(model, spec, gpus, context, held) / held
    name = f"{gpus} x {spec.name}" if gpus > 1 else spec.name
    return Energy(name, power_w, gpu.unsure(power_w * alone_s), gpu.unsure(power_w * busy_s), held)
