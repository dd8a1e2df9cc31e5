"""What a grade costs: warm, many at once, beside human-eval's way, and what the worst replies cost to read.

    python bench/grader.py

Measured on this machine. "human-eval's way" starts one new interpreter per check, loads the submission there
and makes the same calls, with human-eval's own guards left out, which makes it look faster than it is.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# In place of this folder, where `grader` would be this very file.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from grader import extract_code, grade  # noqa: E402
from grader.grading.registry import challenge  # noqa: E402
from grader.sandbox import default_sandbox  # noqa: E402
from tests.grader.replies.hostile_replies import HOSTILE  # noqa: E402

ROUNDS = 25
TOGETHER = 30
GOOD = """
def number(user, key):
    try:
        return float(user.get(key, 0))
    except (TypeError, ValueError):
        return 0.0


def calculate_user_metrics(users, start_date, end_date):
    active = []
    for user in users:
        if not isinstance(user, dict) or not isinstance(user.get("last_login"), str):
            continue
        if start_date <= user["last_login"] <= end_date:
            days = number(user, "days_active")
            raw = number(user, "posts") * 2 + number(user, "comments") * 1.5 + number(user, "likes") * 0.1
            active.append({**user, "engagement_score": raw / days if days else 0.0})
    active.sort(key=lambda user: user["engagement_score"], reverse=True)
    mean = sum(user["engagement_score"] for user in active) / len(active) if active else 0
    return {"average_engagement": mean, "top_performers": active[:5], "active_count": len(active)}
"""
LOOP = "def calculate_user_metrics(users, start_date, end_date):\n    while True:\n        pass\n"
RUNNER = """
import json, sys
request = json.load(sys.stdin)
space = {}
exec(request["source"], space)
print(json.dumps([space["calculate_user_metrics"](*args) for args in request["calls"]]))
"""


def main() -> None:
    """Measure and print one table."""
    first_ms = once(lambda: grade(GOOD)) * 1000
    warm_ms = [once(lambda: grade(GOOD)) * 1000 for _ in range(ROUNDS)]
    assert grade(GOOD).score == 120
    together_s = once(lambda: grade_together(TOGETHER))
    per_check_ms = [once(process_per_check) * 1000 for _ in range(3)]
    loop_s = once(lambda: grade(LOOP))
    reading_ms, slowest = max((reading_time_ms(reply), name) for name, reply in HOSTILE.items())
    rows = [
        ("one grade, cold (starts the warm parent, draws the cases)", f"{first_ms:.0f} ms"),
        (f"one grade, warm, median of {ROUNDS}", f"{statistics.median(warm_ms):.1f} ms"),
        (f"one grade, warm, slowest of {ROUNDS}", f"{max(warm_ms):.1f} ms"),
        (f"{TOGETHER} grades arriving together, all done after", f"{together_s:.2f} s"),
        (
            "human-eval's way: the same calls, a fresh process per check",
            f"{statistics.median(per_check_ms):.0f} ms",
        ),
        (
            f"the slowest to read of {len(HOSTILE)} hostile replies of 400 KB ({slowest})",
            f"{reading_ms:.0f} ms",
        ),
        ("an endless loop, all its checks", f"{loop_s:.1f} s"),
        ("warm parent, resident", f"{resident_mb(default_sandbox().parent_pid):.1f} MB"),
    ]
    width = max(len(name) for name, _ in rows)
    print(f"measured on this machine: {os.cpu_count()} processors, Python {sys.version.split()[0]}")
    for name, value in rows:
        print(f"{name:{width}}  {value:>9}")


def once(action: Callable[[], object]) -> float:
    """Seconds the action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def reading_time_ms(reply: str) -> float:
    """The faster of two readings: other programs only ever add to it."""
    return min(once(lambda: extract_code(reply, "f")) for _ in range(2)) * 1000


def grade_together(count: int) -> None:
    """`count` different submissions graded at once, as a class hands them in."""
    with ThreadPoolExecutor(count) as pool:
        scores = list(pool.map(lambda number: grade(f"{GOOD}\n# {number}\n").score, range(count)))
    assert scores == [120] * count


def process_per_check() -> None:
    """A new interpreter for every check; the answers are only collected."""
    for families in challenge("user_metrics").plan(2024).values():
        calls = [list(call.args) for family in families for planned in family.planned for call in planned]
        request = json.dumps({"source": GOOD, "calls": calls}).encode()
        subprocess.run([sys.executable, "-I", "-c", RUNNER], input=request, capture_output=True, check=True)


def resident_mb(pid: int | None) -> float:
    """Resident memory of a process in megabytes (Linux); 0 elsewhere."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0.0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
