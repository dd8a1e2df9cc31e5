"""The sandbox's parts: policy, guards, step counting, values on the wire, many runs at once."""

import ast
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from grader import grade
from grader.grading.challenge import FunctionCall, Opaque
from grader.sandbox import Sandbox, SandboxLimits, wire
from grader.sandbox.child.work_counter import Counter, instrument
from grader.sandbox.policy.static_check import check

ROOT = Path(__file__).resolve().parents[3]
GOOD = Path(__file__).parents[1] / "solutions" / "good_heapq.py"


@pytest.fixture(scope="module")
def box():
    sandbox = Sandbox(SandboxLimits(wall_s=6.0, silence_s=2.0, cpu_s=0.5))
    yield sandbox
    sandbox.close()


def run(box, source, *args, **options):
    """The outcome of one call of `f`."""
    return box.run(source, "f", [("g", FunctionCall(args))], **options).outcomes[0]


# policy


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("import os; os.getcwd()", "`import os` reaches outside the function"),
        ("from os import *", "`from os import ...` reaches outside the function"),
        ("from .secrets import x", "reaches outside the function"),
        ("import sys; sys.modules", "`sys.modules` reaches outside the function"),
        ("eval('1')", "`eval` is not allowed in a submission"),
        ("x = ().__class__.__bases__", "`.__bases__` walks into the interpreter's insides"),
        ("x = (i for i in ()).gi_frame", "`.gi_frame` leads into the interpreter's insides"),
        ("x = str._private", "`._private` is private to the object it belongs to"),
        ("x = '__subclasses__'", "the text '__subclasses__' names a part of the interpreter"),
        ("class A(metaclass=B): pass", "metaclasses are not allowed in a submission"),
        ("def __getattribute__(x): pass", "defining `__getattribute__` is not allowed"),
        ("__moa_tick__()", "`__moa_tick__` is not allowed in a submission"),
    ],
)
def test_forbidden_moves_are_refused_with_line_and_reason(line, reason):
    found = check(ast.parse(f"a = 1\n{line}\n")).refused
    assert found[0].line == 2
    assert reason in found[0].reason


@pytest.mark.parametrize(
    "line",
    [
        "import re; compile = re.compile; compile('a')",
        "class A:\n    def __init__(self):\n        self._x = 1\n    def get(self):\n        return self._x",
        "name = type(1).__name__; kind = (1).__class__.__name__",
        "from collections import namedtuple; P = namedtuple('P', 'a'); P(1)._asdict()",
        "license = 'MIT'; help = 1",
        "if __name__ == '__main__':\n    print('hello')",
        "def f(x):\n    '''Uses __init__ and {x.y}.'''",
        "import logging; logging.Formatter('%(message)s')",
        "match 1:\n    case int(x):\n        pass",
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nmatch P(1):\n    case P(x):\n  "
        "      pass",
    ],
)
def test_honest_lines_are_not_refused(line):
    assert [str(each) for each in check(ast.parse(line)).refused] == []


# guards inside the child


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("getattr('abc', 'upper')()", "ABC"),
        ("hasattr((), '__cla' + 'ss__')", False),
        ("getattr((), 'nope', 7)", 7),
        ("json.dumps({'a': 1})", '{"a": 1}'),
        ("[].__class__.__name__", "list"),
        ("hasattr(json, 'codecs')", False),
        ("hasattr(collections, '_sys')", False),
        ("random.random() == random.Random().random()", True),
        ("datetime.datetime.strptime('2024-05-06', '%Y-%m-%d').day", 6),
        ("sys.maxsize > 0", True),
        ("hasattr(sys, 'modules')", False),
        ("operator.attrgetter('real')(5)", 5),
        ("logging.getLogger('x').warning('hello')", None),
    ],
)
def test_what_a_submission_finds_inside(box, expression, result):
    head = "import json, collections, random, datetime, sys, operator, logging\n"
    outcome = run(box, f"{head}def f():\n    return {expression}\n")
    assert (outcome.kind, outcome.value) == ("value", result)


def test_prints_go_nowhere(capfd, box):
    assert run(box, "import sys\ndef f():\n    print('x')\n    return sys.stderr.write('abc')\n").value == 3
    assert capfd.readouterr() == ("", "")


def test_exceptions_are_named_by_type_and_line_only(box):
    odd = "class Odd(ValueError):\n    def __str__(self):\n        return 'secret'\n"
    outcome = run(box, f"{odd}\ndef f():\n    raise Odd('x')\n")
    assert (outcome.kind, outcome.error, outcome.line, outcome.detail) == ("raised", "Odd", 6, "")


def test_change_of_the_input_is_seen_even_through_look_alikes(box):
    assert run(box, "def f(x):\n    x[0]['a'] = 1.0\n", [{"a": 1}]).mutated
    assert run(box, "def f(x):\n    x[0] = type('D', (dict,), {})(x[0])\n", [{"a": 1}]).mutated
    assert run(box, "def f(x):\n    x.append(x)\n", [1]).mutated
    assert not run(box, "def f(x):\n    x.append(1)\n    x.pop()\n", [{"a": 1}]).mutated


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("Decimal('1.5')", 1.5),
        ("Fraction(3, 2)", 1.5),
        ("(1, [2, (3,)])", [1, [2, [3]]]),
        ("OrderedDict(a=1)", {"a": 1}),
        ("{1: 2}", {1: 2}),
        ("True", True),
        ("date(2024, 5, 6)", "2024-05-06"),
        ("10 ** 30", 10**30),
        ("{1, 2}", Opaque("set")),
        ("(i for i in ())", Opaque("generator")),
        ("object()", Opaque("object")),
        ("'x' * 2_000_000", Opaque("too large a value")),
    ],
)
def test_values_come_back_plain_or_named(box, expression, value):
    head = (
        "from decimal import Decimal\nfrom fractions import Fraction\nfrom collections import OrderedDict\n"
    )
    source = f"{head}from datetime import date\ndef f():\n    return {expression}\n"
    got = run(box, source).value
    assert (type(got), got) == (type(value), value)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_special_floats_travel(box, text):
    assert repr(run(box, f"def f():\n    return [float('{text}'), {{1}}][:1]\n").value[0]) == text


def test_subclasses_are_read_as_what_they_extend():
    class Lying(list):
        def __iter__(self):
            return iter([99])

        def __len__(self):
            return 1

    class Number(float):
        def __float__(self):
            return 99.0

    assert wire.decode(wire.encode(Lying([1, Number(2.5)])), Opaque) == [1, 2.5]


@pytest.mark.parametrize("data", [["?"], ["d", [1]], {"a": 1}, ["f", "nine"], ["i", "xyz"], ["d", 5]])
def test_foreign_data_on_the_wire_is_refused(data):
    with pytest.raises((ValueError, TypeError)):
        wire.decode(data, Opaque)


@pytest.mark.parametrize(
    "value", [float("nan"), 1 << 70, "ä", None, {"a": (1, [])}, Decimal(1), Fraction(1), {2: 3}]
)
def test_encoding_is_plain_json(value):
    json.dumps(wire.encode(value), allow_nan=False)


LIBRARY = """
import contextlib, copy, dataclasses, fractions, io, logging, warnings

Triple = dataclasses.make_dataclass("Triple", ["a", ("b", int), ("c", int, 3)], frozen=True)

class Own:
    __slots__ = ("_x",)

    def format(self, text):
        return f"own {text}"

def f(x):
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
    own = Own()
    own._x = 5
    record = logging.makeLogRecord({"msg": "hi"})
    return [
        "{0[a]:>{1}} {2.denominator}".format({"a": 1}, 3, x),
        "{a!r}".format_map({"a": "c"}),
        list(map("{:02d}".format, [1, 2])),
        str.format("{}", x),
        own.format("one"),
        copy.copy(own)._x,
        copy.deepcopy(fractions.Fraction(1, 2)),
        dataclasses.asdict(Triple(1, 2)),
        logging.Formatter("{message}", style="{").format(record),
    ]
"""


def test_the_guarded_library_does_what_the_library_does(box):
    outcome = run(box, LIBRARY, 7)
    assert outcome.value == [
        "  1 1",
        "'c'",
        ["01", "02"],
        "7",
        "own one",
        5,
        0.5,
        {"a": 1, "b": 2, "c": 3},
        "hi",
    ]


def test_keys_within_keys_are_not_written_out_without_end():
    data = ["l", "\\" * 15_000]
    for _ in range(8):  # each of them doubles the backslashes
        data = ["d", [data, 0]]
    with pytest.raises(ValueError, match="too long a key"):
        wire.decode(data, Opaque)


# counting


def steps(source, *args):
    """Steps of a call of `f`."""
    counter = Counter(10**7, lambda: None)
    space = counter.names
    exec(compile(instrument(ast.parse(source)), "counted", "exec"), space)  # texts of this file
    space["f"](*args)
    return counter.steps


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("for x in xs: pass", 1 + 10),
        ("return [x for x in xs if x]", 1 + 10),
        ("return sum(x for x in xs)", 1 + 10),
        ("return sum(xs)", 1 + 10),
        ("return 99 in xs", 1 + 10),
        ("return 99 in set(xs)", 1 + 10),
        ("return xs.count(1)", 1 + 10),
        ("return list(map(lambda x: x, xs))", 1 + 10 + 10),
        ("return list(map(abs, xs))", 1 + 10),
        ("return list(zip(xs, map(abs, xs)))", 1 + 10 + 10),
        ("return any(filter(None, [0] * 5))", 1 + 5),
        ("return max(itertools.product(xs, xs))", 1 + 100),
        ("return any(filter(None, itertools.product((), xs)))", 1),
        ("return [*reversed(xs)]", 1 + 10),
        ("first, *rest = iter(xs)", 1 + 10),
        ("return next(map(abs, xs))", 1),
        ("return len(xs)", 1),
        ("for x in xs:\n        for y in xs: pass", 1 + 10 + 100),
        ("for x in xs:\n        xs.index(x)", 1 + 10 + 100),
        ("return xs[2:5]", 1 + 3),
        ("i = 0\n    while i < 4: i += 1", 1 + 4),
    ],
)
def test_steps_counted_by_hand(body, expected):
    assert steps(f"import itertools\ndef f(xs):\n    {body}\n", list(range(10))) == expected


def test_counting_changes_no_result():
    source = (Path(__file__).parents[1] / "solutions" / "good_recursive_merge_sort.py").read_text()
    counter = Counter(10**7, lambda: None)
    counted = counter.names
    plain = {}
    exec(compile(instrument(ast.parse(source)), "counted", "exec"), counted)
    exec(compile(source, "plain", "exec"), plain)
    users = [
        {"last_login": "2024-05-05", "posts": n % 7, "comments": n, "likes": 1, "days_active": 2}
        for n in range(50)
    ]
    results = [
        space["calculate_user_metrics"](users, "2024-01-01", "2024-12-31") for space in (counted, plain)
    ]
    assert results[0] == results[1]


def test_budget_ends_the_run_and_says_so(box):
    source = "def f(n):\n    for i in range(n):\n        for j in range(n):\n            pass\n    return n\n"
    calls = [("g", FunctionCall((50,), counted=True)), ("g", FunctionCall((200,), counted=True, growth=6.0))]
    small, large = box.run(source, "f", calls).outcomes
    assert (small.value, small.steps) == (50, 1 + 50 + 2500)
    assert (large.kind, large.steps) == ("overrun", 6 * 2551)


# the process


def test_many_at_once_each_get_their_own_answer(box):
    sources = [f"def f(x):\n    return x + {number}\n" for number in range(24)]
    with ThreadPoolExecutor(24) as pool:
        values = list(pool.map(lambda source: run(box, source, 100).value, sources))
    assert values == [100 + number for number in range(24)]


def test_a_hanging_run_does_not_stop_the_others(box):
    hang = threading.Thread(target=run, args=(box, "def f():\n    while True:\n        pass\n"))
    hang.start()
    assert run(box, "def f():\n    return 1\n").value == 1
    hang.join(20)
    assert not hang.is_alive()


def test_one_submission_leaves_nothing_for_the_next(box):
    run(box, "import json\ndef f():\n    json.dumps = None\n    json.secret = 1\n")
    assert run(box, "import json\ndef f():\n    return [hasattr(json, 'secret'), json.dumps(1)]\n").value == [
        False,
        "1",
    ]


def test_parent_stays_small(box):
    box.warm_up()
    status = Path(f"/proc/{box.parent_pid}/status")
    if not status.exists():
        pytest.skip("no /proc on this machine")
    resident_kb = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS")).split()[
        1
    ]
    assert int(resident_kb) < 40 * 1024


def test_closing_ends_the_parent():
    sandbox = Sandbox()
    sandbox.warm_up()
    pid = sandbox.parent_pid
    sandbox.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_parent_ends_with_the_judge():
    script = (
        "from grader.sandbox import Sandbox; import os\n"
        "box = Sandbox(); box.warm_up(); print(box.parent_pid, flush=True); os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    pid = int(done.stdout)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            break
        threading.Event().wait(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_limits_must_be_positive():
    with pytest.raises(ValueError, match="cpu_s must be positive, got 0"):
        SandboxLimits(cpu_s=0)


def test_grade_uses_the_sandbox_it_is_given(box):
    assert grade(GOOD.read_text(), sandbox=box).score == 120
