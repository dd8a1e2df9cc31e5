"""Files by a hub's address, from a real server that speaks its protocol: resumed, verified, refused."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from wse_backend import models
from wse_backend.errors import DownloadFailed, HashMismatch, UnknownModel
from wse_backend.weights.download.hub import fetch_address

CONTENT = b"GGUF" + bytes(range(256)) * 4096
ADDRESS = "hf://someone/tiny-GGUF/tiny.gguf"


@dataclass
class Hub:
    """What the server sends, and what it was asked. cut_after: bytes after which a connection breaks."""

    content: bytes = CONTENT
    sha256: str = hashlib.sha256(CONTENT).hexdigest()
    cut_after: int | None = None
    status: int = 200
    ranges: list[str | None] = field(default_factory=list)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(302 if state.status == 200 else state.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("X-Linked-ETag", f'"{state.sha256}"')
            self.send_header("X-Linked-Size", str(len(CONTENT)))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            body = state.content[start:]
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if state.cut_after is None else body[: state.cut_after])

        def log_message(self, *arguments: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield state
    server.shutdown()
    server.server_close()


def quiet(stage: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


def test_file_arrives_verified_and_is_fetched_once(hub: Hub, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = fetch_address(ADDRESS, tmp_path, lambda stage, done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert fetch_address(ADDRESS, tmp_path, quiet) == path
    assert hub.ranges == [None]
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.gguf"]


def test_broken_connection_is_taken_up_where_it_broke(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after = 300_000
    with pytest.raises(DownloadFailed, match="What has arrived is kept"):
        fetch_address(ADDRESS, tmp_path, quiet)
    arrived = next(tmp_path.glob(".tiny.gguf.*.part")).stat().st_size
    hub.cut_after = None
    assert fetch_address(ADDRESS, tmp_path, quiet).read_bytes() == CONTENT
    assert hub.ranges == [None, f"bytes={arrived}-"]
    assert 0 < arrived <= 300_000


def test_other_bytes_are_refused_and_not_kept(hub: Hub, tmp_path: Path) -> None:
    hub.content = CONTENT[::-1]
    with pytest.raises(HashMismatch) as caught:
        fetch_address(ADDRESS, tmp_path, quiet)
    assert caught.value.expected == hub.sha256
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "words"), [(404, "no such repository or file"), (401, "refused access"), (500, "answered 500")]
)
def test_what_the_hub_says_is_said(hub: Hub, tmp_path: Path, status: int, words: str) -> None:
    hub.status = status
    with pytest.raises(DownloadFailed, match=words):
        fetch_address(ADDRESS, tmp_path, quiet)


def test_hub_that_says_no_hash_or_sends_too_much_is_not_trusted(hub: Hub, tmp_path: Path) -> None:
    hub.content = CONTENT + b"more"
    with pytest.raises(DownloadFailed, match="more than the"):
        fetch_address(ADDRESS, tmp_path, quiet)
    hub.sha256 = "abc"
    with pytest.raises(DownloadFailed, match="does not say the file's SHA-256"):
        fetch_address(ADDRESS, tmp_path, quiet)


def test_no_network_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadFailed, match="cannot be reached"):
        fetch_address(ADDRESS, tmp_path, quiet)


@pytest.mark.parametrize(
    "address",
    ["hf://", "hf://a/b", "hf://a/b/c.bin", "hf://a/b/../c.gguf", "hf://a/b/c d.gguf", "hf://a/b/.c.gguf"],
)
def test_what_is_no_address_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(DownloadFailed, match=r"hf://owner/repository/file\.gguf"):
        fetch_address(address, tmp_path, quiet)


def test_addresses_are_names_for_the_command_line_only(hub: Hub, tmp_path: Path) -> None:
    assert models.ensure(ADDRESS, folder=tmp_path) == tmp_path / "tiny.gguf"
    with pytest.raises(UnknownModel):
        models.ensure(ADDRESS, folder=tmp_path, accepts_paths=False)
