"""The warm parent: a small process that has everything loaded, holds nothing secret, and forks a child per
run.

Started by the judge as a script (`python -s -S -P .../warm_parent.py FD ISOLATION`), so that
`grader/__init__.py` and what it imports stay out of it. Over its control socket come 5-byte messages:
b"R" + id with three file descriptors (request in, results out, exit status out), or b"K" + id to kill that
child. With FD "once" it serves a single request from standard input to standard output instead (platforms
without fork).
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def _stub_packages() -> None:
    """Make `grader.sandbox.*` importable without running the packages' own `__init__`."""
    sandbox = Path(__file__).resolve().parents[1]
    for name, folder in (("grader", sandbox.parent), ("grader.sandbox", sandbox)):
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package


if __name__ == "__main__":
    _stub_packages()

import gc  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import select  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import struct  # noqa: E402

from grader.sandbox.child.module_copies import load_modules  # noqa: E402
from grader.sandbox.child.submission import serve_request  # noqa: E402
from grader.sandbox.isolation.measures import isolate_parent  # noqa: E402

MESSAGE = struct.Struct("!cI")


class _ForkServer:
    def __init__(self, control: socket.socket, modules: dict[str, ModuleType]) -> None:
        self.control = control
        self.modules = modules
        self.children: dict[int, tuple[int, int]] = {}  # pid -> (run id, status fd)
        self.wake_read, self.wake_write = os.pipe()
        os.set_blocking(self.wake_write, False)
        os.set_blocking(self.wake_read, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Fork and reap until the judge closes its end; then end every child."""
        while True:
            ready, _, _ = select.select([self.control.fileno(), self.wake_read], [], [])
            if self.wake_read in ready:
                os.read(self.wake_read, 4096)
            self.reap()
            if self.control.fileno() in ready and not self.obey():
                break
        for pid in self.children:
            os.kill(pid, signal.SIGKILL)

    def obey(self) -> bool:
        """One message; False at the end of the conversation."""
        try:
            data, fds, _, _ = socket.recv_fds(self.control, MESSAGE.size, 3)
        except ConnectionError:
            return False
        if len(data) < MESSAGE.size:
            return False
        kind, run = MESSAGE.unpack(data)
        if kind == b"K":
            for pid, (number, _) in self.children.items():
                if number == run:
                    os.kill(pid, signal.SIGKILL)
        else:
            self.fork(run, *fds)
        return True

    def fork(self, run: int, request_fd: int, result_fd: int, status_fd: int) -> None:
        """A child for one run; the parent keeps only the status pipe."""
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            serve_request(request_fd, result_fd, self.modules)
        os.close(request_fd)
        os.close(result_fd)
        self.children[pid] = (run, status_fd)

    def reap(self) -> None:
        """Tell the judge how each finished child ended: exit code, or minus the signal."""
        while self.children:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            _, fd = self.children.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            _say(fd, {"exit": code, "cpu_s": usage.ru_utime + usage.ru_stime, "max_rss_kb": usage.ru_maxrss})


def _say(fd: int, message: dict[str, Any]) -> None:
    try:
        os.write(fd, json.dumps(message).encode())
    except OSError:
        sys.stderr.write("the judge left before its run ended\n")
    finally:
        os.close(fd)


def main(where: str, isolation: list[str]) -> None:
    """Load everything, give up every privilege, and serve."""
    modules = load_modules()
    if where == "once":
        isolate_parent(isolation)
        serve_request(os.dup(0), os.dup(1), modules)
    control = socket.socket(fileno=int(where))
    server = _ForkServer(control, modules)
    active = isolate_parent(isolation)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    control.sendall(json.dumps({"pid": os.getpid(), "isolation": active}).encode() + b"\n")
    server.serve()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2].split(",") if len(sys.argv) > 2 and sys.argv[2] else [])
