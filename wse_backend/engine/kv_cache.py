"""The paged KV cache: blocks of 16 positions, shared between sequences whose tokens begin alike.

One anonymous mapping holds all blocks; the system gives it memory page by page as blocks are first
written, and takes it back when the engine is idle. A block whose 16 tokens are computed can be published
under its tokens and its predecessor; another sequence that begins with the same tokens then uses the same
block. Blocks nobody uses stay published until their room is needed, the longest unused going first.

Not thread-safe: the scheduler's thread is its only user.
"""

import mmap
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from wse_backend.engine.kernels.attention import BLOCK_POSITIONS
from wse_backend.weights.gguf_file import GGUFFile

ROOT = 0  # the node before the first block of every sequence
VALUE_BYTES = 2  # values are kept as float16


def block_bytes(gguf: GGUFFile) -> int:
    """The size of one KV cache block: 16 positions of all layers."""
    hp = gguf.hparams
    entries = hp.n_kv_heads * hp.head_dim * BLOCK_POSITIONS
    return hp.n_layers * entries * (key_bytes(gguf) + VALUE_BYTES)


def key_bytes(gguf: GGUFFile) -> int:
    """Bytes per key entry in the cache: float16, or float32 where a bias makes keys large.

    Measured on Qwen2.5-Coder-0.5B: float16 keys move the logits by a mean KL of 1e-5, float32 keys by 1e-7.
    """
    return 4 if gguf.hparams.has_qkv_bias else 2


class BlockPool:
    """`n_blocks` cache blocks of `block_bytes` each."""

    def __init__(self, n_blocks: int, block_bytes: int) -> None:
        self.n_blocks = n_blocks
        self.block_bytes = block_bytes
        self._memory = _anonymous(n_blocks * block_bytes)
        self.base_address = int(np.frombuffer(self._memory, np.uint8).ctypes.data)
        self._free = list(range(n_blocks - 1, -1, -1))
        self._users = [0] * n_blocks
        self._node_of: dict[int, int] = {}  # published block -> its node
        self._key_of: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._published: dict[tuple[int, tuple[int, ...]], int] = {}  # (node before, 16 tokens) -> block
        self._unused: OrderedDict[int, None] = OrderedDict()  # published, no users; first = longest unused
        self._next_node = ROOT + 1

    @property
    def n_used(self) -> int:
        """Blocks that a sequence is using now."""
        return self.n_blocks - len(self._free) - len(self._unused)

    def allocate(self) -> int:
        """Take a block for one user; drops the longest unused published block when no free one is left."""
        if not self._free:
            block, _ = self._unused.popitem(last=False)
            del self._published[self._key_of.pop(block)]
            del self._node_of[block]
            self._free.append(block)
        block = self._free.pop()
        self._users[block] = 1
        return block

    def match(self, tokens: Sequence[int]) -> list[int]:
        """Return the published blocks that hold the longest prefix of `tokens` in whole blocks; takes them.

        At least one token is left over: its logits have to be computed.
        """
        blocks: list[int] = []
        node = ROOT
        for start in range(0, len(tokens) - BLOCK_POSITIONS, BLOCK_POSITIONS):
            block = self._published.get((node, tuple(tokens[start : start + BLOCK_POSITIONS])))
            if block is None:
                break
            self._users[block] += 1
            self._unused.pop(block, None)
            blocks.append(block)
            node = self._node_of[block]
        return blocks

    def publish(self, blocks: list[int], index: int, tokens: Sequence[int]) -> None:
        """Offer block `blocks[index]`, computed for 16 `tokens`, to sequences that begin alike.

        When an equal block was published meanwhile, it takes the place of this one in `blocks`.
        """
        before = self._node_of.get(blocks[index - 1]) if index else ROOT
        if before is None:
            return  # the predecessor is not published, so nobody could find this one
        key = (before, tuple(tokens))
        known = self._published.get(key)
        if known is None:
            block = blocks[index]
            self._published[key], self._key_of[block] = block, key
            self._node_of[block] = self._next_node
            self._next_node += 1
        elif known != blocks[index]:
            self._users[known] += 1
            self._unused.pop(known, None)
            self.release([blocks[index]])
            blocks[index] = known

    def release(self, blocks: Sequence[int]) -> None:
        """Give up one use of each block; the deepest of a sequence becomes the first to be dropped."""
        for block in reversed(blocks):
            self._users[block] -= 1
            if self._users[block] == 0:
                if block in self._node_of:
                    self._unused[block] = None
                else:
                    self._free.append(block)

    def clear_unused(self) -> None:
        """Forget the published blocks without users and hand free memory back to the system."""
        for block in self._unused:
            del self._published[self._key_of.pop(block)]
            del self._node_of[block]
            self._free.append(block)
        self._unused.clear()
        if self.n_used == 0 and hasattr(mmap, "MADV_DONTNEED"):
            self._memory.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Give the memory back to the system; harmless when repeated."""
        self._memory.close()


def _anonymous(n_bytes: int) -> mmap.mmap:
    """Memory that the system gives page by page, and takes back: private, as shared memory is only unmapped.

    In large pages where there are any: a pass with many sequences visits more places than small pages allow
    a processor to remember.
    """
    if not hasattr(mmap, "MAP_PRIVATE"):  # Windows
        return mmap.mmap(-1, n_bytes)
    memory = mmap.mmap(-1, n_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory
