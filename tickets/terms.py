"""What somebody looks for, made ready for the index of words. Pure.

The index (migration `search`) holds stems of words, and pairs of the signs that Korean, Japanese and Chinese write in
a row: "환불은" is 환불 + 불은, so that 환불 finds it. The other way round the particle is taken off what is asked.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import phonenumbers

SIGNS = "぀-ヿㇰ-ㇿㄱ-ㆎ㐀-䶿一-鿿가-힣々"
_ONLY_SIGNS = re.compile(f"[{SIGNS}]+")
_PHONE = re.compile(r"\+?[0-9][0-9 ().-]{5,18}[0-9]")
_HANGUL_END = re.compile("[가-힣]{3,}$")
HOME_REGION = "KR"  # of a number that is written without its country

# Particles, the longest first. At least two syllables stay: "우리" and "고양이" are not cut to nothing.
_PARTICLES = sorted(
    (
        "은 는 이 가 을 를 에 의 도 만 과 와 로 으로 에서 에게 한테 께 께서 부터 까지 처럼 보다 마다 조차 밖에 이나 라도 이라도"
        " 에는 에도 에서는 에서도 으로는 으로도 로는 로도 이랑 하고 이란 이라는 라는 입니다 이에요 예요 인가요 인데 이고"
    ).split(),
    key=len,
    reverse=True,
)


@dataclass(frozen=True)
class Asked:
    """Any of `words` is enough. `prefix`: words that begin so, too."""

    words: tuple[str, ...]
    prefix: bool = False


def asked(term: str) -> Asked:
    """How a single term is looked up: `refund`, `refun*`, `환불은`, `#1042`, `010-1234-5678`, `ana@example.com`."""
    words = unicodedata.normalize("NFKC", term).strip().lstrip("#")
    if _PHONE.fullmatch(words):
        return Asked(_numbers(words))
    if words.endswith("*"):
        return Asked((words.rstrip("*"),), prefix=True)
    if len(words) == 1:
        return Asked((words,), prefix=bool(_ONLY_SIGNS.fullmatch(words)))
    return Asked((without_particle(words),))


def without_particle(word: str) -> str:
    """ "환불은" -> "환불"; "고객센터에서" -> "고객센터". Two syllables at least stay."""
    found = _HANGUL_END.search(word)
    if not found:
        return word
    for particle in _PARTICLES:
        if found[0].endswith(particle) and len(found[0]) - len(particle) >= 2:
            return word.removesuffix(particle)
    return word


def is_of_signs(text: str) -> bool:
    """Only Hangul, Kana and Han, two at least: what its pairs find is what contains it."""
    return len(text) > 1 and _ONLY_SIGNS.fullmatch(text) is not None


def can_begin(term: str) -> bool:
    """Whether looking for words that begin so is worth a try: letters, three at least, without a star yet."""
    return len(term) >= 3 and not term.endswith("*") and not _ONLY_SIGNS.search(term) and not _PHONE.fullmatch(term)


def _numbers(words: str) -> tuple[str, ...]:
    digits = re.sub(r"\D", "", words)
    try:
        number = phonenumbers.parse(words, HOME_REGION)
    except phonenumbers.NumberParseException:
        return (digits,)
    world = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).lstrip("+")
    home = re.sub(r"\D", "", phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL))
    return tuple(dict.fromkeys((digits, world, home)))
