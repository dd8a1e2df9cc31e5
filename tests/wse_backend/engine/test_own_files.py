"""Files of one's own in the model folder: what is taken, what is refused, and that nothing is replaced."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from tests.wse_backend.tiny_gguf import tensors, write_tiny_gguf
from wse_backend import BrokenGGUF, BrokenTemplate, InvalidParams, Unsupported, WseError, models
from wse_backend.engine.own_files import import_file, keep_upload

MIB = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    return write_tiny_gguf(tmp_path / "elsewhere" / "mine.gguf")


def content_of(path: Path, **changes: Any) -> io.BytesIO:
    return io.BytesIO(write_tiny_gguf(path.with_name("made.gguf"), **changes).read_bytes())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_an_imported_file_is_linked_and_can_be_loaded_by_its_name(folder: Path, elsewhere: Path) -> None:
    found = import_file(elsewhere, folder)
    assert found.is_symlink()
    assert found.resolve() == elsewhere
    assert models.available(folder)[-1] == "mine.gguf"
    assert models.ensure("mine.gguf", folder=folder, accepts_paths=False) == found


def test_all_parts_of_a_model_are_imported(folder: Path, elsewhere: Path) -> None:
    paths = [elsewhere.with_name(f"m-{part:05d}-of-00002.gguf") for part in (1, 2)]
    for part, path in enumerate(paths):
        absent = {name: None for at, name in enumerate(sorted(tensors("llama"))) if at % 2 != part}
        changes = {"split.no": part, "split.count": 2}
        write_tiny_gguf(path, changes=changes, tensor_changes=dict(absent))
    assert import_file(paths[0], folder).name == paths[0].name
    assert names(folder) == [path.name for path in paths]
    with pytest.raises(InvalidParams, match="not yet in the model folder"):
        import_file(paths[0], folder)


def test_an_uploaded_file_is_kept_whole(folder: Path, elsewhere: Path) -> None:
    found = keep_upload("new one (1).gguf", io.BytesIO(elsewhere.read_bytes()), folder, MIB)
    assert found.read_bytes() == elsewhere.read_bytes()
    assert names(folder) == ["new one (1).gguf"]


WRONG_NAMES = [
    *("../x.gguf", "..\\x.gguf", "/x.gguf", ".x.gguf", "a..b.gguf", "a/b.gguf", "x.bin", "x.gguf.part"),
    *("x.gguf\n", "x\0.gguf", ".gguf", "", "n" * 300 + ".gguf"),
]


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_names_that_lead_elsewhere_or_are_hidden_are_refused(
    folder: Path, elsewhere: Path, name: str
) -> None:
    with pytest.raises(InvalidParams, match="name of a model file"):
        keep_upload(name, io.BytesIO(elsewhere.read_bytes()), folder, MIB)
    assert names(folder) == []


def test_nothing_is_replaced_and_the_catalogs_names_are_the_catalogs(folder: Path, elsewhere: Path) -> None:
    import_file(elsewhere, folder)
    for name in ("mine.gguf", models.CARDS["smollm2-135m"].file):
        with pytest.raises(InvalidParams, match="name of a model file"):
            keep_upload(name, io.BytesIO(elsewhere.read_bytes()), folder, MIB)
    assert names(folder) == ["mine.gguf"]
    assert (folder / "mine.gguf").is_symlink()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"general.architecture": "mamba"}, Unsupported, r"cannot load x\.gguf: its architecture is 'mamba'"),
        ({"llama.embedding_length": 63}, BrokenGGUF, r"cannot load x\.gguf: 63 elements"),
        ({"tokenizer.ggml.model": "bert"}, Unsupported, r"x\.gguf: its tokenizer is 'bert'"),
        ({"tokenizer.ggml.tokens": ["a"]}, BrokenGGUF, "vocabulary has 1 tokens"),
        ({"tokenizer.chat_template": "{% for m in messages %}"}, BrokenTemplate, "endfor"),
    ],
    ids=["architecture", "sizes", "tokenizer", "vocabulary", "template"],
)
def test_what_the_engine_would_not_run_is_refused_and_leaves_nothing(
    folder: Path, elsewhere: Path, changes: dict[str, Any], error: type[WseError], words: str
) -> None:
    with pytest.raises(error, match=words):
        keep_upload("x.gguf", content_of(elsewhere, changes=changes), folder, MIB)
    with pytest.raises(error, match=words.replace("x", "bad")):
        import_file(write_tiny_gguf(elsewhere.with_name("bad.gguf"), changes=changes), folder)
    assert names(folder) == []


def test_a_file_that_is_too_large_is_refused_while_it_comes(folder: Path, elsewhere: Path) -> None:
    size = elsewhere.stat().st_size
    keep_upload("fits.gguf", io.BytesIO(elsewhere.read_bytes()), folder, size)
    with pytest.raises(InvalidParams, match="size of the file is 'over"):
        keep_upload("large.gguf", io.BytesIO(elsewhere.read_bytes()), folder, size - 1)
    assert names(folder) == ["fits.gguf"]


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path, elsewhere: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(InvalidParams, match=r"model folder is .*File exists"):
        import_file(elsewhere, blocked)
