"""A mixture of experts on a wafer, in both placements; plain data for the Experts tab."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pages.state.wafer_setting import DRAWN_TOKENS, Setting
from wse_backend.wafer.economics import PipelineIntervals, pipeline, pipeline_intervals
from wse_backend.wafer.placed import placed_timing
from wse_backend.wafer.placement import Placement, Region
from wse_backend.wafer.routing import EXPERT_PLACEMENTS, RouterTrace, Routing
from wse_backend.wafer.timing.result import sum_causes

ALL_TO_ALL = "all-to-all"


@dataclass(frozen=True)
class PlacedExperts:
    """One placement. ffn_causes, traffic_s: of one layer with experts, by phase ("decode", "prefill")."""

    wafers: int
    intervals: PipelineIntervals
    ffn_causes: dict[str, dict[str, float]]
    traffic_s: dict[str, float]


def compare_placements(setting: Setting) -> dict[str, PlacedExperts]:
    """Both placements on the fewest wafers each. Raises DoesNotFit, InvalidParams."""
    return {name: _placed(replace(setting, experts=name, wafers=None)) for name in EXPERT_PLACEMENTS}


def _placed(setting: Setting) -> PlacedExperts:
    placement, run = setting.placement(), setting.run()
    causes, traffic = {}, {}
    for phase, tokens in (("decode", setting.context), ("prefill", setting.prompt_tokens)):
        timing = placed_timing(placement, phase, tokens, run=run)
        layer = timing.layers[layer_of_experts(placement).layers[-1]]
        ops = [op for op in layer.ops if op.group == "ffn"]
        causes[phase] = sum_causes(ops)
        traffic[phase] = sum(op.seconds for op in ops if op.name == ALL_TO_ALL)
    return PlacedExperts(placement.wafers, pipeline_intervals(placement, run), causes, traffic)


def layer_of_experts(placement: Placement) -> Region:
    """The first region whose last layer has experts."""
    model = placement.model
    return next(r for r in placement.layer_regions if model.kind_of(r.layers[-1]).n_experts)


def expert_loads(setting: Setting) -> tuple[np.ndarray, str]:
    """Tokens of a prompt that each expert of one layer gets, and whether the trace is measured or drawn."""
    trace = setting.trace
    if trace is None:
        tokens = max(1, min(setting.prompt_tokens, DRAWN_TOKENS))
        trace = RouterTrace.drawn(setting.model, tokens, setting.skew, setting.seed)
    loads = trace.loads(0) * setting.prompt_tokens / len(trace.experts)
    return np.round(loads).astype(np.int64), trace.kind


def speeds_over_imbalance(setting: Setting, imbalances: np.ndarray) -> dict[str, np.ndarray]:
    """Prompt tokens/s of both placements over the busiest expert's share of the mean."""
    curves = {}
    for name in EXPERT_PLACEMENTS:
        found = replace(setting, experts=name, wafers=None, mapping="layer", side=None)
        placement, run = found.placement(), found.run()
        seconds = [
            pipeline(placement, run=replace(run, prefill_routing=Routing(name, float(imbalance)))).prefill_s
            for imbalance in imbalances
        ]
        curves[name] = setting.prompt_tokens / np.array(seconds)
    return curves
