"""Model names: the known ones, files in the model folder, paths; and where the folder is."""

from __future__ import annotations

from pathlib import Path

import pytest

from wse_backend import models
from wse_backend.errors import UnknownModel


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WSE_MODEL_DIR", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_folder_is_read_from_the_environment_at_each_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSE_MODEL_DIR", str(tmp_path / "a"))
    assert models.models_dir() == tmp_path / "a"
    monkeypatch.setenv("WSE_MODEL_DIR", str(tmp_path / "b"))
    assert models.models_dir() == tmp_path / "b"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, ".cache/moa-workshop/models"),
        ("linux", {"XDG_CACHE_HOME": "{home}/xdg"}, "xdg/moa-workshop/models"),
        ("darwin", {}, "Library/Caches/moa-workshop/models"),
        ("win32", {}, "AppData/Local/moa-workshop/models"),
    ],
)
def test_folder_follows_the_platforms_rule(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    variables: dict[str, str],
    expected: str,
) -> None:
    for name in ("WSE_MODEL_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    monkeypatch.setattr("sys.platform", platform)
    assert models.models_dir() == tmp_path / expected


def test_available_lists_known_models_then_own_files(folder: Path) -> None:
    (folder / "zebra.gguf").touch()
    (folder / "apple.gguf").touch()
    (folder / "notes.txt").touch()
    (folder / models.CARDS["smollm2-135m"].file).touch()
    assert models.available() == [*models.CARDS, "apple.gguf", "zebra.gguf"]


def test_model_in_parts_is_listed_once(folder: Path) -> None:
    for part in (1, 2, 3):
        (folder / f"big-{part:05d}-of-00003.gguf").touch()
    assert models.available() == [*models.CARDS, "big-00001-of-00003.gguf"]


def test_available_of_a_folder_that_does_not_exist_is_the_known_models(tmp_path: Path) -> None:
    assert models.available(tmp_path / "absent") == list(models.CARDS)


@pytest.mark.parametrize("name", ["own.gguf", "own"])
def test_file_in_the_folder_goes_by_its_name(folder: Path, name: str) -> None:
    (folder / "own.gguf").touch()
    assert models.ensure(name) == folder / "own.gguf"


def test_file_anywhere_goes_by_its_path(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.bin").touch()
    assert models.ensure(str(tmp_path / "elsewhere.bin")) == tmp_path / "elsewhere.bin"


@pytest.mark.parametrize(
    "name",
    ["", "gpt-5", "Smollm2-135m", "../models", "no\0name", "x" * 5000, "absent.gguf", "/absent/a.gguf"],
)
def test_unknown_name_is_refused_with_the_known_ones(folder: Path, name: str) -> None:
    (folder / "own.gguf").touch()
    with pytest.raises(UnknownModel) as caught:
        models.ensure(name)
    assert caught.value.name == name
    assert caught.value.known == (*models.CARDS, "own.gguf")
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", ["own", "own.gguf", "smollm2-135m"])
def test_names_of_the_folder_are_known_where_paths_are_not_accepted(
    folder: Path, smollm2_path: Path, name: str
) -> None:
    (folder / "own.gguf").touch()
    where = folder if name.startswith("own") else smollm2_path.parent
    assert models.ensure(name, folder=where, accepts_paths=False).parent == where


def test_where_paths_are_not_accepted_the_answer_does_not_tell_whether_a_file_exists(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there.gguf").touch()
    monkeypatch.chdir(tmp_path)
    said = []
    for stem in ("there", "gone_"):
        for name in (f"{tmp_path}/{stem}.gguf", f"../{stem}.gguf", f"{stem}.gguf", f"~/{stem}.gguf"):
            with pytest.raises(UnknownModel) as caught:
                models.ensure(name, accepts_paths=False)
            said.append(str(caught.value).replace(stem, "x"))
    assert said[:4] == said[4:]
    assert "path" not in said[0].replace(str(tmp_path), "")


def test_real_model_is_verified_and_reported_as_downloaded(smollm2_path: Path) -> None:
    assert smollm2_path.stat().st_size == 98_362_432
    assert models.is_downloaded("smollm2-135m")


def test_empty_folder_reports_nothing_downloaded(folder: Path) -> None:
    assert [name for name in models.CARDS if models.is_downloaded(name)] == []
