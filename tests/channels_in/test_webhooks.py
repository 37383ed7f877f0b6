import hashlib
import io
import json
from datetime import timedelta
from unittest import mock

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from channels_in import process, webhooks
from channels_in.models import RawEvent, SignatureFailure
from tests import plain
from tests.cast import make_channel
from tests.plain import message, post
from tickets import files
from tickets.contract import Item
from tickets.models import Message


def rows():
    return RawEvent.objects.order_by("id")


def test_items_of_a_batch(line):
    """One row for each item; its bytes do not depend on the batch; both hashes are kept."""
    answer = post(line, message("m1"), message("m2", order="c2"), {"type": "receipt", "key": "s1", "state": "sent"})
    assert answer.status_code == 200
    first, second, receipt = rows()
    assert [row.dedupe_key for row in rows()] == ["m1", "m2", "s1"]
    assert (first.ordering_key, second.ordering_key, receipt.ordering_key) == ("c1", "c2", "")
    assert first.body_sha256 == second.body_sha256 != first.raw_sha256
    assert first.raw_sha256 == hashlib.sha256(bytes(first.raw)).hexdigest()
    assert {row.state for row in rows()} == {"new"}
    alone = bytes(first.raw)
    RawEvent.objects.all().delete()
    post(line, message("m1"))
    assert bytes(rows().get().raw) == alone


def test_a_wrong_signature_leaves_a_counter_and_no_row(line):
    for n in range(3):
        assert post(line, message("m1"), headers={"X-Signature": "0" * 64}).status_code == 401
        assert SignatureFailure.objects.get().n == n + 1
    assert not rows().exists()
    assert SignatureFailure.objects.get().last_reason == "wrong signature"


def test_a_repeated_call_adds_no_row(line):
    assert [post(line, message("m1")).status_code for _ in range(3)] == [200] * 3
    assert post(line, message("m1"), message("m2")).status_code == 200
    assert [row.dedupe_key for row in rows()] == ["m1", "m2"]


def test_webhook_replay_after_forty_days(line):
    post(line, message("m1"))
    RawEvent.objects.update(received_at=timezone.now() - timedelta(days=40))
    post(line, message("m1"))
    assert rows().count() == 1


def test_the_same_key_with_other_content_is_kept_beside_it(line):
    post(line, message("m1", "one"))
    post(line, message("m1", "two"))
    post(line, message("m1", "two"))
    first, second = rows()
    assert (first.dedupe_key, first.flagged) == ("m1", False)
    assert (second.dedupe_key, second.flagged) == (f"m1#{second.raw_sha256[:8]}", True)


def test_both_contents_of_one_key_in_one_batch_are_kept(line):
    post(line, message("m1", "one"), message("m1", "two"))
    assert rows().count() == 2


def test_what_was_erased_does_not_return(line):
    post(line, message("m1", "one"))
    RawEvent.objects.update(stripped_at=timezone.now(), raw=None)
    post(line, message("m1", "other bytes"))
    assert rows().count() == 1


def test_a_body_that_cannot_be_cut_is_kept_whole_in_quarantine(line):
    assert post(line, body=b"{not json").status_code == 200
    event = rows().get()
    assert (event.state, event.outcome, event.outcome_reason) == ("quarantined", "quarantined", "unreadable body")
    assert event.dedupe_key == hashlib.sha256(b"{not json").hexdigest()
    assert bytes(event.raw) == b"{not json"
    assert post(line, body=b"{not json").status_code == 200
    assert rows().count() == 1


def test_the_account_chooses_among_channels_of_the_same_app(line, cast):
    line.app_id, line.account_id = "app", "A"
    line.save()
    sibling = make_channel("plain", brand=cast.brand, slug="b", app_id="app", account_id="B")
    make_channel("plain", brand=cast.brand, slug="c", app_id="another app", account_id="C")
    post(line, message("m1", account="A"), message("m2", account="B"), message("m3", account="C"), message("m4"))
    found = {row.dedupe_key: (row.channel_id, row.state, row.outcome_reason) for row in rows()}
    assert found["m1"] == (line.pk, "new", "")
    assert found["m2"] == (sibling.pk, "new", "")
    assert found["m3"] == (line.pk, "quarantined", "unknown account: C")
    assert found["m4"] == (line.pk, "new", "")


def test_an_item_of_an_unknown_account_finds_its_channel_when_it_is_replayed(line, cast):
    line.app_id, line.account_id = "app", "A"
    line.save()
    post(line, message("m1", account="B"))
    process.show_quarantined()
    sibling = make_channel("plain", brand=cast.brand, slug="b", app_id="app", account_id="B")
    assert process.replay(rows().get(), by=cast.admin)
    plain.due_now()
    process.drain()
    assert Message.objects.get(kind="public").channel == sibling
    assert (rows().get().channel, rows().get().outcome) == (sibling, "ticketed")


def test_a_body_over_the_cap_is_refused(line):
    assert post(line, body=b" " * 100_001).status_code == 413
    assert post(line, body=json.dumps({"items": []}).encode() + b" " * 90_000).status_code == 200
    assert not rows().exists()


def test_a_lying_content_length_does_not_get_past_the_cap(line, rf):
    body = b" " * 100_001
    request = rf.post("/", data=b"", content_type="application/json", headers={"X-Signature": plain.sign(body)})
    request._stream = io.BytesIO(body)
    request.META["CONTENT_LENGTH"] = "2"
    assert webhooks.hook(request, line.slug).status_code == 413


def test_handshakes_probes_and_strangers(line):
    client = Client()
    assert client.get(f"/hooks/{line.slug}/?challenge=42").content == b"42"
    assert client.get(f"/hooks/{line.slug}/").status_code == 200
    assert client.head(f"/hooks/{line.slug}/").status_code == 200
    assert client.put(f"/hooks/{line.slug}/").status_code == 405
    assert client.post("/hooks/nobody/", data=b"{}", content_type="application/json").status_code == 404
    line.active = False
    line.save()
    assert post(line, message("m1")).status_code == 404
    assert not rows().exists()


def test_rows_are_committed_before_the_handshakes_answer(line):
    answer = Client().post(
        f"/hooks/{line.slug}/?challenge=7",
        data=(body := json.dumps({"items": [message("m1")]}).encode()),
        content_type="application/json",
        headers={"X-Signature": plain.sign(body)},
    )
    assert answer.content == b"7"
    assert rows().get().headers[":query"] == "challenge=7"


def test_typing_alone_leaves_no_row(line):
    assert post(line, {"type": "typing", "key": "t1"}).status_code == 200
    assert not rows().exists()


def test_credentials_are_not_kept(line):
    post(line, message("m1"), headers={"Authorization": "Bearer canary", "Cookie": "canary"})
    assert "canary" not in json.dumps(rows().get().headers)


@pytest.mark.parametrize("fault", [OperationalError("gone"), files.NoRoom("full")])
def test_accept_after_commit(line, fault):
    """A fault between insert and commit never gives 2xx, and asks to come again."""
    with mock.patch.object(webhooks, "wake", side_effect=fault):
        answer = post(line, message("m1"))
    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert not rows().exists()


def test_a_broker_that_is_away_costs_nothing(line, monkeypatch, django_capture_on_commit_callbacks):
    from tickets import wake

    monkeypatch.setattr(wake, "_resting_until", 0.0)
    with (
        mock.patch("celery.app.task.Task.apply_async", side_effect=OSError("refused")) as publish,
        django_capture_on_commit_callbacks(execute=True),
    ):
        assert post(line, message("m1")).status_code == 200
        assert post(line, message("m2")).status_code == 200
    assert rows().count() == 2
    assert publish.call_count == 1  # it rests for a moment after the first refusal


def test_a_large_item_goes_to_the_file_store(line, media_folder):
    big = b"x" * (webhooks.INLINE + 1)
    webhooks.keep(line, [Item("", "big", "", big)], body=big, headers={}, remote_ip=None, auth_result="pipe")
    event = rows().get()
    assert event.raw is None
    assert webhooks.raw_of(event) == big
    assert files.path_of(event.raw_path).is_relative_to(media_folder)


def test_keep_returns_the_ids_of_what_was_not_known(line):
    items = [Item("", "a", "", b"1"), Item("", "b", "", b"2")]
    arguments = {"body": b"", "headers": {}, "remote_ip": None, "auth_result": "test"}
    assert webhooks.keep(line, items, **arguments) == list(rows().values_list("id", flat=True))
    assert webhooks.keep(line, items, **arguments) == []
    long = Item("", "k" * 1000, "o" * 1000, b"3")
    assert len(webhooks.keep(line, [long, long], **arguments)) == 1
    assert webhooks.keep(line, [], **arguments) == []


def test_keeping_is_two_statements_whatever_the_batch(line, django_assert_num_queries):
    def batch(name, n):
        items = [Item("", f"{name}{i}", "", b"%d" % i) for i in range(n)]
        webhooks.keep(line, items, body=b"", headers={}, remote_ip=None, auth_result="test")

    with django_assert_num_queries(4):  # savepoint, insert, ids, release
        batch("a", 1)
    with django_assert_num_queries(4):
        batch("b", 50)
