"""A report as one self-contained page: no script, no outside file, everything from the submission escaped."""

from __future__ import annotations

from html import escape

from grader.grading.report import CaseResult, CheckResult, Report

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #2a7f4f; --bad: #b3402e; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1rem 0 0; }
.total { font-size: 2.2rem; font-weight: 600; margin: .2rem 0; }
.note { color: GrayText; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .4rem 0; padding: .5rem .8rem; }
summary { cursor: pointer; display: flex; gap: 1rem; }
summary .name { flex: 1; } summary .points { font-variant-numeric: tabular-nums; }
.full .points { color: var(--good); } .less .points { color: var(--bad); }
dt { font-weight: 600; margin-top: .4rem; } dd { margin: 0; overflow-wrap: anywhere; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); border-radius: .5rem; padding: 1rem; overflow-x: auto; }
pre .n { color: GrayText; user-select: none; }
"""


def html_report(report: Report, source: str, title: str) -> str:
    """The page. title: what was graded, e.g. the file's name."""
    total = f"{report.score:g} of {report.max_score:g}"
    head = f"<title>{escape(title)}: {total}</title>"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"{head}<style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f'<p class="total">{total} points · {report.letter}</p>',
        f'<p class="note">{escape(report.challenge)}, seed {report.seed}, {report.percentage:g} %</p>',
        f"<p><strong>{escape(report.refusal)}</strong></p>" if report.refusal else "",
        "".join(f'<p class="note">{escape(note)}</p>' for note in report.notes),
        "<h2>Checks</h2>",
        "".join(map(_check, report.checks)),
        "<h2>Code</h2>",
        f"<pre>{_numbered(source)}</pre>",
        f'<p class="note">Sandbox: {escape(", ".join(report.sandbox) or "not used")}</p>',
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _check(check: CheckResult) -> str:
    kind, state = ("full", "") if check.passed else ("less", " open")
    points = f'<span class="points">{check.score:g} / {check.max_score:g}</span>'
    name = f'<span class="name">{escape(check.name.replace("_", " "))}</span>'
    cases = "".join(_case(case) for case in check.cases if case.input)
    summary = f"<summary>{name}{points}</summary>"
    return f'<details class="{kind}"{state}>{summary}<p>{escape(check.message)}</p>{cases}</details>\n'


def _case(case: CaseResult) -> str:
    line = f"{case.line} of the submission" if case.line else ""
    rows = (("Input", case.input), ("Got", case.got), ("Expected", case.expected), ("Line", line))
    body = "".join(f"<dt>{name}</dt><dd><code>{escape(text)}</code></dd>" for name, text in rows if text)
    return f"<h3>{escape(case.name)} ({escape(case.status)})</h3><dl>{body}</dl>"


def _numbered(source: str) -> str:
    lines = source.splitlines()[:2000]
    return "\n".join(
        f'<span class="n">{number:4} </span>{escape(line)}' for number, line in enumerate(lines, 1)
    )
