"""Requests that wait for a place in the batch: whose turn is next, and how long the others still wait."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from time import perf_counter

from wse_backend.engine.request import Request

KEPT_ADMISSIONS, MIN_ADMISSIONS = 32, 4  # from so many of the latest the wait is told; from fewer it is not


class WaitingLine:
    """The queue of one scheduler. Owners take turns; not thread-safe, the scheduler holds its lock.

    Whoever has the fewest requests running goes first; among equals, whose last turn is the longest ago, and
    then who came first. running: the requests of the batch.
    """

    def __init__(self) -> None:
        self._requests: deque[Request] = deque()
        self._n_admitted = 0
        self._last_turns: dict[str, int] = {}  # owner -> number of the last admission, of who is here
        self._admitted_at: deque[float] = deque(maxlen=KEPT_ADMISSIONS)  # of late, while others waited

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self._requests)

    def append(self, request: Request) -> None:
        """A request joins the end."""
        self._requests.append(request)

    def remove_cancelled(self) -> list[Request]:
        """Take out, and return, the requests that were cancelled."""
        cancelled = [s for s in self._requests if s.is_cancelled.is_set()]
        for request in cancelled:
            self._requests.remove(request)
        return cancelled

    def next(self, running: Sequence[Request]) -> Request:
        """Whose turn it is; it stays here until it is admitted. Raises ValueError when nobody waits."""
        active = Counter(s.owner for s in running)
        return min(self._requests, key=lambda s: (active[s.owner], self._last_turns.get(s.owner, 0)))

    def admit(self, request: Request) -> None:
        """Take a request out, and note that its owner had a turn now."""
        self._requests.remove(request)
        request.admitted_at = perf_counter()
        self._admitted_at.append(request.admitted_at)
        self._n_admitted += 1
        self._last_turns[request.owner] = self._n_admitted

    def forget_if_empty(self, running: Sequence[Request]) -> None:
        """While nobody waits, the pace of places is unknown; turns of owners who left are forgotten."""
        if self._requests:
            return
        self._admitted_at.clear()
        present = {s.owner for s in running}
        self._last_turns = {o: turn for o, turn in self._last_turns.items() if o in present}

    def position(self, request: Request, running: Sequence[Request]) -> int:
        """How many are admitted up to this one if nobody else comes; 0 when it does not wait."""
        if request not in self._requests:
            return 0
        active = Counter(s.owner for s in running)
        turns = []
        for index, waiting in enumerate(self._requests):
            turns.append((active[waiting.owner], self._last_turns.get(waiting.owner, 0), index))
            active[waiting.owner] += 1
        mine = turns[self._requests.index(request)]
        return 1 + sum(turn < mine for turn in turns)

    def expected_wait_s(self, request: Request, running: Sequence[Request]) -> float | None:
        """Seconds until `request` is admitted, by the pace of late; None from too few admissions to tell."""
        if len(self._admitted_at) < MIN_ADMISSIONS:
            return None
        seconds_each = (perf_counter() - self._admitted_at[0]) / len(self._admitted_at)
        return self.position(request, running) * seconds_each
