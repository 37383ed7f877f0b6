"""What stands under an answer by mail."""

from uuid import uuid4

import pytest

from agents.models import AuditEntry, Team
from tests.scripted import Stage
from tickets import delivery, replies, signatures
from tickets.models import Signature

pytestmark = pytest.mark.django_db


@pytest.fixture
def mail(scripted, now):
    return Stage(now, kind="scripted_mail")


def answer(stage, **changes):
    words = {
        "agent": stage.mina, "text": "It arrives tomorrow.", "route": stage.route, "client_uuid": uuid4(),
        "seen_message_id": stage.first.pk, "now": stage.now,
    } | changes  # fmt: skip
    return replies.post(stage.ticket, **words)


def test_one_s_own_wins_over_the_team_s_and_that_over_the_brand_s(mail):
    team = Team.objects.create(name="Repairs")
    mail.ticket.team = team
    mail.ticket.save()
    keep = {"by": mail.mina}
    assert signatures.text_for(mail.ticket, agent=mail.mina, now=mail.now) == ""
    signatures.keep("Brand", brand=mail.brand, **keep)
    assert signatures.text_for(mail.ticket, agent=mail.mina, now=mail.now) == "Brand"
    signatures.keep("Repairs", brand=mail.brand, team=team, **keep)
    assert signatures.text_for(mail.ticket, agent=mail.mina, now=mail.now) == "Repairs"
    signatures.keep("Mina", **keep)
    assert signatures.text_for(mail.ticket, agent=mail.mina, now=mail.now) == "Mina"
    assert signatures.text_for(mail.ticket, agent=mail.joon, now=mail.now) == "Repairs"
    signatures.keep("", **keep)
    assert signatures.text_for(mail.ticket, agent=mail.mina, now=mail.now) == "Repairs"
    assert AuditEntry.objects.filter(kind="signature_changed").count() == 2, "one's own is nobody else's business"


def test_another_brand_s_or_team_s_is_not_used(mail):
    other = mail.brand.__class__.objects.create(key="other", name="Other")
    signatures.keep("Other", by=mail.mina, brand=other)
    signatures.keep("Team", by=mail.mina, brand=mail.brand, team=Team.objects.create(name="Repairs"))
    assert signatures.text_for(mail.ticket, agent=mail.mina, now=mail.now) == ""


def test_variables_are_filled_and_a_line_without_a_value_is_left_out(mail):
    signatures.keep("{{agent.name}}, {{brand.name}}\n{{customer.organisation}}\nTel. 02-123", by=mail.mina)
    assert signatures.text_for(mail.ticket, agent=mail.mina, now=mail.now) == "Mina, Acme\nTel. 02-123"


def test_it_is_sent_and_kept_apart_from_what_was_written(mail):
    signatures.keep("{{agent.name}}", by=mail.mina)
    message = answer(mail)
    assert (message.text, message.signature) == ("It arrives tomorrow.", "Mina")
    assert delivery.outbound(message.parts.get(), first=True).text == "It arrives tomorrow.\n\n-- \nMina"
    mail.ticket.refresh_from_db()
    assert mail.ticket.snippet == "It arrives tomorrow."


def test_a_chat_and_an_automatic_answer_have_none(scripted, now):
    chat = Stage(now)
    signatures.keep("{{agent.name}}", by=chat.mina)
    message = answer(chat)
    assert (message.signature, message.parts.get().text) == ("", "It arrives tomorrow.")


def test_a_survey_by_mail_is_signed_by_nobody(mail):
    signatures.keep("Brand", by=mail.mina, brand=mail.brand)
    sent = replies.automatic(mail.ticket, route=mail.route, text="How was it?", kind="auto-generated", now=mail.now)
    assert (sent.signature, sent.parts.get().text) == ("", "How was it?")


@pytest.mark.parametrize("text", ["{{customer.nmae}}", "x" * 2001])
def test_what_stands_for_nothing_or_is_too_long_is_refused(mail, text):
    with pytest.raises(ValueError, match=r"nmae|xxx"):
        signatures.keep(text, by=mail.mina)
    assert not Signature.objects.exists()
