"""A new ticket begun by an agent: one calm page, by key, palette or button from anywhere."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Case, QuerySet, When
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from agents.models import Agent
from tickets import approved, customers, identities, openings, replies, signatures
from tickets.access import customer_for, customers_for
from tickets.channels import capabilities_of
from tickets.models import Customer, Opening, Ticket
from tickets.numbers import whole_number
from tickets.workspace import composing, saved
from tickets.workspace.answers import agent_of, back_to
from tickets.workspace.views.customers import candidate

FOUND = 8  # customers
MOST_COLLEAGUES = 200
LONGEST_TEXT = 100_000  # characters


@login_required
@require_http_methods(["GET", "POST"])
def opening(request: HttpRequest) -> HttpResponse:
    """GET: what is written so far, for `customer` or `address` if one is given, `change`: for somebody else. POST: begin
    it, and go to the ticket; 422 with the reason where it cannot."""
    agent = agent_of(request)
    if not agent.may_reply:
        return HttpResponse(status=403)
    if request.method == "POST":
        return _begun(request, _written(agent, request.POST, files=request.POST.getlist("files")))
    kept = openings.kept_by(agent)
    if "customer" in request.GET:
        kept.customer = customer_for(agent, _number(request.GET["customer"]) or 0)
        kept.address = kept.name = ""
    elif "address" in request.GET:
        return _for_address(request, kept, request.GET["address"])
    elif "change" in request.GET:
        kept.customer, kept.address, kept.name = None, "", ""
    return _page(request, kept)


def _begun(request: HttpRequest, wish: Opening) -> HttpResponse:
    now, text = timezone.now(), wish.text
    try:
        template = _as_sent(wish, _approved(wish, openings.ways_of(wish, now=now), request.POST))
        ticket = openings.begin(wish, template=template, now=now)
    except (openings.Refused, replies.Unreachable) as error:
        wish.text, wish.revision = text, openings.kept_by(wish.agent).revision
        return _page(request, wish, problem=str(error), status=422)
    return back_to(ticket)


def _as_sent(wish: Opening, shown: dict[str, Any]) -> dict[str, Any] | None:
    """The approved message that was filled in, its words in the wish; None where free words go."""
    if shown.get("template") is None:
        return None
    try:
        template = approved.as_sent(shown["template"], shown["values"])
    except ValueError:
        raise openings.Refused(_("Fill in every place.")) from None
    wish.text = shown["words"]
    return template


@login_required
@require_safe
def template(request: HttpRequest) -> HttpResponse:
    """What stands in the place of the message where `way` takes an approved one only: one of them (`template`) with what
    stands in its places (`place-<name>`); nothing where free words go."""
    agent = agent_of(request)
    if not agent.may_reply:
        return HttpResponse(status=403)
    wish = _written(agent, request.GET, files=[])
    context = _approved(wish, openings.ways_of(wish, now=timezone.now()), request.GET)
    return render(request, "workspace/opening_template.html", context)


def _approved(wish: Opening, ways: list[replies.RouteChoice], given: Mapping[str, str]) -> dict[str, Any]:
    """What `workspace/opening_template.html` shows for the way that is wished, with the `values` of the places."""
    way = next((one for one in ways if one.key == wish.way), None)
    if way is None or way.reason != openings.BY_TEMPLATE:
        return {"by_template": False}
    customer = openings.customer_of(wish) or Customer(name=wish.name)
    known = approved.of(way.channel)
    language = customer.language or way.channel.language or wish.agent.language
    one = approved.chosen(known, given.get("template", ""), language=language)
    values = approved.values_of(one, given, name=customer.name) if one else {}
    return {"by_template": True, "values": values, **composing.template_facts(known, one, values)}


@login_required
@require_safe
def people(request: HttpRequest) -> HttpResponse:
    """`?q=`: whom it may be for, by a part of name, address or number, and whoever has that whole address anew."""
    return render(request, "workspace/opening_people.html", _found(agent_of(request), request.GET.get("q", "")))


@login_required
@require_http_methods(["PUT", "POST", "DELETE"])
def draft(request: HttpRequest) -> HttpResponse:
    """PUT keeps what is being written (JSON, with `revision`). DELETE, or a form's POST, forgets it."""
    agent = agent_of(request)
    if request.method != "PUT":
        openings.discard(agent)
        return HttpResponse(status=204) if request.method == "DELETE" else redirect("inbox")
    try:
        said = json.loads(request.body)
        wish = _written(agent, said, files=said.get("files", []))
    except (ValueError, TypeError, AttributeError):
        return HttpResponse(status=422)
    kept = openings.keep(wish, now=timezone.now())
    return JsonResponse({"revision": kept.revision} if kept else {"revision": 0, "gone": True})


def _written(agent: Agent, said: Any, *, files: Any) -> Opening:
    """An opening as it was said, not saved. What this agent may not choose is left out."""
    customer = _number(said.get("customer"))
    return Opening(
        agent=agent,
        client_uuid=_uuid(said.get("client_uuid")),
        customer=customers_for(agent).filter(pk=customer).first() if customer else None,
        address=_line(said.get("address"), 254),
        name=_line(said.get("name"), 200),
        way=_line(said.get("way"), 60),
        subject=_line(said.get("subject"), 300),
        team=saved.teams_for(agent).filter(pk=_number(said.get("team")) or 0).first(),
        assignee=_colleagues(agent).filter(pk=_number(said.get("assignee")) or 0).first(),
        text=str(said.get("text") or "").replace("\0", "").replace("\r\n", "\n")[:LONGEST_TEXT],
        attachment_ids=[number for number in map(_number, files) if number][:20],
        revision=min(_number(said.get("revision")) or 0, 2**62),
    )


def _for_address(request: HttpRequest, kept: Opening, typed: str) -> HttpResponse:
    """Somebody whose address is known already is the one whom it means."""
    agent = kept.agent
    address = customers.read_address(typed, language=agent.language)
    if address is None:
        raise Http404
    known = identities.holder(*address)
    if known is not None and customers_for(agent).filter(pk=known.customer_id).exists():
        return redirect(f"{reverse('new_ticket')}?{urlencode({'customer': known.customer_id})}")
    kept.customer, kept.address = None, address[1]
    return _page(request, kept)


def _found(agent: Agent, typed: str) -> dict[str, Any]:
    query = " ".join(typed.split())[:100]
    rows = customers_for(agent).filter(customers.like(query), joined_into__isnull=True) if len(query) > 1 else None
    found = list(rows.prefetch_related("identities").order_by("-pk")[:FOUND]) if rows is not None else []
    here = reverse("new_ticket")
    address = customers.read_address(query, language=agent.language)
    known = identities.holder(*address) if address else None
    return {
        "query": query,
        "found": [{**candidate(one), "url": f"{here}?{urlencode({'customer': one.pk})}"} for one in found],
        "anew": address[1] if address and (known is None or known.customer not in found) else "",
        "anew_url": f"{here}?{urlencode({'address': address[1]})}" if address else "",
    }


def _page(request: HttpRequest, kept: Opening, *, problem: str = "", status: int = 200) -> HttpResponse:
    agent, now = kept.agent, timezone.now()
    customer = openings.customer_of(kept)
    ways = openings.ways_of(kept, now=now)
    best = next((way.key for way in ways if way.key == kept.way and way.reachable), "")
    best = best or next((way.key for way in ways if way.reachable), "")
    waiting = openings.open_tickets_of(kept)
    kept.way = best
    context = {
        **_approved(kept, ways, request.POST),
        "section": "inbox",
        "kept": kept,
        "who": {"name": customer.name or _addresses(ways)} if customer else {"name": kept.address} if ways else None,
        "is_new": customer is None,
        "ways": [
            {**composing.route_facts(way, now=now), "note": _note(way), "chosen": way.key == best} for way in ways
        ],
        "waiting": waiting,
        "waiting_words": ngettext(
            "%(n)s open ticket of this customer", "%(n)s open tickets of this customer", len(waiting)
        )
        % {"n": len(waiting)},
        "teams": saved.teams_for(agent),
        "colleagues": _colleagues(agent)[:MOST_COLLEAGUES],
        "files": composing.chips(openings.files_of(kept)),
        "signature": _signature(kept, ways, now=now),
        "problem": problem,
    }
    return render(request, "workspace/opening.html", context, status=status)


def _note(way: replies.RouteChoice) -> str:
    return _("Begins with a template") if way.reason == openings.BY_TEMPLATE else replies.sentence_of(way.reason)


def _addresses(ways: list[replies.RouteChoice]) -> str:
    return ", ".join(dict.fromkeys(way.identity.value for way in ways))


def _signature(kept: Opening, ways: list[replies.RouteChoice], *, now: Any) -> str:
    """What will stand under it by a way that signs."""
    signed = next((way for way in ways if capabilities_of(way.channel.kind).signature), None)
    if signed is None:
        return ""
    customer = openings.customer_of(kept) or Customer(name=kept.name)
    as_if = Ticket(brand=signed.channel.brand, customer=customer, team=kept.team, subject=kept.subject)
    return signatures.text_for(as_if, agent=kept.agent, now=now)


def _colleagues(agent: Agent) -> QuerySet[Agent]:
    """Who can have it, oneself first."""
    people = Agent.objects.filter(is_active=True, is_bot=False).exclude(role=Agent.Role.LIGHT)
    return people.order_by(Case(When(pk=agent.pk, then=0), default=1), "name", "pk")


def _line(text: Any, longest: int) -> str:
    return " ".join(str(text or "").replace("\0", "").split())[:longest]


def _uuid(text: Any) -> uuid.UUID:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return uuid.uuid4()


def _number(text: Any) -> int | None:
    return whole_number(str(text or ""))
