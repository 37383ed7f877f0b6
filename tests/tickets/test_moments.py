"""Moments in words, read at ten past two on a Wednesday afternoon in Seoul: 25 November 2026, 14:10."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tickets import moments

SEOUL, BERLIN = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 25, 14, 10, 30, tzinfo=SEOUL)

CASES = [
    # English: so long from now
    ("in 2 hours", "11-25 16:10"),
    ("2h", "11-25 16:10"),
    ("in 30 min", "11-25 14:40"),
    ("in half an hour", "11-25 14:40"),
    ("an hour and a half", "11-25 15:40"),
    ("1 hour 30 minutes", "11-25 15:40"),
    ("two hours from now", "11-25 16:10"),
    ("in 3 days", "11-28 09:00"),
    ("in 3 days at 10am", "11-28 10:00"),
    ("3d", "11-28 09:00"),
    ("in a week", "12-02 09:00"),
    ("in two weeks", "12-09 09:00"),
    ("in 1 day 2 hours", "11-26 16:10"),
    ("in 3 months", "2027-02-25 09:00"),
    # English: days
    ("tomorrow", "11-26 09:00"),
    ("tomorrow 9am", "11-26 09:00"),
    ("9am tomorrow", "11-26 09:00"),
    ("Tomorrow at 9:30 AM", "11-26 09:30"),
    ("tmrw 14:00", "11-26 14:00"),
    ("tomorrow at 3", "11-26 15:00"),
    ("tomorrow at 8", "11-26 08:00"),
    ("tomorrow afternoon", "11-26 14:00"),
    ("tomorrow noon", "11-26 12:00"),
    ("day after tomorrow", "11-27 09:00"),
    ("tonight", "11-25 18:00"),
    ("this evening", "11-25 18:00"),
    ("eod", "11-25 18:00"),
    ("midnight", "11-26 00:00"),
    # English: weekdays and weeks
    ("mon", "11-30 09:00"),
    ("friday 3pm", "11-27 15:00"),
    ("fri, 3.30 p.m.", "11-27 15:30"),
    ("wed", "12-02 09:00"),
    ("wednesday 5pm", "11-25 17:00"),
    ("wednesday 9am", "12-02 09:00"),
    ("next mon", "11-30 09:00"),
    ("next friday", "12-04 09:00"),
    ("this friday", "11-27 09:00"),
    ("monday next week 10am", "11-30 10:00"),
    ("next week", "11-30 09:00"),
    ("the weekend", "11-28 09:00"),
    ("next weekend", "12-05 09:00"),
    ("next month", "12-01 09:00"),
    # English: dates and times
    ("dec 1", "12-01 09:00"),
    ("1st of December at 8am", "12-01 08:00"),
    ("December 24th 2026 17:00", "12-24 17:00"),
    ("jan 5", "2027-01-05 09:00"),
    ("the 3rd", "12-03 09:00"),
    ("2026-12-03 09:15", "12-03 09:15"),
    ("12/24", "12-24 09:00"),
    ("5pm", "11-25 17:00"),
    ("9am", "11-26 09:00"),
    ("at 5", "11-25 17:00"),
    ("9:00", "11-25 21:00"),
    ("09:00", "11-26 09:00"),
    ("12am", "11-26 00:00"),
    # Korean: so long from now
    ("2시간 뒤", "11-25 16:10"),
    ("30분 후", "11-25 14:40"),
    ("한 시간 반 뒤에", "11-25 15:40"),
    ("1시간 30분 뒤", "11-25 15:40"),
    ("반시간 뒤", "11-25 14:40"),
    ("3일 뒤", "11-28 09:00"),
    ("3일뒤 오전 10시", "11-28 10:00"),
    ("이틀 뒤", "11-27 09:00"),
    ("일주일 후", "12-02 09:00"),
    ("2주 뒤", "12-09 09:00"),
    ("한 달 뒤", "12-25 09:00"),
    # Korean: days
    ("내일 오전 10시", "11-26 10:00"),
    ("내일", "11-26 09:00"),
    ("내일 아침", "11-26 09:00"),
    ("내일 3시", "11-26 15:00"),
    ("내일 15:30", "11-26 15:30"),
    ("모레 오후 2시", "11-27 14:00"),
    ("내일모레", "11-27 09:00"),
    ("글피", "11-28 09:00"),
    ("오늘 저녁 7시", "11-25 19:00"),
    ("오늘 밤", "11-25 21:00"),
    ("오늘 밤 12시", "11-26 00:00"),
    ("내일 새벽 6시", "11-26 06:00"),
    ("내일 낮 12시 반", "11-26 12:30"),
    ("내일 정오", "11-26 12:00"),
    ("자정", "11-26 00:00"),
    # Korean: weekdays and weeks
    ("월요일", "11-30 09:00"),
    ("금요일 오후 3시 반", "11-27 15:30"),
    ("금욜 3시에", "11-27 15:00"),
    ("금 오후 3시", "11-27 15:00"),
    ("다음 주 월요일", "11-30 09:00"),
    ("다음주 금요일 오전 10시까지", "12-04 10:00"),
    ("담주 화욜", "12-01 09:00"),
    ("다다음 주 수요일", "12-09 09:00"),
    ("이번 주 금요일", "11-27 09:00"),
    ("다음 주", "11-30 09:00"),
    ("이번 주말", "11-28 09:00"),
    # Korean: dates and times
    ("12월 1일", "12-01 09:00"),
    ("12월 1일 오후 5시 20분", "12-01 17:20"),
    ("2026년 12월 24일", "12-24 09:00"),
    ("1월 5일", "2027-01-05 09:00"),
    ("다음 달 3일", "12-03 09:00"),
    ("다음 달", "12-01 09:00"),
    ("30일", "11-30 09:00"),
    ("오후 5시", "11-25 17:00"),
    ("다섯 시 반", "11-25 17:30"),
    ("오전 9시", "11-26 09:00"),
    ("17시", "11-25 17:00"),
    ("내일 10시쯤", "11-26 10:00"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_what_people_type(text, expected, language):
    expected = expected if expected.startswith("20") else f"2026-{expected}"
    found = moments.parse(text, now=NOW, zone=SEOUL, language=language)
    assert found is not None
    assert found.at.strftime("%Y-%m-%d %H:%M") == expected
    assert found.at.tzinfo is SEOUL


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "soon", "나중에", "tomorrow tomorrow", "내일 모레 글피", "mon tue", "9am 10am", "tomorrow 25:00", "13pm", "0pm",
        "february 30 2027", "2월 30일", "today 9am", "오늘 오전 9시", "2020-01-01", "this monday", "이번 주 월요일", "in 0 minutes",
        "in 9999 days", "in 9999 months", "2099-01-01", "반", "30분", "tomorrow in 2 hours 9am", "friday 2026-11-28", "시", "next", "at",
        "x" * 81, "9am; drop table", "내일 오후 오전 3시", "오전 15시",
    ],
)  # fmt: skip
def test_what_is_not_understood_or_not_ahead(text):
    assert moments.parse(text, now=NOW, zone=SEOUL, language="ko") is None


def test_a_day_alone_is_told_from_a_time():
    assert not moments.parse("내일", now=NOW, zone=SEOUL, language="ko").has_time
    assert moments.parse("내일 9시", now=NOW, zone=SEOUL, language="ko").has_time


def test_the_agents_own_zone_decides_which_day_it_is():
    now = datetime(2026, 11, 25, 20, 0, tzinfo=UTC)  # already Thursday in Seoul
    assert moments.parse("tomorrow", now=now, zone=SEOUL).at.date().isoformat() == "2026-11-27"
    assert moments.parse("tomorrow", now=now, zone=BERLIN).at.date().isoformat() == "2026-11-26"


def test_clocks_that_are_changed():
    evening = datetime(2027, 3, 27, 20, 0, tzinfo=BERLIN)
    assert moments.parse("tomorrow 2:30 am", now=evening, zone=BERLIN).at.isoformat() == "2027-03-28T03:30:00+02:00"
    assert moments.parse("in 8 hours", now=evening, zone=BERLIN).at.isoformat() == "2027-03-28T05:00:00+02:00"
    assert moments.parse("tomorrow 9am", now=evening, zone=BERLIN).at.isoformat() == "2027-03-28T09:00:00+02:00"


def test_a_short_month_ends_on_its_last_day():
    now = datetime(2027, 1, 31, 10, 0, tzinfo=SEOUL)
    assert moments.parse("한 달 뒤", now=now, zone=SEOUL).at.date().isoformat() == "2027-02-28"
