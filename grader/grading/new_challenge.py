"""A folder for a new challenge that runs at once, to be changed from there."""

from __future__ import annotations

import keyword
from pathlib import Path

from grader.errors import BadChallenge, UnusableFile
from grader.grading.files import plain_reason, read_text, write_text

TEMPLATE = Path(__file__).parent / "template"
CHALLENGES = Path(__file__).parents[1] / "challenges"
_SUFFIX = ".tmpl"
_NAME = "NEW_NAME"


def new_challenge(name: str) -> Path:
    """Write the folder of a challenge by that name into `grader/challenges`; returns it.

    Raises BadChallenge when the name cannot be a function's or is taken, UnusableFile when nothing can be
    written.
    """
    folder = CHALLENGES / name
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise BadChallenge(str(folder), "its name must be a function's: lower-case letters, digits and _")
    if folder.exists():
        raise BadChallenge(str(folder), "it is there already")
    try:
        folder.mkdir()
    except OSError as exc:
        raise UnusableFile(str(folder), plain_reason(exc), "written") from exc
    for path in sorted(TEMPLATE.glob(f"*{_SUFFIX}")):
        write_text(folder / path.name.removesuffix(_SUFFIX), read_text(path).replace(_NAME, name))
    return folder
