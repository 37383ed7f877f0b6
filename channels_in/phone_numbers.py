"""Telephone numbers as identities: E.164, one spelling for one person."""

from __future__ import annotations

import re

import phonenumbers

# Countries whose customers can be addressed in one language without asking. Others: nothing is guessed.
_LANGUAGE_OF_REGION = {
    "KR": "ko",
    "JP": "ja",
    "US": "en",
    "GB": "en",
    "AU": "en",
    "NZ": "en",
    "IE": "en",
    "DE": "de",
    "FR": "fr",
}


def e164(number: str, *, region: str | None = None) -> str:
    """`number` in E.164, or "" when it is none. `region` (ISO 3166) reads a number without a country code."""
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(parsed):
        return ""
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def from_wa_id(wa_id: str) -> str:
    """The E.164 number of a WhatsApp id (digits without +), or "".

    WhatsApp keeps old spellings of three countries, under which the carriers no longer know the number: Brazil without
    the ninth digit, Argentina without the mobile 9, Mexico with the former mobile 1. The carriers' spelling is kept, so
    that SMS and WhatsApp meet at one identity.
    """
    digits = re.sub(r"\D", "", wa_id)
    if match := re.fullmatch(r"55(\d\d)([6-9]\d{7})", digits):
        digits = f"55{match[1]}9{match[2]}"
    elif match := re.fullmatch(r"54([1-8]\d{9})", digits):
        digits = f"549{match[1]}"
    elif match := re.fullmatch(r"521(\d{10})", digits):
        digits = f"52{match[1]}"
    return e164(f"+{digits}") if digits else ""


def language_of(number: str) -> str:
    """The language that a number's country suggests, or ""."""
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return ""
    return _LANGUAGE_OF_REGION.get(region or "", "")
