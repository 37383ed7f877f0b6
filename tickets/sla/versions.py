"""A policy is saved as a version: who, when, and all of it; what changed between two is told in sentences, as of rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from agents.models import Agent, AuditEntry, Calendar
from tickets import conditions
from tickets.models import SlaPolicy, SlaPolicyVersion, SlaTarget, Ticket
from tickets.models.sla import SlaMetric
from tickets.routing.rules import span_of
from tickets.routing.versions import MOST, Change, changes, said_one_by_one
from tickets.timeline import label_of_metric, labels_of_status

Targets = dict[tuple[str, int], tuple[int, bool]]  # (metric, priority) -> seconds, in business time

_KEPT = ("name", "conditions", "calendar_id", "warn_percents", "pauses_in", "first_reply_from")


@transaction.atomic
def save(
    policy: SlaPolicy, targets: Targets, *, by: Agent | None, now: datetime, restored: int | None = None
) -> SlaPolicy:
    """Save it, new or changed, as its next version. Its place stays; a new one comes last. Written to the audit log."""
    before: dict[str, Any] = {}
    if policy.pk is None:
        last = SlaPolicy.objects.aggregate(last=Max("position"))["last"]
        policy.position, policy.version = (last + 1 if last is not None else 0), 1
    else:
        stored = SlaPolicy.objects.select_for_update().get(pk=policy.pk)
        before = content_of(stored, targets_of(stored)) | {"active": stored.active, "version": stored.version}
        policy.position, policy.version = stored.position, stored.version + 1
    policy.save()
    policy.targets.all().delete()
    SlaTarget.objects.bulk_create(
        SlaTarget(policy=policy, metric=metric, priority=priority, seconds=seconds, business=business)
        for (metric, priority), (seconds, business) in targets.items()
    )
    content = content_of(policy, targets)
    SlaPolicyVersion.objects.create(
        policy=policy, number=policy.version, content=content, restored=restored, by=by, at=now
    )
    after = content | {"active": policy.active, "version": policy.version}
    kind = "sla_policy_restored" if restored else "sla_policy_changed" if before else "sla_policy_added"
    AuditEntry.write(kind, actor=by, target=policy, facts={"before": before, "after": after})
    return policy


def restore(version: SlaPolicyVersion, *, by: Agent, now: datetime) -> SlaPolicy:
    """Make the policy what it was, as a new version; running clocks keep theirs. Raises conditions.Invalid when it speaks
    of what is gone."""
    policy, content = version.policy, version.content
    for name in _KEPT:
        if name in content:
            setattr(policy, name, content[name])
    conditions.validate(policy.conditions)
    if policy.calendar_id is not None and not Calendar.objects.filter(pk=policy.calendar_id).exists():
        raise conditions.Invalid(_("Its business hours do not exist any more."))
    return save(policy, _targets_in(content), by=by, now=now, restored=version.number)


def targets_of(policy: SlaPolicy) -> Targets:
    return {(one.metric, one.priority): (one.seconds, one.business) for one in policy.targets.all()}


def content_of(policy: SlaPolicy, targets: Targets) -> dict[str, Any]:
    matrix = [[*place, *target] for place, target in sorted(targets.items())]
    return {name: getattr(policy, name) for name in _KEPT} | {"targets": matrix}


@conditions.reading_once()
def history(policy: SlaPolicy) -> list[Change]:
    """The newest first, in the reader's language. A constant number of queries."""
    rows = list(policy.versions.select_related("by").order_by("-number")[: MOST + 1])
    names = dict(Calendar.objects.values_list("pk", "name"))
    return changes(rows, [sentences(row.content, names) for row in rows])


def sentences(content: Mapping[str, Any], calendars: Mapping[int, str]) -> list[str]:
    """A version line by line: its name, each condition that must hold, its hours, each promise, warnings and pauses."""
    calendar, warned, statuses = content["calendar_id"], content["warn_percents"], labels_of_status()
    hours = calendars.get(calendar, "?") if calendar else _("the default ones")
    begins = dict(SlaPolicy.From.choices).get(content["first_reply_from"], "?")
    lines = [_("Name: %(name)s") % {"name": content["name"]}, *said_one_by_one(content["conditions"])]
    lines.append(_("Business hours: %(hours)s") % {"hours": hours})
    targets = _targets_in(content)
    for priority, label in reversed(Ticket.Priority.choices):
        for metric in SlaMetric.values:
            if (target := targets.get((metric, priority))) is not None:
                lines.append(_promise(metric, str(label), *target))
    lines.append(_("The time to the first reply counts from %(moment)s") % {"moment": begins})
    if warned:
        lines.append(_("Warnings at %(percents)s") % {"percents": ", ".join(f"{percent} %" for percent in warned)})
    if paused := [str(statuses.get(status, status)) for status in content["pauses_in"]]:
        lines.append(_("Stands still while: %(statuses)s") % {"statuses": ", ".join(paused)})
    return lines


def _promise(metric: str, priority: str, seconds: int, business: bool) -> str:
    said = (
        _("%(promise)s at %(priority)s: %(time)s of business time")
        if business
        else _("%(promise)s at %(priority)s: %(time)s round the clock")
    )
    return said % {"promise": label_of_metric(metric), "priority": priority, "time": span_of(seconds // 60)}


def _targets_in(content: Mapping[str, Any]) -> Targets:
    return {(metric, priority): (seconds, business) for metric, priority, seconds, business in content["targets"]}
