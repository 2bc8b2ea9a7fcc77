"""DLMS/COSEM reads through the optional package `dlms-cosem`: pip install gridledger[dlms].

The package's client state machine makes and takes the APDUs (GET, blocks, refusals); the bytes go
through `ask`, whatever carries them (HDLC, TCP wrapper). Values are decoded here, because a value
must stay exact and a truncated one must end: the package's A-XDR parser does not return from one.

    reader = DlmsReader(ask)
    reader.register("1-0:1.8.0")          # Quantity: value and scaler of class 3, exact
    reader.profile("1-0:99.1.0")          # rows of a load profile by OBIS

The association is taken as made (the meter's public client has none to make).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.values import BadValue, Quantity
from services.ingest.protocols.failures import BadReply
from services.ingest.protocols.modbus_registers import NO_NUMBER, decode_float32

REGISTER, PROFILE = 3, 7
VALUE, SCALER_UNIT, CAPTURE_OBJECTS = 2, 3, 3
MAX_DEPTH, MAX_BLOCKS = 8, 10_000
FLOAT_DECIMALS = 3
UNITS = {27: "W", 28: "VA", 29: "var", 30: "Wh", 31: "VAh", 32: "varh", 33: "A", 35: "V", 44: "Hz"}
"""Enumeration of IEC 62056-6-2, physical units; 255 is "none"."""
INTEGERS = {5: (4, True), 6: (4, False), 15: (1, True), 16: (2, True), 17: (1, False)}
INTEGERS |= {18: (2, False), 20: (8, True), 21: (8, False), 22: (1, False)}
STRINGS = (9, 10, 12)
FIXED = {3: 1, 25: 12, 26: 5, 27: 4}
NULL, ARRAY, STRUCTURE, FLOAT32 = 0, 1, 2, 23
SCALERS = range(-128, 128)
"""An int8 by the standard; a power of ten out of a longer one would never be finished."""

Value = int | bytes | BadValue | None | list[Any]
Ask = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Float32:
    """The four bytes of a float32, kept exact until a scale is known."""

    raw: bytes


def decode_data(raw: bytes) -> Any:
    """One A-XDR value and nothing behind it: int, bytes, list, None or `Float32`.

    BadReply when it is cut off, too deep, or of a type that meters do not send.
    """
    value, rest = _decode(raw, MAX_DEPTH)
    if rest:
        raise BadReply(f"{len(rest)} bytes behind a DLMS value")
    return value


def _decode(raw: bytes, depth: int) -> tuple[Any, bytes]:
    if not raw or not depth:
        raise BadReply("a DLMS value is cut off or nested too deeply")
    tag, rest = raw[0], raw[1:]
    if tag == NULL:
        return None, rest
    if tag in INTEGERS:
        size, signed = INTEGERS[tag]
        body, rest = _take(rest, size)
        return int.from_bytes(body, "big", signed=signed), rest
    if tag == FLOAT32:
        body, rest = _take(rest, 4)
        return Float32(body), rest
    if tag in FIXED:
        return _take(rest, FIXED[tag])
    if tag in STRINGS:
        size, rest = _length(rest)
        return _take(rest, size)
    if tag in (ARRAY, STRUCTURE):
        count, rest = _length(rest)
        values = []
        for _ in range(count):
            value, rest = _decode(rest, depth - 1)
            values.append(value)
        return values, rest
    raise BadReply(f"a DLMS value of type {tag}")


def _take(raw: bytes, size: int) -> tuple[bytes, bytes]:
    if len(raw) < size:
        raise BadReply("a DLMS value is cut off")
    return raw[:size], raw[size:]


def _length(raw: bytes) -> tuple[int, bytes]:
    head, rest = _take(raw, 1)
    if head[0] < 0x80:
        return head[0], rest
    body, rest = _take(rest, head[0] & 0x7F)
    return int.from_bytes(body, "big"), rest


class Refusal(BadReply):
    """The meter answered, and does not give the attribute."""


def package(name: str) -> Any:
    """A module of the package; BadInput when it is not installed."""
    try:
        return importlib.import_module(f"dlms_cosem.{name}")
    except ImportError:
        fix = "pip install gridledger[dlms]"
        raise BadInput("dlms", "the package dlms-cosem is not installed", fix) from None


def parse_obis(text: str) -> tuple[int, ...]:
    """The six groups of 1-0:1.8.0 (F is 255); BadInput when it is no code."""
    groups = text.replace("-", ".").replace(":", ".").split(".")
    if len(groups) == 5 and all(g.isascii() and g.isdecimal() and int(g) <= 255 for g in groups):
        return (*map(int, groups), 255)
    raise BadInput("obis", f"{text!r} is no OBIS code", "write it like 1-0:1.8.0")


def obis_text(raw: bytes) -> str:
    """1-0:1.8.0 of the six bytes of a logical name."""
    a, b, c, d, e, _ = raw
    return f"{a}-{b}:{c}.{d}.{e}"


class DlmsReader:
    """Reads one meter. Raises BadReply for a refusal or an answer that is none."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        package("connection")
        structlog = importlib.import_module("structlog")
        # the package logs every APDU; evidence is the caller's, and a command's output is its own
        for name in ("connection", "state"):
            package(name).LOG = structlog.wrap_logger(
                None, wrapper_class=structlog.make_filtering_bound_logger(50)
            )
        self._connection: Any = None

    def get(self, interface: int, obis: str, attribute: int) -> bytes:
        """The A-XDR bytes of an attribute, joined from blocks."""
        cosem, enums = package("cosem"), package("enumerations")
        apdus = package("protocol.xdlms")
        wanted = cosem.CosemAttribute(
            enums.CosemInterface(interface), cosem.Obis(*parse_obis(obis)), attribute
        )
        # a fresh state machine each time: one that met a bad answer waits for ever
        self._connection = package("connection").DlmsConnection.with_pre_established_association(
            conformance=package("protocol.xdlms.conformance").Conformance(
                get=True, block_transfer_with_get_or_read=True
            )
        )
        answer = self._exchange(apdus.GetRequestNormal(cosem_attribute=wanted), obis)
        data = b""
        for _ in range(MAX_BLOCKS):
            if not isinstance(
                answer,
                apdus.GetResponseNormal | apdus.GetResponseWithBlock | apdus.GetResponseLastBlock,
            ):
                error = getattr(answer, "error", None)
                what = f"{obis} attribute {attribute}"
                if error is not None:
                    raise Refusal(f"{what}: {error.name.lower()}")
                raise BadReply(f"{what}: {type(answer).__name__}")
            data += bytes(answer.data)
            if not isinstance(answer, apdus.GetResponseWithBlock):
                return data
            following = apdus.GetRequestNext(
                invoke_id_and_priority=answer.invoke_id_and_priority,
                block_number=answer.block_number,
            )
            answer = self._exchange(following, obis)
        raise BadReply(f"{obis} attribute {attribute} never ends")

    def _exchange(self, request: Any, obis: str) -> Any:
        raw = self._ask(self._connection.send(request))
        try:
            self._connection.receive_data(raw)
            return self._connection.next_event()
        except Exception as error:  # the package raises what its parsing meets
            raise BadReply(f"{obis}: no answer to a GET ({error})") from None

    def register(self, obis: str) -> Quantity:
        """A register (class 3): its value with its own scaler and unit."""
        scaler, unit = self._scaler(obis)
        return scaled(obis, decode_data(self.get(REGISTER, obis, VALUE)), scaler, unit)

    def profile(self, obis: str) -> tuple[dict[str, Quantity | bytes | None], ...]:
        """The rows of a profile (class 7) by OBIS: registers as quantities, other columns (the
        clock's 12 bytes) as they are, None where the meter repeats or leaves out a value."""
        columns = []
        for column in _list(decode_data(self.get(PROFILE, obis, CAPTURE_OBJECTS))):
            interface, name, *_ = _list(column)
            code = obis_text(name)
            columns.append((code, self._scaler(code) if interface == REGISTER else None))
        rows = []
        for row in _list(decode_data(self.get(PROFILE, obis, VALUE))):
            cells = _list(row)
            if len(cells) != len(columns):
                raise BadReply(f"{obis}: {len(cells)} values in {len(columns)} columns")
            rows.append(
                {
                    code: scaled(code, cell, *of) if of and cell is not None else cell
                    for (code, of), cell in zip(columns, cells, strict=True)
                }
            )
        return tuple(rows)

    def _scaler(self, obis: str) -> tuple[int, int]:
        found = _list(decode_data(self.get(REGISTER, obis, SCALER_UNIT)))
        if len(found) != 2 or not all(isinstance(each, int) for each in found):
            raise BadReply(f"{obis}: no scaler and unit")
        if found[0] not in SCALERS:
            raise BadReply(f"{obis}: a scaler of {found[0]}")
        return found[0], found[1]


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise BadReply("a DLMS structure was expected")
    return value


def scaled(obis: str, value: Any, scaler: int, unit: int) -> Quantity:
    """A value times 10^scaler in its unit, exact; a float32 is rounded half up to 3 decimals."""
    number: int | BadValue
    factor, scale = (10**scaler, 1) if scaler >= 0 else (1, 10**-scaler)
    if isinstance(value, Float32):
        high, low = int.from_bytes(value.raw[:2], "big"), int.from_bytes(value.raw[2:], "big")
        kept = 10**FLOAT_DECIMALS
        number, scale = decode_float32(high, low, factor * kept), scale * kept
    else:
        number = value * factor if isinstance(value, int) else BadValue(NO_NUMBER, "")
    bad = number.reason if isinstance(number, BadValue) else ""
    whole = None if isinstance(number, BadValue) else number
    name = UNITS.get(unit, "")
    return Quantity(obis=obis, name=obis, unit=name, scale=scale, value=whole, bad=bad)
