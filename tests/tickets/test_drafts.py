"""What is not said yet: saving, undo-send, send-later, and the one release."""

from datetime import timedelta
from uuid import uuid4

import pytest

from agents.models import Agent
from tests.scripted import Stage
from tickets import live, replies
from tickets.models import Attachment, Draft, Event, Identity, Message, Ticket
from tickets.replies import TooLate, Unreachable

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(scripted, now):
    return Stage(now)


@pytest.fixture
def whispers(monkeypatch):
    heard = []
    monkeypatch.setattr(live, "whisper", lambda topic, payload: heard.append((topic, payload)))
    return heard


def save(stage, text="It arrives", revision=1, **changes):
    arguments = {
        "agent": stage.mina, "kind": "reply", "text": text, "client_uuid": UUID, "revision": revision,
        "route": stage.route, "seen_message_id": stage.first.pk, "now": stage.now,
    } | changes  # fmt: skip
    return replies.save_draft(stage.ticket, **arguments)


UUID = uuid4()


def scheduled(stage, *, after=10, **changes):
    draft = save(stage, **{"text": "It arrives tomorrow.", **changes})
    return replies.schedule(draft, send_at=stage.now + timedelta(seconds=after), now=stage.now)


def answers():
    return Message.objects.filter(direction="out", kind="public")


# saving


def test_a_save_keeps_everything_of_the_composer(stage):
    save(stage, then={"status": "solved"}, attachment_ids=[7])
    draft = Draft.objects.get()
    assert (draft.text, draft.route, draft.then, draft.attachment_ids) == (
        "It arrives", stage.route, {"status": "solved"}, [7],
    )  # fmt: skip


def test_one_draft_for_each_person_and_kind(stage):
    save(stage)
    save(stage, text="a note", kind="note", client_uuid=uuid4())
    save(stage, text="his", agent=stage.joon, client_uuid=uuid4())
    save(stage, text="It arrives soon", revision=2)
    assert sorted(Draft.objects.values_list("text", flat=True)) == ["It arrives soon", "a note", "his"]


@pytest.mark.parametrize("late", [1, 2, 3])
def test_a_late_save_never_overwrites_a_newer_one(stage, late):
    save(stage, text="newest", revision=3)
    assert save(stage, text="old", revision=late).text == "newest"
    assert save(stage, text="later", revision=4).text == "later"


def test_a_late_save_does_not_bring_a_sent_draft_back(stage):
    save(stage)
    replies.post(
        stage.ticket, agent=stage.mina, text="x", route=stage.route, client_uuid=UUID, seen_message_id=None,
        now=stage.now,
    )  # fmt: skip
    assert save(stage, revision=99) is None
    assert not Draft.objects.exists()


def test_a_late_save_does_not_bring_a_discarded_draft_back(stage):
    save(stage, revision=4)
    replies.discard_draft(stage.ticket, agent=stage.mina, kind="reply", revision=5, now=stage.now)
    assert save(stage, text="late", revision=4).text == ""
    assert save(stage, text="a new one", revision=6, client_uuid=uuid4()).text == "a new one"


def test_a_late_discard_does_not_empty_a_newer_draft(stage):
    save(stage, revision=9)
    replies.discard_draft(stage.ticket, agent=stage.mina, kind="reply", revision=5, now=stage.now)
    assert Draft.objects.get().text == "It arrives"


def test_what_another_tab_has_saved_is_neither_overwritten_nor_emptied(stage):
    other = uuid4()
    save(stage, text="in the first tab", revision=3, base=0)
    lost = save(stage, text="in the second", revision=9, base=0, client_uuid=other)
    assert (lost.text, lost.client_uuid, lost.revision) == ("in the first tab", UUID, 3)
    who = {"agent": stage.mina, "kind": "reply", "now": stage.now}
    replies.discard_draft(stage.ticket, revision=9, base=0, client_uuid=other, **who)
    assert Draft.objects.get().text == "in the first tab"
    both = save(stage, text="in the first tab, in the second", revision=10, base=3, client_uuid=other)
    assert both.text == "in the first tab, in the second"
    assert save(stage, text="in the first tab too", revision=4, base=3).text == "in the first tab, in the second"
    replies.discard_draft(stage.ticket, revision=11, base=3, client_uuid=other, **who)
    assert Draft.objects.get().text == ""


def test_a_save_whose_answer_was_lost_is_followed_by_the_next(stage):
    save(stage, text="It", revision=2, base=0)
    assert save(stage, text="It arrives", revision=5, base=0).text == "It arrives"


def test_a_save_does_not_change_what_waits_to_be_sent(stage):
    scheduled(stage)
    assert save(stage, text="changed", revision=9).text == "It arrives tomorrow."


# the release


def test_before_its_moment_a_reply_is_a_draft_only(stage):
    scheduled(stage)
    assert replies.release_due(now=stage.now + timedelta(seconds=9)) == 0
    assert not answers().exists()
    assert Ticket.objects.get().first_reply_at is None
    assert not Event.objects.filter(kind="reply_posted").exists()


def test_at_its_moment_it_is_a_message_and_the_draft_is_gone(stage):
    scheduled(stage, then={"status": "pending"})
    later = stage.now + timedelta(seconds=11)
    assert replies.release_due(now=later) == 1
    message = answers().get()
    assert (message.text, message.client_uuid, message.created_at) == ("It arrives tomorrow.", UUID, later)
    assert Ticket.objects.get().status == "pending"
    assert not Draft.objects.exists()
    assert replies.release_due(now=later) == 0


def test_undo_wins_before_and_loses_after(stage):
    draft = scheduled(stage)
    assert replies.undo(draft, now=stage.now) is True
    assert replies.release_due(now=stage.now + timedelta(hours=1)) == 0
    assert Draft.objects.get().text == "It arrives tomorrow."
    replies.schedule(draft, send_at=stage.now, now=stage.now)
    assert replies.release_due(now=stage.now) == 1
    assert replies.undo(draft, now=stage.now) is False
    assert answers().count() == 1


def test_files_go_with_it(stage):
    file = Attachment.objects.create(
        uploaded_by=stage.mina, kind="image", name="x.png", content_type="image/png", size=1, sha256="a" * 64
    )
    scheduled(stage, attachment_ids=[file.pk])
    replies.release_due(now=stage.now + timedelta(seconds=11))
    assert list(answers().get().attachments.all()) == [file]


@pytest.mark.parametrize(
    "what", ["customer writes", "colleague answers", "colleague notes", "merged", "closed", "opted out"]
)
def test_what_the_thread_has_overtaken_stays_a_draft_and_its_author_is_told(
    stage, whispers, django_capture_on_commit_callbacks, what
):
    with django_capture_on_commit_callbacks(execute=True):
        scheduled(stage)
        expected = "newer_message"
        if what == "customer writes":
            stage.customer_writes("Found it!")
        elif what == "colleague answers":
            replies.post(
                stage.ticket, agent=stage.joon, text="x", route=stage.route, client_uuid=uuid4(),
                seen_message_id=None, now=stage.now,
            )  # fmt: skip
        elif what == "colleague notes":
            replies.note(stage.ticket, agent=stage.joon, text="wait", client_uuid=uuid4(), now=stage.now)
        elif what == "merged":
            Ticket.objects.filter(pk=stage.ticket.pk).update(merged_into=stage.add_ticket())
            expected = "merged"
        elif what == "closed":
            Ticket.objects.update(status="closed")
            expected = "closed"
        else:
            Identity.objects.update(opted_out_at=stage.now)
            expected = "opted_out"
        assert replies.release_due(now=stage.now + timedelta(seconds=11)) == 0
    draft = Draft.objects.get()
    assert (draft.stopped, draft.send_at, draft.text) == (expected, None, "It arrives tomorrow.")
    assert not answers().filter(agent=stage.mina).exists()
    told = [payload for topic, payload in whispers if topic == "draft" and "stopped" in payload]
    expected_words = {"stopped": expected, "text": "It arrives tomorrow."}
    assert told == [{"agent": stage.mina.pk, "ticket": stage.ticket.pk, **expected_words}]


@pytest.mark.parametrize("what", ["customer writes", "merged"])
def test_one_that_is_to_go_anyway_goes(stage, what):
    draft = save(stage)
    replies.schedule(draft, send_at=stage.now, anyway=True, now=stage.now)
    if what == "customer writes":
        stage.customer_writes("Found it!")
    else:
        Ticket.objects.filter(pk=stage.ticket.pk).update(merged_into=stage.add_ticket())
    assert replies.release_due(now=stage.now) == 1
    assert Event.objects.filter(kind="sent_anyway").exists() == (what == "customer writes")


def test_looking_again_clears_the_mark(stage):
    scheduled(stage)
    newer = stage.customer_writes("Found it!")
    replies.release_due(now=stage.now + timedelta(seconds=11))
    assert save(stage, revision=2, seen_message_id=newer.pk).stopped == ""


def test_one_broken_draft_holds_up_no_other(stage, caplog):
    scheduled(stage, attachment_ids=[987654])  # a file that is gone
    other = stage.add_ticket()
    draft = replies.save_draft(
        other, agent=stage.mina, kind="reply", text="fine", client_uuid=uuid4(), revision=1,
        route=stage.add_route(other), now=stage.now,
    )  # fmt: skip
    replies.schedule(draft, send_at=stage.now, now=stage.now)
    Draft.objects.exclude(pk=draft.pk).update(then={"status": "nonsense"})
    assert replies.release_due(now=stage.now + timedelta(seconds=11)) == 1
    assert Draft.objects.get().stopped == "unfit"


def test_nothing_can_be_scheduled_that_could_not_go(stage):
    with pytest.raises(ValueError, match="nothing to send"):
        replies.schedule(save(stage, text=" "), send_at=stage.now, now=stage.now)
    draft = save(stage, revision=2)
    Identity.objects.update(opted_out_at=stage.now)
    with pytest.raises(Unreachable):
        replies.schedule(draft, send_at=stage.now, now=stage.now)
    Identity.objects.update(opted_out_at=None)
    Draft.objects.all().delete()
    with pytest.raises(TooLate):
        replies.schedule(draft, send_at=stage.now, now=stage.now)


@pytest.mark.parametrize("right", ["account", "role", "sight"])
def test_nothing_leaves_in_the_name_of_somebody_who_has_lost_the_right(stage, whispers, right):
    scheduled(stage)
    lost = {"account": {"is_active": False}, "role": {"role": "light"}, "sight": {"sight": "own"}}[right]
    Agent.objects.filter(pk=stage.mina.pk).update(**lost)
    assert replies.release_due(now=stage.now + timedelta(seconds=11)) == 0
    assert not answers().exists()
    assert (Draft.objects.get().stopped, Draft.objects.get().text) == ("no_right", "It arrives tomorrow.")
