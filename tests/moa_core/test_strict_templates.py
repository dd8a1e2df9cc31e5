"""A model whose template knows no system prompt and takes turns strictly works for every prompt of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from moa_core import Agent, AgentFailed, AgentFinished, MoAConfig, RunFailed, RunFinished, run_sync
from moa_core.providers import Wafer
from moa_core.runs.plan import plan_sync
from tests.wse_backend.chat_templates import ROWS
from tests.wse_backend.families import FAMILIES, write_family
from wse_backend import EnginePool

HISTORY = [
    {"role": "system", "content": "hello"},
    {"role": "user", "content": "a"},
    {"role": "user", "content": "b"},
]


@pytest.fixture
def wafer(tmp_path: Path) -> Iterator[Wafer]:
    template = {"tokenizer.chat_template": ROWS["Gemma 2"].source, "gemma2.context_length": 2048}
    write_family(tmp_path / "strict.gguf", FAMILIES["gemma2"], changes=template)
    pool = EnginePool(tmp_path)
    yield Wafer(pool)
    pool.close()


def config() -> MoAConfig:
    agents = [Agent(name, "strict.gguf", "Improve: {helper_response}", 2.0, 8) for name in ("one", "two")]
    return MoAConfig(
        [agents, agents], Agent("sum", "strict.gguf", "Sum up: {helper_response}", 2.0, 8), seed=5
    )


def test_plan_says_what_conversations_go_through(wafer: Wafer) -> None:
    plan = plan_sync(config(), HISTORY, wafer)
    assert plan.fits
    assert [note.partition(":")[0] for note in plan.notes] == ["strict.gguf"] * 2
    assert "in front of the next user message" in plan.notes[0]
    assert "joined" in plan.notes[1]


def test_no_agent_fails(wafer: Wafer) -> None:
    events = list(run_sync(config(), HISTORY, wafer))
    assert not [event for event in events if isinstance(event, (AgentFailed, RunFailed))]
    assert len([event for event in events if isinstance(event, AgentFinished)]) == 4
    assert isinstance(events[-1], RunFinished)
