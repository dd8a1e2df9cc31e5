"""Write golden_tokenizers.json with llama.cpp: what it makes of the hard texts with every kind of tokenizer.

python -m tests.wse_backend.make_golden_tokenizers          (needs llama-cpp-python)

Per kind and text a CRC of the ids is kept, not the ids: 7,000 lists would be half a megabyte.
"""

from __future__ import annotations

import json
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import llama_cpp

from tests.wse_backend.hard_texts import hard_texts, sentencepiece_vocabulary, write_vocabulary
from wse_backend import models
from wse_backend.weights.header import read_header
from wse_backend.weights.pre_tokenizers import PRE_TOKENIZERS

OUT = Path(__file__).parent / "golden_tokenizers.json"


def crc(ids: Sequence[int]) -> str:
    """Eight digits that stand for a list of ids."""
    return f"{zlib.crc32(','.join(map(str, ids)).encode()):08x}"


def byte_level_vocabulary(pre: str) -> dict[str, Any]:
    """SmolLM2's vocabulary and merges under another pre-tokenizer."""
    metadata = read_header(models.ensure("smollm2-135m")).metadata
    keys = ("model", "tokens", "token_type", "merges", "bos_token_id", "eos_token_id")
    values = {f"tokenizer.ggml.{key}": metadata[f"tokenizer.ggml.{key}"] for key in keys}
    return {**values, "tokenizer.ggml.pre": pre}


def vocabularies(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and file of every tokenizer that is compared."""
    for pre in PRE_TOKENIZERS:
        yield pre, write_vocabulary(folder / f"{pre}.gguf", byte_level_vocabulary(pre))
    small = sentencepiece_vocabulary()
    yield "sentencepiece", write_vocabulary(folder / "spm.gguf", small)
    bare = {**small, "tokenizer.ggml.add_space_prefix": False}
    yield "sentencepiece, no space in front", write_vocabulary(folder / "bare.gguf", bare)
    gemma = models.models_dir() / "gemma-3-270m-q4_k_m.gguf"
    if gemma.is_file():
        yield "gemma", gemma


def tokens_of(path: Path, texts: dict[str, str]) -> dict[str, str]:
    """The CRC of llama.cpp's ids of each text."""
    model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    return {
        name: crc(model.tokenize(text.encode(), add_bos=False, special=False)) for name, text in texts.items()
    }


def main() -> None:
    texts = hard_texts()
    with tempfile.TemporaryDirectory() as folder:
        found = {name: tokens_of(path, texts) for name, path in vocabularies(Path(folder))}
    source = f"llama-cpp-python {llama_cpp.__version__}, tokenize(text, add_bos=False, special=False)"
    OUT.write_text(json.dumps({"source": source, "crc": found}, indent=0, separators=(",", ":")))


if __name__ == "__main__":
    sys.exit(main())
