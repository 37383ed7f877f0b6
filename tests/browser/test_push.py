"""Push on a device, in a real browser: only the way through the push service of its maker is played."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from tests.conftest import comes_to, wait_until
from tests.fakes.push_service import PushService
from tests.workspace import scene
from tickets import actions, notifying, push, web_push
from tickets.models import Outbox, PushSubscription
from tickets.models.event import by_agent

SUBSCRIBES = """(() => {
    const { endpoint, keys } = %s;
    let made = null;
    PushManager.prototype.getSubscription = async () => made;
    PushManager.prototype.subscribe = async ({ applicationServerKey }) => made = {
        options: { applicationServerKey: applicationServerKey.buffer },
        toJSON: () => ({ endpoint, keys }),
        unsubscribe: async () => { made = null; return true; },
    };
})()"""
PRESS = """async () => {
    const [one] = (await self.registration.getNotifications()).filter((shown) => shown.tag !== "test");
    self.dispatchEvent(new NotificationEvent("notificationclick", { notification: one }));
}"""
SHOWN = "async () => (await self.registration.getNotifications()).map(({ title, body, tag }) => ({ title, body, tag }))"


@pytest.fixture
def service(settings: Any) -> Iterator[PushService]:
    service = PushService()
    settings.SAFE_FETCH_ALLOW = [service.host]
    yield service
    service.close()


class Carrier:
    """What brings a message from the push service into the browser."""

    def __init__(self, page: Page, origin: str) -> None:
        self.origin, self.registration = origin, ""
        self.devtools = page.context.new_cdp_session(page)
        self.devtools.on("ServiceWorker.workerRegistrationUpdated", self._registered)
        self.devtools.send("ServiceWorker.enable")

    def _registered(self, event: dict[str, Any]) -> None:
        for one in event["registrations"]:
            self.registration = one["registrationId"]

    def bring(self, told: dict[str, Any]) -> None:
        data = json.dumps({key: value for key, value in told.items() if key != "headers"})
        facts = {"origin": self.origin, "registrationId": self.registration, "data": data}
        self.devtools.send("ServiceWorker.deliverPushMessage", facts)


def test_push_is_switched_on_and_tried_out_and_leads_to_the_ticket(
    crew, browser, browser_context_args, live_server, service
):
    phone = service.browser(web_push.public_key())
    keys = {"p256dh": phone.address.p256dh, "auth": phone.address.auth}
    client = Client()
    client.force_login(crew.agent, backend="django.contrib.auth.backends.ModelBackend")
    context = browser.new_context(**{**browser_context_args, "service_workers": "allow"})
    context.grant_permissions(["notifications"], origin=str(live_server))
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": str(live_server)}
    context.add_cookies([cookie])
    context.add_init_script(SUBSCRIBES % json.dumps({"endpoint": phone.address.endpoint, "keys": keys}))
    page = context.new_page()
    page.goto(f"{live_server}/settings/notifications/")
    carrier = Carrier(page, str(live_server))

    switch, state = page.get_by_role("switch", name="Push on this device"), page.locator("[data-push-state]")
    expect(state).to_have_text("Push is off on this device.")
    for word in ("on", "off", "on"):
        switch.click()
        expect(state).to_contain_text(f"Push is {word}")
        expect(page.locator(".devices__one", has_text="this browser")).to_have_count(int(word == "on"))
        comes_to(PushSubscription.objects.filter(agent=crew.agent).count, int(word == "on"))
    assert service.asked == 0

    page.get_by_role("button", name="Send a test push").click()
    wait_until(lambda: len(phone.taken) == 1)
    wait_until(lambda: page.evaluate("1") and carrier.registration)
    carrier.bring(phone.taken[0])
    expect(page.locator("[data-push-result]")).to_contain_text("It arrived.")

    jiwoo = scene.sender("Jiwoo", phone="+821011112222")
    ticket = scene.says(crew.sms, jiwoo, "Where is my parcel?", at=timezone.now()).ticket
    actions.assign(ticket, assignee=crew.agent, team=crew.support, by=by_agent(crew.manager), now=timezone.now())
    notifying.drain()
    Outbox.objects.filter(kind="push").update(next_attempt_at="2000-01-01T00:00Z")
    push.drain()
    carrier.bring(phone.taken[1])
    (worker,) = context.service_workers
    wait_until(lambda: len(worker.evaluate(SHOWN)) == 2)
    (shown,) = [one for one in worker.evaluate(SHOWN) if one["tag"] == f"ticket-{ticket.pk}"]
    assert shown["title"] == "Grace assigned this to you" and f"#{ticket.number}" in shown["body"]
    worker.evaluate(PRESS)
    expect(page.locator("#thread-log")).to_contain_text("Where is my parcel?")
    assert page.url == f"{live_server}/tickets/{ticket.pk}/"
    expect(page.locator("notification-bell:defined").first).to_be_attached()  # it clears away what one looks at
    page.wait_for_load_state("networkidle")
    carrier.bring(phone.taken[1])
    wait_until(lambda: len(worker.evaluate(SHOWN)) == 2)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # they look at it
    wait_until(lambda: [one["tag"] for one in worker.evaluate(SHOWN)] == ["test"])
    context.close()
