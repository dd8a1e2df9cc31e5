"""The Wafer page's charts, one file each; a new file here is a new chart on the page.

A file says where it stands and draws:

    TAB = "Scaling"                   a tab of pages/wafer.py
    NAME = "Context"                  its name in a tab that shows one at a time
    ORDER = 20                        among the tab's others
    def draw(view, ...) -> Charts     figures from plain arithmetic; draws nothing on the page
    def controls(view) -> dict        optional: widgets whose values `draw` takes by name
    def is_shown(view) -> bool        optional: whether it has something to say for this model
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pages.parts.wafer.chart import Chart
from pages.parts.wafer.view import View

Charts = tuple[Chart, ...]


@dataclass(frozen=True)
class Plugin:
    """A file of this folder."""

    key: str
    tab: str
    name: str
    order: int
    draw: Callable[..., Charts]
    controls: Callable[[View], Mapping[str, Any]] | None
    is_shown: Callable[[View], bool]


@lru_cache(maxsize=1)
def plugins() -> tuple[Plugin, ...]:
    """Every file of this folder, in the order of the page."""
    found = []
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        found.append(
            Plugin(
                info.name,
                module.TAB,
                getattr(module, "NAME", info.name),
                module.ORDER,
                module.draw,
                getattr(module, "controls", None),
                getattr(module, "is_shown", lambda view: True),
            )
        )
    return tuple(sorted(found, key=lambda plugin: (plugin.tab, plugin.order)))


def of_tab(tab: str) -> tuple[Plugin, ...]:
    """The charts of one tab, in order."""
    return tuple(plugin for plugin in plugins() if plugin.tab == tab)
