"""Documents that state values are compared with the code: every kind, setting, event and task is written down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

from helpdesk.celery import app, beat
from helpdesk.environment import VARIABLES
from tickets.timeline import KINDS, SENTENCES

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
OUTSIDE = re.compile(r"^(?:https?:|mailto:|#)")


def rows(heading: str) -> set[str]:
    """The first column of the table under a heading of the reference."""
    section = REFERENCE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


def own_tasks() -> set[str]:
    app.loader.import_default_modules()
    return {name for name in app.tasks if not name.startswith("celery.")}


def test_every_channel_kind_is_documented_and_none_besides() -> None:
    assert rows("Channel kinds") == set(settings.CHANNEL_ADAPTERS)
    for kind in settings.CHANNEL_ADAPTERS:
        assert (ROOT / "docs" / "channels" / f"{kind}.md").stat().st_size > 500, kind


def test_every_setting_is_documented_and_none_besides() -> None:
    running = (ROOT / "docs" / "running.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", running, re.MULTILINE))
    assert documented == set(VARIABLES)
    example = (ROOT / ".env.example").read_text()
    assert {name for name in VARIABLES if name not in example} <= {"PROCESS"}


def test_every_event_kind_is_documented_and_has_a_sentence_where_it_is_shown() -> None:
    assert rows("Event kinds") == set(KINDS)
    assert {kind for kind, facts in KINDS.items() if facts.shown} == set(SENTENCES)


def test_every_task_is_documented_and_every_entry_of_beat_is_a_task() -> None:
    assert rows("Tasks") == own_tasks()
    assert {entry["task"] for entry in beat().values()} <= own_tasks()


@pytest.mark.parametrize("document", sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")))
def test_the_links_of_a_document_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if not OUTSIDE.match(target):
            assert (path.parent / target.partition("#")[0]).exists(), target
