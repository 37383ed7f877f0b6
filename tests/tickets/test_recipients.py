"""To and Cc of an answer by mail."""

from uuid import uuid4

import pytest

from tests.scripted import Stage
from tickets import delivery, recipients, replies
from tickets.models import Channel, Draft, Message
from tickets.recipients import BadAddress, Recipients

SORA, BOSS, LAW = "sora@example.org", "boss@example.org", "law@firm.example"


@pytest.fixture
def mail(scripted, now):
    return Stage(now, kind="scripted_mail")


def answer(stage, **changes):
    words = {
        "agent": stage.mina, "text": "It arrives tomorrow.", "route": stage.route, "client_uuid": uuid4(),
        "seen_message_id": stage.first.pk, "now": stage.now,
    } | changes  # fmt: skip
    return replies.post(stage.ticket, **words)


@pytest.mark.parametrize(
    "text, addresses",
    [
        ("", []),
        (
            "a@x.example, b@x.example;c@x.example\nd@x.example",
            ["a@x.example", "b@x.example", "c@x.example", "d@x.example"],
        ),
        ("Sora Kim <sora@example.org>, ", [SORA]),
        ('"Kim, Sora" <sora@example.org>; Boss <boss@example.org>', [SORA, BOSS]),
    ],
)
def test_addresses_are_read_as_people_paste_them(text, addresses):
    assert recipients.split(text) == addresses


def test_each_address_stands_once():
    assert recipients.check([SORA, "Sora@example.org"], [BOSS, SORA]) == Recipients((SORA,), (BOSS,))


@pytest.mark.parametrize(
    "to, cc",
    [([], [BOSS]), (["sora"], []), ([SORA], ["boss@"]), ([SORA], ["a b@x.example"]), ([SORA + "\nBcc: x@y.example"], []),
     ([f"a{n}@x.example" for n in range(41)], [])],
)  # fmt: skip
def test_what_cannot_be_sent_is_said_before(to, cc):
    with pytest.raises(BadAddress):
        recipients.check(to, cc)


pytest_db = pytest.mark.django_db


@pytest_db
@pytest.mark.parametrize(
    "to, cc, others",
    [
        (["help@acme.example"], [], []),
        (["help@acme.example", BOSS], [LAW], [BOSS, LAW]),
        (["Help@acme.example", SORA], [], []),
        ([BOSS], ["help+0123@acme.example", LAW], [BOSS, LAW]),
        (["info@acme.example"], [LAW], [LAW]),  # an alias of ours: an answer to it would come back
        ([], [], []),
    ],
)
def test_a_reply_to_all_reaches_the_others_and_never_ourselves(mail, to, cc, others):
    assert recipients.others_of(mail.channel, to=to, cc=cc, sender=SORA) == others


@pytest_db
def test_an_answer_goes_to_all_who_take_part_by_itself(mail):
    mail.route.cc = [BOSS]
    mail.route.save()
    message = answer(mail)
    assert (message.to, message.cc) == ([SORA], [BOSS])


@pytest_db
def test_chosen_recipients_are_kept_sent_and_take_part_from_then_on(mail):
    mail.route.cc = [BOSS]
    mail.route.save()
    message = answer(mail, recipients=Recipients((SORA, "wife@example.org"), (LAW,)))
    assert (message.to, message.cc) == ([SORA, "wife@example.org"], [LAW])
    out = delivery.outbound(message.parts.get(), first=True)
    assert (out.to, out.also_to, out.cc) == (SORA, ("wife@example.org",), (LAW,))
    again = answer(mail)
    assert (again.to, again.cc) == ([SORA], ["wife@example.org", LAW]), "who was left out does not come back"


@pytest_db
def test_a_mail_to_somebody_else_does_not_carry_the_customer_s_name(mail):
    message = answer(mail, recipients=Recipients((LAW,)))
    out = delivery.outbound(message.parts.get(), first=True)
    assert (out.to, out.to_name) == (LAW, "")


@pytest_db
def test_what_is_held_leaves_to_the_same_people(mail):
    words = {"agent": mail.mina, "text": "Hello", "route": mail.route, "client_uuid": uuid4(), "seen_message_id": None}
    replies.hold(mail.ticket, **words, recipients=Recipients((SORA,), (LAW,)), send_at=mail.now, now=mail.now)
    assert Draft.objects.get().cc == [LAW]
    assert replies.release_due(now=mail.now) == 1
    assert Message.objects.get(direction="out").cc == [LAW]


@pytest_db
def test_a_survey_is_for_the_customer_alone(mail):
    mail.route.cc = [BOSS]
    mail.route.save()
    sent = replies.automatic(mail.ticket, route=mail.route, text="How was it?", kind="auto-generated", now=mail.now)
    assert (sent.to, sent.cc) == ([SORA], [])


@pytest_db
def test_chats_have_no_copies(scripted, now):
    chat = Stage(now)
    message = answer(chat, recipients=Recipients((LAW,), (BOSS,)))
    assert (message.to, message.cc) == (["+821012345678"], [])


@pytest_db
@pytest.mark.parametrize(
    "chosen, said",
    [
        (Recipients((SORA,)), []),
        (Recipients((SORA,), (BOSS,)), []),
        (Recipients((SORA,), ("JOON@acme.example",)), []),  # a colleague
        (Recipients((SORA,), (LAW,)), ["law@firm.example"]),
        (Recipients((BOSS,)), ["customer is not among"]),
        (Recipients((LAW,)), ["customer is not among", "law@firm.example"]),
    ],
)
def test_slips_are_said_before_it_leaves(mail, chosen, said):
    mail.route.cc = [BOSS]
    doubts = recipients.doubts(mail.ticket, mail.route, chosen)
    assert len(doubts) == len(said)
    assert all(words in doubt for words, doubt in zip(said, doubts, strict=True))


@pytest_db
def test_other_channels_are_no_addresses_of_ours(mail):
    Channel.objects.create(kind="scripted", slug="sms", name="sms", brand=mail.brand, address="")
    assert recipients.others_of(mail.channel, to=["help@acme.example", BOSS], cc=[], sender=SORA) == [BOSS]
