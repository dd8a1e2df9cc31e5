"""Sessions on the server, each under a key that only its browser has.

In memory as long as somebody holds one (a tab, a run that goes on); on disk always, so that a reload and a
restart find it again. Only the key's digest is on disk: who reads the folder cannot take a session over.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path

from pages.state.plain_session import from_json, to_json
from pages.state.session import Session

KEY = re.compile(r"[A-Za-z0-9_-]{43}")
MAX_AGE_S = 30 * 24 * 3600
MAX_FILES = 2000

_log = logging.getLogger(__name__)


def new_key() -> str:
    """A key that nobody can guess: 256 random bits."""
    return secrets.token_urlsafe(32)


def is_key(text: object) -> bool:
    """Whether `text` has the form of a key."""
    return isinstance(text, str) and KEY.fullmatch(text) is not None


class SessionStore:
    """The sessions of all browsers. folder None: in memory only. Thread-safe."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._live: weakref.WeakValueDictionary[str, Session] = weakref.WeakValueDictionary()
        self._written: dict[str, str] = {}
        self.problem: str | None = None  # why nothing is written to disk

    def get(self, key: str) -> Session:
        """The session of this key: the living one, the one on disk, or a new one."""
        name = _digest(key)
        with self._lock:
            session = self._live.get(name)
            if session is None:
                session = self._read(name)
                session.save = lambda: self.save(key)
                self._live[name] = session
            return session

    def save(self, key: str) -> None:
        """Write the session down when it differs from what was written last."""
        name = _digest(key)
        with self._lock:
            session = self._live.get(name)
            if session is None or self._folder is None:
                return
            text = to_json(session)
            mark = hashlib.sha256(text.encode()).hexdigest()
            is_first = name not in self._written
            if self._written.get(name) == mark:
                return
            self._written[name] = mark
            if is_first and not self._path(name).exists() and text == to_json(Session()):
                return  # nothing was done yet
            self._write(name, text)

    def forget(self, key: str) -> None:
        """Empty the session and take it off the disk."""
        name = _digest(key)
        with self._lock:
            session = self._live.get(name)
            if session is not None:
                session.forget()
            self._written.pop(name, None)
            if self._folder is not None:
                self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{name}.json"

    def _read(self, name: str) -> Session:
        if self._folder is None or not self._path(name).is_file():
            return Session()
        try:
            return from_json(self._path(name).read_text("utf-8"))
        except (OSError, ValueError) as exc:
            _log.warning("a kept session could not be read and is put aside: %s", exc)
            self._path(name).replace(self._path(name).with_suffix(".unreadable"))
            return Session()

    def _write(self, name: str, text: str) -> None:
        path = self._path(name)
        draft = path.with_suffix(f".{secrets.token_hex(4)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft.touch(mode=0o600)
            draft.write_text(text, "utf-8")
            os.replace(draft, path)
            self.problem = None
        except OSError as exc:
            with suppress(OSError):
                draft.unlink()
            self.problem = f"{exc.strerror or type(exc).__name__}"
            _log.warning("a session could not be kept: %s", exc)

    def clean(self, now_s: float | None = None) -> None:
        """Delete what nobody used for MAX_AGE_S, and the oldest beyond MAX_FILES."""
        if self._folder is None or not self._folder.is_dir():
            return
        now_s = time.time() if now_s is None else now_s
        files = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for place, path in enumerate(files):
            if place >= MAX_FILES or now_s - path.stat().st_mtime > MAX_AGE_S:
                path.unlink(missing_ok=True)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:40]
