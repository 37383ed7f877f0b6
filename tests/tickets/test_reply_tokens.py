import pytest

from tests.scripted import Stage
from tickets import reply_tokens
from tickets.models import Route

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(settings, scripted, now):
    settings.ENCRYPTION_KEYS = ["a key of its own, so that SECRET_KEY may change"]
    return Stage(now)


def test_a_token_of_ours_finds_its_route(stage):
    token = stage.route.reply_token
    assert len(token) == 32
    assert reply_tokens.find_route(token) == stage.route
    assert reply_tokens.find_route(f" {token.upper()} ") == stage.route


def test_a_token_names_ticket_recipient_and_purpose(stage):
    other = stage.add_ticket()
    made = {
        reply_tokens.token_for(stage.ticket, stage.identity, "reply"),
        reply_tokens.token_for(other, stage.identity, "reply"),
        reply_tokens.token_for(stage.ticket, stage.identity, "survey"),
    }
    assert len(made) == 3


@pytest.mark.parametrize(
    "change", [lambda t: "0" * 32, lambda t: t[:-1] + ("0" if t[-1] != "0" else "1"), lambda t: t[:31], lambda t: ""]
)
def test_a_forged_token_finds_nothing(stage, change):
    assert reply_tokens.find_route(change(stage.route.reply_token)) is None


def test_a_token_that_stands_in_the_table_without_our_signature_finds_nothing(stage):
    Route.objects.filter(pk=stage.route.pk).update(reply_token="ab" * 16)
    assert reply_tokens.find_route("ab" * 16) is None


def test_a_former_key_still_opens_and_a_dropped_one_does_not(stage, settings):
    token, former = stage.route.reply_token, settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key that is long enough for every check", [former]
    assert reply_tokens.find_route(token) == stage.route
    settings.SECRET_KEY_FALLBACKS = []
    assert reply_tokens.find_route(token) is None


def test_a_message_id_carries_the_token_and_no_number(stage):
    message_id = reply_tokens.message_id_for(stage.route.reply_token, "a1b2c3", "acme.example")
    assert message_id == f"<a1b2c3.{stage.route.reply_token}@acme.example>"
    assert reply_tokens.token_in(message_id) == stage.route.reply_token
    assert reply_tokens.token_in(message_id.strip("<>").upper()) == stage.route.reply_token


@pytest.mark.parametrize("foreign", ["<abc@example.org>", "<x.y@z>", "", "<a.b.c@d>", f"<{'a' * 32}@acme.example>"])
def test_a_foreign_message_id_carries_none(foreign):
    assert reply_tokens.token_in(foreign) is None
