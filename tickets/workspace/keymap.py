"""The key map: what each key does and where. static/js/lib/keys.js acts on it; the `?` sheet and the palette show it.

Written as data once, so that keys, sheet, palette, tooltips and `aria-keyshortcuts` can never disagree.
"""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


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
            "scope": self.scope, "repeats": self.repeats,
        }  # fmt: skip


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
    Command("ticket.priority", ("P",), _("Set the priority"), TICKET),
    Command("ticket.tags", ("L", "T"), _("Edit tags"), TICKET),
    Command("ticket.follow", ("Shift+F",), _("Follow or unfollow the ticket"), TICKET),
    Command("ticket.macro", ("M",), _("Apply a macro"), TICKET),
    Command("ticket.more", (".",), _("More actions"), TICKET),
    Command("ticket.spam", ("!",), _("Mark as spam"), TICKET),
    Command("ticket.unread", ("Shift+U",), _("Mark as unread"), TICKET),
    Command("composer.send", ("Mod+Enter",), _("Send"), WRITE, "composer"),
    Command("composer.send_solve", ("Mod+Shift+Enter",), _("Send and solve"), WRITE, "composer"),
    Command("composer.leave", ("Escape",), _("Leave the composer, keep the draft"), WRITE, "composer"),
)
