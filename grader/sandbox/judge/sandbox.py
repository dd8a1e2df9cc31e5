"""The judge's side of the sandbox: starts the warm parent, sends a run, watches the clock, collects the
outcomes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from grader.errors import SandboxUnavailable
from grader.grading.challenge import FunctionCall, Opaque, Outcome
from grader.sandbox import wire
from grader.sandbox.judge.clock import now_s
from grader.sandbox.judge.processes import (
    HAS_FORK,
    ChildRecord,
    WarmParentGone,
    WarmParentHandle,
    Watch,
    spawn,
)
from grader.sandbox.limits import ALL_ISOLATION, SandboxLimits

_CONTAINING = frozenset({"landlock", "seccomp", "audit hook", "resource limits"})


@dataclass
class SandboxRun:
    """What a submission did, as far as it got.

    stopped: why the calls were not (all) made: "", "syntax", "refused", "undefined", "load", or "limit".
    origins: for the line of each `return`, the lines in which the fields of its value are made.
    """

    outcomes: list[Outcome]
    isolation: tuple[str, ...] = ()
    stopped: str = ""
    line: int = 0
    findings: list[tuple[int, str]] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)
    problem: dict[str, Any] | None = None
    origins: dict[int, dict[str, int]] = field(default_factory=dict)
    cpu_s: float = 0.0
    wall_s: float = 0.0


class Sandbox:
    """Runs submissions, several at a time; thread-safe. The warm parent starts with the first run.

    isolation: the measures wanted, for tests that look at one alone. mode: "fork" (a warm parent) or
    "spawn" (a new interpreter for each run, where there is no fork).
    """

    def __init__(
        self,
        limits: SandboxLimits | None = None,
        isolation: Sequence[str] = ALL_ISOLATION,
        mode: str | None = None,
        slots: int | None = None,
    ) -> None:
        self.limits = limits or SandboxLimits()
        self.isolation = tuple(isolation)
        self.mode = mode or ("fork" if HAS_FORK else "spawn")
        self._slots = threading.BoundedSemaphore(slots or max(4, 2 * (os.cpu_count() or 1)))
        self._lock = threading.Lock()
        self._parent: WarmParentHandle | None = None

    def run(
        self,
        source: str,
        function: str,
        calls: Sequence[tuple[str, FunctionCall]],
        *,
        policy: bool = True,
        guard: bool = True,
        check: str | None = None,
        wall_s: float | None = None,
        fields: Collection[str] = (),
    ) -> SandboxRun:
        """Load the source and make the calls, in order, each with its group's name.

        policy=False skips the static look and guard=False the reduced built-ins, for tests of what stands
        behind them. check: source of a HumanEval-style `check(candidate)` that is run instead of the calls.
        fields: keys of the returned dict whose origins are looked for.
        wall_s: for this run instead of the limits'. Raises SandboxUnavailable or SandboxFailed.
        """
        header = {
            "source": source,
            "function": function,
            "isolation": list(self.isolation),
            "limits": asdict(self.limits),
            "output_bytes": self.limits.output_bytes,
            "policy": policy,
            "guard": guard,
            "check": check,
            "fields": list(fields),
        }
        with self._slots:
            start = now_s()
            limit = self.limits.wall_s if wall_s is None else wall_s
            result = _JudgedRun(self, header, calls, start + limit).run()
            result.wall_s = now_s() - start
            return result

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

    def _warm_parent(self) -> WarmParentHandle:
        with self._lock:
            if self._parent is None or not self._parent.is_alive:
                if self._parent is not None:
                    self._parent.close()
                self._parent = WarmParentHandle(self.isolation)
            return self._parent

    def one_child(self, request: bytes, watch: Watch) -> ChildRecord:
        """One child, from its start to its end."""
        if self.mode == "spawn":
            return spawn(request, self.isolation, watch)
        parent = self._warm_parent()
        try:
            return parent.one_child(request, watch)
        except WarmParentGone:
            self._discard(parent)
            return self._warm_parent().one_child(request, watch)

    def _discard(self, parent: WarmParentHandle) -> None:
        """Forget a warm parent that no longer answers, unless another thread already did."""
        with self._lock:
            if self._parent is parent:
                self._parent = None
        parent.close()


@lru_cache(maxsize=1)
def _sandbox_of(pid: int) -> Sandbox:
    return Sandbox()


def default_sandbox() -> Sandbox:
    """The sandbox that every grade of this process shares."""
    return _sandbox_of(os.getpid())


class _JudgedRun:
    """One run: a child, and another one after each death, until every call has its outcome or time is up."""

    def __init__(
        self,
        sandbox: Sandbox,
        header: dict[str, Any],
        calls: Sequence[tuple[str, FunctionCall]],
        deadline: float,
    ) -> None:
        self.sandbox = sandbox
        self.header = header
        self.calls = calls
        self.deadline = deadline
        self.result = SandboxRun([Outcome("not_run")] * max(1 if header["check"] else 0, len(calls)))
        self.is_loaded = False

    def run(self) -> SandboxRun:
        limits = self.sandbox.limits
        position = deaths = timeouts = 0
        while position < len(self.result.outcomes):
            if now_s() >= self.deadline or deaths > limits.max_restarts or timeouts >= limits.max_timeouts:
                self.result.stopped = self.result.stopped or "limit"
                break
            watch = Watch(limits, self.deadline)
            child = self.sandbox.one_child(self.request(position), watch)
            self.result.cpu_s += child.cpu_s
            answered, done = self.take(child, position)
            if done or self.result.stopped:
                break
            position += answered
            if position >= len(self.result.outcomes):
                break
            if answered and self.result.outcomes[position - 1].kind == "overrun":
                continue
            deaths += 1
            ending = _ending(child.ending)
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

    def take(self, child: ChildRecord, position: int) -> tuple[int, bool]:
        """Read one child's messages; returns how many calls it answered and whether it came to its end.

        Nothing in them is trusted: from the first line of the submission on they could be forged.
        """
        answered = 0
        self.is_loaded = bool(self.header["check"])
        for message in child.messages:
            try:
                if "done" in message:
                    return answered, True
                if "call" in message or "flood" in message:
                    answered += self.take_answer(message, answered, position)
                else:
                    self.take_word(message)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                break  # no runner of ours writes this
        if not self.is_loaded and not self.result.stopped and not answered:
            self.result.stopped = "load"
            self.result.problem = {"ending": _ending(child.ending)}
        return answered, False

    def take_answer(self, message: dict[str, Any], answered: int, position: int) -> int:
        """The outcome of the next call, or word that there was too much; returns how many it answers."""
        if "flood" in message:
            outcome = Outcome("value", value=Opaque("more output than is allowed"))
        elif message["call"] == answered:
            outcome = _outcome(message)
        else:
            return 0
        self.result.outcomes[position + answered] = outcome
        return 1

    def take_word(self, message: dict[str, Any]) -> None:
        """What the runner says beside the answers."""
        result = self.result
        if "isolation" in message and not result.isolation:
            result.isolation = tuple(_texts(message["isolation"]))
            self.require_containment(result.isolation)
        elif "policy" in message:
            self.take_policy(message["policy"])
        elif "syntax" in message:
            result.stopped, result.line = "syntax", _integer(message["syntax"]["line"])
        elif "refused" in message:
            event = str(message["refused"])[:60]
            result.stopped = "refused"
            result.findings = [(0, f"it tried to do what a submission must not do ({event})")]
        elif "origins" in message:
            result.origins = {int(line): _lines(found) for line, found in message["origins"].items()}
        elif "loaded" in message:
            self.is_loaded = True
            found = message["problem"]
            if found:
                result.problem = {"type": _name(found["type"]), "line": _integer(found["line"])}
            if message["loaded"] is not True:
                result.stopped = "load"

    def take_policy(self, found: dict[str, Any]) -> None:
        result = self.result
        result.notes = [(_integer(line), str(reason)) for line, reason in found["notes"]]
        result.findings = [(_integer(line), str(reason)) for line, reason in found["refused"]]
        if result.findings:
            result.stopped = "refused"
        elif not found["defined"]:
            result.stopped = "undefined"

    def require_containment(self, active: Sequence[str]) -> None:
        """Nothing is run where no measure at all took hold."""
        wanted = _CONTAINING & set(self.sandbox.isolation)
        if not active or (wanted and not _CONTAINING & set(active)):
            raise SandboxUnavailable(
                "submissions cannot be run on this machine: none of the isolation measures "
                f"({', '.join(sorted(_CONTAINING))}) could be applied"
            )


def _texts(value: Any) -> list[str]:
    return [str(item)[:60] for item in value if isinstance(item, str)]


def _lines(found: dict[str, Any]) -> dict[str, int]:
    return {str(name)[:60]: _integer(line) for name, line in found.items()}


def _integer(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _outcome(message: dict[str, Any]) -> Outcome:
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
    made = _integer(message.get("made"))
    return Outcome("value", value=value, line=made, mutated=mutated, steps=counted)


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
