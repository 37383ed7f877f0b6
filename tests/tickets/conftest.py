from datetime import UTC, datetime

import pytest


@pytest.fixture
def now():
    return datetime.now(UTC)


@pytest.fixture
def scripted(settings, tmp_path, monkeypatch):
    """The kinds of `tests.scripted` are registered, and remember in a folder of this test."""
    from tests import scripted

    monkeypatch.setenv(scripted.FOLDER, str(tmp_path))
    settings.CHANNEL_ADAPTERS = {**settings.CHANNEL_ADAPTERS, **scripted.ADAPTERS}
    return scripted
