"""The reply path in a process of its own, so that it can die at a named point: `python -m tests.durability.reply_flow`."""

import os
import sys
from datetime import UTC, datetime
from uuid import UUID


def main(act: str, *arguments: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django
    from django.conf import settings

    django.setup()

    from agents.models import Agent
    from tests.scripted import ADAPTERS
    from tickets import delivery, notification_mail, notifying, outbox, push, replies
    from tickets.models import Route

    settings.CHANNEL_ADAPTERS = {**settings.CHANNEL_ADAPTERS, **ADAPTERS}
    settings.SAFE_FETCH_ALLOW = os.environ.get("SCRIPTED_ALLOW", "").split()
    now = datetime.now(UTC)
    if act == "post":
        route = Route.objects.select_related("ticket").get()
        replies.post(
            route.ticket,
            agent=Agent.objects.get(name="Mina"),
            text="It arrives tomorrow.",
            route=route,
            client_uuid=UUID(arguments[0]),
            seen_message_id=None,
            now=now,
        )
    elif act == "release":
        replies.release_due(now=now)
    elif act == "deliver":
        delivery.deliver()
    elif act == "outbox":
        outbox.drain()
    elif act == "notify":
        notifying.drain()
    elif act == "notification_mail":
        settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
        settings.EMAIL_FILE_PATH = os.environ["MAILS"]
        notification_mail.drain()
    elif act == "push":
        push.drain()


if __name__ == "__main__":
    main(*sys.argv[1:])
