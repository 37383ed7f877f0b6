"""The cases of adapter_cases.py, through the real door and the real processing."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from channels_in import process
from channels_in.models import RawEvent, SignatureFailure
from channels_in.sms import fake as sms
from channels_in.whatsapp import fake as whatsapp
from tests.channels_in.adapter_cases import ANOTHER, KINDS, PERSON, Kind, make_channel, posted
from tickets import parts
from tickets.channels import capabilities_of
from tickets.models import Message, Ticket

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def drained():
    process.drain(seconds=10)
    return RawEvent.objects.order_by("id")


def said():
    return list(Message.objects.filter(direction="in", kind="public").order_by("id").values_list("text", flat=True))


def test_a_wrong_signature_is_refused_counted_and_leaves_no_row(client, kind):
    channel = make_channel(kind.kind)
    call = kind.text(channel, kind.address, "hello", "M1")
    assert posted(client, kind.forged(call)).status_code == 401
    assert not RawEvent.objects.exists()
    assert SignatureFailure.objects.get(channel=channel).n == 1
    assert posted(client, call).status_code == 200  # so the refusal was about the signature
    assert RawEvent.objects.count() == 1


def test_one_changed_byte_of_the_body_is_refused(client, kind):
    channel = make_channel(kind.kind)
    call = kind.text(channel, kind.address, "hello", "M1")
    changed = call._replace(body=call.body.replace(b"hello", b"hallo"))
    assert changed.body != call.body
    assert posted(client, changed).status_code == 401
    assert not RawEvent.objects.exists()


def test_the_same_webhook_twice_is_one_message(client, kind):
    channel = make_channel(kind.kind)
    call = kind.text(channel, kind.address, "hello", "M1")
    for _time in range(2):
        assert posted(client, call).status_code == 200
    drained()
    assert posted(client, call).status_code == 200
    assert [event.outcome for event in drained()] == ["ticketed"]
    assert said() == ["hello"]


def test_messages_of_a_person_in_any_order_land_once_on_one_ticket(client, kind):
    channel = make_channel(kind.kind)
    calls = [kind.text(channel, kind.address, f"line {n}", f"M{n}") for n in range(4)]
    for n in (2, 0, 3, 0, 1):
        posted(client, calls[n])
    drained()
    assert said() == ["line 2", "line 0", "line 3", "line 1"]
    assert Ticket.objects.count() == 1
    assert list(Message.objects.filter(direction="in").order_by("seq").values_list("text", flat=True)) == said()


def test_a_batch_is_as_many_messages_as_it_holds(client, kind):
    if kind.batch is None:
        pytest.skip(f"{kind.kind} sends no batches")
    channel = make_channel(kind.kind)
    call = kind.batch(channel, [(PERSON, "one"), (ANOTHER, "two"), (PERSON, "three")])
    for _time in range(2):
        posted(client, call)
    assert [event.outcome for event in drained()] == ["ticketed"] * 3
    assert sorted(said()) == ["one", "three", "two"]
    assert Ticket.objects.count() == 2


def test_the_account_in_the_body_chooses_among_channels_of_the_same_app(client, kind):
    if kind.other_account is None:
        pytest.skip(f"{kind.kind} names no account")
    first = make_channel(kind.kind)
    second = make_channel(kind.kind, account_id="+827041239999", app_id=first.app_id)
    posted(client, kind.other_account(first, second.account_id))
    assert [event.channel_id for event in drained()] == [second.pk]
    assert said() == ["hi"]


@pytest.mark.parametrize("known", [False, True])
def test_an_account_that_the_app_does_not_have_is_quarantined_where_it_arrived(client, kind, known):
    if kind.other_account is None:
        pytest.skip(f"{kind.kind} names no account")
    receiving = make_channel(kind.kind)
    if known:
        make_channel(kind.kind, account_id="+827041239999", app_id="somebody else's app")
    assert posted(client, kind.other_account(receiving, "+827041239999")).status_code == 200
    (event,) = drained()
    assert (event.channel_id, event.state) == (receiving.pk, "quarantined")
    assert said() == []


def test_what_nobody_knows_yet_is_kept(client, kind):
    channel = make_channel(kind.kind)
    assert posted(client, kind.unknown(channel)).status_code == 200
    (event,) = drained()
    assert event.outcome == kind.unknown_outcome
    assert bytes(event.raw)


def test_what_cannot_be_read_is_kept_and_the_line_goes_on(client, kind):
    channel = make_channel(kind.kind)
    assert posted(client, kind.malformed(channel)).status_code == 200
    posted(client, kind.text(channel, kind.address, "after it", "M1"))
    first, _second = drained()
    assert first.outcome == kind.malformed_outcome
    assert said() == ["after it"]


def test_an_empty_call_and_an_empty_message_break_nothing(client, kind):
    channel = make_channel(kind.kind)
    assert posted(client, kind.empty(channel)).status_code == 200
    assert posted(client, kind.text(channel, kind.address, "", "M1")).status_code == 200
    assert posted(client, kind.text(channel, kind.address, "after it", "M2")).status_code == 200
    outcomes = [event.outcome for event in drained()]
    assert outcomes[-2:] == ["ticketed", "ticketed"]
    assert set(outcomes[:-2]) <= {"quarantined"}, "where there was a body, it is kept"
    assert said() == ["", "after it"]


def test_one_character_too_many_is_a_second_part_and_nothing_is_lost(kind):
    able = capabilities_of(kind.kind)
    if able.text_max is None:
        pytest.skip(f"{kind.kind} takes any length")
    text = "word " * (able.text_max // 5)
    assert len(parts.cut(text[: able.text_max].strip(), [], able)) == 1
    longer = "x" * (able.text_max + 1)
    pieces = parts.cut(longer, [], able)
    assert [len(piece.text) for piece in pieces] == [able.text_max, 1]
    assert "".join(piece.text for piece in pieces) == longer


def test_one_file_more_than_fits_is_one_part_more(kind):
    able = capabilities_of(kind.kind)

    class Photo:
        kind, content_type, size = "image", "image/png", 10

    photos = [Photo() for _n in range(able.files_per_part + 1)]
    pieces = parts.cut("", photos, able)
    assert [len(piece.files) for piece in pieces] == [able.files_per_part, 1]


def test_a_receipt_that_matches_nothing_waits_ten_minutes_and_is_then_not_ours(client):
    channels = {"sms": make_channel("sms"), "whatsapp": make_channel("whatsapp")}
    hook = channels["sms"].facts().hook_url
    posted(client, sms.status(channels["sms"], hook, sid="SM-of-another-tool", state="delivered", to=PERSON))
    posted(client, whatsapp.status(channels["whatsapp"], wamid="wamid.other", state="read", to=PERSON))
    assert {event.state for event in drained()} == {"new"}
    with time_machine.travel(timezone.now() + timedelta(minutes=11), tick=True):
        RawEvent.objects.update(
            received_at=timezone.now() - timedelta(minutes=11), next_attempt_at=timezone.now() - timedelta(minutes=11)
        )
        events = list(drained())
    assert [(event.outcome, event.outcome_reason) for event in events] == [("suppressed", "not ours")] * 2
