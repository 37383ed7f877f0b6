"""What the demo's customers and agents said. All people are invented.

The first four are people of the simulator too. A conversation begins `hours` before now; each line follows the one before by its own minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Person:
    """A customer. `tier` is "" or "vip"; `since` the year in which they first bought."""

    name: str
    language: str
    phone: str = ""
    email: str = ""
    tier: str = ""
    since: int | None = None
    organisation: str = ""


@dataclass(frozen=True)
class Line:
    """One step: in, out, note, solve, pending, hold, snooze, promise or rate. `minutes` after the step before."""

    what: Literal["in", "out", "note", "solve", "pending", "hold", "snooze", "promise", "rate"]
    text: str = ""
    minutes: int = 6
    by: str = ""  # an agent's key; "" = whoever has the ticket
    channel: str = ""  # the customer moves to another channel
    score: int = 0
    days: int = 0  # it sleeps until the morning of that day
    hours: float = 0  # from now on, by when something is promised


@dataclass(frozen=True)
class Conversation:
    person: str
    channel: str
    hours: float
    lines: tuple[Line, ...]
    subject: str = ""
    tags: tuple[str, ...] = field(default=())


def says(text: str, minutes: int = 6, channel: str = "") -> Line:
    return Line("in", text, minutes, channel=channel)


def replies(text: str, minutes: int = 9, by: str = "") -> Line:
    return Line("out", text, minutes, by)


def notes(text: str, minutes: int = 3, by: str = "") -> Line:
    return Line("note", text, minutes, by)


def solved(minutes: int = 2) -> Line:
    return Line("solve", minutes=minutes)


def pending(minutes: int = 1) -> Line:
    return Line("pending", minutes=minutes)


def on_hold(minutes: int = 1) -> Line:
    return Line("hold", minutes=minutes)


def snoozed(days: int, minutes: int = 2) -> Line:
    return Line("snooze", minutes=minutes, days=days)


def promises(text: str, hours: float, minutes: int = 1) -> Line:
    return Line("promise", text, minutes, hours=hours)


def rates(score: int, text: str = "", minutes: int = 25) -> Line:
    return Line("rate", text, minutes, score=score)


PEOPLE = {
    "seoyeon": Person("김서연", "ko", "+821055510001", "seoyeon.kim@mail.example", "vip", 2022),
    "jihoon": Person("박지훈", "ko", "+821055510002", "jihoon.park@mail.example"),
    "mikyung": Person("이미경", "ko", "+821055510003", "mikyung.lee@mail.example", since=2023),
    "haneul": Person("정하늘", "ko", "+821020010004", "haneul.jung@example.com"),
    "minho": Person("최민호", "ko", "+821020010005", "minho.choi@example.com", since=2021),
    "yuna": Person("강유나", "ko", "+821020010006", "yuna.kang@example.com"),
    "donghyun": Person("윤동현", "ko", "+821020010007", "donghyun.yoon@example.com", organisation="한빛디자인"),
    "sohee": Person("임소희", "ko", "+821020010008", "sohee.lim@example.com", "vip", 2020),
    "taeyang": Person("오태양", "ko", "+821020010009", "taeyang.oh@example.com"),
    "eunji": Person("신은지", "ko", "+821020010010", "eunji.shin@example.com"),
    "junseo": Person("홍준서", "ko", "+821020010011", "junseo.hong@example.com"),
    "nari": Person("배나리", "ko", "+821020010012", "nari.bae@example.com"),
    "sangwoo": Person("문상우", "ko", "+821020010013", "sangwoo.moon@example.com", organisation="푸른초등학교"),
    "bomi": Person("서보미", "ko", "+821020010014", "bomi.seo@example.com"),
    "amelia": Person("Amelia Hart", "en", "+447700900101", "amelia.hart@example.com", "vip", 2021),
    "noah": Person("Noah Bennett", "en", "+447700900102", "noah.bennett@example.com"),
    "priya": Person("Priya Nair", "en", "+14155550187", "priya.nair@mail.example", since=2024),
    "lucas": Person("Lucas Meyer", "en", "+447700900104", "lucas.meyer@example.com", organisation="Meyer & Co"),
    "zoe": Person("Zoë Martin", "en", "+447700900105", "zoe.martin@example.com"),
    "omar": Person("Omar Haddad", "en", "+447700900106", "omar.haddad@example.com"),
    "grace": Person("Grace O'Neill", "en", "+447700900107", "grace.oneill@example.com", "vip", 2019),
    "ethan": Person("Ethan Cole", "en", "+447700900108", "ethan.cole@example.com"),
    "mia": Person("Mia Tanaka", "en", "+447700900109", "mia.tanaka@example.com"),
    "henry": Person("Henry Walsh", "en", "+447700900110", "henry.walsh@example.com"),
    "chloe": Person("Chloe Dubois", "en", "+447700900111", "chloe.dubois@example.com"),
    "sam": Person("Sam Whitfield", "en", "+447700900112", "sam.whitfield@example.com", organisation="Whitfield Cafés"),
}

CONVERSATIONS = (
    # The openings of the five journeys, on the channels that exist.
    Conversation(
        "seoyeon", "whatsapp", 0.7,
        (says("어제 받은 운동화 240인데 너무 작아요ㅠ 반품되나요?", 0), says("주문번호 20261118-0042요", 2)),
        tags=("반품",),
    ),
    Conversation(
        "seoyeon", "email", 24 * 31,
        (
            says("지난주에 주문한 샌들 영수증을 다시 받을 수 있을까요? 회사 제출용입니다.", 0),
            replies("안녕하세요, 김서연 고객님. 영수증을 이 메일로 다시 보내드렸습니다. 확인 부탁드려요.", 18),
            says("확인했습니다. 빠른 답변 감사합니다!", 40),
            solved(), rates(5, "빨라서 좋았어요"),
        ),
        subject="샌들 주문 영수증 재발행 요청",
    ),
    Conversation(
        "jihoon", "webchat", 0.4,
        (says("기사님이 던지고 가셔서 계란이 다 깨졌어요. 교육하시고 결과 꼭 알려주세요.", 0),),
        tags=("배송", "파손"),
    ),
    Conversation(
        "mikyung", "sms", 13,
        (
            says("한우세트가 아직 안 왔어요. 내일 차례상에 올려야 하는데요", 0),
            replies("이미경 고객님, 지금 택배사에 위치를 확인하고 있습니다. 30분 안에 다시 연락드릴게요.", 7),
            notes("택배사 야간 당직 통화함. 집하장에 있음, 내일 오전 첫 배송 가능.", 14),
            replies("내일 오전 8시 30분 첫 배송으로 보내드리기로 했습니다. 도착하면 문자 드리겠습니다.", 6),
            says("네 그럼 내일 아침에 꼭 부탁드려요", 4),
        ),
        tags=("배송", "명절"),
    ),
    Conversation(
        "haneul", "whatsapp", 5.5,
        (
            says("쿠폰 왜 안 먹혀요?? 품절되겠네", 0),
            says("30% 쿠폰이요, 캡처 보냈어요", 3),
            replies("불편드려 죄송합니다. 쿠폰 오류를 확인했고 지금 고치는 중이에요. 장바구니 상품은 저희가 잡아둘게요.", 8),
            on_hold(),
        ),
        tags=("쿠폰",),
    ),
    Conversation(
        "minho", "sms", 30,
        (
            says("정수기 밑으로 물이 새요", 0),
            replies("많이 놀라셨겠어요. 먼저 정수기 아래 밸브를 잠가 주시겠어요? 손잡이를 가로로 돌리시면 됩니다.", 5),
            says("네", 3), says("네", 1), says("잠갔어요. 이제 안 새요", 2),
            replies("다행입니다. 기사 방문을 내일 14시로 잡아드렸어요. 괜찮으신가요?", 6),
            says("네 좋아요", 5), pending(),
        ),
        tags=("정수기", "방문"),
    ),
    # Waiting now.
    Conversation("yuna", "email", 1.6, (says("안녕하세요. 선물용으로 주문한 접시 세트 포장을 바꿀 수 있을까요? 아직 출고 전이면 좋겠습니다.", 0),), subject="선물 포장 변경 문의"),
    Conversation("amelia", "email", 2.2, (says("Hello, my order arrived with two left boots. Could you send the right one before Saturday? I am travelling on Sunday.", 0),), subject="Two left boots in one box"),
    Conversation("noah", "sms", 0.3, (says("Hi, is the Mapo shop open on Sunday?", 0),)),
    Conversation("sohee", "webchat", 0.2, (says("우수 고객 쿠폰이 사라졌어요. 어제까지 있었는데요.", 0),), tags=("쿠폰",)),
    Conversation("zoe", "whatsapp", 1.1, (says("The mug I bought leaks from the handle 😅 photo coming", 0), says("It is order 20261121-0187", 1))),
    Conversation("donghyun", "email", 3.4, (says("사무용 의자 20개 견적 부탁드립니다. 세금계산서 발행과 설치 일정도 함께 알려주세요.\n\n한빛디자인 윤동현", 0),), subject="의자 20개 견적 요청", tags=("견적",)),
    Conversation("lucas", "email", 4.0, (says("We would like to reorder the glass jars from spring, 400 pieces, delivered to Busan port. Is the price still valid?\n\nBest regards\nLucas Meyer", 0),), subject="Reorder: 400 glass jars", tags=("quote",)),
    Conversation("taeyang", "sms", 0.9, (says("배송조회가 이틀째 그대로예요", 0),), tags=("배송",)),
    Conversation("mia", "webchat", 0.6, (says("Do you ship kimchi to Japan in winter?", 0),)),
    Conversation("eunji", "whatsapp", 2.8, (says("니트 세탁했더니 줄었어요. 세탁 표시대로 했는데 교환 가능할까요?", 0),), tags=("교환",)),
    # In conversation.
    Conversation(
        "grace", "email", 6,
        (
            says("My name is spelt wrong on the engraved lunch box (ONEIL instead of O'NEILL). It is a birthday present for Friday.", 0),
            replies("Dear Grace, I am sorry about that. We are engraving a new one this afternoon and it leaves tonight by courier, free of charge.", 22),
            says("You are wonderful. Could the courier leave it with the concierge?", 35),
        ),
        subject="Engraving spelt wrong", tags=("vip-care",),
    ),
    Conversation(
        "junseo", "webchat", 1.4,
        (
            says("회원가입 인증번호가 안 와요", 0),
            replies("휴대폰 번호 뒤 네 자리를 알려주시면 발송 기록을 확인해 볼게요.", 2),
            says("0011입니다", 1),
            replies("스팸 차단에 걸려 있었어요. 차단 목록에서 저희 번호를 빼신 뒤 다시 눌러 주세요.", 3),
            says("왔어요! 근데 이번엔 비밀번호가 안 맞대요", 4),
        ),
    ),
    Conversation(
        "priya", "whatsapp", 7,
        (
            says("Can I change the delivery address for 20261123-0031?", 0),
            replies("Hi Priya, of course. Please send me the new address with the postcode.", 5),
            says("Flat 4, 21 Bongeunsa-ro, Gangnam-gu 06110", 6),
            notes("Address changed in the shop, courier told by phone.", 4),
            replies("Done. It will arrive there tomorrow between 10 and 14.", 2),
            pending(),
        ),
        tags=("delivery",),
    ),
    Conversation(
        "nari", "sms", 9,
        (
            says("오늘 온다던 가구 기사님이 연락이 없어요", 0),
            replies("배나리 고객님, 기사님이 앞 방문에서 늦어지고 있습니다. 18시 전에 도착한다고 하네요. 죄송합니다.", 11),
            says("6시 넘으면 제가 집에 없어요", 3),
            notes("기사님께 17:30 마감 요청. 안 되면 내일 첫 방문으로 변경.", 4),
            promises("방문 시간이 정해지면 문자로 알려드리기", 0.7),
            on_hold(),
        ),
        tags=("배송", "가구"),
    ),
    Conversation(
        "omar", "email", 20,
        (
            says("The desk lamp hums when it is dimmed. Is that normal?", 0),
            replies("Hello Omar, a quiet hum can come from the dimmer. Could you tell us its model, or send a photo of the label?", 48),
            pending(),
        ),
        subject="Lamp hums when dimmed",
    ),
    Conversation(
        "sangwoo", "email", 27,
        (
            says("학교 체육대회에 쓸 티셔츠 120벌을 단체 주문하려고 합니다. 이름 인쇄가 되나요?", 0),
            replies(
                "문상우 선생님, 안녕하세요. 이름 인쇄가 됩니다.\n\n- 비용: **한 벌에 1,500원**\n- 기간: 영업일 기준 5일\n\n"
                "명단을 엑셀로 보내주시면 견적을 드릴게요.",
                65,
            ),
            says("명단은 금요일까지 보내드리겠습니다.", 120),
            pending(),
        ),
        subject="단체 티셔츠 120벌", tags=("견적", "단체"),
    ),
    Conversation(
        "henry", "sms", 3.1,
        (
            says("Parcel says delivered but nothing here. Order 20261120-0077", 0),
            replies("Hi Henry, the driver's photo shows it with your neighbour at no. 12. Could you ask there?", 8),
            says("Not there, just asked", 13),
        ),
        tags=("delivery",),
    ),
    Conversation(
        "bomi", "webchat", 4.6,
        (
            says("유기농 쌀 정기배송 주기를 2주로 바꾸고 싶어요", 0),
            replies("바꿔드렸어요. 다음 배송은 12월 2일입니다.", 4),
            says("한 번 건너뛸 수도 있나요?", 2),
            replies("네, 마이페이지 > 정기배송에서 '이번 회차 건너뛰기'를 누르시면 됩니다.", 3),
            pending(),
        ),
        tags=("정기배송",),
    ),
    Conversation(
        "sam", "email", 50,
        (
            says("Our weekly coffee order came without the decaf again. That is the third week.", 0),
            replies("Sam, that must not happen three times. Your decaf leaves today, and I have asked our warehouse why.", 30),
            notes("Warehouse: the decaf has a wrong shelf label. Being fixed.", 60),
            promises("Tell Sam what the warehouse has found out", 28),
            on_hold(), says("Thank you. Please tell me what you find out.", 200),
        ),
        subject="Decaf missing, third week", tags=("delivery", "b2b"),
    ),
    Conversation(
        "chloe", "whatsapp", 26,
        (
            says("Bonjour! Do you have the blue raincoat in 36?", 0),
            replies("Hello Chloe, it comes back on Thursday. Shall I reserve one for you?", 16),
            says("Yes please", 30), snoozed(3),
        ),
    ),
    # Solved, in the weeks before.
    Conversation("yuna", "sms", 24 * 3, (says("매장 주차되나요?", 0), replies("네, 2시간 무료입니다. 영수증을 보여주세요.", 4), solved(), rates(4)),),
    Conversation("noah", "email", 24 * 4, (says("Could I get an invoice with our VAT number?", 0), replies("Attached to your account now, Noah.", 41), says("Perfect, thanks.", 12), solved(), rates(5)), subject="Invoice with VAT number", tags=("invoice",)),
    Conversation("taeyang", "webchat", 24 * 2, (says("포인트가 안 쌓였어요", 0), replies("확인해 보니 결제 취소 후 재결제라 누락됐네요. 1,200점 넣어드렸어요.", 3), says("감사합니다", 1), solved(), rates(5, "친절해요"))),
    Conversation("ethan", "sms", 24 * 5, (says("Can you deliver after 7 pm?", 0), replies("Yes: choose 'evening' at checkout, it is free this month.", 6), solved())),
    Conversation("eunji", "email", 24 * 6, (says("환불이 아직 안 들어왔습니다. 지난주 수요일에 반품했어요.", 0), replies("카드사 처리까지 영업일 3~5일 걸립니다. 오늘 승인 취소가 접수된 것을 확인했어요.", 95), says("들어왔어요. 확인 감사합니다.", 900), solved(), rates(3, "좀 오래 걸렸어요")), subject="환불 확인 부탁드립니다", tags=("환불",)),
    Conversation("amelia", "whatsapp", 24 * 8, (says("Is the tea set microwave safe?", 0), replies("The cups are, the pot with the gold rim is not.", 7), says("Good to know!", 2), solved(), rates(5))),
    Conversation("jihoon", "email", 24 * 9, (says("장바구니 금액과 결제 금액이 다릅니다.", 0), replies("배송비 3,000원이 결제 단계에서 더해졌습니다. 3만 원 이상이면 무료예요.", 55), solved(), rates(2, "미리 표시해 주세요")), subject="결제 금액이 달라요", tags=("결제",)),
    Conversation("zoe", "webchat", 24 * 7, (says("Where can I see my old orders?", 0), replies("Top right, your initials, then Orders. They go back five years.", 2), says("Found it", 1), solved(), rates(4))),
    Conversation("minho", "email", 24 * 12, (says("필터 교체 주기가 궁금합니다.", 0), replies("6개월마다 교체하시면 됩니다. 다음은 3월이에요. 그때 문자로 알려드릴게요.", 34), solved(), rates(5)), subject="정수기 필터 교체 주기", tags=("정수기",)),
    Conversation("lucas", "whatsapp", 24 * 10, (says("Is the Busan warehouse open during Chuseok?", 0), replies("Closed from Thursday to Saturday, open again on Monday at 9.", 21), says("Thank you", 3), solved())),
    Conversation("sohee", "sms", 24 * 11, (says("선물하기 취소하고 싶어요", 0), replies("받는 분이 아직 수락하지 않으셔서 취소했습니다. 환불은 오늘 안에 됩니다.", 5), solved(), rates(5))),
    Conversation("priya", "email", 24 * 13, (says("The recipe card in my box was in Korean only. Is there an English one?", 0), replies("Here you are, in English. We will put both in from next month.", 70), says("That is lovely of you.", 33), solved(), rates(5, "Answered like a friend")), subject="Recipe card in English?", tags=("recipe",)),
    Conversation("haneul", "webchat", 24 * 14, (says("비밀번호를 잊어버렸어요", 0), replies("로그인 화면의 '비밀번호 찾기'로 메일을 보내드렸어요.", 2), solved())),
    Conversation("grace", "sms", 24 * 15, (says("Please call off the gift wrap for 20261110-0090", 0), replies("Done, Grace. 3,000 won go back to your card.", 4), solved(), rates(5))),
    Conversation("donghyun", "email", 24 * 16, (says("세금계산서 이메일 주소를 바꿔주세요.", 0), replies("변경했습니다. 이번 달 것부터 새 주소로 나갑니다.", 40), solved(), rates(4)), subject="세금계산서 수신 주소 변경", tags=("세금계산서",)),
    Conversation("omar", "whatsapp", 24 * 17, (says("How do I pair the speaker?", 0), replies("Hold the round button for five seconds until it blinks blue.", 3), says("Works 👍", 4), solved(), rates(5)), tags=("speaker",)),
    Conversation("nari", "email", 24 * 18, (says("소파 다리 나사가 하나 모자랍니다.", 0), replies("죄송합니다. 나사 세트를 오늘 우편으로 보냈어요. 이틀 안에 도착합니다.", 62), says("받았습니다. 감사합니다.", 2900), solved(), rates(4)), subject="소파 나사 부족", tags=("가구", "부품")),
    Conversation("henry", "webchat", 24 * 19, (says("Discount for students?", 0), replies("10 % with a student address, at checkout under 'Benefits'.", 2), solved(), rates(3))),
    Conversation("junseo", "sms", 24 * 20, (says("주문 취소해주세요 20261105-0012", 0), replies("아직 출고 전이라 바로 취소했습니다.", 3), solved(), rates(5))),
    Conversation("mia", "email", 24 * 21, (says("My parcel was opened by customs and one jar is missing.", 0), replies("We are sending a new jar today, Mia. No need to do anything with customs.", 130), solved(), rates(4, "Kind, but it took two hours")), subject="Opened by customs", tags=("customs",)),
    Conversation("bomi", "whatsapp", 24 * 22, (says("쌀벌레가 나왔어요 ㅠㅠ", 0), replies("정말 죄송합니다. 새 상품을 내일 보내드리고 회수해 갈게요.", 6), says("네 알겠어요", 5), solved(), rates(2, "다시는 없었으면 해요")), tags=("품질",)),
    Conversation("chloe", "email", 24 * 23, (says("Can I return a gift without the receipt?", 0), replies("Yes, with the order number on the parcel label. You get a voucher.", 58), solved()), subject="Return without a receipt", tags=("return",)),
    Conversation("sangwoo", "sms", 24 * 24, (says("교사 할인 되나요?", 0), replies("재직증명서를 올려주시면 5% 할인됩니다.", 9), solved(), rates(4))),
    Conversation("sam", "webchat", 24 * 25, (says("Our account manager's number please", 0), replies("Ms Han, 02-555-0199, weekdays 9 to 18.", 2), solved(), rates(5))),
    Conversation("ethan", "email", 24 * 26, (says("You charged me twice for order 20261030-0005.", 0), replies("You are right: one of the two was a failed 3-D Secure try. Your bank frees it within three days.", 75), says("It is back, thanks.", 4000), solved(), rates(4)), subject="Charged twice", tags=("payment",)),
    Conversation("mikyung", "email", 24 * 27, (says("추석 선물세트 예약 일정이 궁금합니다.", 0), replies("9월 1일부터 예약을 받습니다. 우수 고객님은 하루 먼저 여실 수 있어요.", 44), solved(), rates(5)), subject="추석 선물세트 예약", tags=("명절",)),
    Conversation("seoyeon", "sms", 24 * 28, (says("매장 픽업으로 바꿀 수 있나요?", 0), replies("네, 홍대점으로 바꿔드렸어요. 오늘 16시부터 찾으실 수 있습니다.", 5), says("감사합니다~", 2), solved(), rates(5))),
    Conversation("zoe", "email", 24 * 29, (says("The zip of my jacket broke after a week.", 0), replies("Send it to us with the enclosed label, we repair it free of charge.", 66), says("Sent today.", 1500), replies("Repaired and on its way back.", 4200), solved(), rates(5)), subject="Broken zip", tags=("repair",)),
    Conversation("eunji", "webchat", 24 * 30, (says("앱에서 결제가 안 돼요", 0), replies("앱을 최신 버전으로 올리신 뒤 다시 시도해 주시겠어요?", 2), says("되네요", 6), solved())),
    Conversation("taeyang", "email", 24 * 33, (says("현금영수증 발급 부탁드립니다.", 0), replies("발급했습니다. 국세청에는 내일 반영됩니다.", 25), solved(), rates(4)), subject="현금영수증", tags=("결제",)),
    Conversation("noah", "whatsapp", 24 * 35, (says("Can the cafe do vegan on Monday?", 0), replies("Yes, two vegan sets, and the cake on request.", 8), solved(), rates(5))),
)  # fmt: skip
