"""How a stored submission is made again, and whether it came out the same; knows nothing of Streamlit."""

from __future__ import annotations

from dataclasses import replace

from grader.competition import Provenance
from grader.competition.records import storable
from moa_core import MoAConfig


def config_of(provenance: Provenance) -> MoAConfig:
    """The configuration that a submission's run was made with. Raises ConfigError."""
    return replace(MoAConfig.from_json(provenance.config), seed=provenance.seed)


def is_same_text(answer: str, provenance: Provenance) -> bool:
    """Whether a replay wrote what was submitted."""
    return storable(answer) == provenance.reply
