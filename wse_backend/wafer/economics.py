"""Streams, power and money: what a placed model delivers to many users, and what a million tokens cost.

Modelled, from inputs that people can change; the defaults are marked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wse_backend.errors import InvalidParams
from wse_backend.wafer.placement import Placement
from wse_backend.wafer.shapes import BYTES_PER_VALUE, ModelShape
from wse_backend.wafer.spec import WaferSpec
from wse_backend.wafer.timing import FITTED, Constants
from wse_backend.wafer.timing.counts import Mesh, decode_counts, head_counts, prefill_counts
from wse_backend.wafer.timing.phases import cycles_of

SECONDS_PER_YEAR = 365 * 24 * 3600
STREAM_POINTS = 48  # of a curve over concurrent streams
ENERGY_USD_PER_KWH = 0.20  # electricity with cooling; an input, not a measurement
CROSSING_S = 5e-6  # from wafer to wafer through one Ethernet switch; an assumption, no published figure


@dataclass(frozen=True)
class Pipeline:
    """A placed model as a pipeline of regions, each with another stream's token in it.

    stages_s: decode seconds of one token in each region of layers, crossings between wafers included, LM head
    in the last. prefill_s: time to first token of a prompt that passes all regions. held: streams whose cache
    fits at once.
    """

    stages_s: tuple[float, ...]
    prefill_s: float
    held: int

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


def pipeline(
    placement: Placement,
    context: int | None = None,
    prompt_tokens: int | None = None,
    *,
    constants: Constants = FITTED,
) -> Pipeline:
    """Time each region of a placement. context, prompt_tokens: the placement's context when not given.

    Regions of one wafer hand a token on to their neighbour; a token that changes wafers crosses the network.
    Raises InvalidParams (context or prompt below 1).
    """
    context = placement.context if context is None else context
    prompt = placement.context if prompt_tokens is None else prompt_tokens
    for name, value in (("context", context), ("prompt_tokens", prompt)):
        if value < 1:
            raise InvalidParams(name, value, "at least 1")
    spec, model, regions = placement.spec, placement.model, placement.layer_regions
    grids = dict.fromkeys(region.grid for region in regions)
    decode_s = {grid: _layer_s(model, spec, grid, context, False, constants) for grid in grids}
    prefill_s = {grid: _layer_s(model, spec, grid, prompt, True, constants) for grid in grids}
    hop_s = constants.hop / spec.clock_hz
    stages, first_token = [], 0.0
    for before, region in zip((None, *regions), regions, strict=False):
        if before is None:
            moved_s = moved_prompt_s = 0.0
        elif before.wafer != region.wafer:
            moved_s = CROSSING_S + model.dim * BYTES_PER_VALUE / spec.io_bytes_per_s
            moved_prompt_s = CROSSING_S + prompt * model.dim * BYTES_PER_VALUE / spec.io_bytes_per_s
        else:
            moved_s = moved_prompt_s = hop_s * (before.grid[0] + region.grid[0]) / 2
        stages.append(len(region.layers) * decode_s[region.grid] + moved_s)
        first_token += len(region.layers) * prefill_s[region.grid] + moved_prompt_s
    head_s = _head_s(model, spec, regions[-1].grid, constants)
    stages[-1] += head_s
    return Pipeline(tuple(stages), first_token + head_s, placement.max_context // context)


def _layer_s(
    model: ModelShape,
    spec: WaferSpec,
    grid: tuple[int, int],
    tokens: int,
    is_prefill: bool,
    constants: Constants,
) -> float:
    mesh = Mesh.of(spec, *grid)
    counts = prefill_counts(model, mesh, tokens) if is_prefill else decode_counts(model, mesh, tokens)
    return float(sum(cycles_of(op, spec, constants) for op in counts)) / spec.clock_hz


def _head_s(model: ModelShape, spec: WaferSpec, grid: tuple[int, int], constants: Constants) -> float:
    ops = head_counts(model, Mesh.of(spec, *grid))
    return float(sum(cycles_of(op, spec, constants) for op in ops)) / spec.clock_hz


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
        if not value >= 0:
            raise InvalidParams(name, value, "at least 0")
    for name, value in {"years": years, "tokens_per_second": tokens_per_second}.items():
        if not value > 0:
            raise InvalidParams(name, value, "more than 0")
    millions = tokens_per_second * years * SECONDS_PER_YEAR / 1e6
    kwh = power_w / 1000 * years * SECONDS_PER_YEAR / 3600
    return TokenCost(capital_usd / millions, kwh * energy_usd_per_kwh / millions)


def break_even_streams(cost: TokenCost, price_usd_per_million: float) -> float:
    """Concurrent streams, each as fast as the one that `cost` was computed for, that pay for the machines.

    Raises InvalidParams (price not above 0).
    """
    if not price_usd_per_million > 0:
        raise InvalidParams("price_usd_per_million", price_usd_per_million, "more than 0")
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
