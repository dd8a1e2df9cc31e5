"""A process that submits, joins teams and leaves them without a pause, and says what was acknowledged.

    python tests/grader/competition/arriving.py URL PARTICIPANT_ID... [--teams ROUND_ID TEAM CODE...]

Made to be killed. One thread per participant, and three people who go from team to team. Prints a line after
each acknowledgement: "PARTICIPANT KEY ID" of a submission, "in PERSON TEAM", "out PERSON"; and before
somebody leaves "leaving PERSON".
"""

from __future__ import annotations

import os
import sys
import threading
import uuid
from random import Random

from grader.competition import Account, Database, Limits, Refused, Store
from tests.grader.competition.samples import generation

N_PEOPLE = 3


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # one write: lines never mix


def submit(store: Store, participant_id: int) -> None:
    key = uuid.uuid4().hex
    stored = store.submissions.add(participant_id, generation(key, reply="text " * 2_000))
    say(f"{participant_id} {key} {stored.id}")


def submit_forever(store: Store, participant_id: int) -> None:
    while True:
        submit(store, participant_id)


def change_teams_forever(store: Store, round_id: int, teams: list[tuple[str, str]], number: int) -> None:
    """Join a team, submit for it, leave it, join another one."""
    account = Account("https://school.example", str(number), f"Person {number}")
    random = Random()
    while True:
        seat = store.seats.of(round_id, account)
        if seat is None:
            try:
                who = store.seats.join_team(round_id, account, *random.choice(teams))
            except Refused:  # the team is full
                continue
        else:  # a killed process left it
            who = seat.participant
        say(f"in {number} {who.nickname}")
        submit(store, who.id)
        say(f"leaving {number}")
        store.seats.leave(round_id, account)
        say(f"out {number}")


def main() -> None:
    url, *rest = sys.argv[1:]
    at = rest.index("--teams") if "--teams" in rest else len(rest)
    ids, teams = rest[:at], rest[at + 1 :]
    no_limits = Limits(10**9, 10**9, 10**9, 10**9)
    store = Store(Database(url), no_limits)
    for participant_id in ids:
        threading.Thread(target=submit_forever, args=(store, int(participant_id))).start()
    if teams:
        pairs = list(zip(teams[1::2], teams[2::2], strict=True))
        for number in range(N_PEOPLE):
            given = (store, int(teams[0]), pairs, number)
            threading.Thread(target=change_teams_forever, args=given).start()


if __name__ == "__main__":
    main()
