"""What is new in a mail, and what it answers to."""

from __future__ import annotations

from time import process_time

import pytest

from channels_in.email.quotes import split

OUR_WORDS = "> 확인해 드리겠습니다.\n"


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        (
            f"안 왔습니다.\n감사합니다.\n\n2026년 11월 20일 (금) 오후 3:21, 상담팀 <help@x.example>님이 작성:\n\n{OUR_WORDS}",
            "안 왔습니다.\n감사합니다.",
        ),
        (
            f"네\n\n2026년 11월 20일 (금) 오후 3:21, 상담팀 고객센터 <a-long-address@x.example>\n님이 작성:\n{OUR_WORDS}",
            "네",
        ),
        (f"애플\n\n2026. 11. 20. 오후 3:21, 상담팀 <help@x.example> 작성:\n\n{OUR_WORDS}", "애플"),
        (f"썬더버드\n\n2026-11-20 오후 3:21에 상담팀 이(가) 쓴 글:\n{OUR_WORDS}", "썬더버드"),
        (
            "알겠습니다\n\n보낸 사람: 상담팀\n보낸 날짜: 2026년 11월 20일\n받는 사람: 민지\n제목: RE: 배송\n\n확인",
            "알겠습니다",
        ),
        ('네이버\n\n-----Original Message-----\nFrom: "상담팀"\nTo: <kim@x.example>\nSubject: Re\n\n본문', "네이버"),
        (
            "다음\n\n--------- 원본 메일 ---------\n보낸사람 : 상담팀\n받는사람 : kim@x.example\n제목 : 배송\n본문",
            "다음",
        ),
        ("Thanks!\n\nOn Fri, Nov 20, 2026 at 3:21 PM Help <help@x.example> wrote:\n> q\n", "Thanks!"),
        ("On 04/02/2012 06:26 PM, Help wrote:\n> Hi \nHello", "Hello"),
        ("Yes.\n\n> is it so?\n", "Yes."),
        ("감사합니다.\n김민지 드림", "감사합니다.\n김민지 드림"),
    ],
)
def test_only_new_words_are_visible(text: str, visible: str) -> None:
    result = split(text)
    assert result.visible == visible
    # Nothing is lost: every line is on one side of the fold.
    kept = f"{result.visible}\n{result.quoted}"
    assert all(line.strip() in kept for line in text.split("\n"))


@pytest.mark.parametrize(
    "text",
    [
        "On Monday, Help wrote:\n> q1\na1\n> q2\na2",
        "see below\n\nOn Fri, Nov 20, 2026 at 3:21 PM Help <help@x.example> wrote:\n> q1\nmy answer to q1\n> q2",
        "FYI\n\n---------- Forwarded message ---------\nFrom: B <b@x.example>\nDate: Fri\nSubject: hi\nTo: a@x.example\n\nThe content",
        "> only a quotation",
        "Subject: an order\nDate: today\n\nThe form's words",
    ],
)
def test_answers_between_the_lines_and_forwarded_mails_stay_whole(text: str) -> None:
    assert split(text) == (text, "")


@pytest.mark.parametrize(
    "text",
    [
        "On " + "a " * 50_000,
        "\n".join(["On " + "a b " * 70 + " wrote;:"] * 3000),
        "From: x\n" * 2000,
        "> " * 100_000,
        "2026년 1월 1일 " * 20_000,
        "\n".join(["From:" + " " * 390] * 3000),
    ],
)
def test_no_text_takes_long(text: str) -> None:
    started = process_time()
    split(text)
    assert process_time() - started < 3  # seconds of CPU; the parser's child has 5 for everything
