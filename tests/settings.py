"""The settings of the test run: a private PostgreSQL and Valkey in a temporary folder, and nothing slow.

The folder is chosen here, before Django reads anything; tests/conftest.py starts the servers in it. Processes that a
test starts inherit the environment and so find the same servers.
"""

import os
import socket
import tempfile
from pathlib import Path

from helpdesk.embedded import postgres_url, valkey_url

FOLDER = "HELPDESK_TEST_FOLDER"  # set once by the first process of a run
_worker = os.environ.get("PYTEST_XDIST_WORKER", "")
_first = FOLDER not in os.environ
if _first:
    os.environ[FOLDER] = tempfile.mkdtemp(prefix="hd-")
TEST_FOLDER = Path(os.environ[FOLDER])

LIVE_SOCKET = None  # bound, so that the address of the live server is known to the settings
if _first or (_worker and os.environ.get("HELPDESK_TEST_WORKER") != _worker):
    os.environ["HELPDESK_TEST_WORKER"] = _worker
    LIVE_SOCKET = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    LIVE_SOCKET.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    LIVE_SOCKET.bind(("127.0.0.1", 0))
    # What the developer's shell has set must not reach the tests.
    from helpdesk.environment import VARIABLES

    for _name in VARIABLES:
        os.environ.pop(_name, None)
        os.environ.pop(f"{_name}_FILE", None)
    _data = TEST_FOLDER / (_worker or "main")
    os.environ.update(
        DATA_DIR=str(_data),
        STATIC_ROOT=str(TEST_FOLDER / "static"),
        DATABASE_URL=postgres_url(TEST_FOLDER),
        REDIS_URL=valkey_url(_data),
        PORT=str(LIVE_SOCKET.getsockname()[1]),
        SECRET_KEY="the tests' own key, long enough for every check of its length",
        EMAIL_URL="memory://",
        DEMO="1",
        LOG_LEVEL="WARNING",
    )

from helpdesk.settings import *  # noqa: E402, F403
from helpdesk.settings import DATABASES, STORAGES  # noqa: E402

DATABASES["default"].pop("CONN_HEALTH_CHECKS", None)
DATABASES["default"]["CONN_MAX_AGE"] = 0
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True

CRASH_AT = ""  # where tickets.crash lets a process die: see tests/durability/deaths.py
