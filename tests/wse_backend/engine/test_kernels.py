"""Kernels against their numpy twins: the gguf library's dequantization and plain matrix products."""

import ctypes

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numba import cfunc, types

from wse_backend.engine.kernels import activations, arguments
from wse_backend.engine.kernels.attention import attention_scratch_floats, compile_attention
from wse_backend.engine.kernels.formats import FORMATS, ROWS
from wse_backend.engine.kernels.forward import cache_name, compile_forward
from wse_backend.engine.kernels.matmul import compile_matmul, matmul_scratch_floats
from wse_backend.engine.kernels.regroup import compile_decode, compile_regroup

ALL = pytest.mark.parametrize("qtype", FORMATS, ids=[fmt.name for fmt in FORMATS.values()])
SCALES = {  # where a block has its float16s, for those that the gguf library does not quantize itself
    "Q2_K": (80, 84),
    "Q3_K": (108, 110),
    "Q4_K": (0, 4),
    "Q5_K": (0, 4),
    "Q6_K": (208, 210),
    "IQ4_NL": (0, 2),
    "IQ4_XS": (0, 2),
}


@cfunc(types.int64(*[types.int64] * 4))
def quantize_row(source, record, column, count):
    return activations.quantize(source, record, column, count)


def random_rows(qtype: int, n_rows: int, n_cols: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of blocks whose every bit is drawn, but for scales, which stay finite."""
    fmt = FORMATS[qtype]
    if fmt.is_float:
        stored = np.float32 if fmt.name == "F32" else np.float16
        return rng.standard_normal((n_rows, n_cols)).astype(stored).view(np.uint8)
    if fmt.name in SCALES:
        blocks = rng.integers(0, 256, (n_rows, n_cols // fmt.values, fmt.size_bytes), np.uint8)
        start, stop = SCALES[fmt.name]
        scales = rng.standard_normal((*blocks.shape[:2], (stop - start) // 2)).astype(np.float16)
        blocks[..., start:stop] = scales.view(np.uint8)
        return blocks.reshape(n_rows, -1)
    if fmt.name == "MXFP4":  # exponents whose powers of two are float16s
        blocks = rng.integers(0, 256, (n_rows, n_cols // fmt.values, fmt.size_bytes), np.uint8)
        blocks[..., 0] = rng.integers(104, 143, blocks.shape[:2])
        return blocks.reshape(n_rows, -1)
    return quantize(rng.standard_normal((n_rows, n_cols)).astype(np.float32), GGMLQuantizationType(qtype))


def twin(qtype: int, raw: np.ndarray) -> np.ndarray:
    if qtype < 2:
        return raw.view(np.float32 if qtype == 0 else np.float16).astype(np.float32)
    return dequantize(raw, GGMLQuantizationType(qtype))


def records(x: np.ndarray) -> np.ndarray:
    """Each row of `x` as the integers that the kernels multiply."""
    n_rows, n_cols = x.shape
    padded = np.zeros((n_rows, -(-n_cols // 32) * 32), np.float32)
    padded[:, :n_cols] = x
    out = np.zeros((n_rows, activations.record_bytes(n_cols)), np.uint8)
    for row in range(n_rows):
        quantize_row.ctypes(padded[row].ctypes.data, out[row].ctypes.data, 0, n_cols)
    return out


def regroup(qtype: int, raw: np.ndarray, n_cols: int) -> tuple[np.ndarray, int]:
    """Regrouped weights (groups, bytes), and how many scales are not finite."""
    n_blocks = n_cols // FORMATS[qtype].values
    out = np.zeros((-(-len(raw) // ROWS), n_blocks * FORMATS[qtype].group_block_bytes), np.uint8)
    n_bad = compile_regroup(qtype).ctypes(
        raw.ctypes.data, raw.strides[0], 0, len(raw), n_blocks, out.ctypes.data, out.strides[0]
    )
    return out, n_bad


def multiply(qtype: int, raw: np.ndarray, n_cols: int, x: np.ndarray) -> np.ndarray:
    """x . w for every row; a column of sevens behind the result must still be there afterwards."""
    weights, _ = regroup(qtype, raw, n_cols)
    inputs = x if FORMATS[qtype].is_float else records(x)
    out = np.full((len(x), len(raw) + 1), 7, np.float32)
    scratch = np.empty(matmul_scratch_floats(), np.float32)
    compile_matmul(qtype).ctypes(
        weights.ctypes.data, weights.strides[0], n_cols // FORMATS[qtype].values, 0, len(raw),
        inputs.ctypes.data, inputs.strides[0], len(x), out.ctypes.data, out.strides[0], scratch.ctypes.data,
    )  # fmt: skip
    assert (out[:, -1] == 7).all()
    return out[:, :-1]


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
    weights, exact_x = np.abs(twin(qtype, raw).astype(np.float64)), x.astype(np.float64)
    # An activation moves by half a step, 1/65,024 of its block's largest; float32 sums of n terms err by at
    # most n eps times the sum of their sizes (Higham 2002, 3.5), over units of 32 here.
    steps = np.abs(exact_x).reshape(9, -1, 32).max(axis=2).repeat(32, axis=1) / 65_024
    sizes = np.abs(exact_x) if FORMATS[qtype].is_float else np.abs(exact_x) + 8 * np.abs(exact_x).max()
    bound = steps @ weights.T + n_cols * np.finfo(np.float32).eps * (sizes @ weights.T)
    found = multiply(qtype, raw, n_cols, x)
    assert (np.abs(found - exact_x @ twin(qtype, raw).astype(np.float64).T) <= bound).all()


@settings(max_examples=25, deadline=None)
@given(
    n_cols=st.integers(1, 200), n_rows=st.integers(1, 40), n=st.integers(1, 9), qtype=st.sampled_from([0, 1])
)
def test_float_matrices_of_any_shape_keep_every_column(n_cols: int, n_rows: int, n: int, qtype: int) -> None:
    rng = np.random.default_rng(n_cols)
    raw = np.ascontiguousarray(random_rows(qtype, n_rows, n_cols, rng))
    x = rng.standard_normal((n, n_cols)).astype(np.float32)
    exact = x.astype(np.float64) @ twin(qtype, raw).astype(np.float64).T
    np.testing.assert_allclose(multiply(qtype, raw, n_cols, x), exact, rtol=1e-5, atol=1e-4)


@ALL
@pytest.mark.parametrize("n_cols", [256, 2304])
def test_a_row_has_the_same_bits_in_every_batch(qtype: int, n_cols: int) -> None:
    rng = np.random.default_rng(200 + qtype)
    raw = np.ascontiguousarray(random_rows(qtype, 37, n_cols, rng))
    x = rng.standard_normal((40, n_cols)).astype(np.float32)
    together = multiply(qtype, raw, n_cols, x)
    for n in (1, 2, 3, 4, 5, 8, 15, 16, 17, 33):
        np.testing.assert_array_equal(
            multiply(qtype, raw, n_cols, x[:n]), together[:n], err_msg=f"batch of {n}"
        )


@ALL
def test_regrouping_counts_scales_that_are_no_numbers(qtype: int) -> None:
    raw = np.ascontiguousarray(random_rows(qtype, 20, 256, np.random.default_rng(3)))
    if FORMATS[qtype].name == "MXFP4":
        pytest.skip("its exponents stand for numbers, all of them")
    at = SCALES.get(FORMATS[qtype].name, (0, 0))[0]
    stored = np.float32 if FORMATS[qtype].name == "F32" else np.float16
    width = np.dtype(stored).itemsize
    for row, value in ((4, np.nan), (18, np.inf), (19, -np.inf)):
        raw[row, at : at + width] = np.array([value], stored).view(np.uint8)
    assert regroup(qtype, raw, 256)[1] == 3


@given(arrays(np.float32, 64, elements=st.floats(-1e6, 1e6, width=32)))
def test_activations_move_by_half_a_step_of_their_block_at_most(x: np.ndarray) -> None:
    record = records(x[None])[0]
    for block in range(2):
        part = record[80 * block : 80 * block + 80]
        scale, scaled_sum = part[64:72].view(np.float32).astype(np.float64)
        minus_sum, minus_first = part[72:80].view(np.int32)
        if activations.HAS_BYTE_DOT:
            q = part[:32].view(np.int8).astype(int) * 256 + part[32:64].view(np.int8)
        else:
            q = part[:64].view(np.int16).astype(int).reshape(8, 4)[:, [0, 2, 1, 3]].ravel()
        exact = x[32 * block : 32 * block + 32].astype(np.float64)
        assert (np.abs(q * scale - exact) <= np.abs(exact).max() / 65_024 * 1.001 + 1e-30).all()
        assert (minus_sum, minus_first) == (-q.sum(), -q[:16].sum())
        assert scaled_sum == pytest.approx(scale * q.sum(), rel=1e-6)
        assert np.abs(q).max() <= 32_512


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_activations_that_are_no_numbers_are_noticed(value: float) -> None:
    x = np.ones(96, np.float32)
    x[70] = value
    record = np.zeros(activations.record_bytes(96), np.uint8)
    assert quantize_row.ctypes(x.ctypes.data, record.ctypes.data, 0, 96) >= activations.NOT_FINITE
    assert quantize_row.ctypes(x.ctypes.data, record.ctypes.data, 0, 64) < activations.NOT_FINITE


@pytest.mark.parametrize(
    ("group", "head_dim", "n_positions", "key_type", "skip", "cap", "has_sinks"),
    [
        (1, 32, 1, np.float16, 0, 0.0, False),
        (3, 64, 16, np.float32, 0, 0.0, False),
        (7, 64, 17, np.float16, 0, 0.0, False),
        (6, 128, 75, np.float32, 0, 0.0, False),
        (3, 64, 33, np.float16, 15, 0.0, False),
        (2, 32, 40, np.float16, 3, 1.5, False),
        (8, 64, 20, np.float16, 0, 0.0, True),
    ],
)
def test_attention_agrees_with_the_textbook(
    group: int, head_dim: int, n_positions: int, key_type: type, skip: int, cap: float, has_sinks: bool
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
    extras = np.append(cap, rng.standard_normal(group)).astype(np.float32)
    compile_attention(group, head_dim, np.dtype(key_type).itemsize, cap > 0, has_sinks).ctypes(
        q.ctypes.data, table.ctypes.data, skip, n_positions, keys_at, values_at, block.strides[0],
        extras.ctypes.data, scratch.ctypes.data, out.ctypes.data,
    )  # fmt: skip
    scores = q.astype(np.float64) @ k.T.astype(np.float64)
    if cap:
        scores = cap * np.tanh(scores / cap)
    scores[:, :skip] = -np.inf
    weights = np.exp(scores)
    sinks = np.exp(extras[1:].astype(np.float64)) if has_sinks else np.zeros(group)
    weights /= weights.sum(axis=1, keepdims=True) + sinks[:, None]
    expected = weights @ values.astype(np.float64)
    np.testing.assert_allclose(out, expected, rtol=2e-5, atol=2e-6)  # float32 sums of up to 128 terms


def test_the_kernels_are_plain_c_functions() -> None:
    # ctypes releases the GIL around them: threads of one pass must not wait for each other's Python.
    assert isinstance(compile_decode(8).ctypes, ctypes._CFuncPtr)


def test_machine_code_of_renamed_arguments_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # The disk cache's index mentions the classes by name; reading one that is gone would raise.
    before = cache_name()
    assert cache_name() == before == compile_forward().py_func.__qualname__
    monkeypatch.setattr(arguments, "Renamed", arguments.Model, raising=False)
    assert cache_name() != before
