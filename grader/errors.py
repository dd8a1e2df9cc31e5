"""What can go wrong on our side of a grade.

GraderError                 its text may be shown to a user
├── UnknownChallenge        no challenge by that name (also a ValueError)
├── BadChallenge            a challenge folder or pack that cannot be used (also a ValueError)
├── BadReport               text that is not a report (also a ValueError)
├── UnusableFile            a file that cannot be read or written
└── SandboxError            submissions cannot be run
    ├── SandboxUnavailable  no process, or no protection at all, on this machine
    └── SandboxFailed       the sandbox itself broke; the submission is not to blame

A submission that crashes, hangs or cheats is no exception: it is a line of the report.
"""

from collections.abc import Iterable


class GraderError(Exception):
    """Base of everything this package raises."""


class UnknownChallenge(GraderError, ValueError):
    """No challenge by that name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(f"there is no challenge {name!r}; there are: {', '.join(self.known) or 'none'}")


class BadChallenge(GraderError, ValueError):
    """A challenge folder or pack that cannot be used."""

    def __init__(self, source: str, reason: str) -> None:
        self.source = source
        self.reason = reason
        super().__init__(f"cannot use the challenge in {source}: {reason}")


class BadReport(GraderError, ValueError):
    """A dict or text that is not a report of this grader."""


class UnusableFile(GraderError):
    """A file or folder that cannot be read or written."""

    def __init__(self, path: str, reason: str, use: str = "read") -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path} cannot be {use}: {reason}")


class SandboxError(GraderError):
    """Submissions cannot be run here."""


class SandboxUnavailable(SandboxError):
    """No process could be started, or no protection at all is available on this machine."""


class SandboxFailed(SandboxError):
    """The sandbox broke while it ran a submission; says at which step."""
