"""An async generator on a thread: a machine that has no loop or thread left says so at once."""

import subprocess
import sys

PROGRAM = """
import resource, threading
from moa_core import MoAConfig, run_sync

class Nobody:
    name = "nobody"
    async def models(self): return []
    async def stream(self, request):
        yield

{limit}
try:
    list(run_sync(MoAConfig(), "hi", Nobody()))
except {error} as exc:
    print("raised", type(exc).__name__)
"""
NO_FILES = """
n = len(__import__("os").listdir("/proc/self/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (n - 1, n - 1))
"""
NO_THREADS = """
def refuse(self): raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
"""


def outcome(limit: str, error: str) -> str:
    program = PROGRAM.format(limit=limit, error=error)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    return done.stdout.strip() or done.stderr


def test_without_an_event_loop_the_caller_is_told():
    assert outcome(NO_FILES, "OSError") == "raised OSError"


def test_without_a_thread_the_caller_is_told():
    assert outcome(NO_THREADS, "RuntimeError") == "raised RuntimeError"
