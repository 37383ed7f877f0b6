from typing import Any

from django.apps import AppConfig
from django.conf import settings


class TicketsConfig(AppConfig):
    name = "tickets"

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in, user_logged_out

        user_logged_out.connect(_close_sockets)
        user_logged_out.connect(_end_push)
        user_logged_in.connect(_end_push_of_others)


def _close_sockets(request: Any, **kwargs: Any) -> None:
    """Signing out closes the sockets of that session at once; the heartbeat would find them within 15 s."""
    from tickets import live

    session = getattr(request, "session", None)
    if session is not None and session.session_key:
        live.whisper("signed_out", {"session": live.mark_of_session(session.session_key)})


def _end_push(request: Any, **kwargs: Any) -> None:
    """Who signs out of a browser is not told of anything there any more."""
    from tickets import push

    if device := getattr(request, "COOKIES", {}).get(settings.DEVICE_COOKIE_NAME):
        push.forget(device)


def _end_push_of_others(request: Any, user: Any, **kwargs: Any) -> None:
    """A session that ended by itself leaves push on; whoever signs in next must not read a colleague's."""
    from tickets import push

    if device := getattr(request, "COOKIES", {}).get(settings.DEVICE_COOKIE_NAME):
        push.forget_others(user, device)
