"""Placements: bytes are conserved, regions tile the wafer, capacities meet the reference, refusals count."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wse_backend.errors import DoesNotFit, GridTooLarge, InvalidParams, WseError
from wse_backend.wafer.defects import DefectMap
from wse_backend.wafer.placement import Placement, place
from wse_backend.wafer.shapes import BYTES_PER_VALUE, PRESETS, ModelShape
from wse_backend.wafer.spec import WSE2, WSE3, WaferSpec
from wse_backend.wafer.sram import bands, layer_weight_bytes

# 4 heads of 2 over dim 8, 2 key-value heads, FFN 12: on 4 x 4 PEs tiles of 2, K and V of 1, FFN of 3
TINY = ModelShape("tiny", 2, 8, 4, 2, 2, 12, 20, 64)
SMALL_WAFER = WaferSpec("small", 8, 8, 1, 1e9, 4, 1024, 1e12, 1e12)


def held_bytes(placement: Placement) -> int:
    return sum(region.weight_bytes * region.pes for region in placement.regions)


def test_layer_of_a_tiny_model_by_hand() -> None:
    # Q 2x2, K and V 2x1, output 2x2, gate, up and down 2x3 each, two norms of 2: 34 values of 2 bytes
    assert layer_weight_bytes(TINY, (4, 4)) == (4 + 2 + 2 + 4 + 18 + 4) * 2


def test_region_counts_weights_cache_and_buffers_by_hand() -> None:
    placement = place(TINY, SMALL_WAFER, context=9, grid=(4, 4))
    region = placement.layer_regions[0]
    assert (region.layers, region.weight_bytes) == ((0,), 68)
    # 9 tokens over 4 rows: 3 in a PE, with 1 value of K and 1 of V, 2 bytes each
    assert region.kv_bytes == 3 * 2 * 2
    # 4 x dim 2, 2 x Q 2, 2 x KV 1, 3 x FFN 3, 2 bytes each; scores and exponentials of 3 tokens
    assert region.buffer_bytes == (8 + 4 + 2 + 9) * 2 + 3 * 4
    # what is free holds (1024 - 68 - 46) // (4 + 4) tokens in each of 4 rows
    assert placement.max_context == 4 * ((1024 - 68 - 46) // 8)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("spec", [WSE2, WSE3], ids=lambda spec: spec.name)
def test_all_weights_are_held_and_little_more(name: str, spec: WaferSpec) -> None:
    placement = place(name, spec)
    weights = placement.model.params * BYTES_PER_VALUE
    assert held_bytes(placement) >= 0.999 * weights
    # rounding up to whole tiles costs the more the smaller the tiles are: large models waste at most a fifth,
    # experts that are each spread over a whole region up to a half
    if weights > 10e9:
        assert held_bytes(placement) < (1.5 if placement.model.n_experts else 1.2) * weights
    assert placement.bytes_per_pe <= spec.sram_bytes_per_pe
    assert placement.max_context >= placement.context


@pytest.mark.parametrize("name", PRESETS)
def test_every_layer_lies_on_one_region_in_order(name: str) -> None:
    regions = place(name, WSE3).layer_regions
    assert [layer for region in regions for layer in region.layers] == list(range(PRESETS[name].n_layers))
    wafers = [region.wafer for region in regions]
    assert wafers == sorted(wafers)


@pytest.mark.parametrize("grid", [None, (360, 360)], ids=["layer", "stage"])
@pytest.mark.parametrize("name", ["smollm2-135m", "llama3-8b", "llama3.1-70b", "llama-4-scout"])
def test_regions_cover_each_wafer_without_overlap(name: str, grid: tuple[int, int] | None) -> None:
    placement = place(name, WSE2, grid=grid)
    for wafer in range(placement.wafers):
        covered = np.zeros((WSE2.rows, WSE2.columns), np.int64)
        for region in placement.regions:
            if region.wafer == wafer:
                covered[region.y : region.y + region.height, region.x : region.x + region.width] += 1
        assert covered.min() == covered.max() == 1


def test_neighbouring_layers_touch() -> None:
    regions = place("llama3-8b", WSE2).layer_regions
    for here, after in pairwise(regions):
        gap_x = max(here.x, after.x) - min(here.x + here.width, after.x + after.width)
        gap_y = max(here.y, after.y) - min(here.y + here.height, after.y + after.height)
        assert max(gap_x, gap_y) <= 0


def test_capacity_meets_the_reference_within_a_tenth() -> None:
    # Calibration rows: llama3-8b on 360 x 360 holds 137,548 tokens with shift, 382 with concat.
    shift = place("llama3-8b", WSE2, context=1, grid=(360, 360))
    concat = place("llama3-8b", WSE2, context=1, grid=(360, 360), kv="concat")
    assert shift.max_context == pytest.approx(137_548, rel=0.1)
    assert concat.max_context == pytest.approx(382, rel=0.1)


@pytest.mark.parametrize("rows", [100, 360, 500])
def test_shift_holds_as_many_times_more_as_there_are_rows(rows: int) -> None:
    capacity = {
        kv: place("smollm2-135m", WSE2, 1, grid=(200, rows), kv=kv).max_context for kv in ("shift", "concat")
    }
    assert capacity["shift"] == rows * capacity["concat"]


def test_max_context_fits_and_one_row_more_does_not() -> None:
    for kv, step in (("shift", 360), ("concat", 1)):
        longest = place("llama3-8b", WSE2, 1, 1, (360, 360), kv).max_context
        assert place("llama3-8b", WSE2, longest, 1, (360, 360), kv).bytes_per_pe <= WSE2.sram_bytes_per_pe
        with pytest.raises(DoesNotFit):
            place("llama3-8b", WSE2, longest + step, 1, (360, 360), kv)


def test_model_too_large_says_what_is_missing_and_what_would_do() -> None:
    with pytest.raises(DoesNotFit, match=r"bytes .* are missing; 4 would do") as caught:
        place("llama3.1-70b", WSE3, wafers=1)
    # 141 GB of weights on 44 GB: at least the difference is missing
    assert caught.value.missing_bytes >= 2 * 70.5e9 - WSE3.sram_bytes
    assert caught.value.missing_bytes < 1.1 * (2 * 70.5e9 - WSE3.sram_bytes)
    assert caught.value.wafers_needed == 4
    assert isinstance(caught.value, WseError)
    assert place("llama3.1-70b", WSE3, wafers=4).wafers == 4
    with pytest.raises(DoesNotFit):
        place("llama3.1-70b", WSE3, wafers=3)


@pytest.mark.parametrize("name", ["llama3-8b", "codellama-34b", "llama-4-scout", "llama3.1-405b"])
def test_fewest_wafers_are_found(name: str) -> None:
    needed = place(name, WSE2).wafers
    assert needed >= PRESETS[name].params * BYTES_PER_VALUE / WSE2.sram_bytes
    if needed > 1:
        with pytest.raises(DoesNotFit) as caught:
            place(name, WSE2, wafers=needed - 1)
        assert caught.value.wafers_needed == needed


def test_layer_that_no_wafer_holds_says_that_more_do_not_help() -> None:
    with pytest.raises(DoesNotFit, match="more wafers do not help") as caught:
        place("llama3-8b", WSE2, context=100_000_000)
    assert caught.value.wafers_needed is None
    assert caught.value.missing_bytes > 0


def test_more_wafers_hold_a_longer_context() -> None:
    capacities = [place("llama3.1-70b", WSE3, wafers=n).max_context for n in (4, 5, 8, 16)]
    assert capacities == sorted(capacities)


def test_more_wafers_than_layers_leave_some_empty() -> None:
    placement = place("smollm2-135m", WSE3, wafers=40)
    assert placement.wafers == 40
    assert {region.wafer for region in placement.regions} == set(range(30))


def test_shared_grid_holds_all_layers_of_a_wafer() -> None:
    placement = place("llama3-8b", WSE2, grid=(700, 700), mapping="shared")
    (region,) = placement.layer_regions
    assert region.layers == tuple(range(32))
    assert region.grid == (700, 700)


def test_reference_grid_is_too_small_for_all_layers_at_once() -> None:
    # 420 x 420 PEs have 8.7 GB; the reference timed its layers one after another.
    with pytest.raises(DoesNotFit) as caught:
        place("llama3-8b", WSE2, grid=(420, 420), mapping="shared", wafers=1)
    assert caught.value.wafers_needed == 2


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"context": 0}, "context is 0"),
        ({"wafers": 0}, "wafers is 0"),
        ({"kv": "ring"}, "shift, concat"),
        ({"mapping": "columns"}, "layer, stage, shared"),
        ({"mapping": "stage"}, "grid is None"),
        ({"mapping": "layer", "grid": (20, 20)}, "shared out evenly"),
        ({"shape": "llama9"}, "llama3-8b"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_bad_request_is_refused(change: dict[str, object], match: str) -> None:
    request: dict[str, object] = {"shape": "smollm2-135m", "spec": WSE2} | change
    with pytest.raises(InvalidParams, match=match):
        place(**request)  # type: ignore[arg-type]


def test_grid_larger_than_the_wafer_is_refused() -> None:
    with pytest.raises(GridTooLarge):
        place("smollm2-135m", WSE2, grid=(851, 10))


def test_unusable_wafer_is_refused() -> None:
    row_full = DefectMap(WSE2, np.arange(14), np.full(14, 3))
    with pytest.raises(InvalidParams, match=r"defects of wafer 0 is 14; allowed: at most 13"):
        place("smollm2-135m", WSE2, defects=[row_full])


@settings(deadline=None)
@given(
    columns=st.integers(1, 60),
    rows=st.integers(1, 60),
    sizes=st.lists(st.integers(1, 1000), min_size=1, max_size=40),
    count=st.integers(1, 40),
)
def test_bands_cut_a_rectangle_without_rest(columns: int, rows: int, sizes: list[int], count: int) -> None:
    n = len(sizes)
    regions = bands(columns, rows, sizes, min(n, count))
    covered = np.zeros((rows, columns), np.int64)
    for x, y, wide, high in regions:
        covered[y : y + high, x : x + wide] += 1
    assert len(regions) == n
    assert covered.min() == covered.max() == 1


def test_areas_go_with_sizes() -> None:
    small, large = bands(100, 100, [1, 3], 1)
    assert (small, large) == ((0, 0, 25, 100), (25, 0, 75, 100))


def test_dense_layers_of_a_mixture_get_less_of_the_wafer() -> None:
    regions = place("llama-4-maverick", WSE3, experts="blocks").layer_regions
    areas = [region.width * region.height for region in regions]
    for dense, experts in zip(areas[::2], areas[1::2], strict=True):
        assert dense < experts / 3


@settings(max_examples=40, deadline=None)
@given(
    layers=st.integers(1, 40),
    dim=st.integers(1, 3000),
    hidden=st.integers(1, 9000),
    vocab=st.integers(1, 100_000),
    context=st.integers(1, 20_000),
)
def test_a_placement_holds_its_model_and_context(
    layers: int, dim: int, hidden: int, vocab: int, context: int
) -> None:
    shape = ModelShape("any", layers, dim, 8, 4, 32, hidden, vocab, 64)
    placement = place(shape, WSE2, context)
    assert placement.bytes_per_pe <= WSE2.sram_bytes_per_pe
    assert placement.max_context >= context
    assert held_bytes(placement) >= shape.layer_params * layers * BYTES_PER_VALUE
