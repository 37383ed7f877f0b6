import io
import json
import logging

import pytest

from helpdesk.logs import JsonFormatter, RequestIdFilter, SecretsFilter, request_id


@pytest.fixture
def log():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(RequestIdFilter())
    handler.addFilter(SecretsFilter())
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("test of the logs")
    logger.propagate = False
    logger.addHandler(handler)
    yield logger, lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    logger.removeHandler(handler)


def test_a_line_is_json_with_the_id_of_its_request(log):
    logger, lines = log
    token = request_id.set("abc12345")
    logger.warning("ticket %s", 7, extra={"ticket": 7})
    request_id.reset(token)
    (line,) = lines()
    assert (line["level"], line["message"], line["request_id"], line["ticket"]) == (
        "WARNING",
        "ticket 7",
        "abc12345",
        7,
    )
    assert "at" in line


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cr3tvalue",
        "password=s3cr3tvalue next",
        '{"access_token": "s3cr3tvalue"}',
        "GET /x?api_key=s3cr3tvalue&y=1",
        "postgres://helpdesk:s3cr3tvalue@db/helpdesk",
        "sent with bearer s3cr3tvalue",
        "sessionid=s3cr3tvalue;",
    ],
)
def test_credentials_are_masked(log, text):
    logger, lines = log
    logger.warning("%s", text)
    (line,) = lines()
    assert "s3cr3tvalue" not in json.dumps(line)
    assert "***" in line["message"]


def test_credentials_are_masked_in_tracebacks_and_extras(log):
    logger, lines = log
    try:
        raise ValueError("token=s3cr3tvalue")
    except ValueError:
        logger.exception("failed", extra={"auth_token": "s3cr3tvalue"})
    (line,) = lines()
    assert "s3cr3tvalue" not in json.dumps(line)
    assert "ValueError" in line["exc_info"]


def test_ordinary_words_stay(log):
    logger, lines = log
    logger.warning("the customer forgot the password and wrote to help@example.com")
    assert lines()[0]["message"] == "the customer forgot the password and wrote to help@example.com"
