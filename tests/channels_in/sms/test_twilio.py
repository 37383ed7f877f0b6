"""What Twilio sends and takes, without the rest of the product."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import urlencode

import pytest

from channels_in.sms.adapter import ERRORS, TwilioSms, opt_word, signature
from tests.channels_in.samples import agrees_with_golden, facts, normalised, provided, request, samples
from tickets.contract import DeliveryError, InboundMessage, OutboundFile, OutboundMessage, Receipt, Rejected, Suppressed
from tickets.http import FetchError, Response

ACCOUNT = "AC5d41402abc4b2a76b9719d911017c592"
FORM = "application/x-www-form-urlencoded"
CHANNEL = facts(
    "sms",
    account_id="+827041230001",
    settings={"account_sid": ACCOUNT},
    secrets={"auth_token": "12345"},
)
ADAPTER = TwilioSms()

# From Twilio's own documentation of its signature.
VECTORS = [
    ("https://mycompany.com/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
    ("https://mycompany.com:443/myapp.php?foo=1&bar=2", "kvajT1Ptam85bY51eRf/AJRuM3w="),
    ("http://mycompany.com:80/myapp.php?foo=1&bar=2", "0ZXoZLH/DfblKGATFgpif+LLRf4="),
    ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
]
PARAMETERS = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]


def posted(form, *, channel=CHANNEL, query="", url="", given=None):
    """A signed form; `url` is what was signed, when that is not the public address."""
    body = urlencode(form).encode()
    pairs = form.items() if isinstance(form, dict) else form
    public = f"{channel.hook_url}?{query}" if query else channel.hook_url
    signed = signature(channel.secrets["auth_token"], url or public, pairs) if given is None else given
    return request(("/hooks/sms-1/", {"Content-Type": FORM, "X-Twilio-Signature": signed}, body), query=query)


@pytest.mark.parametrize(("url", "expected"), VECTORS)
def test_twilios_own_vectors(url, expected):
    assert signature("12345", url, PARAMETERS) == expected


def test_of_a_repeated_name_each_distinct_value_is_signed_once():
    parameters = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]
    assert signature("12345", VECTORS[0][0], parameters) == "IK+Dwps556ElfBT0I3Rgjkr1wJU="


def test_every_vector_at_hand_verifies_and_none_with_another_byte():
    folder = os.environ.get("SAMPLES_DIR")
    if not folder:
        pytest.skip("SAMPLES_DIR is not set")
    vectors = json.loads(Path(folder, "payloads/vectors.json").read_text())["twilio"]
    assert len(vectors) >= 6
    for vector in vectors:
        url, _mark, query = vector["url"].partition("?")
        channel = facts("sms", hook_url=url, secrets={"auth_token": vector["token"]})
        pairs = [
            (name, value)
            for name, values in vector["params"].items()
            for value in (values if isinstance(values, list) else [values])
        ]
        body = vector.get("body", urlencode(pairs)).encode()
        content_type = "application/json" if "body" in vector else FORM

        def received(body=body, given=vector["signature"], query=query, content_type=content_type):
            headers = {"Content-Type": content_type, "X-Twilio-Signature": given}
            return request(("/hooks/sms-1/", headers, body), query=query)

        ADAPTER.verify(channel, received())
        refused(channel, received(body=body[:-1] + b"x"))
        refused(channel, received(query=query + "1"))
        refused(channel, received(given=vector["signature"][:-2] + "A="))
        refused(facts("sms", hook_url=url, secrets={"auth_token": vector["token"] + "6"}), received())


def refused(channel, received):
    with pytest.raises(Rejected) as caught:
        ADAPTER.verify(channel, received)
    assert caught.value.status == 401


def test_the_public_address_is_signed_with_or_without_its_port_and_the_host_header_does_not_count():
    form = {"MessageSid": "SM1", "Body": "hi"}
    for url in ("https://help.example.com/hooks/sms-1/", "https://help.example.com:443/hooks/sms-1/"):
        ADAPTER.verify(CHANNEL, posted(form, url=url))
    refused(CHANNEL, posted(form, url="https://localhost/hooks/sms-1/"))
    with_port = facts("sms", hook_url="http://10.0.0.1:8000/hooks/sms-1/", secrets=CHANNEL.secrets)
    for url in ("http://10.0.0.1:8000/hooks/sms-1/", "http://10.0.0.1/hooks/sms-1/"):
        ADAPTER.verify(with_port, posted(form, channel=with_port, url=url))


def test_without_a_signature_or_without_a_secret_nothing_passes():
    refused(CHANNEL, posted({"MessageSid": "SM1"}, given=""))
    bare = facts("sms", secrets={"auth_token": ""})
    refused(bare, posted({"MessageSid": "SM1"}, channel=bare))


def test_a_second_token_counts_while_the_first_is_changed():
    changing = facts("sms", secrets={"auth_token": "new", "auth_token_next": "12345"})
    ADAPTER.verify(changing, posted({"MessageSid": "SM1"}))


def test_a_body_that_is_no_form_needs_its_hash_in_the_signed_address():
    body = b'{"MessageSid":"SM1"}'
    given = signature("12345", CHANNEL.hook_url)
    refused(
        CHANNEL, request(("/hooks/sms-1/", {"Content-Type": "application/json", "X-Twilio-Signature": given}, body))
    )


def test_a_signed_get_is_taken():
    query = urlencode(
        {"MessageSid": "SM1", "AccountSid": ACCOUNT, "From": "+821055501001", "To": "+827041230001", "Body": "hi"}
    )
    given = signature("12345", f"{CHANNEL.hook_url}?{query}")
    received = request(("/hooks/sms-1/", {"X-Twilio-Signature": given}, b""), method="GET", query=query)
    ADAPTER.verify(CHANNEL, received)
    (item,) = ADAPTER.items(CHANNEL, received)
    (message,) = ADAPTER.normalise(CHANNEL, item.raw, {})
    assert isinstance(message, InboundMessage)
    assert message.text == "hi"


def test_the_answer_is_empty_twiml_because_text_would_be_sent_to_the_customer():
    answer = ADAPTER.handshake(CHANNEL, posted({"MessageSid": "SM1"}))
    assert answer is not None
    assert (answer["Content-Type"], answer.content) == ("text/xml", b"<Response></Response>")


@pytest.mark.parametrize("path", samples("sms"), ids=lambda path: path.stem)
def test_each_sample_is_normalised_as_written_down(path):
    received = posted(json.loads(path.read_text()))
    ADAPTER.verify(CHANNEL, received)
    agrees_with_golden("sms", path.stem, normalised(ADAPTER, CHANNEL, received))


@pytest.mark.parametrize("path", provided("twilio"), ids=lambda path: path.stem)
def test_each_sample_at_hand_runs_through(path):
    received = posted({key: str(value) for key, value in json.loads(path.read_text()).items()})
    ADAPTER.verify(CHANNEL, received)
    for item in ADAPTER.items(CHANNEL, received):
        assert ADAPTER.normalise(CHANNEL, item.raw, {})


def test_an_account_of_another_app_names_no_channel_of_ours():
    form = {"MessageSid": "SM1", "AccountSid": "ACother", "From": "+821055501001", "To": "+827041230001"}
    (item,) = ADAPTER.items(CHANNEL, posted(form))
    assert item.account == "ACother:+827041230001"


def test_the_messaging_service_of_the_channel_means_the_channel():
    channel = facts(
        "sms", account_id="+827041230001", settings={"messaging_service_sid": "MG1"}, secrets=CHANNEL.secrets
    )
    form = {"MessageSid": "SM1", "From": "+821055501001", "To": "+827041239999"}
    assert ADAPTER.items(channel, posted({**form, "MessagingServiceSid": "MG1"}))[0].account == "+827041230001"
    assert ADAPTER.items(channel, posted({**form, "MessagingServiceSid": "MG2"}))[0].account == "+827041239999"


def test_a_status_brings_our_own_part_back():
    part = "7f1f1c6e-6f0a-4c39-9c5a-0a4a3c7d1e11"
    form = {"MessageSid": "SM9", "MessageStatus": "sent", "AccountSid": ACCOUNT, "From": "+827041230001", "To": "+8210"}
    received = posted(form, query=f"part={part}")
    ADAPTER.verify(CHANNEL, received)
    (item,) = ADAPTER.items(CHANNEL, received)
    assert item == (CHANNEL.account_id, "SM9:sent", "", item.raw)
    assert ADAPTER.normalise(CHANNEL, item.raw, {}) == [Receipt("sent", provider_id="SM9", part_uuid=part)]


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe\x00", b"=&=&==", b"{", b"MessageSid", b"MessageStatus=sent&x"])
def test_what_is_no_message_never_raises(raw):
    for result in ADAPTER.normalise(CHANNEL, raw, {}):
        assert result == Suppressed("unknown kind")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("STOP", "stop"),
        (" stop. ", "stop"),
        ("수신거부", "stop"),
        ("수신 거부", "stop"),
        ("수신동의", "start"),
        ("Start", "start"),
        ("HELP", "help"),
        ("stop sending the blue one", ""),
        ("주문 취소", ""),
        ("yes", ""),
        ("", ""),
    ],
)
def test_only_a_whole_message_is_an_opt_word(text, word):
    assert opt_word(text) == word


# -- Sending: the answers of Twilio, from the wire to the contract ---------------------------------------------------------


def outgoing(**changes):
    base = {"part_id": 1, "part_uuid": "7f1f1c6e-6f0a-4c39-9c5a-0a4a3c7d1e11", "n": 0, "first_attempt": True}
    person = {"to": "+821055501001", "to_kind": "phone", "to_name": "", "remote_thread_id": "", "text": "안녕하세요"}
    return OutboundMessage(**{**base, **person, **changes})


def answering(monkeypatch, answer):
    """Twilio's side of the wire. Returns the list of what was sent."""
    sent = []

    def fetch(method, url, **options):
        sent.append((method, url, options))
        if options.get("on_sending"):
            options["on_sending"]()
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("channels_in.sms.adapter.safe_fetch", fetch)
    return sent


def refusal(status, code, **headers):
    return Response(status, headers, json.dumps({"code": code, "message": "no", "status": status}).encode(), "")


@pytest.mark.parametrize(("code", "expected"), sorted(ERRORS.items()))
def test_each_error_code_says_whether_trying_again_helps(monkeypatch, code, expected):
    answering(monkeypatch, refusal(400, code))
    with pytest.raises(DeliveryError) as caught:
        ADAPTER.send(CHANNEL, outgoing(), committed=lambda: None)
    for name in ("permanent", "disconnected", "opted_out", "bad_address"):
        assert getattr(caught.value, name) == expected.get(name, False), name
    assert not caught.value.may_have_left
    assert caught.value.code == str(code)


def test_codes_that_are_not_listed_are_permanent(monkeypatch):
    answering(monkeypatch, refusal(400, 99999))
    with pytest.raises(DeliveryError) as caught:
        ADAPTER.send(CHANNEL, outgoing(), committed=lambda: None)
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("answer", "permanent", "may_have_left", "disconnected", "retry_after"),
    [
        (Response(500, {}, b"oops", ""), False, True, False, None),
        (Response(503, {}, b'{"code":20503,"message":"x"}', ""), False, True, False, None),
        (refusal(429, 20429, **{"retry-after": "7"}), False, False, False, 7.0),
        (refusal(401, 20003), False, False, True, None),
        (Response(404, {}, b"<html>", ""), True, False, False, None),
        (Response(201, {}, b"{}", ""), False, True, False, None),
        (FetchError("reset", may_have_left=True), False, True, False, None),
        (FetchError("no route", may_have_left=False), False, False, False, None),
    ],
)
def test_what_is_known_after_a_failed_attempt(monkeypatch, answer, permanent, may_have_left, disconnected, retry_after):
    answering(monkeypatch, answer)
    with pytest.raises(DeliveryError) as caught:
        ADAPTER.send(CHANNEL, outgoing(), committed=lambda: None)
    error = caught.value
    assert (error.permanent, error.may_have_left, error.disconnected, error.retry_after) == (
        permanent,
        may_have_left,
        disconnected,
        retry_after,
    )


def test_an_accepted_message_is_sent_with_its_files_and_our_callback(monkeypatch):
    sent = answering(monkeypatch, Response(201, {}, b'{"sid":"SM7","status":"queued"}', ""))
    committed = []
    photo = OutboundFile("a.jpg", "image/jpeg", 3, "x", "https://help.example.com/files/a")
    result = ADAPTER.send(CHANNEL, outgoing(files=(photo,)), committed=lambda: committed.append(True))
    assert result == ("SM7", "sent")
    assert committed == [True]
    ((method, url, options),) = sent
    assert (method, url) == ("POST", f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json")
    assert options["auth"] == (ACCOUNT, "12345")
    assert options["data"].decode() == urlencode(
        [
            ("To", "+821055501001"),
            ("From", "+827041230001"),
            ("MediaUrl", photo.url),
            ("Body", "안녕하세요"),
            ("StatusCallback", f"{CHANNEL.hook_url}?part=7f1f1c6e-6f0a-4c39-9c5a-0a4a3c7d1e11"),
        ]
    )


def test_where_there_is_no_mms_files_leave_as_links(monkeypatch):
    sent = answering(monkeypatch, Response(201, {}, b'{"sid":"SM7"}', ""))
    channel = facts("sms", account_id="+82704", settings={"mms": False}, secrets=CHANNEL.secrets)
    photo = OutboundFile("a.jpg", "image/jpeg", 3, "x", "https://help.example.com/files/a")
    ADAPTER.send(channel, outgoing(files=(photo,), text="hi"), committed=lambda: None)
    fields = sent[0][2]["data"].decode()
    assert "MediaUrl" not in fields
    assert urlencode({"Body": f"hi\n{photo.url}"}) in fields
    with pytest.raises(DeliveryError) as caught:
        ADAPTER.send(channel, outgoing(files=(photo,), text="x" * 1600), committed=lambda: None)
    assert caught.value.permanent
    assert len(sent) == 1
