"""A mixture of experts on a wafer, in both placements; plain data for the Experts tab."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from pages.state.wafer_setting import DRAWN_TOKENS, Setting
from wse_backend.wafer.economics import PipelineIntervals, Workload, pipeline_intervals
from wse_backend.wafer.placement import Placement, Region
from wse_backend.wafer.placement_timing import operation_intervals
from wse_backend.wafer.routing import EXPERT_PLACEMENTS, RouterTrace, Routing
from wse_backend.wafer.timing import PhaseTiming, decode, prefill
from wse_backend.wafer.timing.interval import Interval, plus
from wse_backend.wafer.timing.result import sum_causes

ALL_TO_ALL = "all-to-all"


@dataclass(frozen=True)
class PlacedExperts:
    """One placement. ffn_causes, ffn_s, traffic_s: of one layer with experts, by phase ("decode", "prefill").

    ffn_s, traffic_s: how sure; no traffic where experts are spread.
    """

    wafers: int
    intervals: PipelineIntervals
    ffn_causes: dict[str, dict[str, float]]
    ffn_s: dict[str, Interval]
    traffic_s: dict[str, Interval]


def compare_placements(setting: Setting) -> dict[str, PlacedExperts]:
    """Both placements on the fewest wafers each. Raises DoesNotFit, InvalidParams."""
    return {name: _placed(replace(setting, experts=name, wafers=None)) for name in EXPERT_PLACEMENTS}


def _placed(setting: Setting) -> PlacedExperts:
    placement, workload = setting.placement(), setting.workload()
    region = layer_of_experts(placement)
    number = region.layers[-1]
    causes, whole, traffic = {}, {}, {}
    for phase, tokens in (("decode", setting.context), ("prefill", setting.prompt_tokens)):
        timed = _timed(placement, region.grid, phase, tokens, workload)
        ops = [op for op in timed.layers[number].ops if op.group == "ffn"]
        sure = operation_intervals(placement, phase, tokens, number, workload=workload)
        causes[phase] = sum_causes(ops)
        whole[phase] = reduce(plus, [sure[name] for name in dict.fromkeys(op.name for op in ops)])
        if ALL_TO_ALL in sure:
            traffic[phase] = sure[ALL_TO_ALL]
    return PlacedExperts(placement.wafers, pipeline_intervals(placement, workload), causes, whole, traffic)


def _timed(
    placement: Placement, grid: tuple[int, int], phase: str, tokens: int, workload: Workload
) -> PhaseTiming:
    """A phase as if all layers lay on one region's grid."""
    model, spec = placement.model, placement.spec
    if phase == "decode":
        return decode(model, spec, grid, tokens, routing=workload.routing)
    routing = workload.prefill_routing or workload.routing
    return prefill(model, spec, grid, tokens, program=workload.program, routing=routing)


def layer_of_experts(placement: Placement) -> Region:
    """The first region whose last layer has experts."""
    model = placement.model
    return next(r for r in placement.layer_regions if model.kind_of(r.layers[-1]).n_experts)


def expert_loads(setting: Setting) -> tuple[np.ndarray, str]:
    """Tokens of a prompt that each expert of one layer gets, and whether the trace is measured or drawn.

    They add up to the prompt's tokens times the experts of each; a trace of another length is scaled.
    """
    trace = setting.trace
    if trace is None:
        tokens = max(1, min(setting.prompt_tokens, DRAWN_TOKENS))
        trace = RouterTrace.drawn(setting.model, tokens, setting.skew, setting.seed)
    until = np.cumsum(trace.loads(0)) * setting.prompt_tokens / len(trace.experts)
    return np.diff(np.round(until).astype(np.int64), prepend=0), trace.kind


def speeds_over_imbalance(setting: Setting, imbalances: np.ndarray) -> dict[str, list[Interval]]:
    """Prompt tokens/s of both placements over the busiest expert's share of the mean."""
    curves = {}
    for name in EXPERT_PLACEMENTS:
        found = replace(setting, experts=name, wafers=None, mapping="layer", side=None)
        placement, workload = found.placement(), found.workload()
        runs = [
            replace(workload, prefill_routing=Routing(name, float(imbalance))) for imbalance in imbalances
        ]
        if name == "spread":  # the same for every imbalance: nobody waits
            runs = runs[:1]
        speeds = [pipeline_intervals(placement, one).prefill_s.rate for one in runs]
        curves[name] = [speed.scaled(setting.prompt_tokens) for speed in speeds]
    curves["spread"] = curves["spread"] * len(imbalances)
    return curves
