"""Numbers as sentences say them."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """ "1 call", "3 calls", "1,204 tokens"; an adjective may follow `number` in the noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
