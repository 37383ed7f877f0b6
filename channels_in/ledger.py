"""The ledger of what was accepted (reliability.md 1, P2), and what is swept with it: uploads and files of nobody.

accepted = ticketed + receipt + applied + duplicate + suppressed + quarantined + in progress, at every instant.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Subquery
from django.db.models.functions import TruncDate

from channels_in.models import IntakeDay, RawEvent, VisitorSession
from tickets import files
from tickets.models import Attachment, Draft, MacroFile, Message, Opening

log = logging.getLogger(__name__)

UNCLAIMED = timedelta(hours=24)  # an upload that no message took, a file that no row names
_UNFINISHED = (RawEvent.State.NEW, RawEvent.State.PROCESSING, RawEvent.State.QUARANTINED)


@dataclass(frozen=True)
class Ledger:
    """Counts over all kept items. `without_message`: ticketed items that lack theirs. `without_item`: the reverse."""

    accepted: int
    outcomes: dict[str, int]
    in_progress: int
    without_message: list[int] = field(default_factory=list)
    without_item: list[int] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        total = sum(self.outcomes.values()) + self.in_progress
        return self.accepted == total and not self.without_message and not self.without_item


def ledger() -> Ledger:
    """The equation, with samples of up to 20 ids where it is off. Each of its queries is one snapshot."""
    with transaction.atomic():
        rows = RawEvent.objects.order_by().values_list("outcome").annotate(n=Count("id"))
        counts = Counter({outcome or "": n for outcome, n in rows})
        messages = Message.objects.filter(raw_event_id=OuterRef("pk"))
        missing = RawEvent.objects.filter(outcome=RawEvent.Outcome.TICKETED, stripped_at__isnull=True)
        orphans = Message.objects.filter(raw_event_id__isnull=False)
        items = RawEvent.objects.filter(pk=OuterRef("raw_event_id"))
        return Ledger(
            accepted=sum(counts.values()),
            outcomes={key: n for key, n in counts.items() if key},
            in_progress=counts[""],
            without_message=list(missing.filter(~Exists(messages)).values_list("pk", flat=True)[:20]),
            without_item=list(orphans.filter(~Exists(items)).values_list("pk", flat=True)[:20]),
        )


def check() -> bool:
    """Sweep: alert when the equation is off. Returns whether it holds."""
    found = ledger()
    if not found.holds:
        log.error(
            "the ledger is off: %s ticketed items without a message, messages without an item: %s",
            found.without_message,
            found.without_item,
        )
    return found.holds


def roll_up(*, now: datetime, days: int = 3) -> int:
    """Sweep: write the finished days (UTC) that lie up to `days` back, anew each time. Returns the rows written."""
    today = now.astimezone(UTC).date()
    return sum(roll_up_day(today - timedelta(days=back)) for back in range(1, days + 1))


@transaction.atomic
def roll_up_day(day: date) -> int:
    """One day's counts by channel and outcome. A replay changes its day: it is rolled up again."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    counts = (
        RawEvent.objects.filter(received_at__gte=start, received_at__lt=start + timedelta(days=1))
        .filter(outcome__isnull=False)
        .annotate(day=TruncDate("received_at", tzinfo=UTC))
        .order_by()
        .values_list("channel_id", "outcome")
        .annotate(n=Count("id"))
    )
    rows = [IntakeDay(day=day, channel_id=channel, outcome=outcome, n=n) for channel, outcome, n in counts]
    IntakeDay.objects.filter(day=day).delete()
    IntakeDay.objects.bulk_create(rows)
    return len(rows)


def drop_unclaimed_uploads(*, now: datetime, limit: int = 500) -> int:
    """Sweep: uploads that neither a message nor a draft took within 24 h. Their bytes go with the orphans.

    What a visitor has sent already, in an item that waits to be processed or to be replayed, is kept for it.
    """
    waiting = Attachment.objects.filter(message__isnull=True, created_at__lt=now - UNCLAIMED).order_by("created_at")
    dropped = 0
    unfinished = set(
        RawEvent.objects.exclude(ordering_key="").filter(state__in=_UNFINISHED).values_list("ordering_key", flat=True)
    )
    sessions = VisitorSession.objects.filter(pk=OuterRef("visitor_session_id")).values("uuid")[:1]
    rows = waiting.annotate(session=Subquery(sessions)).values_list("pk", "session")
    for pk, session in list(rows[:limit]):
        if session is not None and session.hex in unfinished:
            continue
        kept = Draft.objects.filter(attachment_ids__contains=[pk]).exists()
        if not kept and not Opening.objects.filter(attachment_ids__contains=[pk]).exists():
            dropped += Attachment.objects.filter(pk=pk, message__isnull=True).delete()[0]
    return dropped


def drop_orphan_files(*, now: datetime, limit: int = 500) -> int:
    """Sweep: stored bytes older than 24 h that no row names. A crash between storing and committing leaves them."""
    oldest = (now - UNCLAIMED).timestamp()
    dropped = 0
    for path in _old_files(Path(settings.MEDIA_ROOT), before=oldest):
        named = (
            Attachment.objects.filter(sha256=path.name).exists()
            or MacroFile.objects.filter(sha256=path.name).exists()
            or RawEvent.objects.filter(raw_path=path.name).exists()
        )
        # Its time is looked at once more: the same bytes may have been stored again meanwhile.
        if not named and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
            dropped += 1
        if dropped >= limit:
            break
    return dropped


def _old_files(root: Path, *, before: float) -> Iterator[Path]:
    for folder in [root / "incoming", *root.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]")]:
        if folder.is_dir():
            for path in folder.iterdir():
                known = path.parent.name == "incoming" or path == files.path_of(path.name)
                if known and path.is_file() and path.stat().st_mtime < before:
                    yield path
