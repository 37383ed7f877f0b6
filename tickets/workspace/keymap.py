"""The key map: what each key does and where. static/js/lib/keys.js acts on it; the `?` sheet and the palette show it.

Written as data once, so that keys, sheet, palette, tooltips and `aria-keyshortcuts` can never disagree.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _words
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override


@dataclass(frozen=True)
class Command:
    """One thing that a key does.

    `keys`: strokes such as "J", "Shift+J", "Mod+Enter" (Mod is ⌘ on a Mac, else Ctrl), or a sequence "G I".
    `scope`: anywhere, workspace (list or ticket) or composer. `repeats`: a held key may do it again.
    A command runs the function that a module registered for its id, else it presses the page's visible control with
    `data-command="<id>"`.
    """

    id: str
    keys: tuple[str, ...]
    label: Any
    group: Any
    scope: str = "workspace"
    repeats: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id, "keys": self.keys, "label": str(self.label), "group": str(self.group),
            "scope": self.scope, "repeats": self.repeats, "also": _in_other_languages(self.label),
        }  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A page of the settings, for the palette. `admins`: only they get in; `all_brands`: of them those of every brand."""

    label: Any
    url: str
    admins: bool = True
    all_brands: bool = False

    def opens_for(self, person: Any) -> bool:
        if self.all_brands and getattr(person, "brand_ids", None) is not None:
            return False
        return not self.admins or getattr(person, "is_admin", False)

    def as_json(self) -> dict[str, Any]:
        return {"label": str(self.label), "url": self.url, "also": _in_other_languages(self.label)}


def _in_other_languages(label: Any) -> list[str]:
    """What it is called in the other languages: one may look for what one does not read."""
    here, words = str(label), []
    for language, _name in settings.LANGUAGES:
        with override(language):
            words.append(str(label))
    return [word for word in words if word != here]


ANYWHERE, MOVE, TICKET, WRITE = _("Anywhere"), _("Moving"), _("This ticket"), _("Writing")

COMMANDS: tuple[Command, ...] = (
    Command("palette.open", ("Mod+K",), _("Search commands"), ANYWHERE, "anywhere"),
    Command("keys.show", ("?",), _("Keyboard shortcuts"), ANYWHERE, "anywhere"),
    Command("search.focus", ("/",), _("Search tickets"), ANYWHERE, "anywhere"),
    Command("ticket.create", ("C",), _("New ticket"), ANYWHERE, "anywhere"),
    Command("undo.last", ("Z",), _("Undo"), ANYWHERE, "anywhere"),
    Command("nav.toggle", ("[",), _("Show or hide the navigation"), ANYWHERE, "anywhere"),
    Command("side.toggle", ("]",), _("Show or hide the customer panel"), ANYWHERE, "anywhere"),
    Command("go.inbox", ("G I",), _("Go to the inbox"), ANYWHERE, "anywhere"),
    Command("go.mine", ("G M",), _("Go to my tickets"), ANYWHERE, "anywhere"),
    Command("go.unassigned", ("G U",), _("Go to unassigned tickets"), ANYWHERE, "anywhere"),
    Command("go.all", ("G A",), _("Go to all tickets"), ANYWHERE, "anywhere"),
    Command("go.snoozed", ("G S",), _("Go to snoozed tickets"), ANYWHERE, "anywhere"),
    Command("go.team", ("G T",), _("Go to my team's tickets"), ANYWHERE, "anywhere"),
    Command("go.reports", ("G R",), _("Go to the reports"), ANYWHERE, "anywhere"),
    Command("go.customers", ("G C",), _("Go to the customers"), ANYWHERE, "anywhere"),
    Command("go.settings", ("G ,",), _("Go to the settings"), ANYWHERE, "anywhere"),
    Command("go.notifications", ("G N",), _("Show notifications"), ANYWHERE, "anywhere"),
    Command("go.view", tuple(f"G {n}" for n in range(1, 10)), _("Go to a saved view"), MOVE),
    Command("play.start", ("G P",), _("Play this view: one ticket after the other"), MOVE),
    Command("list.next", ("J", "ArrowDown"), _("Next ticket"), MOVE, repeats=True),
    Command("list.previous", ("K", "ArrowUp"), _("Previous ticket"), MOVE, repeats=True),
    Command("list.open", ("Enter", "O"), _("Open the ticket"), MOVE),
    Command("list.back", ("U", "Escape"), _("Back to the list"), MOVE),
    Command("list.select", ("X",), _("Select the ticket"), MOVE),
    Command("list.extend_down", ("Shift+J",), _("Extend the selection down"), MOVE, repeats=True),
    Command("list.extend_up", ("Shift+K",), _("Extend the selection up"), MOVE, repeats=True),
    Command("list.select_all", ("* A",), _("Select all"), MOVE),
    Command("list.select_none", ("* N",), _("Select none"), MOVE),
    Command("ticket.reply", ("R",), _("Reply"), TICKET),
    Command("ticket.note", ("N",), _("Internal note"), TICKET),
    Command("ticket.forward", ("F",), _("Forward"), TICKET),
    Command("ticket.assign", ("A",), _("Assign"), TICKET),
    Command("ticket.take", ("I",), _("Assign to me"), TICKET),
    Command("ticket.team", ("Shift+A",), _("Assign to a team"), TICKET),
    Command("ticket.solve_next", ("E",), _("Solve and open the next"), TICKET),
    Command("ticket.solve", ("Shift+E",), _("Solve and stay"), TICKET),
    Command("ticket.status", ("S",), _("Set the status"), TICKET),
    Command("ticket.snooze", ("H", "B"), _("Snooze"), TICKET),
    Command("ticket.promise", ("Y",), _("Promise the customer something"), TICKET),
    Command("ticket.priority", ("P",), _("Set the priority"), TICKET),
    Command("ticket.tags", ("L", "T"), _("Edit tags"), TICKET),
    Command("ticket.incident", ("Shift+I",), _("Link to an incident"), TICKET),
    Command("ticket.follow", ("Shift+F",), _("Follow or unfollow the ticket"), TICKET),
    Command("ticket.pin", ("Shift+P",), _("Pin or unpin a note"), TICKET),
    Command("ticket.macro", ("M",), _("Apply a macro"), TICKET),
    Command("ticket.more", (".",), _("More actions"), TICKET),
    Command("ticket.spam", ("!",), _("Mark as spam"), TICKET),
    Command("ticket.unread", ("Shift+U",), _("Mark as unread"), TICKET),
    Command("composer.send", ("Mod+Enter",), _("Send"), WRITE, "composer"),
    Command("composer.send_solve", ("Mod+Shift+Enter",), _("Send and solve"), WRITE, "composer"),
    Command("composer.bold", ("Mod+B",), _("Bold"), WRITE, "composer"),
    Command("composer.italic", ("Mod+I",), _("Italic"), WRITE, "composer"),
    Command("composer.link", ("Mod+K",), _("Make a link of the selected text"), WRITE, "composer"),
    Command("composer.leave", ("Escape",), _("Leave the composer, keep the draft"), WRITE, "composer"),
)

PLACES: tuple[Place, ...] = (
    Place(_("Channels"), "/settings/channels/"),
    Place(_("Dead letters"), "/settings/dead-letters/"),
    Place(_("Brands"), "/settings/brands/"),
    Place(_("Ticket fields"), "/settings/fields/"),
    Place(_("Agents"), "/settings/people/"),
    Place(_("Teams"), "/settings/teams/"),
    Place(_("Skills"), "/settings/skills/"),
    Place(_("Business hours"), "/settings/hours/"),
    Place(_("Routing rules"), "/settings/rules/"),
    Place(_("Automatic answers"), "/settings/answers/"),
    Place(_("Incidents"), "/settings/incidents/", admins=False),
    Place(_("Macros"), "/settings/macros/", admins=False),
    Place(_("Signatures"), "/settings/signatures/", admins=False),
    Place(_("SLA policies"), "/settings/sla/"),
    Place(_("Webhooks"), "/settings/webhooks/", all_brands=True),
    Place(_("Profile"), "/settings/profile/", admins=False),
    Place(_("Notifications"), "/settings/notifications/", admins=False),
    Place(_("Keyboard shortcuts"), "/settings/keys/", admins=False),
)


# -- Keys of one's own --------------------------------------------------------------------------------------------------

NAMED = {"enter": "Enter", "escape": "Escape", "esc": "Escape", "arrowdown": "ArrowDown", "arrowup": "ArrowUp"}
SIGNS = frozenset("?/![].,*#;'`-=\\")
RESERVED = frozenset(f"Mod+{letter}" for letter in "TNWLRQHM") | {f"Mod+Shift+{letter}" for letter in "NTP"}
MOST_KEYS = 3  # of one command
_BETWEEN = re.compile(r"(?<=\S),\s*(?=\S)")  # a comma between keys, not the key that "G ," ends with


def can_change(command: Command) -> bool:
    """The composer's own keys belong to the field in it, and the nine of the saved views to their places."""
    return command.scope != "composer" and command.id != "go.view"


def commands_for(own: Mapping[str, Sequence[str]]) -> list[Command]:
    """The key map as this person has it. What a later version no longer knows is left out."""
    return [
        replace(command, keys=tuple(own[command.id])) if command.id in own and can_change(command) else command
        for command in COMMANDS
    ]


def read_keys(wishes: Mapping[str, str]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Command id -> typed keys ("R", "Shift+R", "G I", several with commas), as own keys and as problems by command.

    Only what differs from the key map is kept. Each problem is a sentence: a key that is not to be had, or that two
    commands of the same place want.
    """
    own: dict[str, list[str]] = {}
    problems: dict[str, str] = {}
    for command in filter(can_change, COMMANDS):
        if command.id not in wishes:
            continue
        try:
            keys = [_stroke_path(typed) for typed in _BETWEEN.split(wishes[command.id]) if typed.strip()]
        except ValueError as problem:
            problems[command.id] = str(problem)
            continue
        if len(keys) > MOST_KEYS:
            problems[command.id] = _words("At most three keys for one command.")
        elif tuple(keys) != command.keys:
            own[command.id] = list(dict.fromkeys(keys))
    for command, other, wanted in _conflicts(commands_for(own)):
        changed = command if command.id in own else other
        rival = other if changed is command else command
        problems.setdefault(
            changed.id, _words("%(keys)s is taken by “%(command)s”.") % {"keys": wanted, "command": rival.label}
        )
    return own, problems


def _stroke_path(typed: str) -> str:
    """ "shift+r" as "Shift+R", "g i" as "G I". Raises ValueError with a sentence."""
    strokes = typed.split()
    if len(strokes) > 2:
        raise ValueError(_words("One key, or two one after the other."))
    path = [_one_stroke(stroke) for stroke in strokes]
    if len(path) == 2 and any(len(stroke) > 1 for stroke in path):
        raise ValueError(_words("Two keys one after the other are plain ones, such as G I."))
    return " ".join(path)


def _one_stroke(typed: str) -> str:
    *modifiers, name = [part.lower() for part in typed.split("+")]
    key = NAMED.get(name) or (
        name.upper() if len(name) == 1 and name.isascii() and (name.isalnum() or name in SIGNS) else ""
    )
    if not key or not set(modifiers) <= {"mod", "ctrl", "cmd", "⌘", "shift"}:
        raise ValueError(_words("“%(typed)s” is no key that can be used here.") % {"typed": typed})
    parts = ["Mod"] if set(modifiers) - {"shift"} else []
    if "shift" in modifiers:
        if key in SIGNS or key.isdigit():
            raise ValueError(_words("Write the sign itself instead of Shift with a key."))
        parts.append("Shift")
    stroke = "+".join([*parts, key])
    if stroke in RESERVED:
        raise ValueError(_words("%(keys)s belongs to the browser.") % {"keys": stroke})
    return stroke


def _conflicts(commands: Sequence[Command]) -> Iterator[tuple[Command, Command, str]]:
    """Pairs of commands that want the same key, or of which one's key begins the other's."""
    taken: dict[str, Command] = {}
    begun: dict[str, Command] = {}
    for command in commands:
        for keys in () if command.scope == "composer" else command.keys:
            if taken.setdefault(keys, command) is not command:
                yield command, taken[keys], keys
            if " " in keys:
                begun.setdefault(keys.split()[0], command)
    for first, command in begun.items():
        if first in taken:
            yield command, taken[first], first
