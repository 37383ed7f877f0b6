"""An ordered list of the settings is put into another order, as one step."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from agents.models import Agent, AuditEntry


@transaction.atomic
def reorder(rows: QuerySet[Any], posted: str, *, kind: str, by: Agent) -> bool:
    """Give the rows the places of `posted`, their ids with commas. False where these are not exactly the ones that are
    there: somebody else has added or removed one. Written to the audit log as `kind`, unless nothing changes."""
    ordered = list(rows.select_for_update().order_by("position", "id"))
    by_id = {str(row.pk): row for row in ordered}
    wanted = posted.split(",") if posted else []
    if sorted(wanted) != sorted(by_id):
        return False
    if wanted == list(by_id):
        return True
    for place, pk in enumerate(wanted):
        by_id[pk].position = place
    rows.model._default_manager.bulk_update(ordered, ["position"])
    AuditEntry.write(kind, actor=by, facts={"order": [by_id[pk].pk for pk in wanted]})
    return True
