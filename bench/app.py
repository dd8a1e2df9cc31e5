"""What a page costs the server: processor time of a rerun, and the time to the first page.

    PYTHONPATH=. python bench/app.py [--runs 7]

Every page runs headless (Streamlit's own AppTest) in one process, as it would for one visitor, without a
generation; processor time is that of the whole process. The first page is timed in a fresh interpreter:
imports, and one run of the app.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIRST_PAGE = """
import time; began = time.perf_counter()
from streamlit.testing.v1 import AppTest
AppTest.from_file("streamlit_app.py", default_timeout=60).run()
print(time.perf_counter() - began, time.process_time())
"""


def first_page_s(runs: int) -> tuple[float, float]:
    """From a fresh interpreter to the first page, warm: seconds, and processor seconds; medians."""
    command = [sys.executable, "-c", FIRST_PAGE]
    took: list[tuple[float, float]] = []
    for _ in range(runs + 1):  # the first fills the disk's cache and is not counted
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        seconds, processor_s = map(float, done.stdout.split()[-2:])
        took.append((seconds, processor_s))
    return statistics.median(s for s, _ in took[1:]), statistics.median(p for _, p in took[1:])


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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="reruns of each page")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MOA_SESSIONS_DIR"] = folder
        seconds, processor_s = first_page_s(3)
        print(f"first page, from a fresh interpreter: {seconds:.1f} s, {processor_s:.1f} s of the processor")
        print(f"{'page':14}{'first run, ms':>16}{'rerun, ms':>12}")
        pages = rerun_ms(runs)
    for page, (first, again) in pages.items():
        print(f"{page:14}{first:16.0f}{again:12.0f}")
    print(f"{'median':14}{'':16}{statistics.median(again for _, again in pages.values()):12.0f}")


if __name__ == "__main__":
    main()
