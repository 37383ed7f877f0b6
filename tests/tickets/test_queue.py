import threading
from datetime import timedelta
from uuid import UUID, uuid4

import hypothesis
import pytest
from django.db import ProgrammingError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import strategies as st

from channels_in.models import RawEvent
from tests.cast import assemble, make_channel
from tests.conftest import wait_until
from tests.explained import work_of
from tickets import queue, triggers
from tickets.models import Channel, Outbox
from tickets.queue import RAW_EVENTS, claimed

pytestmark = pytest.mark.django_db(transaction=True)


def kept(channel, n=1, **columns):
    start = RawEvent.objects.count()
    past = timezone.now() - timedelta(minutes=1)
    rows = [
        RawEvent(channel=channel, dedupe_key=f"k{start + i}", raw=b"{}", raw_sha256="0", body_sha256="0",
                 next_attempt_at=past, **columns)
        for i in range(n)
    ]  # fmt: skip
    return [row.pk for row in RawEvent.objects.bulk_create(rows)]


def in_thread(work):
    """Run in a session of its own, and return what it returned."""
    box = []

    def run():
        try:
            box.append(work())
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    return box[0]


def claim_elsewhere(**filters):
    def work():
        with claimed(RAW_EVENTS, **filters) as claim:
            return claim

    return in_thread(work)


@pytest.fixture
def channel():
    return assemble().sms


@pytest.fixture
def roomy(settings):
    settings.CLAIMS_PER_CHANNEL = 10


def test_the_oldest_due_row_is_claimed_and_counted_before_the_work(channel):
    first, _second = kept(channel, 2)
    with claimed(RAW_EVENTS) as claim:
        assert (claim.id, claim.attempts, claim.taken_over) == (first, 1, False)
        row = in_thread(lambda: RawEvent.objects.get(pk=first))
        assert (row.state, row.attempts, row.lease_owner) == ("processing", 1, claim.owner)
        assert timedelta(seconds=140) < row.lease_until - timezone.now() <= timedelta(seconds=150)


def test_nothing_due_gives_nothing(channel):
    kept(channel)
    RawEvent.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))
    with claimed(RAW_EVENTS) as claim:
        assert claim is None


def test_two_claimers_never_get_the_same_row(channel, roomy):
    ids = kept(channel, 2)
    with claimed(RAW_EVENTS) as mine:
        other = claim_elsewhere()
    assert {mine.id, other.id} == set(ids)


def test_a_conversation_is_worked_on_in_order(channel, roomy):
    first, second = kept(channel, 2, ordering_key="c1")
    (other,) = kept(channel, 1, ordering_key="c2")
    with claimed(RAW_EVENTS) as mine:
        assert mine.id == first
        assert claim_elsewhere().id == other
        RawEvent.objects.filter(pk=first).update(state="done", outcome="ticketed")
    assert claim_elsewhere().id == second


def test_what_waits_for_a_retry_holds_its_conversation_and_no_other(channel, roomy):
    first, _ = kept(channel, 2, ordering_key="c1")
    (free,) = kept(channel, 1)
    RawEvent.objects.filter(pk=first).update(next_attempt_at=timezone.now() + timedelta(hours=1))
    with claimed(RAW_EVENTS) as claim:
        assert claim.id == free
        RawEvent.objects.filter(pk=free).update(state="done", outcome="receipt")
    with claimed(RAW_EVENTS) as claim:
        assert claim is None


def test_claim_cap_per_channel(settings):
    """A channel that hangs leaves workers for the others."""
    settings.CLAIMS_PER_CHANNEL = 1
    cast = assemble()
    kept(cast.sms, 3)
    with claimed(RAW_EVENTS) as hanging:
        assert hanging.id
        assert claim_elsewhere() is None
        (other,) = kept(cast.whatsapp, 1)
        assert claim_elsewhere().id == other


def test_the_cap_is_exact_when_many_claim_at_once(settings):
    settings.CLAIMS_PER_CHANNEL = 2
    cast = assemble()
    kept(cast.sms, 10)
    barrier, claims = threading.Barrier(6, timeout=20), []

    def work():
        try:
            connection.ensure_connection()
            barrier.wait()
            with claimed(RAW_EVENTS) as claim:
                claims.append(claim)
                barrier.wait()
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(claims) == 6
    assert sum(claim is not None for claim in claims) == 2


def test_a_channel_can_be_left_out(channel):
    kept(channel)
    with claimed(RAW_EVENTS, without_channels=[channel.pk]) as claim:
        assert claim is None


def test_a_claim_given_back_costs_no_attempt(channel):
    (pk,) = kept(channel)
    with claimed(RAW_EVENTS) as claim:
        assert queue.give_back(RAW_EVENTS, claim)
    row = RawEvent.objects.get(pk=pk)
    assert (row.state, row.attempts, row.lease_owner) == ("new", 0, None)
    with claimed(RAW_EVENTS) as claim:
        assert queue.give_back(RAW_EVENTS, claim, attempt=True, after=60, error="no")
    row = RawEvent.objects.get(pk=pk)
    assert (row.attempts, row.last_error) == (1, "no")
    assert row.next_attempt_at > timezone.now() + timedelta(seconds=50)


def test_fencing_after_sigstop(channel):
    """A worker that slept through its lease writes nothing any more; whoever took over is not disturbed."""
    (pk,) = kept(channel)
    with claimed(RAW_EVENTS) as sleeper:
        RawEvent.objects.filter(pk=pk).update(lease_until=timezone.now() - timedelta(seconds=1))
        taker = claim_elsewhere()
        assert (taker.id, taker.attempts, taker.taken_over) == (pk, 2, True)
        assert not queue.renew(RAW_EVENTS, sleeper)
        assert not queue.give_back(RAW_EVENTS, sleeper)
        assert RawEvent.objects.get(pk=pk).lease_owner == taker.owner


def test_a_lease_is_renewed_by_its_owner(channel):
    (pk,) = kept(channel)
    with claimed(RAW_EVENTS) as claim:
        RawEvent.objects.filter(pk=pk).update(lease_until=timezone.now() + timedelta(seconds=1))
        assert queue.renew(RAW_EVENTS, claim)
        assert RawEvent.objects.get(pk=pk).lease_until > timezone.now() + timedelta(seconds=100)


def test_a_dead_connection_is_found_long_before_its_lease_ends(channel):
    (pk,) = kept(channel)
    connected = threading.Event()
    die = threading.Event()

    def hold():
        with claimed(RAW_EVENTS):
            connected.set()
            die.wait(20)
            connection.connection.close()  # as a killed process leaves it
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert connected.wait(20)
    assert queue.reopen_abandoned(RAW_EVENTS) == 0  # alive, and its lease runs
    die.set()
    thread.join(20)
    # PostgreSQL lets go of its locks when it has seen the end of the connection.
    assert wait_until(lambda: queue.reopen_abandoned(RAW_EVENTS), what="the end of the connection") == 1
    taker = claim_elsewhere()
    assert (taker.id, taker.taken_over) == (pk, True)


def test_a_claim_of_nobody_is_reopened(channel):
    (pk,) = kept(channel)
    later = timezone.now() + timedelta(seconds=100)
    RawEvent.objects.filter(pk=pk).update(state="processing", lease_owner=uuid4(), lease_until=later, attempts=1)
    with claimed(RAW_EVENTS) as claim:
        assert claim is None
    assert queue.reopen_abandoned(RAW_EVENTS) == 1
    with claimed(RAW_EVENTS) as claim:
        assert (claim.id, claim.attempts, claim.taken_over) == (pk, 2, True)


def test_every_line_can_be_claimed_from():
    cast = assemble()
    make_channel("sms", brand=cast.brand, slug="second")
    for line in (queue.PARTS, queue.OUTBOX, queue.MEDIA):
        with claimed(line) as claim:
            assert claim is None
        assert queue.reopen_abandoned(line) == 0
    with claimed(queue.PARTS, kind="sms", without_channels=[1]) as claim:
        assert claim is None


# -- Order, by a machine --------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), st.sampled_from(["a", "b", "c", ""])),
        st.tuples(st.sampled_from(["claim", "finish", "fail", "die"]), st.integers(0, 3)),
    ),
    max_size=60,
)


@hypothesis.settings(
    max_examples=40, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(steps=STEPS)
def test_ordering_statemachine(roomy, transactional_db, steps):
    """Four workers that finish, fail and die in any order: a conversation is worked on by one, in its order."""
    RawEvent.objects.all().delete()
    line = Channel.objects.first() or assemble().sms
    workers: dict[int, queue.Claim] = {}
    finished: dict[str, list[int]] = {}
    keys: dict[int, str] = {}

    def end(claim, outcome="ticketed"):
        done = RawEvent.objects.filter(pk=claim.id, lease_owner=claim.owner, state="processing")
        if done.update(state="done", outcome=outcome, lease_owner=None, lease_until=None):
            finished.setdefault(keys[claim.id], []).append(claim.id)

    def claim(worker):
        with claimed(RAW_EVENTS) as mine:
            if mine:
                workers[worker] = mine
        return mine

    for step, argument in [*steps, *[("claim", 0), ("finish", 0)] * 70]:
        if step == "keep":
            (pk,) = kept(line, ordering_key=argument)
            keys[pk] = argument
        elif step == "claim" and argument not in workers:
            claim(argument)
        elif argument in workers and step != "claim":
            mine = workers.pop(argument)
            if step == "finish":
                end(mine)
            elif step == "fail":
                queue.give_back(RAW_EVENTS, mine, attempt=True)
            else:
                RawEvent.objects.filter(pk=mine.id).update(lease_until=timezone.now() - timedelta(seconds=1))
        held = [keys[mine.id] for mine in workers.values() if keys[mine.id]]
        assert len(held) == len(set(held)), "two workers in one conversation"
    for worker, mine in workers.items():
        assert worker
        end(mine)
    for key, ids in finished.items():
        if key:
            assert ids == sorted(ids)
        assert len(ids) == len(set(ids))


def test_a_claim_that_fails_leaves_no_lock_behind(channel, monkeypatch):
    monkeypatch.setattr(queue, "uuid4", lambda: UUID(int=7))
    with pytest.raises(ProgrammingError), claimed(RAW_EVENTS, without_channels=["no number"]):
        pass
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        assert cursor.fetchone()[0] == 0


def scans_of_claim(line, **filters):
    """Name of a table in the claim -> how the planner reads it. Something must be due."""
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {line.table}")
        with CaptureQueriesContext(connection) as queries, claimed(line, **filters) as claim:
            assert claim is not None
        (take,) = (query["sql"] for query in queries if "SKIP LOCKED" in query["sql"])
        look = take[take.index("SELECT e.id, e.lease_owner") : take.index("SKIP LOCKED") + len("SKIP LOCKED")]
        cursor.execute(f"EXPLAIN {look}")
        plan = [step for (step,) in cursor.fetchall() if "Scan" in step]
    return {step.partition(f" on {line.table} ")[2][:1]: step for step in plan}


def test_a_claim_reads_the_line_and_not_all_that_was_ever_finished(channel):
    """With a backlog, when it matters, the planner takes the primary key unless the line has an index in its own order."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO channels_in_rawevent (channel_id, dedupe_key, ordering_key, raw_sha256, body_sha256, headers, raw,"
            " auth_result, last_error, outcome_reason, flagged, attempts, state, outcome, next_attempt_at)"
            " SELECT %s, 'k' || n, 'o' || n %% 100, '', '', '{}', '', '', '', '', false, 0,"
            " CASE WHEN n <= 20000 THEN 'done' ELSE 'new' END, CASE WHEN n <= 20000 THEN 'ticketed' END,"
            " now() - interval '1 minute' FROM generate_series(1, 21000) n",
            [channel.pk],
        )
    used = scans_of_claim(RAW_EVENTS)
    assert "rawevent_line" in used["e"]
    assert "rawevent_in_order" in used["p"]  # an earlier one of the same conversation


def test_a_kind_of_work_walks_past_nothing_that_waits_for_the_others(now):
    """Ten thousand wait for a slow receiver, three thousand rules for tomorrow: a push and a due rule are found at once."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tickets_outbox (kind, shard_key, payload, state, attempts, next_attempt_at, last_error)"
            " SELECT CASE WHEN n <= 10000 THEN 'webhook' WHEN n <= 10005 THEN 'push' ELSE 'rules' END, 'x' || n % 7,"
            " '{\"event\": 0}', 'queued', 0, now() + CASE WHEN n <= 10010 THEN interval '-1 hour' ELSE interval '1 day' END,"
            " '' FROM generate_series(1, 13000) n"
        )
    assert "outbox_line_of_kind" in scans_of_claim(queue.OUTBOX, kind="push")["e"]
    done = []
    work = work_of(lambda: done.append(triggers.drain(now=now, seconds=20)))
    assert done == [5] and work.rows < 100
    assert work_of(Outbox.objects.filter(state="queued").count).rows > 10_000  # what does walk is seen
