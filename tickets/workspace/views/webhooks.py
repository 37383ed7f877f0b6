"""Settings screens of the outgoing webhooks. They hear of every brand, so only who works for all of them has them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents.models import Agent, AuditEntry
from agents.permissions import admins_only, agent_of, proved_lately
from tickets import http, outbox
from tickets.models import Outbox, Rule, Webhook

SHOWN = 5  # of the deliveries that failed
_FIELDS = ("url", "events", "active")

# What receivers ask for. One may hear of any other kind of event too, by hearing of all.
EVENTS = {
    "ticket_created": Rule.When.CREATED.label,
    "message_received": gettext_lazy("The customer writes"),
    "reply_posted": Rule.When.AGENT_REPLIED.label,
    "note_posted": gettext_lazy("An internal note is written"),
    "delivery_failed": gettext_lazy("An answer cannot be delivered"),
    "assigned": Rule.When.ASSIGNED.label,
    "status_changed": gettext_lazy("The status changes between open, pending and on hold"),
    "solved": gettext_lazy("A ticket is solved"),
    "reopened": gettext_lazy("A ticket is reopened"),
    "closed": gettext_lazy("A ticket is closed for good"),
    "merged": gettext_lazy("A ticket is merged into another one"),
    "priority_changed": Rule.When.PRIORITY_CHANGED.label,
    "tags_changed": Rule.When.TAGS_CHANGED.label,
    "fields_changed": Rule.When.FIELDS_CHANGED.label,
    "sla_warning": Rule.When.SLA_WARNING.label,
    "sla_breached": Rule.When.SLA_BREACHED.label,
    "rated": Rule.When.RATED.label,
    "customer_changed": gettext_lazy("A customer's particulars are edited"),
}


class WebhookForm(forms.ModelForm):
    url = forms.URLField(
        max_length=500,
        assume_scheme="https",
        label=gettext_lazy("Webhook address"),
        widget=forms.URLInput(attrs={"placeholder": "https://", "autocomplete": "off"}),
        help_text=gettext_lazy("An https address on the internet that takes a POST."),
    )
    events = forms.MultipleChoiceField(
        required=False,
        label=gettext_lazy("Events"),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("None chosen: all that happens, also what is not listed here."),
    )

    class Meta:
        model = Webhook
        fields = _FIELDS
        labels = {"active": gettext_lazy("Switched on")}
        widgets = {"active": forms.CheckboxInput(attrs={"data-switch": "1"})}
        help_texts = {
            "active": gettext_lazy("Switched off nothing is sent to it. What waits for it goes to the dead letters.")
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = [kind for kind in self.instance.events if kind not in EVENTS]
        choices = [*EVENTS.items(), *((kind, kind) for kind in others)]
        self.fields["events"].choices = choices  # type: ignore[attr-defined]

    def clean_url(self) -> str:
        """Refused now is what every call would be refused for."""
        url: str = self.cleaned_data["url"]
        try:
            target = http.parse(url)
        except http.Refused:
            target = None
        if target is None or (target.scheme != "https" and not target.allowed):
            raise ValidationError(_("Write an https address without a port, a name or a password in it."))
        try:
            http.check(url)
        except http.Refused:
            raise ValidationError(
                _("This address leads into a private network. Only public addresses are called.")
            ) from None
        except http.FetchError:
            raise ValidationError(_("No server has this name. Look for a typing mistake.")) from None
        return url


@admins_only
@require_GET
def webhook_list(request: HttpRequest) -> HttpResponse:
    _of_all_brands(request)
    backlog = outbox.backlog()
    rows = [
        {"webhook": one, "events": _in_words(one.events), **backlog.get(one.pk, {"waiting": 0, "failed": 0})}
        for one in Webhook.objects.order_by("url", "pk")
    ]
    return render(request, "workspace/settings/webhooks.html", {"rows": rows})


@admins_only
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Answers with its secret, which is shown on this one page and never again."""
    agent = _of_all_brands(request)
    form = WebhookForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.instance.secrets = {"current": (fresh := outbox.new_secret())}
        _save(form, before={}, by=agent)
        return _told(request, form.instance, fresh)
    return render(request, "workspace/settings/webhook.html", {"form": form}, status=422 if form.is_bound else 200)


@admins_only
@require_http_methods(["GET", "POST"])
def webhook(request: HttpRequest, webhook_id: int) -> HttpResponse:
    agent = _of_all_brands(request)
    found = get_object_or_404(Webhook, pk=webhook_id)
    address, before = found.url, _facts(found)
    form = WebhookForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        _save(form, before=before, by=agent)
        messages.success(request, _("Saved."))
        return redirect("webhooks")
    failed = outbox.unfinished(found).filter(state=Outbox.State.QUARANTINED).order_by("-pk")[:SHOWN]
    context = {"form": form, "webhook": found, "address": address, "failed": failed}
    return render(request, "workspace/settings/webhook.html", context, status=422 if form.is_bound else 200)


@admins_only
@require_POST
def secret(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """A new one. Who has not proved lately who they are is asked for it first."""
    agent = _of_all_brands(request)
    get_object_or_404(Webhook, pk=webhook_id)
    if not proved_lately(request):
        messages.info(request, _("Nothing was changed yet. Confirm who you are, and then press the button again."))
        place = urlencode({"next": reverse("webhook", args=[webhook_id])})
        return redirect(f"{reverse('account_reauthenticate')}?{place}")
    with transaction.atomic():
        renewed, fresh = outbox.renew_secret(webhook_id)
        AuditEntry.write("webhook_secret_made", actor=agent, target=renewed, facts={"url": renewed.url})
    return _told(request, renewed, fresh)


@admins_only
@require_POST
def test(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """One signed request now, and what came of it in words."""
    _of_all_brands(request)
    found = get_object_or_404(Webhook, pk=webhook_id)
    try:
        status = outbox.send_test(found, now=timezone.now()).status
    except http.Refused:
        messages.error(request, _("This address leads into a private network. Only public addresses are called."))
    except http.FetchError:
        messages.error(request, _("No answer came. Look whether the system runs and its certificate is valid."))
    else:
        say = messages.success if 200 <= status < 300 else messages.error
        say(request, _answer_in_words(status))
    return redirect("webhook", webhook_id=webhook_id)


@admins_only
@require_http_methods(["GET", "POST"])
def deletion(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """Asks first, with what would go too."""
    agent = _of_all_brands(request)
    found = get_object_or_404(Webhook, pk=webhook_id)
    if request.method == "POST":
        with transaction.atomic():
            AuditEntry.write("webhook_deleted", actor=agent, target=found, facts={"before": _facts(found)})
            outbox.forget(found)
        messages.success(request, _("Deleted."))
        return redirect("webhooks")
    calling = Rule.objects.filter(actions__contains=[{"do": "webhook", "webhook": found.pk}]).order_by("position", "pk")
    context = {"webhook": found, "count": outbox.unfinished(found).count(), "rules": calling}
    return render(request, "workspace/settings/webhook_deletion.html", context)


def _answer_in_words(status: int) -> str:
    facts = {"status": status}
    if 200 <= status < 300:
        return _("It works: the answer was HTTP %(status)s.") % facts
    if 300 <= status < 400:
        return _("HTTP %(status)s: it points to another address. Enter that one; redirects are not followed.") % facts
    if status in (401, 403):
        return _("HTTP %(status)s: it does not accept the request. Check the secret there.") % facts
    if status in (404, 410):
        return _("HTTP %(status)s: nothing takes requests at this address.") % facts
    if status >= 500:
        return _("HTTP %(status)s: the other system has a fault.") % facts
    return _("HTTP %(status)s: this does not count as delivered.") % facts


def _of_all_brands(request: HttpRequest) -> Agent:
    agent = agent_of(request)
    if agent.brand_ids is not None:
        raise PermissionDenied
    return agent


def _told(request: HttpRequest, webhook: Webhook, fresh: str) -> HttpResponse:
    context = {"webhook": webhook, "secret": fresh}
    response = render(request, "workspace/settings/webhook_secret.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _in_words(kinds: list[str]) -> list[str]:
    return [str(EVENTS.get(kind, kind)) for kind in kinds]


def _facts(webhook: Webhook) -> dict[str, Any]:
    return {name: getattr(webhook, name) for name in _FIELDS}


@transaction.atomic
def _save(form: WebhookForm, *, before: dict[str, Any], by: Agent) -> None:
    """Switched on again, or at another address, it has five days to answer once more."""
    saved, names = form.instance, [*_FIELDS]
    if not before.get("active") or before["url"] != saved.url:
        saved.failing_since = None
        names.append("failing_since")
    saved.save(update_fields=names if before else None)
    facts = {"before": before, "after": _facts(saved)}
    AuditEntry.write("webhook_changed" if before else "webhook_added", actor=by, target=saved, facts=facts)
