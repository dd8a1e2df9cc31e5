"""A model file by its address on a hub, hf://owner/repository/file.gguf: resumed where it broke off.

The hub says a file's SHA-256 and size in the headers of its first answer (X-Linked-ETag, X-Linked-Size),
which is Hugging Face's protocol for large files. The file grows under a temporary name that stays when the
connection breaks, and is renamed when its SHA-256 is the hub's.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from pathlib import Path

from wse_backend.errors import DiskFull, DownloadFailed, HashMismatch
from wse_backend.weights.catalog import Progress
from wse_backend.weights.download.fetch import MARGIN_BYTES, free_bytes

SCHEME = "hf://"
TIMEOUT_S = 60.0
CHUNK_BYTES = 1 << 20
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_ADDRESS = re.compile(rf"hf://({_PART}/{_PART})/((?:{_PART}/)*{_PART}\.gguf)")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Stay(urllib.request.HTTPRedirectHandler):
    """Does not follow: what is asked for stands in the first answer's own headers."""

    def redirect_request(self, *arguments: object) -> None:
        return None


def fetch_address(address: str, folder: Path, progress: Progress) -> Path:
    """The file of a hub's address in `folder`, fetched if it is not there.

    Raises DownloadFailed, HashMismatch, DiskFull, and whatever `progress` raises.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise DownloadFailed(address[:200], "a hub's address is hf://owner/repository/file.gguf")
    repository, file = found.groups()
    path = folder / Path(file).name
    if path.is_file():
        return path
    url = f"{_endpoint(address)}/{repository}/resolve/main/{urllib.parse.quote(file)}"
    try:
        sha256, size_bytes = _announced(address, url)
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{sha256[:12]}.part")  # of this very content
        _grow(address, url, partial, size_bytes, progress)
    except urllib.error.HTTPError as exc:
        raise DownloadFailed(address, _refusal(exc.code)) from exc
    except (urllib.error.URLError, TimeoutError, ConnectionError, HTTPException) as exc:
        reason = "the hub cannot be reached, or the connection broke. What has arrived is kept; try again"
        raise DownloadFailed(address, reason) from exc
    except OSError as exc:
        raise DownloadFailed(address, f"{exc.strerror or exc} ({folder})") from exc
    digest = _hash(partial)
    if digest != sha256:
        partial.unlink()
        raise HashMismatch(address, sha256, digest, url)
    os.replace(partial, path)
    return path


def _endpoint(address: str) -> str:
    """The hub's web address: HF_ENDPOINT, else the one that huggingface_hub knows."""
    if configured := os.environ.get("HF_ENDPOINT"):
        return configured.rstrip("/")
    if importlib.util.find_spec("huggingface_hub") is None:
        raise DownloadFailed(address, "install huggingface_hub, or set HF_ENDPOINT to the hub's web address")
    from huggingface_hub import constants

    return str(constants.ENDPOINT).rstrip("/")


def _announced(address: str, url: str) -> tuple[str, int]:
    """SHA-256 and size of the file, as the hub says them."""
    opener = urllib.request.build_opener(_Stay)
    try:
        with opener.open(urllib.request.Request(url, method="HEAD"), timeout=TIMEOUT_S) as answer:
            headers = answer.headers
    except urllib.error.HTTPError as exc:
        if not 300 <= exc.code < 400:
            raise
        headers = exc.headers
    sha256 = (headers.get("X-Linked-ETag") or "").strip('"').lower()
    size = headers.get("X-Linked-Size") or headers.get("Content-Length") or ""
    if not _SHA256.fullmatch(sha256) or not size.isdigit():
        raise DownloadFailed(address, "the hub does not say the file's SHA-256, so it cannot be trusted")
    return sha256, int(size)


def _grow(address: str, url: str, partial: Path, size_bytes: int, progress: Progress) -> None:
    """Append to `partial` what it lacks."""
    done = partial.stat().st_size if partial.exists() else 0
    free = free_bytes(partial.parent)
    if free < size_bytes - done + MARGIN_BYTES:
        raise DiskFull(address, str(partial.parent), size_bytes - done + MARGIN_BYTES, free)
    if done >= size_bytes:
        return
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        if answer.status != 206:
            done = 0  # the hub begins anew
        with partial.open("ab" if done else "wb") as file:
            while chunk := answer.read(CHUNK_BYTES):
                done += len(chunk)
                if done > size_bytes:
                    raise DownloadFailed(
                        address, f"the hub sends more than the {size_bytes:,} bytes it announced"
                    )
                file.write(chunk)
                progress(f"Fetching {partial.name.split('.')[1]}", done, size_bytes)
    if done < size_bytes:
        raise ConnectionError(f"{done:,} of {size_bytes:,} bytes arrived")


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _refusal(code: int) -> str:
    if code in (401, 403):
        return f"the hub refused access ({code}): its licence must be accepted there first. Fetch it by hand"
    if code == 404:
        return "the hub has no such repository or file"
    return f"the hub answered {code}"
