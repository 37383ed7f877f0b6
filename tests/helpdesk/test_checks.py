from collections import defaultdict
from collections.abc import Iterable

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from helpdesk import checks


def ids(settings, **changes):
    for name, value in changes.items():
        setattr(settings, name, value)
    return [message.id for message in checks.safe_start(None)]


PUBLIC = {
    "SITE_URL": "https://help.example.com",
    "ON_LOOPBACK": False,
    "HTTPS": True,
    "DEMO": False,
    "SAFE_FETCH_ALLOW": [],
    "ALLOWED_HOSTS": ["help.example.com"],
}


def test_a_sound_public_site_may_start(settings):
    assert ids(settings, **PUBLIC) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"DEBUG": True}, "helpdesk.E001"),
        ({"SECRET_KEY": "short"}, "helpdesk.E002"),
        ({"SECRET_KEY": "django-insecure-" + "abcdefghij" * 5}, "helpdesk.E002"),
        ({"SECRET_KEY": "a" * 60}, "helpdesk.E002"),
        ({"ALLOWED_HOSTS": ["*"]}, "helpdesk.E003"),
        ({"HTTPS": False, "SITE_URL": "http://help.example.com"}, "helpdesk.E004"),
        ({"SAFE_FETCH_ALLOW": ["127.0.0.1:9000"]}, "helpdesk.E005"),
        ({"DEMO": True}, "helpdesk.E006"),
        ({"MEDIA_ROOT": "/srv/static/files", "STATIC_ROOT": "/srv/static"}, "helpdesk.E007"),
        ({"REDIS_URL": "redis://redis.example.com:6379/0"}, "helpdesk.E013"),
    ],
)
def test_each_unsafe_setting_refuses_the_start(settings, change, expected):
    assert ids(settings, **{**PUBLIC, **change}) == [expected]


def test_a_database_elsewhere_needs_a_password(settings, monkeypatch):
    monkeypatch.setitem(settings.DATABASES["default"], "HOST", "db.example.com")
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", "")
    assert ids(settings, **PUBLIC) == ["helpdesk.E008"]
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", "given")
    assert ids(settings, **PUBLIC) == []


def test_http_in_a_closed_network_may_be_allowed_explicitly(settings):
    change = {"HTTPS": False, "SITE_URL": "http://desk.lan", "INSECURE_HTTP": True}
    assert ids(settings, **{**PUBLIC, **change}) == []


def test_every_finding_has_a_hint(settings):
    for name, value in {**PUBLIC, "DEBUG": True, "SECRET_KEY": "short", "DEMO": True, "ALLOWED_HOSTS": ["*"]}.items():
        setattr(settings, name, value)
    found = checks.safe_start(None)
    assert len(found) == 4
    assert all(message.hint for message in found)


class WholeAdapter:
    kind = "sms"
    label = icon = capabilities = "something"

    def verify(self): ...

    handshake = items = normalise = send = fetch_media = verify


class AdapterOfAnotherKind(WholeAdapter):
    kind = "fax"


class AdapterThatCannotSend(WholeAdapter):
    send = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{__name__}.WholeAdapter", []),
        (f"{__name__}.AdapterOfAnotherKind", ["helpdesk.E011"]),
        (f"{__name__}.AdapterThatCannotSend", ["helpdesk.E011"]),
        ("channels_in.nowhere.adapter.Nothing", ["helpdesk.E010"]),
        (f"{__name__}.Missing", ["helpdesk.E010"]),
    ],
)
def test_adapters_are_verified(settings, path, expected):
    settings.CHANNEL_ADAPTERS = {"sms": path}
    assert [message.id for message in checks.channel_adapters(None)] == expected


@pytest.mark.django_db
def test_an_old_postgres_is_refused(monkeypatch):
    assert checks.postgres_version(None, databases=["default"]) == []
    monkeypatch.setattr(checks, "LOWEST_POSTGRES", 999999)
    assert [message.id for message in checks.postgres_version(None, databases=["default"])] == ["helpdesk.E009"]


def test_a_name_of_an_address_means_one_address() -> None:
    """Django takes the last of several: a link would lead elsewhere."""
    found = defaultdict(set)

    def walk(patterns: Iterable[URLPattern | URLResolver], before: str, space: str) -> None:
        for one in patterns:
            if isinstance(one, URLResolver):
                walk(one.url_patterns, before + str(one.pattern), f"{space}{one.namespace or ''}:")
            elif one.name:
                found[space.strip(":"), one.name].add(before + str(one.pattern))

    walk(get_resolver().url_patterns, "", "")
    assert len(found) > 200
    assert {name: sorted(places) for name, places in found.items() if len(places) > 1} == {}
