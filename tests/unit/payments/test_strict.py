"""Strict readers refuse what two parsers could read differently."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments.channels import strict
from services.payments.channels.causes import Cause, RefusalError


def malformed(call: Callable[[], Any], part: str) -> None:
    with pytest.raises(RefusalError) as refusal:
        call()
    assert refusal.value.cause == Cause.MALFORMED
    assert part in refusal.value.detail
    assert str(refusal.value) == f"malformed: {refusal.value.detail}"


def test_headers_are_case_insensitive_and_single() -> None:
    headers = [("WeChatPay-Nonce", "a"), ("x", "1"), ("X", "2")]
    assert strict.header(headers, "wechatpay-nonce") == "a"
    assert strict.header(headers, "absent") is None
    malformed(lambda: strict.header(headers, "x"), "x is repeated")
    malformed(lambda: strict.required_header(headers, "absent"), "absent is missing")
    malformed(lambda: strict.required_header([("a", "")], "a"), "a is missing")


@pytest.mark.parametrize("text", ["", "0", "01", "+1", "1.0", " 1", "1_0", "١", "1" * 12])
def test_unix_time_is_plain_digits(text: str) -> None:
    malformed(lambda: strict.parse_unix(text, "header t"), "header t")


def test_unix_time() -> None:
    assert strict.parse_unix("1767225600", "t") == 1767225600


@pytest.mark.parametrize(
    ("sent", "inside"), [(700, False), (701, True), (1000, True), (1049, True), (1050, False)]
)
def test_window(sent: int, inside: bool) -> None:
    def check() -> None:
        strict.check_window(sent, 1000, past_s=300, future_s=50, field="t")

    if inside:
        check()
    else:
        with pytest.raises(RefusalError) as refusal:
            check()
        assert refusal.value.cause == Cause.TIMESTAMP_OUTSIDE_WINDOW


@given(st.binary(max_size=40))
def test_base64_is_read_as_it_is_written(raw: bytes) -> None:
    assert strict.decode_base64(base64.b64encode(raw).decode()) == raw


@pytest.mark.parametrize(
    "text", ["QQ", "QR==", "Q Q==", "QQ==\n", "QQ==QQ==", "-_==", "Ａ===", "="]
)
def test_base64_refuses_other_spellings(text: str) -> None:
    assert strict.decode_base64(text) is None


_json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), _json_values, max_size=4))
def test_json_object_is_read(document: dict[str, Any]) -> None:
    assert strict.parse_json(json.dumps(document).encode()) == document


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        (b"", "no JSON"),
        (b"\xff{}", "no JSON"),
        (b"\xef\xbb\xbf{}", "no JSON"),
        (b'{"a":1} x', "no JSON"),
        (b"[]", "no JSON object"),
        (b"7", "no JSON object"),
        (b'{"a":1,"a":1}', "repeated"),
        (b'{"b":{"a":1,"\\u0061":1}}', "repeated"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "-Infinity"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"\\udc00":1}', "surrogate"),
        (b'{"a":' + b"1" * 5000 + b"}", "no JSON"),
        (b'{"a":' * 60000, "no JSON"),
        (b"[" * 60000, "no JSON"),
    ],
)
def test_json_refused(raw: bytes, part: str) -> None:
    malformed(lambda: strict.parse_json(raw), part)


def test_json_depth() -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"

    assert strict.parse_json(nested(20))
    malformed(lambda: strict.parse_json(nested(21)), "deeper than 20")


_form_text = st.text(st.characters(codec="utf-8"), max_size=12)


@given(st.dictionaries(_form_text.filter(bool), _form_text, min_size=1, max_size=6))
def test_form_agrees_with_the_standard_library(fields: dict[str, str]) -> None:
    raw = urlencode(fields).encode()
    read = strict.parse_form(raw)
    assert {name.decode(): value.decode() for name, value in read.items()} == fields
    assert dict(parse_qsl(raw.decode(), keep_blank_values=True)) == fields


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        (b"", "no name"),
        (b"a", "no ="),
        (b"=1", "no name"),
        (b"a=1&&b=2", "no name"),
        (b"a=1&a=2", "repeated"),
        (b"a=1&%61=2", "repeated"),
        (b"a=%", "two hex"),
        (b"a=%4", "two hex"),
        (b"a=%zz", "two hex"),
        (b"&".join(b"f%d=1" % i for i in range(201)), "more than 200"),
    ],
)
def test_form_refused(raw: bytes, part: str) -> None:
    malformed(lambda: strict.parse_form(raw), part)


def test_texts() -> None:
    document = {"a": "x-1", "n": None, "e": "", "s": "two words", "l": "x" * 65, "i": 7}
    assert strict.text_of(document, "a") == "x-1"
    for name in ("n", "e", "s", "l", "i", "absent"):
        malformed(partial(strict.text_of, document, name), name)
    assert [strict.optional_text_of(document, name) for name in ("a", "n", "e", "absent")] == [
        "x-1",
        "",
        "",
        "",
    ]
    malformed(lambda: strict.optional_text_of(document, "s"), "s is")
    malformed(lambda: strict.object_of(document, "a"), "a is")
    assert strict.object_of({"o": {}}, "o") == {}


@pytest.mark.parametrize("value", [None, True, 1.0, "1", 0, -1, 10**13 + 1])
def test_fen_refused(value: Any) -> None:
    malformed(lambda: strict.fen_of({"amount": value}, "amount"), "amount")


def test_fen() -> None:
    assert strict.fen_of({"a": 10**13}, "a") == 10**13
    assert strict.fen_of({"a": 0}, "a", minimum=0) == 0


@pytest.mark.parametrize(
    ("text", "amount_fen"), [("0.01", 1), ("123.45", 12345), ("7", 700), ("7.5", 750), ("0", 0)]
)
def test_yuan(text: str, amount_fen: int) -> None:
    assert strict.yuan_of({"a": text}, "a") == amount_fen


@pytest.mark.parametrize(
    "text", ["", "01", "1.", ".1", "1.234", "1e2", "-1", "+1", " 1", "1_0", "１"]
)
def test_yuan_refused(text: str) -> None:
    malformed(lambda: strict.yuan_of({"total": text}, "total"), "total")


@pytest.mark.parametrize(
    ("text", "utc", "day"),
    [
        ("2026-01-01T08:00:00+08:00", "2026-01-01T00:00:00Z", "2026-01-01"),
        ("2025-12-31T23:59:59.999Z", "2025-12-31T23:59:59Z", "2026-01-01"),
        ("2026-01-01T00:30:00+08:00", "2025-12-31T16:30:00Z", "2026-01-01"),
    ],
)
def test_instant(text: str, utc: str, day: str) -> None:
    instant = strict.instant_of({"t": text}, "t")
    assert (strict.utc_text(instant), strict.day_of(instant)) == (utc, day)


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "2026-01-01",
        "2026-01-01 08:00:00+08:00",
        "2026-01-01T08:00:00",
        "2026-02-30T08:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T08:00:00+99:99",
        "1999-12-31T23:59:59Z",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+08:00",
    ],
)
def test_instant_refused(value: Any) -> None:
    malformed(lambda: strict.instant_of({"t": value}, "t"), "t is")


def test_local_instant() -> None:
    instant = strict.local_instant("2026-01-02 09:00:00.123", "gmt_refund")
    assert strict.utc_text(instant) == "2026-01-02T01:00:00Z"
    for text in ("", "2026-01-02", "2026-01-02T09:00:00", "2026-13-02 09:00:00"):
        malformed(partial(strict.local_instant, text, "gmt_refund"), "gmt_refund")


def test_date() -> None:
    assert strict.date_of({"d": "2026-02-28"}, "d") == "2026-02-28"
    for value in (None, 20260228, "2026-02-30", "20260228", "2026-2-28"):
        malformed(partial(strict.date_of, {"d": value}, "d"), "d is")
