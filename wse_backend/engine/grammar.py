"""Answers that are JSON by construction: a JSON Schema as masks over the tokens that may come next.

llguidance (github.com/guidance-ai/llguidance) walks the grammar; here stands what it does not know: how many
tokens are left. When they run short, the grammar is led to its end by the shortest way, so that an answer is
never cut off in the middle of a text that would go on for ever.
"""

import json
import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wse_backend.errors import InvalidParams
from wse_backend.weights.tokenizer import Tokenizer

# llguidance is imported where it is used: most requests have no schema.
if TYPE_CHECKING:
    from llguidance import LLMatcher

logger = logging.getLogger(__name__)

# As Python's json.dumps writes it, which models have read most of; free white space invites endless lines.
LAYOUT: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
CLOSERS = (b"}", b"]", b'"', b",")  # in this order, wherever the grammar allows them outside of a text
IN_TEXT = b"~"  # allowed inside free text only: there the quotation mark comes first
MARGIN_TOKENS = 16
MOST_LOOKED_AHEAD = 512


class Grammars:
    """Compiles schemas for one vocabulary, whose prefix tree is built at the first one. Thread-safe."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self._vocabulary: _Vocabulary | None = None

    def start(self, schema: str, n_tokens: int) -> "Grammar":
        """The grammar of one answer of at most `n_tokens` tokens. Raises InvalidParams with what is wrong.

        schema: the text of a JSON Schema of the kinds that llguidance knows.
        """
        from llguidance import LLMatcher

        with self._lock:
            if self._vocabulary is None:
                self._vocabulary = _Vocabulary(self._tokenizer)
        try:
            json.loads(schema)
            source = LLMatcher.grammar_from_json_schema(schema, overrides=LAYOUT)
        except (ValueError, RecursionError) as exc:
            raise InvalidParams("json_schema", schema, f"a JSON Schema ({exc})") from exc
        matcher = LLMatcher(self._vocabulary.tokens, source, log_level=0)
        if matcher.is_error():
            fault = matcher.get_error().splitlines()[0]
            raise InvalidParams("json_schema", schema, f"what a grammar can be made of ({fault})")
        return Grammar(self._vocabulary, matcher, n_tokens)


class Grammar:
    """The way of one answer through its grammar; used by one request, on the scheduler's thread."""

    def __init__(self, vocabulary: "_Vocabulary", matcher: "LLMatcher", n_tokens: int) -> None:
        self._vocabulary = vocabulary
        self._matcher = matcher
        self._n_left = self._look_again_at = n_tokens
        self._is_ending = False
        self._least = self._tokens_to_end()

    @property
    def is_complete(self) -> bool:
        """Whether the answer is whole and nothing may follow."""
        return bool(self._matcher.is_stopped()) and not self._matcher.is_error()

    def restrict(self, logits: npt.NDArray[np.float32]) -> None:
        """Set the logits of all tokens that may not come next to minus infinity; float32 (vocab_size,)."""
        if self._matcher.is_error():
            return  # the answer goes on freely; whoever asked for JSON checks it
        mask = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._is_ending = self._is_ending or self._must_end()
        closing = self._vocabulary.closing(mask) if self._is_ending else ()
        if closing:
            kept = logits[list(closing)].copy()
            logits.fill(-np.inf)
            logits[list(closing)] = kept
            return
        allowed = np.unpackbits(mask, count=len(logits), bitorder="little").view(np.bool_)
        np.copyto(logits, np.float32(-np.inf), where=~allowed)

    def accept(self, token: int) -> None:
        """Go on by the token that was chosen."""
        self._n_left -= 1
        if self._matcher.is_error():
            return
        if not self._matcher.consume_token(token):
            logger.error("a grammar refused a token that it had allowed: %s", self._matcher.get_error()[:200])

    def allowed_prefix(self, tokens: list[int]) -> list[int]:
        """The first of `tokens` that may all come next, in this order: drafts beyond them are in vain."""
        return tokens[: self._matcher.validate_tokens(tokens)] if tokens else tokens

    def _must_end(self) -> bool:
        """Whether what is left is just enough for the shortest way to the end, and one more step like it.

        That way grows while an answer nests, by less than a token for each that is written; so it is looked
        for again whenever a quarter of what was to spare is used up.
        """
        if self._n_left > self._look_again_at:
            return False
        to_spare = self._n_left - self._tokens_to_end() - self._least - MARGIN_TOKENS
        self._look_again_at = self._n_left - max(1, to_spare // 4)
        return to_spare <= 0

    def _tokens_to_end(self) -> int:
        """How many tokens the shortest way to the end takes, roughly: walked on a copy, without the model."""
        ahead = self._matcher.deep_copy()
        n_tokens = 0
        while n_tokens < MOST_LOOKED_AHEAD and not (ahead.is_stopped() or ahead.is_accepting()):
            forced = ahead.compute_ff_tokens()
            if not forced:
                mask = np.frombuffer(ahead.compute_bitmask(), np.uint8)
                if not mask.any():
                    break
                forced = [self._vocabulary.any_of(mask)]
            ahead.consume_tokens(forced)
            n_tokens += len(forced)
        return n_tokens


class _Vocabulary:
    """The tokens of a model as llguidance wants them, and those that close something."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        from llguidance import LLTokenizer, TokenizerWrapper

        self._tokenizer = tokenizer
        self.eos_token_id = min(tokenizer.stop_ids, default=0)
        self.bos_token_id = tokenizer.bos_id
        self.special_token_ids = sorted(tokenizer.control_ids)
        pieces = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
        self._stops = tuple(sorted(tokenizer.stop_ids))
        ids = {piece: token for token, piece in reversed(list(enumerate(pieces))) if len(piece) == 1}
        self._closers = [ids[piece] for piece in CLOSERS if piece in ids]
        self._quote, self._in_text = ids.get(b'"'), ids.get(IN_TEXT)
        # What llguidance asks of a tokenizer object: `tokens`, the ids above, and to be called.
        wrapper = TokenizerWrapper(_Pieces(self, pieces))
        self.tokens: LLTokenizer = LLTokenizer(
            wrapper,
            n_vocab=tokenizer.vocab_size,
            eos_token=list(self._stops) or None,
            slices=LLTokenizer.json_slices(),
        )

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, parse_special=False)

    def closing(self, mask: npt.NDArray[np.uint8]) -> Sequence[int]:
        """Of the allowed tokens those that bring the end nearest: none where only content may come."""
        stops = [token for token in self._stops if _is_allowed(mask, token)]
        if stops:
            return stops
        if self._quote is not None and self._in_text is not None and _is_allowed(mask, self._in_text):
            return [self._quote] if _is_allowed(mask, self._quote) else []
        return next(([token] for token in self._closers if _is_allowed(mask, token)), [])

    def any_of(self, mask: npt.NDArray[np.uint8]) -> int:
        """A token that brings the end nearer, else the first that is allowed."""
        closing = self.closing(mask)
        if closing:
            return closing[0]
        byte = int(np.flatnonzero(mask)[0])
        return byte * 8 + int(np.flatnonzero(np.unpackbits(mask[byte : byte + 1], bitorder="little"))[0])


class _Pieces:
    """A vocabulary in the shape that llguidance's wrapper reads."""

    def __init__(self, vocabulary: _Vocabulary, tokens: list[bytes]) -> None:
        self.tokens = tokens
        self.eos_token_id = vocabulary.eos_token_id
        self.bos_token_id = vocabulary.bos_token_id
        self.special_token_ids = vocabulary.special_token_ids
        self._encode = vocabulary.encode

    def __call__(self, text: str | bytes) -> list[int]:
        return self._encode(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)


def _is_allowed(mask: npt.NDArray[np.uint8], token: int) -> bool:
    return bool(mask[token >> 3] >> (token & 7) & 1)
