"""GPU rooflines: the constants are what the measured A100 rows say, and the roofline behaves like one."""

from __future__ import annotations

from pathlib import Path

import pytest

from wse_backend.errors import InvalidParams
from wse_backend.wafer.gpu import (
    A100,
    DECODE_EFFICIENCY,
    GPUS,
    H100,
    SGLANG_A100,
    GpuSpec,
    decode_seconds,
    held_streams,
    needed_gpus,
    prefill_seconds,
)
from wse_backend.wafer.shapes import PRESETS

DECODE = [row for row in SGLANG_A100 if row.phase == "decode"]
PREFILL = [row for row in SGLANG_A100 if row.phase == "prefill"]


@pytest.mark.parametrize("row", DECODE, ids=lambda row: f"{row.model}-{row.gpus}")
def test_decode_meets_the_measured_rows(row: object) -> None:
    # One efficiency and one synchronisation for three rows: within 5 %.
    assert 1 / decode_seconds(row.model, A100, row.gpus) == pytest.approx(row.value, rel=0.05)  # type: ignore[attr-defined]


@pytest.mark.parametrize("row", PREFILL, ids=lambda row: f"{row.model}-{row.gpus}")
def test_prefill_meets_the_measured_rows(row: object) -> None:
    assert 4096 / prefill_seconds(row.model, A100, row.gpus) == pytest.approx(row.value, rel=0.01)  # type: ignore[attr-defined]


def test_efficiency_is_the_share_of_bandwidth_of_the_single_gpu_row() -> None:
    shape = PRESETS["llama3-8b"]
    moved = 2 * shape.active_params + 4096 * shape.kv_bytes_per_token
    assert 78.9 * moved / 2.04e12 == pytest.approx(DECODE_EFFICIENCY, rel=0.01)


def test_faster_memory_decodes_faster_by_its_ratio() -> None:
    ratio = decode_seconds("llama3-8b", A100) / decode_seconds("llama3-8b", H100)
    assert ratio == pytest.approx(3.35 / 2.04)


def test_batch_reads_the_weights_once() -> None:
    alone, many = decode_seconds("llama3-8b", H100), decode_seconds("llama3-8b", H100, streams=8)
    cache = 7 * 4096 * 131072 / (3.35e12 * DECODE_EFFICIENCY)
    assert many - alone == pytest.approx(cache)


def test_experts_of_a_batch_are_read_at_most_once() -> None:
    shape = PRESETS["gpt-oss-120b"]
    every = decode_seconds(shape, H100, streams=64, context=1)
    once = 2 * (shape.params - shape.vocab_size * shape.dim) / (3.35e12 * DECODE_EFFICIENCY)
    assert every == pytest.approx(once, rel=0.03)


def test_number_of_gpus_follows_from_memory() -> None:
    # 145 GB of weights: two GPUs of 72 usable GB are just too few, with 1.3 GB of cache
    assert needed_gpus("qwen2-72b", A100) == 3
    assert needed_gpus("llama3-8b", A100) == 1


def test_prefix_costs_only_its_attention() -> None:
    shape = PRESETS["llama3-8b"]
    behind = prefill_seconds(shape, A100, tokens=2048, cached=2048)
    alone, whole = prefill_seconds(shape, A100, tokens=2048), prefill_seconds(shape, A100, tokens=4096)
    assert alone < behind < whole


@pytest.mark.parametrize("change", [{"gpus": 0}, {"context": 0}, {"streams": 0}], ids=str)
def test_bad_input_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(InvalidParams, match="is 0; allowed: a whole number from 1"):
        decode_seconds("llama3-8b", A100, **change)


def test_reference_rows_are_those_of_the_data_file() -> None:
    path = Path(__file__).resolve().parents[3] / "bench" / "data" / "gpu_reference.csv"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    listed = [",".join(str(part) for part in row.__dict__.values()) for row in SGLANG_A100]
    assert lines[1:] == listed


def test_streams_fill_the_memory_that_the_weights_leave() -> None:
    # 0.9 x 8 x 80 GB - 16.06 GB over 4,096 tokens of 131,072 bytes
    shape = PRESETS["llama3-8b"]
    assert held_streams(shape, H100, 8, 4096) == int((576e9 - 2 * shape.params) // (4096 * 131072))


@pytest.mark.parametrize("spec", GPUS, ids=lambda spec: spec.name)
def test_every_gpu_decodes_faster_when_a_matrix_is_cut_among_more(spec: GpuSpec) -> None:
    times = [decode_seconds("llama3.1-70b", spec, gpus) for gpus in (2, 4, 8)]
    assert times[0] > times[1] > times[2]


def test_dense_layers_of_a_mixture_have_no_experts_to_read() -> None:
    shape = PRESETS["llama-4-maverick"]
    alone, both = (decode_seconds(shape, H100, streams=n, context=1) for n in (1, 2))
    # a second stream reads one expert more in each of the 24 layers that have some, and its cache
    more = 24 * 3 * 5120 * 8192 * 2 + shape.kv_bytes_per_token
    assert both - alone == pytest.approx(more / (3.35e12 * DECODE_EFFICIENCY))
