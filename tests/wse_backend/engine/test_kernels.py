"""Kernels against their numpy twins: the gguf library's dequantization and plain matrix products."""

import ctypes

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize

from wse_backend.engine.kernels.attention import attention_scratch_floats, compile_attention
from wse_backend.engine.kernels.blocks import FORMATS
from wse_backend.engine.kernels.matmul import compile_decode, compile_matmul, matmul_scratch_floats

ALL = pytest.mark.parametrize("qtype", FORMATS, ids=[fmt.name for fmt in FORMATS.values()])
K_QUANT_SCALES = {"Q4_K": (0, 4), "Q5_K": (0, 4), "Q6_K": (208, 210)}  # where a super-block has its float16s


def random_rows(qtype: int, n_rows: int, n_cols: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of blocks whose every bit is drawn, but for scales, which stay finite."""
    fmt = FORMATS[qtype]
    if fmt.name in ("F32", "F16"):
        stored = np.float32 if fmt.name == "F32" else np.float16
        return rng.standard_normal((n_rows, n_cols)).astype(stored).view(np.uint8)
    if fmt.name in K_QUANT_SCALES:
        blocks = rng.integers(0, 256, (n_rows, n_cols // fmt.values, fmt.size_bytes), np.uint8)
        start, stop = K_QUANT_SCALES[fmt.name]
        scales = rng.standard_normal((*blocks.shape[:2], (stop - start) // 2)).astype(np.float16)
        blocks[..., start:stop] = scales.view(np.uint8)
        return blocks.reshape(n_rows, -1)
    return quantize(rng.standard_normal((n_rows, n_cols)).astype(np.float32), GGMLQuantizationType(qtype))


def twin(qtype: int, raw: np.ndarray) -> np.ndarray:
    if qtype < 2:
        return raw.view(np.float32 if qtype == 0 else np.float16).astype(np.float32)
    return dequantize(raw, GGMLQuantizationType(qtype))


def multiply(qtype: int, raw: np.ndarray, n_cols: int, x: np.ndarray) -> np.ndarray:
    n_rows, out = len(raw), np.zeros((len(x), len(raw)), np.float32)
    scratch = np.empty(matmul_scratch_floats(n_cols), np.float32)
    compile_matmul(qtype).ctypes(
        raw.ctypes.data, raw.strides[0], n_cols // FORMATS[qtype].values, 0, n_rows,
        x.ctypes.data, x.strides[0], len(x), out.ctypes.data, out.strides[0], scratch.ctypes.data,
    )  # fmt: skip
    return out


@ALL
def test_blocks_decode_to_exactly_the_values_of_the_gguf_library(qtype: int) -> None:
    n_cols = 512 if FORMATS[qtype].values == 256 else 96
    raw = np.ascontiguousarray(random_rows(qtype, 40, n_cols, np.random.default_rng(qtype)))
    out = np.empty((40, n_cols), np.float32)
    for row in range(40):
        address = raw.ctypes.data + row * raw.strides[0]
        compile_decode(qtype).ctypes(address, n_cols // FORMATS[qtype].values, out[row].ctypes.data)
    np.testing.assert_array_equal(out, twin(qtype, raw))


@ALL
@pytest.mark.parametrize("n_rows", [1, 7, 37])
def test_products_agree_with_float64(qtype: int, n_rows: int) -> None:
    n_cols = 512 if FORMATS[qtype].values == 256 else 288
    rng = np.random.default_rng(100 + qtype)
    raw = np.ascontiguousarray(random_rows(qtype, n_rows, n_cols, rng))
    x = rng.standard_normal((9, n_cols)).astype(np.float32)
    weights = twin(qtype, raw).astype(np.float64)
    found = multiply(qtype, raw, n_cols, x)
    # a float32 sum of n terms errs by at most n eps times the sum of their sizes (Higham 2002, 3.5)
    bound = n_cols * np.finfo(np.float32).eps * (np.abs(x.astype(np.float64)) @ np.abs(weights).T)
    assert (np.abs(found - x @ weights.T) <= bound).all()


@ALL
@pytest.mark.parametrize("n_cols", [256, 2304])
def test_a_row_has_the_same_bits_in_every_batch(qtype: int, n_cols: int) -> None:
    """For a few tokens weights stay in registers, for more they pass through tiles; wide ones in segments."""
    rng = np.random.default_rng(200 + qtype)
    raw = np.ascontiguousarray(random_rows(qtype, 37, n_cols, rng))
    x = rng.standard_normal((40, n_cols)).astype(np.float32)
    together = multiply(qtype, raw, n_cols, x)
    for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 18, 32, 33):
        np.testing.assert_array_equal(
            multiply(qtype, raw, n_cols, x[:n]), together[:n], err_msg=f"batch of {n}"
        )


@pytest.mark.parametrize("key_type", [np.float16, np.float32])
@pytest.mark.parametrize(
    ("group", "head_dim", "n_positions"), [(1, 32, 1), (3, 64, 16), (7, 64, 17), (6, 128, 75)]
)
def test_attention_agrees_with_the_textbook(
    group: int, head_dim: int, n_positions: int, key_type: type
) -> None:
    rng = np.random.default_rng(n_positions)
    q = rng.standard_normal((group, head_dim)).astype(np.float32) / np.float32(np.sqrt(head_dim))
    n_blocks = -(-n_positions // 16)
    table = rng.permutation(n_blocks + 3)[: n_blocks + 1].astype(np.int32)  # scattered over a larger pool
    pool_k = np.full(
        (n_blocks + 3, head_dim, 16), np.nan, key_type
    )  # what no position has written is garbage
    pool_v = np.full((n_blocks + 3, 16, head_dim), np.nan, np.float16)
    k = rng.standard_normal((n_positions, head_dim)).astype(key_type)
    values = rng.standard_normal((n_positions, head_dim)).astype(np.float16)
    for p in range(n_positions):
        pool_k[table[p // 16], :, p % 16], pool_v[table[p // 16], p % 16] = k[p], values[p]
    # keys and values of one block lie side by side, as in the engine's cache
    block = np.concatenate([a.reshape(len(a), -1).view(np.uint8) for a in (pool_k, pool_v)], axis=1)
    block = np.ascontiguousarray(block)
    out, scratch = np.zeros_like(q), np.empty(attention_scratch_floats(group, n_positions), np.float32)
    keys_at = block.ctypes.data
    values_at = keys_at + pool_k[0].nbytes
    compile_attention(group, head_dim, np.dtype(key_type).itemsize).ctypes(
        q.ctypes.data, table.ctypes.data, n_positions, keys_at, values_at, block.strides[0],
        scratch.ctypes.data, out.ctypes.data,
    )  # fmt: skip
    scores = q.astype(np.float64) @ k.T.astype(np.float64)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = weights / weights.sum(axis=1, keepdims=True) @ values.astype(np.float64)
    np.testing.assert_allclose(out, expected, rtol=2e-5, atol=2e-6)  # float32 sums of up to 128 terms


def test_the_kernels_are_plain_c_functions() -> None:
    # ctypes releases the GIL around them: threads of one pass must not wait for each other's Python.
    assert isinstance(compile_decode(8).ctypes, ctypes._CFuncPtr)
