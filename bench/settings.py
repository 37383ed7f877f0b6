"""The product's own settings, with one trivial page beside it to measure against."""

from helpdesk.settings import *  # noqa: F403

ROOT_URLCONF = "bench.urls"
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
