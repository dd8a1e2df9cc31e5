"""A model on its way to memory, as everybody sees it who waits for it."""

from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wse_backend.engine.engine import Engine


@dataclass
class Load:
    """The loading of one model; see `EnginePool.start_loading`.

    stage: what is being done, in plain words. done, total: how far that is, in units of its own (bytes of a
    download); total is 0 while it is not known. engine: ends with the engine, or with why there is none.
    """

    model: str
    stage: str = "waiting"
    done: int = 0
    total: int = 0
    engine: "Future[Engine]" = field(default_factory=Future)

    @property
    def share(self) -> float:
        """How much of the stage is done, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0

    def wait(self, timeout_s: float) -> bool:
        """Wait at most so many seconds; True when it has ended, well or not."""
        return not wait([self.engine], timeout_s).not_done

    def report(self, stage: str, done: int, total: int) -> None:
        """Take in how far it is; what loads a model calls it."""
        self.stage, self.done, self.total = stage, done, total
