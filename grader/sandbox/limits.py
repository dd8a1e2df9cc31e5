"""What a submission may use up."""

from __future__ import annotations

from dataclasses import asdict, dataclass

PARENT_ISOLATION = ("empty environment", "empty folder", "unprivileged user", "namespaces")
CHILD_ISOLATION = (
    "closed files",
    "no new privileges",
    "landlock",
    "resource limits",
    "seccomp",
    "audit hook",
)
ALL_ISOLATION = (*PARENT_ISOLATION, *CHILD_ISOLATION)
"""Names of the isolation measures, in the order in which they are applied."""


@dataclass(frozen=True)
class SandboxLimits:
    """What one grade may use. Wall time is watched from outside, the rest is enforced by the kernel where it
    can.

    wall_s: the whole grade. silence_s: wall time without any result. cpu_s: CPU time per group of cases (a
    check). memory_bytes: address space of the child. result_bytes: one returned value; output_bytes: all of
    them. source_bytes: larger sources are refused before they are parsed. max_restarts: fresh children
    after a death.
    """

    wall_s: float = 10.0
    silence_s: float = 4.0
    cpu_s: float = 2.0
    memory_bytes: int = 384 << 20
    result_bytes: int = 1 << 20
    output_bytes: int = 16 << 20
    source_bytes: int = 200_000
    max_restarts: int = 12
    max_timeouts: int = 3

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value <= 0:
                raise ValueError(f"limit {name} must be positive, got {value}")
