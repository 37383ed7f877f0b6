"""Admins connect channels, see how they do, and change them; secrets go in and never come out."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings as project
from django.utils import timezone
from django.utils.html import escape
from django.utils.module_loading import import_string

from agents.models import Agent, AuditEntry
from channels_in.forms import ChannelForm, form_of, forms_by_kind
from channels_in.models import MailboxCursor, RawEvent, SignatureFailure
from channels_in.simulator import provider
from channels_in.sms import fake as twilio
from channels_in.webchat import identity
from channels_in.whatsapp import fake as graph
from tests import cast as people
from tests.cast import make_brand, make_channel
from tests.fakes.imap import PASSWORD, USER, ImapServer
from tests.fakes.smtp import SmtpServer
from tests.plain import come_in
from tests.workspace import scene
from tickets.models import Channel, DeliveryPart, Message
from tickets.routing import assign

PAGE = "/settings/channels/"
BACKEND = "django.contrib.auth.backends.ModelBackend"
SID = "AC" + "1" * 32


@pytest.fixture
def admin(client, cast):
    """Signed in a moment ago, by the form."""
    client.post("/accounts/login/", {"login": cast.admin.email, "password": people.PASSWORD})
    return client


@pytest.fixture
def admin_since_long(client, cast):
    client.force_login(cast.admin, backend=BACKEND)
    return client


def test_secrets_ask_again_who_it_is_after_ten_minutes(admin_since_long, cast):
    """Settings may be changed, secrets not, until the password was given again; then ten minutes long."""
    client, page = admin_since_long, f"{PAGE}{cast.sms.pk}/"
    before = Channel.objects.get(pk=cast.sms.pk).secrets
    assert "confirm who you are" in client.get(page).content.decode()
    refused = client.post(page, sms_fields(cast, name="Renamed"))
    assert refused.status_code == 422 and "Nothing was saved" in refused.content.decode()
    assert client.post(page, sms_fields(cast, name="Renamed", auth_token="")).status_code == 302
    channel = Channel.objects.get(pk=cast.sms.pk)
    assert (channel.name, channel.secrets) == ("Renamed", before)
    key = f"{PAGE}{cast.webchat.pk}/identity-keys/"
    assert "/accounts/reauthenticate/" in client.post(key, {"alg": "HS256"})["Location"]
    new = client.post(f"{PAGE}new/sms/", sms_fields(cast, slug="another", address="+15550009999"))
    assert new.status_code == 422 and Channel.objects.filter(slug="another").count() == 0

    confirmed = client.post(f"/accounts/reauthenticate/?next={page}", {"password": people.PASSWORD})
    assert confirmed["Location"] == page
    assert client.post(page, sms_fields(cast, name="Renamed")).status_code == 302
    assert Channel.objects.get(pk=cast.sms.pk).secrets["auth_token"] == "a token of the test"
    assert client.post(key, {"alg": "HS256"}).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        assert client.post(page, sms_fields(cast)).status_code == 422


def sms_fields(cast, **more):
    return {
        "name": "Orders by SMS", "slug": "orders", "brand": cast.brand.pk, "team": cast.support.pk,
        "address": "+82 2-1588-0199", "account_sid": SID, "auth_token": "a token of the test", "mms": "on", **more,
    }  # fmt: skip


def email_fields(cast, **more):
    return {
        "name": "Support mail", "slug": "support-mail", "brand": cast.brand.pk, "address": "Support@Shop.Example",
        "imap_host": "imap.shop.example", "imap_security": "tls", "imap_user": "support", "imap_password": "in",
        "imap_folder": "INBOX", "imap_idle": "on", "smtp_host": "smtp.shop.example", "smtp_security": "starttls",
        "smtp_user": "support", "smtp_password": "out", "max_megabytes": "20", **more,
    }  # fmt: skip


def words(response):
    return response.content.decode()


# -- Who ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["agent", "manager"])
def test_only_admins_come_in(client, cast, who):
    client.force_login(getattr(cast, who), backend=BACKEND)
    one = f"{PAGE}{cast.sms.pk}/"
    for address in (PAGE, f"{PAGE}new/", f"{PAGE}new/sms/", one):
        assert client.get(address).status_code == 403
    for address in (one, f"{one}activity/", f"{one}check/", f"{one}secrets/auth_token_next/removal/"):
        assert client.post(address, {"active": "false"}).status_code == 403
    cast.sms.refresh_from_db()
    assert cast.sms.active


def test_an_admin_of_another_brand_finds_nothing(admin, cast):
    other = make_brand("garden")
    cast.admin.brand_ids = [other.pk]
    cast.admin.save()
    assert "No channel yet" in words(admin.get(PAGE))
    assert admin.get(f"{PAGE}{cast.sms.pk}/").status_code == 404
    assert admin.post(f"{PAGE}{cast.sms.pk}/activity/", {"active": "false"}).status_code == 404
    response = admin.post(f"{PAGE}new/sms/", sms_fields(cast))
    assert response.status_code == 422
    assert not Channel.objects.filter(slug="orders").exists()


# -- New ---------------------------------------------------------------------------------------------------------------


def test_every_kind_names_a_form_of_its_own():
    forms = forms_by_kind()
    assert set(forms) == set(project.CHANNEL_ADAPTERS)
    for kind, form in forms.items():
        assert (form.kind, issubclass(form, ChannelForm)) == (kind, True)
        assert form.needs
        assert set(form.secret_fields) <= set(form.base_fields)
        assert set(form.required_secrets) | set(form.spare_secrets) <= set(form.secret_fields)
        shown = {name for _title, fields in (("", form.first_section), *form.further_sections) for name in fields}
        assert shown == set(form.base_fields), "every field has a place on the page"


def test_the_kinds_say_what_one_needs(admin):
    page = words(admin.get(f"{PAGE}new/"))
    for kind, form in forms_by_kind().items():
        assert f"{PAGE}new/{kind}/" in page
        assert escape(str(form.needs)) in page
    assert admin.get(f"{PAGE}new/fax/").status_code == 404


def test_an_sms_channel_is_made_and_says_what_the_other_side_needs(admin, cast):
    response = admin.post(f"{PAGE}new/sms/", sms_fields(cast), follow=True)
    made = Channel.objects.get(slug="orders")
    assert response.redirect_chain[-1][0] == f"{PAGE}{made.pk}/"
    assert f"{project.SITE_URL}/hooks/orders/" in words(response)
    assert (made.kind, made.address, made.account_id) == ("sms", "+82215880199", "+82215880199")
    assert made.settings == {"account_sid": SID, "mms": True}
    assert made.secrets == {"auth_token": "a token of the test"}
    assert made.team == cast.support
    # The door works with it at once.
    call = twilio.build(made, sender="+15550009999", text="hello")
    answer = admin.post(call.path, call.body, content_type=call.headers["Content-Type"], headers=dict(call.headers))
    assert answer.status_code == 200
    assert RawEvent.objects.filter(channel=made).count() == 1


def test_a_whatsapp_channel_a_mailbox_and_a_chat_are_made(admin, cast):
    admin.post(f"{PAGE}new/whatsapp/", {
        "name": "WhatsApp 2", "slug": "wa-2", "brand": cast.brand.pk, "address": "+1 555 000 3000", "app_id": "77",
        "account_id": "123456789", "waba_id": "987654321", "access_token": "tok", "app_secret": "sec",
    })  # fmt: skip
    made = Channel.objects.get(slug="wa-2")
    assert (made.account_id, made.app_id, made.settings) == ("123456789", "77", {"waba_id": "987654321"})
    assert made.secrets == {"access_token": "tok", "app_secret": "sec"}
    admin.post(f"{PAGE}new/email/", email_fields(cast))
    made = Channel.objects.get(slug="support-mail")
    assert made.address == made.account_id == "support@shop.example"
    assert made.settings["max_bytes"] == 20 * 1024 * 1024
    assert (made.settings["imap_idle"], made.settings["imap_mark_seen"]) == (True, False)
    assert "smtp_port" not in made.settings
    assert made.secrets == {"imap_password": "in", "smtp_password": "out"}
    admin.post(f"{PAGE}new/webchat/", {
        "name": "Chat", "slug": "chat-2", "brand": cast.brand.pk, "origins": "HTTPS://Shop.example:443\nhttp://b.example:8080",
        "greeting_en": "Hello", "file_megabytes": "7",
    })  # fmt: skip
    made = Channel.objects.get(slug="chat-2")
    assert made.settings == {
        "origins": ["https://shop.example", "http://b.example:8080"], "greeting": {"en": "Hello"}, "ask_email": False,
        "file_max": 7_000_000,
    }  # fmt: skip
    page = words(admin.get(f"{PAGE}{made.pk}/"))
    assert f"&lt;script async src=&quot;{project.SITE_URL}/widget.js&quot; data-channel=&quot;chat-2&quot;&gt;" in page
    assert f"{project.SITE_URL}/chat/chat-2/" in page


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "key"), [("Harbour Coffee", "harbour-coffee"), ("모아마켓", "brand")])
def test_the_first_channel_of_an_empty_helpdesk_brings_its_brand(client, name, key):
    owner = Agent.objects.create_superuser("owner@shop.example", people.PASSWORD, name="Owner")
    client.force_login(owner, backend=BACKEND)
    assert 'name="brand_name"' in words(client.get(f"{PAGE}new/webchat/"))
    fields = {"name": "Chat", "slug": "chat", "file_megabytes": "7"}
    assert client.post(f"{PAGE}new/webchat/", fields).status_code == 422
    assert client.post(f"{PAGE}new/webchat/", fields | {"brand_name": name}).status_code == 302
    brand = Channel.objects.get().brand
    assert (brand.name, brand.key, brand.language) == (name, key, "en")
    assert 'name="brand"' in words(client.get(f"{PAGE}new/sms/"))


def test_the_proposed_short_name_is_readable_and_free(admin, cast):
    assert 'value="sms"' in words(admin.get(f"{PAGE}new/sms/"))
    make_channel("sms", brand=cast.brand, slug="sms")
    assert 'value="sms-2"' in words(admin.get(f"{PAGE}new/sms/"))


def test_where_a_provider_signs_nothing_the_address_ends_in_random_bits(cast):
    class Unsigned(form_of("sms")):  # type: ignore[misc]
        provider_signs = False

    brands = type(cast.brand).objects.all()
    proposals = {Unsigned(instance=Channel(kind="sms"), brands=brands).initial["slug"] for _n in range(3)}
    assert len(proposals) == 3
    assert all(re.fullmatch(r"sms-[0-9a-f]{32}", slug) for slug in proposals)
    readable = Unsigned(sms_fields(cast), instance=Channel(kind="sms"), brands=brands)
    assert "slug" in readable.errors
    assert Unsigned(sms_fields(cast, slug=proposals.pop()), instance=Channel(kind="sms"), brands=brands).is_valid()


# -- A wrong form ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"slug": "shop-sms"}, "Another channel has this short name already. Choose another one."),
        ({"slug": "no spaces"}, "Use Latin letters, digits and hyphens only."),
        ({"address": "02-123"}, "Enter a phone number with its country code"),
        ({"address": "+1 555 000 1000"}, "Another channel has this already."),
        ({"account_sid": "AC1"}, "An account SID begins with AC and has 34 characters."),
        ({"auth_token": ""}, "This field is required."),
    ],
)
def test_a_wrong_form_says_what_is_wrong_and_saves_nothing(admin, cast, change, sentence):
    before = Channel.objects.count()
    response = admin.post(f"{PAGE}new/sms/", sms_fields(cast, **change))
    assert response.status_code == 422
    assert sentence in words(response)
    assert "a token of the test" not in words(response)
    assert Channel.objects.count() == before
    assert not AuditEntry.objects.exists()
    assert admin.post(f"{PAGE}new/sms/", sms_fields(cast)).status_code == 302  # so it was the change


def test_a_mailbox_wants_whole_servers(admin, cast):
    page = words(admin.post(f"{PAGE}new/email/", email_fields(cast, imap_user="", smtp_password="", verp="on")))
    assert "Enter the user name for this server." in page
    assert "Enter the password for this server." in page
    assert "This needs a mailbox that takes name+anything@." in page


def test_a_chat_wants_exact_sites(admin, cast):
    fields = {"name": "C", "slug": "t", "brand": cast.brand.pk, "origins": "*.example", "file_megabytes": "5"}
    page = words(admin.post(f"{PAGE}new/webchat/", fields))
    assert "*.example is not the address of a site." in page
    assert "This name is reserved." in page


def test_two_channels_of_one_app_share_its_secret_or_are_not_of_one_app(admin, cast):
    fields = {
        "name": "W", "slug": "w", "brand": cast.brand.pk, "address": "+15550004000", "account_id": "55555555",
        "waba_id": "66666666", "access_token": "t", "app_secret": "not theirs", "app_id": "whatsapp-app",
    }  # fmt: skip
    response = admin.post(f"{PAGE}new/whatsapp/", fields)
    assert "Another channel has this app ID with another app secret." in words(response)
    right = {**fields, "app_secret": "whatsapp-secret-of-the-tests"}
    assert admin.post(f"{PAGE}new/whatsapp/", right).status_code == 302


def test_a_short_name_that_is_taken_meanwhile_is_a_field_error(admin, cast, monkeypatch):
    monkeypatch.setattr(
        "django.forms.models.BaseModelForm.validate_unique", lambda form: None
    )  # the other one commits after
    response = admin.post(f"{PAGE}new/sms/", sms_fields(cast, slug="shop-sms"))
    assert response.status_code == 422
    assert "Another channel has this short name already." in words(response)


# -- Changing ----------------------------------------------------------------------------------------------------------


def test_a_secret_left_empty_stays_and_is_never_shown(admin, cast):
    one = f"{PAGE}{cast.sms.pk}/"
    cast.sms.settings |= {"base_url": "https://elsewhere.example"}
    cast.sms.save()
    page = words(admin.get(one))
    assert "sms-token-of-the-tests" not in page
    assert "Stored. Leave it empty to keep it." in page
    fields = sms_fields(
        cast, slug="shop-sms", address="+15550001000", auth_token="", mms="", account_sid="AC" + "0" * 32
    )
    assert admin.post(one, fields).status_code == 302
    cast.sms.refresh_from_db()
    assert cast.sms.secrets == {"auth_token": "sms-token-of-the-tests"}
    assert cast.sms.settings == {
        "account_sid": "AC" + "0" * 32, "mms": False, "base_url": "https://elsewhere.example",
    }  # fmt: skip
    assert (cast.sms.name, cast.sms.active) == ("Orders by SMS", True)


def test_a_change_is_audited_with_its_secrets_masked(admin, cast):
    fields = sms_fields(cast, slug="shop-sms", address="+15550001000", auth_token="the new one")
    admin.post(f"{PAGE}{cast.sms.pk}/", fields)
    entry = AuditEntry.objects.get()
    assert (entry.kind, entry.actor, entry.object_id) == ("channel_changed", cast.admin, cast.sms.pk)
    assert entry.facts["before"]["name"] == "Shop sms"
    assert entry.facts["after"]["name"] == "Orders by SMS"
    assert entry.facts["after"]["account_sid"] == SID
    assert entry.facts["after"]["secret auth_token"] == "•••"
    assert "slug" not in entry.facts["after"]
    assert "the new one" not in str(entry.facts) and "token-of-the-tests" not in str(entry.facts)


def test_a_team_for_a_channel_is_one_for_what_waited_without(admin, cast):
    ticket = scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Hello", at=timezone.now()).ticket
    assert assign.assign(ticket.pk, now=timezone.now()).outcome == "no_team"
    for team, owed in ((None, False), (cast.support.pk, True)):
        fields = sms_fields(cast, slug="shop-sms", address=cast.sms.address, team=team or "", auth_token="")
        assert admin.post(f"{PAGE}{cast.sms.pk}/", fields).status_code == 302
        ticket.refresh_from_db()
        assert (ticket.routing_due_at is not None) is owed


def test_a_refused_change_shows_the_stored_addresses(admin, cast):
    fields = sms_fields(cast, slug="shop-whatsapp", address="+15550001000")
    response = admin.post(f"{PAGE}{cast.sms.pk}/", fields)
    assert response.status_code == 422
    assert f"{project.SITE_URL}/hooks/shop-sms/" in words(response)
    assert f"{project.SITE_URL}/hooks/shop-whatsapp/" not in words(response)


def test_a_server_that_is_no_longer_named_takes_its_password_along(admin, cast):
    admin.post(f"{PAGE}new/email/", email_fields(cast))
    made = Channel.objects.get(slug="support-mail")
    fields = email_fields(cast, imap_host="", imap_password="", smtp_password="")
    assert admin.post(f"{PAGE}{made.pk}/", fields).status_code == 302
    made.refresh_from_db()
    assert made.secrets == {"smtp_password": "out"}


def test_switching_off_closes_the_door_and_on_opens_it(admin, cast):
    one = f"{PAGE}{cast.sms.pk}/"
    assert "never deleted" in words(admin.get(one))
    admin.post(f"{one}activity/", {"active": "false"})
    call = twilio.build(cast.sms, sender="+15550009999", text="hello")
    send = {"data": call.body, "content_type": call.headers["Content-Type"], "headers": dict(call.headers)}
    assert admin.post(call.path, **send).status_code == 404
    assert "Switched off" in words(admin.get(PAGE))
    admin.post(f"{one}activity/", {"active": "true"})
    assert admin.post(call.path, **send).status_code == 200
    assert [entry.facts["after"] for entry in AuditEntry.objects.order_by("id")] == [
        {"active": False},
        {"active": True},
    ]
    assert admin.post(f"{one}activity/", {"active": "perhaps"}).status_code == 404
    assert admin.delete(one).status_code == 405


# -- Secrets that are made here ----------------------------------------------------------------------------------------


def test_a_verify_token_is_shown_once_and_answers_the_handshake(admin, cast):
    one = f"{PAGE}{cast.whatsapp.pk}/"
    response = admin.post(f"{one}secrets/verify_token/")
    cast.whatsapp.refresh_from_db()
    token = cast.whatsapp.secrets["verify_token"]
    assert token != "whatsapp-handshake" and len(token) >= 32
    assert token in words(response)
    assert "no-store" in response["Cache-Control"]
    assert token not in words(admin.get(one))
    shake = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "42"}
    assert admin.get(f"/hooks/{cast.whatsapp.slug}/", shake).content == b"42"
    assert AuditEntry.objects.get().facts["after"] == {"secret verify_token": "•••"}
    admin.post(f"{one}secrets/verify_token/removal/")
    assert admin.get(f"/hooks/{cast.whatsapp.slug}/", shake).status_code == 403


def test_only_the_secrets_that_we_make_are_made_and_only_spare_ones_removed(admin, cast):
    one = f"{PAGE}{cast.sms.pk}/secrets/"
    assert admin.post(f"{one}auth_token/").status_code == 404
    assert admin.post(f"{one}auth_token/removal/").status_code == 404
    assert admin.post(f"{one}auth_token_next/").status_code == 404
    cast.sms.secrets |= {"auth_token_next": "next"}
    cast.sms.save()
    assert "auth_token_next/removal/" in words(admin.get(f"{PAGE}{cast.sms.pk}/"))
    assert admin.post(f"{one}auth_token_next/removal/").status_code == 302
    cast.sms.refresh_from_db()
    assert cast.sms.secrets == {"auth_token": "sms-token-of-the-tests"}


def test_identity_keys_are_shown_once_and_two_may_live(admin, cast):
    one = f"{PAGE}{cast.webchat.pk}/"
    response = admin.post(f"{one}identity-keys/", {"alg": "HS256"})
    (first,) = identity.keys_of(cast.brand.pk).values()
    assert f"<code>{cast.brand.key}</code>" in words(response)  # what the site's server writes as `aud`
    assert first.key in words(response) and first.kid in words(response)
    page = words(admin.get(one))
    assert first.kid in page and first.key not in page
    admin.post(f"{one}identity-keys/", {"alg": "HS256"})
    third = admin.post(f"{one}identity-keys/", {"alg": "HS256"})
    assert third.status_code == 422
    assert "Two keys are live already." in words(third)
    admin.post(f"{one}identity-keys/{first.kid}/removal/")
    assert first.kid not in identity.keys_of(cast.brand.pk)
    wrong = admin.post(f"{one}identity-keys/", {"alg": "EdDSA", "public_key": "no key"})
    assert wrong.status_code == 422
    assert "This is not an Ed25519 public key in PEM form." in words(wrong)
    assert len(identity.keys_of(cast.brand.pk)) == 1
    assert first.key not in str(list(AuditEntry.objects.values_list("facts", flat=True)))
    assert admin.post(f"{PAGE}{cast.sms.pk}/identity-keys/", {"alg": "HS256"}).status_code == 404


# -- Health ------------------------------------------------------------------------------------------------------------


def test_the_cards_say_how_each_channel_does(admin, cast, line):
    now = timezone.now()
    page = words(admin.get(PAGE))
    assert page.count("Nothing yet") == 5
    (event,) = come_in(line, {"type": "message", "key": "m1", "order": "c1", "text": "hello", "from": "+15550007000"})
    assert "Working" in words(admin.get(PAGE))
    RawEvent.objects.filter(pk=event.pk).update(state="new", outcome=None, received_at=now - timedelta(minutes=9))
    assert "Messages wait for longer than two minutes." in words(admin.get(PAGE))
    RawEvent.objects.filter(pk=event.pk).update(state="quarantined", outcome="quarantined")
    page = words(admin.get(PAGE))
    assert "1 item could not be read." in page
    assert "/settings/dead-letters/" in page
    RawEvent.objects.filter(pk=event.pk).update(state="done", outcome="suppressed")
    SignatureFailure.objects.create(channel=line, day=now.date(), n=3, last_at=now)
    SignatureFailure.objects.create(channel=line, day=now.date() - timedelta(days=7), n=40, last_at=now)
    page = words(admin.get(PAGE))
    assert "The latest call had a wrong signature." in page
    assert '<dd data-tone="warn">3</dd>' in page
    MailboxCursor.objects.create(channel=cast.email, last_error="sign-in refused", failing_since=now)
    assert "The mailbox cannot be read: sign-in refused." in words(admin.get(PAGE))
    Channel.objects.filter(pk=cast.sms.pk).update(disconnected_at=now, disconnected_reason="token <expired>")
    page = words(admin.get(PAGE))
    assert "token &lt;expired&gt;. Messages to send are waiting." in page
    assert "Reconnect" in page


def test_what_waits_to_be_sent_is_counted(admin, cast, line):
    (event,) = come_in(line, {"type": "message", "key": "m1", "order": "c1", "text": "hello", "from": "+15550007000"})
    said = Message.objects.get(pk=event.message_id)
    parts = [
        DeliveryPart(message=said, n=n, channel=line, ticket=said.ticket, state=state, sent_at=at)
        for n, (state, at) in enumerate([("queued", None), ("queued", None), ("sent", timezone.now())])
    ]
    DeliveryPart.objects.bulk_create(parts)
    page = words(admin.get(f"{PAGE}{line.pk}/"))
    assert re.search(r"<dd[^>]*>2 · <time", page)


def test_the_number_of_queries_does_not_depend_on_the_channels(admin, cast, django_assert_max_num_queries):
    def queries():
        with django_assert_max_num_queries(30) as counted:
            assert admin.get(PAGE).status_code == 200
        return len(counted)

    queries()  # the first one also fills caches
    few = queries()
    for n in range(40):
        channel = make_channel("email", brand=cast.brand, slug=f"more-{n}")
        SignatureFailure.objects.create(channel=channel, day=timezone.now().date(), n=1)
        MailboxCursor.objects.create(channel=channel, last_error="away")
    assert queries() == few


def test_a_kind_without_a_form_or_an_adapter_still_has_a_page(admin, cast, line):
    assert admin.get(f"{PAGE}{line.pk}/").status_code == 200
    unknown = make_channel("fax", brand=cast.brand)
    assert admin.get(f"{PAGE}{unknown.pk}/").status_code == 200
    assert "Other channel" in words(admin.get(PAGE))


# -- The connection ----------------------------------------------------------------------------------------------------


@pytest.fixture
def simulated(live_server, cast):
    """SMS and WhatsApp channels of the simulated providers, which the live server plays."""
    made = {}
    for kind, fake in (("sms", twilio), ("whatsapp", graph)):
        settings, secrets = fake.demo_settings()
        Channel.objects.filter(kind=kind).delete()
        made[kind] = make_channel(
            kind, brand=cast.brand, slug=f"fake-{kind}", account_id="100000000000042" if kind == "whatsapp" else "+15550008000",
            address="+15550008000", settings=settings, secrets=secrets,
        )  # fmt: skip
    return made


@pytest.mark.parametrize("kind", ["sms", "whatsapp"])
@pytest.mark.django_db(transaction=True)
def test_a_check_asks_the_provider_and_connects_again(admin, simulated, kind):
    channel = simulated[kind]
    Channel.objects.filter(pk=channel.pk).update(disconnected_at=timezone.now(), disconnected_reason="token expired")
    provider.set_mode(kind, channel.account_id, "unauthorised")
    response = admin.post(f"{PAGE}{channel.pk}/check/")
    assert re.search(r"does not accept the (account SID|access token)", words(response))
    channel.refresh_from_db()
    assert channel.disconnected_at
    provider.set_mode(kind, channel.account_id, "broken")
    assert "Try again later" in words(admin.post(f"{PAGE}{channel.pk}/check/"))
    provider.set_mode(kind, channel.account_id, "ok")
    assert "The connection works." in words(admin.post(f"{PAGE}{channel.pk}/check/", follow=True))
    channel.refresh_from_db()
    assert (channel.disconnected_at, channel.disconnected_reason) == (None, "")
    assert AuditEntry.objects.get().kind == "channel_reconnected"


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_a_mailbox_is_checked_at_both_servers(admin, cast, settings):
    incoming, outgoing = ImapServer().start(), SmtpServer(credentials=(USER, PASSWORD))
    settings.SAFE_FETCH_ALLOW = [f"127.0.0.1:{incoming.port}", f"127.0.0.1:{outgoing.port}"]
    try:
        mailbox = make_channel(
            "email", brand=cast.brand, slug="box", address="box@shop.example",
            settings={
                "imap_host": "127.0.0.1", "imap_port": incoming.port, "imap_security": "none", "imap_user": USER,
                **outgoing.settings(smtp_user=USER),
            },
            secrets={"imap_password": PASSWORD, "smtp_password": PASSWORD},
        )  # fmt: skip
        assert "The connection works." in words(admin.post(f"{PAGE}{mailbox.pk}/check/", follow=True))
        mailbox.secrets = {"imap_password": "wrong", "smtp_password": "wrong too"}
        mailbox.save()
        page = words(admin.post(f"{PAGE}{mailbox.pk}/check/"))
        assert "Incoming mail: the server does not accept the user name and the password." in page
        assert "Outgoing mail: the server does not accept the user name and the password." in page
        assert "wrong too" not in page
    finally:
        incoming.stop()
        outgoing.stop()
    page = words(admin.post(f"{PAGE}{mailbox.pk}/check/"))
    assert page.count("the server cannot be used") == 2


def test_a_mailbox_without_servers_cannot_answer(admin, cast):
    assert "Outgoing mail: no server is named" in words(admin.post(f"{PAGE}{cast.email.pk}/check/"))


# -- Words -------------------------------------------------------------------------------------------------------------


def test_errors_are_in_the_readers_language(admin, cast):
    cast.admin.language = "ko"
    cast.admin.save()
    page = words(admin.post(f"{PAGE}new/sms/", sms_fields(cast, slug="shop-sms", address="02-123", auth_token="")))
    assert '<html lang="ko"' in page
    for field in ("slug", "address", "auth_token"):
        error = re.search(rf'id="id_{field}_error">.*?<span>(.*?)</span>', page, re.DOTALL)
        assert error and re.search("[가-힣]", error[1]), field


@pytest.mark.parametrize("kind", sorted(project.CHANNEL_ADAPTERS))
def test_every_kinds_pages_open(admin, cast, kind):
    assert admin.get(f"{PAGE}new/{kind}/").status_code == 200
    assert admin.get(f"{PAGE}{cast.channels[kind].pk}/").status_code == 200
    adapter = import_string(project.CHANNEL_ADAPTERS[kind])
    assert ("check/" in words(admin.get(f"{PAGE}{cast.channels[kind].pk}/"))) == hasattr(adapter, "check")
