"""Where a graded generation comes from, and how it is made again; knows nothing of Streamlit."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from grader.competition import Generation, Provenance
from grader.competition.records import storable
from moa_core import MoAConfig
from pages.state.attempts import Attempt

MAX_SEED = 2**31 - 1


def seeded(attempt: Attempt, config: MoAConfig, messages: Sequence[dict[str, str]]) -> MoAConfig:
    """`config` with a seed, drawn when it has none; `attempt` remembers what the run was made from."""
    attempt.seed = secrets.randbelow(MAX_SEED) if config.seed is None else config.seed
    attempt.config = config.to_json()
    attempt.messages = tuple(dict(message) for message in messages)
    return replace(config, seed=attempt.seed)


def generation(attempt: Attempt) -> Generation:
    """A graded attempt as the competition stores it."""
    records = attempt.turn.records
    return Generation(
        attempt_key=attempt.key,
        config=attempt.config,
        messages=attempt.messages,
        seed=attempt.seed,
        backend=", ".join(dict.fromkeys(record.provider for record in records)),
        models=tuple(dict.fromkeys(record.model for record in records)),
        reply=attempt.turn.answer,
        code=attempt.code,
        tokens=sum(record.completion_tokens or 0 for record in records),
        duration_s=attempt.turn.total_s,
        prompt_tokens=sum(record.prompt_tokens or 0 for record in records),
        n_calls=len(records),
        strategy=str(MoAConfig.from_json(attempt.config).strategy),
        cost_usd=attempt.turn.cost_usd,
    )


def config_of(provenance: Provenance) -> MoAConfig:
    """The configuration that a submission's run was made with. Raises ConfigError."""
    return replace(MoAConfig.from_json(provenance.config), seed=provenance.seed)


def is_same_text(answer: str, provenance: Provenance) -> bool:
    """Whether a replay wrote what was submitted."""
    return storable(answer) == provenance.reply
