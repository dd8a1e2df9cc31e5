"""Ways to get one answer out of several calls."""

from moa_core.strategies.base import Option, Strategy
from moa_core.strategies.registry import all_strategies, find_strategy

__all__ = ["Option", "Strategy", "all_strategies", "find_strategy"]
