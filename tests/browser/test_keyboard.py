"""Rows 2, 3 and 4 of what ours must have: every key of the key map in every script and layout, from the key map itself."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.templatetags.static import static
from django.utils import timezone
from playwright.sync_api import Page, expect

from agents.models import Agent
from tests.browser.desk import composer, leaves, says, stopped_on_the_way, three_tickets
from tests.cast import make_customer
from tests.conftest import comes_to
from tests.workspace import scene
from tickets import replies
from tickets.workspace.keymap import COMMANDS

TWO_SET = dict(zip("qwertyuiopasdfghjklzxcvbnm", "ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔㅁㄴㅇㄹㅎㅗㅓㅏㅣㅋㅌㅊㅍㅠㅜㅡ", strict=True))
KANA = dict(zip("qwertyuiopasdfghjklzxcvbnm", "たていすかんなにらせちとしはきくまのりつさそひこみも", strict=True))
DVORAK = dict(
    zip("qwertyuiopasdfghjklzxcvbnm", "xoeuirgtsbpajkcnylhvbdzqmk", strict=False)
)  # letter -> a key elsewhere
SIGNS = {"?": ("Slash", True), "!": ("Digit1", True), "*": ("Digit8", True), "/": ("Slash", False), ".": ("Period", False),
         ",": ("Comma", False), "[": ("BracketLeft", False), "]": ("BracketRight", False)}  # fmt: skip

LISTEN = """async (address) => {
  const { keys } = await import(address);
  window.diary = [];
  for (const { id } of keys.commands) keys.on(id, () => { window.diary.push(id); });
}"""
PRESS = """(strokes) => {
  for (const { key, code, shift, keyCode } of strokes) {
    const how = { key, code, keyCode, shiftKey: shift, bubbles: true, cancelable: true };
    document.body.dispatchEvent(new KeyboardEvent("keydown", how));
    document.body.dispatchEvent(new KeyboardEvent("keyup", how));
  }
  return window.diary.splice(0);
}"""
SINGLE = [command for command in COMMANDS if command.scope != "composer" and "Mod" not in command.keys[0]]


def strokes_of(keys: str, script: str) -> list[dict[str, Any]]:
    """What a keyboard in this script says for "Shift+A" or "G I"."""
    found = []
    for stroke in keys.split():
        shift, name = "Shift+" in stroke, stroke.split("+")[-1]
        if name in SIGNS:
            code, shift = SIGNS[name]
            key = "Process" if script == "kana" else name
        elif len(name) > 1:  # Enter, Escape, arrows
            code = key = name
        elif name.isdigit():
            code, key = f"Digit{name}", name
        else:
            code = f"Key{name}"
            key = {"hangul": TWO_SET, "kana": KANA, "process": {}}.get(script, {}).get(name.lower(), "Process")
            if script == "capital":
                key = name if shift else name.lower()
            if script == "dvorak":
                code, key = f"Key{DVORAK[name.lower()].upper()}", name if shift else name.lower()
        found.append({"key": key, "code": code, "shift": shift, "keyCode": 229 if key == "Process" else 0})
    return found


@pytest.fixture
def sample(page: Page, live_server: Any, settings: Any) -> Page:
    settings.DEMO = True
    page.goto(live_server + "/styleguide/?part=workspace")
    page.wait_for_selector("pane-splitter[aria-valuenow]")
    page.evaluate(LISTEN, static("js/lib/keyboard.js"))
    return page


def test_row_2_every_key_does_its_thing_once_in_every_script(sample):
    assert len(SINGLE) > 40, "the key map is where the cases come from"
    wrong = {}
    for script in ("capital", "hangul", "kana", "process", "dvorak"):
        for command in SINGLE:
            for keys in command.keys:
                ran = sample.evaluate(PRESS, strokes_of(keys, script))
                if ran != [command.id]:
                    wrong[f"{script}: {keys} ({command.id})"] = ran
    assert wrong == {}


CTRL_ALT, SHIFT = 1 | 2, 8  # of CDP; AltGr is Ctrl and Alt
US = {"?": ("Slash", SHIFT), "!": ("Digit1", SHIFT), "*": ("Digit8", SHIFT), "/": ("Slash", 0), ".": ("Period", 0),
      ",": ("Comma", 0), "[": ("BracketLeft", 0), "]": ("BracketRight", 0)}  # fmt: skip
# What stands elsewhere than on a keyboard of the United States: printed letter or sign -> physical key and modifiers.
LAYOUTS: dict[str, dict[str, tuple[str, int]]] = {
    "azerty": {
        "a": ("KeyQ", 0), "q": ("KeyA", 0), "z": ("KeyW", 0), "w": ("KeyZ", 0), "m": ("Semicolon", 0),
        "?": ("KeyM", SHIFT), "!": ("Slash", 0), "*": ("Backslash", 0), "/": ("Period", SHIFT), ".": ("Comma", SHIFT),
        ",": ("KeyM", 0), "[": ("Digit5", CTRL_ALT), "]": ("Minus", CTRL_ALT),
        **{str(n): (f"Digit{n}", SHIFT) for n in range(10)},
    },
    "qwertz": {
        "y": ("KeyZ", 0), "z": ("KeyY", 0), "?": ("Minus", SHIFT), "!": ("Digit1", SHIFT), "*": ("BracketRight", SHIFT),
        "/": ("Digit7", SHIFT), ".": ("Period", 0), ",": ("Comma", 0), "[": ("Digit8", CTRL_ALT), "]": ("Digit9", CTRL_ALT),
    },
    "polish": US,
    "hangul": US,
}  # fmt: skip
DOUBLED = dict(zip("qwertop", "ㅃㅉㄸㄲㅆㅒㅖ", strict=True))  # with Shift, in Hangul mode
POLISH = dict(zip("acelnosxz", "ąćęłńóśźż", strict=True))  # with AltGr


def real_strokes(keys: str, layout: str) -> list[dict[str, Any]]:
    """What the browser is told when somebody presses "Shift+A" or "G I" on this keyboard."""
    pressed = []
    for stroke in keys.split():
        name, shift = stroke.split("+")[-1], SHIFT if "Shift+" in stroke else 0
        if len(name) > 1:  # Enter, Escape, arrows
            key, code, extra = name, name, 0
        else:
            usual = f"Digit{name}" if name.isdigit() else f"Key{name.upper()}"
            code, extra = LAYOUTS[layout].get(name.lower(), (usual, 0))
            key = name if shift or not name.isalpha() else name.lower()
            if layout == "hangul" and name.isalpha():
                key = (DOUBLED if shift else {}).get(name.lower(), TWO_SET[name.lower()])
        virtual = {"Enter": 13, "Escape": 27, "ArrowUp": 38, "ArrowDown": 40}.get(name) or ord(name[0].upper())
        how = {"key": key, "code": code, "modifiers": shift | extra, "windowsVirtualKeyCode": virtual}
        pressed += [{"type": kind, **how} for kind in ("rawKeyDown", "keyUp")]
    return pressed


def test_row_2_every_key_of_the_browser_does_its_thing_on_every_layout(sample):
    """Real key events, as AZERTY, QWERTZ, Polish and Hangul keyboards make them."""
    cdp = sample.context.new_cdp_session(sample)
    wrong = {}
    for layout in LAYOUTS:
        for command in SINGLE:
            for keys in command.keys:
                for event in real_strokes(keys, layout):
                    cdp.send("Input.dispatchKeyEvent", event)
                ran = sample.evaluate("window.diary.splice(0)")
                if ran != [command.id]:
                    wrong[f"{layout}: {keys} ({command.id})"] = ran
    for letter, printed in POLISH.items():
        for shift in (0, SHIFT):
            how = {"key": printed.upper() if shift else printed, "code": f"Key{letter.upper()}"}
            for kind in ("rawKeyDown", "keyUp"):
                modifiers = CTRL_ALT | shift
                code = ord(letter.upper())
                event = {"type": kind, **how, "modifiers": modifiers, "windowsVirtualKeyCode": code}
                cdp.send("Input.dispatchKeyEvent", event)
            if ran := sample.evaluate("window.diary.splice(0)"):
                wrong[f"AltGr+{letter}"] = ran
    assert wrong == {}


@pytest.mark.parametrize(("pieces", "sent"), [(["ㅇ", "야", "약"], ["약"]), (["y", "や", "やk"], [])])
def test_row_3_a_real_enter_in_a_real_composition(sample, pieces, sent):
    """In Hangul it sends, once and with the last syllable; in kana it chooses, and the next one sends.

    The page's time stands still in between: the input method of a slow machine is not late.
    """
    sample.clock.install()
    sample.clock.pause_at(sample.evaluate("Date.now() + 1000"))
    sample.evaluate(
        """() => {
          window.sent = [];
          document.addEventListener("composer:send", (event) => {
            event.preventDefault();
            window.sent.push(event.detail.form.elements.text.value);
          });
        }"""
    )
    cdp = sample.context.new_cdp_session(sample)
    sample.locator("#composer-text").fill("")
    sample.locator("#composer-text").focus()
    for piece in pieces:
        composed = {"text": piece, "selectionStart": len(piece), "selectionEnd": len(piece)}
        cdp.send("Input.imeSetComposition", composed)
    enter = {"key": "Process", "code": "Enter", "windowsVirtualKeyCode": 229}
    cdp.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **enter})
    cdp.send("Input.insertText", {"text": pieces[-1]})  # what the input method commits
    cdp.send("Input.dispatchKeyEvent", {"type": "keyUp", **enter, "key": "Enter"})
    expect(sample.locator("#composer-text")).to_have_value(pieces[-1])
    sample.clock.run_for(200)  # an Enter at once after this one would be the input method's own
    assert sample.evaluate("window.sent") == sent
    sample.keyboard.press("Enter")
    assert sample.evaluate("window.sent") == [*sent, pieces[-1]]


def test_row_2_brackets_that_a_layout_prints_with_altgr(sample):
    """QWERTZ and AZERTY: AltGr is Ctrl and Alt on Windows."""
    for key, code, command in (
        ("[", "Digit5", "nav.toggle"),
        ("]", "Minus", "side.toggle"),
        ("/", "Digit7", "search.focus"),
    ):
        sample.evaluate(
            """([key, code]) => document.body.dispatchEvent(new KeyboardEvent("keydown", {
              key, code, ctrlKey: true, altKey: true, modifierAltGraph: true, bubbles: true, cancelable: true}))""",
            [key, code],
        )
        assert sample.evaluate("window.diary.splice(0)") == [command]


def test_row_2_what_is_typed_before_a_ticket_is_there_is_no_command(crew, screen):
    """N in the list, and the note at once: its letters come too early, and none assigns or solves."""
    ticket = three_tickets(crew)[0]
    page = screen(crew.agent)
    expect(page.locator(".row")).to_have_count(3)
    coming = stopped_on_the_way(page, f"**/tickets/{ticket.pk}/")
    page.keyboard.press("j")
    done: list[str] = []
    page.on("request", lambda request: done.append(request.url) if request.method == "POST" else None)
    page.keyboard.press("n")
    page.keyboard.type("ie")
    page.keyboard.down("p")
    leaves(page, coming, f"**/tickets/{ticket.pk}/")
    expect(page.locator("#composer-note")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.up("p")  # of a key that went down while one waited
    page.keyboard.press("x")
    expect(page.locator(f"#ticket-row-{ticket.pk}.is-selected")).to_be_visible()
    assert page.locator("#property-priority-menu").is_hidden()
    assert not [url for url in done if url.endswith(("/assignee/", "/solution/"))] and page.errors == []


@pytest.mark.parametrize(
    ("script", "pieces", "whole"), [("hangul", ["ㅎ", "하", "한"], "한"), ("kana", ["k", "か", "かn"], "かん")]
)
def test_show_5_what_is_being_composed_is_never_a_command(sample, script, pieces, whole):
    """Real composition of the browser, with the keydown events that an input method sends, for each letter of the key map."""
    cdp = sample.context.new_cdp_session(sample)
    field = sample.locator("#composer-text")
    field.click()
    letters = {
        name
        for command in SINGLE
        for keys in command.keys
        for name in keys.split()
        if len(name) == 1 and name.isalpha()
    }
    for letter in sorted(letters):
        for piece in pieces:
            cdp.send(
                "Input.dispatchKeyEvent",
                {"type": "rawKeyDown", "key": "Process", "code": f"Key{letter}", "windowsVirtualKeyCode": 229},
            )
            cdp.send(
                "Input.imeSetComposition", {"text": piece, "selectionStart": len(piece), "selectionEnd": len(piece)}
            )
            cdp.send(
                "Input.dispatchKeyEvent",
                {"type": "keyUp", "key": piece[-1], "code": f"Key{letter}", "windowsVirtualKeyCode": ord(letter)},
            )
        cdp.send("Input.insertText", {"text": whole})
    expect(field).to_have_value(whole * len(letters))
    assert sample.evaluate("window.diary.splice(0)") == []
    field.blur()
    assert sample.evaluate(PRESS, strokes_of("J", script)) == ["list.next"]


def test_row_4_keys_of_ones_own_are_the_same_in_the_next_browser(crew, screen):
    first, *_ = three_tickets(crew)
    page = screen(crew.agent)
    page.goto(page.url + "settings/keys/")
    page.locator("[id='key-ticket.take']").fill("Q")
    page.locator("[id='key-ticket.reply']").fill("E")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".field__error")).to_contain_text("E is taken by “Solve and open the next”.")
    page.locator("[id='key-ticket.reply']").fill("R")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("[id='key-ticket.take']")).to_have_value("Q")
    comes_to(lambda: Agent.objects.get(pk=crew.agent.pk).own_keys, {"ticket.take": ["Q"]})

    other = screen(crew.agent, f"/tickets/{first.pk}/")
    expect(composer(other)).to_be_visible()
    other.keyboard.press("i")
    other.keyboard.press("q")
    expect(other.locator("#property-assignee-button")).to_contain_text("Mina")
    other.keyboard.press("?")
    expect(other.locator("shortcut-sheet")).to_contain_text("Q")
    assert other.errors == []


def test_row_4_the_palette_shows_every_command_and_finds_in_two_languages(crew, screen):
    page = screen(crew.admin)
    page.keyboard.press("Control+k")
    palette = page.locator("#palette")
    for command in (command for command in COMMANDS if command.id != "palette.open"):
        expect(palette.get_by_role("option").filter(has_text=str(command.label)).first).to_be_attached()
    commands = json.loads(page.locator("#key-map").text_content())
    reply = next(command for command in commands["commands"] if command["id"] == "ticket.reply")
    for query, label in (
        ("solve and", "Solve and stay"),
        ("팀", "Teams"),
        ("ㅌ", "Teams"),
        ("sla", "SLA policies"),
        (reply["also"][0], "Reply"),
    ):
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(query)
        expect(palette.get_by_role("option").filter(has_text=label).first).to_be_visible()
    page.keyboard.press("Control+a")
    page.keyboard.type("business hours")
    expect(palette.get_by_role("option").first).to_contain_text("Business hours")
    page.keyboard.press("Enter")
    page.wait_for_url("**/settings/hours/")


@pytest.mark.parametrize("width", [360, 1440])
def test_row_4_one_thing_after_the_other_by_keys(crew, screen, width):
    ticket = says(crew, "Hello").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/", width=width)
    expect(composer(page)).to_be_visible()
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()
    expect(composer(page)).to_be_visible()
    page.keyboard.press("h")
    expect(page.locator("#snooze-menu-times [role=option]").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#snooze-menu")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator("#list")).to_be_visible()


def test_row_18_a_ticket_sleeps_until_a_time_in_ones_own_words(crew, screen):
    ticket = says(crew, "Call me later").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    expect(composer(page)).to_be_visible()
    page.keyboard.press("h")
    options = page.locator("#snooze-menu-times [role=option]")
    expect(options.filter(has_text="Tomorrow morning")).to_contain_text("09:00")
    page.keyboard.insert_text("내일 오전 10시")
    expect(options).to_have_count(1)
    expect(options).to_contain_text("10:00")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("Snoozed.")
    ticket.refresh_from_db()
    assert ticket.snoozed_until.astimezone(ZoneInfo(crew.agent.time_zone)).strftime("%H:%M") == "10:00"
    expect(page.locator(f"#head-{ticket.pk} .chip")).to_contain_text("10:00")
    page.keyboard.press("z")
    expect(page.locator(f"#head-{ticket.pk} .chip")).to_have_count(0)
    ticket.refresh_from_db()
    assert ticket.snoozed_until is None

    page.keyboard.press("h")
    page.keyboard.type("no time at all")
    expect(page.locator("#snooze-menu [role=status]")).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.type("in 3 days")
    page.keyboard.press("Enter")  # before the line has come: it is read first
    expect(page.locator(f"#head-{ticket.pk} .chip")).to_contain_text("09:00")
    says(crew, "Now, please")
    expect(page.locator("#thread-log")).to_contain_text("Snooze ended: the customer has written")
    assert page.errors == []


def test_row_4_a_new_ticket_is_begun_by_keys_alone(crew, screen):
    """C in Hangul mode, on a phone's width: whom, what, a reload in between, and it can still be taken back."""
    make_customer("Jiwoo", now=timezone.now(), email="jiwoo@example.org")
    page = screen(crew.agent, width=360)
    page.evaluate(PRESS.replace("return window.diary.splice(0);", ""), strokes_of("C", "hangul"))
    expect(page.locator("#opening-query")).to_be_focused()
    page.keyboard.type("jiwoo@ex")
    expect(page.get_by_role("link", name="Jiwoo")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#opening-subject")).to_be_focused()
    page.keyboard.type("Your order")
    page.locator("#opening-text").focus()
    page.keyboard.type("It leaves today.")
    expect(page.locator("#opening-saved")).to_have_text("Draft saved")
    page.reload()
    expect(page.locator("#opening-text")).to_have_value("It leaves today.")
    expect(page.locator("#opening-text")).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-waiting] .text")).to_have_text("It leaves today.")
    expect(page.locator("[data-waiting] [data-take-back]")).to_be_visible()
    assert page.errors == []


def test_row_4_a_message_is_forwarded_by_keys_alone(crew, screen):
    """F in Hangul mode: to whom, and it stands in the thread as what it is; the customer's composer is not touched."""
    asked = scene.says(crew.email, scene.sender("Jiwoo", email="jiwoo@example.org"), "Where is it?", at=timezone.now())
    page = screen(crew.agent, f"/tickets/{asked.ticket_id}/")
    expect(composer(page)).to_be_visible()
    page.evaluate(PRESS.replace("return window.diary.splice(0);", ""), strokes_of("F", "hangul"))
    expect(page.locator("#forward-to")).to_be_focused()
    page.keyboard.type("desk@courier.example")
    stopped_on_the_way(page, "**/forwards/draft/")
    page.locator("#forward-text").focus()
    page.keyboard.type("Can you find it?")
    page.reload()  # before any of it has reached the server
    page.unroute("**/forwards/draft/")
    expect(composer(page)).to_be_visible()
    page.keyboard.press("f")
    expect(page.locator("#forward-to")).to_have_value("desk@courier.example")
    expect(page.locator("#forward-text")).to_have_value("Can you find it?")
    page.locator("#forward-text").focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#forward")).to_be_hidden()
    page.keyboard.press("z")  # it has not left yet
    expect(page.locator("#forward-text")).to_be_visible()
    expect(page.locator("#forward-text")).to_have_value("Can you find it?")
    page.locator("#forward-text").focus()
    cdp = page.context.new_cdp_session(page)
    cdp.send("Input.imeSetComposition", {"text": "꼭", "selectionStart": 1, "selectionEnd": 1})
    enter = {"key": "Process", "code": "Enter", "windowsVirtualKeyCode": 229, "modifiers": 2}
    cdp.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **enter})
    cdp.send("Input.insertText", {"text": "꼭"})  # the last syllable goes along
    expect(page.locator("#forward")).to_be_hidden()
    assert replies.release_due(now=timezone.now() + timedelta(minutes=1)) == 1
    sent = page.locator("#thread-log .message--side")
    expect(sent).to_contain_text("Can you find it?")
    expect(sent).to_contain_text("꼭")
    expect(sent).to_contain_text("To somebody else, not to the customer")
    expect(page.locator("#forward")).to_be_hidden()
    expect(composer(page)).to_have_value("")
    assert page.errors == []
