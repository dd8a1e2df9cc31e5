"""Layers with a sliding window: what they read, hold and compute, against counts by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.wse_backend.wafer.test_shapes import HEADER, write_header
from wse_backend.errors import DoesNotFit, InvalidParams
from wse_backend.wafer import gpu
from wse_backend.wafer.placement import place
from wse_backend.wafer.shapes import PRESETS, ModelShape, from_gguf
from wse_backend.wafer.spec import WSE2, WSE3, WaferSpec
from wse_backend.wafer.timing import decode, decode_seconds, prefill_seconds
from wse_backend.wafer.timing.counts import decode_counts, prefill_counts
from wse_backend.wafer.timing.interval import extrapolations
from wse_backend.wafer.timing.ops import Mesh, OpCount

# 4 heads of 2 over dim 8, 2 key-value heads, FFN 12; the first of two layers sees 4 tokens
TINY = ModelShape("tiny", 2, 8, 4, 2, 2, 12, 20, 64, window=4, global_every=2)
LOCAL, GLOBAL = (TINY.kind_of(layer) for layer in (0, 1))
MESH = Mesh.of(WSE2, 4, 4)
SMALL_WAFER = WaferSpec("small", 8, 8, 1, 1e9, 4, 1024, 1e12, 1e12)


def named(ops: list[OpCount]) -> dict[str, OpCount]:
    return {op.name: op for op in ops}


def test_decode_reads_no_more_than_the_window_by_hand() -> None:
    near, far = (named(decode_counts(kind, MESH, 9)) for kind in (LOCAL, GLOBAL))
    # 4 of 9 cached tokens over 4 rows: 1 in a PE, padded to 2; all 9: 3, padded to 4. Queries: 2 in a PE
    assert (near["scores"].macs, far["scores"].macs) == (2 * 2, 2 * 4)
    assert (near["scores"].elements, far["scores"].elements) == (1, 3)
    assert (near["context"].macs, far["context"].macs) == (1 * 2, 3 * 2)
    assert {name for name in near if near[name] != far[name]} == {"scores", "context"}


def test_prefill_computes_a_band_of_the_scores_by_hand() -> None:
    near, far = (named(prefill_counts(kind, MESH, tokens=16)) for kind in (LOCAL, GLOBAL))
    # 16 tokens: 4 in a row of PEs, which see 4 + 4 keys, 2 in a PE; without a window 16 keys, 4 in a PE
    assert (near["scores"].macs, far["scores"].macs) == (4 * 4 * 2 * 2, 4 * 4 * 2 * 4)
    assert near["scores"].steps == far["scores"].steps == 4
    assert {name for name in near if near[name] != far[name]} == {"scores", "softmax", "context"}


@pytest.mark.parametrize("context", [1, 3, 4])
def test_context_inside_the_window_is_full_attention(context: int) -> None:
    whole = replace(TINY, window=0, global_every=0)
    for layer in (0, 1):
        assert decode_counts(TINY.kind_of(layer), MESH, context) == decode_counts(whole, MESH, context)


def test_windows_of_the_presets_are_where_their_configurations_say() -> None:
    # layer_types of the models' config.json; Llama 4: attention_chunk_size, every fourth layer without RoPE
    def windows(name: str, n: int) -> list[int]:
        return [PRESETS[name].kind_of(layer).window for layer in range(n)]

    assert windows("gpt-oss-120b", 4) == [128, 0, 128, 0]
    assert windows("gemma-4-31b", 7) == [1024] * 5 + [0, 1024]
    assert windows("llama-4-scout", 5) == [8192] * 3 + [0, 8192]
    assert sum(n for kind, n in PRESETS["gemma-4-31b"].kinds if not kind.window) == 10
    wide = PRESETS["gemma-4-31b"].kind_of(5)
    assert (wide.n_kv_heads, wide.head_dim, wide.q_dim) == (4, 512, 16384)


def test_gemma_4_has_the_published_number_of_weights() -> None:
    # 30.7 billion on its card; its wide layers' keys are their values, which are counted twice here
    assert PRESETS["gemma-4-31b"].params / 1e9 == pytest.approx(30.7, rel=0.005)


def test_cache_of_gpt_oss_is_half_windows_by_hand() -> None:
    shape = PRESETS["gpt-oss-120b"]
    # 18 layers of 128 tokens and 18 of all, 8 heads of 64 for keys and for values, 2 bytes
    assert shape.cache_bytes(4096) == 18 * (128 + 4096) * 2 * 512 * 2
    assert shape.cache_bytes(100) == 36 * 100 * 2 * 512 * 2
    assert shape.kv_bytes_per_token == 36 * 2 * 512 * 2


def test_region_holds_the_window_and_no_more_by_hand() -> None:
    near, far = place(TINY, SMALL_WAFER, context=9, grid=(4, 4)).layer_regions
    # keys and values of 4 and of 9 tokens over 4 rows: 1 and 3 in a PE, 1 value each, 2 bytes
    assert (near.kv_bytes, far.kv_bytes) == (1 * 2 * 2, 3 * 2 * 2)
    assert far.buffer_bytes - near.buffer_bytes == (3 - 1) * 4


def test_longest_context_with_windows_fits_and_one_row_more_does_not() -> None:
    shape = replace(PRESETS["llama3-8b"], window=1024, global_every=4)
    for kv, step in (("shift", 360), ("concat", 1)):
        longest = place(shape, WSE2, 1, 1, (360, 360), kv).max_context
        assert longest > 2 * place("llama3-8b", WSE2, 1, 1, (360, 360), kv).max_context or kv == "concat"
        assert place(shape, WSE2, longest, 1, (360, 360), kv).bytes_per_pe <= WSE2.sram_bytes_per_pe
        with pytest.raises(DoesNotFit):
            place(shape, WSE2, longest + step, 1, (360, 360), kv)


def test_more_streams_fit_where_windows_drop_what_they_no_longer_see() -> None:
    shape, whole = PRESETS["gpt-oss-120b"], replace(PRESETS["gpt-oss-120b"], window=0, global_every=0)
    held = [place(model, WSE3, 65_536, 6).held(65_536) for model in (shape, whole)]
    assert held[0] > held[1]


@pytest.mark.parametrize("name", ["gpt-oss-120b", "gemma-4-31b", "llama-4-maverick"])
@pytest.mark.parametrize("context", [4096, 65_536])
def test_windows_never_need_more_wafers(name: str, context: int) -> None:
    whole = replace(PRESETS[name], window=0, global_every=0)
    if name == "gemma-4-31b":  # its wide layers are smaller in the cache, and all others are not
        whole = replace(whole, global_n_kv_heads=0, global_head_dim=0)
    assert place(name, WSE3, context).wafers <= place(whole, WSE3, context).wafers


def test_windowed_layers_are_faster_only_beyond_their_window() -> None:
    shape = PRESETS["gpt-oss-120b"]
    layers = decode(shape, WSE3, (420, 420), 65_536).layers
    assert layers[0].seconds < layers[1].seconds
    near = decode(shape, WSE3, (420, 420), 128).layers
    assert near[0].seconds == near[1].seconds


def test_context_beyond_every_window_costs_nothing_more() -> None:
    shape = replace(PRESETS["llama3-8b"], window=1024)
    contexts = np.array([1024, 4096, 1_000_000])
    times = decode_seconds(shape, WSE2, 420, contexts)
    assert times[0] == times[1] == times[2]
    whole = prefill_seconds(PRESETS["llama3-8b"], WSE2, 420, 65_536)
    assert prefill_seconds(shape, WSE2, 420, 65_536) < whole


def test_gpu_reads_and_scores_only_the_window() -> None:
    shape = PRESETS["gpt-oss-120b"]
    near, far = (gpu.decode_seconds(shape, gpu.H100, 8, context) for context in (4096, 8192))
    # 18 layers read 4,096 tokens more, the others none
    more = 18 * 4096 * 2 * 512 * 2
    assert far - near == pytest.approx(more / (8 * 3.35e12 * gpu.DECODE_EFFICIENCY))
    whole = replace(shape, window=0, global_every=0)
    assert gpu.prefill_seconds(shape, gpu.H100, 8, 65_536) < gpu.prefill_seconds(whole, gpu.H100, 8, 65_536)


def test_header_of_a_known_architecture_gives_its_windows(tmp_path: Path) -> None:
    # Gemma 3: of six layers five have the header's window (arXiv 2503.19786); a llama's window is not used
    header = HEADER | {"block_count": 7, "attention.sliding_window": 512}
    gemma = from_gguf(write_header(tmp_path / "gemma.gguf", "gemma3", header))
    assert [gemma.kind_of(layer).window for layer in range(7)] == [512] * 5 + [0, 512]
    llama = from_gguf(write_header(tmp_path / "llama.gguf", "llama", header))
    assert llama.window == 0


@pytest.mark.parametrize(
    "change", [{"window": -1}, {"window": 1.5}, {"global_every": -2}, {"global_n_kv_heads": 3}], ids=str
)
def test_window_that_is_none_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(InvalidParams, match=next(iter(change))):
        replace(TINY, **change)  # type: ignore[arg-type]


def test_window_is_named_as_an_extrapolation() -> None:
    assert "no sliding window was measured" in extrapolations(PRESETS["gpt-oss-120b"], WSE2, 4096)
    assert extrapolations(PRESETS["llama3-8b"], WSE2, 4096) == ()
