"""A complete model in 200 kB, written with the `gguf` library: random weights, a byte vocabulary, ChatML."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np

N_LAYERS, DIM, HIDDEN_DIM, N_HEADS, N_KV_HEADS, HEAD_DIM = 2, 64, 96, 4, 2, 16
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = ("h e", "l l", "he ll", "hell o", "Ġ w")


def vocabulary() -> tuple[list[str], list[int]]:
    """Three control tokens, GPT-2's 256 printable bytes, and one token per merge."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in printable] + [chr(256 + n) for n in range(256 - len(printable))]
    words = [merge.replace(" ", "") for merge in MERGES]
    normal = letters + words
    return [*CONTROL, *normal], [gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * len(normal)


def tensors(architecture: str, seed: int = 7) -> dict[str, np.ndarray]:
    """Random float32 tensors by name; qwen2 has biases and an output matrix of its own."""
    rng = np.random.default_rng(seed)
    n_vocab = len(vocabulary()[0])
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (n_vocab, DIM), "output_norm.weight": (DIM,)}
    if architecture == "qwen2":
        shapes["output.weight"] = (n_vocab, DIM)
    for layer in range(N_LAYERS):
        blk = f"blk.{layer}."
        q_dim, kv_dim = N_HEADS * HEAD_DIM, N_KV_HEADS * HEAD_DIM
        shapes |= {blk + "attn_norm.weight": (DIM,), blk + "ffn_norm.weight": (DIM,)}
        shapes |= {blk + "attn_q.weight": (q_dim, DIM), blk + "attn_output.weight": (DIM, q_dim)}
        shapes |= {blk + "attn_k.weight": (kv_dim, DIM), blk + "attn_v.weight": (kv_dim, DIM)}
        shapes |= {blk + "ffn_gate.weight": (HIDDEN_DIM, DIM), blk + "ffn_up.weight": (HIDDEN_DIM, DIM)}
        shapes[blk + "ffn_down.weight"] = (DIM, HIDDEN_DIM)
        if architecture == "qwen2":
            shapes |= {blk + "attn_q.bias": (q_dim,), blk + "attn_k.bias": (kv_dim,)}
            shapes[blk + "attn_v.bias"] = (kv_dim,)
    return {name: (0.1 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}


def metadata(architecture: str) -> dict[str, Any]:
    """The header values that a reader needs; integers are written as uint32, floats as float32."""
    tokens, types = vocabulary()
    return {
        f"{architecture}.block_count": N_LAYERS,
        f"{architecture}.context_length": 256,
        f"{architecture}.embedding_length": DIM,
        f"{architecture}.feed_forward_length": HIDDEN_DIM,
        f"{architecture}.attention.head_count": N_HEADS,
        f"{architecture}.attention.head_count_kv": N_KV_HEADS,
        f"{architecture}.attention.layer_norm_rms_epsilon": 1e-5,
        f"{architecture}.rope.freq_base": 10000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [int(kind) for kind in types],
        "tokenizer.ggml.merges": list(MERGES),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }


def write_tiny_gguf(
    path: Path,
    architecture: str = "llama",
    *,
    changes: dict[str, Any] | None = None,
    tensor_changes: dict[str, np.ndarray | None] | None = None,
    quantize: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.Q8_0,
    endianess: gguf.GGUFEndian = gguf.GGUFEndian.LITTLE,
) -> Path:
    """Write the model to `path`, with header values or tensors changed; None leaves one out."""
    values = {**metadata(architecture), **(changes or {})}
    writer = gguf.GGUFWriter(path, values.pop("general.architecture", architecture), endianess=endianess)
    for key, value in values.items():
        if value is not None:
            _add(writer, key, value)
    for name, array in {**tensors(architecture), **(tensor_changes or {})}.items():
        if array is None:
            continue
        if array.ndim >= 2 and name.endswith("weight") and "token" not in name and "gate_inp" not in name:
            writer.add_tensor(name, gguf.quants.quantize(array, quantize), raw_dtype=quantize)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_with_type(path: Path, qtype: int) -> Path:
    """Write the model to `path`, and then another type number into the entry of blk.0.ffn_up.weight.

    Its bytes stay those of Q8_0, 68 for a row of 64: enough for any type that takes fewer.
    """
    content = bytearray(write_tiny_gguf(path).read_bytes())
    entry = b"blk.0.ffn_up.weight" + struct.pack("<IQQ", 2, DIM, HIDDEN_DIM)
    struct.pack_into("<I", content, content.index(entry) + len(entry), qtype)
    path.write_bytes(content)
    return path


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        (writer.add_uint32 if value < 1 << 32 else writer.add_uint64)(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)
