"""Websockets, and with `manage.py up` also the pages. In production this is the process `live`."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "helpdesk.settings")
os.environ.setdefault("PROCESS", "live")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import OriginValidator  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import path  # noqa: E402

from channels_in.webchat.consumers import websocket_urlpatterns as visitors  # noqa: E402
from helpdesk.middleware import SocketRequestId  # noqa: E402
from tickets.consumers import websocket_urlpatterns as agents  # noqa: E402


async def self_test(scope: Any, receive: Any, send: Any) -> None:
    """Accepts, says "ok" and ends: with it the doctor and a browser find out whether websockets pass the proxy."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "ok"})
    await send({"type": "websocket.close", "code": 1000})


# Agents come with a session cookie, therefore only from our own pages. Visitors come from any site that embeds the
# widget: their panel is our page too, and their consumer checks the channel's allowed origins and the visitor's token.
routes = [path("ws/self-test/", self_test)]  # type: ignore[arg-type]
application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": SocketRequestId(
            OriginValidator(AuthMiddlewareStack(URLRouter([*routes, *agents, *visitors])), settings.SITE_ORIGINS)
        ),
    }
)
