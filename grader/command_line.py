"""`python -m grader score FILE|- [--json] [--seed N] | challenges`

Exit codes: 0 graded with full marks or listed; 1 graded with less; 2 wrong usage or unreadable file; 3
refused or
nothing to grade; 4 the sandbox is not available here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from grader.errors import GraderError, SandboxError
from grader.extraction import extract_code
from grader.grading import grade
from grader.registry import DEFAULT_CHALLENGE, challenge, challenges
from grader.report import Report

FULL, LESS, USAGE, REFUSED, NO_SANDBOX = 0, 1, 2, 3, 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except SandboxError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return NO_SANDBOX
    except (GraderError, OSError, UnicodeDecodeError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return USAGE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m grader", description="Score submissions to a challenge.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    score = commands.add_parser("score", help="score one submission (a Python file, or a model's reply)")
    score.add_argument("file", help="the file, or - for standard input")
    score.add_argument("--challenge", default=DEFAULT_CHALLENGE)
    score.add_argument("--seed", type=int, help="draws the hidden cases (default: the same for everyone)")
    score.add_argument("--json", action="store_true", help="print the report as JSON")
    score.set_defaults(run=_score)
    listing = commands.add_parser("challenges", help="list the challenges and their checks")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=_challenges)
    return parser


def _score(options: argparse.Namespace) -> int:
    text = sys.stdin.read() if options.file == "-" else Path(options.file).read_text(encoding="utf-8")
    task = challenge(options.challenge)
    report = grade(submission_in(text, task.function_name), task, options.seed)
    if options.json:
        print(json.dumps(report.to_dict(), indent=2))
    else:
        print_report(report)
    if report.refusal:
        return REFUSED
    return FULL if report.score == report.max_score else LESS


def submission_in(text: str, function_name: str) -> str:
    """A file may hold plain code or a whole reply with fences around the code."""
    if "```" not in text and "~~~" not in text and "<think>" not in text:
        return text
    found = extract_code(text, function_name)
    return found.code if found.found else text


def print_report(report: Report) -> None:
    """The report as text, one check per paragraph."""
    total = f"{report.score:g} of {report.max_score:g} points"
    print(f"{report.challenge}: {total} ({report.percentage:g} %, {report.letter})")
    if report.refusal:
        print(f"  {report.refusal}")
    for check in report.checks if not report.refusal else ():
        mark = "ok " if check.passed else "-- "
        print(f"{mark}{check.name:28} {check.score:6.2f} / {check.max_score:g}")
        if not check.passed:
            print(f"     {check.message}")
    for note in report.notes:
        print(f"note: {note}")
    print(f"sandbox: {', '.join(report.sandbox) or 'not used'}")


def _challenges(options: argparse.Namespace) -> int:
    listed = challenges()
    if options.json:
        rows = [
            {
                "name": each.name,
                "title": each.title,
                "function": each.function_name,
                "points": each.max_score,
                "checks": [{"name": c.name, "category": c.category, "points": c.points} for c in each.checks],
            }
            for each in listed
        ]
        print(json.dumps(rows, indent=2))
        return FULL
    for each in listed:
        print(f"{each.name}: {each.title} ({each.max_score:g} points)")
        for check in each.checks:
            print(f"  {check.category:16} {check.name:30} {check.points:3g}  {check.description}")
    return FULL
