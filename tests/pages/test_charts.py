"""Charts that are kept between reruns."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest

from pages.parts import charts

built: list[list[float]] = []


def one_bar(values: list[float]) -> go.Figure:
    built.append(values)
    return charts.with_readable_text(go.Figure(go.Bar(y=values)))


@pytest.fixture(autouse=True)
def _nothing_built() -> None:
    built.clear()
    charts._kept.clear()


def test_a_kept_chart_is_built_once_for_the_same_data():
    first, second, other = (charts.kept(one_bar, values) for values in ([1.0], [1.0], [2.0]))

    assert built == [[1.0], [2.0]]
    assert first is second
    assert other.data[0].y == (2.0,)


def test_another_theme_has_a_kept_chart_of_its_own(monkeypatch: pytest.MonkeyPatch):
    colours = []
    for colour in ("#111111", "#eeeeee"):
        monkeypatch.setattr(charts, "axis_colour", lambda colour=colour: colour)
        colours.append(charts.kept(one_bar, [1.0]).layout.font.color)

    assert colours == ["#111111", "#eeeeee"]
