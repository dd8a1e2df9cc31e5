"""Which pieces of a text byte-level BPE may merge: one list of regular expressions per `tokenizer.ggml.pre`.

The names and their meaning are llama.cpp's (src/llama-vocab.cpp, `llm_tokenizer_bpe`): a file is written for
them. Each expression splits the pieces that the one before it left.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PreTokenizer:
    """How one kind of file splits text.

    whole_words_first: a piece that is a token is taken as it is, without merging. adds_bos: what holds where
    the file does not say whether a prompt begins with a token for that.
    """

    expressions: tuple[str, ...]
    whole_words_first: bool = False
    adds_bos: bool = False


_CONTRACTIONS = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
_TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PATH_TAIL = _TAIL.replace(r"[\r\n]*|", r"[\r\n/]*|")
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{_TAIL}"
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
_MARKS_TAIL = _TAIL.replace(r"\p{L}\p{N}", r"\p{L}\p{M}\p{N}")
_QWEN35 = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}|{_MARKS_TAIL}"

# A word with its capitals first, as llama.cpp has it: any letter but a-z, then any letter but A-Z.
_BIG, _SMALL = r"(?:(?=\p{L})[^a-z])", r"(?:(?=\p{L})[^A-Z])"
_CASED_WORDS = rf"[^\r\n\p{{L}}\p{{N}}]?{_BIG}*{_SMALL}+SUFFIX|[^\r\n\p{{L}}\p{{N}}]?{_BIG}+{_SMALL}*SUFFIX"
_TEKKEN = rf"{_CASED_WORDS.replace('SUFFIX', '')}|\p{{N}}|{_PATH_TAIL}"
_GPT4O = rf"{_CASED_WORDS.replace('SUFFIX', _CONTRACTIONS + '?')}|\p{{N}}{{1,3}}|{_PATH_TAIL}"
_DEEPSEEK3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_DIGITS_THEN_GPT2 = PreTokenizer((r"\p{N}", _GPT2))
_PLAIN_GPT2 = PreTokenizer((_GPT2,))
_PLAIN_QWEN2 = PreTokenizer((_QWEN2,))
_PLAIN_LLAMA3 = PreTokenizer((_LLAMA3,))
_WHOLE_LLAMA3 = PreTokenizer((_LLAMA3,), whole_words_first=True, adds_bos=True)
_PLAIN_GPT4O = PreTokenizer((_GPT4O,))

PRE_TOKENIZERS: dict[str, PreTokenizer] = {
    "default": PreTokenizer((r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", r"[0-9][0-9][0-9]")),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral"), _WHOLE_LLAMA3),
    **dict.fromkeys(("dbrx", "smaug-bpe", "chatglm-bpe", "glm4"), _PLAIN_LLAMA3),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "stablelm2", "megrez", "hunyuan"), _PLAIN_QWEN2),
    "qwen35": PreTokenizer((_QWEN35,)),
    **dict.fromkeys(("gpt-4o", "llama4", "kanana2"), _PLAIN_GPT4O),
    "tekken": PreTokenizer((_TEKKEN,), whole_words_first=True, adds_bos=True),
    **dict.fromkeys(("gpt-2", "phi-2", "mpt", "olmo", "trillion", "mellum", "exaone4"), _PLAIN_GPT2),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r"), _DIGITS_THEN_GPT2),
    **dict.fromkeys(("codeshell", "exaone", "minerva-7b"), _DIGITS_THEN_GPT2),
    "deepseek-v3": PreTokenizer((r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", _DEEPSEEK3)),
    "seed-coder": PreTokenizer((_QWEN2.replace(r"[^\s\p{L}\p{N}]+[\r\n]*", r"[^\s\p{L}\p{N}\r\n]+"),)),
}
