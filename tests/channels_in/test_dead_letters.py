"""What could not be read or sent is visible to admins, and goes through again in two clicks."""

from datetime import timedelta

import pytest
from django.utils import timezone

from agents.models import AuditEntry
from channels_in import process
from channels_in.models import RawEvent
from channels_in.webhooks import UNKNOWN_ACCOUNT
from tests import plain
from tests.cast import make_channel
from tests.plain import come_in, message
from tickets import actions, replies, triggers
from tickets.models import DeliveryPart, Message, Outbox, Rule
from tickets.models.event import by_agent
from tickets.routing import explain

PAGE = "/settings/dead-letters/"


@pytest.fixture
def admin(client, cast):
    client.force_login(cast.admin, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def quarantined(line):
    (event,) = come_in(line, {"type": "unreadable", "key": "m1", "order": "c1"})
    return event


@pytest.fixture
def failed_part(line):
    (event,) = come_in(line, message("m9", order="c9"))
    said = Message.objects.get(pk=event.message_id)
    said.ticket.last_seq = 2
    said.ticket.save(update_fields=["last_seq"])
    reply = Message.objects.create(
        ticket=said.ticket, seq=2, direction="out", author_type="agent", route=said.route, channel=line,
        text="Hi", state="failed",
    )  # fmt: skip
    return DeliveryPart.objects.create(
        message=reply, n=0, channel=line, ticket=said.ticket, state="failed", last_error="no such number"
    )


@pytest.mark.parametrize("who", ["agent", "manager"])
def test_only_admins_see_it(client, cast, quarantined, who):
    client.force_login(getattr(cast, who), backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(PAGE).status_code == 403
    assert client.post(f"{PAGE}items/{quarantined.pk}/replays/").status_code == 403
    assert client.get(f"{PAGE}items/{quarantined.pk}/original/").status_code == 403
    quarantined.refresh_from_db()
    assert quarantined.state == "quarantined"


def test_nobody_else_is_sent_to_the_sign_in(client, quarantined):
    assert client.get(PAGE).status_code == 302


def test_quarantine_replay_page(admin, cast, quarantined, monkeypatch):
    """Two clicks: the page, and its button."""
    page = admin.get(PAGE).content.decode()
    assert "Could not be read" in page
    assert f"/tickets/{Message.objects.get(pk=quarantined.stub_message_id).ticket_id}/" in page
    assert f"{PAGE}items/{quarantined.pk}/replays/" in page
    monkeypatch.setattr(plain, "_result", lambda item: plain._message(message("m1"), None))
    answer = admin.post(f"{PAGE}items/{quarantined.pk}/replays/", follow=True)
    assert "It is being read again" in answer.content.decode()
    plain.due_now()
    process.drain()
    quarantined.refresh_from_db()
    assert quarantined.outcome == "ticketed"
    entry = AuditEntry.objects.get(kind="raw_event_replayed")
    assert (entry.actor, entry.object_id) == (cast.admin, quarantined.pk)
    assert admin.post(f"{PAGE}items/{quarantined.pk}/replays/").status_code == 404


def test_an_item_that_the_right_channel_already_has_stays_and_a_sentence_says_so(admin, cast, line):
    """Quarantined for an unknown account; meanwhile that account has a channel, and the provider sent it there."""
    now = timezone.now()
    sibling = make_channel("plain", brand=cast.brand, slug="sibling", app_id="app", account_id="shop-2")
    type(line).objects.filter(pk=line.pk).update(app_id="app")
    twice = {"dedupe_key": "m1", "raw_sha256": "a" * 64, "body_sha256": "b" * 64, "raw": b"{}"}
    waiting = RawEvent.objects.create(
        channel=line, state="quarantined", outcome="quarantined", finished_at=now,
        outcome_reason=f"{UNKNOWN_ACCOUNT}shop-2", **twice,
    )  # fmt: skip
    there = RawEvent.objects.create(channel=sibling, state="done", outcome="ticketed", finished_at=now, **twice)
    answer = admin.post(f"{PAGE}items/{waiting.pk}/replays/", follow=True)
    assert answer.status_code == 200 and "received the same item already" in answer.content.decode()
    waiting.refresh_from_db()
    assert (waiting.state, waiting.channel) == ("quarantined", line)
    assert not AuditEntry.objects.filter(kind="raw_event_replayed").exists()
    there.delete()
    assert "It is being read again" in admin.post(f"{PAGE}items/{waiting.pk}/replays/", follow=True).content.decode()


def test_the_original_is_a_file_and_reading_it_is_audited(admin, quarantined):
    answer = admin.get(f"{PAGE}items/{quarantined.pk}/original/")
    assert answer.content == bytes(RawEvent.objects.get().raw)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")
    assert AuditEntry.objects.filter(kind="raw_event_read").exists()


@pytest.mark.parametrize(
    ("before", "verdict", "after"),
    [("failed", "again", "queued"), ("failed", "failed", "failed"), ("uncertain", "arrived", "sent")],
)
def test_an_answer_that_did_not_arrive_is_settled(admin, failed_part, before, verdict, after):
    DeliveryPart.objects.update(state=before)
    Message.objects.filter(pk=failed_part.message_id).update(state=before)
    page = admin.get(f"{PAGE}?kind=replies").content.decode()
    assert ("It arrived" in page) == (before == "uncertain")
    assert "no such number" in admin.get(f"{PAGE}?kind=replies").content.decode()
    answer = admin.post(f"{PAGE}replies/{failed_part.pk}/verdict/", {"verdict": verdict}, follow=True)
    assert answer.status_code == 200
    failed_part.refresh_from_db()
    assert failed_part.state == after
    assert failed_part.resolved_at
    assert "no such number" not in admin.get(f"{PAGE}?kind=replies").content.decode()
    assert AuditEntry.objects.filter(kind="part_settled").count() == 1


def test_an_unknown_verdict_is_refused(admin, failed_part):
    assert admin.post(f"{PAGE}replies/{failed_part.pk}/verdict/", {"verdict": "drop"}).status_code == 404


def test_an_outgoing_webhook_is_delivered_again(admin, db):
    row = Outbox.objects.create(
        kind="webhook", shard_key="webhook:1", payload={}, state="quarantined", attempts=9, last_error="410",
        finished_at=timezone.now(),
    )  # fmt: skip
    assert "410" in admin.get(f"{PAGE}?kind=webhooks").content.decode()
    admin.post(f"{PAGE}webhooks/{row.pk}/replays/")
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("queued", 0)


@pytest.fixture
def failed_rule(cast, line, monkeypatch):
    """A rule whose note could not be written, five times."""
    (event,) = come_in(line, message("m3", order="c3"))
    ticket = Message.objects.get(pk=event.message_id).ticket
    note = {"do": "note", "text": "Look at the photo first"}
    rule = Rule.objects.create(name="Damaged goods", when="tags_changed", actions=[note])
    actions.change_tags(ticket, add=["damaged"], by=by_agent(cast.agent), now=timezone.now())
    monkeypatch.setattr(replies, "automatic_note", raises)
    later = timezone.now()
    for _ in range(7):
        later += timedelta(hours=1)
        triggers.drain(now=later, seconds=30)
    monkeypatch.undo()
    return rule, ticket


def raises(*_args, **_facts):
    raise RuntimeError("the disk is full")


def test_what_a_rule_could_not_do_waits_here_is_told_on_the_ticket_and_is_done_again(admin, cast, failed_rule):
    _rule, ticket = failed_rule
    page = admin.get(f"{PAGE}?kind=rules").content.decode()
    assert "Damaged goods" in page and "RuntimeError" in page and f"#{ticket.number}" in page
    assert "the disk is full" not in page  # what an error says is for the log
    assert "Look at the photo first" in page
    told = explain.decisions(ticket)[0]
    assert "Look at the photo first" in told.steps[0].note and "failed 5 times" in told.outcome
    row = Outbox.objects.get(kind="rules", state="quarantined")
    answer = admin.post(f"{PAGE}rules/{row.pk}/replays/", follow=True)
    assert "It is queued again." in answer.content.decode()
    triggers.drain(now=timezone.now() + timedelta(seconds=1), seconds=30)
    assert Message.objects.get(ticket=ticket, kind="note").text == "Look at the photo first"
    assert not Outbox.objects.filter(kind="rules").exists()
    assert "Nothing waits here" in admin.get(f"{PAGE}?kind=rules").content.decode()


def test_rules_work_of_another_brand_is_not_seen(admin, cast, failed_rule):
    cast.admin.brand_ids = [cast.brand.pk + 1]
    cast.admin.save()
    row = Outbox.objects.get(kind="rules", state="quarantined")
    assert "Damaged goods" not in admin.get(f"{PAGE}?kind=rules").content.decode()
    assert admin.post(f"{PAGE}rules/{row.pk}/replays/").status_code == 404


def test_an_admin_of_another_brand_sees_nothing(client, cast, quarantined, failed_part):
    cast.admin.brand_ids = [cast.brand.pk + 1]
    cast.admin.save()
    client.force_login(cast.admin, backend="django.contrib.auth.backends.ModelBackend")
    assert "Nothing waits here" in client.get(PAGE).content.decode()
    assert client.post(f"{PAGE}items/{quarantined.pk}/replays/").status_code == 404
    assert client.post(f"{PAGE}replies/{failed_part.pk}/verdict/", {"verdict": "again"}).status_code == 404


def test_the_number_of_queries_does_not_depend_on_the_rows(admin, line, django_assert_max_num_queries):
    def page():
        with django_assert_max_num_queries(40) as queries:
            assert admin.get(PAGE).status_code == 200
        return len(queries)

    for n in range(5):
        come_in(line, {"type": "unreadable", "key": f"a{n}"})
    page()  # the first one also fills caches
    few = page()
    for n in range(55):
        come_in(line, {"type": "unreadable", "key": f"b{n}"})
    assert page() == few
    assert "before=" in admin.get(PAGE).content.decode()


def test_an_unknown_kind_is_not_found(admin):
    assert admin.get(f"{PAGE}?kind=everything").status_code == 404
    assert admin.get(f"{PAGE}?before=abc").status_code == 200


def test_markup_from_strangers_stays_text(admin, line):
    come_in(line, {"type": "unreadable", "key": "<script>alert(1)</script>"})
    RawEvent.objects.update(last_error="<script>alert(1)</script>")
    page = admin.get(PAGE).content.decode()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
