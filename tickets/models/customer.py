from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now, Upper
from django.utils.translation import gettext_lazy as _


class Customer(models.Model):
    """A person who writes to us, on whatever channel."""

    class Tier(models.TextChoices):
        STANDARD = "", _("Standard")
        VIP = "vip", _("VIP")

    name = models.CharField(_("name"), max_length=200, blank=True, default="")
    language = models.CharField(_("language"), max_length=5, blank=True, default="")
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True, default="")
    tier = models.CharField(_("tier"), max_length=20, choices=Tier.choices, blank=True, default=Tier.STANDARD)
    organisation = models.CharField(_("organisation"), max_length=200, blank=True, default="")
    since = models.DateField(_("customer since"), null=True, blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    preferred_channel = models.CharField(max_length=20, blank=True, default="")
    notes = models.TextField(_("notes"), blank=True, default="")
    blocked = models.BooleanField(default=False)
    joined_into = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            GinIndex(OpClass(Upper("name"), name="gin_trgm_ops"), name="customer_name_part"),
            GinIndex(fields=["attributes"], opclasses=["jsonb_path_ops"], name="customer_attributes"),
        ]

    def __str__(self) -> str:
        return self.name or str(_("Unknown customer"))


class Identity(models.Model):
    """An address of a customer. Verified ones are unique; claims are suggestions with their evidence.

    `value` is normalised: e-mail lower-cased, phone in E.164. `scope` is "" or the brand's key.
    """

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="identities")
    kind = models.CharField(max_length=20)
    scope = models.CharField(max_length=80, blank=True, default="", db_default="")
    value = models.CharField(max_length=254)
    verified = models.BooleanField(default=False)
    evidence = models.CharField(max_length=60, blank=True, default="")
    name = models.CharField(max_length=200, blank=True, default="")  # as the provider shows it
    opted_out_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)  # a permanent bounce: no more notifications
    pictures = models.BooleanField(default=False, db_default=False)  # an agent said: always show pictures from there
    last_seen_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "scope", "value"], condition=Q(verified=True), name="verified_identity_once"
            ),
            models.UniqueConstraint(fields=["customer", "kind", "scope", "value"], name="identity_once_per_customer"),
        ]
        indexes = [
            models.Index(fields=["kind", "value", "scope"], name="identity_by_value"),
            GinIndex(OpClass(Upper("value"), name="gin_trgm_ops"), name="identity_value_part"),
        ]

    def __str__(self) -> str:
        return self.value


class CustomerJoin(models.Model):
    """The journal of a join; its inverse is exact: what moved is listed, and moves back."""

    survivor = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="joins")
    joined = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    identity_ids = models.JSONField(default=list)
    ticket_ids = models.JSONField(default=list)
    reason = models.CharField(max_length=60)
    evidence = models.JSONField(default=dict)
    by = models.ForeignKey("agents.Agent", null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())
    undone_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(survivor=models.F("joined")), name="join_of_two_customers"),
        ]
