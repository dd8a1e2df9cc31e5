"""Counts of the critical PE's work, against meshes small enough to count by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wse_backend.wafer.shapes import PRESETS, ModelShape
from wse_backend.wafer.spec import WSE2
from wse_backend.wafer.timing.counts import decode_counts, gemv_counts, head_counts, prefill_counts
from wse_backend.wafer.timing.ops import COUNTS, Mesh, OpCount, tiles

# 4 heads of 2 over dim 8, 2 key-value heads, FFN 12, vocabulary 20, one layer
TINY = ModelShape("tiny", 1, 8, 4, 2, 2, 12, 20, 64)
MESH = Mesh.of(WSE2, 4, 4)


def named(ops: list[OpCount]) -> dict[str, OpCount]:
    return {op.name: op for op in ops}


def test_tile_is_what_the_fullest_pe_holds() -> None:
    # 10 elements over 4 PEs: 3, 3, 3, 1
    assert tiles(10, np.array(4)) == 3
    assert tiles(np.array([1, 4, 5]), np.array(4)).tolist() == [1, 1, 2]


def test_gemv_of_6_by_10_on_4_by_4() -> None:
    op = gemv_counts(6, 10, MESH)
    # rows of the matrix: 2 per PE; columns: 3 per PE, padded to 4 in 32-bit words
    assert (op.macs, op.dispatches) == (2 * 4, 2)
    # an allreduce over 4 PEs: 2 to the root and 2 back; 2 groups of 2, so sqrt(4) = 2 stages
    assert (op.hops, op.stages) == (4, 2)
    assert (op.elements, op.locals, op.steps, op.moves) == (0, 0, 0, 0)


def test_decode_layer_counted_by_hand() -> None:
    ops = named(decode_counts(TINY, MESH, context=9))
    # dim 8: tiles of 2; K and V have 4 columns: tiles of 1, padded to 2; context 9: tiles of 3, padded to 4
    assert ops["qkv"].macs == 2 * (2 + 2 + 2)
    assert ops["qkv"].dispatches == 3 * 2
    assert ops["qkv"].elements == 2 + 1 + 1
    assert (ops["scores"].macs, ops["scores"].elements) == (2 * 4, 3)
    assert (ops["context"].macs, ops["context"].dispatches, ops["context"].elements) == (3 * 2, 3, 2)
    assert (ops["output"].macs, ops["output"].elements) == (2 * 2, 2)
    # FFN 12: tiles of 3, padded to 4
    assert (ops["gate and up"].macs, ops["gate and up"].elements) == (2 * 2 * 4, 6)
    assert (ops["down"].macs, ops["down"].dispatches, ops["down"].elements) == (3 * 2, 3, 2)


def test_decode_layer_has_ten_allreduces_and_seven_local_operations() -> None:
    ops = decode_counts(TINY, MESH, 9)
    assert sum(float(op.hops) for op in ops) == 10 * 4
    assert sum(float(op.stages) for op in ops) == 10 * 2
    assert sum(float(op.locals) for op in ops) == 7


def test_prefill_layer_counted_by_hand() -> None:
    ops = named(prefill_counts(TINY, MESH, tokens=6, wide_kv=False))
    # 6 tokens: tiles of 2. A product takes 4 steps; in each 2 x k x n multiply-accumulates.
    assert ops["qkv"].macs == 4 * 2 * 2 * (2 + 1 + 1)
    assert ops["qkv"].dispatches == 4 * 2 * (2 + 1 + 1)
    assert ops["qkv"].moves == 3 * 4 * 2 * 2  # three products, four steps, a left tile of 2 x 2
    assert (ops["scores"].macs, ops["context"].macs) == (4 * 2 * 2 * 2, 4 * 2 * 2 * 2)
    assert (ops["down"].macs, ops["down"].dispatches) == (4 * 2 * 3 * 2, 4 * 3 * 2)


def test_reference_prefill_projects_k_and_v_as_wide_as_q() -> None:
    ops = named(prefill_counts(TINY, MESH, tokens=6))
    grouped = named(prefill_counts(TINY, MESH, tokens=6, wide_kv=False))
    assert ops["qkv"].macs == 4 * 2 * 2 * (2 + 2 + 2)  # Q, K and V: dim 8 in tiles of 2
    assert {name for name in ops if ops[name] != grouped[name]} == {"qkv", "rope"}


def test_prefill_layer_has_nine_products_of_p_steps() -> None:
    ops = prefill_counts(TINY, MESH, 6)
    assert sum(float(op.steps) for op in ops) == 9 * 4
    shifts = sum(float(op.hops) for op in ops if float(op.steps))
    assert shifts == 2 * 9 * 4


def test_cached_prefix_only_widens_the_attention() -> None:
    plain, behind = named(prefill_counts(TINY, MESH, 6)), named(prefill_counts(TINY, MESH, 6, cached=10))
    changed = {name for name in plain if plain[name] != behind[name]}
    assert changed == {"scores", "softmax", "context"}
    assert behind["scores"].macs == 4 * 2 * 2 * 4  # 16 keys: tiles of 4


def test_both_phases_name_the_same_operations() -> None:
    for shape in (TINY, PRESETS["gpt-oss-120b"], PRESETS["llama-4-scout"]):
        names = [op.name for op in decode_counts(shape, MESH, 9)]
        assert [op.name for op in prefill_counts(shape, MESH, 9)] == names


def test_head_is_a_norm_and_one_gemv() -> None:
    norm, logits = head_counts(TINY, MESH)
    assert (norm.locals, norm.hops) == (1, 4)
    assert (logits.macs, logits.dispatches, logits.hops) == (2 * 6, 2, 4)  # vocabulary 20: tiles of 5, padded


def test_one_expert_of_one_is_the_dense_ffn_and_a_router() -> None:
    expert = replace(TINY, n_experts=1, n_experts_active=1)
    for counted in (decode_counts, prefill_counts):
        dense, routed = named(counted(TINY, MESH, 9)), named(counted(expert, MESH, 9))
        assert set(routed) - set(dense) == {"router"}
        assert all(routed[name] == dense[name] for name in dense)


def test_two_of_four_experts_work_twice_as_much_as_one() -> None:
    one, two = (replace(TINY, n_experts=4, n_experts_active=active) for active in (1, 2))
    single, double = (named(decode_counts(shape, MESH, 9))["gate and up"] for shape in (one, two))
    assert double.macs == 2 * single.macs
    assert double.hops == single.hops


def test_shared_expert_adds_to_the_routed_ones() -> None:
    routed = replace(TINY, n_experts=4, n_experts_active=1)
    both = replace(routed, shared_hidden_dim=12)
    without, with_shared = (named(decode_counts(shape, MESH, 9))["down"] for shape in (routed, both))
    assert with_shared.macs == 2 * without.macs
    assert with_shared.stages == without.stages


def test_batch_multiplies_arithmetic_but_no_distance() -> None:
    alone, eight = (named(decode_counts(TINY, MESH, 9, batch)) for batch in (1, 8))
    assert all(eight[name].macs == 8 * alone[name].macs for name in alone)
    assert all(eight[name].hops == alone[name].hops for name in alone)


def test_array_of_grids_equals_each_grid_alone() -> None:
    sides = np.array([3, 4, 7])
    together = decode_counts(TINY, Mesh.of(WSE2, sides, sides), 9)
    for index, side in enumerate(sides):
        alone = decode_counts(TINY, Mesh.of(WSE2, side, side), 9)
        for many, one in zip(together, alone, strict=True):
            values = [np.broadcast_to(getattr(many, name), 3)[index] for name in COUNTS]
            assert values == pytest.approx([float(getattr(one, name)) for name in COUNTS])


@settings(deadline=None)
@given(
    side=st.integers(1, 60),
    dim=st.integers(1, 40),
    hidden=st.integers(1, 300),
    context=st.integers(1, 3000),
    kv_heads=st.sampled_from([1, 2, 4]),
)
def test_all_pes_together_do_at_least_the_models_arithmetic(
    side: int, dim: int, hidden: int, context: int, kv_heads: int
) -> None:
    shape = ModelShape("any", 1, dim, 4, kv_heads, 8, hidden, 100, 64)
    ops = decode_counts(shape, Mesh.of(WSE2, side, side), context)
    needed = shape.attention_params + shape.ffn_params + 2 * shape.q_dim * context
    assert sum(float(op.macs) for op in ops) * side**2 >= needed
