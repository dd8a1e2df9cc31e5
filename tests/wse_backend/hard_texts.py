"""200 texts that tokenizers get wrong, and vocabularies for them; the same on every machine.

The first ones aim at one rule each; the others are drawn from alphabets that mix scripts, digits, white
space, punctuation, capitals, combining marks and control words.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import gguf

AIMED = (
    "",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    " \n",
    "\n ",
    "\r\n",
    "\r\n\r\n  x",
    "a\n\n\nb",
    "   a   b   ",
    "Hello, world!",
    "hello  world",
    "HELLO WORLD",
    "HelloWorld fooBar FOOBar",
    "don't DON'T we'Ve I'll they'D",
    "it’s ‘quoted’ “text”",
    "1",
    "12",
    "123",
    "1234",
    "12345678901234567890",
    "3.14159 1,000,000 1e-9",
    "2024-11-22T12:34:56Z",
    "٣٤٥ ½ ² Ⅷ ①",
    "x=1;y=2",
    "a+b-c*d/e%f",
    "<<>>==!=&&||",
    "#include <stdio.h>\n",
    "def f(x):\n    return x ** 2\n\n\n# end",
    "\tif (x) {\n\t\treturn;\n\t}\n",
    '{"a": [1, 2.5, null]}',
    "/usr/bin/env python3",
    "C:\\Users\\x\\y.txt",
    "https://example.org/a?b=c&d=%20#e",
    "user@example.com",
    "ÀÉÎÕÜ àéîõü ÇÇ çç",
    "Straße GROẞ naïve façade",
    "ΑΒΓ αβγ Ωμέγα",
    "Привет, МИР! ёЁ",
    "שָׁלוֹם עולם",
    "مرحبا بالعالم",
    "नमस्ते दुनिया",
    "你好，世界！这是一个测试。",
    "こんにちは世界カタカナ",
    "안녕하세요 세계",
    "ภาษาไทย",
    "👋🏽🇨🇭👨‍👩‍👧‍👦",
    "e\u0301 vs é, a\u0308 vs ä",
    "a\u200bb\u200dc",
    "\u00a0nbsp\u3000wide\u2003em",
    "\ufeffbom",
    "x\u0000y",
    "tab\tand\x0bvt\x0cff",
    "𝒳𝓎𝔷 𐐀𐐨",
    "ǅ ǆ ᾼ İı",
    "----------",
    "==========",
    "......",
    "!!!???",
    "(((a)))",
    "<|im_end|>",
    "</s><s>",
    "<bos>",
    "<0x0A>",
    "▁",
    " ▁x▁ ",
    "Ġhello Ċ",
    "[INST] x [/INST]",
    "<unused0>",
    "a" * 40,
    " " * 17 + "x",
    "\n" * 9,
    "ab" * 25,
    "_snake_case__x",
    "kebab-case-x",
    "CamelCaseXMLHttp2",
    "100% of $5.00 is €4,50 + £3",
    "f(x)=∑ᵢ xᵢ² ≤ ∞",
    "it's 5 o'clock 'tis",
    "\"'\"'`´",
    "¿Qué? ¡Sí!",
    "…—–·",
)
_ALPHABETS = (
    "abc XYZ 019 .,;:!?'\"-_/\\\n\t",
    "aB cD éÉ ßẞ ñ ΔδЖж 中文 かな 한 \u0301",
    " \n\r\t  \u00a0x.1",
    "'sStTrReEvVmMlLdD abc",
    "0123456789 ,.x٣½",
    "()[]{}<>|&=+*/%^~$#@ a1",
    "🙂👍🏽🇨🇭\u200d a.\n",
)


def hard_texts() -> dict[str, str]:
    """The texts by a name that says where each comes from."""
    texts = {f"aimed {at}": text for at, text in enumerate(AIMED)}
    rng = random.Random(20261127)
    while len(texts) < 200:
        alphabet = _ALPHABETS[len(texts) % len(_ALPHABETS)]
        texts[f"drawn {len(texts)}"] = "".join(rng.choices(alphabet, k=rng.randint(3, 60)))
    return texts


def sentencepiece_vocabulary(n_pieces: int = 600) -> dict[str, Any]:
    """Header values of a small SentencePiece vocabulary: control, bytes, characters, frequent pieces."""
    texts = [text.replace(" ", "\u2581") for text in hard_texts().values()]
    characters = sorted(
        {char for text in texts for char in text if char.isprintable() and ord(char) < 0x3000}
    )
    counts = Counter(
        text[i : i + n] for text in texts for n in (2, 3, 4, 5) for i in range(len(text) - n + 1)
    )
    taken = {*characters, "<unk>", "<s>", "</s>"}
    pieces = [piece for piece, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    pieces = [piece for piece in pieces if piece not in taken and "\0" not in piece][:n_pieces]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces, *characters]
    types = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2, *[gguf.TokenType.BYTE] * 256]
    types += [gguf.TokenType.NORMAL] * (len(pieces) + len(characters))
    scores = [0.0] * 259 + [-float(rank // 2) for rank in range(len(pieces) + len(characters))]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [int(kind) for kind in types],
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }


def write_vocabulary(path: Path, values: dict[str, Any]) -> Path:
    """A GGUF of a vocabulary alone, which llama.cpp opens with `vocab_only`."""
    writer = gguf.GGUFWriter(path, "llama")
    sizes = {"block_count": 1, "context_length": 64, "embedding_length": 64, "feed_forward_length": 64}
    for key, value in {**sizes, "attention.head_count": 1}.items():
        writer.add_uint32(f"llama.{key}", value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    for key, value in values.items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        else:
            writer.add_array(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
