"""What the app costs its server: until the first page, per rerun, and with a class in front of it.

    PYTHONPATH=. python bench/app.py [--runs 7] [--people 50] [--seconds 60]

Start: from the start of a server process, as `make run` starts it, to its first page; warm. Reruns: every
page headless (Streamlit's own AppTest) in one process, as for one visitor, without a generation; processor
time of the whole process. Visitors: websockets to a server process of its own that ask for pages as browsers
do. Half of them stand before the board of a round with as many participants, half before the challenge with
an attempt in their history; each acts every few seconds, and live parts ask again as often as the server
tells them to. Times are from the request until the page is complete; the visitors' own work is on the same
machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # before this folder, which has a grader.py

THINK_S = (3.0, 7.0)  # between two actions of a visitor
BOARD, CHALLENGE = "competition", "challenge"
Times = dict[str, list[float]]


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, psutil.Process, float]]:
    """A server process with data of its own: its host and port, the process, and when it was started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.headless=true"]
    data = {"MOA_SESSIONS_DIR": str(folder / "sessions"), "COMPETITION_URL": database_url(folder)}
    began = time.perf_counter()
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--server.address=127.0.0.1", f"--server.port={port}"],
            cwd=ROOT,
            env=os.environ | data,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}/_stcore/health")
            yield f"127.0.0.1:{port}", psutil.Process(process.pid), began
        finally:
            process.terminate()
            process.wait(timeout=20)


def database_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'competition.sqlite3'}"


def wait_until_healthy(url: str) -> None:
    for _ in range(1200):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.URLError:
            time.sleep(0.05)
    raise SystemExit("the server did not start within a minute")


class Visitor:
    """One browser session: asks for its page, acts, and keeps the page's live parts alive."""

    def __init__(self, host: str, page: str, key: str) -> None:
        self.host, self.page, self.key = host, page, key
        self.live: dict[str, float] = {}  # fragment -> seconds between its reruns
        self.times: Times = defaultdict(list)

    async def visit(self, seconds: float, n_actions: int | None = None) -> None:
        """Open the page and stay for so long, or for so many actions."""
        from websockets.asyncio.client import connect

        headers = {"Cookie": f"moa_workshop={self.key}"} if self.key else {}
        async with connect(
            f"ws://{self.host}/_stcore/stream",
            subprotocols=["streamlit"],  # type: ignore[list-item]
            additional_headers=headers,
            max_size=None,
            open_timeout=None,
            ping_interval=None,  # a server that is late is what is measured, no reason to leave
        ) as self.socket:
            await self._ask("open")
            ends = time.perf_counter() + seconds
            due = {"": time.perf_counter() + random.uniform(*THINK_S)}
            while n_actions is None and time.perf_counter() < ends:
                due |= {part: time.perf_counter() + s for part, s in self.live.items() if part not in due}
                part = min(due, key=due.__getitem__)
                await asyncio.sleep(max(0.0, due.pop(part) - time.perf_counter()))
                if not part:
                    due = {"": time.perf_counter() + random.uniform(*THINK_S)}  # a new page, new live parts
                    await self._ask("rerun")
                elif part in self.live:
                    await self._ask("live part", part)

    async def _ask(self, what: str, fragment: str = "") -> None:
        """Send one request and read until the page says that it is complete."""
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        message = BackMsg()
        state = message.rerun_script
        state.page_name, state.fragment_id, state.is_auto_rerun = self.page, fragment, bool(fragment)
        if not fragment:
            self.live = {}
        began = time.perf_counter()
        await self.socket.send(message.SerializeToString())
        while True:
            found = ForwardMsg.FromString(await self.socket.recv())
            kind = found.WhichOneof("type")
            if kind == "auto_rerun":
                self.live[found.auto_rerun.fragment_id] = found.auto_rerun.interval
            elif kind == "delta" and found.delta.new_element.WhichOneof("type") == "exception":
                raise SystemExit(f"{self.page}: {found.delta.new_element.exception.message}")
            elif kind == "script_finished":
                break
        self.times[f"{self.page}, {what}"].append(1000 * (time.perf_counter() - began))


def first_page_s(runs: int) -> list[float]:
    """Seconds from the start of a server process to its first page; the first start warms the disk."""
    took = []
    for _ in range(runs + 1):
        with tempfile.TemporaryDirectory() as name, server(Path(name)) as (host, _, began):
            asyncio.run(Visitor(host, "", "").visit(0, n_actions=0))
            took.append(time.perf_counter() - began)
    return took[1:]


def prepare_class(folder: Path, n_people: int) -> list[str]:
    """A round with so many participants, graded submissions and prior attempts; the visitors' keys."""
    from bench.competition import load
    from grader import challenge, grade
    from grader.competition import Store
    from pages.state.attempts import Attempt
    from pages.state.session_store import SessionStore, new_key
    from pages.state.turn import Turn

    load(database_url(folder), n_people, 4, 4)
    opened = Store.open(database_url(folder))
    (found,) = opened.rounds.all()
    people = opened.participants.of_round(found.id)
    opened.close()
    code = challenge("user_metrics").baseline
    report = grade(code, "user_metrics").to_dict()
    kept, keys = SessionStore(folder / "sessions"), []
    for who in people:
        key = new_key()
        session = kept.get(key)
        session.seats[found.uid] = who.id
        attempt = Attempt(1, "user_metrics", Turn("The challenge", state="done"))
        attempt.code, attempt.report = code, report
        session.attempts.append(attempt)
        session.save()
        keys.append(key)
    return keys


async def visit_together(host: str, keys: list[str], seconds: float) -> Times:
    """Everybody at once, having come in within the first seconds; every request's time by page and kind."""
    people = [Visitor(host, (BOARD, CHALLENGE)[n % 2], key) for n, key in enumerate(keys)]

    async def come(visitor: Visitor) -> None:
        await asyncio.sleep(random.uniform(0, THINK_S[1]))
        await visitor.visit(seconds)

    await asyncio.gather(*(come(each) for each in people))
    all_times: Times = defaultdict(list)
    for each in people:
        for kind, times in each.times.items():
            all_times[kind] += times
    return all_times


def print_class(n_people: int, seconds: float) -> None:
    """The visitors' table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys = prepare_class(folder, n_people)
        with server(folder) as (host, process, _):
            asyncio.run(Visitor(host, BOARD, "").visit(0, n_actions=0))  # imports are done
            asyncio.run(Visitor(host, CHALLENGE, "").visit(0, n_actions=0))
            before = sum(process.cpu_times()[:2])
            began = time.perf_counter()
            times = asyncio.run(visit_together(host, keys, seconds))
            took = time.perf_counter() - began
            spent_s = sum(process.cpu_times()[:2]) - before
            memory = process.memory_info().rss / 1e6
    everything = [each for kind in times.values() for each in kind]
    print(
        f"\n{n_people} visitors for {took:.0f} s: the server used {spent_s / took:.2f} cores, "
        f"{1000 * spent_s / len(everything):.0f} ms of the processor a request, {memory:.0f} MB"
    )
    print(f"{'':24}{'requests':>9}{'median, ms':>12}{'p95, ms':>9}{'worst, ms':>11}")
    for kind, found in [*sorted(times.items()), ("all", everything)]:
        p95 = statistics.quantiles(found, n=20)[18] if len(found) > 1 else found[0]
        print(f"{kind:24}{len(found):9}{statistics.median(found):12.0f}{p95:9.0f}{max(found):11.0f}")


def rerun_ms(runs: int) -> dict[str, tuple[float, float]]:
    """Per page: milliseconds of processor time of its first run, and of a rerun (the median)."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60)
    app.run()
    found = {}
    for page in sorted(path.stem for path in (ROOT / "pages").glob("*.py")):
        app.switch_page(f"pages/{page}.py")
        times = []
        for _ in range(runs + 1):
            began = time.process_time()
            app.run()
            times.append(1000 * (time.process_time() - began))
        assert not app.exception, (page, app.exception)
        found[page] = times[0], statistics.median(times[1:])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7, help="reruns of each page; 0 leaves them out")
    parser.add_argument("--people", type=int, default=50, help="visitors at once; 0 leaves them out")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the visitors stay")
    options = parser.parse_args()
    print(f"{psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f} before")
    if options.runs:
        took = first_page_s(3)
        print(f"server start to first page: {statistics.median(took):.1f} s (most {max(took):.1f} s)")
        with tempfile.TemporaryDirectory() as folder:
            os.environ["MOA_SESSIONS_DIR"] = folder
            pages = rerun_ms(options.runs)
        print(f"\n{'page':14}{'first run, ms':>16}{'rerun, ms':>12}   of the processor")
        for page, (first, again) in pages.items():
            print(f"{page:14}{first:16.0f}{again:12.0f}")
        print(f"{'median':14}{'':16}{statistics.median(again for _, again in pages.values()):12.0f}")
    if options.people:
        print_class(options.people, options.seconds)


if __name__ == "__main__":
    main()
