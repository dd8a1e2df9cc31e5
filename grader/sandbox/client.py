"""The judge's side of the sandbox: starts the warm parent, sends a run, watches the clock, collects the
outcomes."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from grader.challenge import Call, Opaque, Outcome
from grader.errors import SandboxFailed, SandboxUnavailable
from grader.sandbox import wire
from grader.sandbox.limits import ALL_LAYERS, Limits

HOST = Path(__file__).with_name("host.py")
_CONTAINING = frozenset({"landlock", "seccomp", "audit hook", "resource limits"})
_START_S = 20.0
_BREATH_S = 0.002
_HAS_FORK = hasattr(os, "fork") and hasattr(socket, "send_fds")


@dataclass
class Run:
    """What a submission did, as far as it got.

    stopped: why the calls were not (all) made: "", "syntax", "refused", "undefined", "load", or "limit".
    """

    outcomes: list[Outcome]
    layers: tuple[str, ...] = ()
    stopped: str = ""
    line: int = 0
    findings: list[tuple[int, str]] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)
    problem: dict[str, Any] | None = None
    cpu_s: float = 0.0


@dataclass
class _Attempt:
    """One child's life: the messages it sent and how it ended. ending: exit code, or "timeout"."""

    messages: list[dict[str, Any]]
    ending: int | str
    cpu_s: float = 0.0


class Sandbox:
    """Runs submissions, several at a time; thread-safe. The warm parent starts with the first run.

    layers: the protection layers wanted, for tests that look at one alone. mode: "fork" (a warm parent) or
    "spawn" (a new interpreter for each run, where there is no fork).
    """

    def __init__(
        self,
        limits: Limits | None = None,
        layers: Sequence[str] = ALL_LAYERS,
        mode: str | None = None,
        slots: int | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.layers = tuple(layers)
        self.mode = mode or ("fork" if _HAS_FORK else "spawn")
        self._slots = threading.BoundedSemaphore(slots or max(4, 2 * (os.cpu_count() or 1)))
        self._lock = threading.Lock()
        self._parent: _WarmParent | None = None

    def run(
        self,
        source: str,
        function: str,
        calls: Sequence[tuple[str, Call]],
        *,
        policy: bool = True,
        guard: bool = True,
        check: str | None = None,
        deadline_s: float | None = None,
    ) -> Run:
        """Load the source and make the calls, in order, each with its group's name.

        policy=False skips the static look and guard=False the reduced built-ins, for tests of the layers
        behind them.
        check: source of a HumanEval-style `check(candidate)` that is run instead of the calls. Raises
        SandboxUnavailable or SandboxFailed.
        """
        header = {
            "source": source,
            "function": function,
            "layers": list(self.layers),
            "limits": asdict(self.limits),
            "output_bytes": self.limits.output_bytes,
            "policy": policy,
            "guard": guard,
            "check": check,
        }
        with self._slots:
            limit = self.limits.wall_s if deadline_s is None else deadline_s
            return _Conversation(self, header, calls, time.monotonic() + limit).run()

    def close(self) -> None:
        """End the warm parent and every child."""
        with self._lock:
            if self._parent is not None:
                self._parent.close()
                self._parent = None

    @property
    def parent_pid(self) -> int | None:
        """Process id of the warm parent, None when it is not running."""
        return self._parent.pid if self._parent else None

    def warm_up(self) -> None:
        """Start the warm parent now instead of with the first run."""
        if self.mode == "fork":
            self._warm_parent()

    def _warm_parent(self) -> _WarmParent:
        with self._lock:
            if self._parent is None or not self._parent.is_alive:
                if self._parent is not None:
                    self._parent.close()
                self._parent = _WarmParent(self.layers)
            return self._parent

    def attempt(self, request: bytes, watch: _Watch) -> _Attempt:
        """One child, from its start to its end."""
        if self.mode == "spawn":
            return _spawn(request, self.layers, watch)
        parent = self._warm_parent()
        try:
            return parent.attempt(request, watch)
        except _ParentGone:
            self._discard(parent)
            return self._warm_parent().attempt(request, watch)

    def _discard(self, parent: _WarmParent) -> None:
        """Forget a warm parent that no longer answers, unless another thread already did."""
        with self._lock:
            if self._parent is parent:
                self._parent = None
        parent.close()


class _ParentGone(SandboxFailed):
    """The warm parent ended before its child did."""


@lru_cache(maxsize=1)
def _sandbox_of(pid: int) -> Sandbox:
    return Sandbox()


def default_sandbox() -> Sandbox:
    """The sandbox that every grade of this process shares."""
    return _sandbox_of(os.getpid())


class _Conversation:
    """One run: a child, and another one after each death, until every call has its outcome or time is up."""

    def __init__(
        self, sandbox: Sandbox, header: dict[str, Any], calls: Sequence[tuple[str, Call]], deadline: float
    ) -> None:
        self.sandbox = sandbox
        self.header = header
        self.calls = calls
        self.deadline = deadline
        self.result = Run([Outcome("not_run")] * max(1 if header["check"] else 0, len(calls)))
        self.parent_layers: tuple[str, ...] = ()

    def run(self) -> Run:
        limits = self.sandbox.limits
        position = deaths = timeouts = 0
        while position < len(self.result.outcomes):
            if (
                time.monotonic() >= self.deadline
                or deaths > limits.max_restarts
                or timeouts >= limits.max_timeouts
            ):
                self.result.stopped = self.result.stopped or "limit"
                break
            watch = _Watch(limits, self.deadline)
            attempt = self.sandbox.attempt(self.request(position), watch)
            self.result.cpu_s += attempt.cpu_s
            answered, done = self.take(attempt, position)
            if done or self.result.stopped:
                break
            position += answered
            if position >= len(self.result.outcomes):
                break
            if answered and self.result.outcomes[position - 1].kind == "overrun":
                continue
            deaths += 1
            ending = _ending(attempt.ending)
            self.result.outcomes[position] = ending
            if ending.kind == "timeout":
                timeouts += 1
                position = self.next_group(position)
            else:
                position += 1
        return self.result

    def request(self, position: int) -> bytes:
        lines = [json.dumps(self.header).encode()]
        for group, call in self.calls[position:]:
            mark = b"#" if call.counted else b"-"
            lines.append(b"\t".join((mark, group.encode(), str(call.growth or 0).encode(), call.text)))
        return b"\n".join(lines)

    def next_group(self, position: int) -> int:
        if not self.calls:
            return len(self.result.outcomes)
        group = self.calls[position][0]
        while position < len(self.calls) and self.calls[position][0] == group:
            position += 1
        return position

    def take(self, attempt: _Attempt, position: int) -> tuple[int, bool]:
        """Read one child's messages; returns how many calls it answered and whether it came to its end."""
        answered = 0
        loaded = False
        result = self.result
        for message in attempt.messages:
            if "layers" in message:
                result.layers = tuple(_texts(message["layers"]))
                self.require_containment(result.layers)
            elif "policy" in message:
                self.take_policy(message["policy"])
            elif "syntax" in message:
                result.stopped, result.line = "syntax", _integer(message["syntax"].get("line"))
            elif "refused" in message:
                result.stopped = "refused"
                result.findings = [
                    (0, f"it tried to do what a submission must not do ({str(message['refused'])[:60]})")
                ]
            elif "loaded" in message:
                loaded = True
                result.problem = message.get("problem")
                if not message["loaded"]:
                    result.stopped = "load"
            elif "flood" in message:
                result.outcomes[position + answered] = Outcome(
                    "value", value=Opaque("more output than is allowed")
                )
                answered += 1
            elif "done" in message:
                return answered, True
            elif message.get("call") == answered and position + answered < len(result.outcomes):
                result.outcomes[position + answered] = _outcome(message, self.sandbox.limits)
                answered += 1
        if not loaded and not result.stopped and not answered and not self.header["check"]:
            result.stopped = "load"
            result.problem = {"ending": _ending(attempt.ending)}
        return answered, False

    def take_policy(self, found: dict[str, Any]) -> None:
        result = self.result
        result.notes = [(_integer(line), str(reason)) for line, reason in found["notes"]]
        result.findings = [(_integer(line), str(reason)) for line, reason in found["refused"]]
        if result.findings:
            result.stopped = "refused"
        elif not found["defined"]:
            result.stopped = "undefined"

    def require_containment(self, active: Sequence[str]) -> None:
        """Nothing is run where no layer at all took hold."""
        wanted = _CONTAINING & set(self.sandbox.layers)
        if not active or (wanted and not _CONTAINING & set(active)):
            raise SandboxUnavailable(
                "submissions cannot be run on this machine: none of the protection layers "
                f"({', '.join(sorted(_CONTAINING))}) could be applied"
            )


def _texts(value: Any) -> list[str]:
    return [str(item)[:60] for item in value if isinstance(item, str)]


def _integer(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _outcome(message: dict[str, Any], limits: Limits) -> Outcome:
    """One answer of the child, every part of it checked: the child may be under the submission's control."""
    steps = message.get("steps")
    if steps == -1:
        return Outcome("overrun", steps=_integer(message.get("budget")))
    mutated = bool(message.get("mutated"))
    error = message.get("error")
    counted = _integer(steps) if steps is not None else None
    if isinstance(error, dict):
        return Outcome(
            "raised",
            error=_name(error.get("type")),
            line=_integer(error.get("line")),
            detail=str(error.get("detail", ""))[:60],
            mutated=mutated,
            steps=counted,
        )
    value = message["plain"] if "plain" in message else _decode(message.get("value"))
    return Outcome("value", value=value, mutated=mutated, steps=counted)


def _name(value: Any) -> str:
    return value if isinstance(value, str) and value.isidentifier() and len(value) <= 60 else "Exception"


def _decode(data: Any) -> Any:
    try:
        return wire.decode(data, Opaque)
    except (ValueError, TypeError, IndexError, RecursionError):
        return Opaque("unreadable value")


_SIGNALS = {
    4: "illegal instruction",
    6: "abort",
    7: "bus error",
    8: "arithmetic fault",
    11: "segmentation fault",
    31: "forbidden system call",
}
_SIGXCPU, _SIGPROF, _SIGKILL = 24, 27, 9


def _ending(ending: int | str) -> Outcome:
    """How a child that did not come to its end ended."""
    if ending in ("timeout", -_SIGXCPU, -_SIGPROF):
        return Outcome("timeout")
    if isinstance(ending, int) and ending < 0:
        return Outcome(
            "died", error=_SIGNALS.get(-ending, "killed" if -ending == _SIGKILL else f"signal {-ending}")
        )
    return Outcome("died", error="left the process")


class _Watch:
    """The clock of one child: too long without a word, or past the deadline of the whole run."""

    def __init__(self, limits: Limits, deadline: float) -> None:
        self.silence_s = limits.silence_s
        self.output_bytes = limits.output_bytes + (1 << 20)
        self.deadline = deadline
        self.last_word = time.monotonic()

    def heard(self) -> None:
        self.last_word = time.monotonic()

    @property
    def left_s(self) -> float:
        return min(self.last_word + self.silence_s, self.deadline) - time.monotonic()


class _WarmParent:
    def __init__(self, layers: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-s", "-S", "-P", str(HOST), str(theirs.fileno()), ",".join(layers)]
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
        self.layers = self._greeting()

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
        return tuple(json.loads(text)["layers"])

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._finalizer()

    def attempt(self, request: bytes, watch: _Watch) -> _Attempt:
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
                raise _ParentGone("the sandbox process ended unexpectedly") from exc
            for end in (request_read, result_write, status_write):
                end.close()
            data, in_time = _exchange(request, request_write, result_read, watch)
            if not in_time:
                with suppress(OSError), self._send:
                    self._control.sendall(b"K" + number.to_bytes(4, "big"))
            status = _read_status(status_read.fd)
        messages = _messages(data)
        if messages and "layers" in messages[0]:
            messages[0]["layers"] = [*self.layers, *_texts(messages[0]["layers"])]
        return _Attempt(messages, status["exit"] if in_time else "timeout", status["cpu_s"])


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


class _End:
    """One end of a pipe that is closed once."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _pipe(stack: ExitStack) -> tuple[_End, _End]:
    read, write = (_End(fd) for fd in os.pipe())
    stack.callback(read.close)
    stack.callback(write.close)
    return read, write


def _exchange(request: bytes, to: _End, source: _End, watch: _Watch) -> tuple[bytes, bool]:
    """Write the request and read the results side by side; False when the clock ran out first.

    A short breath after each read lets results gather: a child writes hundreds of lines, and waking for
    each of
    them would take the processor away from it.
    """
    os.set_blocking(to.fd, False)
    rest = memoryview(request)
    parts: list[bytes] = []
    size = 0
    poll = select.poll()
    poll.register(source.fd, select.POLLIN)
    poll.register(to.fd, select.POLLOUT)
    while True:
        left_ms = watch.left_s * 1000
        if left_ms <= 0:
            return b"".join(parts), False
        for fd, _ in poll.poll(left_ms):
            watch.heard()
            if fd != source.fd:
                rest = _write_some(to, rest)
                if not rest:
                    poll.unregister(fd)
                    to.close()
                continue
            part = os.read(fd, 1 << 20)
            if not part:
                return b"".join(parts), True
            parts.append(part)
            size += len(part)
            if size > watch.output_bytes:
                return b"".join(parts), False
            time.sleep(_BREATH_S)


def _write_some(to: _End, rest: memoryview) -> memoryview:
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
        raise _ParentGone("the sandbox process ended while it ran a submission")
    status: dict[str, Any] = json.loads(data)
    return status


def _messages(data: bytes) -> list[dict[str, Any]]:
    """The complete lines a child wrote; a broken or foreign line ends the reading."""
    found = []
    for line in data.split(b"\n")[:-1]:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(message, dict):
            break
        found.append(message)
    return found


def _spawn(request: bytes, layers: Sequence[str], watch: _Watch) -> _Attempt:
    """A fresh interpreter for one run, killed from outside when its time is up."""
    command = [sys.executable, "-s", "-S", "-P", str(HOST), "once", ",".join(layers)]
    process = subprocess.Popen(
        command, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        data, _ = process.communicate(request, timeout=max(0.0, watch.deadline - time.monotonic()))
        ending: int | str = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        data, _ = process.communicate()
        ending = "timeout"
    return _Attempt(_messages(data[: watch.output_bytes]), ending)
