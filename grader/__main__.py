"""`python -m grader`: score, batch, challenges, report, new, check, import.

Exit codes: 0 graded, whatever the score, or everything listed, proven or imported; 1 graded below
`--fail-under`, something of a challenge does not prove right, or some files of a batch or tasks of a pack
could not be used; 2 wrong usage or an unreadable file; 3 the submission was refused or holds nothing to
grade; 4 submissions cannot be run on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from grader.errors import BadChallenge, GraderError, SandboxError, UnknownChallenge
from grader.grading import batch, packs
from grader.grading.challenge import DEFAULT_SEED, Challenge
from grader.grading.files import read_standard_input, read_text, write_text
from grader.grading.grade import grade
from grader.grading.html_report import html_report
from grader.grading.new_challenge import new_challenge
from grader.grading.proof import prove
from grader.grading.registry import DEFAULT_CHALLENGE, challenge, challenges
from grader.grading.reply import grade_reply, read_and_grade
from grader.grading.report import Report
from grader.grading.workers import workers

DONE, LESS, USAGE, REFUSED, NO_SANDBOX = 0, 1, 2, 3, 4
RESULTS = "grades.jsonl"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except SandboxError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return NO_SANDBOX
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - flushed at exit into nothing
        return DONE
    except GraderError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return USAGE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m grader",
        description="Score submissions to a challenge.",
        epilog="exit codes: 0 graded or all done, 1 below --fail-under or some could not be used, "
        "2 usage or unreadable file, 3 refused or nothing to grade, 4 no sandbox on this machine",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    score = commands.add_parser("score", help="score one submission (a Python file, or a model's reply)")
    score.add_argument("file", help="the file, or - for standard input")
    _common(score)
    _threshold(score)
    score.set_defaults(run=_score)
    many = commands.add_parser(
        "batch", help="score every file of a folder, going on where an earlier run stopped"
    )
    many.add_argument("folder", type=Path)
    many.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="submissions graded at once")
    many.add_argument("--scheduler", metavar="ADDRESS", help="grade on a Dask cluster (tcp://host:port)")
    many.add_argument("--results", type=Path, help=f"where results are kept (default: FOLDER/{RESULTS})")
    _common(many)
    many.set_defaults(run=_batch)
    listing = commands.add_parser("challenges", help="list the challenges and their checks")
    listing.add_argument("--pack", type=Path, help="list the tasks of an imported pack instead")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=_challenges)
    report = commands.add_parser("report", help="score one submission and write a report")
    report.add_argument("file", help="the file, or - for standard input")
    report.add_argument(
        "--html", action="store_true", help="one self-contained page with the code and each check"
    )
    report.add_argument("--output", type=Path, help="where to write it (default: standard output)")
    _common(report)
    _threshold(report)
    report.set_defaults(run=_report)
    fresh = commands.add_parser("new", help="write the folder of a new challenge, which runs as it is")
    fresh.add_argument("name", help="of the challenge and its function")
    fresh.set_defaults(run=_new)
    proving = commands.add_parser("check", help="prove a challenge by its own solutions and mutants")
    proving.add_argument("name")
    proving.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="graded at once")
    proving.set_defaults(run=_check)
    taking = commands.add_parser("import", help="take a HumanEval-format file as a challenge pack")
    taking.add_argument("file", type=Path)
    taking.add_argument("--output", type=Path, help="write the tasks that work to this pack")
    taking.set_defaults(run=_import)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--challenge", default=DEFAULT_CHALLENGE, help=f"default: {DEFAULT_CHALLENGE}")
    parser.add_argument("--pack", type=Path, help="take the challenge from this HumanEval-format file")
    parser.add_argument("--seed", type=int, help=f"draws the hidden cases (default: {DEFAULT_SEED})")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _threshold(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fail-under", type=float, default=0.0, help="exit with 1 below this many points")


def _task(options: argparse.Namespace) -> Challenge:
    """The challenge the options name."""
    if options.pack is None:
        return challenge(options.challenge)
    tasks = packs.load_pack(options.pack)
    if options.challenge == DEFAULT_CHALLENGE and len(tasks) == 1:
        return tasks[0]
    for task in tasks:
        if task.name == options.challenge:
            return task
    raise UnknownChallenge(options.challenge, [task.name for task in tasks])


def _read(file: str) -> str:
    return read_standard_input() if file == "-" else read_text(Path(file))


def _exit_code(report: Report, least: float) -> int:
    if report.refusal:
        return REFUSED
    return LESS if report.score < least else DONE


def _score(options: argparse.Namespace) -> int:
    task = _task(options)
    report = grade_reply(_read(options.file), task, options.seed)
    if options.json:
        print(json.dumps(report.to_dict(), indent=2))
    else:
        print(as_text(report), end="")
    return _exit_code(report, options.fail_under)


def _report(options: argparse.Namespace) -> int:
    task = _task(options)
    text = _read(options.file)
    graded = read_and_grade(text, task, options.seed)
    report, source = graded.report, graded.extraction.code or text
    if options.html:
        page = html_report(report, source, options.file if options.file != "-" else "Submission")
    elif options.json:
        page = json.dumps(report.to_dict(), indent=2) + "\n"
    else:
        page = as_text(report)
    if options.output:
        write_text(options.output, page)
    else:
        print(page, end="")
    return _exit_code(report, options.fail_under)


def as_text(report: Report) -> str:
    """The report for a terminal, what was lost with its reason."""
    total = f"{report.score:g} of {report.max_score:g} points"
    lines = [f"{report.challenge}: {total} ({report.percentage:g} %, {report.letter})"]
    if report.refusal:
        lines.append(f"  {report.refusal}")
    for check in report.checks if not report.refusal else ():
        lines.append(
            f"{'ok' if check.passed else '--'} {check.name:28} {check.score:6.2f} / {check.max_score:g}"
        )
        if not check.passed:
            lines.append(f"   {check.message}")
    lines += [f"note: {note}" for note in report.notes]
    lines.append(f"sandbox: {', '.join(report.sandbox) or 'not used'}")
    return "\n".join(lines) + "\n"


def _batch(options: argparse.Namespace) -> int:
    if options.pack is not None:
        raise BadChallenge(str(options.pack), "batch grades the built-in challenges only; score takes a pack")
    task = challenge(options.challenge)
    results = options.results or options.folder / RESULTS
    paths = [path for path in batch.submissions(options.folder) if path != results]
    known = batch.read_results(results)
    done: list[batch.Graded] = []
    with workers(options.jobs, options.scheduler) as pool:
        files = batch.read_submissions(paths)
        for each in batch.grade_all(files, pool, task.name, options.seed, known):
            done.append(each)
            if each.report is not None and each.key not in known:
                batch.write_results(results, [each])
            _progress(len(done), len(paths), each.file)
    done.sort(key=lambda each: (-(each.report.score if each.report else -1), each.file))
    if options.json:
        print(json.dumps([each.to_dict() for each in done], indent=2))
    else:
        for each in done:
            print(_row(each))
    return LESS if any(each.report is None for each in done) else DONE


def _row(each: batch.Graded) -> str:
    if each.report is None:
        return f"   -        {each.file}  ({each.problem})"
    reason = f"  ({each.report.refusal})" if each.report.refusal else ""
    return f"{each.report.score:6.2f}  {each.report.letter}  {each.file}{reason}"


def _progress(done: int, total: int, name: str) -> None:
    """A bar on a terminal, nothing where the output goes to a file."""
    if sys.stderr.isatty():
        filled = 30 * done // max(1, total)
        end = "\n" if done == total else ""
        print(
            f"\r[{'#' * filled}{'.' * (30 - filled)}] {done}/{total} {name[:30]:30}", end=end, file=sys.stderr
        )


def _challenges(options: argparse.Namespace) -> int:
    listed = packs.load_pack(options.pack) if options.pack else challenges()
    if options.json:
        print(json.dumps([_listed(each) for each in listed], indent=2))
        return DONE
    for each in listed:
        print(f"{each.name}: {each.title} ({each.max_score:g} points, {each.signature})")
        for check in each.checks:
            print(f"  {check.category:16} {check.name:30} {check.points:3g}  {check.description}")
    return DONE


def _listed(each: Challenge) -> dict[str, object]:
    return {
        "name": each.name,
        "title": each.title,
        "signature": each.signature,
        "points": each.max_score,
        "checks": [
            {
                "name": check.name,
                "category": check.category,
                "points": check.points,
                "description": check.description,
            }
            for check in each.checks
        ],
    }


def _new(options: argparse.Namespace) -> int:
    folder = new_challenge(options.name)
    print(f"written: {folder}; change brief.md, baseline.txt, checks.py, solution.txt and mutants.toml")
    print(f"then: python -m grader check {options.name}")
    return DONE


def _check(options: argparse.Namespace) -> int:
    """Prove a challenge, line by line."""
    failed = 0
    for finding in prove(challenge(options.name), max(1, options.jobs)):
        failed += not finding.ok
        print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.what}", flush=True)
    print(f"{options.name}: {'nothing is missing' if not failed else f'{failed} to mend'}")
    return LESS if failed else DONE


def _import(options: argparse.Namespace) -> int:
    """Check every task against the pack's own solution; keep those that pass."""
    works = []
    tasks = packs.read_pack(options.file)
    for task in tasks:
        report = grade(task.solution, packs.pack_challenge(task, options.file))
        if report.score == report.max_score:
            works.append(task)
        else:
            print(f"left out {task.task_id}: {report.refusal or report.checks[0].message}")
    print(f"{len(works)} of {len(tasks)} tasks pass with their own solution")
    if options.output and works:
        packs.write_pack(options.output, works)
        print(
            f"written to {options.output}; use it with --pack {options.output} --challenge {works[0].task_id}"
        )
    return DONE if len(works) == len(tasks) else LESS


if __name__ == "__main__":
    raise SystemExit(main())
