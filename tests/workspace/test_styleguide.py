"""The style guide draws every component, in both languages, within its own Content-Security-Policy and within the budget."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import Http404
from django.test import RequestFactory

from tickets.templatetags import charts, ui
from tickets.workspace.keymap import COMMANDS
from tickets.workspace.views.styleguide import styleguide

pytestmark = pytest.mark.django_db  # its builder offers the ticket fields that there are
ROOT = Path(__file__).parents[2]
PARTS = ("", "workspace", "reports", "states")


def page(settings, part="", language="en"):
    settings.DEMO = True
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    request = RequestFactory().get("/styleguide/", {"part": part, "language": language})
    request.user = AnonymousUser()
    request.csp_nonce = "n0nce"
    return styleguide(request).content.decode()


def test_it_exists_only_in_the_demo_or_with_debug(settings):
    settings.DEMO = settings.DEBUG = False
    with pytest.raises(Http404):
        styleguide(RequestFactory().get("/styleguide/"))


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("part", PARTS)
def test_every_part_renders_in_both_languages(settings, part, language):
    html = page(settings, part, language)
    assert f'<html lang="{language}"' in html
    assert "</html>" in html


@pytest.mark.parametrize("part", PARTS)
def test_nothing_inline_breaks_the_policy(settings, part):
    html = page(settings, part)
    assert not re.findall(r"<[^>]+\sstyle=", html)
    assert not re.findall(r"<[^>]+\son\w+=", html)
    scripts = re.findall(r"<script[^>]*>", html)
    assert scripts
    assert all('nonce="n0nce"' in tag or "application/json" in tag for tag in scripts)
    assert all('nonce="n0nce"' in tag for tag in re.findall(r"<style[^>]*>", html))


@pytest.mark.parametrize("part", PARTS)
def test_ids_are_unique(settings, part):
    ids = re.findall(r'\sid="([^"]+)"', page(settings, part))
    doubled = {name for name in ids if ids.count(name) > 1}
    assert not doubled


def test_every_component_is_drawn_somewhere():
    """A partial that no template includes is dead, or not shown in the guide."""
    everything = "\n".join(path.read_text() for path in (ROOT / "templates").rglob("*.html"))
    everything += Path(charts.__file__).read_text()
    partials = {path.name for path in (ROOT / "templates/components").glob("*.html")}
    assert len(partials) > 30
    assert not {name for name in partials if f"components/{name}" not in everything}


def test_icon_buttons_have_names(settings):
    for part in PARTS:
        for tag in re.findall(r'<button[^>]*class="[^"]*btn--icon[^>]*>', page(settings, part)):
            assert "aria-label=" in tag, tag


def test_the_code_block_shows_markup_as_text(settings):
    html = page(settings)
    assert "&lt;script src=" in html
    assert '<script src="https://desk.example.com' not in html


def test_imports_end_with_a_semicolon():
    """Django's hashed names are written only into those."""
    for path in (ROOT / "static/js").rglob("*.js"):
        for line in path.read_text().splitlines():
            if re.match(r"\s*(import|export)\b.*\bfrom\s+[\"']|\s*import\s+[\"']", line):
                assert line.rstrip().endswith(";"), f"{path.name}: {line}"


def test_no_module_makes_html_from_strings():
    for path in (ROOT / "static/js").rglob("*.js"):
        assert not re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write)\b(?!\")", path.read_text()), (
            path.name
        )


@pytest.mark.parametrize(
    ("name", "letter"),
    [
        ("김서연", "김"),
        ("priya raman", "P"),
        ("+82 10-1234-5678", ""),
        ("", ""),
        (None, ""),
        ("  Ágnes", "Á"),
        ("(주)한빛", "주"),
    ],
)
def test_initial_is_the_first_letter_or_syllable(name, letter):
    assert ui.initial(name) == letter


def test_a_name_has_the_same_hue_everywhere():
    assert ui.hue("Mina Park") == ui.hue(" mina park ")
    assert {ui.hue(f"person {n}") for n in range(100)} == set(range(8))


def test_an_unknown_channel_is_shown_and_does_not_crash():
    assert "svg" in ui.channel_icon("pigeon")
    assert ui.channel_name("pigeon") == "Other channel"


def test_an_icon_label_is_escaped():
    assert "<script" not in ui.icon("mail", 16, '"><script>')


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (45, "45s"), (720, "12m"), (11_100, "3h 05m"), (187_200, "2d 4h"), (-300, "−5m")],
)
def test_durations_are_short(seconds, words):
    assert ui.duration(seconds) == words


def test_pane_widths_stay_within_bounds():
    assert [ui.pane_px(width, "280,480") for width in (10, 344, 9000, "x; } body {")] == [280, 344, 480, 280]


def test_key_map_binds_nothing_twice_and_nothing_reserved():
    bound = {}
    for command in COMMANDS:
        for keys in command.keys:
            scopes = bound.setdefault(keys, set())
            assert command.scope not in scopes, f"{keys} twice in {command.scope}"
            scopes.add(command.scope)
            assert "Alt" not in keys
            assert keys not in {f"Mod+{letter}" for letter in "TNWLRQHM"}
    starts = {keys.split()[0] for keys in bound if " " in keys}
    assert not starts & set(bound), "a sequence begins with a key that acts at once"


def test_bar_chart_reaches_its_top_tick_and_its_floor():
    drawn = charts.bar_chart([("a", 40), ("b", 0), ("c", None)], title="t")
    full, zero, gap = drawn["marks"]
    assert float(full.y) == charts.PLOT_TOP
    assert float(zero.height) == 0
    assert gap.shown == "–"
    assert [tick["shown"] for tick in drawn["ticks"]] == ["0", "10", "20", "30", "40"]


def test_line_chart_breaks_where_a_value_is_missing():
    line = charts.line_chart(["a", "b", "c", "d"], [("n", [1, 2, None, 4])], title="t")["lines"][0]
    assert len(line["paths"]) == 2


def test_a_chart_without_values_says_so():
    assert charts.bar_chart([("a", None)], title="t")["empty"]
    assert charts.line_chart(["a"], [("n", [None])], title="t")["empty"]


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("/", "inbox"),
        ("/tickets/7/", "inbox"),
        ("/tickets/new/", "new"),
        ("/notifications/", "notifications"),
        ("/board/", "reports"),
        ("/settings/hours/", "settings"),
    ],
)
def test_the_rail_says_where_one_is(path: str, item: str) -> None:
    assert ui.section_of(path) == item
