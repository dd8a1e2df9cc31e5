"""Files of one's own in the model folder: added by path or by upload, only when the engine runs them.

A file that is added by its path is linked, not copied. Nothing in the folder is ever replaced, and names of
the catalog's files are left to the catalog: those are trusted by their hash.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from wse_backend.engine.model_file import check_file
from wse_backend.errors import BrokenGGUF, InvalidParams, Unsupported
from wse_backend.weights.catalog import CARDS
from wse_backend.weights.gguf_file import part_paths
from wse_backend.weights.header import read_header

NAME = re.compile(r"[^\W_][\w .,()+-]{0,190}\.gguf")
ALLOWED_NAME = "letters, digits, spaces and . , - _ + ( ), ending in .gguf"
MIB = CHUNK_BYTES = 1 << 20


def import_file(path: Path, folder: Path) -> Path:
    """Link a model file, and its other parts, into `folder` under its own name; the link to the first part.

    Where the system makes no links it is copied. Raises BrokenGGUF, Unsupported, BrokenTemplate (it would not
    run), InvalidParams (its name; a folder that cannot be written).
    """
    path = path.expanduser().absolute()
    n_parts = read_header(path).metadata.get("split.count", 1)
    parts = part_paths(path, n_parts) if type(n_parts) is int and n_parts > 1 else [path]
    for part in parts:
        check_name(part.name, folder)
    check_file(path)
    with _writing_in(folder):
        for part in parts:
            _link(part.resolve(), folder / part.name)
    return folder / path.name


def keep_upload(name: str, content: BinaryIO, folder: Path, limit_bytes: int) -> Path:
    """Write an uploaded file into `folder`, unless the engine would not run it; its path there.

    Raises BrokenGGUF, Unsupported, BrokenTemplate, InvalidParams (name, size; a folder that cannot be
    written). A refused file leaves nothing behind.
    """
    check_name(name, folder)
    with _writing_in(folder):
        descriptor, draft_name = tempfile.mkstemp(prefix=".upload-", suffix=".part", dir=folder)
        draft = Path(draft_name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _copy(content, file, limit_bytes)
            with _called(draft.name, name):
                check_file(draft)
            _link_or_move(draft, folder / name)
        finally:
            draft.unlink(missing_ok=True)
    return folder / name


def check_name(name: str, folder: Path) -> None:
    """Raise InvalidParams unless a new file of this name may stand in the folder."""
    if not NAME.fullmatch(name) or ".." in name:
        raise InvalidParams("name of a model file", name[:120], ALLOWED_NAME)
    if name in {card.file for card in CARDS.values()}:
        raise InvalidParams("name of a model file", name, "names that no model of the list has: fetch it")
    if os.path.lexists(folder / name):
        raise InvalidParams("name of a model file", name, "names that are not yet in the model folder")


def _copy(source: BinaryIO, target: BinaryIO, limit_bytes: int) -> None:
    left = limit_bytes
    while chunk := source.read(CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            limit = f"{limit_bytes / MIB:g} MiB"
            raise InvalidParams("size of the file", f"over {limit}", f"up to {limit}")
        target.write(chunk)


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source)
    except FileExistsError:
        raise
    except OSError:  # a file system, or a user of Windows, without links
        shutil.copyfile(source, target)


def _link_or_move(draft: Path, target: Path) -> None:
    """Give the draft its name; a file that has come to stand there meanwhile is not replaced."""
    try:
        os.link(draft, target)
    except FileExistsError as exc:
        raise InvalidParams("name of a model file", target.name, "names that are not yet there") from exc
    except OSError:  # a file system without hard links
        draft.rename(target)


@contextmanager
def _writing_in(folder: Path) -> Iterator[None]:
    """Make the folder; what the system refuses there becomes InvalidParams."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as exc:
        raise InvalidParams("model folder", str(folder), f"one that takes the file ({exc.strerror})") from exc


@contextmanager
def _called(draft: str, name: str) -> Iterator[None]:
    """Errors about a file under its temporary name speak of it by the name its owner knows."""
    try:
        yield
    except (BrokenGGUF, Unsupported) as exc:
        if exc.path == draft:
            exc.path = name
        raise
