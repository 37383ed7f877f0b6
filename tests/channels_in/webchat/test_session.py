"""Sessions, tokens, renewal, signed visitors, origins and limits (channels.md 15.2, 15.3, 15.6)."""

import gzip
import json
import uuid
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import time_machine
from django.conf import settings
from django.test import Client

from channels_in.models import RawEvent, VisitorSession
from channels_in.webchat import identity
from channels_in.webchat.fake import FakeVisitor
from tests.cast import make_brand, make_channel, make_customer
from tests.channels_in.webchat.conftest import call_with
from tickets.models import CustomerJoin, Identity, Message, Ticket

SHOP = "http://shop.example"


@pytest.fixture
def key(cast):
    return identity.add_key(cast.webchat, alg="HS256")


def token_of(key, subject: str, *, brand: str = "shop", **claims) -> str:
    at = int(datetime.now(UTC).timestamp())
    return jwt.encode(
        {"sub": subject, "aud": brand, "iat": at, "exp": at + 1800, **claims},
        key.key,
        algorithm=key.alg,
        headers={"kid": key.kid},
    )


def signed(cast, key, subject: str, **claims) -> FakeVisitor:
    return FakeVisitor(cast.webchat.slug, call=call_with(Client()), identity=token_of(key, subject, **claims))


# -- Token and renewal ------------------------------------------------------------------------------------------------


def test_booting_makes_no_session_and_sets_nothing(cast):
    answer = Client().get(f"/chat/{cast.webchat.slug}/boot/")
    assert answer.status_code == 200
    assert answer.json()["limits"]["text"] == 5000
    assert answer["Cache-Control"] == "public, max-age=60"
    assert not answer.cookies
    assert VisitorSession.objects.count() == 0


def test_a_token_ends_after_fifteen_minutes_and_is_renewed(visitor):
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        visitor.begin()
        assert visitor.writes("now")[0] == 202
        clock.shift(timedelta(minutes=16))
        assert visitor.writes("later") == (401, {"error": "token_expired"})
        status, answer = visitor.says("session/renewal/", renewal=visitor.renewal)
        assert status == 200
        visitor.token = answer["token"]
        assert visitor.writes("later")[0] == 202


def test_a_replaced_renewal_secret_is_good_for_a_minute_more(visitor):
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        visitor.begin()
        first = visitor.renewal
        assert visitor.says("session/renewal/", renewal=first)[0] == 200
        clock.shift(timedelta(seconds=50))
        status, answer = visitor.says("session/renewal/", renewal=first)  # the answer was lost, or a second tab
        assert status == 200
        clock.shift(timedelta(seconds=61))
        assert visitor.says("session/renewal/", renewal=first) == (401, {"error": "session_ended"})
        assert visitor.says("session/renewal/", renewal=answer["renewal"])[0] == 200


def test_an_unused_renewal_secret_dies_after_thirty_days(visitor):
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        visitor.begin()
        clock.shift(timedelta(days=31))
        assert visitor.says("session/renewal/", renewal=visitor.renewal) == (401, {"error": "session_ended"})


def test_secrets_are_stored_as_hashes_only(visitor):
    visitor.begin()
    row = VisitorSession.objects.values().get()
    assert visitor.renewal not in json.dumps(row, default=str)
    assert len(visitor.renewal) >= 43


def test_an_ended_session_says_nothing_any_more(visitor):
    visitor.writes("hello")
    assert visitor.call(visitor._request("DELETE", "session/", None))[0] == 204
    assert visitor.writes("still here?") == (401, {"error": "session_ended"})
    assert visitor.says("session/renewal/", renewal=visitor.renewal) == (401, {"error": "session_ended"})


def test_a_token_is_bound_to_its_channel(visitor, cast):
    other = make_channel("webchat", brand=cast.brand, slug="second-chat")
    visitor.begin()
    visitor.base = f"/chat/{other.slug}/"
    assert visitor.writes("hello") == (401, {"error": "session_ended"})


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic x", "Bearer a:b:c"])
def test_without_a_good_token_nothing_is_kept(cast, header):
    answer = Client(headers={"Authorization": header} if header else {}).post(
        f"/chat/{cast.webchat.slug}/messages/",
        {"client_uuid": str(uuid.uuid4()), "text": "x"},
        content_type="application/json",
    )
    assert (answer.status_code, answer.json()) == (401, {"error": "token_expired"})
    assert RawEvent.objects.count() == 0


def test_a_channel_that_is_off_is_not_there(cast, visitor):
    visitor.begin()
    cast.webchat.active = False
    cast.webchat.save()
    assert Client().get(f"/chat/{cast.webchat.slug}/").status_code == 404
    assert visitor.call(visitor.build_message("x"))[0] == 404


# -- Signed visitors --------------------------------------------------------------------------------------------------


def test_a_signed_visitor_sees_their_own_history_from_another_browser(cast, key, work):
    first = signed(cast, key, "user-1", name="Jiwoo", email="jiwoo@example.com", email_verified=True)
    first.writes("from the office")
    work()
    elsewhere = signed(cast, key, "user-1")
    elsewhere.begin()
    elsewhere.hears()
    assert [line["text"] for line in elsewhere.lines()] == ["from the office"]
    assert elsewhere.seen[0] == {"type": "identified", "signed": True, "name": "", "email": True}
    row = Identity.objects.get(kind="webchat")
    assert (row.scope, row.value, row.verified, row.customer.name) == ("shop", "user-1", True, "Jiwoo")
    assert Identity.objects.get(kind="email").verified


def test_a_verified_address_in_the_token_joins_its_customer(cast, key, work, now):
    known = make_customer("Kim", now=now, email="kim@example.com")
    visitor = signed(cast, key, "user-2", email="kim@example.com", email_verified=True)
    visitor.writes("it is me")
    work()
    assert Ticket.objects.get().customer == known


def test_an_unverified_address_in_the_token_joins_nobody(cast, key, work, now):
    known = make_customer("Kim", now=now, email="kim@example.com")
    visitor = signed(cast, key, "user-2", email="kim@example.com")
    visitor.writes("it is me")
    work()
    assert Ticket.objects.get().customer != known


def test_what_was_written_before_signing_in_joins_and_can_be_undone(cast, key, visitor, work):
    visitor.writes("before")
    work()
    status, _answer = visitor.says("session/", identity=token_of(key, "user-3", name="Sena"))
    assert status == 200
    visitor.writes("after")
    work()
    visitor.cursor, visitor.seen = "", []
    visitor.hears()
    assert [line["text"] for line in visitor.lines()] == ["before", "after"]
    assert Ticket.objects.count() == 1
    assert CustomerJoin.objects.get().reason == "signed_widget"


def test_another_user_in_the_same_browser_begins_anew(cast, key, work):
    visitor = signed(cast, key, "user-4")
    visitor.writes("my secret")
    work()
    status, answer = visitor.says("session/", identity=token_of(key, "user-5"))
    assert status == 201
    old, visitor.token = visitor.token, answer["token"]
    visitor.hears()
    assert visitor.lines() == []
    assert "my secret" not in json.dumps(visitor.seen)
    visitor.token = old
    assert visitor.writes("x") == (401, {"error": "session_ended"})


def test_the_signed_state_ends_with_the_token(cast, key, work):
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        visitor = signed(cast, key, "user-6")
        visitor.writes("hello")
        work()
        clock.shift(timedelta(minutes=14))
        visitor.token = visitor.says("session/renewal/", renewal=visitor.renewal)[1]["token"]
        clock.shift(timedelta(minutes=14))
        fresh = visitor.says("session/", identity=token_of(key, "user-6"))  # the page fetched a new one in time
        assert fresh[0] == 200
        visitor.token = fresh[1]["token"]
        clock.shift(timedelta(minutes=29))
        visitor.token = visitor.says("session/", identity=token_of(key, "user-6"))[1]["token"]
        clock.shift(timedelta(minutes=31))
        assert visitor.says("session/renewal/", renewal=visitor.renewal) == (401, {"error": "session_ended"})
        assert visitor.writes("late")[0] == 401


def test_a_deleted_key_ends_its_sessions_at_the_next_renewal(cast, key, work):
    visitor = signed(cast, key, "user-7")
    visitor.begin()
    identity.delete_key(cast.webchat, key.kid)
    assert visitor.says("session/renewal/", renewal=visitor.renewal) == (401, {"error": "session_ended"})


def test_a_token_of_another_brand_is_refused_and_counted(cast, key, visitor):
    make_channel("webchat", brand=make_brand("other"), slug="other-chat")
    for _ in range(10):
        assert visitor.says("session/", identity=token_of(key, "user-8", brand="other")) == (
            403,
            {"error": "identity_refused"},
        )
    assert visitor.says("session/", identity=token_of(key, "user-8"))[0] == 429  # also the right one, for an hour
    assert VisitorSession.objects.count() == 0


# -- Origins, headers, limits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (SHOP, True),
        ("https://shop.example", False),
        ("http://shop.example:8080", False),
        ("http://evil.example", False),
        ("http://shop.example.evil.example", False),
        ("null", False),
        ("http://SHOP.example", False),
    ],
)
def test_only_the_exact_origins_may_read_boot(cast, origin, allowed):
    answer = Client(headers={"Origin": origin}).get(f"/chat/{cast.webchat.slug}/boot/")
    assert answer.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Origin" in answer["Vary"]


def test_no_other_address_answers_other_sites(cast, visitor):
    visitor.begin()
    client = Client(headers={"Origin": SHOP, "Authorization": f"Bearer {visitor.token}"})
    for path in ("", "panel/", "events/", "session/", "messages/", "uploads/", "read/", "forms/", "ratings/"):
        for method in ("get", "post", "options"):
            answer = getattr(client, method)(f"/chat/{cast.webchat.slug}/{path}")
            assert "Access-Control-Allow-Origin" not in answer.headers, (method, path)


def test_only_the_channels_sites_may_frame_the_panel_and_nobody_the_hosted_page(cast):
    panel = Client().get(f"/chat/{cast.webchat.slug}/panel/")
    assert f"frame-ancestors 'self' {SHOP}" in panel["Content-Security-Policy"]
    assert "X-Frame-Options" not in panel.headers
    hosted = Client().get(f"/chat/{cast.webchat.slug}/")
    assert "frame-ancestors 'none'" in hosted["Content-Security-Policy"]
    for page in (panel, hosted):
        assert "unsafe-inline" not in page["Content-Security-Policy"].partition("script-src")[2].partition(";")[0]
        assert not page.cookies


def test_a_foreign_origin_is_not_handed_to_the_panel(cast):
    for origin, handed in ((SHOP, SHOP), ("http://evil.example", "")):
        page = Client().get(f"/chat/{cast.webchat.slug}/panel/", {"origin": origin}).content.decode()
        config = json.loads(page.partition('<script id="config" type="application/json">')[2].partition("</script>")[0])
        assert config["host"] == handed


def test_the_loader_is_small_and_open_to_every_site(client):
    answer = client.get("/widget.js")
    assert len(gzip.compress(answer.content, 9)) <= 3072
    assert answer["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer["Content-Type"].startswith("text/javascript")


def test_the_panel_is_light():
    root = settings.BASE_DIR / "static"
    files = [root / "widget/panel.js", root / "widget/panel.css", *(root / "widget/lib").glob("*.js")]
    files += [root / "js/lib/composition.js", root / "css/base/tokens.css"]
    assert len(files) > 8
    assert sum(len(gzip.compress(file.read_bytes(), 9)) for file in files) <= 45 * 1024


def test_messages_are_limited_and_say_when_to_try_again(cast, visitor):
    cast.webchat.settings = {**cast.webchat.settings, "limits": {"messages": [3, 60]}}
    cast.webchat.save()
    with time_machine.travel(datetime(2026, 11, 25, 12, 0, 5, tzinfo=UTC), tick=False):
        assert [visitor.writes(f"{n}")[0] for n in range(4)] == [202, 202, 202, 429]
        request = visitor.build_message("again")
        answer = Client().generic(
            "POST",
            request.path,
            request.body,
            "application/json",
            headers={"Authorization": request.headers["Authorization"]},
        )
        assert (answer.json(), answer["Retry-After"]) == ({"error": "rate_limited"}, "55")


def test_a_flood_closes_the_channel_to_new_anonymous_visitors_only(cast, key, visitor):
    cast.webchat.settings = {**cast.webchat.settings, "limits": {"anonymous": [1, 3600]}}
    cast.webchat.save()
    visitor.begin()
    late = FakeVisitor(cast.webchat.slug, call=call_with(Client(REMOTE_ADDR="127.0.0.9")))
    assert late.says("session/") == (403, {"error": "closed"})
    assert signed(cast, key, "user-9").writes("I may")[0] == 202
    assert visitor.writes("I too")[0] == 202


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'"x"',
        b'{"text": "x"}',
        b'{"client_uuid": "x", "text": "x"}',
        json.dumps({"client_uuid": "6f1d2c1e-0c5b-4f0e-9a57-3b8f3b0c2d10", "text": 5}).encode(),
        json.dumps({"client_uuid": "6f1d2c1e-0c5b-4f0e-9a57-3b8f3b0c2d10", "text": " "}).encode(),
        json.dumps({"client_uuid": "6f1d2c1e-0c5b-4f0e-9a57-3b8f3b0c2d10", "text": "x", "customer": 1}).encode(),
        json.dumps({"client_uuid": "6f1d2c1e-0c5b-4f0e-9a57-3b8f3b0c2d10", "text": "a\0b"}).encode(),
        json.dumps({"client_uuid": "6f1d2c1e-0c5b-4f0e-9a57-3b8f3b0c2d10", "text": "x", "uploads": [5]}).encode(),
        b"\xff\xfe",
    ],
)
def test_a_malformed_line_is_refused_by_one_fixed_code(visitor, body):
    visitor.begin()
    answer = Client(headers={"Authorization": f"Bearer {visitor.token}"}).generic(
        "POST", f"{visitor.base}messages/", body, "application/json"
    )
    assert (answer.status_code, answer.json()) == (400, {"error": "malformed"})
    assert RawEvent.objects.count() == 0


def test_a_text_over_the_limit_is_refused_whole(visitor, work):
    assert visitor.writes("가" * 5001) == (413, {"error": "too_long"})
    assert visitor.writes("가" * 5000)[0] == 202
    work()
    assert len(Message.objects.get().text) == 5000
