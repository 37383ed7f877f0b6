"""All settings. What differs between machines comes from the environment; docs/running.md explains each variable."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from csp.constants import NONCE, NONE, SELF, STRICT_DYNAMIC
from django.utils.translation import gettext_lazy as _

from helpdesk.embedded import postgres_url, valkey_url
from helpdesk.environment import (
    SettingError,
    cache_url,
    celery_url,
    email_settings,
    env,
    env_bool,
    env_count,
    env_days,
    env_list,
    env_minutes,
    env_p256_key,
    env_port,
    is_loopback,
    kept_secret_key,
    origin,
)

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env("DATA_DIR", str(BASE_DIR / ".data"))).absolute()

# -- Address: everything about hosts, cookies and origins follows from SITE_URL ----------------------------------------

PORT = env_port("PORT", default=8000)
SITE_URL = env("SITE_URL", f"http://localhost:{PORT}").rstrip("/")
_site = urlsplit(SITE_URL)
if _site.scheme not in ("http", "https") or not _site.hostname:
    raise SettingError(f"SITE_URL must look like https://help.example.com, not {SITE_URL!r}.")
ON_LOOPBACK = is_loopback(SITE_URL)
HTTPS = _site.scheme == "https"
INSECURE_HTTP = env_bool("INSECURE_HTTP")  # the explicit override for http on a host that is not this machine

# Attachments come from their own host where possible; without one, from a path.
FILES_BASE_URL = env("FILES_BASE_URL", f"{SITE_URL}/files").rstrip("/")
_files = urlsplit(FILES_BASE_URL)
if _files.scheme not in ("http", "https") or not _files.hostname or _files.path != "/files":
    raise SettingError(f"FILES_BASE_URL must look like https://files.example.com/files, not {FILES_BASE_URL!r}.")
FILES_HOST = "" if _files.hostname == _site.hostname else _files.hostname  # it serves files, and no page

ALLOWED_HOSTS = [
    *(("localhost", "127.0.0.1", "[::1]") if ON_LOOPBACK else (_site.hostname,)),
    *filter(None, [FILES_HOST]),
    *env_list("ALLOWED_HOSTS"),
]
SITE_ORIGINS = [origin(SITE_URL), *(f"http://{host}:{PORT}" for host in ("localhost", "127.0.0.1") if ON_LOOPBACK)]
CSRF_TRUSTED_ORIGINS = [origin(SITE_URL)]
TRUSTED_PROXIES = env_list("TRUSTED_PROXIES")  # addresses or networks whose X-Forwarded-* headers count

DEBUG = env_bool("DEBUG")
DEMO = env_bool("DEMO")
# host:port pairs that the outgoing HTTP client may reach although they are not public: the simulated providers.
SAFE_FETCH_ALLOW = env_list("SAFE_FETCH_ALLOW") or (
    [f"{host}:{PORT}" for host in ("localhost", "127.0.0.1")] if DEMO and ON_LOOPBACK else []
)

# -- Secrets -----------------------------------------------------------------------------------------------------------

SECRET_KEY = env("SECRET_KEY") or kept_secret_key(DATA_DIR / "secret_key")
SECRET_KEY_FALLBACKS: list[str] = []
ENCRYPTION_KEYS = env_list("ENCRYPTION_KEYS")  # newest first; empty: SECRET_KEY encrypts the channels' secrets
VAPID_PRIVATE_KEY = env_p256_key("VAPID_PRIVATE_KEY")  # by which push services know us; empty: one of our own
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# -- Apps --------------------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "helpdesk",
    "agents",
    "tickets",
    "channels_in",
    "analytics",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "channels",
    "csp",
    "django_htmx",
    "lucide",
    "rest_framework",
    "drf_spectacular",
]
MIDDLEWARE = [
    "helpdesk.middleware.RequestIdMiddleware",
    "helpdesk.health.HealthMiddleware",  # before anything that looks at the host: a probe asks by address
    "helpdesk.middleware.TrustedProxyMiddleware",
    "helpdesk.middleware.KnownHostMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "helpdesk.middleware.BrowserHeadersMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "helpdesk.middleware.SessionLifeMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "agents.middleware.AgentLocaleMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "helpdesk.urls"
ASGI_APPLICATION = "helpdesk.asgi.application"
WSGI_APPLICATION = "helpdesk.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "helpdesk.context.site",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Channel kind -> its adapter. A new channel is one folder under channels_in/ and one line here (helpdesk.E010 checks).
CHANNEL_ADAPTERS = {
    "email": "channels_in.email.adapter.EmailAdapter",
    "sms": "channels_in.sms.adapter.TwilioSms",
    "webchat": "channels_in.webchat.adapter.WebChat",
    "whatsapp": "channels_in.whatsapp.adapter.WhatsAppCloud",
}

# Who takes the answer to a survey that a channel shows: answer(token, *, score, comment, now) -> whether it counted.
SURVEY_ANSWER = "analytics.surveys.answer"

# -- Database ----------------------------------------------------------------------------------------------------------

# Which process this is: web, live, worker, beat, parser, imap; empty for a command typed by a person.
PROCESS = env("PROCESS")
_OPTIONS = {
    "application_name": f"helpdesk-{PROCESS or 'command'}",
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
# Time-outs belong to the processes that serve; a migration, an import or a backup may take longer.
if PROCESS:
    _OPTIONS["options"] = (
        "-c statement_timeout=30s -c lock_timeout=5s"
        " -c idle_in_transaction_session_timeout=30s -c transaction_timeout=30s"
    )
DATABASES: dict[str, Any] = {
    "default": {
        **dj_database_url.parse(
            env("DATABASE_URL", postgres_url(DATA_DIR)),
            # Over ASGI each request has its own thread, which would keep its connection for nobody.
            conn_max_age=60 if PROCESS in ("web", "worker") else 0,
            conn_health_checks=True,
        ),
        "ATOMIC_REQUESTS": False,
    }
}
DATABASES["default"].setdefault("OPTIONS", {}).update(_OPTIONS)

# -- Redis and Celery: wake-ups only, never the only copy of work --------------------------------------------------------

REDIS_URL = env("REDIS_URL", valkey_url(DATA_DIR))
CACHES = {
    "default": {
        "BACKEND": "helpdesk.cache.ForgivingRedisCache",
        "LOCATION": env("CACHE_URL", cache_url(REDIS_URL)),
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
    }
}
CELERY_BROKER_URL = celery_url(REDIS_URL)
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SOFT_TIME_LIMIT = 250  # 60 s of claims and the longest claim, an attempt to send (180 s)
CELERY_TASK_TIME_LIMIT = 280
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = False
# What is not named here goes to the default queue; deliveries name the queue of their channel kind when they are woken.
CELERY_TASK_ROUTES = {
    "channels_in.tasks.process": {"queue": "inbound"},
    "channels_in.tasks.fetch_mailbox": {"queue": "inbound"},
    "channels_in.tasks.poll_mailboxes": {"queue": "inbound"},
    "channels_in.tasks.fetch_media": {"queue": "slow"},
    "channels_in.tasks.fetch_templates": {"queue": "slow"},
    "channels_in.tasks.unclaimed_files": {"queue": "slow"},
    "tickets.tasks.deliver": {"queue": "slow"},
    "tickets.tasks.outbox": {"queue": "webhooks"},
    "tickets.tasks.notify": {"queue": "timers"},
    "tickets.tasks.mail_notifications": {"queue": "webhooks"},
    "tickets.tasks.push_notifications": {"queue": "webhooks"},
    "tickets.tasks.forget_notifications": {"queue": "slow"},
    "tickets.tasks.work_off_bulk": {"queue": "default"},
    "tickets.tasks.answer": {"queue": "default"},
    "tickets.tasks.try_rules": {"queue": "slow"},
    "tickets.tasks.run_rules": {"queue": "timers"},
    "tickets.tasks.forget_rule_runs": {"queue": "slow"},
    "tickets.tasks.try_staffing": {"queue": "slow"},
}
CELERY_TASK_PUBLISH_RETRY = False  # a request does not wait for Redis: the sweep finds what the wake-up lost
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 400_000  # KiB
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,  # longer than the hard time limit
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_keepalive": True,
    "socket_timeout": 10,
    "socket_connect_timeout": 2,
    "health_check_interval": 15,
}
CELERY_ENABLE_UTC = True

PARSER_SOCKET = env("PARSER_SOCKET", str(DATA_DIR / "parser.sock"))

# How much of one channel may be worked on at once: all slots of the workers but one, so that a channel that hangs
# leaves room for the others.
WORKER_SLOTS = env_count("WORKER_SLOTS", default=2)  # of all workers together
CLAIMS_PER_CHANNEL = max(1, WORKER_SLOTS - 1)

# -- People ------------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "agents.Agent"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "agents.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600  # seconds: secrets are shown and changed so long after a proof of who it is
ACCOUNT_RATE_LIMITS = {"login_failed": ""}  # allauth counts in the cache; `agents.limits` counts in PostgreSQL
MFA_FORMS = {"authenticate": "agents.accounts.CodeForm", "reauthenticate": "agents.accounts.CodeAgainForm"}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Helpdesk"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = ON_LOOPBACK

SESSION_ENGINE = "django.contrib.sessions.backends.db"  # a Redis outage signs nobody out
SESSION_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"
SESSION_COOKIE_AGE = 12 * 3600  # seconds, renewed by use ...
SESSION_ABSOLUTE_AGE = 7 * 86400  # ... but not beyond this after the sign-in
SESSION_COOKIE_NAME = "__Host-sessionid" if HTTPS else "sessionid"
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "__Host-csrftoken" if HTTPS else "csrftoken"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "helpdesk.views.csrf_failure"
DEVICE_COOKIE_NAME = "__Host-device" if HTTPS else "device"  # names a browser that shows notifications by push
LANGUAGE_COOKIE_NAME = "language"
LANGUAGE_COOKIE_SECURE = HTTPS
LANGUAGE_COOKIE_SAMESITE = "Lax"

# -- Browser -----------------------------------------------------------------------------------------------------------

SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
USE_X_FORWARDED_HOST = False
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

_sockets = [address.replace("http", "ws", 1) for address in SITE_ORIGINS]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [NONCE, STRICT_DYNAMIC],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:", origin(FILES_BASE_URL)],
        "connect-src": [SELF, *_sockets],
        "frame-src": [SELF, origin(FILES_BASE_URL)],
        "manifest-src": [SELF],
        "worker-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "report-uri": "/csp-report/",
    },
}

DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440  # bytes
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
FILE_UPLOAD_PERMISSIONS = 0o640
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o750

STATIC_URL = "/static/"
STATIC_ROOT = Path(env("STATIC_ROOT", str(DATA_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
# DEBUG serves the files as they lie in the tree; otherwise `collectstatic` gives each a hashed name.
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG
_storage = urlsplit(env("STORAGE_URL", (DATA_DIR / "files").as_uri()))
if _storage.scheme != "file" or not _storage.path:
    raise SettingError("STORAGE_URL must be file:///an/absolute/folder.")
MEDIA_ROOT = Path(_storage.path)
MEDIA_URL = ""
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": MEDIA_ROOT}},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "helpdesk.static.HashedModuleStorage"
    },
}

# -- Mail of the product itself (invitations, password resets); customers' mail goes through channels ---------------------

globals().update(email_settings(env("EMAIL_URL", (DATA_DIR / "mail").as_uri())))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env("DEFAULT_FROM_EMAIL", f"Helpdesk <helpdesk@{_site.hostname}>")

# -- Language and time ---------------------------------------------------------------------------------------------------

LANGUAGES = [("en", _("English")), ("ko", _("Korean"))]
LANGUAGE_CODE = env("LANGUAGE", "en")
if LANGUAGE_CODE not in dict(LANGUAGES):
    LANGUAGE_CODE = "en"  # LANGUAGE is also a POSIX variable with values such as "en_US:en"
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# -- Tickets -------------------------------------------------------------------------------------------------------------

CLOSE_AFTER_DAYS = env_days("CLOSE_AFTER_DAYS", default=7)  # from solved to closed
IDLE_MINUTES = env_minutes("IDLE_MINUTES", default=10)  # until who is online but does nothing is away; 0 = never

# -- REST ----------------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser", "rest_framework.parsers.MultiPartParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "tickets.api.errors.handle",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Helpdesk API",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {"SettableStatus": ["open", "pending", "on_hold", "solved"]},
}

# -- Logs ----------------------------------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "request_id": {"()": "helpdesk.logs.RequestIdFilter"},
        "no_secrets": {"()": "helpdesk.logs.SecretsFilter"},
    },
    "formatters": {
        "json": {"()": "helpdesk.logs.JsonFormatter"},
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["request_id", "no_secrets"],
            "formatter": "plain" if env("LOG_FORMAT", "json") == "plain" else "json",
        },
    },
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", "INFO").upper()},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": [], "level": "INFO", "propagate": True},
        "celery.app.trace": {"level": "WARNING"},  # a line for each drain says nothing
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
    },
}
# On one's own machine there is no https, so Django need not ask for it; helpdesk.E004 asks everywhere else.
_HTTPS_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016"]
SILENCED_SYSTEM_CHECKS = [] if HTTPS else _HTTPS_CHECKS
