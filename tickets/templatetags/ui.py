"""The words and marks of the screens: icons, initials, times, statuses, channels.

Everything here is the same for every reader of one language, so that one rendering of a row or bubble serves all.
"""

import zlib
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil
from typing import Any

from django import template
from django.conf import settings
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join, json_script
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from lucide import _render_icon as render_lucide

from agents import presence
from agents.models import Agent
from tickets import formatting, fragments, live
from tickets.models import Ticket
from tickets.workspace.keymap import PLACES, commands_for

register = template.Library()

HUES = 8

#: kind -> (icon, word, hue). A kind that is not here is shown as "Other" and never crashes a page.
CHANNELS: dict[str, tuple[str, Any, int]] = {
    "email": ("mail", gettext_lazy("E-mail"), 0),
    "sms": ("smartphone", gettext_lazy("SMS"), 7),
    "webchat": ("message-circle", gettext_lazy("Chat"), 1),
    "whatsapp": ("phone", "WhatsApp", 2),
    "messenger": ("zap", "Messenger", 0),
    "instagram": ("camera", "Instagram", 5),
    "line": ("message-square", "LINE", 2),
    "kakao": ("message-square-more", gettext_lazy("KakaoTalk"), 3),
    "telegram": ("send", "Telegram", 0),
    "x": ("at-sign", "X", 7),
    "voice": ("phone-call", gettext_lazy("Phone"), 4),
    "api": ("webhook", "API", 6),
}
OTHER_CHANNEL = ("radio", gettext_lazy("Other channel"), 6)

STATUSES: dict[str, Any] = dict(Ticket.Status.choices)

#: Priority as the ticket stores it -> the word that styles know it by.
PRIORITY_WORDS = {priority.value: priority.name.lower() for priority in Ticket.Priority}

_PRIORITY_ICONS = {"low": "chevrons-down", "normal": "equal", "high": "chevrons-up", "urgent": "octagon-alert"}

#: priority word -> (icon, word)
PRIORITIES: dict[str, tuple[str, Any]] = {
    word: (_PRIORITY_ICONS[word], Ticket.Priority(number).label) for number, word in PRIORITY_WORDS.items()
}

#: delivery state -> (icon, word)
DELIVERY_STATES: dict[str, tuple[str, Any]] = {
    "queued": ("clock", gettext_lazy("Sending")),
    "sending": ("clock", gettext_lazy("Sending")),
    "sent": ("check", gettext_lazy("Sent")),
    "delivered": ("check-check", gettext_lazy("Delivered")),
    "read": ("check-check", gettext_lazy("Read")),
    "failed": ("circle-alert", gettext_lazy("Failed")),
    "uncertain": ("circle-question-mark", gettext_lazy("Unconfirmed")),
}

KEY_WORDS = {
    "enter": "↵", "escape": "Esc", "esc": "Esc", "shift": "⇧", "up": "↑", "down": "↓", "arrowup": "↑", "arrowdown": "↓",
}  # fmt: skip


# --- Icons ---------------------------------------------------------------------------------------------------------


@register.simple_tag
def icon(name: str, size: int = 16, label: str = "") -> SafeString:
    """An inline SVG of the installed icon package. With a label it is an image to a screen reader, else decoration."""
    return _icon(str(name), int(size), str(label))


@lru_cache(maxsize=1024)
def _icon(name: str, size: int, label: str) -> SafeString:
    extra = {"role": "img", "aria-label": label} if label else {"aria-hidden": "true"}
    # The string comes from the package's own XML tree, in which attribute values are escaped.
    return mark_safe(render_lucide(name, size, **{"class": "icon", "stroke-width": "1.5", **extra}))


@register.simple_tag
def channel_icon(kind: str, size: int = 16, label: bool = False) -> SafeString:
    return icon(_channel(kind)[0], size, str(_channel(kind)[1]) if label else "")


@register.filter
def channel_name(kind: str) -> str:
    return str(_channel(kind)[1])


@register.filter
def channel_hue(kind: str) -> int:
    return _channel(kind)[2]


def _channel(kind: str) -> tuple[str, Any, int]:
    return CHANNELS.get(kind or "", OTHER_CHANNEL)


# --- Texts ---------------------------------------------------------------------------------------------------------


@register.filter
def formatted(text: str) -> str:
    """An agent's text with its marks as formatting, addresses as links."""
    return formatting.as_html(text)


@register.simple_tag
def fragment(template_name: str, **facts: Any) -> str:
    """A component with nothing but these facts, as it was rendered for somebody before (tickets/fragments.py)."""
    return fragments.html(template_name, **facts)


# --- People --------------------------------------------------------------------------------------------------------


@register.filter
def initial(name: str | None) -> str:
    """The first letter or Hangul syllable of a name, capital; '' when the name has none (a number, an empty name)."""
    for character in str(name or "").strip():
        if character.isalpha():
            return character.upper()
        if character.isdigit() or character == "+":
            return ""
    return ""


@register.filter
def hue(text: Any) -> int:
    """One of the eight soft hues, 0 to 7, the same for the same text in every process."""
    return zlib.crc32(str(text or "").strip().casefold().encode()) % HUES


# --- Words ---------------------------------------------------------------------------------------------------------


@register.filter
def presence_word(state: str) -> str:
    return str(Agent.Presence(state).label)


@register.filter
def status_label(status: str) -> str:
    return str(STATUSES.get(status, status))


@register.filter
def priority_word(priority: int | str) -> str:
    """low, normal, high or urgent, from the stored number or the word itself."""
    return PRIORITY_WORDS.get(priority, str(priority)) if isinstance(priority, int) else str(priority)


@register.filter
def priority_label(priority: int | str) -> str:
    word = priority_word(priority)
    return str(PRIORITIES[word][1]) if word in PRIORITIES else word


@register.filter
def priority_icon(priority: int | str) -> str:
    return PRIORITIES.get(priority_word(priority), PRIORITIES["normal"])[0]


@register.filter
def delivery_label(state: str) -> str:
    return str(DELIVERY_STATES[state][1]) if state in DELIVERY_STATES else str(state)


@register.filter
def delivery_icon(state: str) -> str:
    return DELIVERY_STATES.get(state, DELIVERY_STATES["queued"])[0]


@register.filter
def file_icon(content_type: str) -> str:
    """The icon of an attachment by its (our own, detected) content type."""
    family = (content_type or "").split("/")[0]
    by_family = {"image": "image", "audio": "audio-lines", "video": "film", "text": "file-text"}
    if content_type in ("application/zip", "application/gzip", "application/x-tar"):
        return "file-archive"
    if content_type == "application/pdf":
        return "file-text"
    return by_family.get(family, "file")


# --- Time ----------------------------------------------------------------------------------------------------------


@register.simple_tag
def my_standing(agent: Any) -> dict[str, Any]:
    """One's own presence now; while wrapping up, until when and for how many seconds yet."""
    now = timezone.now()
    state = presence.chosen(agent, now=now)
    if state != "wrap_up":
        return {"state": state}
    return {"state": state, "until": agent.wrap_up_until, "seconds": ceil((agent.wrap_up_until - now).total_seconds())}


@register.simple_tag
def timestamp(moment: datetime | None, style: str = "relative") -> SafeString:
    """A <time> whose words the browser writes in the reader's own zone (static/js/lib/time.js).

    Styles: relative ("3 min ago"), row ("12:04", "Mon", "Sep 26"), clock ("12:04"), date, datetime.
    The words inside are UTC, for readers without JavaScript, and the same for everyone.
    """
    if moment is None:
        return mark_safe("")
    utc = moment.astimezone(UTC) if timezone.is_aware(moment) else moment.replace(tzinfo=UTC)
    words = formats.date_format(utc, "H:i") if style == "clock" else formats.date_format(utc, "SHORT_DATETIME_FORMAT")
    return format_html(
        '<time datetime="{}" data-time="{}">{}</time>', utc.isoformat(timespec="milliseconds"), style, words
    )


@register.filter
def iso(moment: datetime | None) -> str:
    return moment.isoformat(timespec="milliseconds") if moment else ""


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as the two largest units that matter: "2d 4h", "3h 05m", "12m", "45s"; a dash for None."""
    if seconds is None:
        return "–"
    total = round(abs(seconds))
    sign = "−" if seconds < 0 else ""
    days, rest = divmod(total, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        words = _("%(days)dd %(hours)dh") % {"days": days, "hours": hours}
    elif hours:
        words = _("%(hours)dh %(minutes)02dm") % {"hours": hours, "minutes": minutes}
    elif minutes:
        words = _("%(minutes)dm") % {"minutes": minutes}
    else:
        words = _("%(seconds)ds") % {"seconds": left}
    return sign + words


# --- What the modules in static/js need to know ------------------------------------------------------------------------


@register.filter
def against_before(change: int) -> str:
    """How many more or fewer than in the hour before, in words."""
    if change == 0:
        return _("as many as in the hour before")
    return _("%(change)s against the hour before") % {"change": f"+{change:,}" if change > 0 else f"−{-change:,}"}


@register.simple_tag(takes_context=True)
def js_words(context: Any) -> SafeString:
    """The sentences that the browser itself says, in the page's language, as a JSON block with the id `words`."""
    words = {
        "now": _("now"),
        "undo": _("Undo"),
        "offline": _("Offline, drafts are safe"),
        "reconnecting": _("Reconnecting"),
        "back": _("Back, %(count)s updates loaded"),
        "backOne": _("Back, 1 update loaded"),
        "backNone": _("Back, nothing was missed"),
        "newBuild": _("New version, reload when ready"),
        "waits": _("Waits for the connection"),
        "waiting": _("%(count)s to send"),
        "notTaken": _("An answer was not sent. Its text is in the draft."),
        "notSent": _("An answer was not sent: the conversation has moved on. Its text is in the draft."),
        "failed": _("That did not work. Check your connection and try again."),
        "copied": _("Copied"),
        "settings": _("Settings"),
        "notHere": _("not on this screen"),
        "you": _("You:"),
        "draft": _("Draft:"),
        "typing": _("typing…"),
        "due": _("due %(at)s"),
        "businessHours": _("counts business hours"),
        "standsStill": _("paused: the time stands still"),
    }
    return json_script(words, "words")


@register.simple_tag
def build_id() -> str:
    """Which scripts and styles this page came with (tickets/live.py)."""
    return live.build()


@register.simple_tag
def idle_minutes() -> int:
    """After so long without a key somebody who is online is away (agents/presence.py); 0: never."""
    return settings.IDLE_MINUTES


@register.simple_tag(takes_context=True)
def key_map(context: Any) -> SafeString:
    """Every command with this person's keys, and whether single keys are on, as a JSON block with the id `key-map`."""
    user = getattr(context.get("request"), "user", None)
    chosen = {
        "single": bool(getattr(user, "shortcuts_on", True)),
        "sendKey": getattr(user, "send_key", "enter"),
        "commands": [command.as_json() for command in commands_for(getattr(user, "own_keys", {}))],
        "places": [place.as_json() for place in PLACES if place.opens_for(user)],
    }
    return json_script(chosen, "key-map")


@register.simple_tag
def in_demo() -> bool:
    """Whether the demo's pages (simulator, style guide) exist here."""
    return bool(settings.DEBUG or getattr(settings, "DEMO", False))


# --- Keys ----------------------------------------------------------------------------------------------------------


@register.simple_tag
def keys(strokes: str) -> SafeString:
    """`{% keys "Mod+Enter" %}` as <kbd> elements. The browser writes ⌘ for Mod on a Mac (static/js/lib/keys.js)."""
    return format_html_join("", "<kbd{}>{}</kbd>", (_key(part) for part in strokes.replace("+", " ").split()))


def _key(part: str) -> tuple[SafeString, str]:
    if part.lower() == "mod":
        return mark_safe(" data-mod"), "Ctrl"
    return mark_safe(""), KEY_WORDS.get(part.lower(), part.upper() if len(part) == 1 else part)


# --- Style sheets --------------------------------------------------------------------------------------------------


@register.filter
def split_words(text: str) -> list[str]:
    return text.split()


@register.filter
def under(path: str, prefix: str) -> bool:
    """`request.path|under:"/settings/teams/"`"""
    return str(path).startswith(prefix)


@register.simple_tag
def section_of(path: str) -> str:
    """Which item of the rail a page belongs to, by its address."""
    first, *rest = str(path or "/").strip("/").split("/")
    if first == "tickets" and rest[:1] == ["new"]:
        return "new"
    first = "reports" if first == "board" else first
    return first if first in ("customers", "notifications", "reports", "settings", "simulator") else "inbox"


@register.filter
def pairs(text: str) -> list[list[str]]:
    """`"a:1 b:2"` as pairs, for a loop in a template."""
    return [part.split(":", 1) for part in text.split()]


@register.filter
def pane_px(width: Any, bounds: str) -> int:
    """A stored pane width as whole pixels between the bounds, `"280,480"`; the lower bound if it is no number."""
    low, high = (int(bound) for bound in bounds.split(","))
    return min(high, max(low, int(width))) if isinstance(width, int | float) else low


# --- Forms ---------------------------------------------------------------------------------------------------------


@register.filter
def widget_kind(field: Any) -> str:
    """check, choices, switch or control: how components/field.html lays a bound form field out."""
    widget = field.field.widget
    if getattr(widget, "attrs", {}).get("data-switch"):
        return "switch"
    name = type(widget).__name__
    if name in ("RadioSelect", "CheckboxSelectMultiple"):
        return "choices"
    return "check" if getattr(widget, "input_type", "") == "checkbox" else "control"
