"""Random draws that are the same on every Python version and machine."""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from typing import TypeVar

T = TypeVar("T")
_MASK = (1 << 64) - 1


class Draws:
    """SplitMix64 (Steele, Lea & Flood 2014), with the few draws that cases need.

    `random.Random` is not used: its derived methods may change between Python versions.
    """

    def __init__(self, seed: int, purpose: str = "") -> None:
        state = seed & _MASK
        for byte in purpose.encode():
            state = _mix((state ^ byte) + 0x9E3779B97F4A7C15)
        self._state = state

    def bits(self) -> int:
        """64 uniform bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        return _mix(self._state)

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included (bias below 2**-32 for the ranges used here)."""
        return low + self.bits() % (high - low + 1)

    def chance(self, share: float) -> bool:
        """True with that probability."""
        return self.bits() < share * (1 << 64)

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.integer(0, len(items) - 1)]

    def shuffle(self, items: MutableSequence[T]) -> None:
        """Reorder in place (Fisher-Yates)."""
        for index in range(len(items) - 1, 0, -1):
            other = self.integer(0, index)
            items[index], items[other] = items[other], items[index]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different positions of `items`, in random order."""
        pool = list(items)
        self.shuffle(pool)
        return pool[:count]


def _mix(z: int) -> int:
    z &= _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)
