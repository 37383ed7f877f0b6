from typing import Any

from django.apps import AppConfig


class TicketsConfig(AppConfig):
    name = "tickets"

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_out

        user_logged_out.connect(_close_sockets)


def _close_sockets(request: Any, **kwargs: Any) -> None:
    """Signing out closes the sockets of that session at once; the heartbeat would find them within 15 s."""
    from tickets import live

    session = getattr(request, "session", None)
    if session is not None and session.session_key:
        live.whisper("signed_out", {"session": live.mark_of_session(session.session_key)})
