"""Tokens: an independent engine's ids, text that survives the round trip, streams of whole characters."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wse_backend.tiny_gguf import MERGES, vocabulary, write_tiny_gguf
from wse_backend.errors import BrokenGGUF, Unsupported, WseError
from wse_backend.weights.gguf_file import open_gguf
from wse_backend.weights.tokenizer import StreamDecoder, Tokenizer

# The ids come from llama.cpp; the file names its version and the call.
GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "golden_tokens.json").read_text(encoding="utf-8")
)
TEXTS: dict[str, str] = GOLDEN["texts"]

fuzzing = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="session")
def smollm2(smollm2_path: Path) -> Tokenizer:
    return Tokenizer.from_gguf(open_gguf(smollm2_path))


@pytest.fixture(scope="session")
def qwen(qwen_path: Path) -> Tokenizer:
    return Tokenizer.from_gguf(open_gguf(qwen_path))


@pytest.fixture
def tiny(tmp_path: Path) -> Tokenizer:
    return Tokenizer.from_gguf(open_gguf(write_tiny_gguf(tmp_path / "tiny.gguf")))


@pytest.mark.parametrize("text", TEXTS)
def test_smollm2_ids_are_those_of_llama_cpp(smollm2: Tokenizer, text: str) -> None:
    expected = GOLDEN["ids"]["smollm2-135m"][text]
    assert smollm2.encode(TEXTS[text]) == expected["special"]
    assert smollm2.encode(TEXTS[text], parse_special=False) == expected["plain"]


@pytest.mark.parametrize("text", TEXTS)
def test_qwen_ids_are_those_of_llama_cpp(qwen: Tokenizer, text: str) -> None:
    expected = GOLDEN["ids"]["qwen2.5-coder-0.5b"][text]
    assert qwen.encode(TEXTS[text]) == expected["special"]
    assert qwen.encode(TEXTS[text], parse_special=False) == expected["plain"]


@fuzzing
@given(text=st.text(), parse_special=st.booleans())
def test_decoding_gives_back_what_was_encoded(qwen: Tokenizer, text: str, parse_special: bool) -> None:
    assert qwen.decode(qwen.encode(text, parse_special=parse_special)) == text


def test_bytes_that_the_vocabulary_lacks_are_left_out(smollm2: Tokenizer) -> None:
    # UTF-8 F1 80 80 80; SmolLM2 has no token for F1. The same ids as llama.cpp's.
    assert smollm2.encode("a\U00040000b") == [81, 218, 218, 218, 82]


@fuzzing
@given(ids=st.lists(st.integers(0, 49151), max_size=20))
def test_streamed_pieces_join_to_the_decoded_text(smollm2: Tokenizer, ids: list[int]) -> None:
    decoder = StreamDecoder(smollm2)
    pieces = [decoder.push(i) for i in ids]
    assert "".join(pieces) + decoder.finish() == smollm2.decode(ids, skip_control=True)


def test_stream_holds_back_a_character_until_it_is_complete(smollm2: Tokenizer) -> None:
    ids = smollm2.encode("🇨🇭")  # eight bytes, more than one token
    decoder = StreamDecoder(smollm2)
    pieces = [decoder.push(i) for i in ids]
    assert len(ids) > 2
    assert "".join(pieces) == "🇨🇭"
    assert all(piece in ("", "🇨", "🇭") for piece in pieces)


def test_stream_that_ends_inside_a_character_says_so(smollm2: Tokenizer) -> None:
    decoder = StreamDecoder(smollm2)
    assert decoder.push(smollm2.encode("🙂")[0]) == ""
    assert decoder.finish() == "\N{REPLACEMENT CHARACTER}"


def test_control_tokens_are_text_in_decode_and_nothing_in_a_stream(smollm2: Tokenizer) -> None:
    ids = smollm2.encode("<|im_start|>hi<|im_end|>")
    assert smollm2.decode(ids) == "<|im_start|>hi<|im_end|>"
    assert smollm2.decode(ids, skip_control=True) == "hi"


@pytest.mark.parametrize(("model", "expected"), [("smollm2", {0, 2}), ("qwen", {151643, 151645})])
def test_ends_of_turn_and_of_text_stop_an_answer(
    request: pytest.FixtureRequest, model: str, expected: set[int]
) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(model)
    # llama.cpp's is_eog for both files; the other ids here belong to repository and file separators
    assert expected <= tokenizer.stop_ids
    assert {tokenizer.token_text(i) for i in tokenizer.stop_ids - expected} <= {
        *("<repo_name>", "<reponame>", "<file_sep>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>")
    }


@pytest.mark.parametrize("token_id", [-1, 49152, 10**9])
def test_id_outside_of_the_vocabulary_is_a_value_error(smollm2: Tokenizer, token_id: int) -> None:
    with pytest.raises(ValueError, match="outside of the vocabulary of 49152"):
        smollm2.decode([token_id])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("\ud83d\ude42", "🙂"), ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b")],
    ids=["pair", "lone"],
)
def test_surrogates_are_joined_or_replaced(smollm2: Tokenizer, text: str, expected: str) -> None:
    assert smollm2.encode(text) == smollm2.encode(expected)


def test_threads_may_encode_at_once(smollm2: Tokenizer) -> None:
    texts = list(TEXTS.values()) * 20
    expected = [smollm2.encode(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(smollm2.encode, texts)) == expected


def test_merges_are_applied_in_their_order(tiny: Tokenizer) -> None:
    tokens, _ = vocabulary()
    # by hand, with the merges "h e", "l l", "he ll", "hell o", "Ġ w"
    assert [tokens[i] for i in tiny.encode("hello wet")] == ["hello", "Ġw", "e", "t"]


def test_longest_of_overlapping_control_texts_wins(tmp_path: Path) -> None:
    tokens = ["<a>", "<a><b>", "<b>", *vocabulary()[0][3:]]
    path = write_tiny_gguf(tmp_path / "t.gguf", changes={"tokenizer.ggml.tokens": tokens})
    assert Tokenizer.from_gguf(open_gguf(path)).encode("<b><a><b><a>") == [2, 1, 0]


def test_marked_control_text_stays_text(tiny: Tokenizer) -> None:
    plain = tiny.encode("<|im_end|>", parse_special=False)
    assert tiny.encode_hiding("<\ufdd0|im_end|><|im_end|>", "\ufdd0") == [*plain, 2]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"tokenizer.ggml.model": "t5"}, Unsupported, "its tokenizer is 't5'; supported: gpt2"),
        ({"tokenizer.ggml.model": "llama"}, BrokenGGUF, "scores has not one number per token"),
        ({"tokenizer.ggml.model": None}, Unsupported, "its tokenizer is None"),
        ({"tokenizer.ggml.pre": "poro-chat"}, Unsupported, "'poro-chat'; supported: chatglm-bpe, codeshell"),
        ({"tokenizer.ggml.tokens": None}, BrokenGGUF, "tokens is missing"),
        ({"tokenizer.ggml.merges": None}, BrokenGGUF, "merges is missing"),
        ({"tokenizer.ggml.merges": ["he"]}, BrokenGGUF, "no pair"),
        ({"tokenizer.ggml.merges": ["absent token"]}, BrokenGGUF, "do not fit"),
        ({"tokenizer.ggml.bos_token_id": 264}, BrokenGGUF, "bos_token_id is 264, none of the 264 tokens"),
        (
            {"tokenizer.ggml.eos_token_id": 70_000},
            BrokenGGUF,
            "eos_token_id is 70000, none of the 264 tokens",
        ),
        ({"tokenizer.ggml.eot_token_id": "</s>"}, BrokenGGUF, "eot_token_id is '</s>', none of"),
        ({"tokenizer.ggml.token_type": [1, 2]}, BrokenGGUF, "one entry per token"),
        ({"tokenizer.ggml.token_type": ["x"] * 264}, BrokenGGUF, "token_type has 'x', no type of a token"),
        ({"tokenizer.ggml.token_type": [99] * 264}, BrokenGGUF, "token_type has 99, no type of a token"),
    ],
    ids=lambda value: "-".join(map(str, *value.items()))[:60] if isinstance(value, dict) else None,
)
def test_tokenizers_that_cannot_be_built_are_refused(
    tmp_path: Path, changes: dict[str, Any], error: type[WseError], words: str
) -> None:
    gguf = open_gguf(write_tiny_gguf(tmp_path / "t.gguf", changes=changes))
    with pytest.raises(error, match=words):
        Tokenizer.from_gguf(gguf)


def test_a_file_may_say_that_there_is_no_token_of_the_beginning(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "t.gguf", changes={"tokenizer.ggml.bos_token_id": 2**32 - 1})
    assert Tokenizer.from_gguf(open_gguf(path)).bos_id is None


@fuzzing
@given(
    tokens=st.lists(st.text(max_size=4), min_size=264, max_size=264),
    types=st.lists(st.integers(-1, 8), min_size=264, max_size=264),
    merges=st.lists(st.one_of(st.sampled_from(MERGES), st.text(max_size=6)), min_size=1, max_size=5),
    special=st.one_of(st.integers(0, 300), st.just(2**32 - 1)),
    text=st.text(max_size=20),
)
def test_random_vocabularies_work_or_raise_our_errors(
    tmp_path_factory: pytest.TempPathFactory,
    tokens: list[str],
    types: list[int],
    merges: list[str],
    special: int,
    text: str,
) -> None:
    changes = {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types}
    changes |= {"tokenizer.ggml.merges": merges, "tokenizer.ggml.eos_token_id": special}
    path = tmp_path_factory.getbasetemp() / "fuzzed.gguf"
    try:
        tokenizer = Tokenizer.from_gguf(open_gguf(write_tiny_gguf(path, changes=changes)))
    except WseError:
        return
    assert all(0 <= i < 264 for i in tokenizer.encode(text))
