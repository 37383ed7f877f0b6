"""What happened, as sentences: every kind of Event, in one place.

`KINDS` says which kinds exist and what they mean; `SENTENCES` says those that the thread shows, in the reader's
language. Names of people and teams are looked up once by the caller (`Names`), so that a line costs no query.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

LONGEST_VALUE = 60  # characters of a field's value in a line


@dataclass(frozen=True)
class Kind:
    """`doc` says when it is written; `shown`: the thread has a line for it; `notifies`: it may concern somebody."""

    doc: str
    shown: bool = True
    notifies: bool = False


KINDS: Mapping[str, Kind] = {
    "ticket_created": Kind("A ticket began; `reason` is the matching decision"),
    "message_received": Kind(
        "The customer wrote; `reason` says why it landed on this ticket", shown=False, notifies=True
    ),
    "reply_posted": Kind("An agent's answer left the composer", shown=False, notifies=True),
    "message_forwarded": Kind("An agent wrote to somebody else about the ticket, in a side conversation", shown=False),
    "side_received": Kind("Somebody else answered in a side conversation", shown=False, notifies=True),
    "note_posted": Kind("An internal note was written", shown=False, notifies=True),
    "mentioned": Kind("A note names `agents` and `teams`", shown=False, notifies=True),
    "followers_changed": Kind("`added` follow the ticket, `removed` do no longer", shown=False),
    "automatic_message": Kind("A survey or an automatic reply was written", shown=False),
    "message_changed": Kind("A message was edited, deleted, or reacted to", shown=False),
    "message_unreadable": Kind("An item could not be read and waits in quarantine"),
    "delivery_changed": Kind("The delivery state of an answer moved on", shown=False),
    "delivery_failed": Kind("An answer could not be delivered", notifies=True),
    "status_changed": Kind("The status changed"),
    "solved": Kind("The ticket was solved"),
    "reopened": Kind("The ticket was reopened"),
    "closed": Kind("The ticket was closed for good"),
    "assigned": Kind("Assignee or team changed; `reason` is what was said to the next one", notifies=True),
    "pin_changed": Kind("A note was pinned above the thread, or no longer is; `from` and `to` are messages"),
    "routed": Kind("Routing decided; `decision` holds the trace", shown=False, notifies=True),
    "priority_changed": Kind("The priority changed"),
    "tags_changed": Kind("Tags were added or removed"),
    "fields_changed": Kind("Ticket fields changed; `changes` has `field`, `label`, `from` and `to` of each"),
    "incident_changed": Kind("The ticket was linked to an incident, or no longer is; `from` and `to` are ids"),
    "subject_changed": Kind("The subject changed"),
    "snoozed": Kind("The ticket was put to sleep until a time"),
    "woken": Kind("The snooze ended", notifies=True),
    "route_added": Kind("The customer can be reached here on a further channel"),
    "merged": Kind("Another ticket was merged into this one"),
    "unmerged": Kind("A merge was undone"),
    "linked": Kind("The ticket was linked to another one"),
    "sla_started": Kind("An SLA clock began", shown=False),
    "sla_recalculated": Kind("An SLA deadline moved, because business hours were edited", shown=False),
    "sla_met": Kind("An SLA promise was answered", shown=False),
    "sla_warning": Kind("An SLA deadline is near", notifies=True),
    "sla_breached": Kind("An SLA deadline passed", notifies=True),
    "promise_made": Kind(
        "An agent promised the customer `text` by `due_at`; `owner` has to keep it, `promise` is its id", notifies=True
    ),
    "promise_handed": Kind("Somebody else has to keep a promise; `from` and `to` are agents", notifies=True),
    "promise_kept": Kind("What was promised was done"),
    "promise_withdrawn": Kind("What was promised is not owed any more"),
    "promise_stands_again": Kind("A promise that was kept or withdrawn is owed again"),
    "survey_sent": Kind("The customer was asked how it was"),
    "rule_told": Kind(
        "A rule tells `agents`, `teams` or a receiver of webhooks; `rule` and `name` are its own",
        shown=False,
        notifies=True,
    ),
    "rated": Kind("The customer answered the survey", notifies=True),
    "undone": Kind("An action was taken back within its moment of grace", shown=False),
    "customer_joined": Kind("Two customers were joined; `reason` and `evidence` say why"),
    "customer_join_undone": Kind("A join of customers was undone"),
    "identity_added": Kind("An address was added to the customer", shown=False),
    "identity_opted_out": Kind("The customer does not want messages on this address"),
    "identity_opted_in": Kind("The customer wants messages on this address again"),
    "customer_back": Kind("The customer came back to a waiting chat", notifies=True),
    "customer_changed": Kind("The customer's particulars were edited", shown=False),
    "sent_anyway": Kind("An answer was sent although the thread had moved on"),
    "draft_stopped": Kind(
        "An answer that waited to be sent was not; `agent` is its author, `reason` says why", shown=False, notifies=True
    ),
    "mail_answer_refused": Kind(
        "An agent's answer by mail did not reach the customer; `reason` says why", notifies=True
    ),
    "channel_disconnected": Kind("A channel lost its provider; `channel` is its id", shown=False, notifies=True),
}


PLACEHOLDERS = {
    "unsupported": gettext_lazy("Unsupported message. Open the app to see it."),
    "unknown": gettext_lazy("A kind of message that we do not know yet"),
    "empty": gettext_lazy("Empty message"),
    "location": gettext_lazy("Location"),
    "contacts": gettext_lazy("Contact card"),
    "sticker": gettext_lazy("Sticker"),
    "voice": gettext_lazy("Voice message"),
    "order": gettext_lazy("Order"),
    "call": gettext_lazy("Call"),
    "unreadable": gettext_lazy("One message could not be read. Its original is kept."),
    "deleted": gettext_lazy("This message was deleted"),
}


@dataclass(frozen=True)
class Names:
    """Names by id, looked up once for a whole page of lines."""

    agents: Mapping[int, str]
    teams: Mapping[int, str]

    def agent(self, pk: int | None) -> str:
        return self.agents.get(pk, "?") if pk else _("nobody")

    def team(self, pk: int | None) -> str:
        return self.teams.get(pk, "?") if pk else _("no team")


def sentence(kind: str, actor: str, particulars: Mapping[str, Any], names: Names) -> str:
    """One line of the thread. `actor` is the name of who did it, "" for the system."""
    write = SENTENCES.get(kind)
    return write(actor or _("System"), particulars, names) if write else ""


def labels_of_status() -> Mapping[str, str]:
    return {
        "new": _("New"),
        "open": _("Open"),
        "pending": _("Pending"),
        "on_hold": _("On hold"),
        "solved": _("Solved"),
        "closed": _("Closed"),
    }


def labels_of_priority() -> Mapping[int, str]:
    return {1: _("Low"), 2: _("Normal"), 3: _("High"), 4: _("Urgent")}


def in_words(value: Any) -> str:
    """A value of a ticket field or a customer's attribute as people read it; "" for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def label_of_metric(metric: str) -> str:
    return {
        "first_reply": _("First reply"),
        "next_reply": _("Next reply"),
        "periodic_update": _("Periodic update"),
        "resolution": _("Resolution"),
        "team": _("Team’s turn"),
        "promise": _("Promise to the customer"),
    }.get(metric, metric)


def label_of_reason(reason: str) -> str:
    """Why a message landed where it did (`matching.Decision.reason`), or why a ticket began."""
    return str(REASONS.get(reason, reason))


REASONS = {
    "reply_token": gettext_lazy("it answers our reply address"),
    "reference": gettext_lazy("it answers one of our messages"),
    "hint": gettext_lazy("it was written in this conversation"),
    "same_channel": gettext_lazy("the customer has an open ticket on this channel"),
    "other_channel": gettext_lazy("it is the customer's only open ticket and was active in the last day"),
    "reopened": gettext_lazy("the customer came back within the reopen window"),
    "follow_up": gettext_lazy("the earlier ticket is closed or solved for too long"),
    "stranger_with_token": gettext_lazy("it used a reply address that belongs to somebody else"),
    "new": gettext_lazy("nothing open fits"),
    "agent": gettext_lazy("an agent began it"),
    "api": gettext_lazy("it came through the API"),
    "unreadable": gettext_lazy("something that came in could not be read"),
}


def label_of_failure(code: str) -> str:
    """Why an answer did not arrive, where the reason is ours; what a provider says is shown as it is."""
    return str(FAILURES.get(code, code))


def failure_in_words(code: str, detail: str) -> str:
    """Why it failed, as a sentence: ours by its code, a provider's in the provider's words."""
    if code in FAILURES and code != "rejected":
        return capfirst(label_of_failure(code)) + "."
    reason = capfirst(label_of_failure("rejected"))
    said = detail or ("" if code == "rejected" else code)
    return f"{reason}: {said}" if said else f"{reason}."


def advice_on_failure(code: str, *, opted_out: bool, bad_address: bool) -> str:
    """What to do about an answer that was not delivered."""
    if opted_out or code == "opted_out":
        return _("Answer on another channel.")
    if bad_address or code == "no_route":
        return _("Check the address, or answer on another channel.")
    if code == "window_closed":
        return _("Answer on another channel, or wait until the customer writes again.")
    if code == "disconnected":
        return _("An administrator has to reconnect the channel. Until then, answer on another one.")
    if code in ("gave_up", "crashed", "timeout", "fault"):
        return _("Try again. If it fails once more, answer on another channel.")
    if code == "by_hand":
        return ""
    return _("Change what the provider refused and send it again, or answer on another channel.")


FAILURES = {
    "opted_out": gettext_lazy("the customer does not want messages on this address"),
    "window_closed": gettext_lazy("the time for free answers is over on this channel"),
    "no_route": gettext_lazy("there is no address to send it to"),
    "rejected": gettext_lazy("the provider refused it"),
    "gave_up": gettext_lazy("the provider could not be reached for too long"),
    "disconnected": gettext_lazy("the channel was disconnected for too long"),
    "crashed": gettext_lazy("sending it failed three times on our side"),
    "no_answer": gettext_lazy("the provider did not say whether it took it"),
    "timeout": gettext_lazy("the provider did not answer in time"),
    "fault": gettext_lazy("sending it failed on our side"),
    "by_hand": gettext_lazy("marked as failed"),
}


def label_of_refusal(reason: str) -> str:
    """Why an agent's answer by mail did not go to the customer, and what became of it."""
    return str(REFUSALS.get(reason, reason))


REFUSALS = {
    "unproven": gettext_lazy("its sender could not be proven"),
    "no_right": gettext_lazy("its author may not answer here"),
    "stale": gettext_lazy("the conversation had moved on; it is kept as a note"),
    "unreachable": gettext_lazy("the customer cannot be reached this way now; it is kept as a note"),
}


def reason_given(it: Mapping[str, Any]) -> str:
    """Why a ticket was handed on (`assigned`): what a person said, or why it was taken back; "" where nobody knows."""
    return f"“{it['reason']}”" if it.get("reason") else str(TAKEN_BACK.get(it.get("cause", ""), ""))


TAKEN_BACK = {
    "agent_away": gettext_lazy("away for too long"),
    "agent_inactive": gettext_lazy("whoever had it was switched off"),
    "not_accepted": gettext_lazy("not taken up in time"),
    "undone": gettext_lazy("taken back"),
}


def _assigned(who: str, it: Mapping[str, Any], names: Names) -> str:
    return " · ".join(filter(None, (_given(who, it, names), reason_given(it))))


def _given(who: str, it: Mapping[str, Any], names: Names) -> str:
    before, after = it.get("from", {}), it.get("to", {})
    if after.get("assignee") != before.get("assignee"):
        if after.get("assignee") and after.get("team") and after.get("team") != before.get("team"):
            return _("%(who)s · Assignee: %(agent)s · Team: %(team)s") % {
                "who": who,
                "agent": names.agent(after["assignee"]),
                "team": names.team(after["team"]),
            }
        if it.get("cause") == "answered":
            return _("%(who)s · Assignee: %(agent)s, who answered first") % {
                "who": who,
                "agent": names.agent(after["assignee"]),
            }
        return _("%(who)s · Assignee: %(agent)s") % {"who": who, "agent": names.agent(after.get("assignee"))}
    return _("%(who)s · Team: %(team)s") % {"who": who, "team": names.team(after.get("team"))}


def _status(who: str, it: Mapping[str, Any], names: Names) -> str:
    labels = labels_of_status()
    return _("%(who)s · Status: %(from)s → %(to)s") % {
        "who": who,
        "from": labels.get(it.get("from", ""), ""),
        "to": labels.get(it.get("to", ""), ""),
    }


def _priority(who: str, it: Mapping[str, Any], names: Names) -> str:
    labels = labels_of_priority()
    return _("%(who)s · Priority: %(from)s → %(to)s") % {
        "who": who,
        "from": labels.get(it.get("from", 0), ""),
        "to": labels.get(it.get("to", 0), ""),
    }


def _tags(who: str, it: Mapping[str, Any], names: Names) -> str:
    signed = [f"+{tag}" for tag in it.get("added", [])] + [f"−{tag}" for tag in it.get("removed", [])]
    return _("%(who)s · Tags: %(tags)s") % {"who": who, "tags": ", ".join(signed)}


def _fields(who: str, it: Mapping[str, Any], names: Names) -> str:
    said = [
        _("%(field)s: %(from)s → %(to)s")
        % {"field": one["label"], "from": _begin(one["from"]) or "–", "to": _begin(one["to"]) or "–"}
        for one in it.get("changes", [])
    ]
    return f"{who} · {', '.join(said)}"


def _promised(who: str, it: Mapping[str, Any], names: Names) -> str:
    said = {"who": who, "owner": names.agent(it.get("owner")), "text": it.get("text", "")}
    if said["owner"] == who:
        return _("%(who)s · Promised the customer: “%(text)s”") % said
    return _("%(who)s · Promised the customer, %(owner)s keeps it: “%(text)s”") % said


def _begin(value: Any) -> str:
    text = in_words(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


SENTENCES: Mapping[str, Callable[[str, Mapping[str, Any], Names], str]] = {
    "ticket_created": lambda who, it, names: (
        _("New ticket: %(reason)s") % {"reason": label_of_reason(it.get("reason", "new"))}
    ),
    "message_unreadable": lambda who, it, names: _("One message could not be read. Its original is kept."),
    "delivery_failed": lambda who, it, names: (
        _("Not delivered: %(error)s") % {"error": it.get("error") or label_of_failure(it.get("code", ""))}
    ),
    "status_changed": _status,
    "solved": lambda who, it, names: _("%(who)s · Solved") % {"who": who},
    "reopened": lambda who, it, names: _("%(who)s · Reopened") % {"who": who},
    "closed": lambda who, it, names: (
        _("Closed: nothing came any more after it was solved") if it.get("cause") == "solved_long_ago" else _("Closed")
    ),
    "assigned": _assigned,
    "pin_changed": lambda who, it, names: (
        (_("%(who)s · Pinned a note") if it.get("to") else _("%(who)s · Unpinned the note")) % {"who": who}
    ),
    "priority_changed": _priority,
    "tags_changed": _tags,
    "fields_changed": _fields,
    "incident_changed": lambda who, it, names: (
        (
            _("%(who)s · Linked to the incident “%(title)s”")
            if it.get("to")
            else _("%(who)s · No longer linked to the incident “%(title)s”")
        )
        % {"who": who, "title": it.get("title", "")}
    ),
    "subject_changed": lambda who, it, names: (
        _("%(who)s · Subject: %(subject)s") % {"who": who, "subject": it.get("to", "")}
    ),
    "snoozed": lambda who, it, names: _("%(who)s · Snoozed") % {"who": who},
    "woken": lambda who, it, names: (
        _("Snooze ended: the customer has written") if it.get("cause") == "customer_wrote" else _("Snooze ended")
    ),
    "route_added": lambda who, it, names: (
        _("Can now be reached by %(channel)s as well") % {"channel": it.get("name", "")}
    ),
    "merged": lambda who, it, names: (
        _("%(who)s · Merged with #%(number)s") % {"who": who, "number": it.get("number", "")}
    ),
    "unmerged": lambda who, it, names: (
        _("%(who)s · Merge with #%(number)s undone") % {"who": who, "number": it.get("number", "")}
    ),
    "linked": lambda who, it, names: (
        _("Linked with #%(number)s: %(reason)s")
        % {"number": it.get("number", ""), "reason": label_of_reason(it.get("reason", ""))}
    ),
    "sla_warning": lambda who, it, names: (
        _("%(metric)s: %(percent)s%% of the time has passed")
        % {"metric": label_of_metric(it.get("metric", "")), "percent": it.get("percent", "")}
    ),
    "sla_breached": lambda who, it, names: (
        _("%(metric)s: deadline missed") % {"metric": label_of_metric(it.get("metric", ""))}
    ),
    "promise_made": _promised,
    "promise_handed": lambda who, it, names: (
        _("%(who)s · Promise handed to %(agent)s: “%(text)s”")
        % {"who": who, "agent": names.agent(it.get("to")), "text": it.get("text", "")}
    ),
    "promise_kept": lambda who, it, names: (
        _("%(who)s · Promise kept: “%(text)s”") % {"who": who, "text": it.get("text", "")}
    ),
    "promise_withdrawn": lambda who, it, names: (
        _("%(who)s · Promise withdrawn: “%(text)s”") % {"who": who, "text": it.get("text", "")}
    ),
    "promise_stands_again": lambda who, it, names: (
        _("%(who)s · Promise stands again: “%(text)s”") % {"who": who, "text": it.get("text", "")}
    ),
    "survey_sent": lambda who, it, names: _("Survey sent"),
    "rated": lambda who, it, names: _("Satisfaction: %(score)s of 5") % {"score": it.get("score", "")},
    "customer_joined": lambda who, it, names: _("%(who)s · Customers joined") % {"who": who},
    "customer_join_undone": lambda who, it, names: _("%(who)s · Join of customers undone") % {"who": who},
    "identity_opted_out": lambda who, it, names: _("Opted out: %(value)s") % {"value": it.get("value", "")},
    "identity_opted_in": lambda who, it, names: _("Opted in again: %(value)s") % {"value": it.get("value", "")},
    "customer_back": lambda who, it, names: _("The customer is back"),
    "sent_anyway": lambda who, it, names: _("%(who)s · Sent although the thread had moved on") % {"who": who},
    "mail_answer_refused": lambda who, it, names: (
        _("%(who)s · An answer by mail did not reach the customer: %(reason)s")
        % {"who": names.agent(it.get("agent")), "reason": label_of_refusal(it.get("reason", ""))}
    ),
}
