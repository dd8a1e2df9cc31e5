"""Weights without kernels: refused by name on every way into the engine, before memory is planned."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf.constants import GGMLQuantizationType

from tests.wse_backend.tiny_gguf import write_with_type
from wse_backend import Engine, EnginePool, Unsupported
from wse_backend.engine.kernels.formats import FORMATS
from wse_backend.engine.neuron_groups import study_groups
from wse_backend.weights.gguf_file import open_gguf

NAMES = {fmt.name for fmt in FORMATS.values()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_with_type(tmp_path / "new.gguf", GGMLQuantizationType.I8)


def test_engine_refuses_them_by_name_with_what_it_supports(path: Path) -> None:
    stages: list[str] = []
    for kv_cache_bytes in (None, 1 << 20):
        with pytest.raises(Unsupported, match=r"blk\.0\.ffn_up\.weight is I8; ") as caught:
            Engine.load(path, lambda stage, done, total: stages.append(stage), kv_cache_bytes)
        assert (caught.value.path, set(caught.value.supported)) == ("new.gguf", NAMES | {"BF16"})
    assert stages == []  # nothing was compiled or regrouped


def test_pool_refuses_them_before_it_looks_for_room(path: Path) -> None:
    with pytest.raises(Unsupported, match="I8"):  # not OutOfMemory, though nothing fits
        EnginePool(budget_bytes=1).engine(str(path))


def test_study_of_neurons_refuses_them(path: Path) -> None:
    with pytest.raises(Unsupported, match="I8"):
        study_groups(open_gguf(path), [1, 2, 3], [1, 2, 3], 16)
