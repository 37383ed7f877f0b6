"""Settings screens of the brands. Only who works for all of them may add one."""

from __future__ import annotations

import re

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.forms.models import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from agents.models import Agent, AuditEntry
from agents.permissions import admins_only, agent_of
from tickets.brands import brands_for, key_for
from tickets.models import Brand

_FIELDS = ("name", "language", "domain", "accent")


class BrandForm(forms.ModelForm):
    class Meta:
        model = Brand
        fields = _FIELDS
        help_texts = {
            "name": gettext_lazy("As customers see it."),
            "language": gettext_lazy("For customers whose own is not known."),
            "domain": gettext_lazy("It marks our mails as ours. Empty: that of the mailbox."),
            "accent": gettext_lazy("Of the chat, like #2d59d6. Empty: ours."),
        }

    def clean_accent(self) -> str:
        accent: str = self.cleaned_data["accent"]
        if accent and not re.fullmatch(r"#[0-9A-Fa-f]{6}", accent):
            raise ValidationError(_("Write a colour like #2d59d6."))
        return accent


@admins_only
@require_http_methods(["GET", "POST"])
def brand_list(request: HttpRequest) -> HttpResponse:
    """All that one works for, and a new one."""
    agent = agent_of(request)
    form = BrandForm(request.POST or None) if agent.brand_ids is None else None
    if request.method == "POST":
        if form is None:
            raise PermissionDenied
        if form.is_valid():
            form.instance.key = key_for(form.cleaned_data["name"])
            _save(form, before={}, by=agent)
            return redirect("brands")
    context = {"brands": brands_for(agent), "form": form}
    status = 422 if form and form.is_bound else 200
    return render(request, "workspace/settings/brands.html", context, status=status)


@admins_only
@require_http_methods(["GET", "POST"])
def brand(request: HttpRequest, brand_id: int) -> HttpResponse:
    agent = agent_of(request)
    found = get_object_or_404(brands_for(agent), pk=brand_id)
    name, before = found.name, model_to_dict(found, _FIELDS)
    form = BrandForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        _save(form, before=before, by=agent)
        messages.success(request, _("Saved."))
        return redirect("brands")
    status = 422 if form.is_bound else 200
    return render(request, "workspace/settings/brand.html", {"form": form, "name": name}, status=status)


@transaction.atomic
def _save(form: BrandForm, *, before: dict[str, str], by: Agent) -> None:
    saved = form.save()
    facts = {"before": before, "after": model_to_dict(saved, _FIELDS)}
    kind = "brand_changed" if before else "brand_added"
    AuditEntry.write(kind, actor=by, target=saved, brand_id=saved.pk, facts=facts)
