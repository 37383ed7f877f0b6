import pytest
from django.db import OperationalError

from helpdesk import health, heartbeat


def test_a_probe_is_answered_under_any_host(client):
    answer = client.get("/healthz", headers={"host": "10.0.0.7"})
    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_ready_when_everything_works(client):
    heartbeat.beat()
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "degraded": False,
        "database": "ok",
        "migrations": "ok",
        "disk": "ok",
        "redis": "ok",
        "worker": "ok",
    }


@pytest.mark.django_db
def test_a_silent_worker_degrades_but_does_not_take_the_site_away(client):
    heartbeat.beat(now=1_000.0)
    report = client.get("/readyz").json()
    assert (report["ready"], report["degraded"], report["worker"]) == (True, True, "silent")


@pytest.mark.django_db
def test_redis_away_degrades_and_answers_200(client, settings):
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["redis"] == "away"


@pytest.mark.django_db
def test_a_database_that_cannot_be_written_answers_503(client, monkeypatch):
    class Broken:
        def cursor(self):
            raise OperationalError("gone")

    monkeypatch.setattr(health, "connection", Broken())
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] == "cannot be written"
