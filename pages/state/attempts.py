"""Attempts at a challenge, as plain data."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from pages.state.turn import Turn


@dataclass
class Attempt:
    """One generation of a challenge: the run that wrote the code, the code, and the report on it."""

    number: int
    challenge: str
    turn: Turn
    code: str = ""
    reason: str = ""  # why there is no code, or no report
    report: dict[str, Any] | None = None
    config: str = ""  # with messages and seed: all it takes to make the generation again
    messages: tuple[dict[str, str], ...] = ()
    seed: int | None = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
