"""Weights and activations that are no numbers: refused by the tensor's name, and nobody else is disturbed."""

from pathlib import Path

import numpy as np
import pytest

from tests.wse_backend.tiny_gguf import tensors, write_tiny_gguf
from wse_backend import BrokenGGUF, Engine, NotFinite, SamplingParams

GREEDY = SamplingParams(temperature=0, max_tokens=4)


def ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("name", ["blk.1.ffn_down.weight", "blk.0.attn_norm.weight", "output_norm.weight"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused_by_their_tensor(
    tmp_path: Path, name: str, value: float
) -> None:
    changed = tensors("llama")[name].copy()
    changed.flat[3] = value
    with np.errstate(invalid="ignore"):  # the gguf library rounds them
        path = write_tiny_gguf(tmp_path / "broken.gguf", tensor_changes={name: changed})
    with pytest.raises(BrokenGGUF, match=name):
        Engine.load(path)


def test_a_request_that_meets_infinity_ends_with_an_error_and_the_others_go_on(tmp_path: Path) -> None:
    embedding = tensors("llama")["token_embd.weight"].copy()
    path = write_tiny_gguf(tmp_path / "plain.gguf")
    engine = Engine.load(path)
    expected = engine.generate(ask("hello"), GREEDY).token_ids
    token = engine.tokenize("Z")[0]
    engine.close()
    # The head is a matrix of its own here: the embedding alone is read row by row, when its token comes up.
    head = tensors("qwen2")["output.weight"]
    embedding[token] = 3e38  # its mean square is beyond float32
    changes = {"token_embd.weight": embedding, "output.weight": head}
    engine = Engine.load(write_tiny_gguf(tmp_path / "hot.gguf", tensor_changes=changes))
    try:
        good = engine.submit(ask("hello"), SamplingParams(temperature=0, max_tokens=60))
        with pytest.raises(NotFinite, match=r"blk\.0\.attn_q\.weight"):
            engine.generate(ask("Z"), GREEDY)
        with pytest.raises(NotFinite):
            engine.logits([1, token])
        assert len(engine.generate(ask("hello"), GREEDY).token_ids) == len(expected)
        assert not engine.is_closed
        good.cancel()
    finally:
        engine.close()
