"""Explains DL/T 698.45 to a person, byte by byte, with the optional package `dlt698`.

    for found in make_explainer().feed(capture): print(found.summary)

GET requests and responses are cut into OADs and values; other services are named and kept whole.
An APDU that the package refuses inside a good frame is told with its reason, never dropped.
"""

from __future__ import annotations

from typing import Any

from libs.events.quantities import format_scaled
from services.ingest.protocols.dlt645.values import Quantity
from services.ingest.protocols.dlt698 import civil_time_of, package, quantities, reraise_unknown
from services.ingest.protocols.dlt698_frames import (
    LEAD_BYTES,
    LENGTH_MASK,
    Found,
    FrameReader,
)
from services.ingest.protocols.explanation import Explained, Part, StreamExplainer

PROTOCOL = "dlt698"
SERVICES = {0x05: "GET request", 0x85: "GET response"}


def make_explainer() -> Dlt698Explainer:
    """The explainer behind `gridledger decode --protocol dlt698`; BadInput without the package."""
    package()
    return Dlt698Explainer()


class Dlt698Explainer(StreamExplainer[Found]):
    """Finds 698.45 frames in a stream; a candidate that is none costs one byte."""

    def __init__(self) -> None:
        super().__init__(
            PROTOCOL,
            FrameReader(),
            lambda found, offset: explain_frame(found.raw, offset),
            lead=LEAD_BYTES,
        )


def explain_frame(raw: bytes, offset: int = 0) -> Explained:
    """Every byte of one good frame."""
    frame = package().decode_frame(raw)
    size = len(frame.server.bytes)
    at = 5 + size
    address = frame.server.bytes[::-1].hex()
    body = raw[at + 3 : -3]
    head = [
        _part(0, raw[:1], "start", ""),
        _part(1, raw[1:3], "length", str(int.from_bytes(raw[1:3], "little") & LENGTH_MASK)),
        _part(3, raw[3:4], "control", "from the meter" if raw[3] & 0x80 else "to the meter"),
        _part(4, raw[4:5], "address type", f"{frame.server.type.name}, {size} bytes"),
        _part(5, raw[5:at], "address", address),
        _part(at, raw[at : at + 1], "client", str(frame.client)),
        _part(at + 1, raw[at + 1 : at + 3], "HCS, right", ""),
    ]
    what, parts, fields = _explain_apdu(body, at + 3)
    tail = [
        _part(len(raw) - 3, raw[-3:-1], "FCS, right", ""),
        _part(len(raw) - 1, raw[-1:], "end", ""),
    ]
    return Explained(
        protocol=PROTOCOL,
        offset=offset,
        raw_hex=raw.hex(),
        summary=f"meter {address}: {what}",
        parts=(*head, *parts, *tail),
        fields={"address": address, "client": frame.client, **fields},
    )


def _explain_apdu(body: bytes, base: int) -> tuple[str, list[Part], dict[str, object]]:
    """The APDU in parts: GET byte by byte, other services as a whole."""
    native = package()
    whole = _part(base, body, "APDU", "")
    try:
        apdu = native.decode_apdu(body)
        problem = ""
    except Exception as error:
        reraise_unknown(error)
        apdu, problem = None, str(getattr(error, "context", "")) or "not decoded"
    service = SERVICES.get(body[0], "") if body else ""
    if not service or len(body) < 4 or body[1] not in (1, 2):
        name = type(apdu).__name__ if apdu is not None else f"APDU not decoded: {problem}"
        return name, [whole], {"service": name}
    listed = body[1] == 2
    parts = [
        _part(base, body[:1], "service", service),
        _part(base + 1, body[1:2], "choice", "list" if listed else "normal"),
        Part(
            offset=base + 2,
            raw_hex=body[2:3].hex(),
            name="PIID",
            value=str(body[2]),
            reason=problem,
        ),
    ]
    place = 3
    if listed:
        parts.append(_part(base + 3, body[3:4], "count", str(body[3])))
        place = 4
    fields: dict[str, object] = {"service": service, "piid": body[2], "problem": problem}
    if body[0] == 0x05:
        count = body[3] if listed else 1
        oads = [body[place + 4 * n : place + 4 * n + 4] for n in range(count)]
        for raw in oads:
            parts.append(_part(base + place, raw, "OAD", _oad_name(raw)))
            place += len(raw)
        fields["oads"] = [raw.hex() for raw in oads]
        values: list[Quantity] = []
    else:
        place, values, shown = _explain_results(apdu, body, base, place, parts)
        fields["values"] = shown
    if place < len(body):
        parts.append(_part(base + place, body[place:], "rest", body[place:].hex()))
    names = ", ".join(part.value for part in parts if part.name == "OAD")
    return f"{service} {names}" + (f", {len(values)} values" if values else ""), parts, fields


def _explain_results(
    apdu: Any, body: bytes, base: int, place: int, parts: list[Part]
) -> tuple[int, list[Quantity], list[dict[str, object]]]:
    """The results of a GET response: refusals, numbers with unit, and other values."""
    native = package()
    all_values: list[Quantity] = []
    shown: list[dict[str, object]] = []
    for each in apdu.attributes if apdu is not None else ():
        oad = body[place : place + 4]
        parts.append(_part(base + place, oad, "OAD", _oad_name(oad)))
        place += 4
        parts.append(_part(base + place, body[place : place + 1], "result", str(body[place])))
        place += 1
        refused = isinstance(each.result, int)
        raw = bytes((each.result,)) if refused else native.encode_data(each.result)
        found = () if refused else quantities(each.attribute, each.result)
        texts = [format_scaled(q.value or 0, q.scale) for q in found]
        text = f"DAR {each.result}" if refused else ", ".join(texts) or _text(each.result)
        one = found[0] if len(found) == 1 else None
        unit = found[0].unit if found else ""
        here = body[place : place + len(raw)]
        obis = one.obis if one else ""
        parts.append(
            Part(
                offset=base + place,
                raw_hex=here.hex(),
                name="data",
                value=text,
                unit=unit,
                obis=obis,
            )
        )
        shown += [
            {"obis": q.obis, "name": q.name, "value": value, "unit": q.unit}
            for q, value in zip(found, texts, strict=True)
        ]
        if not found:
            shown.append({"oad": oad.hex(), "value": text})
        all_values += found
        place += len(raw)
    return place, all_values, shown


def _text(data: Any) -> str:
    """A value that is no measured number: a time as ISO 8601, bytes in hex, else as it is."""
    civil = civil_time_of(data)
    if civil is not None:
        return civil.isoformat()
    return data.value.hex() if isinstance(data.value, bytes) else str(data.value)


def _oad_name(raw: bytes) -> str:
    definition = package().find_object(int.from_bytes(raw[:2], "big"))
    return raw.hex() + (f" {definition.name}" if definition is not None else "")


def _part(offset: int, raw: bytes, name: str, value: str) -> Part:
    return Part(offset=offset, raw_hex=raw.hex(), name=name, value=value)
