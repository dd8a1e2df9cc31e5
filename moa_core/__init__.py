"""A Mixture of Agents: configuration, providers, runs that tell what happens, and traces."""

from moa_core.config.values import Agent, Layer, MoAConfig
from moa_core.errors import ConfigError, MoAError
from moa_core.runs.events import (
    AgentDelta,
    AgentFailed,
    AgentFinished,
    AgentStarted,
    AgentWaiting,
    Event,
    LayerFinished,
    LayerStarted,
    RunFailed,
    RunFinished,
    RunStarted,
    SummaryDelta,
)
from moa_core.runs.orchestrator import run, run_sync
from moa_core.runs.strategy_context import Checked, Checker
from moa_core.runs.trace import CallRecord, CheckRecord, Trace

__all__ = [
    "Agent",
    "AgentDelta",
    "AgentFailed",
    "AgentFinished",
    "AgentStarted",
    "AgentWaiting",
    "CallRecord",
    "CheckRecord",
    "Checked",
    "Checker",
    "ConfigError",
    "Event",
    "Layer",
    "LayerFinished",
    "LayerStarted",
    "MoAConfig",
    "MoAError",
    "RunFailed",
    "RunFinished",
    "RunStarted",
    "SummaryDelta",
    "Trace",
    "run",
    "run_sync",
]
