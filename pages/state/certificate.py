"""Certificates of a round: one printable page each, complete in itself. No Streamlit.

HTML and not PDF: a browser prints any name in any script, where a PDF would need the fonts for it.
"""

from __future__ import annotations

import io
import re
import unicodedata
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from html import escape

from grader.competition import BoardRow, Final, Participant, Round, Standing
from pages.state.text import count

FILE_NAME_CHARS = 40
_STYLE = """
@page { size: A4 landscape; margin: 0; }
* { box-sizing: border-box; }
body { margin: 0; color: #1f1b18; background: #ffffff; font-family: Georgia, "Times New Roman", serif; }
main { width: 297mm; max-width: 100%; min-height: 209mm; margin: 0 auto; padding: 16mm 22mm; display: flex;
  flex-direction: column; align-items: center; justify-content: center; gap: 6mm; text-align: center;
  border: 1.2mm solid #b3440c; outline: 0.3mm solid #b3440c; outline-offset: -4mm; }
h1 { margin: 0; font-size: 13mm; font-weight: 400; letter-spacing: 0.06em; color: #b3440c; }
.name { font-size: 15mm; line-height: 1.15; overflow-wrap: anywhere; }
.people, .how, small { color: #5f564f; }
.people { font-size: 6mm; overflow-wrap: anywhere; }
.place { font-size: 9mm; }
.round, .how { font-size: 5.5mm; overflow-wrap: anywhere; }
.line { display: flex; width: 100%; justify-content: space-between; align-items: end; margin-top: 8mm; }
.line div { width: 75mm; border-top: 0.3mm solid #1f1b18; padding-top: 2mm; font-size: 4.5mm; }
small { font-family: monospace; font-size: 2.8mm; }
""".strip()
# Nothing of it runs and nothing is fetched, whatever stands in a name.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Certificate:
    """What stands on it, as plain text. people: the members of a team. place, of: where among how many.

    result: points, in words. how: what the place rests on. number: what leads to the round's data.
    """

    name: str
    people: tuple[str, ...]
    round_title: str
    challenge: str
    place: int
    of: int
    result: str
    how: str
    on: date
    number: str


@dataclass(frozen=True)
class RoundOutcome:
    """What ranks: the standings of a final, or without one the board of best scores."""

    board: Sequence[BoardRow]
    final: Final | None = None
    standings: Sequence[Standing] = ()


def certificates(
    found: Round,
    challenge: str,
    max_score: float,
    people: Sequence[Participant],
    members: Mapping[int, Sequence[str]],
    outcome: RoundOutcome,
) -> dict[int, Certificate]:
    """By participant: everybody with a place. challenge: its title. members: the others of each team.

    The date is the server's, in its own time zone: when the final ended, else when the round was closed.
    """
    final, lines = outcome.final, outcome.standings if outcome.final else outcome.board
    by_id = {line.participant_id: line for line in lines}
    at_ms = (final.ended_ms or final.created_ms) if final else (found.closes_ms or found.created_ms)
    on = datetime.fromtimestamp(at_ms / 1000).astimezone().date()
    number = f"{found.uid} / final {final.id}" if final else found.uid
    made = {}
    for who in people:
        line = by_id.get(who.id)
        if line is None:
            continue
        made[who.id] = Certificate(
            name=who.nickname,
            people=tuple(name for name in (who.person, *members.get(who.id, ())) if name),
            round_title=found.title,
            challenge=challenge,
            place=line.place,
            of=len(lines),
            result=_result(line, max_score),
            how=_how(final),
            on=on,
            number=number,
        )
    return made


def _how(final: Final | None) -> str:
    if final is None:
        return "on the board of best scores"
    seeds = count(len(final.seeds), "seed")
    return f"in the final: every setup ran on {seeds} that nobody had seen, and the mean ranks"


def _result(line: BoardRow | Standing, max_score: float) -> str:
    if isinstance(line, BoardRow):
        return f"{line.score:g} of {max_score:g} points"
    mean = f"a mean of {line.mean:.1f} of {max_score:g} points"
    known = line.low is not None and line.high is not None
    return f"{mean} (95 % interval {line.low:.1f} to {line.high:.1f})" if known else mean


def to_html(shown: Certificate) -> str:
    """The page to print. Every text in it is escaped."""
    people = f'<div class="people">{escape(", ".join(shown.people))}</div>' if shown.people else ""
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width">
<title>Certificate: {escape(shown.name)}</title><style>{_STYLE}</style></head>
<body><main>
<h1>Certificate</h1>
<div class="name" dir="auto">{escape(shown.name)}</div>
{people}
<div class="round">took part in <b dir="auto">{escape(shown.round_title)}</b>
with the challenge <b>{escape(shown.challenge)}</b></div>
<div class="place">place {shown.place} of {shown.of}, {escape(shown.result)}</div>
<div class="how">{escape(shown.how)}</div>
<div class="line"><div>{shown.on:%d %B %Y}</div><div>for the hosts</div></div>
<small>{escape(shown.number)}</small>
</main></body></html>
"""


def file_name(shown: Certificate, number: int) -> str:
    """A name that every file system takes: "007-ada-lovelace.html"."""
    plain = unicodedata.normalize("NFKD", shown.name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[:FILE_NAME_CHARS].strip("-")
    return f"{number:03d}-{slug}.html" if slug else f"{number:03d}.html"


def to_zip(all_of_them: Sequence[Certificate]) -> bytes:
    """Every certificate in one file, the best place first."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, each in enumerate(sorted(all_of_them, key=lambda c: c.place), start=1):
            archive.writestr(file_name(each, number), to_html(each))
    return made.getvalue()
