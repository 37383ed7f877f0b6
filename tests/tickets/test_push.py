"""Push on devices: sealed and signed as RFC 8291 and 8292 ask, only of what is still worth saying, and by whose wish."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import Agent
from tests.cast import PASSWORD
from tests.fakes.push_service import Browser, PushService
from tests.workspace import scene
from tickets import actions, notifications, notifying, presence, push, web_push
from tickets.models import Message, Notification, NotificationHours, Outbox, PushKey, PushSubscription, Ticket
from tickets.models.event import by_agent
from tickets.web_push import Address, packed, unpacked

pytestmark = pytest.mark.django_db
SOON = "2000-01-01T00:00Z"
JIWOO = scene.sender("Jiwoo", phone="+821011112222")


@pytest.fixture
def now() -> datetime:
    return timezone.now() - timedelta(seconds=20)


@pytest.fixture
def service(settings: Any) -> Iterator[PushService]:
    service = PushService()
    settings.SAFE_FETCH_ALLOW = [service.host]
    yield service
    service.close()


@pytest.fixture
def has_push(service: PushService) -> Callable[..., Browser]:
    """A browser of this agent's that has push."""

    def subscribe(agent: Agent, device: str = "phone") -> Browser:
        browser = service.browser(web_push.public_key())
        push.subscribe(agent, browser.address, device=device, label="Chrome · Android")
        return browser

    return subscribe


@pytest.fixture
def mine(cast: Any, now: datetime) -> Ticket:
    """A ticket of Mina's on which Jiwoo has written; everybody has been told of that."""
    ticket = scene.says(cast.sms, JIWOO, "Where is my parcel?", at=now).ticket
    actions.assign(ticket, assignee=cast.agent, team=cast.support, by=by_agent(cast.manager), now=now)
    notifying.drain()
    Notification.objects.all().delete()
    ticket.refresh_from_db()
    return ticket


def writes(cast: Any, text: str, *, now: datetime) -> Message:
    message = scene.says(cast.sms, JIWOO, text, at=now)
    notifying.drain()
    return message


def sent() -> None:
    """All whose time has come is sent."""
    Outbox.objects.filter(kind="push", state="queued").update(next_attempt_at=SOON)
    push.drain()


def waits() -> bool:
    return Outbox.objects.filter(kind="push").exists()


# -- The protocol -----------------------------------------------------------------------------------------------------


def test_the_example_of_rfc_8291_is_sealed_to_the_letter() -> None:
    address = Address(
        "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV",
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "BTBZMqHH6r4Tts7J_aSIgg",
    )
    number = int.from_bytes(unpacked("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
    body = web_push.sealed(
        b"When I grow up, I want to be a watermelon",
        address,
        salt=unpacked("DGv6ra1nlYgDCS1FRnbzlw"),
        ephemeral=ec.derive_private_key(number, ec.SECP256R1()),
    )
    assert packed(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3j"
        "l7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_our_key_is_made_once_kept_encrypted_and_the_setting_comes_first(settings: Any) -> None:
    first = web_push.public_key()
    assert web_push.public_key() == first and PushKey.objects.count() == 1
    kept = PushKey.objects.get().secrets["private"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT secrets FROM tickets_pushkey")
        assert kept.encode() not in bytes(cursor.fetchone()[0])
    settings.VAPID_PRIVATE_KEY = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
    assert web_push.public_key() == (
        "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
    )


@pytest.mark.parametrize(
    ("site", "contact"),
    [("https://help.example.com", "https://help.example.com"), ("http://localhost:8000", "mailto:help@example.com")],
)
def test_a_service_is_told_whom_to_ask(settings: Any, site: str, contact: str) -> None:
    settings.SITE_URL, settings.DEFAULT_FROM_EMAIL = site, "Helpdesk <help@example.com>"
    assert web_push.contact() == contact


# -- What is sent -----------------------------------------------------------------------------------------------------


def test_a_burst_is_one_push_on_each_device_in_the_readers_language(cast, mine, has_push, now):
    Agent.objects.filter(pk=cast.agent.pk).update(language="ko")
    phone, laptop, others = has_push(cast.agent), has_push(cast.agent, "laptop"), has_push(cast.outsider, "theirs")
    for text in ("Hello?", "Anybody there?"):
        writes(cast, text, now=now)
    assert Outbox.objects.filter(kind="push").count() == 2
    sent()
    assert not waits() and others.taken == []
    for browser in (phone, laptop):
        (told,) = browser.taken
        assert told["title"].startswith("Jiwoo") and "님" in told["title"] and told["title"].endswith("(2)")
        assert told["body"].endswith("Anybody there?") and f"#{mine.number}" in told["body"]
        assert (told["url"], told["tag"]) == (f"/tickets/{mine.pk}/", f"ticket-{mine.pk}")
        assert 0 < int(told["headers"]["ttl"]) <= 600 and told["headers"]["urgency"] == "high"
        assert len(told["headers"]["topic"]) <= 32
    device = PushSubscription.objects.get(device="phone")
    assert device.last_success_at and (device.failures, device.last_error) == (0, "")


def test_what_comes_later_on_the_same_ticket_takes_the_place_of_what_waits(cast, mine, has_push, now):
    phone = has_push(cast.agent)
    for text in ("Hello?", "Still there?"):
        writes(cast, text, now=now)
        sent()
    assert len(phone.taken) == 2 and [said["body"][-12:] for said in phone.waiting.values()] == ["Still there?"]


def test_the_service_sees_neither_words_nor_how_long_they_are(cast, mine, has_push, service, now):
    phone = has_push(cast.agent)
    lengths = set()
    for text in ("Hi", "A sentence of some length, about a parcel that somebody waits for"):
        writes(cast, text, now=now)
        sent()
        lengths.add(phone.taken[-1]["headers"]["content-length"])
    assert len(lengths) == 1
    (topic,) = {told["headers"]["topic"] for told in phone.taken}
    assert topic not in (f"ticket-{mine.pk}", str(mine.number))


def test_words_without_end_still_fit(cast, mine, has_push, now):
    phone = has_push(cast.agent)
    Ticket.objects.filter(pk=mine.pk).update(subject="\x01" * 150)
    writes(cast, "\x02" * 5000, now=now)
    sent()
    assert len(phone.taken) == 1


def read(cast: Any, ticket: Ticket, message: Message, now: datetime) -> None:
    actions.mark_read(ticket, agent=cast.agent, message_id=message.pk, now=now)


def lose_sight(cast: Any, ticket: Ticket, message: Message, now: datetime) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(team=cast.billing, assignee=cast.outsider)


def want_it_no_more(cast: Any, ticket: Ticket, message: Message, now: datetime) -> None:
    ways = notifications.ways_of(cast.agent)["reply"]
    notifications.choose(cast.agent, "reply", ways._replace(push=False))


def leave(cast: Any, ticket: Ticket, message: Message, now: datetime) -> None:
    Agent.objects.filter(pk=cast.agent.pk).update(is_active=False)


def go_to_bed(cast: Any, ticket: Ticket, message: Message, now: datetime) -> None:
    NotificationHours.objects.create(agent=cast.agent, quiet_from="00:00", quiet_to="23:59:59.999")


def grow_old(cast: Any, ticket: Ticket, message: Message, now: datetime) -> None:
    Notification.objects.update(at=now - push.EXPIRY)


def sign_out(cast: Any, ticket: Ticket, message: Message, now: datetime) -> None:
    push.forget("phone")


@pytest.mark.parametrize("happens", [read, lose_sight, want_it_no_more, leave, go_to_bed, grow_old, sign_out])
def test_what_is_not_to_be_said_any_more_when_its_turn_comes_is_not_sent(
    cast, mine, has_push, service, now, happens: Callable[..., None]
) -> None:
    phone = has_push(cast.agent)
    message = writes(cast, "Hello?", now=now)
    assert waits()
    happens(cast, mine, message, now)
    sent()
    assert phone.taken == [] and service.asked == 0 and not waits()


def test_nothing_is_owed_in_the_quiet_hours_or_to_whom_has_no_device_or_chose_otherwise(cast, mine, has_push, now):
    writes(cast, "To no device", now=now)
    assert not waits()
    has_push(cast.agent)
    want_it_no_more(cast, mine, mine.messages.first(), now)
    writes(cast, "Not wanted", now=now)
    assert not waits()
    notifications.choose(cast.agent, "reply", notifications.TYPES["reply"].ways)
    go_to_bed(cast, mine, mine.messages.first(), now)
    writes(cast, "At night", now=now)
    assert not waits()
    NotificationHours.objects.all().delete()
    writes(cast, "By day", now=now)
    assert waits()


def test_whoever_looks_at_the_ticket_gets_it_only_when_they_leave_it_unread(cast, mine, has_push, now):
    phone = has_push(cast.agent)
    presence.enter(mine.pk, cast.agent, screen="a", doing="viewing", now=timezone.now())
    writes(cast, "Hello?", now=now)
    sent()
    row = Outbox.objects.get(kind="push")
    assert phone.taken == [] and (row.state, row.attempts) == ("queued", 0)
    presence.leave(mine.pk, screen="a", now=timezone.now())
    sent()
    assert len(phone.taken) == 1


def test_only_while_hidden_holds_back_while_any_tab_is_seen(cast, mine, has_push, now):
    phone = has_push(cast.agent)
    hours = NotificationHours.objects.create(agent=cast.agent, only_when_hidden=True)
    presence.look(cast.agent.pk, screen="a", now=timezone.now())
    writes(cast, "Hello?", now=now)
    sent()
    assert phone.taken == [] and waits()
    presence.look_away(cast.agent.pk, screen="a")
    sent()
    assert len(phone.taken) == 1
    presence.look(cast.agent.pk, screen="a", now=timezone.now())
    NotificationHours.objects.filter(pk=hours.pk).update(only_when_hidden=False)
    writes(cast, "Hello again?", now=now)
    sent()
    assert len(phone.taken) == 2, "who did not ask for it is told wherever they are"
    assert not presence.looks(cast.agent.pk, now=timezone.now() + timedelta(minutes=1)), "a tab that died is no tab"


def test_a_browser_with_push_is_not_told_twice_on_its_desktop(cast, mine, has_push, now):
    has_push(cast.agent, "laptop")
    writes(cast, "Hello?", now=now)
    client = signed_in(cast.agent)
    assert client.get("/notifications/news/?after=0").json()["items"][0]["desktop"] is True
    client.cookies["device"] = "laptop"
    assert client.get("/notifications/news/?after=0").json()["items"][0]["desktop"] is False
    want_it_no_more(cast, mine, mine.messages.first(), now)
    assert client.get("/notifications/news/?after=0").json()["items"][0]["desktop"] is True


# -- What the service answers -----------------------------------------------------------------------------------------


def test_a_device_that_is_gone_is_forgotten_and_the_others_are_told(cast, mine, has_push, service, now):
    gone, phone = has_push(cast.agent, "old"), has_push(cast.agent)
    del service.browsers[gone.name]
    writes(cast, "Hello?", now=now)
    sent()
    assert len(phone.taken) == 1 and not waits()
    assert [one.device for one in push.devices_of(cast.agent)] == ["phone"]


def test_too_many_at_once_wait_as_long_as_the_service_asks(cast, mine, has_push, service, now):
    phone = has_push(cast.agent)
    writes(cast, "Hello?", now=now)
    service.answers = [(429, {"Retry-After": "100"})]
    sent()
    row = Outbox.objects.get(kind="push")
    wait = (row.next_attempt_at - timezone.now()).total_seconds()
    assert (row.state, row.attempts, row.last_error) == ("queued", 1, "HTTP 429") and 60 < wait <= 100
    sent()
    assert len(phone.taken) == 1 and not waits()
    assert PushSubscription.objects.get().failures == 0


def test_a_service_in_trouble_is_left_alone_with_all_that_waits_for_it_and_given_up_in_the_end(
    cast, mine, has_push, service, now
):
    has_push(cast.agent), has_push(cast.agent, "laptop")
    writes(cast, "Hello?", now=now)
    service.answers = [(500, {})] * 100
    sent()
    assert service.asked == 1, "the other one waits without asking"
    assert Outbox.objects.filter(kind="push", next_attempt_at__gt=timezone.now() - timedelta(seconds=5)).count() == 2
    for _try in range(2 * len(push.PAUSES) + 2):
        sent()
    assert not waits() and service.asked <= 2 * (len(push.PAUSES) + 1)
    assert push.devices_of(cast.agent).count() == 2, "it is not their fault"


def test_a_service_that_cannot_be_reached_is_tried_again(cast, mine, has_push, service, now):
    has_push(cast.agent)
    writes(cast, "Hello?", now=now)
    service.close()
    sent()
    row = Outbox.objects.get(kind="push")
    assert (row.state, row.attempts) == ("queued", 1) and row.last_error


def test_one_that_cannot_be_said_waits_and_is_given_up(cast, mine, has_push, monkeypatch, now):
    has_push(cast.agent)
    writes(cast, "Hello?", now=now)

    def broken(*_args: Any, **_more: Any) -> None:
        raise RuntimeError("its key cannot be read")

    monkeypatch.setattr(push, "_send", broken)
    for _try in range(len(push.PAUSES) + 1):
        Outbox.objects.filter(kind="push").update(next_attempt_at=SOON)
        assert push.drain() == 1 and waits()
    Outbox.objects.filter(kind="push").update(next_attempt_at=SOON)
    push.drain()
    assert not waits()


def test_a_subscription_for_another_key_is_refused_and_dropped_after_a_few(cast, mine, has_push, service, now):
    phone = has_push(cast.agent)
    phone.server_key = packed(b"\x04" + b"\x01" * 64)
    for n in range(push.MOST_REFUSALS):
        device = PushSubscription.objects.get()
        assert (device.failures, device.last_error) == (n, "HTTP 403" if n else "")
        assert push.is_on(cast.agent, "phone") == (n == 0)
        writes(cast, f"Hello {n}", now=now)
        sent()
        assert not waits(), "asking again would not help"
    assert phone.taken == [] and not PushSubscription.objects.exists()


def test_an_address_that_leads_inside_is_never_called(cast, mine, has_push, service, settings, now):
    phone = has_push(cast.agent)
    settings.SAFE_FETCH_ALLOW = []
    writes(cast, "Hello?", now=now)
    sent()
    assert service.asked == 0 and phone.taken == [] and not waits()
    assert "port" in PushSubscription.objects.get().last_error


# -- Devices ----------------------------------------------------------------------------------------------------------


def signed_in(agent: Agent, **more: Any) -> Client:
    client = Client(**more)
    client.force_login(agent, backend="django.contrib.auth.backends.ModelBackend")
    return client


def form_of(browser: Browser) -> dict[str, str]:
    return browser.address._asdict()


@pytest.mark.parametrize(
    ("endpoint", "fields"),
    [
        ("http://push.example/x", {}),
        ("https://127.0.0.1/x", {}),
        ("https://[::1]/x", {}),
        ("https://10.1.2.3/x", {}),
        ("https://user@169.254.169.254/latest", {}),
        ("ftp://push.example/x", {}),
        ("https://93.184.215.14/" + "x" * 1000, {}),
        ("", {}),
        (None, {"p256dh": "AAAA"}),
        (None, {"p256dh": "é"}),
        (None, {"p256dh": packed(b"\x04" + b"\x01" * 64)}),
        (None, {"auth": packed(b"short")}),
        (None, {"auth": ""}),
    ],
)
def test_what_is_no_address_of_a_push_service_is_refused(cast, service, endpoint, fields):
    form = form_of(service.browser("key")) | ({"endpoint": endpoint} if endpoint is not None else {}) | fields
    answer = signed_in(cast.agent).post("/notifications/devices/", form)
    assert answer.status_code == 422 and "cannot be used" in answer.content.decode()
    assert not PushSubscription.objects.exists() and "device" not in answer.cookies


def test_a_browser_subscribes_is_listed_tested_and_removed_by_its_own_agent_only(cast, service):
    client = signed_in(cast.agent, headers={"User-Agent": "Mozilla/5.0 (Linux; Android 10) Chrome/139.0 Mobile Safari"})
    browser = service.browser(client.get("/notifications/devices/").json()["key"])
    listed = client.post("/notifications/devices/", form_of(browser))
    assert "Chrome · Android · this browser" in " ".join(listed.content.decode().split())
    cookie = listed.cookies["device"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"
    assert "data-here" in client.get("/settings/notifications/").content.decode()
    tried = client.post("/notifications/devices/test/").content.decode()
    assert 'data-verdict="sent"' in tried and browser.taken[0]["tag"] == "test"
    device = PushSubscription.objects.get()
    assert device.secrets == {"auth": browser.address.auth} and device.last_success_at

    theirs = signed_in(cast.teammate)
    theirs.post("/notifications/devices/removal/", {"device": device.pk})
    assert "Chrome" not in theirs.get("/settings/notifications/").content.decode()
    assert PushSubscription.objects.exists()
    assert client.post("/notifications/devices/removal/").status_code == 302
    assert not PushSubscription.objects.exists()


@pytest.mark.parametrize(
    ("status", "verdict"), [(410, "gone"), (404, "gone"), (403, "refused"), (503, "later"), (429, "later")]
)
def test_the_test_button_says_what_the_service_answered(cast, has_push, service, status, verdict):
    has_push(cast.agent)
    client = signed_in(cast.agent)
    client.cookies["device"] = "phone"
    service.answers = [(status, {})]
    said = client.post("/notifications/devices/test/").content.decode()
    assert f'data-verdict="{verdict}" data-detail="HTTP {status}"' in said
    assert ("data-here" in said) == (verdict != "gone")


def test_only_the_page_itself_may_subscribe(cast, service):
    browser = service.browser(web_push.public_key())
    client = signed_in(cast.agent, enforce_csrf_checks=True)
    assert client.post("/notifications/devices/", form_of(browser)).status_code == 403
    token = client.get("/notifications/devices/").json()["token"]
    assert client.post("/notifications/devices/", form_of(browser), headers={"X-CSRFToken": token}).status_code == 200
    assert Client().post("/notifications/devices/", form_of(browser)).status_code == 302
    assert Client().get("/notifications/devices/").status_code == 302


def test_a_browser_belongs_to_whoever_subscribed_last_under_whatever_address(cast, has_push, service):
    former = has_push(cast.agent)
    has_push(cast.agent)  # the service gave it another address
    assert PushSubscription.objects.get().endpoint != former.address.endpoint
    push.subscribe(cast.teammate, former.address, device="phone", label="")
    push.subscribe(cast.outsider, former.address, device="its cookies were wiped", label="")
    assert [(one.agent, one.device) for one in PushSubscription.objects.all()] == [
        (cast.outsider, "its cookies were wiped")
    ]


def test_of_many_devices_an_agent_must_give_one_up(cast, has_push, service):
    for n in range(push.MOST_DEVICES):
        has_push(cast.agent, f"device {n}")
    with pytest.raises(push.NotAccepted, match="Remove one first"):
        has_push(cast.agent, "one more")
    has_push(cast.agent, "device 3")
    has_push(cast.teammate, "one more")
    assert push.devices_of(cast.agent).count() == push.MOST_DEVICES


def test_signing_out_ends_push_on_this_browser_and_another_agent_ends_a_former_ones(cast, has_push):
    has_push(cast.agent), has_push(cast.agent, "laptop")
    client = signed_in(cast.agent)
    client.cookies["device"] = "phone"
    client.post("/accounts/logout/")
    assert [one.device for one in PushSubscription.objects.all()] == ["laptop"]
    for person, left in ((cast.agent, 1), (cast.teammate, 0)):
        other = Client()
        other.cookies["device"] = "laptop"
        other.post("/accounts/login/", {"login": person.email, "password": PASSWORD})
        assert PushSubscription.objects.count() == left, person


@pytest.mark.parametrize(
    ("user_agent", "label"),
    [
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/139.0 Safari/537.36", "Chrome · ChromeOS"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64) Chrome/139.0 Safari/537.36 Edg/139.0", "Edge · Windows"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:142.0) Gecko/142.0 Firefox/142.0", "Firefox · Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Safari/604.1", "Safari · iPhone"),
        ("curl/8", ""),
    ],
)
def test_a_device_has_a_name_that_people_know(user_agent, label):
    assert push.label_of(user_agent) == label


def test_what_is_owed_costs_the_same_for_many_devices_and_tickets(cast, mine, has_push, now):
    def queries(count: int) -> int:
        for n in range(count):
            scene.says(cast.sms, JIWOO, f"Line {n}", at=now)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            notifying.drain()
        assert waits()
        return len(captured)

    has_push(cast.agent)
    queries(1)
    Outbox.objects.filter(kind="push").delete()
    few = queries(1)
    for n in range(5):
        has_push(cast.agent, f"device {n}")
    Outbox.objects.filter(kind="push").delete()
    assert queries(4) <= few


def test_the_payload_is_small_json(cast, mine, has_push, now):
    phone = has_push(cast.agent)
    writes(cast, "Hello?", now=now)
    sent()
    said = {key: value for key, value in phone.taken[0].items() if key != "headers"}
    assert set(said) == {"title", "body", "url", "tag", "notification"} and len(json.dumps(said)) < 500
