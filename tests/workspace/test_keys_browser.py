"""The keyboard in a real browser: layouts, Hangul mode, fields, dialogs, sequences, and Enter with input methods (ux.md 3.2)."""

import pytest
from django.templatetags.static import static
from playwright.sync_api import expect

from tests.browser.axe import found_in_both

PRESS = """({key, code, shift = false, ctrl = false, alt = false, repeat = false, on = "body", up = false}) => {
  const event = new KeyboardEvent(up ? "keyup" : "keydown", {
    key, code, shiftKey: shift, ctrlKey: ctrl, altKey: alt, repeat, bubbles: true, cancelable: true});
  document.querySelector(on).dispatchEvent(event);
}"""


@pytest.fixture
def desk(page, live_server, settings):
    """The sample workspace, with a diary of the commands that ran."""
    settings.DEMO = True
    page.goto(live_server + "/styleguide/?part=workspace")
    page.wait_for_selector("pane-splitter[aria-valuenow]")
    page.evaluate(
        """async (address) => {
      const { keys } = await import(address);
      window.diary = [];
      for (const id of ["list.next", "list.previous", "list.select_all", "ticket.unread", "ticket.solve", "ticket.solve_next", "go.mine", "search.focus", "ticket.spam"])
        keys.on(id, () => { window.diary.push(id); });
      window.keysOfPage = keys;
    }""",
        static("js/lib/keyboard.js"),
    )
    return page


def press(page, key, code, **more):
    page.evaluate(PRESS, {"key": key, "code": code, **more})


def diary(page):
    return page.evaluate("window.diary.splice(0)")


PRINTED = [
    ("j", "KeyJ", False, "list.next"),  # QWERTY
    ("ㅓ", "KeyJ", False, "list.next"),  # Hangul, macOS
    ("Process", "KeyJ", False, "list.next"),  # an input method has the key
    ("j", "KeyC", False, "list.next"),  # Dvorak: printed J lies elsewhere
    ("ㅏ", "KeyK", False, "list.previous"),
    ("ㅕ", "KeyU", True, "ticket.unread"),  # Hangul with Shift
    ("ㄷ", "KeyE", False, "ticket.solve_next"),
    ("ㄸ", "KeyE", True, "ticket.solve"),
    ("Process", "Slash", False, "search.focus"),
    ("!", "Digit1", True, "ticket.spam"),
    ("!", "Slash", False, "ticket.spam"),  # AZERTY prints ! without Shift
]


def test_printed_else_physical_key(desk):
    ran = []
    for key, code, shift, _command in PRINTED:
        press(desk, key, code, shift=shift)
        ran.append(diary(desk))
    assert ran == [[command] for *_pressed, command in PRINTED]


def test_a_letter_printed_elsewhere_is_not_taken_by_its_place(desk):
    press(desk, "c", "KeyJ")  # Dvorak: the key at J's place prints C
    assert diary(desk) == []


def test_keys_are_letters_in_fields_and_rest_under_dialogs(desk):
    press(desk, "j", "KeyJ", on="#composer-text")
    assert diary(desk) == []
    desk.evaluate("document.getElementById('palette').showModal()")
    press(desk, "j", "KeyJ")
    assert diary(desk) == []
    desk.evaluate("document.getElementById('palette').close()")
    press(desk, "j", "KeyJ")
    assert diary(desk) == ["list.next"]


def test_modifiers_and_held_keys(desk):
    press(desk, "j", "KeyJ", ctrl=True)
    press(desk, "j", "KeyJ", alt=True)
    press(desk, "e", "KeyE", repeat=True)
    assert diary(desk) == []
    press(desk, "j", "KeyJ", repeat=True)
    assert diary(desk) == ["list.next"]


def test_sequences_in_hangul_too(desk):
    press(desk, "ㅎ", "KeyG")
    press(desk, "ㅡ", "KeyM")
    press(desk, "*", "Digit8", shift=True)
    press(desk, "a", "KeyA")
    assert diary(desk) == ["go.mine", "list.select_all"]


def test_keyup_stands_in_for_a_swallowed_keydown_only(desk):
    desk.wait_for_timeout(600)  # the rest after the window got its focus
    press(desk, "j", "KeyJ", up=True)
    assert diary(desk) == ["list.next"]
    press(desk, "j", "KeyJ")
    press(desk, "j", "KeyJ", up=True)
    assert diary(desk) == ["list.next"]


def test_single_keys_can_be_turned_off(desk):
    desk.keyboard.press("?")
    desk.locator("[data-single-keys]").uncheck()
    desk.keyboard.press("Escape")
    press(desk, "j", "KeyJ")
    assert diary(desk) == []
    desk.keyboard.press("Control+k")
    assert desk.locator("#palette").is_visible()


def test_a_key_presses_the_visible_control_and_tells_of_itself(desk):
    desk.keyboard.press("n")
    assert desk.evaluate("document.activeElement.id") == "composer-note"
    assert desk.locator(".btn--note").is_visible()
    desk.keyboard.press("Escape")
    assert desk.evaluate("document.activeElement === document.body")
    desk.keyboard.press("r")
    assert desk.evaluate("document.activeElement.id") == "composer-text"
    assert desk.locator("#property-assignee-button").get_attribute("aria-keyshortcuts") == "A"


# --- Enter ---------------------------------------------------------------------------------------------------------

COMPOSE = """({field, text, syllable, enter, then = null}) => {
  const element = document.querySelector(field);
  element.focus();
  const fire = (type, Kind, init) => element.dispatchEvent(new Kind(type, {bubbles: true, cancelable: true, ...init}));
  fire("compositionstart", CompositionEvent, {data: ""});
  fire("compositionupdate", CompositionEvent, {data: syllable});
  if (enter) fire("keydown", KeyboardEvent, {key: "Process", code: "Enter", keyCode: 229, isComposing: true, ...enter});
  fire("compositionend", CompositionEvent, {data: syllable});
  element.value = text + syllable;
  fire("input", InputEvent, {inputType: "insertCompositionText", data: syllable});
  if (then) fire("keydown", KeyboardEvent, {key: "Enter", code: "Enter", keyCode: 13, ...then});
}"""


@pytest.fixture
def composer(desk):
    """The composer, with a diary of what would be sent."""
    desk.evaluate("""() => {
      window.sent = [];
      document.addEventListener("composer:send", (event) => {
        event.preventDefault();
        const form = event.detail.form;
        window.sent.push([event.detail.kind, form.elements[event.detail.kind === "note" ? "note" : "text"].value, event.detail.then]);
        form.elements.text.value = "";
      });
    }""")
    return desk


def sent(page):
    page.wait_for_timeout(200)
    return page.evaluate("window.sent.splice(0)")


def test_one_enter_in_hangul_sends_once_and_whole(composer):
    composer.evaluate(COMPOSE, {"field": "#composer-text", "text": "안녕하세", "syllable": "요", "enter": {}})
    assert sent(composer) == [["reply", "안녕하세요", ""]]


def test_the_second_keydown_of_macos_sends_nothing_more(composer):
    composer.evaluate(
        COMPOSE, {"field": "#composer-text", "text": "안녕하세", "syllable": "요", "enter": {}, "then": {}}
    )
    assert sent(composer) == [["reply", "안녕하세요", ""]]


def test_enter_on_kana_chooses_and_does_not_send(composer):
    composer.evaluate(COMPOSE, {"field": "#composer-text", "text": "", "syllable": "ありがとう", "enter": {}})
    assert sent(composer) == []
    composer.locator("#composer-text").press("Enter")
    assert sent(composer) == [["reply", "ありがとう", ""]]


def test_plain_enter_sends_on_chat_like_channels_and_shift_makes_a_line(composer):
    composer.locator("#composer-text").fill("one")
    composer.locator("#composer-text").press("Shift+Enter")
    composer.keyboard.type("two")
    assert sent(composer) == []
    composer.keyboard.press("Enter")
    assert sent(composer) == [["reply", "one\ntwo", ""]]


def test_on_mail_enter_makes_a_line_and_mod_enter_sends(composer):
    composer.evaluate("document.querySelector('#composer [name=route]').value = '2'")
    composer.locator("#composer-text").fill("Dear Ms Kim,")
    composer.keyboard.press("Enter")
    assert sent(composer) == []
    composer.keyboard.press("Control+Enter")
    assert sent(composer) == [["reply", "Dear Ms Kim,\n", ""]]


def test_mod_shift_enter_sends_and_solves(composer):
    composer.locator("#composer-text").fill("Done.")
    composer.keyboard.press("Control+Shift+Enter")
    assert sent(composer) == [["reply", "Done.", "solved"]]


def test_mod_enter_while_a_syllable_is_open(composer):
    composer.evaluate(COMPOSE, {"field": "#composer-text", "text": "네", "syllable": "요", "enter": {"ctrlKey": True}})
    assert sent(composer) == [["reply", "네요", ""]]


def test_a_note_is_never_sent_as_a_reply(composer):
    composer.locator("#composer-text").fill("to the customer")
    composer.keyboard.press("Escape")
    composer.keyboard.press("n")
    composer.keyboard.type("only for us")
    composer.keyboard.press("Enter")
    assert sent(composer) == []
    composer.keyboard.press("Control+Enter")
    assert [entry[:2] for entry in sent(composer)] == [["note", "only for us\n"]]


# --- The other elements --------------------------------------------------------------------------------------------


def test_splitter_by_keys_and_double_click(desk):
    splitter = desk.locator("#list > pane-splitter")
    splitter.focus()
    desk.keyboard.press("ArrowRight")
    assert splitter.get_attribute("aria-valuenow") == "360"
    assert desk.evaluate("document.getElementById('list').getBoundingClientRect().width") == 360
    desk.keyboard.press("End")
    assert splitter.get_attribute("aria-valuenow") == "480"
    splitter.dblclick()
    assert splitter.get_attribute("aria-valuenow") == "344"


def test_a_property_is_chosen_by_typing(desk):
    desk.keyboard.press("a")
    desk.keyboard.type("하늘")
    desk.keyboard.press("Enter")
    assert "이하늘" in desk.locator("#property-assignee-button").inner_text()
    assert desk.locator("#property-assignee input[type=hidden]").input_value() == "2"
    assert desk.evaluate("document.activeElement.id") == "property-assignee-button"


def test_the_palette_runs_what_one_finds(desk):
    desk.keyboard.press("Control+k")
    desk.keyboard.type("internal")
    desk.keyboard.press("Enter")
    expect(desk.locator("#composer-note")).to_be_focused()


def test_nothing_is_wider_than_the_screen(page, live_server, settings):
    settings.DEMO = True
    for width, pane in ((360, "list"), (320, "thread"), (360, "side"), (1000, "list"), (1200, "list")):
        page.set_viewport_size({"width": width, "height": 740})
        page.goto(f"{live_server}/styleguide/?part=workspace&pane={pane}")
        page.wait_for_selector("pane-splitter[aria-valuenow]", state="attached")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, pane
        wide = page.evaluate(
            """(width) => [...document.querySelectorAll(".app *")].filter((element) => element.checkVisibility()
          && element.getBoundingClientRect().right > width + 1 && !element.closest(".truncate, .tabs, [popover], .pane--side, .visually-hidden, .skip-links")
          ).map((element) => element.className?.baseVal ?? element.className)""",
            width,
        )
        assert wide == [], f"{pane} at {width} px"


@pytest.mark.csp_report  # axe itself adds a style element
@pytest.mark.parametrize("part", ["", "workspace", "reports", "states"])
def test_axe_finds_nothing(page, live_server, settings, part):
    settings.DEMO = True
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.goto(f"{live_server}/styleguide/?part={part}")
    page.wait_for_load_state("networkidle")
    assert found_in_both(page, part) == []
