"""The customer: beside the thread and on a page of their own; what agents change there, and how two become one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.contrib.auth.decorators import login_required
from django.db.models import Prefetch, Q, prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import get_language_info, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from agents.models import Agent
from tickets import customers, fragments, identities
from tickets.access import Visibility, customer_for, customers_for, ticket_for, tickets_for, tickets_in, visibility_of
from tickets.models import Customer, CustomerJoin, Identity, Message, Ticket, TicketLink
from tickets.models.event import Actor, by_agent
from tickets.numbers import whole_number
from tickets.workspace import history
from tickets.workspace.answers import agent_of, say, wants_fragment

PREVIOUS = 12  # tickets in the panel
ON_PANEL = 10  # lines of the timeline in the panel
FOUND = 10
LISTED = 50
PEEKED = 4  # messages
SECTIONS = ("links", "tickets", "timeline", "about", "notes", "joins")  # those of the panel, in their first order
# The languages that are offered; one that a channel has found is offered beside them.
LANGUAGES = ("ko", "en", "ja", "zh-hans", "zh-hant", "de", "es", "fr", "id", "it", "pt", "ru", "th", "tr", "vi")


# -- Looking ----------------------------------------------------------------------------------------------------------


@login_required
@require_safe
def panel(request: HttpRequest, pk: int) -> HttpResponse:
    """What stands beside the thread of ticket `pk`."""
    agent = agent_of(request)
    visibility = visibility_of(agent)
    shown = tickets_in(visibility).select_related("customer__joined_into").filter(pk=pk).first()
    if shown is None:
        raise Http404
    customer = identities.current(shown.customer)
    people = customers.with_joined(customer)
    context = {
        "ticket": shown,
        "links": _links(visibility, shown),
        "tickets": history.tickets_of(visibility, people, most=PREVIOUS),
        "timeline": history.page(visibility, people, current=shown.pk, size=ON_PANEL),
        "order": order_for(agent),
        **_person(agent, visibility, customer),
    }
    return render(request, "workspace/customer.html", context)


@login_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """`/customers/?q=`: by a part of name, address or number; without words those who came last, `?before=<id>`."""
    agent = agent_of(request)
    query = " ".join(request.GET.get("q", "").split())[:100]
    rows = customers_for(agent).filter(joined_into__isnull=True)
    before = whole_number(request.GET.get("before", ""))
    if query:
        rows = rows.filter(customers.like(query))
    elif before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.prefetch_related("identities").order_by("-pk")[: LISTED + 1])
    older = f"?before={found[LISTED - 1].pk}" if len(found) > LISTED and not query else ""
    context = {
        "query": query,
        "rows": [
            {**candidate(customer), "url": reverse("customer", args=[customer.pk]), "blocked": customer.blocked}
            for customer in found[:LISTED]
        ],
        "older": older,
    }
    only_rows = request.headers.get("HX-Target") == "customer-list"
    return render(request, "workspace/customer/rows.html" if only_rows else "workspace/customer_list.html", context)


@login_required
@require_safe
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """The customer's own page. One who was joined into another is found there."""
    agent = agent_of(request)
    asked = Customer.objects.select_related("joined_into").filter(pk=pk).first()
    if asked is None:
        raise Http404
    customer = customer_for(agent, identities.current(asked).pk)
    if customer.pk != pk:
        return HttpResponseRedirect(reverse("customer", args=[customer.pk]))
    visibility, people = visibility_of(agent), customers.with_joined(customer)
    context = {
        "panes_url": reverse("panes"),
        "tickets": history.tickets_of(visibility, people, most=50),
        "timeline": history.page(visibility, people),
        **_person(agent, visibility, customer),
    }
    return render(request, "workspace/customer_page.html", context)


@login_required
@require_safe
def timeline(request: HttpRequest, pk: int) -> HttpResponse:
    """`?before=<event id>`: the next page of it."""
    agent = agent_of(request)
    customer = customer_for(agent, pk)
    before = whole_number(request.GET.get("before", ""))
    shown = history.page(visibility_of(agent), customers.with_joined(customer), before=before)
    return render(request, "workspace/customer/timeline_page.html", {"customer": customer, "timeline": shown})


@login_required
@require_safe
def peek(request: HttpRequest, pk: int) -> HttpResponse:
    """The last words of a ticket, for a look in passing. Marks nothing as read."""
    shown = ticket_for(agent_of(request), pk)
    said = Message.objects.filter(ticket=shown, kind=Message.Kind.PUBLIC, moved_to=None, deleted_at=None)
    messages = list(said.select_related("agent", "customer", "channel").order_by("-seq")[:PEEKED])[::-1]
    lines = [{"name": fragments.author_name(one), "message": one} for one in messages]
    return render(request, "workspace/customer/peek.html", {"ticket": shown, "lines": lines})


@login_required
@require_safe
def time_zones(request: HttpRequest) -> HttpResponse:
    """The options of every field for a time zone."""
    zones = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "posix/")))
    response = render(request, "workspace/customer/time_zones.html", {"zones": zones})
    response["Cache-Control"] = "private, max-age=86400"
    return response


@login_required
def sections(request: HttpRequest) -> HttpResponse:
    """GET: the panel's sections in their order. POST `name`, `move` (up, down): another order, kept for this agent."""
    agent = agent_of(request)
    order = order_for(agent)
    if request.method == "POST":
        name, step = request.POST.get("name", ""), {"up": -1, "down": 1}.get(request.POST.get("move", ""))
        if name not in order or step is None:
            return HttpResponse(status=422)
        to = min(max(order.index(name) + step, 0), len(order) - 1)
        order.remove(name)
        order.insert(to, name)
        Agent.objects.filter(pk=agent.pk).update(panes={**agent.panes, "order": order})
    elif request.method != "GET":
        return HttpResponseNotAllowed(["GET", "POST"])
    titles = _titles()
    response = render(
        request, "workspace/customer/sections.html", {"sections": [(name, titles[name]) for name in order]}
    )
    if request.method == "POST":
        response["HX-Trigger"] = '{"customer:changed": {}}'
    return response


# -- Changing ---------------------------------------------------------------------------------------------------------


@login_required
@require_POST
def field(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """One particular, saved at once. Answers the field as it is kept."""
    if name not in customers.FIELDS:
        raise Http404
    value = request.POST.get("value", "")

    def change(customer: Customer, by: Actor, now: datetime) -> None:
        customers.change(customer, name, value, by=by, now=now)

    return _do(request, pk, change, shows=lambda customer: _field(customer, name))


@login_required
@require_POST
def attribute(request: HttpRequest, pk: int) -> HttpResponse:
    """`key` and `value`: a fact of the customer's own; an empty value removes it."""
    key, value = request.POST.get("key", ""), request.POST.get("value", "")

    def change(customer: Customer, by: Actor, now: datetime) -> None:
        customers.set_attribute(customer, key, value, by=by, now=now)

    return _do(request, pk, change)


@login_required
@require_POST
def addresses(request: HttpRequest, pk: int) -> HttpResponse:
    """`kind` and `value`: an address that the customer told us."""
    kind, value = request.POST.get("kind", ""), request.POST.get("value", "")

    def add(customer: Customer, by: Actor, now: datetime) -> str:
        added = customers.add_address(customer, kind, value, by=by, now=now)
        if added.holder is None:
            return _("Address added.")
        return _("Address added. It is known to belong to somebody else: compare the two customers.")

    return _do(request, pk, add)


@login_required
def block(request: HttpRequest, pk: int) -> HttpResponse:
    """POST blocks, DELETE lets them write again."""
    if request.method not in ("POST", "DELETE"):
        return HttpResponseNotAllowed(["POST", "DELETE"])
    return _set_blocked(request, pk, blocked=request.method == "POST")


@login_required
@require_POST
def unblock(request: HttpRequest, pk: int) -> HttpResponse:
    """The same as DELETE on the block, for a toast that can only post."""
    return _set_blocked(request, pk, blocked=False)


def _set_blocked(request: HttpRequest, pk: int, *, blocked: bool) -> HttpResponse:
    def change(customer: Customer, by: Actor, now: datetime) -> str:
        customers.set_blocked(customer, blocked, by=by, now=now)
        return _("Blocked: what they write no longer comes in.") if blocked else _("They can write again.")

    undo = reverse("customer_unblock" if blocked else "customer_block", args=[pk])
    return _do(request, pk, change, undo=lambda _customer: undo)


# -- Joining ----------------------------------------------------------------------------------------------------------


@login_required
def joins(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: who may be the same person, and a search (`q`) for somebody else. POST `other`: join them into this one."""
    agent = agent_of(request)
    customer = customer_for(agent, pk)
    if request.method == "POST":
        return _join(request, customer)
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET", "POST"])
    query = " ".join(request.GET.get("q", "").split())[:100]
    context = {
        "customer": customer,
        "name": _name(customer),
        "query": query,
        "suggested": [] if query else _suggested(agent, customer),
        "found": _found(agent, customer, query) if query else [],
    }
    only_results = request.headers.get("HX-Target") == "joining-found"
    return render(request, "workspace/joining_found.html" if only_results else "workspace/joining.html", context)


@login_required
@require_safe
def comparison(request: HttpRequest, pk: int, other_pk: int) -> HttpResponse:
    """Both side by side, before anything is done."""
    agent = agent_of(request)
    pair = [customer_for(agent, pk), customer_for(agent, other_pk)]
    if pair[0].pk == pair[1].pk or any(one.joined_into_id for one in pair):
        raise Http404
    now = timezone.now()
    sides = [_side(agent, customer, now=now) for customer in pair]
    rows = [
        {"label": label, "values": [side["values"][key] for side in sides], "differ": _differ(sides, key)}
        for key, label in _compared().items()
    ]
    context = {"customer": pair[0], "other": pair[1], "sides": sides, "rows": rows, "may_join": agent.may_reply}
    return render(request, "workspace/joining_comparison.html", context)


def _join(request: HttpRequest, customer: Customer) -> HttpResponse:
    agent = agent_of(request)
    if not agent.may_reply:
        return HttpResponse(status=403)
    other_pk = whole_number(request.POST.get("other", ""))
    if other_pk is None:
        return HttpResponse(status=422)
    other = customer_for(agent, other_pk)
    try:
        shared = next((one for one in identities.suggestions(customer) if one.customer.pk == other.pk), None)
        evidence = {"identity": shared.identity.pk, "evidence": shared.evidence} if shared else {}
        journal = identities.join(
            customer, other, by=by_agent(agent), reason="agent", evidence=evidence, now=timezone.now()
        )
    except ValueError:
        return _refused(_("One of these customers was joined meanwhile. Nothing was changed."))
    if not wants_fragment(request):
        return HttpResponseRedirect(reverse("customer", args=[customer.pk]))
    response = HttpResponse(status=204)
    words = _("Joined: %(name)s.") % {"name": _name(other)}
    say(response, message=words, undo=reverse("customer_join_undo", args=[customer.pk, journal.pk]), changed=True)
    return response


@login_required
@require_POST
def undo_join(request: HttpRequest, pk: int, join_pk: int) -> HttpResponse:
    """The exact inverse, at once from the toast or later from the panel."""
    agent = agent_of(request)
    customer = customer_for(agent, pk)
    if not agent.may_reply:
        return HttpResponse(status=403)
    journal = CustomerJoin.objects.filter(pk=join_pk, survivor=customer).first()
    if journal is None:
        raise Http404
    try:
        identities.undo_join(journal, by=by_agent(agent), now=timezone.now())
    except identities.JoinedFurther:
        return _refused(_("This customer was joined into another one since. Undo that first."))
    if not wants_fragment(request):
        return HttpResponseRedirect(reverse("customer", args=[customer.pk]))
    response = HttpResponse(status=204)
    say(response, message=_("They are two customers again, as before."), changed=True)
    return response


# -- One way for all verbs --------------------------------------------------------------------------------------------


def _do(
    request: HttpRequest,
    pk: int,
    verb: Callable[[Customer, Actor, datetime], str | None],
    *,
    shows: Callable[[Customer], dict[str, Any]] | None = None,
    undo: Callable[[Customer], str] | None = None,
) -> HttpResponse:
    """Check sight and right, do it, say it; answer the field that was posted, where there is one."""
    agent = agent_of(request)
    customer = customer_for(agent, pk)
    if not agent.may_reply:  # light agents read and write notes
        return HttpResponse(status=403)
    refused, words = "", None
    try:
        words = verb(customer, by_agent(agent), timezone.now())
    except customers.Refused as error:
        refused = str(error)
    if not wants_fragment(request):
        return HttpResponseRedirect(reverse("customer", args=[pk]))
    status = 422 if refused else 200 if shows else 204
    if shows:
        customer.refresh_from_db()
        context = {"field": shows(customer)}
        response = render(request, "components/property_field.html", context, status=status)
    else:
        response = HttpResponse(status=status)
    if refused:
        say(response, message=refused, kind="error")
    elif words:
        say(response, message=words, undo=undo(customer) if undo else "", changed=True)
    elif not shows:
        response["HX-Trigger"] = '{"customer:changed": {}}'
    return response


def _refused(words: str) -> HttpResponse:
    response = HttpResponse(status=422)
    say(response, message=words, kind="error")
    return response


# -- What is shown ----------------------------------------------------------------------------------------------------


def order_for(agent: Agent) -> list[str]:
    """The panel's sections as this agent has put them; what is new comes where it stands at first."""
    kept = [name for name in agent.panes.get("order", []) if name in SECTIONS]
    return [*kept, *(name for name in SECTIONS if name not in kept)]


def _titles() -> dict[str, str]:
    return {
        "links": _("Linked tickets"),
        "tickets": _("Tickets"),
        "timeline": _("Timeline"),
        "about": _("About"),
        "notes": _("Customer note"),
        "joins": _("Joined customers"),
    }


def _person(agent: Agent, visibility: Visibility, customer: Customer) -> dict[str, Any]:
    """What the panel and the page show of somebody alike."""
    by_use = Identity.objects.order_by("-verified", "-last_seen_at", "-pk")
    prefetch_related_objects([customer], Prefetch("identities", queryset=by_use))  # `suggestions` reads them as well
    undoable = CustomerJoin.objects.filter(survivor=customer, undone_at__isnull=True)
    return {
        "person": customer,
        "customer": customer_facts(customer, list(customer.identities.all())[:30], now=timezone.now()),
        "may_edit": agent.may_reply,
        "identities_closed": "identities" in agent.panes.get("closed", []),
        "fields": [_field(customer, name) for name in customers.FIELDS if name != "notes"],
        "notes": _field(customer, "notes"),
        "attributes": [
            {"key": key, "value": str(value), "url": reverse("customer_attributes", args=[customer.pk])}
            for key, value in customer.attributes.items()
            if isinstance(value, str | int | float)
        ],
        "suggested": _how_many_suggested(visibility, customer),
        "joins": list(undoable.select_related("joined", "by").order_by("-pk")[:20]),
    }


def _how_many_suggested(visibility: Visibility, customer: Customer) -> int:
    """Of those whom one sees through a ticket."""
    found = [one.customer.pk for one in identities.suggestions(customer)]
    return tickets_in(visibility).filter(customer__in=found).values("customer").distinct().count() if found else 0


def customer_facts(customer: Customer, rows: list[Identity], *, now: datetime) -> dict[str, Any]:
    """What `components/customer_card.html` shows."""
    addresses = [identity for identity in rows if identity.kind != "webchat"]
    return {
        "name": customer.name or (addresses[0].value if addresses else str(customer)),
        "url": reverse("customer", args=[customer.pk]),
        "verified": any(identity.verified for identity in rows),
        "tier_label": customer.get_tier_display() if customer.tier else "",
        "language_label": _language(customer.language),
        "local_time": _local_time(customer.time_zone, now=now),
        "organisation": customer.organisation,
        "since": customer.since,
        "blocked": customer.blocked,
        "identities": [
            {
                "kind": _channel_kind(identity.kind),
                "value": identity.name if identity.kind == "webchat" and identity.name else identity.value,
                "verified": identity.verified,
                "by_agent": identity.evidence == identities.BY_AGENT,
                "note": _("opted out") if identity.opted_out_at else _("bounced") if identity.failed_at else "",
            }
            for identity in rows
        ],
    }


def _field(customer: Customer, name: str) -> dict[str, Any]:
    """What `components/property_field.html` shows."""
    value = getattr(customer, name)
    labels = {
        "name": _("Name"),
        "language": _("Language"),
        "time_zone": _("Time zone"),
        "tier": _("Tier"),
        "organisation": _("Organisation"),
        "notes": _("Customer note"),
    }
    choices: Iterable[tuple[str, str]] = ()
    if name == "tier":
        choices = [(str(value), str(label)) for value, label in Customer.Tier.choices]
    elif name == "language":
        known = dict.fromkeys([*LANGUAGES, *([value] if value else [])])
        choices = [("", _("Unknown")), *((code, _language(code)) for code in known)]
    return {
        "id": f"customer-{name}",
        "name": name,
        "label": labels[name],
        "value": value,
        "url": reverse("customer_field", args=[customer.pk, name]),
        "type": {"notes": "words", "time_zone": "zone"}.get(name, "choice" if choices else "line"),
        "choices": choices,
    }


def _links(visibility: Visibility, shown: Ticket) -> list[dict[str, Any]]:
    """Linked tickets that one may see, from either end."""
    links = TicketLink.objects.filter(Q(ticket=shown) | Q(other=shown)).order_by("pk")
    pairs = [
        (link.other_id, str(link.get_kind_display()))
        if link.ticket_id == shown.pk
        else (link.ticket_id, _("linked from"))
        for link in links
    ]
    seen = tickets_in(visibility).in_bulk([pk for pk, _kind in pairs]) if pairs else {}
    return [{"ticket": seen[pk], "kind": kind, "url": reverse("ticket", args=[pk])} for pk, kind in pairs if pk in seen]


def _suggested(agent: Agent, customer: Customer) -> list[dict[str, Any]]:
    """Suggestions of customers whom this agent may see, with their evidence in words."""
    found = identities.suggestions(customer)
    rows = customers_for(agent).filter(pk__in=[one.customer.pk for one in found]).prefetch_related("identities")
    seen = {one.pk: one for one in rows}
    return [
        {
            **candidate(seen[one.customer.pk]),
            "url": _comparison(customer, one.customer),
            "evidence": _("same address, %(how)s: %(value)s")
            % {"how": _("verified there") if one.identity.verified else _("claimed"), "value": one.identity.value},
        }
        for one in found
        if one.customer.pk in seen
    ]


def _found(agent: Agent, customer: Customer, query: str) -> list[dict[str, Any]]:
    """Other customers by a part of their name, address or telephone number."""
    others = customers_for(agent).filter(customers.like(query), joined_into__isnull=True).exclude(pk=customer.pk)
    return [
        {**candidate(other), "url": _comparison(customer, other)}
        for other in others.prefetch_related("identities").order_by("-pk")[:FOUND]
    ]


def candidate(customer: Customer) -> dict[str, Any]:
    """Needs `identities` prefetched."""
    addresses = [one.value for one in customer.identities.all() if one.kind != "webchat"]
    return {
        "name": customer.name or (addresses[0] if addresses else str(customer)),
        "organisation": customer.organisation,
        "evidence": ", ".join(addresses[:3]),
    }


def _comparison(customer: Customer, other: Customer) -> str:
    return reverse("customer_comparison", args=[customer.pk, other.pk])


def _compared() -> dict[str, str]:
    return {
        "name": _("Name"),
        "organisation": _("Organisation"),
        "tier": _("Tier"),
        "language": _("Language"),
        "time_zone": _("Time zone"),
        "addresses": _("Addresses"),
        "tickets": _("Tickets"),
        "since": _("First seen"),
        "notes": _("Customer note"),
    }


def _side(agent: Agent, customer: Customer, *, now: datetime) -> dict[str, Any]:
    """One of the two in a comparison. `values` are lists of lines."""
    rows = list(Identity.objects.filter(customer=customer).order_by("-verified", "-pk")[:12])
    seen = tickets_for(agent).survivors().filter(customer=customer)
    n = seen.count()
    latest = [one.subject or one.snippet or str(one) for one in seen.order_by("-updated_at", "-pk")[:3]]
    return {
        "customer": customer,
        "name": _name(customer),
        "values": {
            "name": [customer.name] if customer.name else [],
            "organisation": [customer.organisation] if customer.organisation else [],
            "tier": [str(customer.get_tier_display())],
            "language": [_language(customer.language)] if customer.language else [],
            "time_zone": [customer.time_zone] if customer.time_zone else [],
            "addresses": [
                f"{identity.value} ✓" if identity.verified else identity.value
                for identity in rows
                if identity.kind != "webchat"
            ],
            "tickets": [ngettext("%(n)s ticket", "%(n)s tickets", n) % {"n": n}, *latest],
            "since": [formats.date_format(timezone.localtime(customer.created_at), "SHORT_DATE_FORMAT")],
            "notes": [customer.notes[:300]] if customer.notes else [],
        },
    }


def _differ(sides: list[dict[str, Any]], key: str) -> bool:
    one, other = (side["values"][key] for side in sides)
    return bool(one and other and one != other) and key not in ("addresses", "tickets", "since")


def _name(customer: Customer) -> str:
    if customer.name:
        return customer.name
    known = customer.identities.exclude(kind="webchat").order_by("-verified", "-pk").values_list("value", flat=True)
    return known.first() or str(customer)


def _channel_kind(identity_kind: str) -> str:
    return {"phone": "sms"}.get(identity_kind, identity_kind)


def _language(code: str) -> str:
    try:
        return str(get_language_info(code)["name_translated"]) if code else ""
    except KeyError:
        return code


def _local_time(zone: str, *, now: datetime) -> str:
    try:
        return formats.time_format(now.astimezone(ZoneInfo(zone)).time(), _("H:i")) if zone else ""
    except (ZoneInfoNotFoundError, ValueError):
        return ""
