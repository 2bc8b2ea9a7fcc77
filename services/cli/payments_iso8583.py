"""`gridledger payments iso8583`: messages of card terminals, every field explained; offline.

CAPTURE is hex text (one argument or several), a file (bytes or hex text) or `-`: frames with their
length in front, as on a line, or one frame without. With --keys DIR, a directory with `keys.json`
as the listener loads it, each message is also judged as the listener would: MAC, terminal,
identity, key of its record, response code.

Card numbers are shown with their first six and last four digits; of tracks, PIN and chip data
nothing is shown. `--json` prints one object a line:

    {"offset", "mti", "name", "tpdu", "header", "fields": [{"field", "name", "name_zh", "offset",
     "raw_hex" ("" where it must not be shown), "value", "meaning"}, ...], "problem" or "",
     "verdict": null without --keys, else {"verdict": "accepted" | "refused", "cause", "detail",
     "response_code" or "", "key" or "", "channel_txn_id", "original_txn_id", "reply_hex" or ""}}

Status 0: all is well. 1: bytes that are no message, a field that must not be sent, or a message
that is refused. 2: wrong input.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.errors import BadInput
from libs.events.quantities import format_yuan
from services.cli.capture_file import read_capture
from services.cli.payments_verify import KEYS, load_keys, read_time
from services.payments.channels.causes import Accepted
from services.payments.channels.iso8583_codec import (
    FIELDS,
    LENGTH_BYTES,
    Iso8583Error,
    Message,
    decode,
    split_frame,
)
from services.payments.channels.pos_8583 import FORBIDDEN, Heard, hear
from services.payments.channels.profile import Pos8583Profile
from services.payments.channels.response_codes import RESPONSE_CODES
from services.payments.masking import masked_card, masked_text
from services.payments.notices import MONEY_BACK, PaymentNotice
from services.payments.webhooks import notice_key

CAPTURE_BYTES_MAX = 4 * 1024 * 1024
NAMES = {
    "0200": "sale",
    "0210": "answer to a sale",
    "0220": "refund",
    "0230": "answer to a refund",
    "0320": "line of a batch",
    "0330": "answer to a line of a batch",
    "0400": "reversal",
    "0410": "answer to a reversal",
    "0500": "batch settlement",
    "0510": "answer to a batch settlement",
    "0800": "sign-on",
    "0810": "answer to a sign-on",
    "0820": "sign-off or echo test",
    "0830": "answer to a sign-off or echo test",
}
PROCESSING = {
    "00": "sale",
    "20": "refund or void",
    "31": "balance",
}


def iso8583(
    capture: Annotated[
        list[str], typer.Argument(help="Hex text, a file (bytes or hex text), or -.")
    ],
    keys: Annotated[
        Path | None, typer.Option(help=f"Directory with {KEYS}: judge them, too.", metavar="DIR")
    ] = None,
    at: Annotated[
        str, typer.Option(help="When they came, with --keys: 2026-01-31T16:00:00Z.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one object a line.")] = False,
) -> int:
    """Explain every field of messages of card terminals; offline.

    Status 1: bytes that are no message, a field that must not be sent, or,
    with --keys, a message that the listener refuses. No card number is shown
    whole, and nothing of tracks, PIN and chip data.
    """
    profile = _profile(keys) if keys is not None else None
    if (profile is None) != (not at):
        raise BadInput("--at", "goes with --keys", "give both, or neither")
    received_unix = read_time(at) if at else 0
    is_fine = True
    for offset, content in frames_of(read_all(capture)):
        found = explained(offset, content, profile, received_unix)
        judged = found["verdict"]
        is_fine &= not found["problem"] and (not judged or judged["verdict"] == "accepted")
        print(json.dumps(found, ensure_ascii=False) if as_json else "\n".join(lines_of(found)))
    return int(not is_fine)


def read_all(capture: list[str]) -> bytes:
    """The bytes of a capture, which must not be huge: it is explained, not processed."""
    found = b""
    for piece in read_capture(capture):
        found += piece
        if len(found) > CAPTURE_BYTES_MAX:
            problem = f"has over {CAPTURE_BYTES_MAX} bytes"
            raise BadInput(capture[0][:60], problem, "give a part of it")
    if not found:
        raise BadInput(" ".join(capture)[:60] or "capture", "holds no bytes", "give a message")
    return found


def frames_of(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Offset and content of each frame; what is no frame is the last one, whole."""
    if int.from_bytes(raw[:LENGTH_BYTES], "big") > len(raw) - LENGTH_BYTES:
        yield 0, raw  # one frame without its length: a TPDU begins with 60, no length does
        return
    at = 0
    while at < len(raw):
        length = int.from_bytes(raw[at : at + LENGTH_BYTES], "big")
        start = at + LENGTH_BYTES
        yield start, raw[start : start + length]
        at = start + max(length, 1)


def explained(
    offset: int, content: bytes, profile: Pos8583Profile | None, received_unix: int
) -> dict[str, Any]:
    """One frame as `--json` prints it."""
    found: dict[str, Any] = {
        "offset": offset,
        "mti": "",
        "name": "",
        "tpdu": "",
        "header": "",
        "fields": [],
        "problem": "",
        "verdict": None,
    }
    if profile is not None:
        found["verdict"] = _verdict(hear(profile, content, received_unix))
    try:
        frame = split_frame(content)
        found |= {"tpdu": frame.tpdu.hex(), "header": frame.header.hex()}
        message = decode(frame.message)
    except Iso8583Error as error:
        return found | {"problem": str(error)}
    forbidden = [str(number) for number in message.fields if number in FORBIDDEN]
    start = offset + len(frame.tpdu) + len(frame.header)
    return found | {
        "mti": message.mti,
        "name": NAMES.get(message.mti, "of a type not known here"),
        "fields": [_field(message, number, start) for number in message.fields],
        "problem": f"field {', '.join(forbidden)} must not be sent" if forbidden else "",
    }


def _field(message: Message, number: int, start: int) -> dict[str, Any]:
    kind, piece = FIELDS[number], message.pieces[number]
    value = message.fields[number]
    is_secret = number in FORBIDDEN
    if is_secret:
        shown = ""
    elif number == 2:
        shown = masked_card(value)
    elif kind.form == "binary":
        text = bytes.fromhex(value)
        is_text = number != 64 and text.isascii() and text.decode("ascii").isprintable()
        shown = masked_text(text.decode("ascii")) if is_text else value
    else:
        shown = masked_text(value)
    is_hidden = is_secret or number in (2, 14) or (shown != value and kind.form != "binary")
    is_hidden |= kind.form == "binary" and "*" in shown
    return {
        "field": number,
        "name": kind.name,
        "name_zh": kind.name_zh,
        "offset": start + piece.at,
        "raw_hex": "" if is_hidden else piece.raw.hex(),
        "value": "" if number == 14 else shown,
        "meaning": "must not be sent: not shown" if is_secret else _meaning(number, value),
    }


def _meaning(number: int, value: str) -> str:
    """What the digits of a field say, where a rule says it."""
    if number == 3:
        return PROCESSING.get(value[:2], "")
    if number == 4:
        return f"{format_yuan(int(value))} yuan"
    if number == 12:
        return f"{value[:2]}:{value[2:4]}:{value[4:]}"
    if number in (13, 15):
        return f"{value[:2]}-{value[2:]}"
    if number == 14:
        return "not shown"
    if number == 39:
        return _response_meaning(value)
    if number == 60 and len(value) >= 8:
        rest = f", network code {value[8:]}" if value[8:] else ""
        return f"kind {value[:2]}, batch {value[2:8]}{rest}"
    return ""


def _response_meaning(code: str) -> str:
    known = RESPONSE_CODES.get(code)
    if known is None:
        return "not known here"
    return f"{known.text} {known.text_zh}" + (f" ({known.cause.value})" if known.cause else "")


def _profile(keys: Path) -> Pos8583Profile:
    fronts = list(load_keys(keys).pos_8583.values())
    if len(fronts) != 1:
        problem = f'{KEYS} has {len(fronts)} profiles under "pos_8583"'
        raise BadInput("--keys", problem, "give exactly one")
    return fronts[0]


def _verdict(heard: Heard) -> dict[str, Any]:
    found: dict[str, Any] = {
        "verdict": "refused",
        "cause": "",
        "detail": "",
        "response_code": "",
        "key": "",
        "channel_txn_id": "",
        "original_txn_id": "",
        "reply_hex": heard.reply.hex() if heard.reply is not None else "",
    }
    if heard.reply is not None:
        found["response_code"] = decode(split_frame(heard.reply[2:]).message).fields[39]
    if isinstance(heard.verdict, Accepted):
        notice: PaymentNotice = heard.verdict.notice
        return found | {
            "verdict": "accepted",
            "key": notice_key(notice),
            "channel_txn_id": notice.channel_txn_id,
            "original_txn_id": notice.original_txn_id if notice.kind in MONEY_BACK else "",
        }
    return found | {"cause": heard.verdict.cause.value, "detail": heard.verdict.detail}


def lines_of(found: Mapping[str, Any]) -> Iterator[str]:
    """One message as people read it, within 80 columns."""
    title = f"{found['mti']} {found['name']}" if found["mti"] else "no message"
    yield f"{title}, from byte {found['offset']}"
    if found["tpdu"]:
        yield f"  TPDU {found['tpdu']}, header {found['header']}"
    for field in found["fields"]:
        yield f"  {field['field']:>3}  {field['name']}  {field['name_zh']}"
        shown = "  ".join(part for part in (field["value"], field["meaning"]) if part)
        for start in range(0, len(shown), 70):
            yield f"       {shown[start : start + 70]}"
    if found["problem"]:
        yield f"  problem: {found['problem']}"
    judged = found["verdict"]
    if judged is None:
        return
    if judged["verdict"] == "accepted":
        yield "  accepted: recorded under the key"
        yield f"    {judged['key']}"
        if judged["original_txn_id"]:
            yield f"    takes back {judged['original_txn_id']}"
    else:
        yield f"  refused: {judged['cause']}"
        yield f"    {judged['detail']}"
    code = judged["response_code"]
    yield f"  answered: {code} {_response_meaning(code)}" if code else "  not answered"
