"""What is read from the environment is documented, and what follows from SITE_URL follows."""

import json
import os
import re
import subprocess
import sys

import pytest

from helpdesk import environment
from helpdesk.environment import VARIABLES, SettingError, cache_url, celery_url, email_settings
from tests.conftest import ROOT

OF_COMPOSE = {"SITE_HOST", "FILES_HOST", "POSTGRES_PASSWORD", "REDIS_PASSWORD"}


def used_in_settings():
    source = (ROOT / "helpdesk" / "settings.py").read_text()
    return set(re.findall(r"\benv(?:_\w+)?\(\"([A-Z_]+)\"", source))


def test_every_declared_setting_is_read_and_every_read_one_is_declared():
    assert used_in_settings() == set(VARIABLES)


def test_every_setting_stands_in_the_example_file():
    names = re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert set(names) == set(VARIABLES) | OF_COMPOSE
    assert len(names) == len(set(names))


def test_every_setting_is_explained_in_running_md():
    rows = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs" / "running.md").read_text(), re.MULTILINE)
    assert set(rows) == set(VARIABLES)


def settings_with(tmp_path, *names, **env):
    """The values of some settings in a fresh process that has only `env` set."""
    program = (
        "import json, sys; from helpdesk import settings;"
        "print(json.dumps({n: getattr(settings, n) for n in sys.argv[1:]}, default=str))"
    )
    clean = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), **env}
    done = subprocess.run(
        [sys.executable, "-c", program, *names], cwd=ROOT, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_https_address_gives_secure_cookies_and_exact_origins(tmp_path):
    found = settings_with(
        tmp_path,
        *("SESSION_COOKIE_NAME", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT"),
        *("SECURE_HSTS_SECONDS", "CSRF_TRUSTED_ORIGINS", "SITE_ORIGINS", "ALLOWED_HOSTS", "SECURE_PROXY_SSL_HEADER"),
        SITE_URL="https://help.example.com/",
    )
    assert found["SESSION_COOKIE_NAME"] == "__Host-sessionid"
    assert found["SESSION_COOKIE_SECURE"] and found["CSRF_COOKIE_SECURE"] and found["SECURE_SSL_REDIRECT"]
    assert found["SECURE_HSTS_SECONDS"] == 31536000
    assert found["CSRF_TRUSTED_ORIGINS"] == found["SITE_ORIGINS"] == ["https://help.example.com"]
    assert found["ALLOWED_HOSTS"] == ["help.example.com"]
    assert found["SECURE_PROXY_SSL_HEADER"] is None, "nobody's word counts before TRUSTED_PROXIES names someone"


def test_with_nothing_set_it_works_on_this_machine_without_https(tmp_path):
    found = settings_with(tmp_path, "SITE_URL", "SESSION_COOKIE_SECURE", "SESSION_COOKIE_NAME", "DEMO", "REDIS_URL")
    assert found == {
        "SITE_URL": "http://localhost:8000",
        "SESSION_COOKIE_SECURE": False,
        "SESSION_COOKIE_NAME": "sessionid",
        "DEMO": False,
        "REDIS_URL": f"unix://{tmp_path}/run/valkey.sock",
    }


def test_a_host_for_the_files_is_a_host_of_ours_and_nothing_but_its_path(tmp_path):
    own = {"SITE_URL": "https://help.example.com", "SECRET_KEY": "s" * 50}
    elsewhere = {**own, "FILES_BASE_URL": "https://files.example.com/files/"}
    values = settings_with(tmp_path, "FILES_HOST", "ALLOWED_HOSTS", "FILES_BASE_URL", **elsewhere)
    assert values["FILES_HOST"] == "files.example.com"
    assert values["ALLOWED_HOSTS"] == ["help.example.com", "files.example.com"]
    assert values["FILES_BASE_URL"] == "https://files.example.com/files"
    assert settings_with(tmp_path, "FILES_HOST", **own) == {"FILES_HOST": ""}
    with pytest.raises(AssertionError, match="FILES_BASE_URL must look like"):
        settings_with(tmp_path, "FILES_HOST", **own, FILES_BASE_URL="https://files.example.com")


def test_the_generated_key_is_kept_for_its_owner_alone(tmp_path):
    first = settings_with(tmp_path, "SECRET_KEY")
    assert len(first["SECRET_KEY"]) >= 50
    assert settings_with(tmp_path, "SECRET_KEY") == first
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_a_secret_may_be_given_as_a_file(tmp_path):
    (tmp_path / "key").write_text("a key from a mounted secret, long enough\n")
    found = settings_with(tmp_path, "SECRET_KEY", SECRET_KEY_FILE=str(tmp_path / "key"))
    assert found["SECRET_KEY"] == "a key from a mounted secret, long enough"


def test_time_outs_belong_to_the_processes_that_serve_and_not_to_commands(tmp_path):
    serving = settings_with(tmp_path, "DATABASES", PROCESS="worker")["DATABASES"]["default"]["OPTIONS"]
    assert "transaction_timeout=30s" in serving["options"]
    assert "options" not in settings_with(tmp_path, "DATABASES")["DATABASES"]["default"]["OPTIONS"]


def test_an_undeclared_variable_cannot_be_read():
    with pytest.raises(KeyError):
        environment.env("NOT_DECLARED")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://u%40x:p%2Fw@mail.example.com", ("mail.example.com", 587, "u@x", "p/w", True, False)),
        ("smtps://u:p@mail.example.com", ("mail.example.com", 465, "u", "p", False, True)),
        ("smtp://localhost:1025", ("localhost", 1025, "", "", False, False)),
        ("smtp://mail.example.com:25?tls=0", ("mail.example.com", 25, "", "", False, False)),
    ],
)
def test_email_addresses_of_servers(url, expected):
    names = ("HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_TLS", "USE_SSL")
    assert tuple(email_settings(url)[f"EMAIL_{name}"] for name in names) == expected


@pytest.mark.parametrize("url", ["mail.example.com", "smtp://", "imap://mail.example.com"])
def test_an_unreadable_email_url_says_what_it_must_look_like(url):
    with pytest.raises(SettingError, match="EMAIL_URL"):
        email_settings(url)


@pytest.mark.parametrize(
    ("url", "broker", "cache"),
    [
        ("unix:///a/b.sock", "redis+socket:///a/b.sock?virtual_host=0", "unix:///a/b.sock?db=1"),
        ("redis://:pw@host:6379/0", "redis://:pw@host:6379/0", "redis://:pw@host:6379/1"),
    ],
)
def test_the_cache_is_apart_from_the_wake_ups(url, broker, cache):
    assert celery_url(url) == broker
    assert cache_url(url) == cache
