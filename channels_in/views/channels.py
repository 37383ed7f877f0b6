"""Settings screens of the channels: how each does, what connects it, its settings and secrets. For admins."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from copy import copy
from datetime import datetime
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents.models import Agent, AuditEntry
from agents.permissions import admins_only, agent_of, proved_lately
from channels_in import templates
from channels_in.forms import ChannelForm, difference, form_of, forms_by_kind, secrets_of
from channels_in.health import Health, health_of
from channels_in.webchat import identity
from tickets.brands import brands_for
from tickets.channels import UnknownKind, adapter_for
from tickets.models import Channel
from tickets.routing import assign as routing
from tickets.templatetags.ui import timestamp
from tickets.wake import wake

# -- The list, and a new one ------------------------------------------------------------------------------------------


@admins_only
@require_GET
def channels(request: HttpRequest) -> HttpResponse:
    """`/settings/channels/`: a health card for each."""
    found = health_of(channels_for(agent_of(request)).order_by("-active", "name", "pk"), now=timezone.now())
    return render(request, "channels_in/channels.html", {"cards": [card(health) for health in found]})


@admins_only
@require_GET
def kinds(request: HttpRequest) -> HttpResponse:
    """What can be connected, and what one needs for it."""
    return render(
        request,
        "channels_in/channel_kinds.html",
        {"kinds": [(kind, form.needs) for kind, form in forms_by_kind().items()]},
    )


@admins_only
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, kind: str) -> HttpResponse:
    agent, form_class = agent_of(request), forms_by_kind().get(kind)
    if form_class is None:
        raise Http404
    form = form_class(request.POST or None, instance=Channel(kind=kind), brands=brands_for(agent))
    if not proved_lately(request):
        form.seal()
    if request.method == "POST" and form.is_valid() and _saved(form, before=Channel(), by=agent):
        messages.success(request, _("The channel is there. Now connect the other side."))
        return redirect("channel", pk=form.instance.pk)
    status = 422 if form.is_bound else 200
    return render(request, "channels_in/channel_new.html", {"form": form, "kind": kind}, status=status)


# -- One channel ------------------------------------------------------------------------------------------------------


@admins_only
@require_http_methods(["GET", "POST"])
def channel(request: HttpRequest, pk: int) -> HttpResponse:
    """Health, what connects it, and its settings. POST saves the settings."""
    agent = agent_of(request)
    if request.method == "GET":
        return page(request, found(agent, pk))
    with transaction.atomic():
        locked = found(agent, pk, lock=True)
        form_class = form_of(locked.kind)
        if form_class is None:
            raise Http404
        before = copy(locked)
        form = form_class(request.POST, instance=locked, brands=brands_for(agent))
        if not proved_lately(request):
            form.seal()
        saved = form.is_valid() and _saved(form, before=before, by=agent)
    if saved:
        messages.success(request, _("Saved."))
        return redirect("channel", pk=pk)
    return page(request, found(agent, pk), form=form, status=422)


@admins_only
@require_POST
def activity(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch on or off: `active=true|false`."""
    agent, wanted = agent_of(request), request.POST.get("active")
    if wanted not in ("true", "false"):
        raise Http404
    active = wanted == "true"
    with transaction.atomic():
        locked = found(agent, pk, lock=True)
        if locked.active != active:
            Channel.objects.filter(pk=pk).update(active=active)
            facts = {"before": {"active": locked.active}, "after": {"active": active}}
            AuditEntry.write("channel_switched", actor=agent, target=locked, brand_id=locked.brand_id, facts=facts)
            _wake_sending(locked)
    messages.success(request, _("Switched on.") if active else _("Switched off. What waits to be sent stays there."))
    return redirect("channel", pk=pk)


@admins_only
@require_POST
def check(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the provider whether it knows us. What was disconnected is connected again when it does."""
    agent = agent_of(request)
    asked = found(agent, pk)
    ask = getattr(adapter_for(asked.kind), "check", None)
    trouble = ask(asked.facts()) if ask else ""
    if trouble:
        return page(request, asked, trouble=trouble)
    with transaction.atomic():
        mended = Channel.objects.filter(pk=pk, disconnected_at__isnull=False)
        if mended.update(disconnected_at=None, disconnected_reason=""):
            facts = {"before": {"disconnected": asked.disconnected_reason}, "after": {}}
            AuditEntry.write("channel_reconnected", actor=agent, target=asked, brand_id=asked.brand_id, facts=facts)
            _wake_sending(asked)
    templates.refresh(asked)
    messages.success(request, _("The connection works."))
    return redirect("channel", pk=pk)


# -- Secrets that are made here ---------------------------------------------------------------------------------------


def proof_first(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Who has not proved lately who they are is asked for it, and then comes back to the channel's page."""

    @wraps(view)
    def asked(request: HttpRequest, pk: int, **rest: Any) -> HttpResponse:
        if proved_lately(request):
            return view(request, pk=pk, **rest)
        messages.info(request, _("Nothing was changed yet. Confirm who you are, and then press the button again."))
        place = urlencode({"next": reverse("channel", args=[pk])})
        return redirect(f"{reverse('account_reauthenticate')}?{place}")

    return asked


@admins_only
@require_POST
@proof_first
def make_secret(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """A new value for a secret of ours, which this one page shows."""
    value = secrets.token_urlsafe(24)
    changed = _set_secret(agent_of(request), pk, name, value)
    return page(request, changed, shown={"name": name, "value": value})


@admins_only
@require_POST
@proof_first
def remove_secret(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    _set_secret(agent_of(request), pk, name, "")
    messages.success(request, _("Removed."))
    return redirect("channel", pk=pk)


def _set_secret(agent: Agent, pk: int, name: str, value: str) -> Channel:
    with transaction.atomic():
        locked = found(agent, pk, lock=True)
        form_class = form_of(locked.kind)
        made_here = {made.name for made in form_class.made_here} if form_class else set()
        spare = set(form_class.spare_secrets) if form_class and not value else set()
        if name not in made_here | spare:
            raise Http404
        before = copy(locked)
        rest = {key: kept for key, kept in secrets_of(locked).items() if key != name}
        locked.secrets = {**rest, name: value} if value else rest
        locked.save(update_fields=["secrets"])
        _audit("channel_secret_made" if value else "channel_secret_removed", before, locked, by=agent)
    return locked


@admins_only
@require_POST
@proof_first
def make_identity_key(request: HttpRequest, pk: int) -> HttpResponse:
    """A key with which a site signs who its visitors are: `alg=HS256`, shown once, or `alg=EdDSA` with `public_key`."""
    agent, alg = agent_of(request), request.POST.get("alg", "HS256")
    public_key = request.POST.get("public_key", "").strip()
    key: identity.Key | None = None
    error = ""
    with transaction.atomic():
        locked = _signing(agent, pk)
        before = copy(locked)
        try:
            key = identity.add_key(locked, alg=alg, public_key=public_key)
        except identity.TooManyKeys as refusal:
            error = str(refusal)
        except ValueError:
            error = _("This is not an Ed25519 public key in PEM form.")
        else:
            _audit("channel_identity_key_made", before, locked, by=agent)
    if key is None:
        return page(request, locked, key_error=error, public_key=public_key, status=422)
    if alg == "EdDSA":
        messages.success(request, _("The key is there. Its ID is %(kid)s.") % {"kid": key.kid})
        return redirect("channel", pk=pk)
    return page(request, locked, key=key)


@admins_only
@require_POST
@proof_first
def remove_identity_key(request: HttpRequest, pk: int, kid: str) -> HttpResponse:
    agent = agent_of(request)
    with transaction.atomic():
        locked = _signing(agent, pk)
        before = copy(locked)
        identity.delete_key(locked, kid)
        _audit("channel_identity_key_removed", before, locked, by=agent)
    messages.success(request, _("Removed. Visitors whom it vouched for are anonymous again."))
    return redirect("channel", pk=pk)


def _signing(agent: Agent, pk: int) -> Channel:
    locked = found(agent, pk, lock=True)
    form_class = form_of(locked.kind)
    if form_class is None or not form_class.signs_visitors:
        raise Http404
    return locked


# -- What all of them use ---------------------------------------------------------------------------------------------


def channels_for(agent: Agent) -> QuerySet[Channel]:
    return Channel.objects.all() if agent.brand_ids is None else Channel.objects.filter(brand__in=agent.brand_ids)


def found(agent: Agent, pk: int, *, lock: bool = False) -> Channel:
    """A channel of the agent's brands, locked on demand. Raises Http404."""
    rows = channels_for(agent).select_related("brand")
    row = (rows.select_for_update(of=("self",)) if lock else rows).filter(pk=pk).first()
    if row is None:
        raise Http404
    return row


def page(
    request: HttpRequest, shown_channel: Channel, *, form: Any = None, status: int = 200, **more: Any
) -> HttpResponse:
    """The page of one channel. `more`: trouble, shown (a secret, once), key, key_error, public_key."""
    agent = agent_of(request)
    health = health_of(Channel.objects.filter(pk=shown_channel.pk), now=timezone.now())[0]
    form_class = _form_class(shown_channel.kind)
    stored = secrets_of(shown_channel)
    if form is None and form_class is not None:
        form = form_class(instance=shown_channel, brands=brands_for(agent))
        if not proved_lately(request):
            form.seal()
    # A form that was refused has changed its instance; what connects the channel follows from the stored one.
    connects = form_class(instance=found(agent, shown_channel.pk), brands=brands_for(agent)) if form_class else None
    context = {
        "channel": shown_channel,
        "card": card(health, with_link=False),
        "form": form,
        "handover": connects.handover() if connects else [],
        "made_here": [{"made": made, "stored": made.name in stored} for made in connects.made_here] if connects else [],
        "spare_secrets": _spare_secrets(connects, stored) if connects else [],
        "signs_visitors": bool(connects and connects.signs_visitors),
        "identity_keys": _identity_keys(shown_channel) if connects and connects.signs_visitors else [],
        "may_check": hasattr(adapter_for(shown_channel.kind), "check") if form_class else False,
        **more,
    }
    response = render(request, "channels_in/channel.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


def card(health: Health, *, with_link: bool = True) -> dict[str, Any]:
    """The context of components/health_card.html."""
    channel, nothing = health.channel, "–"
    facts = [
        {"label": _("Last in"), "value": timestamp(health.last_in) or nothing},
        {"label": _("Last out"), "value": timestamp(health.last_out) or nothing},
        {"label": _("Waiting to be read"), "value": _waiting(health.waiting, health.waiting_since)},
        {"label": _("Waiting to be sent"), "value": _waiting(health.leaving, health.leaving_since)},
        {"label": _("In quarantine"), "value": health.quarantined, "tone": "warn" if health.quarantined else ""},
        {
            "label": _("Wrong signatures, 7 days"),
            "value": health.refused,
            "tone": "warn" if health.refused else "",
        },
    ]
    shown: dict[str, Any] = {
        "name": channel.name,
        "kind": channel.kind,
        "state": health.state,
        "state_label": health.label,
        "problem": health.problem,
        "facts": facts,
    }
    if with_link:
        shown["url"] = reverse("channel", args=[channel.pk])
    if with_link and channel.disconnected_at and channel.active:
        shown |= {"action_url": shown["url"], "action_text": _("Reconnect")}
    elif health.quarantined:
        shown |= {"action_url": reverse("dead_letters"), "action_text": _("See what waits")}
    return shown


def _waiting(count: int, since: datetime | None) -> Any:
    return format_html("{} · {}", count, timestamp(since)) if count else 0


def _form_class(kind: str) -> type[ChannelForm] | None:
    try:
        return form_of(kind)
    except UnknownKind:
        return None


def _spare_secrets(form: ChannelForm, stored: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "label": form.fields[name].label} for name in form.spare_secrets if stored.get(name)]


def _identity_keys(channel: Channel) -> list[identity.Key]:
    """The keys that lie with this channel, without their secret halves."""
    keys = identity.keys_of(channel.brand_id).values()
    return [key._replace(key="") for key in keys if f"identity:{key.kid}" in secrets_of(channel)]


def _saved(form: ChannelForm, *, before: Channel, by: Agent) -> bool:
    """Save with its audit. False when somebody else took the short name meanwhile; the form says so then."""
    try:
        with transaction.atomic():
            channel = form.save()
            if channel.team_id and channel.team_id != before.team_id:
                routing.channel_has_team(channel, now=timezone.now())
            _audit("channel_changed" if before.pk else "channel_added", before, channel, by=by)
    except IntegrityError:
        form.add_error("slug", _("Another channel has this short name already. Choose another one."))
        return False
    return True


def _audit(kind: str, before: Channel, after: Channel, *, by: Agent) -> None:
    AuditEntry.write(kind, actor=by, target=after, brand_id=after.brand_id, facts=difference(before, after))


def _wake_sending(channel: Channel) -> None:
    wake("tickets.tasks.deliver", queue=f"outbound.{channel.kind}", kind=channel.kind)
