import re
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets import parts
from tickets.contract import Capabilities, MediaLimit

PLAIN = Capabilities(
    text_max=40,
    media={"image": MediaLimit(("image/jpeg", "image/png"), 1000), "document": MediaLimit(("application/pdf",), 5000)},
    caption_kinds=("image",),
    caption_max=20,
)
SMS = Capabilities(text_max=1600, text_unit="gsm7", segment=(160, 70), text_with_files=True, files_per_part=10)
MAIL = Capabilities(media={"*": MediaLimit((), 10_000_000)}, files_per_part=50, text_with_files=True)


@dataclass(frozen=True)
class File:
    kind: str = "image"
    content_type: str = "image/png"
    size: int = 100


def texts(text, capabilities=PLAIN):
    return [piece.text for piece in parts.cut(text, (), capabilities)]


@pytest.mark.parametrize(
    "text, pieces",
    [
        ("short", ["short"]),
        ("", []),
        (" \n ", []),
        ("First paragraph here.\n\nSecond paragraph here.", ["First paragraph here.", "Second paragraph here."]),
        ("One line of some words\nand another one of words", ["One line of some words", "and another one of words"]),
        (
            "A whole sentence stands here. And then more of it.",
            ["A whole sentence stands here.", "And then more of it."],
        ),
        ("안녕하세요。 문의하신 건을 확인했습니다。 곧 다시 연락드리겠습니다。 감사합니다。", None),
        ("word " * 9 + "end", ["word word word word word word word word", "word end"]),
        ("x" * 50, ["x" * 40, "x" * 10]),
        ("see https://example.org/a/long/path?x=1 now", ["see https://example.org/a/long/path?x=1", "now"]),
        ("please look at https://example.org/a/long/path", ["please look at", "https://example.org/a/long/path"]),
    ],
)
def test_text_is_cut_where_a_reader_pauses(text, pieces):
    if pieces is not None:
        assert texts(text) == pieces
    assert all(len(piece) <= 40 for piece in texts(text))


def test_a_link_longer_than_a_part_still_arrives_whole():
    link = "https://example.org/" + "a" * 60
    assert "".join(texts(f"go {link}")) == f"go{link}"


@pytest.mark.parametrize(
    "character",
    ["👩‍👩‍👧‍👦", "🇰🇷", "é", "👍🏽", "각", "❤️", "नि"],
    ids=["family", "flag", "accent", "skin tone", "jamo", "variation", "vowel sign"],
)
@pytest.mark.parametrize("shift", range(8))
def test_a_character_of_many_code_points_is_never_torn(character, shift):
    capabilities = replace(PLAIN, text_max=16)
    for piece in texts("a" * shift + character * 12, capabilities):
        assert piece.lstrip("a").replace(character, "") == ""


@given(
    text=st.text(alphabet=st.sampled_from("ab .\n?!가나다👍🏽é€[]~https://x.y"), max_size=400),
    most=st.integers(8, 60),
    unit=st.sampled_from(["characters", "utf16", "bytes", "gsm7"]),
)
def test_nothing_is_lost_and_every_part_fits(text, most, unit):
    capabilities = replace(PLAIN, text_max=most, text_unit=unit)
    pieces = texts(text, capabilities)
    assert re.sub(r"\s", "", "".join(pieces)) == re.sub(r"\s", "", text)
    assert all(parts.length(piece, unit) <= most for piece in pieces)
    assert all(pieces)


@pytest.mark.parametrize(
    "text, unit, length",
    [
        ("abc", "characters", 3),
        ("가나", "bytes", 6),
        ("👍", "utf16", 2),
        ("👍", "characters", 1),
        ("a€", "gsm7", 3),
        ("a가", "gsm7", 2),
        ("가👍", "gsm7", 3),
    ],
)
def test_length_is_counted_in_the_provider_s_unit(text, unit, length):
    assert parts.length(text, unit) == length


@pytest.mark.parametrize(
    "text, segments",
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("가" * 70, 1),
        ("가" * 71, 2),
        ("가" * 134, 2),
        ("가" * 135, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("", 0),
        ("a" * 152 + "€" + "a" * 151, 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # 306 septets, but no segment ends between the escape and its sign
        ("가" * 66 + "😀" + "가" * 65, 2),
        ("가" * 66 + "😀" + "가" * 66, 3),  # nor between two surrogates
    ],
)
def test_an_sms_is_billed_by_segments(text, segments):
    assert parts.count(text, SMS).segments == segments


def test_the_composer_is_told_parts_length_and_limit():
    assert parts.count("x" * 50, PLAIN) == (2, 0, 50, 40)
    assert parts.count("x" * 5000, MAIL) == (1, 0, 5000, None)


def test_one_file_takes_a_short_text_as_its_caption():
    file = File()
    assert parts.cut("look", [file], PLAIN) == [("look", (file,))]


@pytest.mark.parametrize(
    "text, files",
    [
        ("a text that is longer than the caption", [File()]),
        ("look", [File(), File(size=2)]),
        ("look", [File("document", "application/pdf")]),
    ],
    ids=["too long", "two files", "no caption on its kind"],
)
def test_otherwise_the_text_goes_first_and_each_file_by_itself(text, files):
    assert parts.cut(text, files, PLAIN) == [(text, ()), *(("", (file,)) for file in files)]


def test_files_go_in_groups_in_the_composer_s_order():
    files = [File(size=n) for n in range(1, 6)]
    grouped = parts.cut("", files, replace(PLAIN, files_per_part=2))
    assert [piece.files for piece in grouped] == [tuple(files[:2]), tuple(files[2:4]), tuple(files[4:])]


def test_mail_is_one_part_whatever_it_holds():
    files = [File(size=n) for n in range(1, 6)]
    assert parts.cut("long " * 5000, files, MAIL) == [(("long " * 5000).strip(), tuple(files))]


def test_files_of_an_sms_ride_on_its_last_text():
    pieces = parts.cut("x" * 2000, [File()], SMS)
    assert [(len(piece.text), len(piece.files)) for piece in pieces] == [(1600, 0), (400, 1)]


@pytest.mark.parametrize(
    "file, taken",
    [
        (File(), True),
        (File(size=1001), False),
        (File(content_type="image/webp"), False),
        (File("document", "application/pdf"), True),
        (File("document", "application/zip"), False),
        (File("video", "video/mp4"), False),
    ],
)
def test_a_provider_takes_what_its_limits_say(file, taken):
    assert parts.takes(file, PLAIN) is taken
    assert parts.takes(file, MAIL) is True
