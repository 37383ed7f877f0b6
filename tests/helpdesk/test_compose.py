"""docker-compose.yml could not be started where it was written; at least it says nothing that is not so."""

import re
import shlex

import pytest
import yaml
from django.core.management import get_commands
from django.utils.module_loading import import_string

from helpdesk.celery import queue_names
from helpdesk.environment import VARIABLES
from tests.conftest import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
OURS = {name: service for name, service in COMPOSE["services"].items() if service.get("build") == "."}


def test_all_processes_of_the_production_form_are_there():
    assert set(COMPOSE["services"]) == {
        *("postgres", "redis", "migrate", "web", "live", "worker", "beat", "parser", "imap", "proxy"),
    }


@pytest.mark.parametrize("name", OURS)
def test_each_variable_is_a_setting(name):
    assert set(OURS[name]["environment"]) <= set(VARIABLES)


def test_each_substituted_variable_stands_in_the_example_file():
    example = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", TEXT)) <= example


# What the production form decides by itself, or what has no place in it.
DECIDED = {
    "CACHE_URL", "DATABASE_URL", "DATA_DIR", "DEBUG", "DEMO", "INSECURE_HTTP", "PARSER_SOCKET", "PORT", "PROCESS", "REDIS_URL",
    "SAFE_FETCH_ALLOW", "STATIC_ROOT", "STORAGE_URL", "TRUSTED_PROXIES",
}  # fmt: skip


def test_what_somebody_sets_reaches_the_processes():
    """`.env` is read by compose, not by the containers: a setting that is not handed on does nothing."""
    assert set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", TEXT)) & set(VARIABLES) == set(VARIABLES) - DECIDED


def test_what_must_be_set_is_said_where_one_reads_how_to_start():
    asked = set(re.findall(r"(?<!\$)\$\{([A-Z_]+):\?", TEXT))
    (sentence,) = re.findall(
        r"Copy `.env.example` to `.env`, set (.*?), then", (ROOT / "docs" / "running.md").read_text()
    )
    assert set(re.findall(r"`([A-Z_]+)`", sentence)) == asked


@pytest.mark.parametrize("name", OURS)
def test_each_command_exists(name):
    for part in re.split(r"&&", OURS[name]["command"].removeprefix('sh -c "').removesuffix('"')):
        words = shlex.split(part)
        if words[0] == "python":
            assert words[1] == "manage.py"
            assert words[2] in get_commands()
        elif words[0] == "celery":
            assert words[1:3] == ["-A", "helpdesk"] and words[3] in ("worker", "beat")
        else:
            assert words[0] in ("granian", "uvicorn")
            (target,) = [word for word in words if word.startswith("helpdesk.")]
            assert callable(import_string(target.replace(":", ".")))


def test_the_worker_listens_to_every_queue():
    words = shlex.split(OURS["worker"]["command"])
    assert words[words.index("-Q") + 1].split(",") == queue_names()


def test_the_parser_has_no_network_and_no_secret_of_ours():
    parser = OURS["parser"]
    assert parser["network_mode"] == "none"
    assert not {"DATABASE_URL", "REDIS_URL", "ENCRYPTION_KEYS", "EMAIL_URL"} & set(parser["environment"])
    assert "${" not in parser["environment"]["SECRET_KEY"]


def test_each_named_volume_is_declared():
    used = set()
    for service in COMPOSE["services"].values():
        used |= {volume.partition(":")[0] for volume in service.get("volumes", ()) if volume[0] not in "./"}
    assert used == set(COMPOSE["volumes"])


def test_the_proxy_reaches_the_processes_by_their_names():
    targets = set(re.findall(r"(\w+):8000", (ROOT / "Caddyfile").read_text()))
    assert targets == {"web", "live"}


def test_the_proxy_answers_for_each_host_that_has_a_certificate():
    hosts = re.findall(r"\{\$([A-Z_]+)\}", (ROOT / "Caddyfile").read_text())
    assert set(hosts) == set(COMPOSE["services"]["proxy"]["environment"]) == {"SITE_HOST", "FILES_HOST"}


def test_the_image_does_not_carry_what_is_private():
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".env", ".data", ".git"} <= set(ignored)
