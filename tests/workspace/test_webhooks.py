"""The settings screens of outgoing webhooks."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone

from agents.models import AuditEntry
from tests.tickets.test_outbox import Receiver
from tickets.models import Outbox, Rule, Webhook

PAGE = "/settings/webhooks/"
PUBLIC = "https://93.184.215.14/hook"
FIELDS = {"url": PUBLIC, "events": ["solved", "rated"], "active": "on"}


def secret_in(page: str) -> str:
    return next(iter(re.findall(r"whsec_[A-Za-z0-9+/=]+", page)), "")


@pytest.fixture
def receiver(settings):
    server = Receiver()
    settings.SAFE_FETCH_ALLOW = [f"127.0.0.1:{server.server_address[1]}"]
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def hook(cast):
    return Webhook.objects.create(url=PUBLIC, events=["solved"], secrets={"current": "whsec_eA=="})


def test_a_webhook_is_added_and_its_secret_is_shown_once(cast, sign_in):
    admin = sign_in(cast.admin)
    assert "No webhooks yet" in admin.get(PAGE).content.decode()
    answer = admin.post(f"{PAGE}new/", FIELDS)
    made = Webhook.objects.get()
    assert secret_in(answer.content.decode()) == made.secrets["current"] and made.secrets["current"]
    assert answer["Cache-Control"] == "no-store"
    assert (made.url, made.events, made.active) == (PUBLIC, ["solved", "rated"], True)
    pages = [admin.get(path).content.decode() for path in (PAGE, f"{PAGE}{made.pk}/")]
    assert PUBLIC in pages[0] and "A ticket is solved" in pages[0] and not any(map(secret_in, pages))
    entry = AuditEntry.objects.get(kind="webhook_added")
    assert entry.facts["after"]["url"] == PUBLIC and "whsec_" not in str(entry.facts)


@pytest.mark.parametrize(
    "url, reason",
    [
        ("https://10.0.0.1/hook", "private network"),
        ("https://169.254.169.254/", "private network"),
        ("http://93.184.215.14/hook", "Write an https address"),
        ("https://93.184.215.14:8443/hook", "Write an https address"),
        ("https://me:pass@example.org/", "Write an https address"),
    ],
)
def test_an_address_that_would_never_be_called_is_refused_with_the_reason(cast, sign_in, url, reason):
    answer = sign_in(cast.admin).post(f"{PAGE}new/", FIELDS | {"url": url})
    assert answer.status_code == 422 and reason in answer.content.decode()
    assert not Webhook.objects.exists()


def test_an_edit_keeps_the_secret_and_events_that_the_page_does_not_list(cast, sign_in, hook):
    hook.events = ["solved", "woken"]
    hook.failing_since = timezone.now()
    hook.save()
    admin = sign_in(cast.admin)
    address = f"{PAGE}{hook.pk}/"
    assert 'value="woken"' in admin.get(address).content.decode()
    assert admin.post(address, {"url": PUBLIC, "events": ["woken"]}).status_code == 302
    hook.refresh_from_db()
    assert (hook.events, hook.active, hook.secrets) == (["woken"], False, {"current": "whsec_eA=="})
    assert hook.failing_since is not None
    admin.post(address, {"url": PUBLIC, "active": "on"})
    hook.refresh_from_db()
    assert (hook.events, hook.active, hook.failing_since) == ([], True, None)


def test_a_new_secret_signs_beside_the_former_one(cast, sign_in, hook):
    cast.admin.set_password("correct horse")
    cast.admin.save()
    admin = sign_in(cast.admin)
    refused = admin.post(f"{PAGE}{hook.pk}/secret/")
    assert refused.status_code == 302 and "reauthenticate" in refused["Location"]
    admin.post("/accounts/reauthenticate/", {"password": "correct horse"})
    page = admin.post(f"{PAGE}{hook.pk}/secret/").content.decode()
    hook.refresh_from_db()
    assert hook.secrets == {"current": secret_in(page), "former": "whsec_eA=="}
    assert AuditEntry.objects.filter(kind="webhook_secret_made").count() == 1


def test_the_list_tells_how_it_goes(cast, sign_in, hook):
    for state in ("queued", "queued", "sending", "quarantined", "sent"):
        Outbox.objects.create(kind="webhook", shard_key=f"webhook:{hook.pk}", payload={}, state=state)
    Webhook.objects.filter(pk=hook.pk).update(failing_since=timezone.now())
    page = sign_in(cast.admin).get(PAGE).content.decode()
    assert "not answering" in page
    assert re.search(
        r'<td class="num">3</td><td class="num"><a href="/settings/dead-letters/\?kind=webhooks">1</a>', page
    )


def test_only_who_works_for_all_brands_has_webhooks(cast, sign_in, mina, hook):
    cast.admin.brand_ids = [cast.brand.pk]
    cast.admin.save()
    admin = sign_in(cast.admin)
    for path in (PAGE, f"{PAGE}new/", f"{PAGE}{hook.pk}/"):
        assert admin.get(path).status_code == 403
        assert mina.get(path).status_code == 403
    assert admin.post(f"{PAGE}{hook.pk}/secret/").status_code == 403


def test_a_rule_leads_to_the_first_webhook(cast, sign_in):
    admin = sign_in(cast.admin)
    assert 'href="/settings/webhooks/new/"' in admin.get("/settings/rules/new/").content.decode()
    Webhook.objects.create(url=PUBLIC)
    page = admin.get("/settings/rules/new/").content.decode()
    assert 'href="/settings/webhooks/new/"' not in page and 'id="do-webhook"' in page


def test_the_dead_letters_name_the_address(cast, sign_in, hook):
    Outbox.objects.create(
        kind="webhook", shard_key=f"webhook:{hook.pk}", payload={"webhook": hook.pk}, state="quarantined"
    )
    assert f"<td>{PUBLIC}</td>" in sign_in(cast.admin).get("/settings/dead-letters/?kind=webhooks").content.decode()


def test_a_test_sends_one_signed_request_and_says_how_it_was_answered(cast, sign_in, hook, receiver):
    Webhook.objects.update(url=f"http://127.0.0.1:{receiver.server_address[1]}/in", failing_since=timezone.now())
    receiver.answers = [(500, {}), (302, {"Location": "https://example.org/"}), (403, {}), (404, {}), (204, {})]
    admin = sign_in(cast.admin)
    said = ("HTTP 500: the other", "HTTP 302: it points", "HTTP 403: it does not", "HTTP 404: nothing", "It works")
    for words in said:
        assert words in admin.post(f"{PAGE}{hook.pk}/test/", follow=True).content.decode()
    headers, body = receiver.calls[-1]
    assert headers["webhook-signature"].startswith("v1,") and b'"type":"test"' in body
    hook.refresh_from_db()
    assert hook.answered_at and hook.failing_since is None
    Webhook.objects.update(url="https://10.0.0.1/")
    assert "private network" in admin.post(f"{PAGE}{hook.pk}/test/", follow=True).content.decode()
    assert len(receiver.calls) == len(said) and not Outbox.objects.filter(kind="webhook").exists()


def test_a_deletion_asks_first_and_takes_along_what_waits(cast, sign_in, hook):
    other = Webhook.objects.create(url=PUBLIC)
    for one, state in ((hook, "queued"), (hook, "quarantined"), (hook, "sent"), (other, "queued")):
        Outbox.objects.create(
            kind="webhook", shard_key=f"webhook:{one.pk}", payload={}, state=state, last_error="HTTP 503"
        )
    Rule.objects.create(name="Tell the shop", actions=[{"do": "webhook", "webhook": hook.pk}])
    admin = sign_in(cast.admin)
    page = admin.get(f"{PAGE}{hook.pk}/").content.decode()
    assert page.count("HTTP 503") == 1 and "/settings/dead-letters/?kind=webhooks" in page
    asked = admin.get(f"{PAGE}{hook.pk}/deletion/").content.decode()
    assert "2 deliveries" in asked and "Tell the shop" in asked and Webhook.objects.count() == 2
    assert admin.post(f"{PAGE}{hook.pk}/deletion/").status_code == 302
    assert Webhook.objects.get() == other
    left = Outbox.objects.order_by("pk").values_list("shard_key", "state")
    assert list(left) == [(f"webhook:{hook.pk}", "sent"), (f"webhook:{other.pk}", "queued")]
    assert AuditEntry.objects.filter(kind="webhook_deleted").count() == 1
