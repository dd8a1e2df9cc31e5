"""Whether the theme's colours can be read: contrast as WCAG 2.2 defines it, computed from the files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.pages.harness import ROOT

TEXT, MARKS = 4.5, 3.0  # AA of normal text, and of what is not text
CONFIG: dict[str, Any] = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
KINDS = ("light", "dark")
RULE = re.compile(r"([^{}]+)\{\s*color:\s*(#[0-9a-f]{6})")


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb"; WCAG 2.2, from IEC 61966-2-1."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """From 1 for the same colour to 21 for black on white."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def over(colour: str, ground: str, share: float) -> str:
    """The colour that `share` of `colour` over `ground` gives."""
    both = [(int(colour[n : n + 2], 16), int(ground[n : n + 2], 16)) for n in (1, 3, 5)]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in both)


def rules(kind: str) -> Iterator[tuple[str, str]]:
    """(selector, colour) of the sheet that puts Streamlit's own colours right."""
    sheet = (ROOT / "pages" / "parts" / "contrast" / f"{kind}.css").read_text("utf-8")
    found = RULE.findall(re.sub(r"/\*.*?\*/", "", sheet, flags=re.S))
    assert found
    yield from found


def test_contrast_is_what_the_standard_says() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the standard's own near miss


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["textColor", "grayTextColor", "linkColor", "primaryColor"])
def test_texts_can_be_read_on_both_backgrounds(kind: str, name: str) -> None:
    theme = CONFIG[kind]
    assert contrast(theme[name], theme["backgroundColor"]) >= TEXT
    assert contrast(theme[name], theme["secondaryBackgroundColor"]) >= TEXT


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.1, 0.2], ids=["selected", "under the pointer"])
def test_a_selected_pill_can_be_read(kind: str, share: float) -> None:
    """Streamlit writes the primary colour on a tenth of itself, a fifth under the pointer."""
    theme = CONFIG[kind]
    ground = over(theme["primaryColor"], theme["backgroundColor"], share)
    assert contrast(theme["primaryColor"], ground) >= TEXT


def test_a_primary_buttons_words_can_be_read() -> None:
    """White on it in the light theme; in the dark one what our own sheet says."""
    ((_, on_dark),) = rules("dark")
    assert contrast("#ffffff", CONFIG["light"]["primaryColor"]) >= TEXT
    assert contrast(on_dark, CONFIG["dark"]["primaryColor"]) >= TEXT
    assert contrast("#ffffff", CONFIG["dark"]["primaryColor"]) >= MARKS  # ticks and thumbs stay white


def test_code_can_be_read_in_the_light_theme() -> None:
    faint = {
        where.strip().splitlines()[-1]: round(
            contrast(colour, CONFIG["light"]["secondaryBackgroundColor"]), 1
        )
        for where, colour in rules("light")
        if contrast(colour, CONFIG["light"]["secondaryBackgroundColor"]) < TEXT
    }
    assert faint == {}


@pytest.mark.parametrize("kind", KINDS)
def test_chart_colours_stand_out_from_the_background(kind: str) -> None:
    theme = CONFIG[kind]
    shares = [contrast(colour, theme["backgroundColor"]) for colour in theme["chartCategoricalColors"]]
    assert min(shares) >= MARKS
