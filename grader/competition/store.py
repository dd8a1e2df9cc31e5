"""The competition's store: everything that is kept, behind one object."""

from __future__ import annotations

from collections.abc import Callable

from grader.competition.boards import Boards
from grader.competition.database import Database
from grader.competition.final_board import FinalBoards
from grader.competition.finals import Finals
from grader.competition.limits import Limits
from grader.competition.participants import Participants
from grader.competition.records import now_ms
from grader.competition.rounds import Rounds
from grader.competition.seats import Seats
from grader.competition.submissions import Submissions


class Store:
    """Everything that one database keeps of the competition. Thread-safe; one per process and URL."""

    def __init__(
        self, database: Database, limits: Limits | None = None, clock: Callable[[], int] = now_ms
    ) -> None:
        limits = limits or Limits()
        self.database = database
        self.clock = clock
        self.rounds = Rounds(database, clock)
        self.participants = Participants(database, limits, clock)
        self.seats = Seats(database, self.participants, clock)
        self.submissions = Submissions(database, limits, clock)
        self.boards = Boards(database, clock)
        self.finals = Finals(database, clock)
        self.final_boards = FinalBoards(database)

    @classmethod
    def open(cls, url: str, limits: Limits | None = None) -> Store:
        """Connect to `url` and bring its tables up to date. Raises StoreError."""
        database = Database(url)
        try:
            database.migrate()
        except BaseException:
            database.close()
            raise
        return cls(database, limits)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()
