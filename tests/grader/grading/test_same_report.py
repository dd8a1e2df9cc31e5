"""The same source and seed give the same report: twice, and on every version of Python."""

import glob
import json
import subprocess
import sys
from pathlib import Path

import pytest

from grader import grade

SOLUTIONS = Path(__file__).parents[1] / "solutions"
ROOT = Path(__file__).resolve().parents[3]


def solution(name):
    return (SOLUTIONS / f"{name}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["good_dataclass", "bug_robust_types", "junk_echo", "bug_scores_on_wrong_users"]
)
def test_same_source_and_seed_give_the_same_report(name):
    first, second = (json.dumps(grade(solution(name), seed=11).to_dict()) for _ in range(2))
    assert first == second


def other_interpreters():
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = {}
    for version in ("3.11", "3.12", "3.13"):
        pattern = str(Path.home() / f".pyenv/versions/{version}.*/bin/python")
        paths = [*sorted(glob.glob(pattern)), *glob.glob(f"/usr/bin/python{version}")]
        if paths and version != here:
            found[version] = paths[-1]
    return found


HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.parametrize("version", [each for each in ("3.11", "3.12", "3.13") if each != HERE])
def test_every_python_version_gives_the_same_report(version):
    python = other_interpreters().get(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed on this machine")
    names = ["good_statistics", "good_strptime", "bug_sum_instead_of_mean", "bug_robust_types", "junk_random"]
    names += ["bug_quadratic_sort_each_time", "good_decimal", "bug_dates_strptime"]
    script = (
        "import json, sys; from pathlib import Path; from grader import grade\n"
        "print(json.dumps([grade(Path(name).read_text(), seed=3).to_dict() for name in sys.argv[1:]]))"
    )
    paths = [str(SOLUTIONS / f"{name}.py") for name in names]
    done = subprocess.run(
        [python, "-c", script, *paths], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [grade(solution(name), seed=3).to_dict() for name in names]


F_STRING_TEXTS = {
    """a = f"{x["a"]}" """: False,
    """a = f'{x["a"]}' """: True,
    """a = f"{'a' + "b"}" """: False,
    r"""a = f"{'\n'.join(x)}" """: False,
    r"""a = f"{x}\n" """: True,
    """a = f\'\'\'{x["a"]}{x['b']}\'\'\' """: True,
    """a = f"{f'{x}'}" """: True,
    """a = f"{f"{x}"}" """: False,
    """a = f"{x:{width}} {x!r:>10} {{}}" """: True,
    """a = f\'\'\'{\nx\n}\'\'\' """: True,
    """a = f"{\nx}" """: False,
    """a = f\'\'\'{\nx  # comment\n}\'\'\' """: False,
    "type X = int": False,
    "def f[T](x: T): pass": False,
}
"""Whether Python 3.11 accepts each text (typed into a 3.11 interpreter)."""


def test_f_strings_are_read_as_3_11_reads_them():
    """Python 3.11's own verdict on each line, taken from that interpreter where there is one."""
    python = {**other_interpreters(), f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
    texts = F_STRING_TEXTS
    script = (
        "import json, sys\nfrom grader.sandbox.policy.syntax import parse\nfound = []\n"
        "for text in json.load(sys.stdin):\n    try:\n        parse(text, 'x')\n        found.append(True)\n"
        "    except SyntaxError:\n        found.append(False)\nprint(json.dumps(found))"
    )
    verdicts = {}
    for version, path in python.items():
        options = {"cwd": ROOT, "input": json.dumps(list(texts)), "capture_output": True, "text": True}
        done = subprocess.run([path, "-c", script], check=True, **options)
        verdicts[version] = json.loads(done.stdout)
    assert set(map(tuple, verdicts.values())) == {tuple(texts.values())}


@pytest.mark.parametrize("line", ["from itertools import batched", "import copy; copy.replace"])
def test_names_newer_than_3_11_are_missing_on_every_version(line):
    report = grade(f"{line}\n{solution('good_heapq')}")
    kind = "ImportError" if line.startswith("from") else "AttributeError"
    assert report.refusal.startswith(f"loading the source raised {kind} in line 1")
