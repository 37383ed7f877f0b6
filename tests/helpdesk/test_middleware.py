import json
import time

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpResponse
from django.test import RequestFactory

from helpdesk.middleware import RequestIdMiddleware, SessionLifeMiddleware, TrustedProxyMiddleware


def passed(middleware, **meta):
    """The request as the view sees it, and the answer."""
    seen = []
    request = RequestFactory().get("/", **meta)
    answer = middleware(lambda request: seen.append(request) or HttpResponse())(request)
    return seen[0], answer


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-123.DEF_45", True), ("short", False), ("a b\r\nSet-Cookie: x", False)]
)
def test_a_harmless_request_id_is_kept_and_any_other_replaced(given, kept):
    request, answer = passed(RequestIdMiddleware, HTTP_X_REQUEST_ID=given)
    assert (request.id == given) is kept
    assert answer["X-Request-ID"] == request.id


FORGED = {"HTTP_X_FORWARDED_FOR": "203.0.113.9, 198.51.100.7", "HTTP_X_FORWARDED_PROTO": "https"}


def test_a_stranger_cannot_say_who_he_is(settings):
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    request, _ = passed(TrustedProxyMiddleware, REMOTE_ADDR="192.0.2.1", **FORGED)
    assert request.META["REMOTE_ADDR"] == "192.0.2.1"
    assert "HTTP_X_FORWARDED_PROTO" not in request.META


def test_a_trusted_proxy_names_the_client_that_it_saw(settings):
    settings.TRUSTED_PROXIES = ["10.0.0.0/8", "198.51.100.7"]
    request, _ = passed(TrustedProxyMiddleware, REMOTE_ADDR="10.1.2.3", **FORGED)
    assert request.META["REMOTE_ADDR"] == "203.0.113.9"
    assert request.META["HTTP_X_FORWARDED_PROTO"] == "https"


def test_an_unknown_host_is_told_which_setting_to_change(client, settings):
    answer = client.get("/", headers={"host": "elsewhere.example"})
    assert answer.status_code == 400
    assert settings.SITE_URL in answer.content.decode()


def session_after(*, began, renewed):
    session = SessionStore()
    session.update({"_auth_user_id": "1", "began_at": began, "renewed_at": renewed})
    session.create()
    request = RequestFactory().get("/")
    request.session = session
    request.COOKIES["sessionid"] = session.session_key
    SessionLifeMiddleware(lambda request: HttpResponse())(request)
    return request.session


@pytest.mark.django_db
def test_a_session_in_use_is_renewed_at_most_every_ten_minutes(settings):
    now = int(time.time())
    fresh = session_after(began=now - 1000, renewed=now - 60)
    assert not fresh.modified or fresh["renewed_at"] == now - 60
    used = session_after(began=now - 5000, renewed=now - 700)
    assert used["renewed_at"] >= now
    assert used.get_expiry_age() == settings.SESSION_COOKIE_AGE


@pytest.mark.django_db
def test_a_session_ends_a_week_after_the_sign_in_although_it_is_used(settings):
    now = int(time.time())
    old = session_after(began=now - settings.SESSION_ABSOLUTE_AGE, renewed=now - 60)
    assert "_auth_user_id" not in old
    ending = session_after(began=now - settings.SESSION_ABSOLUTE_AGE + 100, renewed=now - 700)
    assert ending.get_expiry_age() <= 100


@pytest.mark.csp_report
def test_a_report_of_the_browser_reaches_the_log(client, caplog):
    report = {"csp-report": {"blocked-uri": "inline", "violated-directive": "script-src", "script-sample": "private"}}
    answer = client.post("/csp-report/", json.dumps(report), content_type="application/csp-report")
    assert answer.status_code == 204
    assert "blocked-uri" in caplog.text and "private" not in caplog.text
    assert client.post("/csp-report/", b"[]", content_type="application/csp-report").status_code == 400
    assert client.post("/csp-report/", b"x" * 20_000, content_type="application/csp-report").status_code == 413
