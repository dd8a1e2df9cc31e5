"""A trace that the engine recorded on a tiny mixture of experts, all the way to the wafer's times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from moa_core.runs.trace import CallRecord
from pages.parts.wafer.view import View
from pages.state.routing import router_traces, trace_json
from pages.state.wafer_experts import expert_loads
from pages.state.wafer_setting import Setting
from tests.wse_backend.families import FAMILIES, write_family
from wse_backend import Engine, SamplingParams
from wse_backend.errors import InvalidParams
from wse_backend.wafer.routing import RouterTrace
from wse_backend.wafer.shapes import ModelShape
from wse_backend.wafer.spec import WSE3
from wse_backend.weights.gguf_file import open_gguf

QUESTION = [{"role": "user", "content": "hello hello"}]


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_family(tmp_path_factory.mktemp("models") / "tiny.gguf", FAMILIES["gpt-oss"])


@pytest.fixture(scope="module")
def trace(model_path: Path) -> RouterTrace:
    engine = Engine("tiny", open_gguf(model_path), 32 << 20)
    answer = engine.generate(QUESTION, SamplingParams(temperature=0.0, max_tokens=24))
    engine.close()
    call = CallRecord(
        layer=1,
        agent="a",
        index=0,
        role="agent",
        provider="p",
        model="tiny",
        start_s=0.0,
        end_s=1.0,
        routing=answer.routing,
    )
    return router_traces([call])["tiny"]


def test_trace_of_the_engine_is_one_of_its_files_shape_and_times_both_placements(
    model_path: Path, trace: RouterTrace
) -> None:
    shape = ModelShape.from_gguf(model_path)
    again = RouterTrace.parse(trace_json(trace), shape)  # as the page downloads it and takes it back
    assert (again.experts == trace.experts).all()
    for experts in ("spread", "blocks"):
        setting = Setting(shape, WSE3, context=256, prompt_tokens=64, experts=experts, trace=again)
        assert setting.routing(64).imbalance == again.imbalance(64) > 1
        view = View(setting, setting.placement())
        assert 0 < view.intervals.token_s.low < view.intervals.token_s.high
        assert view.intervals.prefill_s.value > 0
    loads, kind = expert_loads(replace(setting, prompt_tokens=1000))
    assert (int(loads.sum()), kind) == (1000 * shape.n_experts_active, "measured")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_layers": 9}, "layers of the router trace is 4; allowed: 9 of"),
        ({"n_experts": 3}, "expert in the router trace is .; allowed: 0 to 2"),
        ({"n_experts_active": 1}, "experts per token of the router trace is 2; allowed: 1 of"),
    ],
    ids=str,
)
def test_trace_of_the_engine_is_refused_by_another_model(
    model_path: Path, trace: RouterTrace, change: dict[str, int], said: str
) -> None:
    other = replace(ModelShape.from_gguf(model_path), **change)  # type: ignore[arg-type]
    with pytest.raises(InvalidParams, match=said):
        RouterTrace.parse(trace_json(trace), other)
