"""Messages of our own card terminals (ISO 8583 over TCP): what is said, believed and answered.

    0800 sign-on            -> 0810, a fact without money
    0200 sale               -> 0210
    0400 reversal           -> 0410, whether its sale is known or not
    0500 batch settlement   -> 0510, the terminal's totals, a fact without money
    0320 batch upload       -> 0330, that it sent its lines again, a fact without money

`hear` is pure: one frame in; out come the verdict, what of the frame may be kept, and the reply
that the edge sends once the record is acknowledged. Without an acknowledgement there is no reply
at all: the terminal must not know of a sale that may not be on the log, and sends a reversal
(0400) for it, which is answered 00 in whatever order the two arrive.

Identity (docs/adr/0014, 0016): merchant, terminal, batch and STAN. A reversal repeats those of its
sale, so both get one key; no date is part of it, because terminals send none and a repetition may
come after midnight. The sign-on gives the terminal the day, YYMMDD, as its batch number.

Card data (payments.md 3): of field 2 the first six and last four digits are kept, and a keyed hash
in `payer_hash`. Tracks, PIN and chip data are refused, and `kept` has nothing of them.

Example: terminal 58D01115 of merchant 88758D048165555, batch 260101, STAN 000042 is the payment
`pos_8583:88758D048165555-58D01115-260101-000042`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from services.payments.channels.causes import Accepted, Cause, RefusalError, Refused, Verdict
from services.payments.channels.iso8583_codec import (
    FIELDS,
    MAC_BYTES,
    MAC_FIELD,
    Frame,
    Iso8583Error,
    Message,
    decode,
    encode,
    join_frame,
    split_frame,
)
from services.payments.channels.iso8583_mac import is_mac, mac
from services.payments.channels.profile import Pos8583Profile
from services.payments.channels.response_codes import APPROVED, cause_of_response
from services.payments.channels.strict import UTILITY_ZONE, day_of, utc_text
from services.payments.masking import masked_card, masked_text, payer_hash
from services.payments.notices import PaymentNotice
from services.payments.order_number import account_of

SIGN_ON, SALE, REVERSAL, SETTLEMENT, UPLOAD = "0800", "0200", "0400", "0500", "0320"
KINDS = {
    SIGN_ON: "information",
    SALE: "captured",
    REVERSAL: "reversed",
    SETTLEMENT: "information",
    UPLOAD: "information",
}
MAC_NEEDED = frozenset({SALE, REVERSAL})
"""What moves money must prove its terminal. A MAC elsewhere is checked when it is there."""

FORBIDDEN = {35: "track 2", 36: "track 3", 45: "track 1", 52: "a PIN", 55: "chip data"}
"""Fields that no system of a utility may see (PCI DSS 3.2): refused, never kept."""

KEPT = frozenset({2, 3, 4, 11, 12, 13, 22, 25, 39, 41, 42, 49, 60, 64})
"""What may be stored of a message, field 2 masked. The others are of the card, or nobody knows what
a terminal writes there; the totals of a batch and an order number of ours are kept besides."""

PROCESSING_SALE = "000000"
CNY = ("156", "CNY")
_ECHOED = (3, 4, 11, 25, 41, 42, 49, 60)
_CARD = re.compile(r"[0-9]{13,19}", re.ASCII)
_TERMINAL = re.compile(r"[0-9A-Za-z]{8}", re.ASCII)
_MERCHANT = re.compile(r"[0-9A-Za-z]{15}", re.ASCII)
_TOTALS = re.compile(r"([0-9]{12})([0-9]{3})([0-9]{12})([0-9]{3})[0-9]", re.ASCII)
_ORDER_TEXT = re.compile(rb"[\x20-\x7e]{1,32}")

_CODES = {
    Cause.SIGNATURE_INVALID: "A0",
    Cause.CURRENCY_MISMATCH: "12",
    Cause.MALFORMED: "30",
}
"""The response code of a refusal; an unknown merchant or terminal has one of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one frame is: the verdict, what of it may be stored, and the reply after the ack.

    `kept` is a message without secrets, or nothing when the bytes were none. `reply` None: there is
    nothing that could be answered, and the connection ends.
    """

    verdict: Verdict
    kept: bytes
    reply: bytes | None
    mti: str = ""


class _CodedError(Exception):
    """Ends the judging of a message, with the response code that the terminal gets."""

    def __init__(self, code: str, cause: Cause, detail: str) -> None:
        self.code, self.cause, self.detail = code, cause, detail
        super().__init__(detail)


def hear(profile: Pos8583Profile, content: bytes, now_unix: int) -> Heard:
    """Judge one frame (without its length); never raises for what was received.

    `now_unix` is wall time, and when the payment is said to have been made: terminals tell no time
    that could be believed. A copy says another time; what makes it a copy is its identity.
    """
    try:
        frame = split_frame(content)
        message = decode(frame.message)
    except Iso8583Error as error:
        return unreadable(error, len(content))
    if message.mti[2] not in "02468":
        detail = f"{message.mti} is an answer: terminals ask"
        return Heard(verdict=Refused(cause=Cause.MALFORMED, detail=detail), kept=b"", reply=None)
    received = datetime.fromtimestamp(now_unix, UTC)
    code, verdict = APPROVED, _judged(profile, message, frame.message, received)
    if isinstance(verdict, _CodedError):
        code, verdict = verdict.code, Refused(cause=verdict.cause, detail=verdict.detail)
    return Heard(
        verdict=verdict,
        kept=kept_of(profile, message),
        reply=_reply(profile, frame, message, code, received),
        mti=message.mti,
    )


def unreadable(error: Iso8583Error, size: int) -> Heard:
    """What is heard of bytes that are no message: how many, and where they go wrong.

    Nothing of them is kept, since nobody can tell where a card number would stand.
    """
    refused = Refused(cause=Cause.MALFORMED, detail=f"{size} bytes are no message: {error}")
    return Heard(verdict=refused, kept=b"", reply=None)


def identity(message: Message) -> str:
    """Merchant, terminal, batch and STAN: the same for a sale and what reverses it."""
    return "-".join((message.fields[42], message.fields[41], batch_of(message), message.fields[11]))


def batch_of(message: Message) -> str:
    """The batch number, digits 3 to 8 of field 60."""
    return message.fields[60][2:8]


def reference_number(transaction: str) -> str:
    """The retrieval reference number that we give: the same for every copy of a message."""
    digest = hashlib.blake2b(transaction.encode(), digest_size=8).digest()
    return f"{int.from_bytes(digest, 'big') % 10**12:012d}"


def order_number_of(profile: Pos8583Profile, message: Message) -> str:
    """The number of an order of ours in the field that the profile names; "" without one."""
    number = profile.order_field
    value = message.fields.get(number, "")
    if FIELDS[number].form == "binary":
        raw = bytes.fromhex(value)
        value = raw.decode("ascii") if _ORDER_TEXT.fullmatch(raw) else ""
    value = value.strip()
    return value if account_of(value) else ""


def totals_of(message: Message) -> dict[str, str]:
    """What a terminal says of its batch (field 48): debits and credits of domestic cards.

    Twelve digits of an amount in fen, three of a count, twice, and a result code; the same again
    for foreign cards, which is not read (UNCONFIRMED how acquirers fill it).
    """
    found = _TOTALS.match(message.fields.get(48, ""))
    if found is None:
        _malformed("field 48 holds no totals of a batch")
    debit_fen, debits, credit_fen, credits_ = (str(int(part)) for part in found.groups())
    return {
        "debit_fen": debit_fen,
        "debit_count": debits,
        "credit_fen": credit_fen,
        "credit_count": credits_,
    }


def lines_of(message: Message) -> dict[str, str]:
    """How many sales a terminal sends again whose totals were not agreed: the first two digits of
    field 48 (UNCONFIRMED). The lines hold whole card numbers, and nothing of them is kept: every
    sale that was answered is on the log, and the file of the day says which are missing."""
    count = message.fields.get(48, "")[:2]
    return {"lines": str(int(count))} if count.isdecimal() else {}


def kept_of(profile: Pos8583Profile, message: Message) -> bytes:
    """The message as it may be stored; hidden digits of a card number are the hex digit F."""
    fields = {number: value for number, value in message.fields.items() if number in KEPT}
    if 2 in fields:
        fields[2] = masked_card(fields[2]).replace("*", "F")
    if 42 in fields:
        terminal = profile.terminals.get(fields.get(41, ""))
        if terminal is None or terminal.merchant != fields[42]:
            fields[42] = masked_text(fields[42])
    if message.mti == SETTLEMENT and 48 in message.fields:
        fields[48] = message.fields[48]
    order_no = order_number_of(profile, message)
    if order_no:
        is_binary = FIELDS[profile.order_field].form == "binary"
        fields[profile.order_field] = order_no.encode().hex() if is_binary else order_no
    return encode(message.mti, fields)


def _judged(
    profile: Pos8583Profile, message: Message, raw: bytes, received: datetime
) -> Verdict | _CodedError:
    try:
        _check_fields(message)
        _check_terminal(profile, message)
        _check_mac(profile, message, raw)
        return Accepted(notice=_notice(profile, message, received))
    except _CodedError as refusal:
        return refusal
    except RefusalError as refusal:
        return _CodedError(_CODES[refusal.cause], refusal.cause, refusal.detail)


def _check_fields(message: Message) -> None:
    for number, what in FORBIDDEN.items():
        if number in message.fields:
            _malformed(f"field {number}, {what}, must not be sent to us")
    if message.mti not in KINDS:
        detail = f"messages of type {message.mti} are not supported"
        raise _CodedError("40", Cause.MALFORMED, detail)
    for number in (11, 41, 42, 60):
        if number not in message.fields:
            _malformed(f"field {number} is missing")
    if not (
        _MERCHANT.fullmatch(message.fields[42])
        and _TERMINAL.fullmatch(message.fields[41])
        and len(message.fields[60]) >= 8
    ):
        _malformed("field 41, 42 or 60 has not the form of a terminal, merchant or batch")


def _check_terminal(profile: Pos8583Profile, message: Message) -> None:
    terminal = profile.terminals.get(message.fields[41])
    if terminal is None:
        raise _CodedError("97", Cause.MERCHANT_MISMATCH, "field 41 is no terminal of ours")
    if terminal.merchant != message.fields[42]:
        detail = "field 42 is not the merchant of the terminal"
        raise _CodedError("03", Cause.MERCHANT_MISMATCH, detail)


def _check_mac(profile: Pos8583Profile, message: Message, raw: bytes) -> None:
    claimed = message.pieces.get(MAC_FIELD)
    if claimed is None:
        if message.mti in MAC_NEEDED:
            raise RefusalError(Cause.SIGNATURE_INVALID, "field 64, the MAC, is missing")
        return
    key = profile.terminals[message.fields[41]].mac_key
    if not is_mac(key, raw[:-MAC_BYTES], claimed.raw):
        raise RefusalError(Cause.SIGNATURE_INVALID, "field 64 is not the MAC of the message")


def _notice(profile: Pos8583Profile, message: Message, received: datetime) -> PaymentNotice:
    transaction = identity(message)
    fields, mti = message.fields, message.mti
    references = {
        "terminal": fields[41],
        "batch": batch_of(message),
        "stan": fields[11],
        "rrn": reference_number(transaction),
    }
    card = fields.get(2, "")
    amount_fen = 0
    if mti in MAC_NEEDED:
        amount_fen = _amount_fen(message)
        if card and not _CARD.fullmatch(card):
            _malformed("field 2 is no card number")
        references |= {"card": masked_card(card)} if card else {}
    if mti == SETTLEMENT:
        references |= totals_of(message)
    if mti == UPLOAD:
        references |= lines_of(message)
    if mti == REVERSAL:
        references |= _why_reversed(fields)
    moves_money = mti in MAC_NEEDED
    return PaymentNotice(
        channel=profile.channel,
        merchant=fields[42],
        kind=KINDS[mti],
        state=mti,
        channel_txn_id=transaction if mti == SALE else f"{transaction}-{mti}",
        out_trade_no=order_number_of(profile, message) if moves_money else "",
        amount_fen=amount_fen,
        payer_total_fen=amount_fen,
        currency="CNY",
        occurred_at=utc_text(received),
        bill_on=day_of(received),
        payer_hash=payer_hash(profile.payer_key, card) if moves_money else "",
        references=references,
        original_txn_id=transaction if mti == REVERSAL else "",
    )


def _why_reversed(fields: Mapping[int, str]) -> dict[str, str]:
    """Why a terminal takes a sale back, where field 39 of the reversal says so."""
    code = fields.get(39, "")
    cause = cause_of_response(code) if code else None
    return {"reason": code, "failure_cause": cause.value} if cause is not None else {}


def _amount_fen(message: Message) -> int:
    if message.fields.get(3) != PROCESSING_SALE:
        detail = "field 3: of sales and reversals of sales only 000000 is supported"
        raise _CodedError("40", Cause.MALFORMED, detail)
    if message.fields.get(49, CNY[0]) not in CNY:
        raise RefusalError(Cause.CURRENCY_MISMATCH, "field 49 is not CNY")
    amount_fen = int(message.fields.get(4, "0"))
    if amount_fen == 0:
        raise _CodedError("13", Cause.MALFORMED, "field 4 is no amount above zero")
    return amount_fen


def _reply(
    profile: Pos8583Profile, frame: Frame, message: Message, code: str, received: datetime
) -> bytes:
    """The answer: addresses swapped, what identifies the message repeated, and field 39."""
    local = received.astimezone(UTILITY_ZONE)
    fields = {number: message.fields[number] for number in _ECHOED if number in message.fields}
    fields |= {12: f"{local:%H%M%S}", 13: f"{local:%m%d}", 15: f"{local:%m%d}", 39: code}
    if {11, 41, 42, 60} <= fields.keys():
        fields[37] = reference_number(identity(message))
    if code == APPROVED and message.mti == SIGN_ON:
        kind, rest = message.fields[60][:2], message.fields[60][8:]
        fields[60] = f"{kind}{local:%y%m%d}{rest}"
    if code == APPROVED and message.mti == SETTLEMENT:
        fields[48] = _settled(message.fields[48], profile.settlement_result)
    mti = f"{message.mti[:2]}{int(message.mti[2]) + 1}{message.mti[3]}"
    terminal = profile.terminals.get(message.fields.get(41, ""))
    if terminal is None or MAC_FIELD not in message.fields:
        raw = encode(mti, fields)
    else:
        covered = encode(mti, fields | {MAC_FIELD: "00" * MAC_BYTES})[:-MAC_BYTES]
        raw = covered + mac(terminal.mac_key, covered)
    tpdu = frame.tpdu[:1] + frame.tpdu[3:] + frame.tpdu[1:3]
    return join_frame(tpdu, frame.header, raw)


def _settled(totals: str, result: str) -> str:
    """Field 48 of the reply: the totals as they came, with our result for each kind of cards."""
    return "".join(
        f"{part[:30]}{result}" if len(part) == 31 else part
        for part in (totals[start : start + 31] for start in range(0, len(totals), 31))
    )


def _malformed(detail: str) -> NoReturn:
    raise RefusalError(Cause.MALFORMED, detail)
