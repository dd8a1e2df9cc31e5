"""What a token looks at, as the engine says it, against plain numpy on tiny files of several families."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.wse_backend.engine.test_families import engine_of
from tests.wse_backend.families import FAMILIES, IDS, write_family
from tests.wse_backend.reference_families import Reference
from wse_backend import ContextOverflow, SamplingParams

# grouped heads; soft cap and window; sinks; norms of heads; experts before the layer that is looked at
KINDS = ("llama", "gemma2", "gpt-oss", "qwen3", "olmoe")


@pytest.mark.parametrize("name", KINDS)
def test_attention_of_every_layer_is_that_of_plain_numpy(name: str, tmp_path: Path) -> None:
    path = write_family(tmp_path / "tiny.gguf", FAMILIES[name])
    reference = Reference(path)
    reference.logits(IDS)
    with engine_of(path) as engine:
        found = [engine.attention(IDS, layer) for layer in range(engine.n_layers)]
    assert len(found) == len(reference.attention_weights) > 1
    for mine, theirs in zip(found, reference.attention_weights, strict=True):
        # the engine's products are of 15-bit integers, so scores differ in the fourth digit
        assert np.abs(mine - theirs).max() < 2e-3


def test_looking_changes_no_answer(tmp_path: Path) -> None:
    question, params = [{"role": "user", "content": "hello"}], SamplingParams(temperature=0.0, max_tokens=12)
    with engine_of(write_family(tmp_path / "tiny.gguf", FAMILIES["llama"])) as engine:
        before = engine.generate(question, params)
        engine.attention(IDS, 0)
        assert engine.generate(question, params).token_ids == before.token_ids


def test_what_cannot_be_shown_is_refused_with_what_can(tmp_path: Path) -> None:
    with engine_of(write_family(tmp_path / "tiny.gguf", FAMILIES["llama"])) as engine:
        with pytest.raises(ValueError, match="there is no layer 99"):
            engine.attention(IDS, 99)
        with pytest.raises(ContextOverflow):
            engine.attention([5] * (engine.n_ctx + 1), 0)
