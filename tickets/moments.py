"""Moments as people type them, in English and Korean: "tomorrow 9am", "in 2 hours", "다음 주 월요일", "금요일 오후 3시 반".

Pure: the clock, the zone and the words are passed in. The text is eaten from its beginning, one expression at a time; whatever
stays uneaten, is said twice or contradicts itself makes the whole not understood. Both languages are read everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

MORNING = time(9, 0)  # of a day without a time
HORIZON = timedelta(days=731)  # nothing is put off for longer than two years
LONGEST = 80  # characters


class Moment(NamedTuple):
    """`at` is aware, in the zone asked for; `has_time` tells whether a time was said or the morning was meant."""

    at: datetime
    has_time: bool


def parse(text: str, *, now: datetime, zone: ZoneInfo, language: str = "en") -> Moment | None:
    """The moment that `text` means at `now`, always ahead of it; None where it is not understood, past, or too far.

    A weekday is the next one to come, "next Monday" that of the next calendar week (weeks begin on Monday). A day alone
    means nine in the morning. An hour without morning or afternoon is one that people work in: "3" is 15:00.
    """
    said = " ".join(unicodedata.normalize("NFKC", text).lower().replace(",", " ").split())
    if not said or len(said) > LONGEST:
        return None
    reading = _Reading(now.astimezone(zone))
    rules = _SHARED + (_KOREAN + _ENGLISH if language.startswith("ko") else _ENGLISH + _KOREAN)
    try:
        while said:
            said = _eat(said, rules, reading)
        moment = reading.moment()
    except (_NotUnderstood, ValueError, OverflowError):
        return None
    return moment if now < moment.at <= now + HORIZON else None


class _NotUnderstood(Exception):
    pass


def _eat(said: str, rules: tuple[_Rule, ...], reading: _Reading) -> str:
    for pattern, note in rules:
        match = pattern.match(said)
        if match and match.end():
            note(reading, match)
            return said[match.end() :].strip()
    raise _NotUnderstood


@dataclass
class _Reading:
    """What was said so far. Every field may be said once."""

    here: datetime
    said: dict[str, int] = field(default_factory=dict)

    def note(self, **facts: int) -> None:
        if self.said.keys() & facts.keys():
            raise _NotUnderstood
        self.said |= facts

    def add(self, name: str, amount: int) -> None:
        self.said[name] = self.said.get(name, 0) + amount

    def moment(self) -> Moment:
        if not self.said.keys() - {"half"}:
            raise _NotUnderstood
        day = self._day()
        if "minutes" in self.said:
            return self._in_minutes(day)
        clock = self._clock(day)
        if clock is None:
            return Moment(self._at(day or self.here.date(), MORNING), has_time=False)
        moment = self._at(day or self.here.date(), clock) + timedelta(days=self.said.get("after_midnight", 0))
        if day is None and moment <= self.here:
            moment = self._at(self.here.date() + timedelta(days=1), clock)
        return Moment(_real(moment), has_time=True)

    def _in_minutes(self, day: date | None) -> Moment:
        if self.said.keys() - {"minutes", "days", "months"}:
            raise _NotUnderstood
        start = self.here.replace(second=0, microsecond=0)
        if day:
            start = datetime.combine(day, start.time(), self.here.tzinfo)
        later = start.astimezone(UTC) + timedelta(minutes=self.said["minutes"])
        return Moment(later.astimezone(self.here.tzinfo), has_time=True)

    def _at(self, day: date, clock: time) -> datetime:
        return _real(datetime.combine(day, clock, self.here.tzinfo))

    # Days

    def _day(self) -> date | None:
        said, today = self.said, self.here.date()
        found = [read for read in (self._date(today), self._counted(today)) if read]
        if "weeks" in said or ("weekday" in said and not found):
            found.append(self._of_week(today))
        if len(found) > 1 or (found and "weekday" in said and found[0].weekday() != said["weekday"]):
            raise _NotUnderstood
        return found[0] if found else None

    def _date(self, today: date) -> date | None:
        """A date of the calendar; without its year or month the next one that comes."""
        said = self.said
        if "day" not in said and "month" not in said and "next_months" not in said:
            return None
        if "next_months" in said:
            if "month" in said:
                raise _NotUnderstood
            return _months_on(today.replace(day=1), said["next_months"]).replace(day=said.get("day", 1))
        if "day" not in said:
            raise _NotUnderstood
        if "year" in said:
            return date(said["year"], said["month"], said["day"])
        if "month" in said:
            tries = (_date_or_none(today.year + more, said["month"], said["day"]) for more in range(5))
        else:
            first = today.replace(day=1)
            months = (_months_on(first, more) for more in range(13))
            tries = (_date_or_none(month.year, month.month, said["day"]) for month in months)
        ahead = next((day for day in tries if day and day >= today), None)
        if ahead is None:
            raise _NotUnderstood
        return ahead

    def _counted(self, today: date) -> date | None:
        if "days" not in self.said and "months" not in self.said:
            return None
        return _months_on(today, self.said.get("months", 0)) + timedelta(days=self.said.get("days", 0))

    def _of_week(self, today: date) -> date:
        weekday = self.said.get("weekday", 0)
        if "weeks" in self.said:
            monday = today - timedelta(days=today.weekday())
            return monday + timedelta(weeks=self.said["weeks"], days=weekday)
        days = (weekday - today.weekday()) % 7
        if days == 0:
            clock = self._clock(today)
            days = 0 if clock and self._at(today, clock) > self.here else 7
        return today + timedelta(days=days)

    # Times

    def _clock(self, day: date | None) -> time | None:
        said = self.said
        if "hour" not in said:
            if "half" in said or "minute" in said:
                raise _NotUnderstood
            return _PARTS[said["part"]] if "part" in said else None
        hour, minute = said["hour"], said.get("minute", 30 if "half" in said else 0)
        if "half" in said and "minute" in said:
            raise _NotUnderstood
        if "part" in said:
            hour = self._within(said["part"], hour)
        elif said.get("bare") and 1 <= hour <= 12:
            hour = self._likely(hour, minute, day)
        return time(hour, minute)

    def _within(self, part: int, hour: int) -> int:
        """The hour of a day of 24 that "3 in the afternoon", "밤 12시" and the like mean."""
        if hour > 12 or part in (_NOON, _MIDNIGHT):
            if hour > 12 and part in (_AFTERNOON, _EVENING, _NIGHT, _LUNCH):
                return hour
            raise _NotUnderstood
        if part in (_AM, _DAWN):
            return hour % 12
        if part == _NIGHT and (hour == 12 or hour < 5):
            self.said["after_midnight"] = 1
            return hour % 12
        if part == _LUNCH and hour >= 10:
            return hour
        return hour % 12 + 12

    def _likely(self, hour: int, minute: int, day: date | None) -> int:
        if day is None or day == self.here.date():
            for likely in (hour % 12, hour % 12 + 12):
                if 7 <= likely <= 22 and self._at(self.here.date(), time(likely, minute)) > self.here:
                    return likely
        return hour + 12 if hour < 7 else hour


def _real(at: datetime) -> datetime:
    """A time that a change of the clocks leaves out becomes the one that the clocks show then."""
    return at.astimezone(UTC).astimezone(at.tzinfo)


def _months_on(day: date, months: int) -> date:
    """The same day so many months on, or the last one of a month that is too short."""
    count = day.year * 12 + day.month - 1 + months
    year, month = count // 12, count % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def _date_or_none(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


# -- What is understood -----------------------------------------------------------------------------------------------

_AM, _AFTERNOON, _EVENING, _NIGHT, _DAWN, _LUNCH, _NOON, _MIDNIGHT = range(8)
_PARTS = {
    _AM: MORNING, _AFTERNOON: time(14), _EVENING: time(18), _NIGHT: time(21), _DAWN: time(6), _LUNCH: time(12), _NOON: time(12),
    _MIDNIGHT: time(0),
}  # fmt: skip

_Rule = tuple[re.Pattern[str], Callable[[_Reading, re.Match[str]], None]]


def _rule(pattern: str, note: Callable[[_Reading, re.Match[str]], None]) -> _Rule:
    return re.compile(pattern), note


def _fact(pattern: str, **facts: int) -> _Rule:
    return _rule(pattern, lambda reading, _: reading.note(**facts))


def _nothing(reading: _Reading, match: re.Match[str]) -> None:
    """A word that means nothing by itself."""


def _numbers(*names: str) -> Callable[[_Reading, re.Match[str]], None]:
    """Each group is the number of that name."""

    def note(reading: _Reading, match: re.Match[str]) -> None:
        reading.note(**{name: int(said) for name, said in zip(names, match.groups(), strict=True) if said})

    return note


def _midnight(reading: _Reading, match: re.Match[str]) -> None:
    """The end of the day that is meant."""
    reading.note(hour=0, minute=0, after_midnight=1)


# \b is no boundary between a Korean letter and a figure: (?![a-z]) ends English words, Korean ones may be written together.
_SHARED: tuple[_Rule, ...] = (
    _rule(r"(\d{4})[-./] ?(\d{1,2})[-./] ?(\d{1,2})\.?(?!\d)", _numbers("year", "month", "day")),
    _rule(r"(\d{1,2})/(\d{1,2})(?![\d/])", _numbers("month", "day")),
    _rule(r"(\d{1,2})/(\d{1,2})/(\d{4})(?!\d)", _numbers("month", "day", "year")),
)


# English

_WEEKDAYS_EN = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS_EN = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAY_EN = (
    r"(mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:rs?(?:day)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)s?\b\.?"
)
_MONTH_EN = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|"
    r"dec(?:ember)?)\b\.?"
)
_COUNTS_EN = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "a couple of": 2,
}  # fmt: skip
_COUNT_EN = rf"(\d{{1,4}}|{'|'.join(sorted(_COUNTS_EN, key=len, reverse=True))})"
_UNIT_EN = r"(minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|wks?|w|months?|mo)\b"


def _weekday_en(reading: _Reading, match: re.Match[str]) -> None:
    reading.note(weekday=_WEEKDAYS_EN.index(match[1][:3]))


def _weekday_of_week_en(reading: _Reading, match: re.Match[str]) -> None:
    reading.note(weeks=1 if match[1] == "next" else 0, weekday=_WEEKDAYS_EN.index(match[2][:3]))


def _month_day_en(reading: _Reading, match: re.Match[str]) -> None:
    reading.note(
        month=_MONTHS_EN.index(match[1][:3]) + 1, day=int(match[2]), **({"year": int(match[3])} if match[3] else {})
    )


def _day_month_en(reading: _Reading, match: re.Match[str]) -> None:
    reading.note(
        day=int(match[1]), month=_MONTHS_EN.index(match[2][:3]) + 1, **({"year": int(match[3])} if match[3] else {})
    )


def _count_en(reading: _Reading, match: re.Match[str]) -> None:
    count = int(match[1]) if match[1].isdigit() else _COUNTS_EN[match[1]]
    _ahead(reading, count, match[2][:2] if match[2].startswith("mo") else match[2][0])


def _ahead(reading: _Reading, count: int, unit: str) -> None:
    minutes, days = {"m": 1, "h": 60}, {"d": 1, "w": 7}
    if unit in minutes:
        reading.add("minutes", count * minutes[unit])
    elif unit in days:
        reading.add("days", count * days[unit])
    else:
        reading.add("months", count)


def _clock_en(reading: _Reading, match: re.Match[str]) -> None:
    hour, minute, half = int(match[1]), int(match[2] or 0), match[3][0]
    if not 1 <= hour <= 12:
        raise _NotUnderstood
    reading.note(hour=hour % 12 + (12 if half == "p" else 0), minute=minute)


def _clock(reading: _Reading, match: re.Match[str]) -> None:
    """14:30, 09:00; 9:00 may be of the evening."""
    reading.note(hour=int(match[1]), minute=int(match[2]), bare=int(not match[1].startswith("0")))


def _hour_en(reading: _Reading, match: re.Match[str]) -> None:
    reading.note(hour=int(match[1]), bare=1)


def _half_hours(reading: _Reading, match: re.Match[str]) -> None:
    reading.add("minutes", 30)


_ENGLISH: tuple[_Rule, ...] = (
    _fact(r"(the )?day after tomorrow\b", days=2),
    _fact(r"(tomorrow|tmrw|tmr|tom)\b", days=1),
    _fact(r"(today)\b", days=0),
    _fact(r"tonight\b", days=0, part=_EVENING),
    _fact(r"(eod|end of( the)? day)\b", days=0, part=_EVENING),
    _fact(r"(later )?this (?=morning|afternoon|evening|night)", days=0),
    _rule(r"(next|this) " + _WEEKDAY_EN, _weekday_of_week_en),
    _fact(r"next weekend\b", weeks=1, weekday=5),
    _fact(r"this weekend\b", weeks=0, weekday=5),
    _fact(r"(the )?weekend\b", weekday=5),
    _fact(r"(the )?week after next\b", weeks=2),
    _fact(r"next week\b", weeks=1),
    _fact(r"this week\b", weeks=0),
    _fact(r"next month\b", next_months=1),
    _rule(_MONTH_EN + r" (\d{1,2})(?:st|nd|rd|th)?\b(?: (\d{4})\b)?", _month_day_en),
    _rule(r"(\d{1,2})(?:st|nd|rd|th)?(?: of)? " + _MONTH_EN + r"(?: (\d{4})\b)?", _day_month_en),
    _rule(r"(?:the )?(\d{1,2})(?:st|nd|rd|th)\b", _numbers("day")),
    _rule(_WEEKDAY_EN, _weekday_en),
    _rule(r"half an hour\b", _half_hours),
    _rule(r"an hour and a half\b", lambda reading, _: reading.add("minutes", 90)),
    _rule(_COUNT_EN + r" ?" + _UNIT_EN, _count_en),
    _rule(r"(?:at )?(\d{1,2})(?:[:.](\d{2}))? ?([ap])\.?m\b\.?", _clock_en),
    _rule(r"(?:at )?(\d{1,2}):(\d{2})(?!\d)", _clock),
    _rule(r"at (\d{1,2})(?![\d:])", _hour_en),
    _fact(r"(at |in the )?(noon|midday)\b", part=_NOON),
    _rule(r"(at )?midnight\b", _midnight),
    _fact(r"(in the )?(early )?morning\b", part=_AM),
    _fact(r"(in the )?afternoon\b", part=_AFTERNOON),
    _fact(r"(in the )?evening\b", part=_EVENING),
    _fact(r"(at )?night\b", part=_NIGHT),
    _rule(r"(in|on|at|and|from now|later|until|till|by|the)\b", _nothing),
    _rule(r"(\d{1,2})$", _hour_en),
)


# Korean

_WEEKDAYS_KO = "월화수목금토일"
_COUNTS_KO = {
    "한": 1, "하나": 1, "두": 2, "세": 3, "네": 4, "다섯": 5, "여섯": 6, "일곱": 7, "여덟": 8, "아홉": 9, "열": 10, "열한": 11, "열두": 12,
    "일": 1, "이": 2, "삼": 3, "사": 4, "오": 5, "육": 6,
}  # fmt: skip
_COUNT_KO = rf"(\d{{1,4}}|{'|'.join(sorted(_COUNTS_KO, key=len, reverse=True))})"
_DAYS_KO = {"하루": 1, "이틀": 2, "사흘": 3, "나흘": 4, "닷새": 5, "엿새": 6, "일주일": 7, "열흘": 10, "보름": 15}
_LATER_KO = r"(?:뒤|후|이따가?|있다가?)(?:에)?"
# "1시간 30분 뒤", "두 시간 반 후": what is counted is known by the word at its end.
_SPAN_KO = rf"(?:{_COUNT_KO} ?(?:시간|분|일|주일|주|개월|달)(?: ?반)?|{'|'.join(_DAYS_KO)})"
_COUNTED_KO = re.compile(rf"{_COUNT_KO} ?(시간|분|일|주일|주|개월|달)( ?반)?|({'|'.join(_DAYS_KO)})")
_UNITS_KO = {"시간": "h", "분": "m", "일": "d", "주일": "w", "주": "w", "개월": "mo", "달": "mo"}


def _number_ko(said: str) -> int:
    return int(said) if said.isdigit() else _COUNTS_KO[said]


def _span_ko(reading: _Reading, match: re.Match[str]) -> None:
    for count, unit, half, days in _COUNTED_KO.findall(match[0]):
        if days:
            reading.add("days", _DAYS_KO[days])
            continue
        _ahead(reading, _number_ko(count), _UNITS_KO[unit])
        if half and unit != "시간":
            raise _NotUnderstood
        if half:
            reading.add("minutes", 30)


def _weekday_ko(reading: _Reading, match: re.Match[str]) -> None:
    reading.note(weekday=_WEEKDAYS_KO.index(match[1]))


def _hour_ko(reading: _Reading, match: re.Match[str]) -> None:
    reading.note(hour=_number_ko(match[1]), bare=1)


_KOREAN: tuple[_Rule, ...] = (
    _rule(rf"{_SPAN_KO}(?: ?{_SPAN_KO})* ?{_LATER_KO}", _span_ko),
    _rule(rf"반 ?시간 ?{_LATER_KO}", _half_hours),
    _fact(r"오늘", days=0),
    _fact(r"(내일 ?모레|모레|낼 ?모레)", days=2),
    _fact(r"(내일|낼)", days=1),
    _fact(r"글피", days=3),
    _fact(r"다다음 ?주", weeks=2),
    _fact(r"(다음|담|오는) ?주(?!말)", weeks=1),
    _fact(r"(다음|담) ?주말", weeks=1, weekday=5),
    _fact(r"이번 ?주(?!말)", weeks=0),
    _fact(r"이번 ?주말", weeks=0, weekday=5),
    _fact(r"주말", weekday=5),
    _fact(r"다다음 ?달", next_months=2),
    _fact(r"(다음|담) ?달", next_months=1),
    _fact(r"이번 ?달", next_months=0),
    _rule(r"(\d{4})년 ?(\d{1,2})월 ?(\d{1,2})일", _numbers("year", "month", "day")),
    _rule(r"(\d{1,2})월 ?(\d{1,2})일", _numbers("month", "day")),
    _rule(r"(\d{1,2})일", _numbers("day")),
    _rule(r"([월화수목금토일])(?:요일|욜)", _weekday_ko),
    _rule(r"([월화수목금토일])(?= |$)", _weekday_ko),
    _fact(r"정오", part=_NOON),
    _rule(r"자정", _midnight),
    _fact(r"(오전|아침)", part=_AM),
    _fact(r"새벽", part=_DAWN),
    _fact(r"(점심|낮|대낮)", part=_LUNCH),
    _fact(r"오후", part=_AFTERNOON),
    _fact(r"저녁", part=_EVENING),
    _fact(r"(밤|한밤)", part=_NIGHT),
    _rule(rf"{_COUNT_KO} ?시(?!간)", _hour_ko),
    _rule(r"(\d{1,2})분", _numbers("minute")),
    _fact(r"반", half=1),
    _rule(r"(에|까지|쯤|경|으로|로|의)(?= |$)", _nothing),
)
