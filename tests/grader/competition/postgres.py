"""A PostgreSQL server of its own for a test run or a benchmark; ended by its own data folder."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

UNPRIVILEGED = ("postgres", "nobody")
START_LIMIT_S = 60


class NoServer(Exception):
    """Why no server can be started on this machine."""


class Postgres:
    """A server on a free port of 127.0.0.1 with its data below `folder`; root starts it as another user.

    is_durable: False saves the waiting for the disk; only the machine's own crash would then lose something.
    """

    def __init__(self, folder: Path, *, is_durable: bool = True) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        path = str(found[-1]) if found else shutil.which("initdb")
        if path is None:
            raise NoServer("no PostgreSQL server on this machine; .ci/run installs it")
        self._bin = Path(path).parent
        self._as_user = _as_unprivileged_user()
        self._fsync = "on" if is_durable else "off"
        self.folder = folder
        self.data = folder / "data"
        self.port = _free_port()
        self._make()

    @property
    def url(self) -> str:
        """As a user would write it into the secrets."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """The URL of another database of this server."""
        return f"postgresql://workshop:not-a-secret@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server, or start it again."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "fsync": self._fsync,
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        log = self.folder / "server.log"
        self._run("pg_ctl", "-D", str(self.data), "-l", str(log), "-o", options, "-w", "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; "immediate" is what a crash looks like."""
        self._run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def query(self, sql: str) -> str:
        """What `psql` prints for a statement."""
        command = [str(self._bin / "psql"), "-X", "-q", "-t", "-d", self.url, "-c", sql]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._as_user:
            shutil.chown(self.folder, _user_of(self._as_user))
            self.folder.chmod(0o700)
        password = self.folder / "password"
        password.write_text("not-a-secret\n")
        password.chmod(0o644)
        self._run(
            *("initdb", "-D", str(self.data), "-U", "workshop", "-A", "scram-sha-256", "-E", "UTF8"),
            *("--pwfile", str(password), "--no-sync", "--locale=C"),
        )

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._bin / program), *arguments]
        # No pipes: the server would inherit them and keep the reader waiting.
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as said:
            process = subprocess.run(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=START_LIMIT_S,
                check=False,
            )
        if process.returncode != 0:
            text = (self.folder.parent / f"{self.folder.name}.log").read_text("utf-8", "replace")[-600:]
            raise NoServer(f"{program} ended with {process.returncode}: {text}")


@contextmanager
def running() -> Iterator[Postgres]:
    """A started server. Its folder is short and open to its user, unlike pytest's own. Raises NoServer."""
    with tempfile.TemporaryDirectory(prefix="moa-pg-") as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "pg", is_durable=False)
        server.start()
        yield server
        server.stop()


def _as_unprivileged_user() -> Sequence[str]:
    """The beginning of a command that gives up root; empty when there is nothing to give up."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    for name in UNPRIVILEGED if setpriv else ():
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        ids = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
        return (str(setpriv), *ids)
    raise NoServer("PostgreSQL does not run as root, and there is no other user to run it as")


def _user_of(command: Sequence[str]) -> int:
    return int(next(part for part in command if part.startswith("--reuid=")).removeprefix("--reuid="))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
