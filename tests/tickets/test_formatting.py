"""An agent's marks: what is formatted, what stays as it was written, and that nothing else ever becomes HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from django.template.defaultfilters import urlize
from hypothesis import given
from hypothesis import strategies as st

from tickets import formatting

FORMATTED = [
    # written, HTML, plain
    ("**bold**", "<strong>bold</strong>", "bold"),
    ("_italic_", "<em>italic</em>", "italic"),
    ("**강조**는", "<strong>강조</strong>는", "강조는"),
    ("_강조_는", "<em>강조</em>는", "강조는"),
    ("무료**반품**은", "무료<strong>반품</strong>은", "무료반품은"),
    ("중요:**확인**해 주세요", "중요:<strong>확인</strong>해 주세요", "중요:확인해 주세요"),
    ("※**주의**, (**필독**)", "※<strong>주의</strong>, (<strong>필독</strong>)", "※주의, (필독)"),
    ("**“인용”**입니다", "<strong>“인용”</strong>입니다", "“인용”입니다"),
    ("**-20%**까지", "<strong>-20%</strong>까지", "-20%까지"),
    ("**これ**は", "<strong>これ</strong>は", "これは"),
    ("a _b_, **c**.", "a <em>b</em>, <strong>c</strong>.", "a b, c."),
    ("**_both_** _**both**_", "<strong><em>both</em></strong> <em><strong>both</strong></em>", "both both"),
    ("**a ** b**", "<strong>a ** b</strong>", "a ** b"),
    ("**a _b** c_", "<strong>a _b</strong> c_", "a _b c_"),
    ("snake_case and _it_", "snake_case and <em>it</em>", "snake_case and it"),
    ("[here](https://a.example/b_c_)", '<a href="https://a.example/b_c_" rel="nofollow">here</a>', "here (https://a.example/b_c_)"),
    ("[**위키**](https://a.example/서울_(도시))", '<a href="https://a.example/서울_(도시)" rel="nofollow"><strong>위키</strong></a>', "위키 (https://a.example/서울_(도시))"),
    ("[us](mailto:a_b@c.example)", '<a href="mailto:a_b@c.example" rel="nofollow">us</a>', "us (a_b@c.example)"),
    ("[call](tel:+8210)", '<a href="tel:+8210" rel="nofollow">call</a>', "call (+8210)"),
    ("[https://a.example](https://a.example)", '<a href="https://a.example" rel="nofollow">https://a.example</a>', "https://a.example"),
    ("[a.example](https://a.example)", '<a href="https://a.example" rel="nofollow">a.example</a>', "https://a.example"),
    ("[a@c.example](mailto:a@c.example)", '<a href="mailto:a@c.example" rel="nofollow">a@c.example</a>', "a@c.example"),
    ('[a](https://b.example/?c=1&d=2) "', '<a href="https://b.example/?c=1&amp;d=2" rel="nofollow">a</a> &quot;', 'a (https://b.example/?c=1&d=2) "'),
    ("_https://a.example/b_c_", '<em><a href="https://a.example/b_c" rel="nofollow">https://a.example/b_c</a></em>', "https://a.example/b_c"),
    ("**https://a.example/b**는", '<strong><a href="https://a.example/b" rel="nofollow">https://a.example/b</a></strong>는', "https://a.example/b는"),
    ("- a\n- **b**", "<ul><li>a</li><li><strong>b</strong></li></ul>", "- a\n- b"),
    ("1. a\n2. b\n3. c", "<ol><li>a</li><li>b</li><li>c</li></ol>", "1. a\n2. b\n3. c"),
    ("Hi\n\n- a\n- b\n\nBye", "Hi\n\n<ul><li>a</li><li>b</li></ul>\nBye", "Hi\n\n- a\n- b\n\nBye"),
    ("- a\n- b\n1. c\n2. d", "<ul><li>a</li><li>b</li></ul><ol><li>c</li><li>d</li></ol>", "- a\n- b\n1. c\n2. d"),
    ("  **a**\r\n\r\n   b  c", "  <strong>a</strong>\n\n   b  c", "  a\n\n   b  c"),
    ("**<b>** & <script>", "<strong>&lt;b&gt;</strong> &amp; &lt;script&gt;", "<b> & <script>"),
]  # fmt: skip

LITERAL = [
    "2*3*4", "2 * 3 * 4", "*one asterisk*", "2**3**4", "010-****-1234", "010-12**-34**", "900101-1******", "김**님과 박**님", "hong**@a.example, kim**@a.example",
    "src/**/a/**/b", "5,000원** (**부가세 별도", "** a **", "****", "***x***", "**", "__init__", "_id", "_ a _", "file_name_here", "보고서_최종_수정.hwp",
    "first_last@a.example", "https://a.example/_b_/c**", "^_^ hi ^_^", "-_- -_-", "ㅠ_ㅠ ㅠ_ㅠ", "T_T", "*_* ok *_*", "Bye\n- Mina", "-- \nMina", "1) a\n2) b", "1. a",
    "2024. 5. 3.\n2025. 5. 3.", "2. b\n3. c", "* a\n* b", "-a\n-b", "- \n- ", "  - a\n  - b", "- a\n\n- b", "# a", "> a", "`a`", "![a](/b.png)", "---", "a  \nb\n\n\nc",
    "**a\nb**", "[a](/b)", "[a]", "[a][b]", "[](https://a.example)", "[a](https://)", "[a](javascript:alert(1))", "[a](JaVaScRiPt:alert(1))", "[a](data:text/html,x)",
    "[a]( https://a.example)", '[a](https://a.example "t")', "[a\nb](https://a.example)", "<b>a</b>", "<a href='javascript:x'>", "&lt;b&gt; &amp;amp;", "<https://a.example>",
    "\\*\\*a", "",
]  # fmt: skip


@pytest.mark.parametrize(("written", "html", "plain"), FORMATTED)
def test_marks_are_formatting(written: str, html: str, plain: str) -> None:
    assert formatting.as_html(written) == html
    assert formatting.as_plain(written) == plain
    assert formatting.has_marks(written)


@pytest.mark.parametrize("written", LITERAL)
def test_what_only_looks_like_a_mark_stays_as_it_was_written(written: str) -> None:
    assert formatting.as_html(written) == urlize(written)
    assert formatting.as_plain(written) == written
    assert not formatting.has_marks(written)


def test_a_provider_gets_its_own_signs() -> None:
    written = "**굵게**와 _기울임_, [여기](https://a.example/b_c)\n- **_a_**\n- b * c"
    assert (
        formatting.as_signed(written, "*", "_") == "*굵게*와 _기울임_, 여기 (https://a.example/b_c)\n- *_a_*\n- b * c"
    )


def test_a_page_that_builds_its_own_nodes_gets_a_tree_of_words() -> None:
    assert formatting.as_tree("**a** [b](https://c.example)\n- d\n- _e_") == [
        {"tag": "strong", "in": ["a"]},
        " ",
        {"tag": "a", "in": ["b"], "href": "https://c.example"},
        "\n",
        {"tag": "ul", "in": [{"tag": "li", "in": ["d"]}, {"tag": "li", "in": [{"tag": "em", "in": ["e"]}]}]},
    ]


# -- Whatever is written ----------------------------------------------------------------------------------------------

PIECES = [
    "**", "_", "*", "__", "[", "]", "](https://a.example/b_c)", "](javascript:alert(1))", "](", ")", "(", "- ", "1. ", "2. ", "\n", "\r\n", " ", "a", "B7", "강조", "는", "é",
    "<script>", "<img src=x onerror=alert(1)>", "&lt;", "&", '"', "'", "https://c.example/_d_", "://", "www.e.example", "f_g@h.example", "`", "\\", "^_^", "<", ">",
]  # fmt: skip
texts = st.one_of(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.text(max_size=80))


class Seen(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words = ""
        self.addresses: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"a", "strong", "em", "ul", "ol", "li"}
        assert tag == "a" or not attrs
        assert {name for name, _value in attrs} <= {"href", "rel"}
        for name, value in attrs:
            assert name != "href" or re.match(r"(https?://|mailto:|tel:)", value or "", re.IGNORECASE)
        assert not (tag == "a" and "a" in self.open)
        self.addresses += [value or "" for name, value in attrs if name == "href"]
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


@given(texts)
def test_no_text_becomes_a_tag_that_is_not_ours(text: str) -> None:
    seen = Seen(formatting.as_html(text))
    assert seen.open == []


def letters(text: str) -> str:
    return "".join(c for c in text if c.isalnum())


@given(texts)
def test_no_form_loses_a_letter(text: str) -> None:
    assert letters(formatting.as_plain(text)) == letters(text)
    assert letters(formatting.as_signed(text, "*", "_")) == letters(text)
    seen = Seen(formatting.as_html(text))
    assert {c for c in letters(text) if not c.isdigit()} <= {*letters(seen.words), *letters("".join(seen.addresses))}
