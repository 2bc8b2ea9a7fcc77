"""ISO 8583 messages of card terminals: bytes to fields and back, without input or output.

The dialect is that of Chinese terminals (ISO 8583:1987, BCD): numbers are packed, an odd one is
padded with 0 on the right and its length counts digits, lengths are BCD, text is ASCII. Which
fields there are is data (`FIELDS`); the packing itself is that of the library `pyiso8583`, which
only this module imports. Whatever the bytes are, what comes out is a `Message` or an
`Iso8583Error` that names the field and the byte.

On a line a message stands in a frame: length (2 bytes, of what follows), TPDU (5), header (6),
message.

Example: `003B 6000060000 602200000000 0800 0020000000C00012 001247 ...` is a sign-on, 0800, with
fields 11, 41, 42, 60 and 63.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import iso8583

LENGTH_BYTES = 2
TPDU_BYTES = 5
HEADER_BYTES = 6
MAC_FIELD = 64
MAC_BYTES = 8
FRAME_BYTES_MAX = 1024
"""No message of a terminal is as long; what declares more is garbage, not a frame to wait for."""

_START = TPDU_BYTES + HEADER_BYTES
_MESSAGE_MIN = 10  # message type and bitmap


class Iso8583Error(Exception):
    """Bytes that are no message, or a message that cannot be bytes.

    `field` is the number of the field, 0 for the frame, message type or bitmap; `at` the offset in
    the message. Values are never repeated: they may be those of a card.
    """

    def __init__(self, field: int, at: int, problem: str) -> None:
        self.field, self.at, self.problem = field, at, problem
        place = f"field {field}" if field else "frame"
        super().__init__(f"{place}, byte {at}: {problem}")


@dataclass(frozen=True, slots=True)
class FieldForm:
    """How one field is written. `form`: bcd (digits), hex (digits and separators), text, binary.

    `length` counts digits for bcd and hex, else bytes; with `prefix` (bytes of a length in front:
    1 for LLVAR, 2 for LLLVAR) it is the most that there may be.
    """

    name: str
    name_zh: str
    form: str
    length: int
    prefix: int = 0


FIELDS: dict[int, FieldForm] = {
    2: FieldForm("card number", "主账号", "hex", 19, 1),
    3: FieldForm("processing code", "交易处理码", "bcd", 6),
    4: FieldForm("amount", "交易金额", "bcd", 12),
    11: FieldForm("trace number (STAN)", "受卡方系统跟踪号", "bcd", 6),
    12: FieldForm("local time", "受卡方所在地时间", "bcd", 6),
    13: FieldForm("local date", "受卡方所在地日期", "bcd", 4),
    14: FieldForm("expiry of the card", "卡有效期", "bcd", 4),
    15: FieldForm("settlement date", "清算日期", "bcd", 4),
    22: FieldForm("entry mode", "服务点输入方式码", "bcd", 4),
    23: FieldForm("card sequence number", "卡序列号", "bcd", 4),
    25: FieldForm("condition code", "服务点条件码", "bcd", 2),
    26: FieldForm("PIN capture code", "服务点PIN获取码", "bcd", 2),
    32: FieldForm("acquirer", "受理方标识码", "bcd", 11, 1),
    35: FieldForm("track 2", "第二磁道数据", "hex", 37, 1),
    36: FieldForm("track 3", "第三磁道数据", "hex", 104, 2),
    37: FieldForm("retrieval reference number", "检索参考号", "text", 12),
    38: FieldForm("authorisation code", "授权标识应答码", "text", 6),
    39: FieldForm("response code", "应答码", "text", 2),
    41: FieldForm("terminal", "受卡机终端标识码", "text", 8),
    42: FieldForm("merchant", "受卡方标识码", "text", 15),
    44: FieldForm("additional response", "附加响应数据", "text", 25, 1),
    45: FieldForm("track 1", "第一磁道数据", "text", 76, 1),
    48: FieldForm("totals of the batch", "批结算总额", "bcd", 322, 2),
    49: FieldForm("currency", "交易货币代码", "text", 3),
    52: FieldForm("PIN block", "个人标识码数据", "binary", 8),
    53: FieldForm("security control", "安全控制信息", "bcd", 16),
    54: FieldForm("additional amounts", "附加金额", "text", 20, 2),
    55: FieldForm("chip data", "IC卡数据域", "binary", 255, 2),
    59: FieldForm("private use", "自定义域", "text", 600, 2),
    60: FieldForm("kind, batch, network code", "自定义域:交易类型、批次号", "bcd", 17, 2),
    61: FieldForm("original message", "原始信息域", "bcd", 29, 2),
    62: FieldForm("private use", "自定义域", "binary", 512, 2),
    63: FieldForm("private use", "自定义域", "text", 163, 2),
    64: FieldForm("MAC", "报文鉴别码", "binary", 8),
}
"""The fields that terminals send and get. Another one is refused by its number: without its form
nobody can tell where the next one begins."""

_DIGITS = re.compile(r"[0-9]*", re.ASCII)
_PLACE = re.compile(r"[0-9]{1,3}", re.ASCII)


def _bitmap_form(length: int) -> dict[str, Any]:
    return {"data_enc": "b", "len_enc": "bcd", "len_type": 0, "max_len": length, "desc": ""}


def _library_form(kind: FieldForm) -> dict[str, Any]:
    packed = kind.form in ("bcd", "hex")
    form: dict[str, Any] = {
        "data_enc": "ascii" if kind.form == "text" else "b",
        "len_enc": "bcd",
        "len_type": kind.prefix,
        "max_len": kind.length,
        "len_count": "nibbles" if packed else "bytes",
        "desc": kind.name,
    }
    return form | ({"right_pad": "0"} if packed else {})


_SPEC: Mapping[str, Mapping[str, Any]] = {
    "h": _bitmap_form(0),
    "t": _bitmap_form(2),
    "p": _bitmap_form(8),
    "1": _bitmap_form(8),
} | {str(number): _library_form(kind) for number, kind in FIELDS.items()}


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes of one field, its length in front included, and where they begin."""

    at: int
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message: type, the fields by number (digits, hex digits or text) and their bytes."""

    mti: str
    fields: Mapping[int, str]
    pieces: Mapping[int, Piece]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What stands between two lengths on a line."""

    tpdu: bytes
    header: bytes
    message: bytes


def split_frame(content: bytes) -> Frame:
    """A frame without its length, in its parts."""
    if len(content) < _START + _MESSAGE_MIN:
        raise Iso8583Error(0, 0, f"{len(content)} bytes are too few for TPDU, header and message")
    return Frame(
        tpdu=content[:TPDU_BYTES],
        header=content[TPDU_BYTES:_START],
        message=content[_START:],
    )


def join_frame(tpdu: bytes, header: bytes, message: bytes) -> bytes:
    """A whole frame, with its length in front."""
    content = tpdu + header + message
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


class Frames:
    """Cuts a stream of bytes into frames; an error ends it, since nothing tells where one begins.

    Bounded: at most one incomplete frame is kept.
    """

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The frames (without their lengths) that are complete now."""
        self._waiting += data
        found: list[bytes] = []
        while len(self._waiting) >= LENGTH_BYTES:
            length = int.from_bytes(self._waiting[:LENGTH_BYTES], "big")
            if not _START + _MESSAGE_MIN <= length <= FRAME_BYTES_MAX:
                if found:
                    break  # those before it are good: the next call says what is wrong
                raise Iso8583Error(0, 0, f"a length of {length} bytes is none of a frame")
            if len(self._waiting) < LENGTH_BYTES + length:
                break
            found.append(self._waiting[LENGTH_BYTES : LENGTH_BYTES + length])
            self._waiting = self._waiting[LENGTH_BYTES + length :]
        return found

    @property
    def rest(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._waiting)


def decode(raw: bytes) -> Message:
    """The fields of a message; Iso8583Error names the first that is wrong."""
    if len(raw) < _MESSAGE_MIN:
        raise Iso8583Error(0, 0, f"{len(raw)} bytes are too few for a message type and a bitmap")
    numbers = _numbers(raw[2:_MESSAGE_MIN])
    try:
        values, encoded = iso8583.decode(raw, _SPEC)
    except iso8583.DecodeError as error:
        number = int(error.field) if _PLACE.fullmatch(error.field) else 0
        raise Iso8583Error(number, error.pos, error.msg) from None
    if not _DIGITS.fullmatch(values["t"]):
        raise Iso8583Error(0, 0, "the message type is no number")
    at = _MESSAGE_MIN
    fields: dict[int, str] = {}
    pieces: dict[int, Piece] = {}
    for number in numbers:
        parts = encoded[str(number)]
        piece = Piece(at, parts["len"] + parts["data"])
        value = values[str(number)]
        if FIELDS[number].form == "bcd" and not _DIGITS.fullmatch(value):
            raise Iso8583Error(number, at, "holds something that is no digit")
        fields[number], pieces[number] = value, piece
        at += len(piece.raw)
    return Message(mti=values["t"], fields=fields, pieces=pieces)


def encode(mti: str, fields: Mapping[int, str]) -> bytes:
    """The bytes of a message; Iso8583Error names the field that does not fit its form."""
    document = {"t": mti} | {str(number): value for number, value in fields.items()}
    for number in fields:
        if number not in FIELDS:
            raise Iso8583Error(number, 0, "is none of the fields known here")
    try:
        raw, _ = iso8583.encode(document, _SPEC)
    except iso8583.EncodeError as error:
        number = int(error.field) if _PLACE.fullmatch(error.field) else 0
        raise Iso8583Error(number, 0, error.msg) from None
    return bytes(raw)


def _numbers(bitmap: bytes) -> list[int]:
    """The fields that a bitmap announces, all known here."""
    bits = int.from_bytes(bitmap, "big")
    numbers = [number for number in range(1, 65) if bits >> (64 - number) & 1]
    for number in numbers:
        if number not in FIELDS:
            raise Iso8583Error(number, 2, "is none of the fields known here")
    return numbers
