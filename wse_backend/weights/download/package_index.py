"""A wheel by plain HTTP(S) from the configured package index, for machines with neither pip nor uv.

Speaks the simple repository API, as JSON (PEP 691) or HTML (PEP 503).
"""

from __future__ import annotations

import base64
import configparser
import json
import os
import re
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from html.parser import HTMLParser
from http.client import HTTPException, HTTPResponse
from pathlib import Path

TIMEOUT_S = 60.0
PAGE_LIMIT_BYTES = 32 << 20
CHUNK_BYTES = 1 << 18
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.9, text/html;q=0.8"
INDEX_VARIABLES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")


class FetchProblem(Exception):
    """Why a file could not be fetched, fit for a user; becomes a DownloadFailed in `fetch`.

    is_transient: the transfer had begun, so that another attempt may well succeed.
    """

    def __init__(self, reason: str, is_transient: bool = False) -> None:
        super().__init__(reason)
        self.is_transient = is_transient


def download_wheel(requirement: str, folder: Path, watch: Callable[[int], None]) -> Path:
    """Fetch the pure-Python wheel of `name==version` into `folder`. Raises FetchProblem, OSError."""
    name, version = requirement.split("==")
    index = configured_index()
    page = f"{index.rstrip('/')}/{re.sub(r'[-_.]+', '-', name).lower()}/"
    try:
        with _open(page, ACCEPT) as response:
            base, body = response.geturl(), response.read(PAGE_LIMIT_BYTES)
            kind = response.headers.get_content_type()
        url = _wheel_url(_links(body, kind), name, version)
        if url is None:
            raise FetchProblem(f"the configured package index does not have {requirement}")
        return _save(urllib.parse.urljoin(base, url), folder / "package.whl", watch)
    except urllib.error.HTTPError as exc:
        raise FetchProblem(f"the configured package index answered {exc.code} for {requirement}") from exc
    except (urllib.error.URLError, TimeoutError, ConnectionError, HTTPException) as exc:
        raise FetchProblem("the package index cannot be reached. Check the network and the index") from exc


def configured_index() -> str:
    """The index URL of the environment, else of pip's configuration files. Raises FetchProblem."""
    found = next((os.environ[v] for v in INDEX_VARIABLES if os.environ.get(v)), None) or _index_of_files()
    if found is None:
        raise FetchProblem(
            "there is neither pip nor uv, and no package index is configured. "
            "Install pip (python -m ensurepip) or set PIP_INDEX_URL"
        )
    if urllib.parse.urlsplit(found).scheme not in ("http", "https"):
        raise FetchProblem("the configured package index is no http(s) address; set PIP_INDEX_URL to one")
    return found


def _index_of_files() -> str | None:
    home = Path(os.path.expanduser("~"))
    places = [Path(sys.prefix) / "pip.conf", home / ".config/pip/pip.conf", home / ".pip/pip.conf"]
    places += [Path(sys.prefix) / "pip.ini", home / "AppData/Roaming/pip/pip.ini", Path("/etc/pip.conf")]
    if chosen := os.environ.get("PIP_CONFIG_FILE"):
        places = [Path(chosen)]
    for place in places:
        parser = configparser.RawConfigParser()
        try:
            parser.read(place, encoding="utf-8")
        except configparser.Error:  # a file that pip could not read either
            continue
        for section in ("download", "global"):
            if parser.has_option(section, "index-url"):
                return parser.get(section, "index-url").strip()
    return None


def _open(url: str, accept: str) -> HTTPResponse:
    """Open `url`; credentials in it go to its own host only, never along a redirect."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(urllib.parse.urlunsplit(parts._replace(netloc=host)))
    request.add_header("Accept", accept)
    if parts.username:
        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        token = base64.b64encode(pair.encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT") or None)
    response: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context)
    return response


def _links(body: bytes, kind: str) -> list[str]:
    if kind.endswith("json"):
        try:
            return [str(file["url"]) for file in json.loads(body)["files"]]
        except (ValueError, KeyError, TypeError) as exc:
            raise FetchProblem("the package index sent a page that is no list of files") from exc
    collector = _Anchors()
    collector.feed(body.decode("utf-8", errors="replace"))
    return collector.links


class _Anchors(HTMLParser):
    """Collects the targets of all links."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for key, value in attrs if tag == "a" and key == "href" and value]


def _wheel_url(links: list[str], name: str, version: str) -> str | None:
    """The link whose file is the platform-independent wheel of that version."""
    wanted = f"{re.sub(r'[-_.]+', '_', name).lower()}-{version}-"
    for link in links:
        file = urllib.parse.unquote(urllib.parse.urlsplit(link).path.rpartition("/")[2])
        stem = re.sub(r"[-_.]+", "_", file.rpartition(f"-{version}-")[0]).lower()
        if file.endswith("-none-any.whl") and f"{stem}-{version}-" == wanted:
            return link
    return None


def _save(url: str, target: Path, watch: Callable[[int], None]) -> Path:
    done = 0
    with _open(url, "*/*") as response, target.open("wb") as file:
        announced = int(response.headers.get("Content-Length") or 0)
        while chunk := response.read(CHUNK_BYTES):
            file.write(chunk)
            done += len(chunk)
            watch(done)
    if done < announced:
        raise FetchProblem(f"the connection ended after {done:,} of {announced:,} bytes. Try again", True)
    return target
