"""Text to token ids and back, by the vocabulary and merges that a GGUF carries.

Byte-level BPE (`tokenizer.ggml.model` "gpt2"). The merging is done by the `tokenizers` library; which pieces
of text it may merge is decided here by regular expressions, one list per `tokenizer.ggml.pre`, the same that
llama.cpp uses (src/llama-vocab.cpp). Text is not normalised, so decoding gives back what was encoded.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gguf.constants import TokenType
from tokenizers import Regex
from tokenizers import Tokenizer as BPETokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as PreTokenizers

from wse_backend.errors import BrokenGGUF, Unsupported

if TYPE_CHECKING:
    from wse_backend.weights.gguf_file import GGUFFile

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
_DEFAULT = (r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", r"[0-9][0-9][0-9]")

# Each expression splits the pieces that the one before it left.
PRE_TOKENIZERS: dict[str, tuple[str, ...]] = {
    "default": _DEFAULT,
    "gpt-2": (_GPT2,),
    "llama-bpe": (_LLAMA3,),
    "llama3": (_LLAMA3,),
    "llama-v3": (_LLAMA3,),
    "qwen2": (_QWEN2,),
    "deepseek-r1-qwen": (_QWEN2,),
    "refact": (r"\p{N}", _GPT2),
    "smollm": (r"\p{N}", _GPT2),
    "starcoder": (r"\p{N}", _GPT2),
}
_WHOLE_WORDS_FIRST = ("llama-bpe", "llama3", "llama-v3")  # a piece that is a token is not merged

# Texts of tokens that end a turn or a document, for files that do not name them; from llama.cpp's list.
END_TEXTS = frozenset(
    (
        *("<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>"),
        *("<end_of_turn>", "<|fim_pad|>", "<fim_pad>", "<|repo_name|>", "<repo_name>", "<reponame>"),
        *("<|file_sep|>", "<file_sep>"),
    )
)
_END_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")
_CONTROL = (TokenType.CONTROL, TokenType.UNKNOWN)


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


class Tokenizer:
    """Encoder and decoder of one vocabulary. Immutable and thread-safe."""

    def __init__(
        self, tokens: Sequence[str], types: Sequence[int], bpe: BPETokenizer, metadata: dict[str, Any]
    ):
        self._tokens = tuple(tokens)
        self._types = tuple(types)
        self._bpe = bpe
        self.vocab_size = len(tokens)
        self.bos_id = self._id_of(metadata, "bos_token_id")
        self.eos_id = self._id_of(metadata, "eos_token_id")
        pre = metadata.get("tokenizer.ggml.pre")
        self.adds_bos = bool(metadata.get("tokenizer.ggml.add_bos_token", pre in _WHOLE_WORDS_FIRST))
        self.control_ids = frozenset(i for i, kind in enumerate(types) if kind in _CONTROL)
        self.stop_ids = self._stop_ids(metadata)
        self._control = self._longest_first(_CONTROL)
        self._own = self._longest_first((TokenType.USER_DEFINED,))

    @classmethod
    def from_gguf(cls, gguf: GGUFFile) -> Tokenizer:
        """The tokenizer of a GGUF file. Raises BrokenGGUF, Unsupported."""
        metadata, file = gguf.metadata, gguf.path.name
        model, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre", "default")
        if model != "gpt2":
            raise Unsupported(file, "its tokenizer", repr(model)[:60], ("gpt2 (byte-level BPE)",))
        if not isinstance(pre, str) or pre not in PRE_TOKENIZERS:
            raise Unsupported(file, "its pre-tokenizer", repr(pre)[:60], sorted(PRE_TOKENIZERS))
        tokens = _texts(metadata, "tokenizer.ggml.tokens", file)
        merges = _texts(metadata, "tokenizer.ggml.merges", file)
        types = metadata.get("tokenizer.ggml.token_type", [TokenType.NORMAL] * len(tokens))
        if not isinstance(types, list) or len(types) != len(tokens):
            raise BrokenGGUF(file, "tokenizer.ggml.token_type has not one entry per token")
        return cls(tokens, types, _bpe(tokens, merges, pre, file), metadata)

    def encode(self, text: str, *, parse_special: bool = True) -> list[int]:
        """Token ids of `text`; with `parse_special` the texts of control tokens (`<|im_end|>`) become those.

        Never adds a token of its own. Lone surrogates, which are no text, count as U+FFFD; bytes that the
        vocabulary has no token for are left out, as llama.cpp does (SmolLM2 lacks 21, of unused scripts).
        """
        return self.encode_hiding(text, "", parse_special=parse_special)

    def encode_hiding(self, text: str, mark: str, *, parse_special: bool = True) -> list[int]:
        """As `encode`, of `text` without `mark`: a control token's text with a mark in it stays plain."""
        known = (*self._control, *self._own) if parse_special else self._own
        ids: list[int] = []
        for piece in _split(_well_formed(text), sorted(known, key=_by_length)):
            if isinstance(piece, int):
                ids.append(piece)
            else:
                plain = piece.replace(mark, "") if mark else piece
                ids += self._bpe.encode(plain, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Iterable[int], *, skip_control: bool = False) -> str:
        """The text of `ids`; bytes that are no UTF-8 become U+FFFD. Raises ValueError on an unknown id."""
        return b"".join(self.token_bytes(i, skip_control=skip_control) for i in ids).decode(
            "utf-8", "replace"
        )

    def token_bytes(self, token_id: int, *, skip_control: bool = False) -> bytes:
        """The bytes that one token stands for; part of a character, perhaps. Unused ids stand for nothing."""
        if not 0 <= token_id < self.vocab_size:
            raise ValueError(f"token id {token_id} is outside of the vocabulary of {self.vocab_size}")
        kind, text = self._types[token_id], self._tokens[token_id]
        if kind == TokenType.UNUSED or (skip_control and kind in _CONTROL):
            return b""
        if kind == TokenType.NORMAL:
            points = [_BYTE_OF_CODE_POINT.get(ord(char)) for char in text]
            if None not in points:
                return bytes(points)  # type: ignore[arg-type]
        return text.encode("utf-8")

    def token_text(self, token_id: int | None) -> str:
        """The vocabulary's own text of a token, as templates need it; nothing for None."""
        return "" if token_id is None else self._tokens[token_id]

    @property
    def control_texts(self) -> tuple[str, ...]:
        """Texts that `encode` turns into control tokens, longest first."""
        return tuple(text for text, _ in self._control)

    def _longest_first(self, kinds: Sequence[int]) -> tuple[tuple[str, int], ...]:
        found = [(text, i) for i, text in enumerate(self._tokens) if self._types[i] in kinds and text]
        return tuple(sorted(found, key=_by_length))

    def _id_of(self, metadata: dict[str, Any], key: str) -> int | None:
        found = metadata.get(f"tokenizer.ggml.{key}")
        return found if type(found) is int and 0 <= found < self.vocab_size else None

    def _stop_ids(self, metadata: dict[str, Any]) -> frozenset[int]:
        """Ids that end an answer: those the file names, and those whose text is a known end."""
        named = {self._id_of(metadata, key) for key in _END_KEYS} - {None}
        return frozenset(named | {i for i in self.control_ids if self._tokens[i] in END_TEXTS})  # type: ignore[arg-type]


class StreamDecoder:
    """Turns tokens into text as they come, holding back the bytes of an unfinished character.

    The pieces joined, `finish` included, equal `decode(ids, skip_control=True)`. One per answer.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """The text that is complete with this token; often one word, sometimes nothing."""
        return self._utf8.decode(self._tokenizer.token_bytes(token_id, skip_control=True))

    def finish(self) -> str:
        """What is left: nothing, or U+FFFD for a character that never became complete."""
        return self._utf8.decode(b"", final=True)


def _by_length(token: tuple[str, int]) -> tuple[int, int]:
    return -len(token[0]), token[1]


def _split(text: str, known: Sequence[tuple[str, int]]) -> list[str | int]:
    """Cut the known texts out of `text`, each longest first over the whole text, as llama.cpp does."""
    pieces: list[str | int] = [text] if text else []
    for token, token_id in known:
        if token not in text:
            continue
        cut: list[str | int] = []
        for piece in pieces:
            if isinstance(piece, int):
                cut.append(piece)
                continue
            first, *rest = piece.split(token)
            cut += [first] if first else []
            for after in rest:
                cut += [token_id, after] if after else [token_id]
        pieces = cut
    return pieces


def _well_formed(text: str) -> str:
    """`text` with surrogate pairs joined and lone surrogates replaced; JSON can carry both."""
    if re.search("[\ud800-\udfff]", text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _texts(metadata: dict[str, object], key: str, file: str) -> list[str]:
    found = metadata.get(key)
    if not isinstance(found, list) or not found or not all(type(text) is str for text in found):
        raise BrokenGGUF(file, f"{key} is missing or is no list of texts")
    return found


def _bpe(tokens: list[str], merges: list[str], pre: str, file: str) -> BPETokenizer:
    pairs = [(first, second) for first, gap, second in (merge.partition(" ") for merge in merges) if gap]
    if len(pairs) != len(merges):
        raise BrokenGGUF(file, "tokenizer.ggml.merges has an entry that is no pair")
    vocab = {token: i for i, token in enumerate(tokens)}
    try:
        model = BPE(vocab=vocab, merges=pairs, ignore_merges=pre in _WHOLE_WORDS_FIRST)
    except Exception as exc:  # the library raises plain Exception: a merge of tokens that do not exist
        raise BrokenGGUF(file, f"its merges do not fit its vocabulary ({exc})") from exc
    bpe = BPETokenizer(model)
    splits = [Split(Regex(expression), "isolated") for expression in PRE_TOKENIZERS[pre]]
    bpe.pre_tokenizer = PreTokenizers([*splits, ByteLevel(add_prefix_space=False, use_regex=False)])
    return bpe
