"""Processes that run submissions: the warm parent and its children, or a fresh interpreter for each run."""

from __future__ import annotations

import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from grader.errors import SandboxFailed, SandboxUnavailable
from grader.grading.challenge import Opaque
from grader.sandbox.judge.clock import now_s
from grader.sandbox.limits import SandboxLimits

WARM_PARENT_SCRIPT = Path(__file__).parents[1] / "child" / "warm_parent.py"
HAS_FORK = hasattr(os, "fork") and hasattr(socket, "send_fds")
_START_S = 20.0
_BREATH_S = 0.002


@dataclass
class ChildRecord:
    """One child's life: the messages it sent and how it ended. ending: exit code, or "timeout"."""

    messages: list[dict[str, Any]]
    ending: int | str
    cpu_s: float = 0.0


class WarmParentGone(SandboxFailed):
    """The warm parent ended before its child did."""


class Watch:
    """The clock of one child: too long without a word, or past the deadline (by `now_s`) of the whole run."""

    def __init__(self, limits: SandboxLimits, deadline: float) -> None:
        self.silence_s = limits.silence_s
        self.output_bytes = limits.output_bytes + (1 << 20)
        self.deadline = deadline
        self.last_word = now_s()

    def heard(self) -> None:
        self.last_word = now_s()

    @property
    def left_s(self) -> float:
        return min(self.last_word + self.silence_s, self.deadline) - now_s()


_LONG = re.compile(rb"[0-9]{300}")
"""So many digits are more than a float holds; judges compare numbers as floats."""


def _bounded(digits: str) -> int | Opaque:
    return int(digits) if len(digits) < 300 else Opaque("too large an integer")


MAX_PARTS = 1_000_000
"""Commas in all that one child says: an empty list takes three bytes here and seventy once it is read."""


class Messages:
    """The complete lines a child wrote, read as they come; a broken or foreign line ends the reading."""

    def __init__(self, limit_bytes: int) -> None:
        self.found: list[dict[str, Any]] = []
        self._left = limit_bytes
        self._parts = MAX_PARTS
        self._open = b""
        self._is_reading = True

    def feed(self, part: bytes) -> bool:
        """Take more of the child's output; False when it is too much."""
        self._left -= len(part)
        self._parts -= part.count(b",")
        if self._left < 0 or self._parts < 0:
            return False
        *lines, self._open = (self._open + part).split(b"\n")
        for line in lines if self._is_reading else ():
            try:
                message = json.loads(line, parse_int=_bounded) if _LONG.search(line) else json.loads(line)
            except (ValueError, RecursionError):
                message = None
            if not isinstance(message, dict):
                self._is_reading = False
                break
            self.found.append(message)
        return True


class WarmParentHandle:
    def __init__(self, isolation: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        command = [
            sys.executable,
            "-s",
            "-S",
            "-P",
            str(WARM_PARENT_SCRIPT),
            str(theirs.fileno()),
            ",".join(isolation),
        ]
        try:
            self._process = subprocess.Popen(
                command,
                env=_environment(),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as exc:
            ours.close()
            raise SandboxUnavailable(
                f"submissions cannot be run: no process could be started ({exc})"
            ) from exc
        finally:
            theirs.close()
        self._control = ours
        self._send = threading.Lock()
        self._numbers = count(1)
        self.pid = self._process.pid
        self._finalizer = weakref.finalize(self, _end, ours, self._process)
        self.isolation = self._greeting()

    def _greeting(self) -> tuple[str, ...]:
        self._control.settimeout(_START_S)
        text = b""
        try:
            while not text.endswith(b"\n"):
                part = self._control.recv(4096)
                if not part:
                    raise SandboxUnavailable(
                        "submissions cannot be run: the sandbox process ended as it started"
                    )
                text += part
        except TimeoutError as exc:
            raise SandboxUnavailable(f"submissions cannot be run: no answer within {_START_S:g} s") from exc
        self._control.settimeout(None)
        return tuple(json.loads(text)["isolation"])

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._finalizer()

    def one_child(self, request: bytes, watch: Watch) -> ChildRecord:
        number = next(self._numbers) & 0xFFFFFFFF
        with ExitStack() as stack:
            request_read, request_write = _pipe(stack)
            result_read, result_write = _pipe(stack)
            status_read, status_write = _pipe(stack)
            message = b"R" + number.to_bytes(4, "big")
            try:
                with self._send:
                    socket.send_fds(
                        self._control, [message], [request_read.fd, result_write.fd, status_write.fd]
                    )
            except OSError as exc:
                raise WarmParentGone("the sandbox process ended unexpectedly") from exc
            for end in (request_read, result_write, status_write):
                end.close()
            messages = Messages(watch.output_bytes)
            in_time = _exchange(request, request_write, result_read, watch, messages)
            if not in_time:
                with suppress(OSError), self._send:
                    self._control.sendall(b"K" + number.to_bytes(4, "big"))
            status = _read_status(status_read.fd)
        found = messages.found
        if found and "isolation" in found[0]:
            found[0]["isolation"] = [*self.isolation, *found[0]["isolation"]]
        return ChildRecord(found, status["exit"] if in_time else "timeout", status["cpu_s"])


def _end(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    """The parent leaves, and ends its children, when the control socket closes."""
    control.close()
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _environment() -> dict[str, str]:
    """Nothing but what the interpreter needs to start; hashing is fixed so that sets iterate alike
    everywhere."""
    kept = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
    return {"PYTHONHASHSEED": "0", **{name: os.environ[name] for name in kept if name in os.environ}}


class _PipeEnd:
    """One end of a pipe that is closed once."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _pipe(stack: ExitStack) -> tuple[_PipeEnd, _PipeEnd]:
    read, write = (_PipeEnd(fd) for fd in os.pipe())
    stack.callback(read.close)
    stack.callback(write.close)
    return read, write


def _exchange(request: bytes, to: _PipeEnd, source: _PipeEnd, watch: Watch, messages: Messages) -> bool:
    """Write the request and read the results side by side; False when the clock ran out first.

    A short breath after each read lets results gather: a child writes hundreds of lines, and waking for
    each of them would take the processor away from it.
    """
    os.set_blocking(to.fd, False)
    rest = memoryview(request)
    poll = select.poll()
    poll.register(source.fd, select.POLLIN)
    poll.register(to.fd, select.POLLOUT)
    while watch.left_s > 0:
        for fd, _ in poll.poll(watch.left_s * 1000):
            watch.heard()
            if fd != source.fd:
                rest = _write_some(to, rest)
                if not rest:
                    poll.unregister(fd)
                    to.close()
                continue
            part = os.read(fd, 1 << 20)
            if not part:
                return True
            if not messages.feed(part):
                return False
            time.sleep(_BREATH_S)
    return False


def _write_some(to: _PipeEnd, rest: memoryview) -> memoryview:
    try:
        rest = rest[os.write(to.fd, rest[: 1 << 16]) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        rest = rest[:0]
    return rest


def _read_status(fd: int) -> dict[str, Any]:
    """The warm parent's word on how the child ended."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    data = os.read(fd, 4096) if poll.poll(10_000) else b""
    if not data:
        raise WarmParentGone("the sandbox process ended while it ran a submission")
    status: dict[str, Any] = json.loads(data)
    return status


def _communicate(process: subprocess.Popen[bytes], request: bytes, watch: Watch) -> tuple[bytes, int | str]:
    """What the process wrote, and its exit code. Raises TimeoutExpired when the deadline has passed."""
    while True:
        left_s = watch.deadline - now_s()
        try:
            data, _ = process.communicate(request, timeout=max(0.0, left_s))
            return data, process.returncode
        except subprocess.TimeoutExpired:
            if watch.deadline <= now_s():  # else the clock went slower meanwhile
                raise


def spawn(request: bytes, isolation: Sequence[str], watch: Watch) -> ChildRecord:
    """A fresh interpreter for one run, killed from outside when its time is up."""
    command = [sys.executable, "-s", "-S", "-P", str(WARM_PARENT_SCRIPT), "once", ",".join(isolation)]
    process = subprocess.Popen(
        command, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        data, ending = _communicate(process, request, watch)
    except subprocess.TimeoutExpired:
        process.kill()
        data, _ = process.communicate()
        ending = "timeout"
    messages = Messages(watch.output_bytes)
    messages.feed(data)
    return ChildRecord(messages.found, ending)
