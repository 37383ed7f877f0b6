"""The panel's own words, in the visitor's language."""

from __future__ import annotations

from django.utils.translation import gettext as _


def panel_texts(brand: str) -> dict[str, str]:
    """By the names that static/widget/ uses. Placeholders in braces are filled in by the browser."""
    return {
        "greeting": _("Hello! How can we help?"),
        "here": _("We are here for you"),
        "wait": _("We usually reply within {wait}"),
        "away": _("Nobody is free right now. Leave a message, and we will reply as soon as we can."),
        "closed": _("We are back {when}. Leave a message, and we will reply then."),
        "start": _("Send us a message"),
        "go_on": _("Continue your conversation"),
        "recent": _("Your conversations"),
        "solved": _("Solved"),
        "empty_thread": _("Write to {brand}. Everything you write stays here, also when you come back later.").replace(
            "{brand}", brand
        ),
        "you": _("You"),
        "team": brand,
        "placeholder": _("Write a message…"),
        "sending": _("Sending…"),
        "accepted": _("Sent"),
        "arrived": _("Delivered"),
        "seen": _("Seen"),
        "failed": _("Not sent"),
        "waiting": _("Waiting for the connection"),
        "again": _("Try again"),
        "discard": _("Discard"),
        "edited": _("edited"),
        "typing": _("{name} is typing"),
        "someone_typing": _("Typing"),
        "today": _("Today"),
        "yesterday": _("Yesterday"),
        "newer": _("New messages"),
        "reconnecting": _("Reconnecting…"),
        "offline": _("No connection. What you write is kept and sent later."),
        "solved_line": _("This conversation was marked as solved. Just write if you need anything else."),
        "by_email": _("by e-mail"),
        "by_sms": _("by text message"),
        "by_whatsapp": _("on WhatsApp"),
        "remove_file": _("Remove {name}"),
        "too_long": _("This is too long."),
        "file_too_big": _("This file is too big. The limit is {size}."),
        "too_many_files": _("At most {n} files in one message."),
        "file_failed": _("The file could not be uploaded."),
        "rate_limited": _("That was a lot at once. It will be sent in a moment."),
        "closed_now": _("The chat is closed for new visitors right now. Please try again later."),
        "refused": _("This could not be sent."),
        "contact_title": _("Where can we reach you if you leave?"),
        "contact_thanks": _("Thank you. If you leave, we will write to you there."),
        "survey_thanks": _("Thank you for your answer."),
        "survey_more": _("Would you like to tell us more?"),
        "survey_send": _("Send"),
        "survey_help": _("I still need help"),
        "survey_1": _("Very bad"),
        "survey_2": _("Bad"),
        "survey_3": _("Okay"),
        "survey_4": _("Good"),
        "survey_5": _("Very good"),
        "unread": _("{n} unread"),
    }
