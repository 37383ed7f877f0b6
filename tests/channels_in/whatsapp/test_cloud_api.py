"""What WhatsApp's Cloud API sends and takes, without the rest of the product."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from channels_in.whatsapp.adapter import ERRORS, WhatsAppCloud, signature
from tests.channels_in.samples import agrees_with_golden, facts, normalised, provided, request, samples
from tickets import files
from tickets.contract import (
    Applied,
    DeliveryError,
    InboundMessage,
    OutboundFile,
    OutboundMessage,
    Receipt,
    Rejected,
    Suppressed,
    Unreadable,
)
from tickets.http import FetchError, Response

CHANNEL = facts(
    "whatsapp",
    account_id="771000000000001",
    settings={"waba_id": "660000000000001", "base_url": "https://graph.facebook.com/v23.0"},
    secrets={"app_secret": "test_app_secret", "verify_token": "let me in", "access_token": "EAAtoken"},
)
ADAPTER = WhatsAppCloud()
PART = "7f1f1c6e-6f0a-4c39-9c5a-0a4a3c7d1e11"


def posted(body, *, secret="test_app_secret", given=None):
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": given or signature(secret, raw)}
    return request(("/hooks/whatsapp-1/", headers, raw))


def load(name):
    return json.loads((Path(__file__).parent / "payloads" / f"{name}.json").read_text())


def results(name):
    return [
        result
        for item in ADAPTER.items(CHANNEL, posted(load(name)))
        for result in ADAPTER.normalise(CHANNEL, item.raw, {})
    ]


# -- The door --------------------------------------------------------------------------------------------------------------


def test_our_own_vector():
    body = b'{"object":"whatsapp_business_account","entry":[]}'
    assert (
        signature("test_app_secret", body) == "sha256=dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756"
    )


def test_every_vector_at_hand_verifies_and_none_with_another_byte():
    folder = os.environ.get("SAMPLES_DIR")
    if not folder:
        pytest.skip("SAMPLES_DIR is not set")
    vectors = json.loads(Path(folder, "payloads/vectors.json").read_text())["meta"]
    assert vectors
    for vector in vectors:
        body, secret = vector["body"].encode(), vector["app_secret"]
        channel = facts("whatsapp", secrets={"app_secret": secret})
        ADAPTER.verify(channel, posted(body, given=vector["header"]))
        for wrong in (
            posted(body + b" ", given=vector["header"]),
            posted(body, given=vector["header"][:-1] + "0"),
            posted(body, given=vector["header"].removeprefix("sha256=")),
        ):
            with pytest.raises(Rejected):
                ADAPTER.verify(channel, wrong)
        with pytest.raises(Rejected):
            ADAPTER.verify(
                facts("whatsapp", secrets={"app_secret": secret + "2"}), posted(body, given=vector["header"])
            )


def test_the_signature_is_over_the_bytes_not_over_the_meaning():
    as_sent = '{"a":"caf\\u00e9 😀"}'.encode()
    ADAPTER.verify(CHANNEL, posted(as_sent))
    with pytest.raises(Rejected):
        ADAPTER.verify(CHANNEL, posted('{"a":"café 😀"}'.encode(), given=signature("test_app_secret", as_sent)))


def test_without_a_secret_nothing_passes():
    bare = facts("whatsapp", secrets={})
    with pytest.raises(Rejected):
        ADAPTER.verify(bare, posted({}, secret=""))


def test_the_handshake_answers_its_challenge_and_refuses_another_token():
    def asked(token):
        query = f"hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}"
        return request(("/hooks/whatsapp-1/", {}, b""), method="GET", query=query)

    good = asked("let%20me%20in")
    ADAPTER.verify(CHANNEL, good)
    answer = ADAPTER.handshake(CHANNEL, good)
    assert answer is not None
    assert answer.content == b"1158201444"
    assert ADAPTER.items(CHANNEL, good) == []
    with pytest.raises(Rejected) as caught:
        ADAPTER.verify(CHANNEL, asked("wrong"))
    assert caught.value.status == 403
    assert ADAPTER.handshake(CHANNEL, asked("wrong")) is None
    with pytest.raises(Rejected):
        ADAPTER.verify(facts("whatsapp", secrets={"verify_token": ""}), asked(""))


# -- Cutting ---------------------------------------------------------------------------------------------------------------


def test_a_batch_is_cut_into_everything_it_holds():
    items = ADAPTER.items(CHANNEL, posted(load("batch")))
    assert [(item.dedupe_key, item.ordering_key) for item in items] == [
        ("wamid.B1", "KR.10000000000000001"),
        ("wamid.B2", "BR.20000000000000002"),
        ("wamid.OURS1:sent", ""),
        ("wamid.OURS1:delivered", ""),
    ]
    assert {item.account for item in items} == {"771000000000001"}
    (second,) = ADAPTER.normalise(CHANNEL, items[1].raw, {})
    assert isinstance(second, InboundMessage)
    assert (second.text, second.sender.name) == ("segundo", "Ana Souza")
    assert "김지원".encode() not in items[1].raw  # the other customer's contact went with the cut


def test_an_item_is_the_same_bytes_in_whatever_batch_it_comes():
    batch = load("batch")
    value = batch["entry"][0]["changes"][0]["value"]
    alone = {
        **batch,
        "entry": [
            {
                "id": batch["entry"][0]["id"],
                "time": 1,
                "changes": [
                    {
                        "field": "messages",
                        "value": {**value, "contacts": value["contacts"][:1], "messages": value["messages"][:1]},
                    }
                ],
            }
        ],
    }
    assert ADAPTER.items(CHANNEL, posted(alone))[0] == ADAPTER.items(CHANNEL, posted(batch))[0]


def test_each_item_of_a_batch_is_normalised_alone_as_in_the_batch():
    items = ADAPTER.items(CHANNEL, posted(load("batch")))
    together = ADAPTER.normalise(CHANNEL, posted(load("batch")).body, {})
    assert [result for item in items for result in ADAPTER.normalise(CHANNEL, item.raw, {})] == together


def test_two_numbers_in_one_body_name_two_accounts():
    body = load("text")
    other = json.loads(json.dumps(body["entry"][0]["changes"][0]).replace("771000000000001", "771000000000002"))
    body["entry"][0]["changes"].append(other)
    assert [item.account for item in ADAPTER.items(CHANNEL, posted(body))] == ["771000000000001", "771000000000002"]


def test_a_business_account_that_is_not_ours_is_named():
    body = load("template_paused")
    assert ADAPTER.items(CHANNEL, posted(body))[0].account == ""
    body["entry"][0]["id"] = "999"
    assert ADAPTER.items(CHANNEL, posted(body))[0].account == "999"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"null",
        b'{"object":"page"}',
        b'{"entry":[1]}',
        b'{"entry":[{"changes":[[]]}]}',
        b'{"entry":[{"changes":[{"field":"messages","value":{"messages":[{"type":"text"}]}}]}]}',
        b"[" * 100_000,
    ],
)
def test_what_cannot_be_cut_is_unreadable_and_no_error(body):
    with pytest.raises(Unreadable):
        ADAPTER.items(CHANNEL, posted(body))


@pytest.mark.parametrize("raw", [b"", b"1", b'{"entry":[{"changes":[{"field":"messages","value":{"messages":[7]}}]}]}'])
def test_what_cannot_be_normalised_is_unreadable(raw):
    with pytest.raises(Unreadable):
        ADAPTER.normalise(CHANNEL, raw, {})


# -- Meaning ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", samples("whatsapp"), ids=lambda path: path.stem)
def test_each_sample_is_normalised_as_written_down(path):
    received = posted(json.loads(path.read_text()))
    ADAPTER.verify(CHANNEL, received)
    agrees_with_golden("whatsapp", path.stem, normalised(ADAPTER, CHANNEL, received))


@pytest.mark.parametrize("path", provided("whatsapp"), ids=lambda path: path.stem)
def test_each_sample_at_hand_runs_through(path):
    body = json.loads(path.read_text())
    if "error" in body:
        pytest.skip("an answer of the API, not a webhook")
    received = posted(body)
    ADAPTER.verify(CHANNEL, received)
    items = ADAPTER.items(CHANNEL, received)
    assert items
    for item in items:
        assert ADAPTER.normalise(CHANNEL, item.raw, {})


def test_the_window_is_open_for_a_day_after_the_customers_own_time():
    (message,) = results("text")
    assert isinstance(message, InboundMessage)
    assert message.sent_at == datetime.fromtimestamp(1780000000, tz=UTC)
    assert message.window_until == datetime.fromtimestamp(1780000000 + 86400, tz=UTC)


def test_a_person_has_a_number_and_user_ids_and_all_are_vouched_for():
    (message,) = results("brazilian_without_ninth_digit")
    assert isinstance(message, InboundMessage)
    assert [(it.kind, it.value, it.verified) for it in message.sender.identifiers] == [
        ("phone", "+5511987654321", True),
        ("whatsapp", "BR.20000000000000002", True),
        ("whatsapp", "BR.ENT.20000000000000009", True),
    ]


def test_an_unknown_type_from_a_customer_is_a_message_and_an_unknown_field_is_not():
    (message,) = results("hologram_not_known_yet")
    assert isinstance(message, InboundMessage)
    assert message.placeholder == "unknown"
    assert results("field_not_known_yet") == [Suppressed("unknown kind")]


def test_edits_deletions_and_reactions_point_at_a_message_and_hold_nothing_up():
    for name, kind in (
        ("edit", "edited"),
        ("revoke", "deleted"),
        ("reaction", "reaction"),
        ("reaction_removed", "reaction_removed"),
    ):
        (item,) = ADAPTER.items(CHANNEL, posted(load(name)))
        (result,) = ADAPTER.normalise(CHANNEL, item.raw, {})
        assert isinstance(result, Applied)
        assert (result.kind, item.ordering_key) == (kind, "")
    (edit,) = results("edit")
    assert isinstance(edit, Applied)
    assert edit.fallback is not None
    assert (edit.external_message_id, edit.fallback.text) == ("wamid.TEXT", "교환 문의드려요")


@pytest.mark.parametrize(("code", "expected"), sorted(ERRORS.items()))
def test_a_failed_status_explains_itself_like_a_refusal(code, expected):
    body = load("status_failed_window")
    status = body["entry"][0]["changes"][0]["value"]["statuses"][0]
    status["errors"] = [{"code": code, "title": "no"}]
    (item,) = ADAPTER.items(CHANNEL, posted(body))
    (receipt,) = ADAPTER.normalise(CHANNEL, item.raw, {})
    assert isinstance(receipt, Receipt)
    assert (receipt.state, receipt.code, receipt.permanent) == ("failed", str(code), expected["permanent"])


# -- Sending ---------------------------------------------------------------------------------------------------------------


def outgoing(**changes):
    base = {"part_id": 1, "part_uuid": PART, "n": 0, "first_attempt": True}
    person = {"to": "+821055501001", "to_kind": "phone", "to_name": "", "remote_thread_id": "", "text": "안녕하세요"}
    return OutboundMessage(**{**base, **person, **changes})


def answering(monkeypatch, *answers):
    sent, left = [], list(answers)

    def fetch(method, url, **options):
        sent.append((method, url, options))
        if options.get("on_sending"):
            options["on_sending"]()
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("channels_in.whatsapp.adapter.safe_fetch", fetch)
    return sent


def answer(status=200, **body):
    return Response(status, {}, json.dumps(body).encode(), "")


ACCEPTED = {"messages": [{"id": "wamid.NEW"}]}


def test_a_text_carries_our_part_and_the_message_that_it_answers(monkeypatch):
    sent = answering(monkeypatch, answer(**ACCEPTED))
    committed = []
    result = ADAPTER.send(CHANNEL, outgoing(reply_to_external_id="wamid.IN"), committed=lambda: committed.append(1))
    assert result == ("wamid.NEW", "sent")
    assert committed == [1]
    ((method, url, options),) = sent
    assert (method, url) == ("POST", "https://graph.facebook.com/v23.0/771000000000001/messages")
    assert options["headers"] == {"Authorization": "Bearer EAAtoken"}
    assert options["json"] == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "821055501001",
        "type": "text",
        "text": {"body": "안녕하세요", "preview_url": False},
        "biz_opaque_callback_data": PART,
        "context": {"message_id": "wamid.IN"},
    }


def test_a_person_without_a_number_is_addressed_by_user_id(monkeypatch):
    sent = answering(monkeypatch, answer(**ACCEPTED))
    ADAPTER.send(CHANNEL, outgoing(to="US.3", to_kind="whatsapp"), committed=lambda: None)
    assert sent[0][2]["json"]["recipient"] == "US.3"
    assert "to" not in sent[0][2]["json"]


def test_a_file_is_uploaded_first_and_then_sent_with_its_caption(monkeypatch, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    stored = files.store(b"%PDF-1.7 receipt")
    file = OutboundFile("영수증.pdf", "application/pdf", stored.size, str(files.path_of(stored.sha256)), "")
    sent = answering(monkeypatch, answer(id="M1"), answer(**ACCEPTED))
    committed = []
    ADAPTER.send(CHANNEL, outgoing(files=(file,)), committed=lambda: committed.append(len(sent)))
    assert committed == [2]  # the upload alone commits to nothing
    assert sent[0][1].endswith("/771000000000001/media")
    assert sent[0][2]["files"]["file"] == ("영수증.pdf", b"%PDF-1.7 receipt", "application/pdf")
    assert sent[1][2]["json"]["document"] == {"id": "M1", "caption": "안녕하세요", "filename": "영수증.pdf"}


def test_a_failed_upload_leaves_no_doubt(monkeypatch, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    stored = files.store(b"bytes")
    file = OutboundFile("a.png", "image/png", 5, stored.sha256, "")
    for broken in (FetchError("reset", may_have_left=True), Response(500, {}, b"oops", "")):
        answering(monkeypatch, broken)
        with pytest.raises(DeliveryError) as caught:
            ADAPTER.send(CHANNEL, outgoing(files=(file,)), committed=lambda: pytest.fail("nothing was sent"))
        assert (caught.value.permanent, caught.value.may_have_left) == (False, False)


def test_a_template_gets_its_variables_in_order(monkeypatch):
    sent = answering(monkeypatch, answer(**ACCEPTED))
    template = {"name": "delivery", "language": "ko", "variables": ["지원", "7"]}
    ADAPTER.send(CHANNEL, outgoing(template=template), committed=lambda: None)
    assert sent[0][2]["json"]["template"] == {
        "name": "delivery",
        "language": {"code": "ko"},
        "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "지원"}, {"type": "text", "text": "7"}]}
        ],
    }


@pytest.mark.parametrize(("code", "expected"), sorted(ERRORS.items()))
def test_each_error_code_says_whether_trying_again_helps(monkeypatch, code, expected):
    for status in (400, 500):  # a named code on 500 is a refusal as well
        answering(monkeypatch, answer(status, error={"code": code, "message": "no"}))
        with pytest.raises(DeliveryError) as caught:
            ADAPTER.send(CHANNEL, outgoing(), committed=lambda: None)
        for name in ("permanent", "disconnected", "opted_out", "bad_address"):
            assert getattr(caught.value, name) == expected.get(name, False), name
        assert not caught.value.may_have_left


@pytest.mark.parametrize(
    ("got", "permanent", "may_have_left", "disconnected"),
    [
        (Response(502, {}, b"<html>", ""), False, True, False),
        (Response(429, {"retry-after": "3"}, b"", ""), False, False, False),
        (Response(401, {}, b"", ""), False, False, True),
        (Response(418, {}, b"", ""), True, False, False),
        (answer(400, error={"code": 987654, "message": "new"}), True, False, False),
        (answer(200), False, True, False),
        (FetchError("reset", may_have_left=True), False, True, False),
        (FetchError("no route", may_have_left=False), False, False, False),
    ],
)
def test_what_is_known_after_a_failed_attempt(monkeypatch, got, permanent, may_have_left, disconnected):
    answering(monkeypatch, got)
    with pytest.raises(DeliveryError) as caught:
        ADAPTER.send(CHANNEL, outgoing(), committed=lambda: None)
    error = caught.value
    assert (error.permanent, error.may_have_left, error.disconnected) == (permanent, may_have_left, disconnected)


# -- Media -----------------------------------------------------------------------------------------------------------------

DESCRIBED = {"url": "https://lookaside.fbsbx.com/whatsapp/1", "mime_type": "audio/ogg; codecs=opus"}


def test_media_comes_in_two_steps_and_is_checked(monkeypatch):
    digest = hashlib.sha256(b"sound").hexdigest()
    sent = answering(monkeypatch, answer(**DESCRIBED, sha256=digest), Response(200, {}, b"sound", ""))
    fetched = ADAPTER.fetch_media(CHANNEL, {"id": "900"})
    assert fetched == (b"sound", "audio/ogg", "")
    assert [call[1] for call in sent] == ["https://graph.facebook.com/v23.0/900", DESCRIBED["url"]]
    assert all(call[2]["headers"] == {"Authorization": "Bearer EAAtoken"} for call in sent)


@pytest.mark.parametrize(
    ("answers", "permanent"),
    [
        ([answer(400, error={"code": 100, "message": "gone"})], True),
        ([answer(404)], True),
        ([answer(401, error={"code": 190, "message": "token"})], False),
        ([answer(**DESCRIBED), Response(404, {}, b"", "")], False),
        ([answer(**{**DESCRIBED, "url": "https://evil.example/fbsbx.com"})], True),
        ([answer(**{**DESCRIBED, "url": "http://lookaside.fbsbx.com/1"})], True),
        ([answer(**{**DESCRIBED, "url": "https://notfbsbx.com/1"})], True),
        ([answer(**DESCRIBED, sha256="0" * 64), Response(200, {}, b"sound", "")], False),
        ([answer(**DESCRIBED), FetchError("OSError: the answer is too large", may_have_left=True)], True),
    ],
)
def test_media_that_does_not_come(monkeypatch, answers, permanent):
    sent = answering(monkeypatch, *answers)
    with pytest.raises(DeliveryError) as caught:
        ADAPTER.fetch_media(CHANNEL, {"id": "900"})
    assert caught.value.permanent is permanent
    assert len(sent) == len(answers)  # the token went nowhere else


# -- Templates -------------------------------------------------------------------------------------------------------------


def approved(**changes):
    body = {"type": "BODY", "text": "Hello {{ 1 }}, see {{2}}."}
    return {
        "name": "update",
        "language": "en",
        "status": "APPROVED",
        "category": "UTILITY",
        "components": [body],
    } | changes


def test_approved_templates_are_read_page_by_page(monkeypatch):
    more = {"cursors": {"after": "Q=="}, "next": "https://graph.facebook.com/x"}
    sent = answering(
        monkeypatch,
        answer(data=[approved()], paging=more),
        answer(data=[approved(name="other")], paging={"cursors": {}}),
    )
    found = ADAPTER.templates(CHANNEL)
    assert [(one.name, one.language, one.body, one.places, one.named) for one in found] == [
        ("update", "en", "Hello {{1}}, see {{2}}.", ("1", "2"), False),
        ("other", "en", "Hello {{1}}, see {{2}}.", ("1", "2"), False),
    ]
    assert "after=Q%3D%3D" in sent[1][1] and f"/{CHANNEL.settings['waba_id']}/message_templates?" in sent[0][1]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "PAUSED"},
        {"category": "AUTHENTICATION"},
        {"components": [{"type": "BODY", "text": "x"}, {"type": "HEADER", "format": "IMAGE"}]},
        {"components": [{"type": "BODY", "text": "x"}, {"type": "HEADER", "format": "TEXT", "text": "{{1}}"}]},
        {
            "components": [
                {"type": "BODY", "text": "x"},
                {"type": "BUTTONS", "buttons": [{"type": "URL", "url": "https://x/{{1}}"}]},
            ]
        },
        {"components": []},
    ],
)
def test_what_wants_more_than_words_in_its_body_is_left_out(monkeypatch, changes):
    answering(monkeypatch, answer(data=[approved(**changes), approved(name="fits")]))
    assert [one.name for one in ADAPTER.templates(CHANNEL)] == ["fits"]


def test_named_places_are_sent_by_their_names(monkeypatch):
    sent = answering(monkeypatch, answer(**ACCEPTED))
    template = {"name": "update", "language": "ko", "variables": {"customer": "지우"}}
    ADAPTER.send(CHANNEL, outgoing(template=template), committed=lambda: None)
    (component,) = sent[0][2]["json"]["template"]["components"]
    assert component["parameters"] == [{"type": "text", "parameter_name": "customer", "text": "지우"}]
