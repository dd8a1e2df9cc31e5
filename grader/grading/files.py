"""Files a teacher hands in or wants written; what fails is said in plain words."""

from __future__ import annotations

import sys
from pathlib import Path

from grader.errors import UnusableFile

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (UnicodeError, "it is not UTF-8 text"),
    (FileNotFoundError, "there is no such file or folder"),
    (IsADirectoryError, "it is a folder"),
    (NotADirectoryError, "it is not a folder, or lies below something that is none"),
    (PermissionError, "permission is missing"),
)


def plain_reason(exc: OSError | UnicodeError) -> str:
    """What went wrong with a file, without codec names and error numbers."""
    known = next((reason for kind, reason in _REASONS if isinstance(exc, kind)), "")
    return known or (getattr(exc, "strerror", None) or "the system refused it").lower()


def read_text(path: Path) -> str:
    """The file's text. Raises UnusableFile."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as exc:
        raise UnusableFile(str(path), plain_reason(exc)) from exc


def read_standard_input() -> str:
    """Everything on standard input. Raises UnusableFile."""
    try:
        return sys.stdin.read()
    except (OSError, UnicodeError) as exc:
        raise UnusableFile("standard input", plain_reason(exc)) from exc


def write_text(path: Path, text: str, append: bool = False) -> None:
    """Write or append a text. Raises UnusableFile."""
    try:
        with path.open("a" if append else "w", encoding="utf-8") as file:
            file.write(text)
    except (OSError, UnicodeError) as exc:
        raise UnusableFile(str(path), plain_reason(exc), "written") from exc


def files_in(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files of a folder with these endings, by name. Raises UnusableFile."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in suffixes)
    except OSError as exc:
        raise UnusableFile(str(folder), plain_reason(exc)) from exc
