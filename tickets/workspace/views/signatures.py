"""Settings screen of signatures: everybody has their own; administrators write those of brands and teams."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from agents.models import Team
from agents.permissions import agent_of
from tickets import signatures, variables
from tickets.brands import brands_for
from tickets.models import Brand, Signature


class SignatureForm(forms.Form):
    """`brands` None: the author's own."""

    text = forms.CharField(
        label=gettext_lazy("Text"),
        required=False,
        max_length=signatures.LONGEST,
        widget=forms.Textarea(attrs={"rows": 5}),
    )

    def __init__(self, *args: Any, brands: QuerySet[Brand] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if brands is not None:
            self.fields["brand"] = forms.ModelChoiceField(brands, label=gettext_lazy("Brand"), empty_label=None)
            self.fields["team"] = forms.ModelChoiceField(
                Team.objects.order_by("name"),
                label=gettext_lazy("Team"),
                required=False,
                empty_label=_("every team"),
            )
            self.order_fields(["brand", "team", "text"])

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        if odd := variables.unknown(text):
            raise ValidationError(_("There is no such variable: %(names)s") % {"names": ", ".join(odd)})
        return text


@login_required
@require_http_methods(["GET", "POST"])
def signature_list(request: HttpRequest) -> HttpResponse:
    """One's own, and for administrators those of brands: `?brand=1&team=2` opens one of them. An empty text removes it."""
    agent = agent_of(request)
    brands = brands_for(agent) if agent.is_admin else None
    own = Signature.objects.filter(agent=agent).first()
    own_form = SignatureForm(prefix="own", initial={"text": own.text if own else ""})
    shared_form = SignatureForm(prefix="shared", brands=brands, initial=_asked(request, brands)) if brands else None
    if request.method == "POST":
        if "shared" in request.POST:
            if brands is None:
                raise PermissionDenied
            form = shared_form = SignatureForm(request.POST, prefix="shared", brands=brands)
        else:
            form = own_form = SignatureForm(request.POST, prefix="own")
        if form.is_valid():
            signatures.keep(
                form.cleaned_data["text"],
                by=agent,
                brand=form.cleaned_data.get("brand"),
                team=form.cleaned_data.get("team"),
            )
            messages.success(request, _("Saved."))
            return redirect("signatures")
    shared = Signature.objects.filter(brand__in=brands).select_related("brand", "team") if brands else None
    context = {
        "own_form": own_form,
        "shared_form": shared_form,
        "shared": shared.order_by("brand__name", "team__name", "pk") if shared is not None else [],
        "variables": variables.offered(),
    }
    problem = own_form.errors or (shared_form and shared_form.errors)
    return render(request, "workspace/settings/signatures.html", context, status=422 if problem else 200)


def _asked(request: HttpRequest, brands: QuerySet[Brand]) -> dict[str, Any]:
    """The signature that is to be changed, in the form."""
    brand, team = request.GET.get("brand", ""), request.GET.get("team", "")
    if not (brand.isascii() and brand.isdigit()):
        return {}
    found = Signature.objects.filter(brand__in=brands, brand=int(brand[:18]))
    found = found.filter(team=int(team[:18])) if team.isascii() and team.isdigit() else found.filter(team__isnull=True)
    one = found.first()
    return {"brand": one.brand_id, "team": one.team_id, "text": one.text} if one else {}
