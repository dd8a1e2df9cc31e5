"""Neurons in groups: the model as it is when all are kept, and what fewer lose where that is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.wse_backend.families import FAMILIES, IDS, write_family
from tests.wse_backend.reference_families import Reference
from wse_backend.engine.neuron_groups import group_neurons, study_groups
from wse_backend.errors import InvalidParams
from wse_backend.weights.gguf_file import open_gguf


@pytest.mark.parametrize("name", ["llama", "qwen2", "llama, yarn", "llama, biases"])
def test_all_groups_are_the_whole_model(name: str, tmp_path: Path) -> None:
    path = write_family(tmp_path / "tiny.gguf", FAMILIES[name])
    study = study_groups(open_gguf(path), IDS, IDS, 16)
    assert study.kept == (16, 12, 8, 6, 4, 2)
    assert study.kl[0] == pytest.approx(0, abs=1e-9)
    assert study.same[0] == 1.0
    assert study.read_share(16) == 1.0
    reference = Reference(path).logits(IDS)
    assert np.take_along_axis(reference, study.most_likely[:, None], 1)[:, 0] == pytest.approx(
        reference.max(axis=1), abs=1e-3
    )


def test_neurons_without_output_may_go_and_others_may_not(tmp_path: Path) -> None:
    # Six neurons of 96 have an output; they lie in at most six of the sixteen groups.
    down = np.zeros((64, 96), np.float32)
    down[:, [3, 20, 41, 55, 70, 90]] = np.random.default_rng(0).standard_normal((64, 6))
    changes = {f"blk.{layer}.ffn_down.weight": down for layer in range(3)}
    path = write_family(tmp_path / "tiny.gguf", FAMILIES["llama"], tensor_changes=changes)
    study = study_groups(open_gguf(path), IDS, IDS, 16)
    lost = dict(zip(study.kept, study.kl, strict=True))
    assert lost[6] == pytest.approx(0, abs=1e-9)
    assert lost[2] > 1e-3
    assert study.use.sum(axis=1) == pytest.approx([8, 8, 8])  # of sixteen, half are kept


def test_neurons_that_are_active_together_form_a_group() -> None:
    rng = np.random.default_rng(1)
    kind = rng.permutation(np.repeat(np.arange(4), 12))
    active = np.zeros((40, 48), np.float32)
    for token in range(40):
        active[token, kind == token % 4] = 1 + 0.1 * rng.standard_normal(12)
    groups = group_neurons(active, 4)
    assert np.bincount(groups).tolist() == [12] * 4
    assert all(len(set(groups[kind == one])) == 1 for one in range(4))


@pytest.mark.parametrize(
    ("name", "n_groups", "n_tokens", "words"),
    [
        ("gemma3", 16, 40, "a dense one of llama, qwen2"),
        ("llama, experts", 16, 40, "a dense one"),
        ("llama", 7, 40, "divide 96 neurons"),
        ("llama", 1, 40, "2 or more"),
        ("llama", 16, 1, "1 tokens"),
    ],
)
def test_what_cannot_be_studied_is_refused(
    tmp_path: Path, name: str, n_groups: int, n_tokens: int, words: str
) -> None:
    gguf = open_gguf(write_family(tmp_path / "tiny.gguf", FAMILIES[name]))
    with pytest.raises(InvalidParams, match=words):
        study_groups(gguf, IDS, IDS[:n_tokens], n_groups)
