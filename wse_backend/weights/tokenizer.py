"""Text to token ids and back, by the vocabulary that a GGUF carries: byte-level BPE or SentencePiece.

What both have in common stands here: control tokens, texts that a vocabulary keeps whole, and ends of turn.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gguf.constants import TokenType

from wse_backend.errors import BrokenGGUF, Unsupported
from wse_backend.weights import byte_bpe, sentencepiece
from wse_backend.weights.byte_bpe import ByteBPE
from wse_backend.weights.pre_tokenizers import PRE_TOKENIZERS
from wse_backend.weights.sentencepiece import SentencePiece

if TYPE_CHECKING:
    from wse_backend.weights.gguf_file import GGUFFile

KINDS = ("gpt2 (byte-level BPE)", "llama (SentencePiece)")

# Texts of tokens that end a turn or a document, for files that do not name them; from llama.cpp's list.
END_TEXTS = frozenset(
    (
        *("<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>"),
        *("<end_of_turn>", "<|return|>", "<|call|>", "<|flush|>", "</s>", "<eos>", "<EOT>", "[EOT]", "[EOS]"),
        *("<end_of_utterance>", "<\uff5cend\u2581of\u2581sentence\uff5c>"),
        *("<|fim_pad|>", "<fim_pad>", "<|repo_name|>", "<repo_name>", "<reponame>"),
        *("<|file_sep|>", "<file_sep>"),
    )
)
# Of these, what is a control token whatever the file says of its type.
_ALWAYS_CONTROL = frozenset(text for text in END_TEXTS if text.startswith("<|")) | {"<end_of_turn>"}
_ENDS_A_MESSAGE, _END_A_TURN = "<|end|>", {"<|return|>", "<|call|>"}  # gpt-oss: messages within one turn
_END_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")
NO_TOKENS = (-1, 2**32 - 1)  # how llama.cpp writes that there is none, signed and unsigned
_CONTROL = (TokenType.CONTROL, TokenType.UNKNOWN)
_TYPES = range(7)  # 0: undefined, then gguf's TokenType


class _Spelling(NamedTuple):
    """How one kind of tokenizer spells; see `byte_bpe` and `sentencepiece`.

    adds_bos, prefixes_space, bos_id, eos_id: what holds where the file does not say.
    """

    encode: Callable[[str], list[int]]
    token_bytes: Callable[[str, int], bytes]
    adds_bos: bool
    prefixes_space: bool = False
    bos_id: int | None = None
    eos_id: int | None = None


class Tokenizer:
    """Encoder and decoder of one vocabulary. Immutable and thread-safe.

    bos_id, eos_id: the tokens of begin and end that the file names; adds_bos: whether a prompt begins with
    one; prefixes_space: whether a text that follows a control token gets a space in front; stop_ids: all
    tokens that end an answer.
    """

    def __init__(
        self, tokens: Sequence[str], types: Sequence[int], spelling: _Spelling, metadata: dict[str, Any]
    ):
        self._tokens = tuple(tokens)
        self._types = tuple(
            int(TokenType.CONTROL) if text in _ALWAYS_CONTROL else kind
            for text, kind in zip(tokens, types, strict=True)
        )
        self._spelling = spelling
        self.vocab_size = len(tokens)
        self.bos_id = self._id_of(metadata, "bos_token_id", spelling.bos_id)
        self.eos_id = self._id_of(metadata, "eos_token_id", spelling.eos_id)
        self.adds_bos = bool(metadata.get("tokenizer.ggml.add_bos_token", spelling.adds_bos))
        self.prefixes_space = bool(metadata.get("tokenizer.ggml.add_space_prefix", spelling.prefixes_space))
        self.control_ids = frozenset(i for i, kind in enumerate(self._types) if kind in _CONTROL)
        self.stop_ids = self._stop_ids(metadata)
        self._control = self._longest_first(_CONTROL)
        self._own = self._longest_first((TokenType.USER_DEFINED,))
        self._swallows_space = self._of_phi3(metadata)

    @classmethod
    def from_gguf(cls, gguf: GGUFFile) -> Tokenizer:
        """The tokenizer of a GGUF file. Raises BrokenGGUF, Unsupported."""
        metadata, file = gguf.metadata, gguf.path.name
        model = metadata.get("tokenizer.ggml.model")
        if model not in ("gpt2", "llama"):
            raise Unsupported(file, "its tokenizer", repr(model)[:60], KINDS)
        tokens = _texts(metadata, "tokenizer.ggml.tokens", file)
        types = metadata.get("tokenizer.ggml.token_type", [TokenType.NORMAL] * len(tokens))
        if not isinstance(types, list) or len(types) != len(tokens):
            raise BrokenGGUF(file, "tokenizer.ggml.token_type has not one entry per token")
        for kind in types:
            if type(kind) is bool or not isinstance(kind, int) or kind not in _TYPES:
                raise BrokenGGUF(file, f"tokenizer.ggml.token_type has {kind!r:.40}, no type of a token")
        for key in ("bos_token_id", *_END_KEYS):
            named = metadata.get(f"tokenizer.ggml.{key}", -1)
            if type(named) is not int or not (0 <= named < len(tokens) or named in NO_TOKENS):
                raise BrokenGGUF(
                    file, f"tokenizer.ggml.{key} is {named!r:.40}, none of the {len(tokens)} tokens"
                )
        spell = _byte_level if model == "gpt2" else _sentencepiece
        return cls(tokens, types, spell(tokens, types, metadata, file), metadata)

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
        is_first = True
        for piece in _split(_well_formed(text), sorted(known, key=_by_length)):
            if isinstance(piece, int):
                ids.append(piece)
                is_first = True
                continue
            plain = piece.replace(mark, "") if mark else piece
            if ids and is_first and ids[-1] in self._swallows_space:
                plain = plain.lstrip(" \t\n\r\v\f")
            if plain:
                ids += self._spelling.encode(f" {plain}" if is_first and self.prefixes_space else plain)
                is_first = False
        return ids

    def decode(self, ids: Iterable[int], *, skip_control: bool = False) -> str:
        """The text of `ids`; bytes that are no UTF-8 become U+FFFD. Raises ValueError on an unknown id.

        Where texts get a space in front, the first one is dropped again.
        """
        whole = b"".join(self.token_bytes(i, skip_control=skip_control) for i in ids)
        return whole.removeprefix(self.prefix).decode("utf-8", "replace")

    @property
    def prefix(self) -> bytes:
        """What `encode` puts in front of a text, and decoding takes away."""
        return b" " if self.prefixes_space else b""

    def token_bytes(self, token_id: int, *, skip_control: bool = False) -> bytes:
        """The bytes that one token stands for; part of a character, perhaps. Unused ids stand for nothing."""
        if not 0 <= token_id < self.vocab_size:
            raise ValueError(f"token id {token_id} is outside of the vocabulary of {self.vocab_size}")
        kind, text = self._types[token_id], self._tokens[token_id]
        if kind == TokenType.UNUSED or (skip_control and kind in _CONTROL):
            return b""
        return self._spelling.token_bytes(text, kind)

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

    def _id_of(self, metadata: dict[str, Any], key: str, default: int | None = None) -> int | None:
        found = metadata.get(f"tokenizer.ggml.{key}", default)
        return found if type(found) is int and 0 <= found < self.vocab_size else None

    def _stop_ids(self, metadata: dict[str, Any]) -> frozenset[int]:
        """Ids that end an answer: those the file names, and those whose text is a known end."""
        texts = {self._tokens[i]: i for i in self.control_ids if self._tokens[i] in END_TEXTS}
        if texts.keys() >= _END_A_TURN:
            texts.pop(_ENDS_A_MESSAGE, None)
        named = {self.eos_id, *(self._id_of(metadata, key) for key in _END_KEYS)} - {None}
        return frozenset(named | set(texts.values()))  # type: ignore[arg-type]

    def _of_phi3(self, metadata: dict[str, Any]) -> frozenset[int]:
        """Control tokens that swallow the white space after them: Phi-3's, as its tokenizer.json says.

        A GGUF has no key for that; llama.cpp too goes by the model's name.
        """
        name = str(metadata.get("general.name", "")).lower()
        if not self.prefixes_space or not ("phi-3" in name or "phi3" in name):
            return frozenset()
        keep = ("<unk>", "<s>", "<|endoftext|>")
        return frozenset(i for i in self.control_ids if self._tokens[i] not in keep)


class StreamDecoder:
    """Turns tokens into text as they come, holding back the bytes of an unfinished character.

    The pieces joined, `finish` included, equal `decode(ids, skip_control=True)`. One per answer.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._prefix = tokenizer.prefix
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """The text that is complete with this token; often one word, sometimes nothing."""
        found = self._tokenizer.token_bytes(token_id, skip_control=True)
        if found and self._prefix:
            found, self._prefix = found.removeprefix(self._prefix), b""
        return self._utf8.decode(found)

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


def _byte_level(tokens: list[str], types: list[int], metadata: dict[str, object], file: str) -> _Spelling:
    pre = metadata.get("tokenizer.ggml.pre", "default")
    if not isinstance(pre, str) or pre not in PRE_TOKENIZERS:
        raise Unsupported(file, "its pre-tokenizer", repr(pre)[:60], sorted(PRE_TOKENIZERS))
    merges = _texts(metadata, "tokenizer.ggml.merges", file)
    kind = PRE_TOKENIZERS[pre]
    return _Spelling(ByteBPE(tokens, merges, kind, file).encode, byte_bpe.token_bytes, kind.adds_bos)


def _sentencepiece(tokens: list[str], types: list[int], metadata: dict[str, object], file: str) -> _Spelling:
    scores = metadata.get("tokenizer.ggml.scores")
    if not isinstance(scores, list) or len(scores) != len(tokens) or not _are_numbers(scores):
        raise BrokenGGUF(file, "tokenizer.ggml.scores has not one number per token")
    pieces = SentencePiece(tokens, types, scores, file)
    return _Spelling(
        pieces.encode, sentencepiece.token_bytes, adds_bos=True, prefixes_space=True, bos_id=1, eos_id=2
    )


def _are_numbers(values: list[object]) -> bool:
    return all(type(value) in (int, float) and value == value for value in values)
