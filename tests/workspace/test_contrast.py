"""The contrast promises of the design language, computed from the tokens as they stand (WCAG 2.2, 1.4.3 and 1.4.11)."""

import re
from pathlib import Path

import pytest

TOKENS = Path(__file__).parents[2] / "static/css/base/tokens.css"
GROUNDS = ("canvas", "surface", "raised", "sunken")
THEMES = ("light", "dark")


def colours(css: str) -> dict[str, dict[str, str]]:
    """{theme: {token: "#RRGGBB"}} of every `--token: light-dark(#..., #...)`."""
    found = re.findall(r"--([\w-]+):\s*light-dark\((#[0-9A-Fa-f]{6}),\s*(#[0-9A-Fa-f]{6})\)", css)
    return {theme: {match[0]: match[1 + i] for match in found} for i, theme in enumerate(THEMES)}


COLOURS = colours(TOKENS.read_text())


def luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def of(theme: str, one: str, other: str) -> float:
    return contrast(COLOURS[theme][one], COLOURS[theme][other])


def test_the_ruler_is_right():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.005)
    assert contrast("#2F5BD7", "#2F5BD7") == 1


def test_every_token_is_found():
    assert len(COLOURS["light"]) == len(COLOURS["dark"]) >= 40


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("text", ["text", "text-2", "text-3"])
def test_text_is_readable_on_every_ground(theme, text, ground):
    assert of(theme, text, ground) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", GROUNDS)
def test_the_edges_of_controls_can_be_seen(theme, ground):
    assert of(theme, "border-strong", ground) >= 3.2


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("colour", ["ok", "warn", "bad", "violet"])
def test_status_colours_are_readable_on_their_tint(theme, colour):
    assert of(theme, colour, f"{colour}-soft") >= 4.7


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("hue", range(8))
def test_hues_are_readable_on_their_tint(theme, hue):
    assert of(theme, f"hue-{hue}-text", f"hue-{hue}") >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("on-accent", "accent"),
        ("on-accent", "accent-hover"),
        ("on-bad", "bad"),
        ("accent-text", "accent-soft"),
        ("accent-text", "surface"),
        ("note-text", "note"),
        ("text", "accent-soft"),
        ("text-3", "accent-soft"),
    ],
)
def test_pairs_that_meet_are_readable(theme, text, ground):
    assert of(theme, text, ground) >= 4.5


@pytest.mark.parametrize(
    ("theme", "one", "other", "promised"),
    [
        ("light", "text-3", "sunken", 4.64),
        ("dark", "text-3", "raised", 5.54),
        ("light", "text-3", "accent-soft", 4.56),
        ("light", "on-accent", "accent", 5.84),
        ("dark", "on-accent", "accent", 7.71),
    ],
)
def test_the_lowest_numbers_are_those_of_the_specification(theme, one, other, promised):
    assert of(theme, one, other) == pytest.approx(promised, abs=0.02)


def test_white_on_the_dark_accent_and_on_bad_would_fail():
    """Why dark has its own on-colours."""
    assert contrast("#FFFFFF", COLOURS["dark"]["accent"]) < 3
    assert contrast("#FFFFFF", COLOURS["dark"]["bad"]) < 3
