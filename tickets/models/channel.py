from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from agents.hours import ALWAYS, Hours
from agents.models import Calendar
from tickets.contract import ChannelFacts
from tickets.models.brand import Brand
from tickets.secrets import EncryptedJSONField


class Channel(models.Model):
    """An address at which customers reach us."""

    kind = models.CharField(max_length=20)
    slug = models.SlugField(unique=True, max_length=80)
    name = models.CharField(_("name"), max_length=80)
    brand = models.ForeignKey(Brand, on_delete=models.PROTECT, related_name="channels")
    account_id = models.CharField(max_length=200, blank=True, default="")  # the provider's name for this address
    app_id = models.CharField(max_length=200, blank=True, default="")  # channels that share a verified secret
    address = models.CharField(_("address"), max_length=254, blank=True, default="")  # as customers know it
    settings = models.JSONField(default=dict, blank=True)
    secrets = EncryptedJSONField()
    team = models.ForeignKey("agents.Team", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    language = models.CharField(max_length=2, blank=True, default="")
    weight = models.PositiveSmallIntegerField(_("weight of a ticket"), default=100)  # % of one place of an agent
    active = models.BooleanField(_("switched on"), default=True)
    disconnected_at = models.DateTimeField(null=True, blank=True)  # an administrator has to reconnect
    disconnected_reason = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["kind", "account_id"], name="channel_by_account")]

    def __str__(self) -> str:
        return self.name

    def hours(self) -> Hours:
        """When customers are answered here: the hours of its team, else the default ones."""
        calendar = self.team.calendar if self.team and self.team.calendar else None
        calendar = calendar or Calendar.objects.filter(is_default=True).first()
        return calendar.hours() if calendar else ALWAYS

    def facts(self) -> ChannelFacts:
        """What an adapter may know of this channel. Needs `brand` loaded."""
        return ChannelFacts(
            id=self.pk,
            kind=self.kind,
            slug=self.slug,
            name=self.name,
            account_id=self.account_id,
            address=self.address,
            brand_key=self.brand.key,
            brand_name=self.brand.name,
            settings=self.settings,
            secrets=self.secrets,  # type: ignore[arg-type]  # EncryptedJSONField answers a dict
            hook_url=f"{settings.SITE_URL}/hooks/{self.slug}/",
        )
