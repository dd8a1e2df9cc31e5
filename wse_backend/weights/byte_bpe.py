"""Byte-level BPE (`tokenizer.ggml.model` "gpt2"): Llama 3, Qwen, Phi-4, Granite, SmolLM, OLMo, gpt-oss.

The merging is done by the `tokenizers` library; which pieces of text it may merge is decided by
`pre_tokenizers.py`. Text is not normalised, so decoding gives back what was encoded.
"""

from __future__ import annotations

from collections.abc import Sequence

from gguf.constants import TokenType
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as PreTokenizers

from wse_backend.errors import BrokenGGUF
from wse_backend.weights.pre_tokenizers import PreTokenizer


def _byte_alphabet() -> dict[int, int]:
    """Code point -> byte of GPT-2's printable alphabet (openai/gpt-2, encoder.py, `bytes_to_unicode`)."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {byte: byte for byte in printable} | {256 + n: byte for n, byte in enumerate(others)}


_BYTE_OF_CODE_POINT = _byte_alphabet()


class ByteBPE:
    """The merges of one vocabulary. Immutable and thread-safe."""

    def __init__(self, tokens: Sequence[str], merges: Sequence[str], pre: PreTokenizer, file: str) -> None:
        """Raises BrokenGGUF when the merges do not fit the vocabulary."""
        pairs = [(first, second) for first, gap, second in (merge.partition(" ") for merge in merges) if gap]
        if len(pairs) != len(merges):
            raise BrokenGGUF(file, "tokenizer.ggml.merges has an entry that is no pair")
        vocab = {token: i for i, token in enumerate(tokens)}
        try:
            model = BPE(vocab=vocab, merges=pairs, ignore_merges=pre.whole_words_first)
        except Exception as exc:  # the library raises plain Exception: a merge of tokens that do not exist
            raise BrokenGGUF(file, f"its merges do not fit its vocabulary ({exc})") from exc
        self._bpe = Tokenizer(model)
        splits = [Split(Regex(expression), "isolated") for expression in pre.expressions]
        byte_level = ByteLevel(add_prefix_space=False, use_regex=False)
        self._bpe.pre_tokenizer = PreTokenizers([*splits, byte_level])

    def encode(self, text: str) -> list[int]:
        """Token ids of a text without control tokens."""
        ids: list[int] = self._bpe.encode(text, add_special_tokens=False).ids
        return ids


def token_bytes(text: str, kind: int) -> bytes:
    """The bytes that a token of this vocabulary stands for."""
    if kind == TokenType.NORMAL:
        points = [_BYTE_OF_CODE_POINT.get(ord(char)) for char in text]
        if None not in points:
            return bytes(points)  # type: ignore[arg-type]
    return text.encode()
