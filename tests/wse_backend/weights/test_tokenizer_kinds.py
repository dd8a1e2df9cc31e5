"""Every kind of tokenizer against llama.cpp's ids of 200 hard texts, and the options that files set."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gguf
import pytest

from tests.wse_backend.hard_texts import hard_texts, sentencepiece_vocabulary
from wse_backend import models
from wse_backend.errors import BrokenGGUF
from wse_backend.weights.header import read_header
from wse_backend.weights.pre_tokenizers import PRE_TOKENIZERS, PreTokenizer
from wse_backend.weights.tokenizer import StreamDecoder, Tokenizer

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "golden_tokenizers.json").read_text(encoding="utf-8")
)
TEXTS = hard_texts()
# Gemma's vocabulary has "</s>" as a text of its own; llama.cpp takes it for an end token and spells it out.
OWN_TEXTS = {"aimed 63"}


def tokenizer_of(values: dict[str, Any]) -> Tokenizer:
    return Tokenizer.from_gguf(SimpleNamespace(metadata=values, path=Path("vocabulary.gguf")))  # type: ignore[arg-type]


def wrong_texts(tokenizer: Tokenizer, kind: str) -> list[str]:
    """Names of the texts whose ids are not llama.cpp's."""
    found = {name: tokenizer.encode(text, parse_special=False) for name, text in TEXTS.items()}
    crc = {name: f"{zlib.crc32(','.join(map(str, ids)).encode()):08x}" for name, ids in found.items()}
    expected = GOLDEN["crc"][kind]
    assert len(expected) == 200
    return [name for name, value in expected.items() if crc[name] != value]


@pytest.fixture(scope="module")
def byte_level(smollm2_path: Path) -> dict[PreTokenizer, tuple[str, list[str]]]:
    """For each distinct pre-tokenizer its names' first, and the texts that it gets wrong."""
    metadata = read_header(smollm2_path).metadata
    found: dict[PreTokenizer, tuple[str, list[str]]] = {}
    for pre, kind in PRE_TOKENIZERS.items():
        if kind not in found:
            found[kind] = pre, wrong_texts(tokenizer_of({**metadata, "tokenizer.ggml.pre": pre}), pre)
    return found


@pytest.mark.parametrize("pre", PRE_TOKENIZERS)
def test_byte_level_ids_are_those_of_llama_cpp(
    byte_level: dict[PreTokenizer, tuple[str, list[str]]], pre: str
) -> None:
    first, wrong = byte_level[PRE_TOKENIZERS[pre]]
    assert wrong == []
    assert GOLDEN["crc"][pre] == GOLDEN["crc"][first]


def test_sentencepiece_ids_are_those_of_llama_cpp() -> None:
    values = sentencepiece_vocabulary()
    assert wrong_texts(tokenizer_of(values), "sentencepiece") == []
    bare = tokenizer_of({**values, "tokenizer.ggml.add_space_prefix": False})
    assert wrong_texts(bare, "sentencepiece, no space in front") == []


def test_gemma_ids_are_those_of_llama_cpp() -> None:
    path = models.models_dir() / "gemma-3-270m-q4_k_m.gguf"
    if not path.is_file():
        pytest.skip("Gemma 3 270M is not in the model folder: python -m wse_backend pull gemma-3-270m")
    assert set(wrong_texts(tokenizer_of(read_header(path).metadata), "gemma")) <= OWN_TEXTS


@pytest.mark.parametrize("name", TEXTS)
def test_sentencepiece_gives_back_what_it_was_given(name: str) -> None:
    tokenizer, text = tokenizer_of(sentencepiece_vocabulary()), TEXTS[name]
    ids = tokenizer.encode(text, parse_special=False)
    decoder = StreamDecoder(tokenizer)
    assert tokenizer.decode(ids) == text.replace("\u2581", " ")  # to SentencePiece the same character
    assert "".join(map(decoder.push, ids)) + decoder.finish() == tokenizer.decode(ids)


def test_sentencepiece_defaults_are_what_llama_cpp_assumes() -> None:
    values = sentencepiece_vocabulary()
    for key in ("bos_token_id", "eos_token_id"):
        del values[f"tokenizer.ggml.{key}"]
    tokenizer = tokenizer_of(values)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.adds_bos) == (1, 2, True)
    assert 2 in tokenizer.stop_ids


def test_control_and_byte_tokens_are_not_spelt_by_a_users_text() -> None:
    tokenizer = tokenizer_of(sentencepiece_vocabulary())
    ids = tokenizer.encode("</s><0x41><unk>", parse_special=False)
    assert not tokenizer.control_ids & set(ids)
    assert tokenizer.decode(ids) == "</s><0x41><unk>"
    assert tokenizer.encode("</s>")[-1] == 2


def test_phi3_control_tokens_swallow_white_space_after_them() -> None:
    values = sentencepiece_vocabulary()
    values["tokenizer.ggml.tokens"][300] = "<|user|>"
    values["tokenizer.ggml.token_type"][300] = int(gguf.TokenType.CONTROL)
    phi = tokenizer_of({**values, "general.name": "Phi-3 mini"})
    assert phi.encode("<|user|>\n hello") == phi.encode("<|user|>hello")
    assert tokenizer_of(values).encode("<|user|>\n hello") != phi.encode("<|user|>hello")


def byte_level_values(tokens: list[str], control: tuple[str, ...]) -> dict[str, Any]:
    kinds = [gguf.TokenType.CONTROL if token in control else gguf.TokenType.NORMAL for token in tokens]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-4o",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [int(kind) for kind in kinds],
        "tokenizer.ggml.merges": ["a b"],
    }


def test_several_ends_of_turn_stop_an_answer() -> None:
    values = byte_level_values(["a", "b", "ab", "<|eot_id|>", "<|eom_id|>", "<x>"], ("<|eom_id|>", "<x>"))
    tokenizer = tokenizer_of({**values, "tokenizer.ggml.eos_token_id": 5, "tokenizer.ggml.eot_token_id": 0})
    assert tokenizer.stop_ids == {0, 3, 4, 5}
    assert 3 in tokenizer.control_ids  # its text says so, though the file has it as plain


def test_end_of_a_message_within_a_turn_does_not_stop_an_answer() -> None:
    control = ("<|end|>", "<|return|>", "<|call|>")
    tokens = ["a", "b", "ab", *control]
    assert tokenizer_of(byte_level_values(tokens, control)).stop_ids == {4, 5}
    assert tokenizer_of(byte_level_values(tokens[:4], control)).stop_ids == {3}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tokenizer.ggml.scores": [1.0]}, "scores has not one number per token"),
        ({"tokenizer.ggml.scores": ["x"] * 3}, "scores has not one number per token"),
    ],
    ids=["too few", "texts"],
)
def test_sentencepiece_that_cannot_be_built_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BrokenGGUF, match=words):
        tokenizer_of({**sentencepiece_vocabulary(), **changes})


def test_vocabulary_without_a_byte_and_without_the_unknown_is_refused() -> None:
    values = sentencepiece_vocabulary()
    values["tokenizer.ggml.tokens"][3 + 7] = "gone"
    values["tokenizer.ggml.token_type"][0] = int(gguf.TokenType.CONTROL)
    with pytest.raises(BrokenGGUF, match="no token for the byte 7"):
        tokenizer_of(values)
