"""The block pool: no block has two owners by accident, nothing leaks, and equal prefixes share."""

import ctypes
import sys

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wse_backend.engine.kernels.attention import BLOCK_POSITIONS
from wse_backend.engine.kv_cache import BlockPool


def tokens_of(*blocks: int) -> list[int]:
    """A prompt whose n-th block of 16 tokens is named by a number, and one token more."""
    return [number for number in blocks for _ in range(BLOCK_POSITIONS)] + [99]


def fill(pool: BlockPool, prompt: list[int]) -> list[int]:
    """What the scheduler does with a prompt: match, allocate the rest, publish each whole block."""
    blocks = pool.match(prompt)
    first = len(blocks)
    for index in range(first, len(prompt) // BLOCK_POSITIONS):
        blocks.append(pool.allocate())
        pool.publish(blocks, index, prompt[index * BLOCK_POSITIONS : (index + 1) * BLOCK_POSITIONS])
    return blocks


def test_a_published_prefix_is_found_again_and_shared() -> None:
    pool = BlockPool(8, 64)
    first = fill(pool, tokens_of(1, 2, 3))
    second = fill(pool, tokens_of(1, 2, 4))
    assert second[:2] == first[:2]
    assert second[2] != first[2]
    assert pool.n_used == 4


def test_the_last_token_is_never_matched_because_its_logits_are_needed() -> None:
    pool = BlockPool(8, 64)
    prompt = tokens_of(1, 2)[:-1]
    pool.release(fill(pool, prompt))
    assert len(pool.match(prompt)) == 1


def test_released_blocks_are_dropped_the_deepest_and_longest_unused_first() -> None:
    pool = BlockPool(4, 64)
    old = fill(pool, tokens_of(1, 2))
    new = fill(pool, tokens_of(3, 4))
    pool.release(old)
    pool.release(new)
    pool.allocate()  # needs room: block 2 of the older prompt goes
    assert len(pool.match(tokens_of(1, 2))) == 1
    assert len(pool.match(tokens_of(3, 4))) == 2


def test_an_equal_block_computed_twice_is_kept_once() -> None:
    pool = BlockPool(8, 64)
    mine, theirs = [pool.allocate()], [pool.allocate()]
    pool.publish(mine, 0, tokens_of(1)[:16])
    pool.publish(theirs, 0, tokens_of(1)[:16])
    assert theirs == mine
    assert pool.n_used == 1


def test_clearing_forgets_what_nobody_uses() -> None:
    pool = BlockPool(4, 4096)
    pool.release(fill(pool, tokens_of(1, 2)))
    pool.clear_unused()
    assert pool.match(tokens_of(1, 2)) == []
    assert [pool.allocate() for _ in range(4)] != []


@pytest.mark.skipif(sys.platform != "linux", reason="what the system does with memory it has back differs")
def test_memory_that_nobody_uses_really_goes_back() -> None:
    pool = BlockPool(4, 4096)
    block = fill(pool, tokens_of(1))
    memory = (ctypes.c_char * 4096).from_address(pool.base_address + block[0] * 4096)
    memory[0] = b"x"
    pool.release(block)
    pool.clear_unused()
    assert memory[0] == b"\0"  # shared memory would only be unmapped, and still be there


class PoolMachine(RuleBasedStateMachine):
    """Sequences come, share, and go in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = BlockPool(12, 64)
        self.held: list[tuple[list[int], list[int]]] = []

    @rule(numbers=st.lists(st.integers(0, 2), min_size=1, max_size=3))
    def begin(self, numbers: list[int]) -> None:
        if len({block for blocks, _ in self.held for block in blocks}) + len(numbers) <= 12:
            prompt = tokens_of(*numbers)
            self.held.append((fill(self.pool, prompt), numbers))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        blocks, _ = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.pool.release(blocks)

    @rule()
    def clear(self) -> None:
        self.pool.clear_unused()

    @invariant()
    def blocks_in_use_are_counted_exactly(self) -> None:
        assert self.pool.n_used == len({block for blocks, _ in self.held for block in blocks})

    @invariant()
    def a_block_holds_the_same_tokens_for_all_its_users(self) -> None:
        content: dict[int, tuple[int, ...]] = {}
        for blocks, numbers in self.held:
            for index, block in enumerate(blocks):
                path = tuple(numbers[: index + 1])
                assert content.setdefault(block, path) == path


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_a_pool_never_hands_out_a_block_in_use() -> None:
    pool = BlockPool(3, 64)
    assert len({pool.allocate() for _ in range(3)}) == 3
    with pytest.raises(KeyError):
        pool.allocate()  # the scheduler reserves before it allocates, so this is a bug, not a wait
