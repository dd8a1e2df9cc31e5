"""Each isolation measure alone, with Python's own built-ins and no policy in front of it."""

import os

import pytest

from grader.errors import SandboxUnavailable
from grader.grading.challenge import FunctionCall
from grader.sandbox import Sandbox, SandboxLimits
from grader.sandbox.isolation.seccomp import filter_program
from grader.sandbox.judge.clock import now_s, starved_s
from grader.sandbox.limits import ALL_ISOLATION

LIMITS = SandboxLimits(wall_s=6.0, silence_s=2.0, cpu_s=0.5, memory_bytes=300 << 20)

PROBE = """
import posix as os

def call(action):
    try:
        return action()
    except BaseException as exc:
        return type(exc).__name__

def connect():
    import socket
    return socket.socket().connect(("127.0.0.1", 9))

def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "forked"

ACTIONS = {
    "open a file": lambda: os.close(os.open("/etc/hostname", os.O_RDONLY)),
    "write a file": lambda: os.close(os.open("/tmp/grader-was-here", os.O_WRONLY | os.O_CREAT)),
    "list a folder": lambda: os.listdir("/"),
    "list here": lambda: os.listdir("."),
    "fork": fork,
    "execute": lambda: os.execv("/bin/true", ["true"]),
    "connect": connect,
    "signal the parent": lambda: os.kill(os.getppid(), 0),
    "gigabyte": lambda: len(bytearray(1 << 30)),
    "standard output": lambda: os.fstat(1) and "open",
    "user": lambda: os.getuid(),
    "environment": lambda: sorted(os.environ),
    "privileges": lambda: privileges(),
}

def privileges():
    fd = os.open("/proc/self/status", os.O_RDONLY)
    text = os.read(fd, 20000).decode()
    return text.split("NoNewPrivs:")[1].split()[0]

def probe(what):
    return call(ACTIONS[what])
"""


def probe(isolation, what):
    """What the action comes to under these measures alone; skips where the machine lacks them."""
    box = Sandbox(LIMITS, isolation=isolation)
    try:
        run = box.run(PROBE, "probe", [("probe", FunctionCall((what,)))], policy=False, guard=False)
    finally:
        box.close()
    if not set(isolation) <= set(run.isolation):
        pytest.skip(f"this machine has no {', '.join(set(isolation) - set(run.isolation))}")
    return run


@pytest.mark.parametrize(
    ("measure", "what", "result"),
    [
        ("seccomp", "open a file", "PermissionError"),
        ("seccomp", "write a file", "PermissionError"),
        ("seccomp", "fork", "PermissionError"),
        ("seccomp", "execute", "PermissionError"),
        ("seccomp", "connect", "PermissionError"),
        ("seccomp", "signal the parent", "PermissionError"),
        ("landlock", "open a file", "PermissionError"),
        ("landlock", "write a file", "PermissionError"),
        ("landlock", "list a folder", "PermissionError"),
        ("landlock", "execute", "PermissionError"),
        ("resource limits", "open a file", "OSError"),
        ("resource limits", "write a file", "OSError"),
        ("resource limits", "gigabyte", "MemoryError"),
        ("namespaces", "connect", "OSError"),
        ("closed files", "standard output", "OSError"),
        ("empty environment", "environment", []),
        ("empty folder", "list here", []),
        ("no new privileges", "privileges", "1"),
    ],
)
def test_measure_holds_alone(measure, what, result):
    outcome = probe((measure,), what).outcomes[0]
    assert outcome.value == result


def test_nobody_is_root_in_a_submission():
    assert probe(("unprivileged user",), "user").outcomes[0].value != 0


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user"
)
def test_unprivileged_user_cannot_fork_past_the_limit():
    run = probe(("unprivileged user", "resource limits"), "fork")
    assert run.outcomes[0].value == "BlockingIOError"


@pytest.mark.parametrize(
    "what", ["open a file", "write a file", "list a folder", "fork", "execute", "connect"]
)
def test_audit_hook_refuses_alone(what):
    run = probe(("audit hook",), what)
    assert run.stopped == "refused"
    assert run.outcomes[0].kind == "not_run"


def test_every_measure_that_was_wanted_is_active_on_this_linux():
    box = Sandbox(LIMITS)
    run = box.run("def f():\n    return 1\n", "f", [("g", FunctionCall(()))])
    box.close()
    assert set(run.isolation) <= set(ALL_ISOLATION)
    assert {"empty environment", "closed files", "resource limits", "audit hook"} <= set(run.isolation)


def test_nothing_runs_without_any_measure():
    box = Sandbox(LIMITS, isolation=())
    with pytest.raises(SandboxUnavailable, match="none of the isolation measures"):
        box.run("def f():\n    return 1\n", "f", [("g", FunctionCall(()))])
    box.close()


def test_a_fresh_interpreter_serves_where_there_is_no_fork():
    box = Sandbox(LIMITS, mode="spawn")
    run = box.run(
        "def f(x):\n    return x + 1\n", "f", [("g", FunctionCall((1,))), ("g", FunctionCall((2,)))]
    )
    assert [outcome.value for outcome in run.outcomes] == [2, 3]
    assert "audit hook" in run.isolation


def test_a_fresh_interpreter_is_stopped_when_its_time_is_up():
    limits = SandboxLimits(wall_s=3.0, silence_s=1.0, cpu_s=0.3, max_timeouts=1)
    run = Sandbox(limits, mode="spawn").run(
        "def f():\n    while True:\n        pass\n", "f", [("g", FunctionCall(()))]
    )
    assert run.outcomes[0].kind == "timeout"


@pytest.mark.parametrize(("machine", "execve", "getpid"), [("x86_64", 59, 39), ("aarch64", 221, 172)])
def test_filter_allows_by_list_on_both_architectures(machine, execve, getpid):
    assert interpret(filter_program(machine), machine, getpid) == 0x7FFF0000
    assert interpret(filter_program(machine), machine, execve) == 0x00050001


def test_filter_ends_calls_of_another_architecture():
    kill = 0x80000000
    assert interpret(filter_program("x86_64"), "aarch64", 39) == kill
    assert interpret(filter_program("aarch64"), "x86_64", 172) == kill
    assert interpret(filter_program("x86_64"), "x86_64", 0x40000000 + 39) == kill


@pytest.mark.parametrize(("machine", "mmap"), [("x86_64", 9), ("aarch64", 222)])
def test_filter_denies_executable_memory(machine, mmap):
    assert interpret(filter_program(machine), machine, mmap, argument=0x3) == 0x7FFF0000
    assert interpret(filter_program(machine), machine, mmap, argument=0x7) == 0x00050001


def interpret(program, machine, number, argument=0):
    """A second reading of classic BPF (kernel: networking/filter.rst), for the few codes used."""
    import struct

    arch = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    data = {0: number, 4: arch, 32: argument}
    lines = list(struct.iter_unpack("<HBBI", program))
    position = accumulator = 0
    while True:
        code, yes, no, value = lines[position]
        if code == 0x06:
            return value
        if code == 0x20:
            accumulator, step = data[value], 0
        else:
            test = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[
                code
            ]
            step = yes if test else no
        position += 1 + step


def test_the_clock_of_wall_limits_slows_down_where_processors_are_wanted(tmp_path):
    """The kernel's word for two seconds of waiting takes 5/6 of them off, so a grade has that much longer."""
    pressure = tmp_path / "cpu"
    pressure.write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=3000000\nfull total=0\n")
    before = now_s(pressure) - now_s(tmp_path / "absent")
    pressure.write_text("some avg10=9.00 avg60=0.00 avg300=0.00 total=5000000\nfull total=0\n")
    after = now_s(pressure) - now_s(tmp_path / "absent")

    assert starved_s(pressure) == 5.0
    assert before - after == pytest.approx(2 * 5 / 6, abs=0.01)


@pytest.mark.parametrize("text", ["", "some\n", "some total=\n", "nothing of the kind"])
def test_a_kernel_that_says_nothing_leaves_the_clock_as_it_is(text, tmp_path):
    pressure = tmp_path / "cpu"
    pressure.write_text(text)

    assert starved_s(pressure) == 0.0
