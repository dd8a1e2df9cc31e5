"""A process that submits without a pause and says what was acknowledged; made to be killed.

    python tests/grader/competition/arriving.py URL PARTICIPANT_ID...

One thread per participant. Prints a line "PARTICIPANT KEY ID" after each acknowledgement.
"""

from __future__ import annotations

import os
import sys
import threading
import uuid

from grader.competition import Database, Limits, Store
from tests.grader.competition.samples import generation


def submit_forever(store: Store, participant_id: int) -> None:
    while True:
        key = uuid.uuid4().hex
        stored = store.submissions.add(participant_id, generation(key, reply="text " * 2_000))
        os.write(1, f"{participant_id} {key} {stored.id}\n".encode())  # one write: lines never mix


def main() -> None:
    url, *ids = sys.argv[1:]
    no_limits = Limits(10**9, 10**9, 10**9, 10**9)
    store = Store(Database(url), no_limits)
    for participant_id in ids:
        threading.Thread(target=submit_forever, args=(store, int(participant_id))).start()


if __name__ == "__main__":
    main()
