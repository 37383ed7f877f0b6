from datetime import UTC, datetime, timedelta

import pytest


@pytest.fixture
def now():
    """A moment ago, so that what is due now is due within the transaction of the test as well."""
    return datetime.now(UTC) - timedelta(seconds=20)


@pytest.fixture
def scripted(settings, tmp_path, monkeypatch):
    """The kinds of `tests.scripted` are registered, and remember in a folder of this test."""
    from tests import scripted

    monkeypatch.setenv(scripted.FOLDER, str(tmp_path))
    settings.CHANNEL_ADAPTERS = {**settings.CHANNEL_ADAPTERS, **scripted.ADAPTERS}
    return scripted
