"""What our card terminals say: believed or not, kept without card data, answered as they expect."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.payments.channels.causes import Accepted, Cause, Refused
from services.payments.channels.iso8583_codec import FIELDS, Frame, decode, split_frame
from services.payments.channels.pos_8583 import FORBIDDEN, Heard, hear, order_number_of
from services.payments.channels.profile import Pos8583Profile, Pos8583Terminal
from services.payments.notices import PaymentNotice
from services.payments.order_number import make_order_number
from services.payments.webhooks import notice_key
from simulators.gateways.terminal import Request, Terminal, unpack
from tests.unit.payments.test_iso8583_codec import SALE, SIGN_ON, mutated
from tests.unit.payments.vectors import PAYER_KEY

KEY = bytes.fromhex("55036372B17543ECB173730768B8D6C4")
MERCHANT, TERMINAL = "88758D048165555", "58D01115"
NOW = 1767225606  # 2026-01-01 08:00:06 in Shanghai
BEFORE_MIDNIGHT, AFTER_MIDNIGHT = 1767283199, 1767283201
CARD = "6228480402564890018"
ORDER = make_order_number("1000000042", "26010001")
PROFILE = Pos8583Profile(
    name="front-1",
    terminals={TERMINAL: Pos8583Terminal(merchant=MERCHANT, mac_key=KEY)},
    payer_key=PAYER_KEY,
)
TRANSACTION = f"{MERCHANT}-{TERMINAL}-000001-000001"


@pytest.fixture
def terminal() -> Terminal:
    return Terminal("127.0.0.1", 1, mac_key=KEY)


def heard(request: Request, now_unix: int = NOW, profile: Pos8583Profile = PROFILE) -> Heard:
    return hear(profile, request.frame[2:], now_unix)


def notice_of(found: Heard) -> PaymentNotice:
    assert isinstance(found.verdict, Accepted), found.verdict
    return found.verdict.notice


def reply_of(found: Heard) -> dict[int, str]:
    assert found.reply is not None
    return unpack(found.reply[13:])[1]


def refused_as(found: Heard) -> tuple[Cause, str, str]:
    assert isinstance(found.verdict, Refused)
    return found.verdict.cause, found.verdict.detail, reply_of(found)[39]


def test_published_sign_on_is_answered() -> None:
    found = hear(PROFILE, SIGN_ON[2:], NOW)
    notice = notice_of(found)
    assert (notice.kind, notice.state, notice.amount_fen) == ("information", "0800", 0)
    assert notice.channel_txn_id == f"{MERCHANT}-{TERMINAL}-000001-001247-0800"
    assert found.reply is not None
    assert found.reply[:13].hex() == "004c" + "6000000006" + "602200000000"
    mti, fields, mac_at = unpack(found.reply[13:])
    assert (mti, mac_at) == ("0810", None)
    assert fields == {
        11: "001247",
        12: "080006",
        13: "0101",
        15: "0101",
        37: fields[37],
        39: "00",
        41: TERMINAL,
        42: MERCHANT,
        60: "00260101003",  # the day is the batch that the terminal uses from now on
    }


def test_sale(terminal: Terminal) -> None:
    sale = terminal.sale_of(12345, order_no=ORDER, card=CARD)
    found = heard(sale)
    notice = notice_of(found)
    assert (notice.channel, notice.kind, notice.state) == ("pos_8583", "captured", "0200")
    assert (notice.amount_fen, notice.currency) == (12345, "CNY")
    assert (notice.merchant, notice.channel_txn_id) == (MERCHANT, TRANSACTION)
    assert (notice.out_trade_no, notice_key(notice)) == (ORDER, "1000000042")
    assert (notice.occurred_at, notice.bill_on) == ("2026-01-01T00:00:06Z", "2026-01-01")
    assert len(notice.payer_hash) == 32
    rrn = notice.references.pop("rrn")
    assert notice.references == {
        "terminal": TERMINAL,
        "batch": "000001",
        "stan": "000001",
        "card": "622848*********0018",
    }
    reply = reply_of(found)
    assert (reply[39], reply[37], reply[4]) == ("00", rrn, "000000012345")
    assert 2 not in reply
    assert found.reply is not None
    assert found.reply[-8:] == terminal.mac(found.reply[13:-8])


def test_reversal_has_the_key_of_its_sale(terminal: Terminal) -> None:
    for order_no in ("", ORDER):
        sale = terminal.sale_of(12345, order_no=order_no, card=CARD)
        first = notice_of(heard(sale, BEFORE_MIDNIGHT))
        back = notice_of(heard(terminal.reversal_of(sale), AFTER_MIDNIGHT))
        assert back.kind == "reversed"
        assert back.original_txn_id == first.channel_txn_id
        assert back.channel_txn_id == f"{first.channel_txn_id}-0400"
        assert back.amount_fen == 12345
        assert notice_key(back) == notice_key(first)
        assert back.payer_hash == first.payer_hash
        assert back.references["reason"] == "98"
        assert back.references["failure_cause"] == "timeout_unknown"


def test_a_repetition_after_midnight_is_the_same_payment(terminal: Terminal) -> None:
    sale = terminal.sale_of(12345)
    first, again = (notice_of(heard(sale, at)) for at in (BEFORE_MIDNIGHT, AFTER_MIDNIGHT))
    assert first.channel_txn_id == again.channel_txn_id
    assert first.references["rrn"] == again.references["rrn"]
    assert (first.bill_on, again.bill_on) == ("2026-01-01", "2026-01-02")


def test_a_reversal_without_a_reason(terminal: Terminal) -> None:
    sale = terminal.sale_of(12345)
    fields = dict(sale.fields)
    for code in ("", "00"):
        fields |= {39: code} if code else {}
        back = notice_of(heard(terminal.request("0400", fields)))
        assert "reason" not in back.references


def test_settlement_of_a_batch(terminal: Terminal) -> None:
    totals = f"{34567:012d}{3:03d}{1200:012d}{1:03d}0" + "0" * 31
    fields = {11: "000009", 41: TERMINAL, 42: MERCHANT, 48: totals, 60: "00000001201"}
    found = heard(terminal.request("0500", fields, with_mac=False))
    notice = notice_of(found)
    assert (notice.kind, notice.state, notice.amount_fen) == ("information", "0500", 0)
    assert notice.references == {
        "terminal": TERMINAL,
        "batch": "000001",
        "stan": "000009",
        "rrn": notice.references["rrn"],
        "debit_fen": "34567",
        "debit_count": "3",
        "credit_fen": "1200",
        "credit_count": "1",
    }
    reply = reply_of(found)
    assert reply[48] == totals[:30] + "1" + "0" * 30 + "1"
    assert decode(found.kept).fields[48] == totals
    assert refused_as(heard(terminal.request("0500", fields | {48: "12"}, with_mac=False))) == (
        Cause.MALFORMED,
        "field 48 holds no totals of a batch",
        "30",
    )
    del fields[48]
    assert refused_as(heard(terminal.request("0500", fields, with_mac=False)))[2] == "30"


@pytest.mark.parametrize(("lines", "told"), [("02" + "4" * 80, {"lines": "2"}), ("", {})])
def test_a_batch_that_is_sent_again_is_noted_without_its_card_numbers(
    terminal: Terminal, lines: str, told: dict[str, str]
) -> None:
    fields = {11: "000010", 41: TERMINAL, 42: MERCHANT, 60: "00000001201"}
    fields |= {48: lines} if lines else {}
    found = heard(terminal.request("0320", fields, with_mac=False))
    notice = notice_of(found)
    assert (notice.kind, notice.state, notice.amount_fen) == ("information", "0320", 0)
    assert notice.references.items() >= told.items()
    assert ("lines" in notice.references) == bool(lines)
    assert notice.channel_txn_id.endswith("-000001-000010-0320")
    assert 48 not in decode(found.kept).fields
    assert found.reply is not None
    assert found.reply[13:15].hex() == "0330"
    assert reply_of(found)[39] == "00"


def test_settlement_result_is_of_the_profile(terminal: Terminal) -> None:
    fields = {11: "000009", 41: TERMINAL, 42: MERCHANT, 48: "0" * 31 + "77", 60: "00000001201"}
    profile = Pos8583Profile(
        name="f", terminals=PROFILE.terminals, payer_key=PAYER_KEY, settlement_result="2"
    )
    found = heard(terminal.request("0500", fields, with_mac=False), profile=profile)
    assert reply_of(found)[48] == "0" * 30 + "2" + "77"


def test_generated_sale_has_a_placeholder_for_a_mac() -> None:
    found = hear(PROFILE, SALE, NOW)
    assert refused_as(found) == (
        Cause.SIGNATURE_INVALID,
        "field 64 is not the MAC of the message",
        "A0",
    )


Change = dict[int, str | None]


@pytest.mark.parametrize(
    ("mti", "change", "cause", "detail", "code"),
    [
        ("0200", {35: f"{CARD}D4912"}, Cause.MALFORMED, "field 35, track 2, must not", "30"),
        ("0220", {}, Cause.MALFORMED, "messages of type 0220 are not supported", "40"),
        ("0200", {11: None}, Cause.MALFORMED, "field 11 is missing", "30"),
        ("0200", {60: None}, Cause.MALFORMED, "field 60 is missing", "30"),
        ("0200", {60: "22"}, Cause.MALFORMED, "field 41, 42 or 60 has not the form", "30"),
        ("0200", {41: "58D0 115"}, Cause.MALFORMED, "field 41, 42 or 60 has not the form", "30"),
        ("0200", {42: "88758D04816555*"}, Cause.MALFORMED, "field 41, 42 or 60 has", "30"),
        ("0200", {41: "58D01116"}, Cause.MERCHANT_MISMATCH, "field 41 is no terminal", "97"),
        ("0200", {42: "88758D048165556"}, Cause.MERCHANT_MISMATCH, "field 42 is not the", "03"),
        ("0200", {3: "200000"}, Cause.MALFORMED, "field 3: of sales and reversals", "40"),
        ("0400", {3: "200000"}, Cause.MALFORMED, "field 3: of sales and reversals", "40"),
        ("0200", {49: "840"}, Cause.CURRENCY_MISMATCH, "field 49 is not CNY", "12"),
        ("0200", {4: "000000000000"}, Cause.MALFORMED, "field 4 is no amount above", "13"),
        ("0200", {4: None}, Cause.MALFORMED, "field 4 is no amount above zero", "13"),
        ("0200", {2: "6228"}, Cause.MALFORMED, "field 2 is no card number", "30"),
    ],
)
def test_what_is_refused(
    terminal: Terminal, mti: str, change: Change, cause: Cause, detail: str, code: str
) -> None:
    fields: Change = {**terminal.sale_of(100, card=CARD).fields, **change}
    given_fields = {number: value for number, value in fields.items() if value is not None}
    found = heard(terminal.request(mti, given_fields))
    found_cause, found_detail, found_code = refused_as(found)
    assert (found_cause, found_code) == (cause, code)
    assert found_detail.startswith(detail)
    assert CARD not in found_detail


def test_mac_is_needed_where_money_moves(terminal: Terminal) -> None:
    sale = terminal.sale_of(100)
    bare = terminal.request("0200", sale.fields, with_mac=False)
    assert refused_as(heard(bare)) == (
        Cause.SIGNATURE_INVALID,
        "field 64, the MAC, is missing",
        "A0",
    )
    assert refused_as(heard(terminal.spoiled(sale)))[2] == "A0"
    signed_on = terminal.request("0800", {**sale.fields, 60: "00000001003"})
    assert notice_of(heard(signed_on)).kind == "information"
    assert refused_as(heard(terminal.spoiled(signed_on)))[2] == "A0"


def test_an_answer_is_no_request(terminal: Terminal) -> None:
    found = heard(terminal.request("0210", terminal.sale_of(100).fields))
    assert (found.reply, found.kept) == (None, b"")
    assert found.verdict == Refused(
        cause=Cause.MALFORMED, detail="0210 is an answer: terminals ask"
    )


def test_nothing_is_kept_of_what_nobody_can_read() -> None:
    found = hear(PROFILE, b"\x60" + CARD.encode() * 3, NOW)
    assert (found.reply, found.kept) == (None, b"")
    assert isinstance(found.verdict, Refused)
    assert found.verdict.detail.startswith("58 bytes are no message: ")
    assert CARD not in found.verdict.detail


SECRETS = {
    14: "4912",
    35: "6228480402564890018D4912201",
    36: "996228480402564890018D156",
    45: "B6228480402564890018^ZHANG/SAN^4912",
    52: "0A1B2C3D4E5F6071",
    55: "9F2608A1B2C3D4E5F60718",
    59: "card 6228480402564890018",
    63: "6228480402564890018",
}


@settings(deadline=None, max_examples=60)
@given(
    st.fixed_dictionaries({}, optional={n: st.just(value) for n, value in SECRETS.items()}),
    st.sampled_from(["0200", "0400", "0800", "0220"]),
    st.booleans(),
)
def test_card_data_never_leaves(secrets: dict[int, str], mti: str, is_known: bool) -> None:
    from services.payments.channels.iso8583_codec import encode

    fields = {
        2: CARD,
        3: "000000",
        4: "000000000100",
        11: "000001",
        41: TERMINAL,
        42: MERCHANT if is_known else "622848040256489",
        60: "22000001000",
        62: CARD.encode().hex().upper(),
    } | secrets
    raw = encode(mti, fields)
    frame = Frame(tpdu=b"\x60" + bytes(4), header=bytes(6), message=raw)
    found = hear(PROFILE, frame.tpdu + frame.header + frame.message, NOW)
    detail = found.verdict.detail if isinstance(found.verdict, Refused) else ""
    # There is no MAC. A sign-on needs none, and then what is not looked at is not kept either.
    assert detail or (mti == "0800" and is_known)
    kept = decode(found.kept)
    assert kept.fields[2] == "622848FFFFFFFFF0018"
    assert not set(kept.fields) & (set(FORBIDDEN) | {14, 59, 62, 63})
    for place in (found.kept, found.reply or b"", detail.encode()):
        for card in (CARD.encode(), bytes.fromhex(CARD + "0")):
            assert card not in place
        for number, secret in secrets.items():
            form = FIELDS[number].form
            packed = (
                secret.encode() if form == "text" else bytes.fromhex(secret[: len(secret) // 2 * 2])
            )
            assert packed not in place
    if secrets.keys() & FORBIDDEN.keys():
        first = min(secrets.keys() & FORBIDDEN.keys())
        assert detail.startswith(f"field {first}, ")


def test_a_card_number_in_the_place_of_a_merchant_is_masked(terminal: Terminal) -> None:
    fields = terminal.sale_of(100).fields | {42: "378282246310005", 41: "00000000"}
    found = heard(terminal.request("0200", fields))
    assert decode(found.kept).fields[42] == "378282*****0005"


def test_kept_of_a_message_that_names_nobody(terminal: Terminal) -> None:
    found = heard(terminal.request("0200", {4: "000000000100", 63: "x"}))
    assert decode(found.kept).fields == {4: "000000000100", 64: decode(found.kept).fields[64]}
    assert reply_of(found).keys() == {4, 12, 13, 15, 39}


def test_kept_order_number(terminal: Terminal) -> None:
    found = heard(terminal.sale_of(100, order_no=ORDER))
    kept = decode(found.kept)
    assert bytes.fromhex(kept.fields[62]) == ORDER.encode()
    stranger = heard(terminal.sale_of(100, order_no="20260101-0001"))
    assert 62 not in decode(stranger.kept).fields
    assert notice_of(stranger).out_trade_no == ""
    assert notice_key(notice_of(stranger)).startswith("pos_8583:")


def test_order_number_in_a_field_of_text(terminal: Terminal) -> None:
    profile = Pos8583Profile(
        name="f", terminals=PROFILE.terminals, payer_key=PAYER_KEY, order_field=63
    )
    sale = terminal.sale_of(100)
    request = terminal.request("0200", sale.fields | {63: f" {ORDER} ", 62: ORDER})
    found = heard(request, profile=profile)
    assert notice_of(found).out_trade_no == ORDER
    kept = decode(found.kept)
    assert kept.fields[63] == ORDER
    assert 62 not in kept.fields
    binary = decode(split_frame(terminal.request("0200", {62: "\x01" * 20}).frame[2:]).message)
    assert order_number_of(PROFILE, binary) == ""


def test_mutated_frames_are_judged_without_an_exception(terminal: Terminal) -> None:
    rng = random.Random(8583)
    sale = terminal.sale_of(12345, order_no=ORDER, card=CARD)
    back = terminal.reversal_of(sale)
    outcomes: dict[str, int] = {}
    for number in range(6_000):
        content = mutated(rng, (sale, back)[number % 2].frame[2:])
        found = hear(PROFILE, content, NOW)
        name = type(found.verdict).__name__
        outcomes[name] = outcomes.get(name, 0) + 1
        if isinstance(found.verdict, Accepted):
            # TPDU and header are not covered by the MAC; the message is.
            assert content[11:] in (sale.frame[13:], back.frame[13:])
    assert outcomes["Refused"] > 4000
    assert outcomes["Accepted"] > 20
