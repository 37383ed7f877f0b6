"""Which language a text is in: by its script first, by its letters second, else by what is known of the customer."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from py3langid import langid

LEAST_LETTERS = 20  # below that the letters say too little
LEAST_CERTAIN = 0.7
LONGEST = 4000  # characters that are looked at
# Scripts that name their language; the rest is told apart by its letters.
_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")
_KANA = re.compile(r"[\u3041-\u30ff]")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_QUIET = re.compile(r"https?://\S+|\S+@\S+")
_SPOKEN = (
    "en",
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "nl",
    "sv",
    "da",
    "pl",
    "cs",
    "tr",
    "vi",
    "id",
    "ru",
    "uk",
    "ar",
    "he",
    "th",
    "hi",
)


def detect(text: str, *, otherwise: str = "") -> str:
    """A two-letter code; `otherwise` where the text says too little. Mixed text is Korean from a fifth of Hangul on."""
    text = _QUIET.sub(" ", text[:LONGEST])
    letters = sum(unicodedata.category(c)[0] == "L" for c in text)
    if not letters:
        return otherwise
    if len(_HANGUL.findall(text)) * 5 >= letters:
        return "ko"
    if len(_KANA.findall(text)) * 5 >= letters:
        return "ja"
    if len(_HAN.findall(text)) * 2 >= letters:
        return "ja" if _KANA.search(text) else "zh"
    if letters < LEAST_LETTERS:
        return otherwise
    language, certainty = _identifier().classify(text)
    return str(language) if certainty >= LEAST_CERTAIN else otherwise


@lru_cache(maxsize=1)
def _identifier() -> langid.LanguageIdentifier:
    """Read once a process: about 0.2 s."""
    identifier = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(_SPOKEN))
    return identifier
