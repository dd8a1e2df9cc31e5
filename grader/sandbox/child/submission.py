"""One submission, run: policy, load, calls. Everything here happens in a process that is thrown away.

The child reads one request, then says what it finds, one line of JSON per step:
{"isolation": [...]}, {"policy": {...}}, {"loaded": ...}, {"call": n, ...} for each call, {"done": true}.
"""

from __future__ import annotations

import ast
import builtins
import json
import os
import random
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType, ModuleType, TracebackType
from typing import Any, NoReturn

from grader.sandbox import wire
from grader.sandbox.child import guarded_attributes, origins, work_counter
from grader.sandbox.child.audit_hook import install_audit_hook
from grader.sandbox.child.guarded_attributes import SUBMISSION
from grader.sandbox.child.guarded_builtins import make_builtins
from grader.sandbox.child.module_copies import Sink
from grader.sandbox.isolation.measures import isolate_child
from grader.sandbox.policy import static_check, syntax
from grader.sandbox.policy.names import FORMAT, OWN, RETURN, TYPE, VARS

RECURSION_LIMIT = 1000
CHECK = "check"
"""File name of a pack's own test code, for tracebacks."""
_GUARDS = {
    VARS: guarded_attributes.guarded_vars,
    TYPE: type,
    OWN: guarded_attributes.own_target,
    FORMAT: guarded_attributes.guarded_format,
}

FIRST_BUDGET = 3_000_000
"""Steps the first counted call of a group may take: a linear pass over 500 users takes a few thousand."""


def serve_request(
    in_fd: int, out_fd: int, modules: Mapping[str, ModuleType], keep_fds: bool = False
) -> NoReturn:
    """Serve one request and end the process. Never returns."""
    status = 70
    try:
        request = _read_all(in_fd)
        header_text, _, calls = request.partition(b"\n")
        header = json.loads(header_text)
        status = _SubmissionProcess(header, calls.split(b"\n") if calls else [], out_fd, modules).serve()
    finally:
        os._exit(status)


def _read_all(fd: int) -> bytes:
    parts = []
    while part := os.read(fd, 1 << 20):
        parts.append(part)
    os.close(fd)
    return b"".join(parts)


class _SubmissionProcess:
    def __init__(
        self, header: dict[str, Any], calls: list[bytes], out_fd: int, modules: Mapping[str, ModuleType]
    ):
        self.header = header
        self.calls = calls
        self.out_fd = out_fd
        self.modules = modules
        self.left = int(header["output_bytes"])
        self.result_bytes = int(header["limits"]["result_bytes"])
        self.return_line = 0

    def send(self, message: dict[str, Any]) -> None:
        """One line to the judge; past the output limit only the fact that there was too much."""
        try:
            line = wire.to_json(message).encode() + b"\n"
        except (ValueError, RecursionError, MemoryError):  # an integer with too many digits, a huge text
            line = b""
        if not line or len(line) > self.result_bytes:
            line = (
                wire.to_json({"call": message.get("call"), "value": ["x", "too large a value"]}).encode()
                + b"\n"
            )
        self.left -= len(line)
        if self.left < 0:
            os.write(self.out_fd, b'{"flood":true}\n')
            os._exit(0)
        view = memoryview(line)
        while view:
            view = view[os.write(self.out_fd, view) :]

    def serve(self) -> int:
        """Everything one child does; returns its exit code."""
        isolation = isolate_child(self.header["isolation"], self.header["limits"], keep=(self.out_fd,))
        hooked = "audit hook" in self.header["isolation"]
        self.send({"isolation": [*isolation, "audit hook"] if hooked else isolation})
        self.arm()
        program = self.read(self.header["source"])
        if program is None:
            return 0
        if hooked:  # only now: the compiler opens a broken source's file to quote from it
            install_audit_hook(self.refuse_event)
        sys.stdout = sys.stderr = Sink()
        if self.header["check"]:
            self.run_check(program)
        else:
            self.run_calls(program)
        self.send({"done": True})
        return 0

    def refuse_event(self, event: str) -> NoReturn:
        """The audit hook's last word."""
        self.send({"refused": event})
        os._exit(0)

    # reading

    def read(self, source: str) -> _CountedProgram | None:
        """Parse, check and compile the source; say what was found; None when it must not run."""
        try:
            tree = syntax.parse(source, SUBMISSION)
            found = static_check.check(tree) if self.header["policy"] else static_check.PolicyFindings()
            self.send({"policy": self.findings(tree, found)})
            if found.refused or not self.defines_function(tree):
                return None
            self.find_origins(tree)
            counted = any(line[:1] == b"#" for line in self.calls)
            return _CountedProgram(
                _compile(work_counter.prepare(_without(tree, found.unused))),
                _compile(work_counter.instrument(work_counter.prepare(_parse_again(source))))
                if counted
                else None,
            )
        except SyntaxError as exc:
            self.send({"syntax": {"line": exc.lineno or 0}})
        except (ValueError, RecursionError, MemoryError, OverflowError):
            self.send({"syntax": {"line": 0}})
        return None

    def find_origins(self, tree: ast.Module) -> None:
        """Say where the fields of each returned value are made, and let each `return` say its line."""
        function = origins.function_of(tree, self.header["function"])
        if function is not None:
            found = origins.find_origins(function, self.header["fields"])
            self.send({"origins": {str(line): fields for line, fields in found.items()}})
            origins.mark_returns(function)

    def returned(self, value: Any, line: int) -> Any:
        """Stands in every `return` of the function: remembers its line."""
        self.return_line = line
        return value

    def findings(self, tree: ast.Module, found: static_check.PolicyFindings) -> dict[str, Any]:
        """What the policy says, as plain data."""
        return {
            "refused": [[each.line, each.reason] for each in found.refused[:10]],
            "notes": [[each.line, each.reason] for each in found.notes[:10]],
            "defined": self.defines_function(tree),
        }

    def defines_function(self, tree: ast.Module) -> bool:
        """Whether some top-level statement binds the function's name."""
        return any(self.header["function"] in _names_bound(node) for node in tree.body)

    # running

    def run_calls(self, program: _CountedProgram) -> None:
        """Make the calls in order, each group with CPU time of its own."""
        sys.setrecursionlimit(RECURSION_LIMIT + 40)
        counted = [line[:1] == b"#" for line in self.calls]
        plain: Any = self.execute(program.plain, {}) if not all(counted) else None
        group: bytes | None = None
        steps = 0
        for index, line in enumerate(self.calls):
            mark, this_group, growth, text = line.split(b"\t", 3)
            if this_group != group:
                group = this_group
                self.arm()
                random.seed(0)
            if mark == b"#" and program.counted is not None:
                sys.setrecursionlimit(RECURSION_LIMIT * 3)
                budget = int(float(growth) * steps) if float(growth) and steps > 0 else FIRST_BUDGET
                counter = self.counter(budget, index)
                self.call(index, self.execute(program.counted, counter.names, quiet=True), text, counter)
                steps = counter.steps
            else:
                self.call(index, plain, text, None)

    def counter(self, budget: int, index: int) -> work_counter.Counter:
        """A step counter that ends the process, with a word to the judge, when the budget is used up."""

        def exhausted() -> NoReturn:
            self.send({"call": index, "steps": -1, "budget": budget})
            os._exit(0)

        return work_counter.Counter(budget, exhausted)

    def arm(self) -> None:
        """Give the next group of cases its CPU time; the kernel ends the process when it is used up."""
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, float(self.header["limits"]["cpu_s"]))

    def execute(self, code: CodeType, extra: Mapping[str, Any], quiet: bool = False) -> Any:
        """Execute the submission's module and return the function; ends the process when there is none."""
        module = ModuleType(SUBMISSION)
        space = module.__dict__
        reduced = make_builtins(self.modules) if self.header["guard"] else dict(vars(builtins))
        space["__builtins__"] = {**reduced, **_GUARDS, RETURN: self.returned, **extra}
        sys.modules[SUBMISSION] = module
        problem = None
        try:
            exec(code, space)
        except BaseException as exc:
            problem = describe_error(exc)
        function = space.get(self.header["function"])
        if not callable(function):
            function = None
        if not quiet:
            self.send({"loaded": function is not None, "problem": problem})
        if function is None:
            os._exit(0)
        return function

    def call(
        self, index: int, function: Callable[..., Any], text: bytes, counter: work_counter.Counter | None
    ) -> None:
        """Make one call and tell the judge what came of it."""
        args = wire.from_json(text)
        before = wire.fingerprint(args)
        answer: dict[str, Any] = {"call": index}
        self.return_line = 0
        try:
            value = function(*args)
        except BaseException as exc:
            answer["error"] = describe_error(exc)
        else:
            self.put(answer, "value", value)
            answer["made"] = self.return_line
        if counter is not None:
            answer["steps"] = counter.steps
        if wire.fingerprint(args) != before:
            answer["mutated"] = True
        self.send(answer)

    def put(self, answer: dict[str, Any], key: str, value: Any) -> None:
        """Add a returned value in the form in which it can travel."""
        try:
            is_plain = wire.is_plain(value)
            answer["plain" if is_plain else key] = value if is_plain else wire.encode(value)
        except (wire.ValueTooLarge, RecursionError, MemoryError, ValueError, TypeError, RuntimeError):
            answer[key] = ["x", "too large a value"]

    def run_check(self, program: _CountedProgram) -> None:
        """HumanEval's way: the pack's own `check(candidate)`, with the candidate's results made plain
        first."""
        function = self.execute(program.plain, {})

        def candidate(*args: Any, **kwargs: Any) -> Any:
            return wire.plain_copy(function(*args, **kwargs))

        space: dict[str, Any] = {"__name__": "check", "candidate": candidate}
        error = None
        try:
            exec(compile(self.header["check"], CHECK, "exec", dont_inherit=True), space)
            space["check"](candidate)
        except BaseException as exc:
            error = describe_error(exc, CHECK)
        self.send({"call": 0, "error": error} if error else {"call": 0, "value": True})


@dataclass(frozen=True)
class _CountedProgram:
    """A submission's code, and its twin whose steps are counted (None where nothing is counted)."""

    plain: CodeType
    counted: CodeType | None


class _Drop(ast.NodeTransformer):
    """Leaves out the statements with these identities (unused imports of forbidden modules)."""

    def __init__(self, dropped: set[int]) -> None:
        self.dropped = dropped

    def visit_Import(self, node: ast.Import) -> ast.AST:
        return ast.copy_location(ast.Pass(), node) if id(node) in self.dropped else node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        return ast.copy_location(ast.Pass(), node) if id(node) in self.dropped else node


def _parse_again(source: str) -> ast.Module:
    """A second tree of the same source, with the same imports left out."""
    tree = syntax.parse(source, SUBMISSION)
    return _without(tree, static_check.check(tree).unused)


def _without(tree: ast.Module, dropped: list[ast.stmt]) -> ast.Module:
    if dropped:
        _Drop(set(map(id, dropped))).visit(tree)
    return tree


def _compile(tree: ast.Module) -> CodeType:
    return compile(tree, SUBMISSION, "exec", dont_inherit=True)


def _names_bound(node: ast.stmt) -> set[str]:
    """Names that a top-level statement binds, one level of if/try deep."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(node, ast.If | ast.Try):
        return set().union(*(_names_bound(each) for each in [*node.body, *node.orelse]))
    return set()


def describe_error(exc: BaseException, file: str = SUBMISSION) -> dict[str, Any]:
    """Type, line in that file and, for a missing plain key, the key. Never asks the exception for its
    text."""
    kind = type(exc)
    name = type.__dict__["__name__"].__get__(kind)
    detail = ""
    if kind is KeyError:
        args = BaseException.__dict__["args"].__get__(exc)
        if len(args) == 1 and type(args[0]) in (str, int):
            detail = repr(args[0])[:60]
    line = 0
    trace: TracebackType | None = BaseException.__dict__["__traceback__"].__get__(exc)
    hops = 0
    while trace is not None and hops < 5000:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
        hops += 1
    return {"type": str(name)[:60], "line": line, "detail": detail}
