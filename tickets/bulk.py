"""One deed on many tickets: a job with a row for each, worked off in the background, and taken back as one.

The rows are the truth. Each is done in one transaction with the verb itself, so that a worker may die at any moment:
a row is done, or it is still pending and somebody else does it. Rights are asked for each row when its turn comes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import uuid4

from django.db import OperationalError, transaction
from django.db.models import Count
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agents.models import Agent, Team
from tickets import actions, deeds, incidents, live, macros, undoing
from tickets.access import incidents_for, tickets_for
from tickets.models import BulkJob, BulkRow, Event, Incident, MacroUse, Ticket
from tickets.models.event import by_agent
from tickets.models.ticket import SPAM, UNSOLVED, tag_name
from tickets.numbers import whole_number
from tickets.templatetags.ui import PRIORITY_WORDS
from tickets.timeline import labels_of_priority, labels_of_status
from tickets.wake import wake

log = logging.getLogger(__name__)

MOST = 10_000  # tickets of one job
BATCH = 25  # rows of one job before another one has its turn
TELL = 0.5  # seconds between two words about the progress of a job
MOST_ERRORS = 200  # listed
KEPT = timedelta(days=30)
HANDS_ON = ("assign", "team", "queue")  # may say why

Value = dict[str, Any]
Verb = Callable[[Ticket, Value, Agent, datetime], Event | list[Event] | None]


class Invalid(ValueError):
    """A deed that cannot be done with this value. The text is for the person who asked."""


# -- What can be done ---------------------------------------------------------------------------------------------------


def _deed(kind: str) -> Verb:
    """A deed that a macro can do too."""

    def carry_out(ticket: Ticket, value: Value, agent: Agent, now: datetime) -> Event | None:
        return deeds.do({"do": kind, **value}, ticket, by=by_agent(agent), now=now)

    return carry_out


def _snooze(ticket: Ticket, value: Value, agent: Agent, now: datetime) -> Event | None:
    return actions.snooze(ticket, until=datetime.fromisoformat(value["until"]), by=by_agent(agent), now=now)


def _merge(ticket: Ticket, value: Value, agent: Agent, now: datetime) -> Event | None:
    into = tickets_for(agent).filter(pk=value["into"]).first()
    if into is None:
        raise actions.NotAllowed(_("The ticket to merge into is gone."))
    return actions.merge(ticket, into=into, by=by_agent(agent), now=now)


def _macro(ticket: Ticket, value: Value, agent: Agent, now: datetime) -> list[Event]:
    """What it does, without its answer: nobody has read that on each of these tickets."""
    use = deeds.carry_out(ticket, value["deeds"], macro_id=value["macro"], agent=agent, client_uuid=uuid4(), now=now)
    return list(Event.objects.filter(pk__in=use.event_ids).order_by("id"))


def _queue(ticket: Ticket, value: Value, agent: Agent, now: datetime) -> Event | None:
    """Away from whoever has it, into the queue of a team: routing finds somebody there."""
    team = Team.objects.filter(pk=value["team"]).first()
    if team is None:
        raise actions.NotAllowed(_("This team does not exist any more."))
    return actions.assign(ticket, assignee=None, team=team, by=by_agent(agent), now=now, reason=value.get("reason", ""))


def _spam(ticket: Ticket, value: Value, agent: Agent, now: datetime) -> list[Event]:
    """Tagged and out of the way: nobody is asked how it was (`analytics.surveys`), and one undo brings it back."""
    tagged = actions.change_tags(ticket, add=[SPAM], remove=[], by=by_agent(agent), now=now)
    ticket.refresh_from_db()
    solved = actions.solve(ticket, by=by_agent(agent), now=now) if ticket.is_unsolved else None
    return [event for event in (tagged, solved) if event]


def _incident(ticket: Ticket, value: Value, agent: Agent, now: datetime) -> Event | None:
    incident = incidents_for(agent).filter(pk=value["incident"]).first() if value["incident"] else None
    if value["incident"] and incident is None:
        raise actions.NotAllowed(_("This incident does not exist any more."))
    return incidents.link(ticket, incident, by=by_agent(agent), now=now)


def _incident_answer(ticket: Ticket, value: Value, agent: Agent, now: datetime) -> list[Event]:
    return incidents.answer(ticket, value, agent=agent, now=now)


VERBS: dict[str, Verb] = {
    "assign": _deed("assignee"),
    "team": _deed("team"),
    "queue": _queue,
    "status": _deed("status"),
    "priority": _deed("priority"),
    "snooze": _snooze,
    "tag": _deed("tag"),
    "untag": _deed("untag"),
    "merge": _merge,
    "macro": _macro,
    "incident": _incident,
    "incident_answer": _incident_answer,  # started by the incident's page only
    "spam": _spam,
}


def value_of(do: str, text: str, *, agent: Agent, now: datetime, reason: str = "") -> Value:
    """What the form said, as the job keeps it. `reason`: for whoever gets the tickets. Raises Invalid."""
    value = _value_of(do, text, agent=agent, now=now)
    return {**value, "reason": reason[: actions.MOST_REASON]} if reason and do in HANDS_ON else value


def _value_of(do: str, text: str, *, agent: Agent, now: datetime) -> Value:
    number = whole_number(text)
    if do == "assign" and (text in ("", "me") or (number and deeds.person(number))):
        return {"assignee": agent.pk if text == "me" else number}
    if do == "team" and (text == "" or (number and Team.objects.filter(pk=number).exists())):
        return {"team": number}
    if do == "queue" and number and Team.objects.filter(pk=number).exists():
        return {"team": number}
    if do == "status" and (text in UNSOLVED or text == Ticket.Status.SOLVED) and text != Ticket.Status.NEW:
        return {"status": text}
    if do == "priority" and text in _PRIORITIES:
        return {"priority": _PRIORITIES[text]}
    if do in ("tag", "untag"):
        names = sorted(set(map(tag_name, text.split(","))) - {""})
        if names and len(names) <= deeds.MOST_TAGS:
            return {"tags": names}
    if do == "merge" and number and tickets_for(agent).filter(pk=number).exists():
        return {"into": number}
    if do == "incident" and (text == "" or (number and incidents_for(agent).open().filter(pk=number).exists())):
        return {"incident": number}
    if do == "macro" and number:
        macro = macros.macros_for(agent).filter(pk=number).exclude(deeds=[]).first()
        if macro:
            return {"macro": macro.pk, "deeds": macro.deeds, "title": macro.title}
    if do == "spam":
        return {}
    if do == "snooze":
        return {"until": _future(text, now=now).isoformat()}
    raise Invalid(_("This cannot be done to several tickets."))


_PRIORITIES = {word: number for number, word in PRIORITY_WORDS.items()}


def _future(text: str, *, now: datetime) -> datetime:
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(_("Choose a time in the future.")) from None
    if until.tzinfo is None or until <= now:
        raise Invalid(_("Choose a time in the future."))
    return until


def sentence_of(job: BulkJob) -> str:
    """What the job does, in the active language: "12 tickets: assigned to Mina"."""
    tickets = ngettext("%(n)s ticket", "%(n)s tickets", job.total) % {"n": f"{job.total:,}"}
    return _("%(tickets)s: %(deed)s") % {"tickets": tickets, "deed": _said(job.do, job.value)}


def _said(do: str, value: Value) -> str:
    if do == "assign":
        person = Agent.objects.filter(pk=value["assignee"]).first() if value["assignee"] else None
        return _("assigned to %(name)s") % {"name": person.name} if person else _("assigned to nobody")
    if do == "team":
        team = Team.objects.filter(pk=value["team"]).first() if value["team"] else None
        return _("team %(name)s") % {"name": team.name} if team else _("without a team")
    if do == "queue":
        team = Team.objects.filter(pk=value["team"]).first()
        return _("back into the queue of %(name)s") % {"name": team.name if team else "?"}
    if do == "status":
        return str(labels_of_status()[value["status"]])
    if do == "priority":
        return _("priority %(name)s") % {"name": labels_of_priority()[value["priority"]]}
    if do in ("tag", "untag"):
        sign = "+" if do == "tag" else "−"
        return ", ".join(f"{sign}{name}" for name in value["tags"])
    if do in ("incident", "incident_answer"):
        incident = Incident.objects.filter(pk=value["incident"]).first() if value["incident"] else None
        if incident is None:
            return _("without an incident")
        words = _("answered about “%(title)s”") if do == "incident_answer" else _("incident “%(title)s”")
        return words % {"title": incident.title}
    if do == "macro":
        return _("macro “%(name)s”") % {"name": value["title"]}
    return {"snooze": _("snoozed"), "merge": _("merged"), "spam": _("marked as spam"), "undo": _("undone")}[do]


# -- Jobs ---------------------------------------------------------------------------------------------------------------


@transaction.atomic
def start(agent: Agent, do: str, value: Value, ticket_ids: Iterable[int]) -> BulkJob:
    """Keep the job with its rows, and wake a worker. `value` comes from `value_of`. At most MOST tickets."""
    ids = [pk for pk in dict.fromkeys(ticket_ids) if pk != value.get("into")][:MOST]
    job = BulkJob.objects.create(agent=agent, do=do, value=value, total=len(ids))
    _add_rows(job, ids)
    return job


def undo(job: BulkJob, *, agent: Agent, now: datetime) -> BulkJob:
    """Stop it where it is, and take back what it did. A second wish gives the same answer."""
    with transaction.atomic():
        locked = BulkJob.objects.select_for_update(no_key=True).get(pk=job.pk, agent=agent)
        known = BulkJob.objects.filter(undoes=locked).first()
        if known:
            return known
        if now - locked.created_at > undoing.GRACE or locked.undoes_id:
            raise actions.NotAllowed(_("This can no longer be undone."))
        stopped = BulkRow.objects.filter(job=locked, state=BulkRow.State.PENDING).update(state=BulkRow.State.SKIPPED)
        BulkJob.objects.filter(pk=locked.pk).update(stopped=stopped > 0)
        done = BulkRow.objects.filter(job=locked, state=BulkRow.State.DONE).order_by("-id")
        ids = list(done.values_list("ticket", flat=True))
        back = BulkJob.objects.create(agent=agent, do="undo", undoes=locked, total=len(ids))
        _add_rows(back, ids)
    return back


def _add_rows(job: BulkJob, ticket_ids: list[int]) -> None:
    BulkRow.objects.bulk_create((BulkRow(job=job, ticket_id=pk) for pk in ticket_ids), batch_size=2000)
    wake("tickets.tasks.work_off_bulk")


def progress_of(job: BulkJob) -> dict[str, Any]:
    """How far it is: what the browser shows, and can ask for again."""
    counted = BulkRow.objects.filter(job=job).order_by().values("state").annotate(n=Count("pk"))
    n = {row["state"]: row["n"] for row in counted}
    state = BulkRow.State
    return {
        "job": job.pk,
        "total": job.total,
        "done": n.get(state.DONE, 0) + n.get(state.UNCHANGED, 0),
        "failed": n.get(state.FAILED, 0),
        "left": n.get(state.PENDING, 0),
        "undo": job.do == "undo",
    }


def errors_of(job: BulkJob) -> list[BulkRow]:
    """What could not be done, with the ticket, at most MOST_ERRORS."""
    failed = BulkRow.objects.filter(job=job, state=BulkRow.State.FAILED).select_related("ticket__customer")
    return list(failed.order_by("id")[:MOST_ERRORS])


def forget_old(*, now: datetime) -> int:
    """Drop jobs that ended long ago, with their rows; the tickets' own events stay. Returns how many jobs."""
    old = BulkJob.objects.filter(finished_at__lt=now - KEPT)
    undos, jobs = old.filter(undoes__isnull=False), old.filter(undoes__isnull=True, undone_by__isnull=True)
    return sum(some.delete()[1].get("tickets.BulkJob", 0) for some in (undos, jobs))


# -- The work -----------------------------------------------------------------------------------------------------------


def drain(*, seconds: float, now: datetime) -> int:
    """Work off what is pending, the jobs in turn, for about so long. Returns how many rows; wakes a successor for the rest."""
    worked, until = 0, monotonic() + seconds
    told: dict[int, float] = {}
    while jobs := list(BulkJob.objects.filter(state=BulkJob.State.RUNNING).select_related("agent").order_by("id")):
        before = worked
        for job in jobs:
            worked += _batch(job, told, now=now)
            if monotonic() > until:
                wake("tickets.tasks.work_off_bulk")
                return worked
        if worked == before:
            break  # others are at the last rows
    return worked


def _batch(job: BulkJob, told: dict[int, float], *, now: datetime) -> int:
    worked = 0
    with translation.override(job.agent.language):
        while worked < BATCH and _one(job, now=now):
            worked += 1
    pending = BulkRow.objects.filter(job=job, state=BulkRow.State.PENDING)
    finished = not pending.exists() and BulkJob.objects.filter(pk=job.pk, state=BulkJob.State.RUNNING).update(
        state=BulkJob.State.DONE, finished_at=now
    )
    if finished or monotonic() - told.get(job.pk, 0) > TELL:
        told[job.pk] = monotonic()
        live.whisper("bulk", {"agent": job.agent_id, **progress_of(job)})
    return worked


def _one(job: BulkJob, *, now: datetime) -> bool:
    """The next row that nobody else is at, done with its deed in one transaction. False when there is none."""
    with transaction.atomic():
        pending = BulkRow.objects.filter(job=job, state=BulkRow.State.PENDING).order_by("id")
        row = pending.select_for_update(skip_locked=True, no_key=True).first()
        if row is None:
            return False
        try:
            with transaction.atomic():
                row.event_ids = [event.pk for event in _do(job, row, now=now)]
            row.state = BulkRow.State.DONE if row.event_ids else BulkRow.State.UNCHANGED
        except actions.NotAllowed as problem:
            row.state, row.error = BulkRow.State.FAILED, str(problem)[:300]
        except OperationalError:
            raise  # a deadlock, a lost connection: the row stays pending
        except Exception:
            log.exception("row %s of bulk job %s", row.pk, job.pk)
            row.state, row.error = BulkRow.State.FAILED, _("Something went wrong with this ticket.")
        row.save(update_fields=["state", "error", "event_ids"])
    return True


def _do(job: BulkJob, row: BulkRow, *, now: datetime) -> list[Event]:
    agent = job.agent
    ticket = tickets_for(agent).filter(pk=row.ticket_id).first()
    if ticket is None or not agent.is_active or not agent.may_reply:
        raise actions.NotAllowed(_("You can no longer see this ticket."))
    if job.undoes_id:
        return _take_back(job, ticket, now=now)
    done = VERBS[job.do](ticket, job.value, agent, now)
    return done if isinstance(done, list) else [done] if done else []


def _take_back(job: BulkJob, ticket: Ticket, *, now: datetime) -> list[Event]:
    of_row = BulkRow.objects.filter(job=job.undoes_id, ticket=ticket).values_list("event_ids", flat=True).get()
    MacroUse.objects.filter(ticket=ticket, agent=job.agent, event_ids=of_row).update(undone_at=now)
    undone = []
    for event in Event.objects.filter(pk__in=of_row).order_by("-id"):
        undone.append(undoing.undo(ticket, event, agent=job.agent, now=now))
        ticket.refresh_from_db()
    return [event for event in undone if event]
