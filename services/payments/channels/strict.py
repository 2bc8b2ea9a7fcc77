"""Strict readers for what channels send: base64, JSON, forms, times, amounts.

Two readers that understand the same bytes differently are a hole in a signature, so everything
lenient is refused: repeated JSON keys or form fields, lone surrogates, NaN, deep nesting, base64
with blanks or spare bits, amounts with exponents. Every refusal is `malformed` and names the field.

Example: `parse_json(b'{"a":1,"a":2}')` raises RefusalError(malformed, "repeated key").
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NoReturn

from services.payments.channels.causes import Cause, RefusalError

BODY_BYTES_MAX = 64 * 1024
DEPTH_MAX = 20
FIELDS_MAX = 200
AMOUNT_FEN_MAX = 10**13
UTILITY_ZONE = timezone(timedelta(hours=8))  # Asia/Shanghai, no daylight saving time

Headers = Sequence[tuple[str, str]]
Document = dict[str, Any]

_UNIX = re.compile(r"[1-9][0-9]{0,10}", re.ASCII)
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
_LOCAL_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,6})?", re.ASCII
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_YUAN = re.compile(r"(0|[1-9][0-9]{0,10})(?:\.([0-9]{1,2}))?", re.ASCII)
_NAME = re.compile(r"[!-~]{1,64}", re.ASCII)
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})?")


def refuse(detail: str) -> NoReturn:
    """End the reading: the callback is malformed; `detail` names the field, never its value."""
    raise RefusalError(Cause.MALFORMED, detail)


def header(headers: Headers, name: str) -> str | None:
    """The value of a header, its name in any case; None when absent, refused when repeated."""
    found = [value for key, value in headers if key.lower() == name]
    if len(found) > 1:
        refuse(f"header {name} is repeated")
    return found[0] if found else None


def required_header(headers: Headers, name: str) -> str:
    """The value of a header that must be there."""
    value = header(headers, name)
    if not value:
        refuse(f"header {name} is missing")
    return value


def parse_unix(text: str, field: str) -> int:
    """Seconds since 1970 in plain ASCII digits."""
    if not _UNIX.fullmatch(text):
        refuse(f"{field} is no unix time in seconds")
    return int(text)


def check_window(sent_unix: int, now_unix: int, *, past_s: int, future_s: int, field: str) -> None:
    """Refuse what is `past_s` or more old, or `future_s` or more ahead (payments.md 1.1)."""
    age = now_unix - sent_unix
    if age >= past_s or -age >= future_s:
        raise RefusalError(Cause.TIMESTAMP_OUTSIDE_WINDOW, f"{field} is outside the window")


def decode_base64(text: str) -> bytes | None:
    """The bytes of canonical base64; None for anything else (blanks, missing or spare bits)."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None


def parse_json(raw: bytes) -> Document:
    """A JSON object, strictly read."""
    try:
        document = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=Decimal,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError):
        refuse("the body is no JSON text in UTF-8")
    if not isinstance(document, dict):
        refuse("the body is no JSON object")
    _check_tree(document)
    return document


def _unique(pairs: list[tuple[str, Any]]) -> Document:
    document = dict(pairs)
    if len(document) != len(pairs):
        refuse("a JSON key is repeated")
    return document


def _no_constant(name: str) -> NoReturn:
    refuse(f"{name} is no JSON value")


def _check_tree(document: Document) -> None:
    """Depth at most DEPTH_MAX, and no string that could not be written again as UTF-8."""
    level: list[Any] = [document]
    for _ in range(DEPTH_MAX):
        following: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                following.extend(node)
                following.extend(node.values())
            elif isinstance(node, list):
                following.extend(node)
            elif isinstance(node, str) and not _is_text(node):
                refuse("a JSON string holds half a surrogate pair")
        level = following
    if any(isinstance(node, dict | list) for node in level):
        refuse(f"JSON nested deeper than {DEPTH_MAX}")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def parse_form(raw: bytes) -> dict[bytes, bytes]:
    """The fields of a form body as bytes, blank ones kept; each field once (payments.md 2)."""
    fields: dict[bytes, bytes] = {}
    parts = raw.split(b"&")
    if len(parts) > FIELDS_MAX:
        refuse(f"more than {FIELDS_MAX} form fields")
    for part in parts:
        name, equals, value = part.partition(b"=")
        if not equals or not name:
            refuse("a form field has no name or no =")
        key = _unquote(name)
        if key in fields:
            refuse("a form field is repeated")
        fields[key] = _unquote(value)
    return fields


def _unquote(quoted: bytes) -> bytes:
    def byte(match: re.Match[bytes]) -> bytes:
        digits = match.group(1)
        if digits is None:
            refuse("a form field has a % without two hex digits")
        return bytes.fromhex(digits.decode())

    return _PERCENT.sub(byte, quoted.replace(b"+", b" "))


def text_of(document: Mapping[str, Any], field: str) -> str:
    """A required name or number as printable ASCII text of 1 to 64 characters."""
    value = document.get(field)
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        refuse(f"{field} is missing or no name of 1 to 64 characters")
    return value


def optional_text_of(document: Mapping[str, Any], field: str) -> str:
    """Like `text_of`, but empty when the field is absent, null or blank."""
    if document.get(field) in (None, ""):
        return ""
    return text_of(document, field)


def object_of(document: Mapping[str, Any], field: str) -> Document:
    """A required JSON object."""
    value = document.get(field)
    if not isinstance(value, dict):
        refuse(f"{field} is missing or no object")
    return value


def fen_of(document: Mapping[str, Any], field: str, *, minimum: int = 1) -> int:
    """A required amount in fen as a JSON integer."""
    value = document.get(field)
    if type(value) is not int or not minimum <= value <= AMOUNT_FEN_MAX:
        refuse(f"{field} is missing or no amount in fen")
    return value


def yuan_of(document: Mapping[str, str], field: str) -> int:
    """A required amount in yuan (`123.45`) as fen."""
    found = _YUAN.fullmatch(document.get(field, ""))
    if found is None:
        refuse(f"{field} is missing or no amount in yuan")
    return int(found.group(1)) * 100 + int((found.group(2) or "").ljust(2, "0"))


def instant_of(document: Mapping[str, Any], field: str) -> datetime:
    """A required RFC 3339 instant with its offset, in UTC; parts of seconds drop."""
    value = document.get(field)
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        refuse(f"{field} is missing or no RFC 3339 time")
    return _plausible(re.sub(r"\.[0-9]+", "", value), field)


def local_instant(text: str, field: str) -> datetime:
    """`2026-01-01 08:00:05` in the utility's zone as an instant in UTC; parts of seconds drop."""
    found = _LOCAL_TIME.fullmatch(text)
    if found is None:
        refuse(f"{field} is no time like 2026-01-01 08:00:05")
    return _plausible(found.group(1) + "+08:00", field)


def _plausible(text: str, field: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        refuse(f"{field} is no time of the calendar")
    if not 2000 <= instant.year < 2200:
        refuse(f"{field} is no time of our years")
    return instant.astimezone(UTC)


def date_of(document: Mapping[str, Any], field: str) -> str:
    """A required date `2026-01-01`."""
    value = document.get(field)
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return datetime.fromisoformat(value).date().isoformat()
        except ValueError:
            pass
    refuse(f"{field} is missing or no date")


def utc_text(instant: datetime) -> str:
    """An instant as `2026-01-31T16:00:00Z`."""
    return instant.isoformat().replace("+00:00", "Z")


def day_of(instant: datetime) -> str:
    """The date of an instant in the utility's zone: the day of the channel's bill."""
    return instant.astimezone(UTILITY_ZONE).date().isoformat()
