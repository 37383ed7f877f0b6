"""The widget in a browser, on a site of another origin (channels.md 15, ux.md 15.1)."""

import functools
import http.server
import threading
import uuid
from datetime import UTC, datetime

import jwt
import pytest
from playwright.sync_api import Page, expect

from agents import presence as attendance
from agents.models import Agent
from channels_in import process
from channels_in.webchat import identity
from tests.cast import assemble
from tickets import actions, delivery, live, replies
from tickets.models import Channel, Message, Route, Ticket
from tickets.models.event import SYSTEM
from tickets.routing import assign as routing

PAGE = """<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>Shop</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src {host} 'nonce-x'; frame-src {host}; connect-src {host} 'self'">
<script nonce="x">window.HelpdeskChat = window.HelpdeskChat || []; {script}</script>
<script async src="{host}/widget.js" data-channel="{slug}"></script></head><body><h1>Shop</h1><a href="#">Link</a></body></html>"""


class Shop:
    """A customer's site: another origin, with a strict policy of its own."""

    def __init__(self, host: str, slug: str) -> None:
        self.host, self.slug, self.script, self.lang, self.jwt = host, slug, "", "en", ""
        shop = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/token":
                    body = shop.jwt.encode()
                else:
                    body = PAGE.format(host=shop.host, slug=shop.slug, script=shop.script, lang=shop.lang).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}"  # another origin of the same site
        self.foreign = f"http://127.0.0.1:{self.server.server_port}"  # another site: browsers keep storage from frames
        threading.Thread(target=functools.partial(self.server.serve_forever, poll_interval=0.05), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def cast(transactional_db):
    return assemble()


@pytest.fixture
def shop(live_server, cast):
    site = Shop(live_server.url, cast.webchat.slug)
    cast.webchat.settings = {**cast.webchat.settings, "origins": [site.url, site.foreign]}
    cast.webchat.save()
    yield site
    site.close()


def work() -> None:
    process.drain(seconds=10)
    delivery.deliver(seconds=10)


def answer(cast, text: str) -> Message:
    ticket = Ticket.objects.latest("id")
    return replies.post(
        ticket,
        agent=cast.agent,
        text=text,
        route=Route.objects.get(ticket=ticket, channel=cast.webchat),
        client_uuid=uuid.uuid4(),
        seen_message_id=None,
        now=datetime.now(UTC),
    )


def open_chat(page: Page):
    page.get_by_role("button", name="Open chat").click()
    panel = page.frame_locator("iframe[title=Chat]")
    panel.get_by_role("button", name="Send us a message").click()
    return panel


def write(panel, text: str, *, kept: bool = True) -> None:
    panel.get_by_role("textbox", name="Message", exact=True).fill(text)
    panel.get_by_role("button", name="Send", exact=True).click()
    if kept:  # the server has said 202
        expect(panel.locator('.line[data-state="sending"]')).to_have_count(0)


def test_who_waits_for_a_person_sees_their_place_until_somebody_has_it(page: Page, shop, cast):
    now = datetime.now(UTC)
    Channel.objects.filter(pk=cast.webchat.pk).update(team=cast.support)
    attendance.set_presence(cast.agent, "online", now=now)
    Agent.objects.filter(pk=cast.agent.pk).update(capacity=0)  # there, and full
    page.goto(shop.url)
    panel = open_chat(page)
    write(panel, "Is anybody there?")
    work()
    routing.drain(now=datetime.now(UTC))
    expect(panel.get_by_text("You are next in line.")).to_be_visible()
    ticket = Ticket.objects.get()
    actions.assign(ticket, assignee=cast.agent, team=cast.support, by=SYSTEM, now=datetime.now(UTC))
    expect(panel.get_by_text("You are next in line.")).to_be_hidden()


def test_a_whole_conversation_through_a_reload_and_a_cut_socket(page: Page, shop, cast):
    page.goto(shop.url)
    launcher = page.get_by_role("button", name="Open chat")
    expect(launcher).to_have_attribute("aria-expanded", "false")
    panel = open_chat(page)
    write(panel, "Where is my order?")
    lines = panel.get_by_role("log").locator(".line")
    expect(lines).to_have_count(1)
    expect(lines.first).to_contain_text("Sent")
    work()
    expect(lines.first).to_contain_text("Delivered")
    expect(lines).to_have_count(1)  # the echo takes the place of what was typed

    said = answer(cast, "**Let me look.** https://shop.example/track?x=1")
    expect(lines).to_have_count(2)
    expect(lines.last.locator("strong")).to_have_text("Let me look.")
    expect(lines.last.get_by_role("link")).to_have_attribute("href", "https://shop.example/track?x=1")
    expect(panel.get_by_role("heading", name="Mina")).to_be_visible()
    work()
    for _ in range(100):
        work()
        said.refresh_from_db()
        if said.state == "read":
            break
        page.wait_for_timeout(100)
    assert said.state == "read"

    # Typing, both ways.
    ticket = Ticket.objects.get()
    live.whisper("typing", {"ticket": ticket.pk, "agent": cast.agent.pk, "kind": "reply", "on": True})
    expect(panel.get_by_text("Mina is typing")).to_be_visible()
    live.whisper("typing", {"ticket": ticket.pk, "agent": cast.agent.pk, "kind": "reply", "on": False})
    expect(panel.get_by_text("Mina is typing")).to_be_hidden()

    # A reload in the middle of a sentence loses nothing.
    panel.get_by_role("textbox", name="Message", exact=True).fill("I was just about to")
    page.reload()
    page.get_by_role("button", name="Open chat").click()
    panel = page.frame_locator("iframe[title=Chat]")
    panel.get_by_role("button", name="Continue your conversation").click()
    lines = panel.get_by_role("log").locator(".line")
    expect(lines).to_have_count(2)
    expect(panel.get_by_role("textbox", name="Message", exact=True)).to_have_value("I was just about to")

    # The network goes: what is written waits, is sent once, and what was missed comes.
    page.context.set_offline(True)
    write(panel, "written in a tunnel", kept=False)
    expect(lines.last).to_contain_text("Waiting for the connection")
    answer(cast, "said meanwhile")
    page.context.set_offline(False)
    expect(panel.locator('.line[data-state="sending"]')).to_have_count(0)
    work()
    expect(lines).to_have_count(4)
    expect(panel.get_by_role("log").locator(".line", has_text="said meanwhile")).to_have_count(1)
    assert Message.objects.filter(text="written in a tunnel").count() == 1
    assert Ticket.objects.count() == 1


def test_keys_focus_and_names(page: Page, shop, cast):
    page.goto(shop.url)
    page.get_by_role("button", name="Open chat").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Chat · Shop")
    expect(dialog).to_be_visible()
    panel = page.frame_locator("iframe[title=Chat]")
    expect(panel.get_by_role("button", name="Send us a message")).to_be_focused()
    page.keyboard.press("Enter")
    field = panel.get_by_role("textbox", name="Message", exact=True)
    expect(field).to_be_focused()
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("log").locator(".text")).to_have_text("first line\nsecond line")
    expect(field).to_have_value("")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Open chat")).to_be_focused()
    page.keyboard.press("Tab")  # the closed panel holds no focus
    assert page.evaluate("document.activeElement.tagName") != "IFRAME"


def test_words_of_others_are_never_markup(page: Page, shop, cast):
    page.goto(shop.url)
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    panel = open_chat(page)
    nasty = '<img src=x onerror=alert(1)><script>alert(2)</script> javascript:alert(3) https://a.example/"onmouseover=alert(4)'
    write(panel, nasty)
    work()
    cast.agent.name = "<b onclick=alert(5)>Mina</b>"
    cast.agent.save()
    answer(cast, nasty)
    texts = panel.get_by_role("log").locator(".line .text")
    expect(texts).to_have_count(2)
    expect(texts.last).to_have_text(nasty)
    assert panel.locator("img, .line script, .line b").count() == 0
    assert [link.get_attribute("href") for link in texts.last.get_by_role("link").all()] == ["https://a.example/"]
    assert dialogs == []


def test_a_file_is_chosen_sent_and_shown(page: Page, shop, cast):
    page.goto(shop.url)
    panel = open_chat(page)
    panel.get_by_label("Attach files").set_input_files(
        {"name": "주문서.txt", "mimeType": "text/plain", "buffer": "주문 1234".encode()}
    )
    expect(panel.get_by_role("button", name="Remove 주문서.txt")).to_be_visible()
    expect(panel.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    panel.get_by_role("button", name="Send", exact=True).click()
    expect(panel.locator('.line[data-state="accepted"]')).to_have_count(1)
    work()
    expect(panel.get_by_role("log").get_by_role("link", name="주문서.txt")).to_be_visible()
    assert [file.name for file in Message.objects.get().attachments.all()] == ["주문서.txt"]


def test_a_signed_visitor_is_known_and_the_next_one_sees_nothing_of_them(page: Page, shop, cast):
    key = identity.add_key(cast.webchat, alg="HS256")
    shop.script = 'HelpdeskChat.push(["identify", () => fetch("/token").then((r) => r.text())]);'

    def sign_in(subject: str) -> None:
        at = int(datetime.now(UTC).timestamp())
        claims = {"sub": subject, "aud": "shop", "iat": at, "exp": at + 600, "name": subject.title()}
        shop.jwt = jwt.encode(claims, key.key, algorithm="HS256", headers={"kid": key.kid})

    sign_in("kim")
    page.goto(shop.url)
    panel = open_chat(page)
    write(panel, "kim's own words")
    work()
    expect(panel.get_by_role("log").locator(".line")).to_contain_text(["Delivered"])
    assert Ticket.objects.get().customer.name == "Kim"

    sign_in("lee")
    page.reload()
    panel = open_chat(page)  # "Send us a message": nothing to continue
    write(panel, "lee's words")
    work()
    expect(panel.get_by_role("log").locator(".line")).to_have_count(1)
    assert Ticket.objects.count() == 2

    sign_in("kim")
    page.reload()
    page.get_by_role("button", name="Open chat").click()
    panel = page.frame_locator("iframe[title=Chat]")
    expect(panel.get_by_role("list")).to_contain_text("kim's own words")
    expect(panel.get_by_role("list")).not_to_contain_text("lee's words")


def test_a_site_that_is_not_listed_gets_no_launcher_and_no_panel(page: Page, shop, cast):
    cast.webchat.settings = {"origins": ["http://shop.example"]}
    cast.webchat.save()
    page.goto(shop.url)
    page.wait_for_load_state("networkidle")
    assert page.locator("helpdesk-chat").count() == 0


def test_a_frame_without_storage_still_talks(page: Page, shop, cast):
    page.goto(shop.foreign)
    panel = open_chat(page)
    for text in ("one", "two"):
        write(panel, text)
    work()
    lines = panel.get_by_role("log").locator(".line")
    expect(lines).to_have_count(2)
    expect(lines.last).to_contain_text("Delivered")
    assert [message.text for message in Message.objects.order_by("seq")] == ["one", "two"]
    assert Ticket.objects.count() == 1


def test_a_message_from_another_frame_is_ignored(page: Page, shop, cast):
    page.goto(shop.url)
    page.get_by_role("button", name="Open chat").click()
    dialog = page.get_by_role("dialog", name="Chat · Shop")
    expect(dialog).to_be_visible()
    page.evaluate("postMessage({ helpdesk: 1, type: 'close' }, '*')")  # right words, wrong origin and source
    page.evaluate("postMessage({ helpdesk: 1, type: 'unread', count: 7 }, '*')")
    page.frame_locator("iframe[title=Chat]").get_by_role("button", name="Send us a message").click()
    expect(dialog).to_be_visible()
    assert page.get_by_text("7", exact=True).count() == 0


def test_the_hosted_page_speaks_korean_and_asks_for_an_address_that_may_be_skipped(page: Page, live_server, cast):
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{live_server.url}/chat/{cast.webchat.slug}/?lang=ko")
    assert page.evaluate("document.documentElement.lang") == "ko"
    page.locator("#start").click()
    page.locator("#text").fill("배송 문의드려요")
    page.keyboard.press("Enter")
    expect(page.locator('.line[data-state="accepted"]')).to_have_count(1)
    work()
    skip = page.locator("form.card .skip")
    expect(skip).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= 360")
    skip.click()
    expect(page.locator("form.card")).to_have_count(0)
    expect(page.locator("#text")).to_be_focused()


def test_enter_during_a_hangul_composition_sends_the_whole_word_once(page: Page, live_server, cast):
    page.goto(f"{live_server.url}/chat/{cast.webchat.slug}/")
    page.locator("#start").click()
    client = page.context.new_cdp_session(page)
    client.send("Input.imeSetComposition", {"text": "안녀", "selectionStart": 2, "selectionEnd": 2})
    client.send("Input.imeSetComposition", {"text": "안녕", "selectionStart": 2, "selectionEnd": 2})
    client.send(
        "Input.dispatchKeyEvent",
        {
            "type": "rawKeyDown",
            "key": "Process",
            "code": "Enter",
            "windowsVirtualKeyCode": 229,
            "nativeVirtualKeyCode": 229,
        },
    )
    client.send("Input.insertText", {"text": "안녕"})
    expect(page.locator(".line .text")).to_have_text(["안녕"])
    expect(page.locator("#text")).to_have_value("")
