"""A websocket without a server: what a browser would say and hear."""

from __future__ import annotations

import json
from typing import Any

from asgiref.testing import ApplicationCommunicator

WAIT = 60  # seconds: a busy machine is not a failure


class Wire(ApplicationCommunicator):
    def __init__(self, application: Any, *, query: str = "", **scope: Any) -> None:
        self.scope = {"type": "websocket", "path": "/live/", "headers": [], "query_string": query.encode(), **scope}
        super().__init__(application, self.scope)

    async def open(self) -> int:
        """0 when accepted, else the close code."""
        await self.send_input({"type": "websocket.connect"})
        out = await self.receive_output(WAIT)
        return 0 if out["type"] == "websocket.accept" else out.get("code", 1000)

    async def say(self, frame: Any) -> None:
        text = frame if isinstance(frame, str) else json.dumps(frame)
        await self.send_input({"type": "websocket.receive", "text": text})

    async def hear(self) -> dict[str, Any]:
        """The next frame; {"type": "closed", "code"} when the server hangs up."""
        out = await self.receive_output(WAIT)
        return (
            json.loads(out["text"]) if out["type"] == "websocket.send" else {"type": "closed", "code": out.get("code")}
        )

    async def until(self, what: str, /, **facts: Any) -> dict[str, Any]:
        """The next frame of this type with these facts."""
        while True:
            frame = await self.hear()
            if frame["type"] == what and all(frame.get(name) == value for name, value in facts.items()):
                return frame

    async def shut(self) -> None:
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(WAIT)
