"""The settings of a channel, as an administrator fills them in: what all kinds share, and the way to each kind's form.

An adapter names its form (`form = "channels_in.sms.forms.SmsForm"`); there is no other list of forms.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple, cast

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from tickets.brands import key_for
from tickets.channels import adapter_for
from tickets.keys import free_key
from tickets.models import Brand, Channel

RANDOM_TAIL = 16  # bytes at the end of an address that is all that guards it
MASK = "•••"

Words = str | Promise  # what is said may wait for the reader's language


class Section(NamedTuple):
    """Fields that belong together on the page."""

    title: Words
    fields: tuple[str, ...]


class Handover(NamedTuple):
    """What has to be entered somewhere else: at the provider, in a mail server, on a web site."""

    label: str
    code: str
    help: str = ""
    url: str = ""


class MadeHere(NamedTuple):
    """A secret that we make and somebody else needs: it is shown once, when it is made."""

    name: str
    label: Words
    help: Words


class ChannelForm(forms.ModelForm):
    """The base of every kind's form. A kind says which of its fields are settings and which are secrets.

    A setting that is left empty is removed, a secret that is left empty stays as it was, and no secret is ever
    rendered. `save` leaves settings and secrets alone that the form does not know.
    """

    kind: ClassVar[str]
    needs: ClassVar[Words]  # one sentence: what one has to have at hand
    provider_signs: ClassVar[bool] = True  # else the address itself is the secret, and ends in random bits
    setting_fields: ClassVar[tuple[str, ...]] = ()
    secret_fields: ClassVar[tuple[str, ...]] = ()
    required_secrets: ClassVar[tuple[str, ...]] = ()
    spare_secrets: ClassVar[tuple[str, ...]] = ()  # those of the fields that are needed for a while only
    made_here: ClassVar[tuple[MadeHere, ...]] = ()
    signs_visitors: ClassVar[bool] = False  # has keys with which a site signs who its visitors are
    account_field: ClassVar[str] = "address"  # which field is told when the account belongs to another channel
    needs_proof = False  # its secrets are sealed
    given_secrets: Sequence[str] = ()  # those that were entered, or had to be, although they are sealed
    first_section: ClassVar[tuple[str, ...]] = ("name", "address", "brand", "team", "weight", "slug")
    further_sections: ClassVar[tuple[Section, ...]] = ()

    class Meta:
        model = Channel
        fields = ["name", "slug", "brand", "team", "weight", "address"]
        labels = {
            "name": gettext_lazy("Name"),
            "slug": gettext_lazy("Short name in addresses"),
            "brand": gettext_lazy("Brand"),
            "team": gettext_lazy("Team"),
        }
        help_texts = {
            "name": gettext_lazy("As agents see it."),
            "slug": gettext_lazy("When you change it, tell the other side the new address."),
            "team": gettext_lazy("Whose business hours count. Rules decide who gets the tickets."),
            "weight": gettext_lazy("Percent of one of an agent’s places: 100 for a chat, 30 for a mail, as you like."),
        }
        error_messages = {
            "slug": {
                "unique": gettext_lazy("Another channel has this short name already. Choose another one."),
                "invalid": gettext_lazy("Use Latin letters, digits and hyphens only."),
            }
        }

    def __init__(self, *args: Any, brands: QuerySet[Brand], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._offer(brands)
        cast(forms.ModelChoiceField, self.fields["team"]).empty_label = _("None")
        self.fields["weight"].required = False
        if self.instance.pk is None:
            self.initial["slug"] = self.proposed_slug()
        self.initial = {**self.initial, **self.stored_settings()}
        stored = secrets_of(self.instance)
        for name in self.secret_fields:
            field = self.fields[name]
            field.required = name in self.required_secrets and not stored.get(name)
            field.widget.attrs |= {"autocomplete": "new-password", "spellcheck": "false"}
            if stored.get(name):
                field.widget.attrs["placeholder"] = _("Stored. Leave it empty to keep it.")

    def _offer(self, brands: QuerySet[Brand]) -> None:
        """The brands to choose from. Where there is none at all its name is asked for: the first channel brings it."""
        if not Brand.objects.exists():
            del self.fields["brand"]
            self.fields["brand_name"] = forms.CharField(
                label=_("Name of the brand"), max_length=80, help_text=_("As customers see it.")
            )
            return
        brand = cast(forms.ModelChoiceField, self.fields["brand"])
        brand.queryset, brand.empty_label = brands.order_by("name", "pk"), None
        if self.instance.pk is None:
            self.initial["brand"] = brand.queryset.first()

    def seal(self) -> None:
        """Take no secrets: who sits here has not proved lately who they are. The rest may be changed."""
        self.given_secrets = [name for name in self.secret_fields if self.data.get(self.add_prefix(name))]
        self.needs_proof = bool(self.secret_fields)
        for name in self.secret_fields:
            field = self.fields[name]
            if field.required:
                self.given_secrets.append(name)
            field.disabled, field.required = True, False
            field.widget.attrs["placeholder"] = _("Confirm who you are first.")

    # -- What kinds may refine -----------------------------------------------------------------------------------------

    def stored_settings(self) -> dict[str, Any]:
        """The initial values of `setting_fields`; what is not stored keeps the field's own."""
        return {name: self.instance.settings[name] for name in self.setting_fields if name in self.instance.settings}

    def chosen_settings(self) -> dict[str, Any]:
        """What `Channel.settings` keeps of the cleaned data."""
        chosen = {name: self.cleaned_data[name] for name in self.setting_fields}
        return {name: value for name, value in chosen.items() if value not in ("", None)}

    def chosen_secrets(self) -> dict[str, str]:
        """What `Channel.secrets` keeps: what was there, and what was given now."""
        given = {name: self.cleaned_data[name] for name in self.secret_fields if self.cleaned_data.get(name)}
        return {**secrets_of(self.instance), **given}

    def account(self) -> str:
        """The provider's name for this address, by which its items find the channel; "" when it has none."""
        return ""

    def handover(self) -> list[Handover]:
        """What the administrator enters elsewhere so that messages arrive here."""
        return []

    def clean_weight(self) -> int:
        weight: int | None = self.cleaned_data["weight"]
        return 100 if weight is None else weight

    # -- What all kinds do ---------------------------------------------------------------------------------------------

    @property
    def hook_url(self) -> str:
        return f"{settings.SITE_URL}/hooks/{self.instance.slug}/"

    def sections(self) -> Iterable[tuple[str, list[forms.BoundField]]]:
        """Titles and their fields, in the order of the page."""
        yield _("General"), [self[name if name in self.fields else f"{name}_name"] for name in self.first_section]
        for title, fields in self.further_sections:
            yield str(title), [self[name] for name in fields]

    def proposed_slug(self) -> str:
        """A short name that is free: readable where the provider signs, else with a random end."""
        if not self.provider_signs:
            return f"{self.kind}-{secrets.token_hex(RANDOM_TAIL)}"
        return free_key(Channel.objects.all(), self.kind, column="slug")

    def clean_slug(self) -> str:
        slug = self.cleaned_data["slug"]
        if not self.provider_signs and not re.search(rf"[0-9a-f]{{{2 * RANDOM_TAIL},}}$", slug):
            raise ValidationError(
                _("This provider signs nothing: keep the random end, so that nobody can guess the address.")
            )
        return slug

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.given_secrets:
            self.add_error(None, _("Nothing was saved. Confirm who you are, and then enter the secrets again."))
        if self.account_field in self.errors:
            return cleaned
        account = self.account()
        others = Channel.objects.filter(kind=self.kind, account_id=account).exclude(pk=self.instance.pk)
        if account and others.exists():
            self.add_error(self.account_field, _("Another channel has this already."))
        return cleaned

    def save(self, commit: bool = True) -> Channel:
        channel = self.instance
        channel.kind = self.kind
        if name := self.cleaned_data.get("brand_name"):
            language = (get_language() or settings.LANGUAGE_CODE)[:2]
            channel.brand = Brand.objects.create(key=key_for(name), name=name, language=language)
        kept = {name: value for name, value in channel.settings.items() if name not in self.setting_fields}
        channel.settings = {**kept, **self.chosen_settings()}
        channel.secrets = self.chosen_secrets()
        channel.account_id = self.account()
        return cast(Channel, super().save(commit))


def form_of(kind: str) -> type[ChannelForm] | None:
    """The form of a channel kind, or None where it has none. Raises `UnknownKind`."""
    path = getattr(adapter_for(kind), "form", "")
    return import_string(path) if path else None


def forms_by_kind() -> dict[str, type[ChannelForm]]:
    """Every kind that can be set up on a screen, in the order of the registry."""
    found = {kind: form_of(kind) for kind in settings.CHANNEL_ADAPTERS}
    return {kind: form for kind, form in found.items() if form is not None}


def secrets_of(channel: Channel) -> dict[str, str]:
    return cast("dict[str, str]", channel.secrets or {})  # the field decrypts; its type does not say so


def difference(before: Channel, after: Channel) -> dict[str, dict[str, Any]]:
    """What changed, for the audit: {"before": {...}, "after": {...}}, every secret masked."""
    old, new = _facts(before), _facts(after)
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    told: dict[str, dict[str, Any]] = {
        "before": {name: old[name] for name in changed if name in old},
        "after": {name: new[name] for name in changed if name in new},
    }
    once, now = secrets_of(before), secrets_of(after)
    for name in {**once, **now}:
        if once.get(name) != now.get(name):
            told["before"] |= {f"secret {name}": MASK} if once.get(name) else {}
            told["after"] |= {f"secret {name}": MASK} if now.get(name) else {}
    return told


def _facts(channel: Channel) -> dict[str, Any]:
    columns = ("kind", "name", "slug", "brand_id", "team_id", "address", "account_id", "app_id", "active")
    if channel.pk is None:
        return {}
    return {name: getattr(channel, name) for name in columns} | channel.settings
