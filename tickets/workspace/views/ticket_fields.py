"""Settings screens of the ticket fields: what one wants to know of tickets, in the order of the properties."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents.models import AuditEntry
from agents.permissions import admins_only, agent_of
from tickets.models import TicketField
from tickets.workspace import ordering
from tickets.workspace.forms import TicketFieldForm


@admins_only
@require_GET
def field_list(request: HttpRequest) -> HttpResponse:
    return render(request, "workspace/settings/ticket_fields.html", _listed())


def _listed() -> dict[str, Any]:
    return {"rows": TicketField.objects.select_related("brand", "team").order_by("position", "id")}


@admins_only
@require_POST
def order(request: HttpRequest) -> HttpResponse:
    """All fields in the posted `order`, as one step."""
    posted = request.POST.get("order", "")
    fits = ordering.reorder(TicketField.objects.all(), posted, kind="ticket_fields_ordered", by=agent_of(request))
    return render(request, "workspace/settings/ticket_field_rows.html", _listed(), status=200 if fits else 409)


@admins_only
@require_http_methods(["GET", "POST"])
def field(request: HttpRequest, field_id: int | None = None) -> HttpResponse:
    """A new one comes last."""
    found = get_object_or_404(TicketField, pk=field_id) if field_id else TicketField(position=_last() + 1)
    form = TicketFieldForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            saved = form.save()
            kind = "ticket_field_changed" if field_id else "ticket_field_added"
            AuditEntry.write(kind, actor=agent_of(request), target=saved, facts=_facts(saved))
        messages.success(request, _("Saved."))
        return redirect("ticket_fields")
    context = {"field": found, "form": form}
    return render(request, "workspace/settings/ticket_field.html", context, status=422 if form.is_bound else 200)


def _last() -> int:
    return TicketField.objects.order_by("-position").values_list("position", flat=True).first() or 0


def _facts(saved: TicketField) -> dict[str, Any]:
    names = ("key", "label", "kind", "choices", "brand_id", "team_id", "required", "active")
    return {name: getattr(saved, name) for name in names}
