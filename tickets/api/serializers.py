"""What the API shows and takes (design.md 8). Unknown keys are refused, never silently dropped."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from tickets import files
from tickets.models import (
    Attachment,
    Channel,
    Customer,
    Event,
    Identity,
    Macro,
    Message,
    Promise,
    SlaClock,
    Ticket,
    TicketField,
)


class Strict(serializers.Serializer):
    """Input that refuses keys it does not know (mass assignment, typing errors)."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({key: ["This field is not known here."] for key in unknown})
        return super().to_internal_value(data)


class Named(serializers.Serializer):
    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()


class IdentityOut(serializers.ModelSerializer):
    class Meta:
        model = Identity
        fields = ["id", "kind", "scope", "value", "verified", "evidence", "opted_out_at", "failed_at"]


class CustomerOut(serializers.ModelSerializer):
    identities = IdentityOut(many=True, read_only=True)

    class Meta:
        model = Customer
        fields = [
            "id", "name", "language", "time_zone", "tier", "organisation", "since", "attributes", "notes", "blocked",
            "identities", "created_at",
        ]  # fmt: skip


class ClockOut(serializers.ModelSerializer):
    class Meta:
        model = SlaClock
        fields = ["metric", "cycle", "state", "due_at", "breached_at", "started_at", "ended_at", "seconds", "business"]


class TicketOut(serializers.ModelSerializer):
    status = serializers.CharField(source="shown_status")
    priority = serializers.SerializerMethodField()
    team = Named(allow_null=True)
    assignee = Named(allow_null=True)
    customer = Named()
    tags: Any = serializers.SlugRelatedField(slug_field="name", many=True, read_only=True)
    channels = serializers.SerializerMethodField()
    fields: Any = serializers.DictField(help_text="The values of the ticket fields, by their keys.")
    sla = ClockOut(source="live_clocks", many=True)

    class Meta:
        model = Ticket
        fields = [
            "id", "number", "subject", "status", "priority", "team", "assignee", "customer", "tags", "fields",
            "channels", "language", "snoozed_until", "merged_into", "csat", "created_at", "updated_at", "first_reply_at",
            "waiting_since", "solved_at", "sla",
        ]  # fmt: skip

    def get_priority(self, ticket: Ticket) -> str:
        return Ticket.Priority(ticket.priority).name.lower()

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_channels(self, ticket: Ticket) -> list[str]:
        return sorted({route.channel.slug for route in ticket.routes.all() if not route.side})


class PromiseOut(serializers.ModelSerializer):
    owner = Named()
    state = serializers.SerializerMethodField(help_text="`open`, `kept` or `withdrawn`.")
    due_at = serializers.DateTimeField(source="clock.due_at")
    breached_at = serializers.DateTimeField(source="clock.breached_at", allow_null=True)
    ended_at = serializers.DateTimeField(source="clock.ended_at", allow_null=True)

    class Meta:
        model = Promise
        fields = ["id", "ticket", "text", "owner", "state", "due_at", "breached_at", "ended_at"]

    def get_state(self, promise: Promise) -> str:
        return {"met": "kept", "cancelled": "withdrawn"}.get(promise.clock.state, "open")


class AttachmentOut(serializers.ModelSerializer):
    url = serializers.SerializerMethodField()

    class Meta:
        model = Attachment
        fields = ["id", "name", "content_type", "size", "sha256", "inline", "state", "url"]

    def get_url(self, attachment: Attachment) -> str | None:
        return files.signed_url(attachment, seconds=3600) if attachment.state == Attachment.State.STORED else None


class AuthorOut(serializers.Serializer):
    type = serializers.CharField()
    id = serializers.IntegerField(allow_null=True)
    name = serializers.CharField()
    address = serializers.CharField()


class MessageOut(serializers.ModelSerializer):
    channel: Any = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    author = serializers.SerializerMethodField()
    in_reply_to = serializers.SerializerMethodField()
    attachments = AttachmentOut(many=True, read_only=True)
    text = serializers.CharField(read_only=True, help_text="As it was written: an agent's marks are in it.")

    class Meta:
        model = Message
        fields = [
            "id", "ticket", "seq", "direction", "kind", "channel", "route", "author", "to", "cc", "subject", "text",
            "quoted_text", "html", "external_id", "in_reply_to", "state", "state_at", "error", "attachments", "meta",
            "created_at", "received_at", "edited_at", "deleted_at",
        ]  # fmt: skip

    @extend_schema_field(AuthorOut)
    def get_author(self, message: Message) -> dict[str, Any]:
        return {
            "type": message.author_type,
            "id": message.agent_id or message.customer_id,
            "name": message.author_name,
            "address": message.author_address,
        }

    def get_in_reply_to(self, message: Message) -> str | None:
        return message.references[0] if message.references else None


class EventOut(serializers.ModelSerializer):
    actor = Named(allow_null=True)

    class Meta:
        model = Event
        fields = ["id", "ticket", "kind", "actor_type", "actor", "message_id", "particulars", "at"]


class ChannelOut(serializers.ModelSerializer):
    class Meta:
        model = Channel
        fields = ["id", "kind", "slug", "name", "address", "active", "disconnected_at"]


class TicketFieldOut(serializers.ModelSerializer):
    class Meta:
        model = TicketField
        fields = ["id", "key", "label", "kind", "choices", "brand", "team", "required", "position"]


class MacroOut(serializers.ModelSerializer):
    files: Any = serializers.SlugRelatedField("name", many=True, read_only=True)

    class Meta:
        model = Macro
        fields = ["id", "title", "code", "folder", "scope", "team", "kind", "text", "deeds", "files", "updated_at"]


class TicketChange(Strict):
    status = serializers.ChoiceField(["open", "pending", "on_hold", "solved"], required=False)
    priority = serializers.ChoiceField([name.lower() for name in Ticket.Priority.names], required=False)
    assignee = serializers.IntegerField(required=False, allow_null=True, help_text="An agent's id, null for nobody.")
    team = serializers.IntegerField(required=False, allow_null=True, help_text="A team's id, null for none.")
    subject = serializers.CharField(required=False, max_length=300)
    add_tags = serializers.ListField(child=serializers.CharField(max_length=60), required=False, max_length=50)
    remove_tags = serializers.ListField(child=serializers.CharField(max_length=60), required=False, max_length=50)
    fields: Any = serializers.DictField(
        required=False, help_text="Values by the keys of ticket fields; null empties one. What is not named stays."
    )


class MessageIn(Strict):
    kind = serializers.ChoiceField(["reply", "note"])
    text = serializers.CharField(
        max_length=100_000,
        trim_whitespace=False,
        help_text="May carry marks: **bold**, _italic_, [words](https://…), lists of lines with - or 1. in front.",
    )
    route = serializers.IntegerField(required=False, help_text="A route of the ticket; default: the one used last.")
    last_seen_message_id = serializers.IntegerField(
        required=False, help_text="The newest message you know; a newer one answers 409 instead of sending."
    )
    then_status = serializers.ChoiceField(["open", "pending", "on_hold", "solved"], required=False)


class PromiseIn(Strict):
    text = serializers.CharField(max_length=Promise.LONGEST, help_text="What is promised, in one line.")
    due_at = serializers.DateTimeField()
    owner = serializers.IntegerField(required=False, help_text="An agent's id; default: the token's agent.")


class CustomerChange(Strict):
    name = serializers.CharField(required=False, max_length=200)
    language = serializers.ChoiceField([code for code, _name in settings.LANGUAGES], required=False)
    time_zone = serializers.CharField(required=False, max_length=64)
    tier = serializers.ChoiceField([tier.value for tier in Customer.Tier], required=False, allow_blank=True)
    organisation = serializers.CharField(required=False, max_length=200, allow_blank=True)
    notes = serializers.CharField(required=False, max_length=20_000, allow_blank=True)
    attributes = serializers.DictField(required=False)
    blocked = serializers.BooleanField(required=False)
