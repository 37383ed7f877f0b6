"""REST over the same verbs as the screens. Every object comes through `tickets.access`."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents.models import Agent, Team
from tickets import access, actions, conditions, fields, grammar, macros, promises, replies, search
from tickets.api import idempotency, pages, serializers
from tickets.api.tokens import BearerAuthentication, HasScope
from tickets.models import Channel, Customer, Event, Message, Promise, Ticket
from tickets.models.event import Actor

SIZE = OpenApiParameter("page[size]", int, description="Rows on a page, 1 to 100; default 50.")
AFTER = OpenApiParameter("page[after]", str, description="The cursor of `links.next`.")
KEY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="The same key acts once in 24 h.")


class ApiView(APIView):
    authentication_classes = [BearerAuthentication]
    permission_classes = [HasScope]

    @property
    def agent(self) -> Agent:
        return self.request.user  # type: ignore[return-value]

    @property
    def by(self) -> Actor:
        return Actor("api", self.agent)


class Tickets(ApiView):
    """Tickets that the token's agent may see, the one that moved last first."""

    @extend_schema(
        operation_id="tickets_list",
        parameters=[
            SIZE,
            AFTER,
            OpenApiParameter(
                "q", str, description="A query in the text of the search box: words, `is:open -tag:vip`, `created>7d`."
            ),
            OpenApiParameter("status", str, description="One of the statuses, or `unsolved`."),
            OpenApiParameter("assignee", str, description="`me`, `none`, or an agent's id."),
            OpenApiParameter("team", int),
            OpenApiParameter("customer", int),
            OpenApiParameter("channel", str, description="The kind of the channel on which the ticket began."),
            OpenApiParameter("tag", str),
        ],
        responses=pages.page_of(serializers.TicketOut),
    )
    def get(self, request: Request) -> Response:
        rows = _for_output(self._filtered(access.tickets_for(self.agent).survivors(), request))
        try:
            with search.limited():
                return pages.page(
                    request,
                    rows,
                    by="updated_at",
                    descending=True,
                    serialize=lambda found: serializers.TicketOut(found, many=True).data,
                )
        except search.TooSlow as error:
            raise ValidationError({"q": ["It takes too long. Add a word, a person or a time."]}) from error

    def _filtered(self, rows: Any, request: Request) -> Any:
        asked = request.query_params
        if text := asked.get("q", "").replace("\x00", ""):
            query = grammar.parse(text)
            if query.problems:
                raise ValidationError({"q": [f"{one.position}: {one.sentence}" for one in query.problems]})
            reader = conditions.Reader(self.agent.pk, timezone.now())
            rows = rows.filter(conditions.to_q(query.tree, reader))
        if status := asked.get("status"):
            if status != "unsolved" and status not in Ticket.Status.values:
                raise ValidationError({"status": ["One of: unsolved, " + ", ".join(Ticket.Status.values)]})
            rows = rows.unsolved() if status == "unsolved" else rows.filter(status=status)
        if assignee := asked.get("assignee"):
            if assignee == "none":
                rows = rows.filter(assignee__isnull=True)
            else:
                rows = rows.filter(assignee=self.agent.pk if assignee == "me" else _number(asked, "assignee"))
        for name in ("team", "customer"):
            if name in asked:
                rows = rows.filter(**{name: _number(asked, name)})
        if kind := asked.get("channel"):
            rows = rows.filter(first_channel__kind=kind)
        if tag := asked.get("tag"):
            rows = rows.filter(tags__name=tag.lower())
        return rows


class OneTicket(ApiView):
    @extend_schema(responses=serializers.TicketOut)
    def get(self, request: Request, pk: int) -> Response:
        """One ticket. `ETag` is its version, for `If-Match` on PATCH."""
        return self._answer(access.ticket_for(self.agent, pk))

    @extend_schema(
        request=serializers.TicketChange,
        responses=serializers.TicketOut,
        parameters=[OpenApiParameter("If-Match", str, OpenApiParameter.HEADER, description="412 when it is stale.")],
    )
    def patch(self, request: Request, pk: int) -> Response:
        """Change what is named; each change is an event of its own, by this token's agent."""
        if not self.agent.may_reply:
            raise PermissionDenied
        change = _valid(serializers.TicketChange, request)
        with transaction.atomic():
            ticket = access.ticket_for(self.agent, pk)
            actions.lock(ticket.pk)
            ticket.refresh_from_db()
            wanted = request.headers.get("If-Match")
            if wanted and wanted != _etag(ticket):
                return Response(
                    {"type": "urn:helpdesk:stale", "title": "The version is not the present one", "status": 412},
                    status=412, content_type="application/problem+json",
                )  # fmt: skip
            self._change(ticket, change)
        return self._answer(access.ticket_for(self.agent, pk))

    def _change(self, ticket: Ticket, change: dict[str, Any]) -> None:
        now, by = timezone.now(), self.by
        if "subject" in change:
            actions.set_subject(ticket, change["subject"], by=by, now=now)
        if "priority" in change:
            actions.set_priority(ticket, Ticket.Priority[change["priority"].upper()], by=by, now=now)
        if "add_tags" in change or "remove_tags" in change:
            actions.change_tags(
                ticket, add=change.get("add_tags", []), remove=change.get("remove_tags", []), by=by, now=now
            )
        if "fields" in change:
            self._set_fields(ticket, change["fields"])
        if "assignee" in change or "team" in change:
            actions.assign(
                ticket,
                assignee=_named(Agent.objects.filter(is_active=True), change, "assignee", ticket.assignee),
                team=_named(Team.objects.all(), change, "team", ticket.team),
                by=by,
                now=now,
            )
        if "status" in change:
            actions.set_status(ticket, change["status"], by=by, now=now)

    def _set_fields(self, ticket: Ticket, values: dict[str, Any]) -> None:
        try:
            fields.checked(values)
        except fields.Invalid as problem:
            raise ValidationError({"fields": {problem.key: [str(problem)]}}) from problem
        actions.set_fields(ticket, values, by=self.by, now=timezone.now())

    def _answer(self, ticket: Ticket) -> Response:
        found = _for_output(Ticket.objects.filter(pk=ticket.pk)).get()
        return Response(serializers.TicketOut(found).data, headers={"ETag": _etag(found)})


class Messages(ApiView):
    @extend_schema(
        operation_id="messages_list", parameters=[SIZE, AFTER], responses=pages.page_of(serializers.MessageOut)
    )
    def get(self, request: Request, pk: int) -> Response:
        """The thread of a ticket and of all that were merged into it, in the order of acceptance."""
        ticket = access.ticket_for(self.agent, pk)
        rows = (
            Message.objects.filter(ticket__in=ticket.family_ids())
            .select_related("channel")
            .prefetch_related("attachments")
        )
        return pages.page(
            request, rows, by="created_at", descending=False,
            serialize=lambda found: serializers.MessageOut(found, many=True).data,
        )  # fmt: skip

    @extend_schema(request=serializers.MessageIn, responses={201: serializers.MessageOut}, parameters=[KEY])
    def post(self, request: Request, pk: int) -> Response:
        """Answer the customer or write a note. 409 when a newer message exists, 422 when nobody can be reached."""
        ticket = access.thread_for(self.agent, pk)
        said = _valid(serializers.MessageIn, request)
        if said["kind"] == "reply" and not self.agent.may_reply:
            raise PermissionDenied

        def act(client_uuid: uuid.UUID) -> Response:
            message = self._write(ticket, said, client_uuid)
            return Response(serializers.MessageOut(message).data, status=201)

        return idempotency.once(request, act)

    def _write(self, ticket: Ticket, said: dict[str, Any], client_uuid: uuid.UUID) -> Message:
        now = timezone.now()
        if said["kind"] == "note":
            return replies.note(ticket, agent=self.agent, text=said["text"], client_uuid=client_uuid, now=now)
        choices = [choice for choice in replies.routes_for(ticket, now=now) if choice.route is not None]
        wanted = said.get("route")
        used = next((choice for choice in choices if choice.route and choice.route.pk == wanted), None)
        if wanted is not None and used is None:
            raise ValidationError({"route": ["Not a route of this ticket."]})
        if used is None:
            used = max(choices, key=lambda choice: choice.route.last_used_at, default=None)  # type: ignore[union-attr]
        if used is None:
            raise ValidationError({"route": ["This ticket has no route to its customer."]})
        return replies.post(
            ticket,
            agent=self.agent,
            text=said["text"],
            route=used,
            client_uuid=client_uuid,
            seen_message_id=said.get("last_seen_message_id"),
            then={"status": said["then_status"]} if "then_status" in said else None,
            now=now,
        )


class Promises(ApiView):
    @extend_schema(
        operation_id="promises_list", parameters=[SIZE, AFTER], responses=pages.page_of(serializers.PromiseOut)
    )
    def get(self, request: Request, pk: int) -> Response:
        """What the customer was promised on a ticket, and on those that are merged into it."""
        ticket = access.ticket_for(self.agent, pk)
        return pages.page(
            request, Promise.objects.filter(clock__ticket=ticket).select_related("clock", "owner"), by="id",
            descending=False, serialize=lambda found: serializers.PromiseOut(found, many=True).data,
        )  # fmt: skip

    @extend_schema(request=serializers.PromiseIn, responses={201: serializers.PromiseOut}, parameters=[KEY])
    def post(self, request: Request, pk: int) -> Response:
        """Promise the customer something by a time. 422 when that has passed, or the owner does not see the ticket."""
        ticket = access.ticket_for(self.agent, pk)
        if not self.agent.may_reply:
            raise PermissionDenied
        said = _valid(serializers.PromiseIn, request)
        owner = _named(Agent.objects.all(), said, "owner", self.agent)

        def act(client_uuid: uuid.UUID) -> Response:
            event = promises.make(
                ticket, text=said["text"], due_at=said["due_at"], owner=owner, by=self.by, now=timezone.now(),
                client_uuid=client_uuid,
            )  # fmt: skip
            made = Promise.objects.select_related("clock", "owner").get(pk=event.particulars["promise"])
            return Response(serializers.PromiseOut(made).data, status=201)

        return idempotency.once(request, act)


class Customers(ApiView):
    @extend_schema(
        operation_id="customers_list",
        parameters=[SIZE, AFTER, OpenApiParameter("address", str, description="An e-mail address or number, exactly.")],
        responses=pages.page_of(serializers.CustomerOut),
    )
    def get(self, request: Request) -> Response:
        """Customers, the newest first."""
        rows = access.customers_for(self.agent).filter(joined_into__isnull=True).prefetch_related("identities")
        if address := request.query_params.get("address"):
            rows = rows.filter(identities__value=address.lower()).distinct()
        return pages.page(
            request,
            rows,
            by="id",
            descending=True,
            serialize=lambda found: serializers.CustomerOut(found, many=True).data,
        )


class OneCustomer(ApiView):
    @extend_schema(responses=serializers.CustomerOut)
    def get(self, request: Request, pk: int) -> Response:
        return Response(serializers.CustomerOut(access.customer_for(self.agent, pk)).data)

    @extend_schema(request=serializers.CustomerChange, responses=serializers.CustomerOut)
    def patch(self, request: Request, pk: int) -> Response:
        if not self.agent.may_reply:
            raise PermissionDenied
        change = _valid(serializers.CustomerChange, request)
        customer: Customer = access.customer_for(self.agent, pk)
        with transaction.atomic():
            for name, value in change.items():
                setattr(customer, name, value)
            customer.save(update_fields=list(change))
            actions.note_customer_changed(customer, by=self.by, now=timezone.now(), fields=sorted(change))
        return Response(serializers.CustomerOut(customer).data)


class Timeline(ApiView):
    @extend_schema(
        operation_id="customer_timeline", parameters=[SIZE, AFTER], responses=pages.page_of(serializers.EventOut)
    )
    def get(self, request: Request, pk: int) -> Response:
        """Everything that happened with this customer on the tickets you may see, over all channels, newest first."""
        customer = access.customer_for(self.agent, pk)
        rows: QuerySet[Event] = Event.objects.filter(
            ticket__customer=customer, ticket__in=access.tickets_for(self.agent)
        ).select_related("actor")
        return pages.page(
            request, rows, by="id", descending=True, serialize=lambda found: serializers.EventOut(found, many=True).data
        )


class Channels(ApiView):
    @extend_schema(responses=serializers.ChannelOut(many=True))
    def get(self, request: Request) -> Response:
        """The channels of the brands you may see. Settings and secrets are never shown."""
        rows = Channel.objects.order_by("id")
        if self.agent.brand_ids is not None:
            rows = rows.filter(brand__in=self.agent.brand_ids)
        return Response({"data": serializers.ChannelOut(rows, many=True).data})


class TicketFields(ApiView):
    @extend_schema(responses=serializers.TicketFieldOut(many=True))
    def get(self, request: Request) -> Response:
        """The ticket fields that are switched on, in their order: what a ticket's `fields` may hold."""
        return Response({"data": serializers.TicketFieldOut(fields.ordered(), many=True).data})


class Macros(ApiView):
    @extend_schema(operation_id="macros_list", parameters=[SIZE, AFTER], responses=pages.page_of(serializers.MacroOut))
    def get(self, request: Request) -> Response:
        """The macros and canned answers that the token's agent may use; `text` has its variables in it."""
        return pages.page(
            request,
            macros.macros_for(self.agent).prefetch_related("files"),
            by="id",
            descending=False,
            serialize=lambda found: serializers.MacroOut(found, many=True).data,
        )


def _for_output(tickets: Any) -> Any:
    return tickets.for_screen().prefetch_related("routes__channel")


def _valid(serializer: type[serializers.Strict], request: Request) -> dict[str, Any]:
    checked = serializer(data=request.data)
    checked.is_valid(raise_exception=True)
    return checked.validated_data


def _etag(ticket: Ticket) -> str:
    return f'"{ticket.pk}-{int(ticket.updated_at.timestamp() * 1_000_000)}"'


def _number(asked: Any, name: str) -> int:
    if not (asked[name].isascii() and asked[name].isdigit() and len(asked[name]) < 19):
        raise ValidationError({name: ["A number."]})
    return int(asked[name])


def _named(rows: Any, change: dict[str, Any], name: str, present: Any) -> Any:
    """The object that a change names; what it does not name stays. Raises ValidationError for an unknown id."""
    if name not in change:
        return present
    if change[name] is None:
        return None
    found = rows.filter(pk=change[name]).first()
    if found is None:
        raise ValidationError({name: ["There is nobody with this id."]})
    return found
