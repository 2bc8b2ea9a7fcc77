"""`gridledger payments verify`: is a callback believed? Offline, by the functions of the edge.

--headers FILE, the headers as they came: `Name: value` a line, or a JSON object of texts. Alipay
needs none, its notices carry nothing in them. --body FILE, the raw body, byte for byte. --keys DIR,
a directory with `keys.json`, the profiles that the edge loads (GRIDLEDGER_PAYMENT_PROFILES_FILE;
format: services/payments/channels/profile.py), and the files that it refers to.

`--json` prints one object; nothing of a key is in it, nor in any error:

    {"verdict": "accepted" | "refused", "cause": one of services/payments/channels/causes.py or "",
     "detail": which field, "channel", "merchant": name of the profile, "at", "body_bytes",
     "body_sha256", "reply_status": what the gateway would hear, "key": of the record in
     payments.notices or "", "account_no" or null, "notice": fields of PaymentNotice or null}

Status 0: accepted. 1: refused, with the cause. 2: wrong input.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.codec import to_document
from libs.events.documents import parse_json, read_text
from libs.events.errors import BadInput
from libs.events.quantities import format_yuan
from services.cli.row_file import STANDARD_INPUT
from services.payments.channels import reply_to, verify_and_parse
from services.payments.channels.causes import Refused, Verdict
from services.payments.channels.profile import Profile, Profiles
from services.payments.channels.strict import BODY_BYTES_MAX
from services.payments.notices import MONEY_BACK
from services.payments.order_number import account_of
from services.payments.webhooks import HEADER_BYTES_MAX, load_profiles, notice_key

KEYS = "keys.json"
CHANNELS = ("wechat", "alipay", "pos")
FIRST_UNIX = 946_684_800
"""2000-01-01: older is a slip of the pen."""
_UNIX = re.compile(r"[0-9]{9,11}", re.ASCII)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)

Headers = list[tuple[str, str]]


def verify(
    channel: Annotated[str, typer.Option(help="wechat, alipay or pos.")],
    body: Annotated[str, typer.Option(help="The raw body; -: standard input.", metavar="FILE")],
    keys: Annotated[Path, typer.Option(help=f"Directory with {KEYS}.", metavar="DIR")],
    at: Annotated[str, typer.Option(help="When it came: 2026-01-31T16:00:00Z, or unix seconds.")],
    headers: Annotated[
        Path | None, typer.Option(help="Its headers; Alipay needs none.", metavar="FILE")
    ] = None,
    merchant: Annotated[
        str, typer.Option(help="Name of the profile, where there are several.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> int:
    """Say whether a callback is believed, or which cause refuses it; offline.

    The same functions as at the edge decide, with the keys of --keys and the
    time of --at. No key is printed. Status 1 when it is refused.
    """
    received_unix = read_time(at)
    profile = chosen(load_keys(keys), channel, merchant)
    if headers is None and channel != "alipay":
        raise BadInput("--headers", "is missing", f"{channel} signs with headers: give their file")
    given = read_headers(headers) if headers is not None else []
    raw_body = read_body(body)
    verdict = verify_and_parse(profile, given, raw_body, received_unix)
    found = document(profile, verdict, raw_body, received_unix)
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        show(found)
    return int(isinstance(verdict, Refused))


def read_time(text: str) -> int:
    """When the callback came, in unix seconds; the future is refused."""
    if _UNIX.fullmatch(text):
        found = int(text)
    else:
        try:
            instant = datetime.fromisoformat(text)
            same = instant.strftime("%Y-%m-%dT%H:%M:%SZ") == text
        except ValueError:
            same = False
        if not same:
            raise BadInput("--at", f"{text!r} is no instant", "write it as 2026-01-31T16:00:00Z")
        found = int(instant.timestamp())
    if found < FIRST_UNIX:
        raise BadInput("--at", f"{text} is before there were callbacks", "give when it came")
    if found > datetime.now(UTC).timestamp():
        raise BadInput("--at", f"{text} is in the future", "give when it came")
    return found


def load_keys(folder: Path) -> Profiles:
    """The profiles in a directory of keys; BadInput names what is missing, never a secret."""
    if not folder.is_dir():
        raise BadInput("--keys", f"{folder} is no directory", f"name one with {KEYS}")
    return load_profiles(folder / KEYS)


def chosen(profiles: Profiles, channel: str, merchant: str) -> Profile:
    """The profile of a channel by its name, or the only one."""
    by_channel: dict[str, Mapping[str, Profile]] = {
        "wechat": profiles.wechat,
        "alipay": profiles.alipay,
        "pos": profiles.pos,
    }
    if channel not in by_channel:
        raise BadInput("--channel", f"{channel!r} is not known", f"one of {', '.join(CHANNELS)}")
    known = by_channel[channel]
    if not known:
        raise BadInput(
            "--keys", f"{KEYS} has no profile of {channel}", f'add one under "{channel}"'
        )
    names = ", ".join(known)
    if merchant:
        if merchant not in known:
            raise BadInput("--merchant", f"{merchant!r} is not in {KEYS}", f"one of {names}")
        return known[merchant]
    if len(known) > 1:
        raise BadInput("--merchant", f"{KEYS} has several of {channel}", f"one of {names}")
    return next(iter(known.values()))


def read_headers(path: Path) -> Headers:
    """The headers in a file, in order; one that is there twice stays there twice."""
    text = read_text(path)
    if not text.strip():
        raise BadInput(str(path), "is empty", "write the headers, Name: value a line")
    if len(text.encode()) > HEADER_BYTES_MAX:
        problem = f"has over {HEADER_BYTES_MAX} bytes"
        raise BadInput(str(path), problem, "no edge takes more; give the headers of one request")
    if text.lstrip().startswith("{"):
        parse_json(text, str(path), may_repeat=True)  # tells what is wrong
        pairs: list[tuple[str, Any]] = json.loads(text, object_pairs_hook=list)
        for name, value in pairs:
            if not isinstance(value, str):
                raise BadInput(f"{path} {name}", "is no text", "write each value as a text")
        return pairs
    return [
        _header(line, f"{path} line {number}")
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    ]


def _header(line: str, place: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _HEADER.fullmatch(name.strip()):
        raise BadInput(place, "is no header", "write it as Name: value")
    return name.strip(), value.strip()


def read_body(path: str) -> bytes:
    """The raw body, no more of it than what tells that it is too large."""
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read(BODY_BYTES_MAX + 1)
    try:
        with open(path, "rb") as file:
            return file.read(BODY_BYTES_MAX + 1)
    except OSError as error:
        fix = "name a file that you may read, or - for standard input"
        raise BadInput(path, error.strerror or "cannot be read", fix) from None


def document(
    profile: Profile, verdict: Verdict, raw_body: bytes, received_unix: int
) -> dict[str, Any]:
    """The verdict as `--json` prints it."""
    found: dict[str, Any] = {
        "verdict": "accepted",
        "cause": "",
        "detail": "",
        "channel": profile.channel,
        "merchant": profile.name,
        "at": datetime.fromtimestamp(received_unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "body_bytes": len(raw_body),
        "body_sha256": hashlib.sha256(raw_body).hexdigest(),
        "reply_status": reply_to(profile.channel, verdict).status,
        "key": "",
        "account_no": None,
        "notice": None,
    }
    if isinstance(verdict, Refused):
        return found | {
            "verdict": "refused",
            "cause": verdict.cause.value,
            "detail": verdict.detail,
        }
    notice = verdict.notice
    return found | {
        "key": notice_key(notice) if notice.channel_txn_id else "",  # else by its evidence
        "account_no": account_of(notice.out_trade_no),
        "notice": to_document(notice),
    }


def show(found: Mapping[str, Any]) -> None:
    """The verdict as people read it."""
    if found["verdict"] == "refused":
        print(f"refused: {found['cause']}")
        print(f"  why       {found['detail']}")
    else:
        notice = found["notice"]
        print(f"accepted: {notice['kind']} ({notice['state']})")
        _show_notice(notice, found["account_no"])
    print(f"  body      {found['body_bytes']} bytes, SHA-256 {found['body_sha256'][:16]}...")
    print(f"  at        {found['at']}, as {found['channel']} {found['merchant']}")
    print(f"  reply     {found['reply_status']}")


def _show_notice(notice: Mapping[str, Any], account_no: str | None) -> None:
    if notice["kind"] == "information":
        return
    print(f"  amount    {format_yuan(notice['amount_fen'])} yuan")
    if notice["refund_fen"]:
        told = "in all" if notice["refund_total"] else "this time"
        print(f"  refund    {format_yuan(notice['refund_fen'])} yuan {told}, {notice['refund_no']}")
    print(f"  paid      {notice['occurred_at']}, bill of {notice['bill_on']}")
    print(f"  number    {notice['channel_txn_id']}")
    if notice["original_txn_id"] not in ("", notice["channel_txn_id"]):
        print(f"  original  {notice['original_txn_id']}")
    order_no = notice["out_trade_no"] or "none"
    unknown = "to its payment" if notice["kind"] in MONEY_BACK else "to suspense"
    print(f"  order     {order_no}, account {account_no or f'unknown: {unknown}'}")
