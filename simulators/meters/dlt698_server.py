"""The DL/T 698.45 side: meters on one TCP port that hold day freezes and present values.

    with Dlt698Server([Dlt698Meter("000000000161", {"00100200": [total, rate 1, ...]})]) as server:
        server.port

The bytes are made with the package `dlt698`; what a meter does with a question is written out here:
it logs in (LINK), associates, and answers GET of present values and of one day freeze. A meter of
`silent` says nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.ingest.protocols.dlt698 import package, parse_oad
from services.ingest.protocols.dlt698_frames import Found, FrameReader
from simulators.meters.loopback import LoopbackServer

DAY_FREEZE = 0x5004
UNDEFINED = 4
"""DAR: the object is not there."""
ANSWER_CONTROL, LOGIN_CONTROL = 0xC3, 0x81


@dataclass(slots=True, kw_only=True)
class Dlt698Meter:
    """One meter. energies: by OAD, in hundredths of a kWh, total and rates; freezes: by stamp
    (00:00 of the day after, ISO), the same; civil: what its clock shows; volts_dv: by phase."""

    address: str
    energies: dict[str, list[int]] = field(default_factory=dict)
    freezes: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    civil: str = "2026-02-01T00:05:00"
    volts_dv: tuple[int, ...] = (2301, 2302, 2303)
    refuses_connect: bool = False
    silent: bool = False
    asked: list[str] = field(default_factory=list)


class Dlt698Server(LoopbackServer):
    """A terminal that meters are behind, until it is closed."""

    def __init__(self, meters: Sequence[Dlt698Meter], *, logs_in: bool = True) -> None:
        self._native = package()
        self._meters = {meter.address: meter for meter in meters}
        self._logs_in = logs_in
        self.logged_in = threading.Event()
        super().__init__()

    def converse(self, received: Iterator[bytes]) -> Iterator[bytes]:
        """Logs in, and answers every frame."""
        reader = FrameReader()
        if self._logs_in:
            login = self._native.LinkRequest(heartbeat_seconds=60)
            yield self._frame(next(iter(self._meters)), login, 0, LOGIN_CONTROL)
        for data in received:
            for found in reader.feed(data):
                if isinstance(found, Found):
                    yield self._answer(found.raw)

    def _answer(self, raw: bytes) -> bytes:
        native = self._native
        frame = native.decode_frame(raw)
        address = frame.server.bytes[::-1].hex()
        meter = self._meters.get(address)
        asked = native.decode_apdu(frame.payload)
        if isinstance(asked, native.LinkResponse):
            self.logged_in.set()
            return b""
        if meter is None or meter.silent:
            return b""
        meter.asked.append(type(asked).__name__)
        said: Any
        if isinstance(asked, native.ConnectRequest):
            said = native.ConnectResponse(
                piid_acd=asked.piid, result=255 if meter.refuses_connect else 0
            )
        elif isinstance(asked, native.GetRecordRequest):
            said = native.GetRecordResponse(
                piid_acd=asked.piid,
                list=asked.list,
                records=[self._record(meter, each) for each in asked.records],
            )
        else:
            results = [
                native.AttributeResult(attribute=oad, result=self._value(meter, oad))
                for oad in asked.attributes
            ]
            said = native.GetResponse(attributes=results, list=asked.list, piid_acd=asked.piid)
        return self._frame(address, said, frame.client, ANSWER_CONTROL)

    def _record(self, meter: Dlt698Meter, asked: Any) -> Any:
        """One row of the day freezes, by its stamp; none when there is none."""
        rows: Any = UNDEFINED
        if asked.attribute.oi == DAY_FREEZE:
            stamp = asked.rows.value.value
            high, low, month, day, *_ = stamp
            frozen = meter.freezes.get(f"{high << 8 | low}-{month:02d}-{day:02d}")
            data = package().Data
            rows = (
                [
                    [
                        data.date_time_s(stamp)
                        if oad == parse_oad("20210200")
                        else self._energies(frozen, oad)
                        for oad in asked.columns
                    ]
                ]
                if frozen is not None
                else []
            )
        return self._native.RecordResult(
            attribute=asked.attribute, columns=asked.columns, result=rows
        )

    def _value(self, meter: Dlt698Meter, oad: Any) -> Any:
        data = self._native.Data
        if oad == parse_oad("40000200"):
            day, _, clock = meter.civil.partition("T")
            year, month, of_month = map(int, day.split("-"))
            return data.date_time_s(
                [*divmod(year, 256), month, of_month, *map(int, clock.split(":"))]
            )
        if oad == parse_oad("20000200"):
            return data.array([data.uint16(each) for each in meter.volts_dv])
        found = self._energies(meter.energies, oad)
        return UNDEFINED if found.type.name == "null" else found

    def _energies(self, held: dict[str, list[int]], oad: Any) -> Any:
        data = self._native.Data
        text = f"{oad.oi:04x}{oad.attribute:02x}{oad.index:02x}"
        if text not in held:
            return data.null()
        return data.array([data.uint32(each) for each in held[text]])

    def _frame(self, address: str, apdu: Any, client: int, control: int) -> bytes:
        native = self._native
        server = native.ServerAddress(
            bytes=bytes.fromhex(address)[::-1], type=native.AddressType.single
        )
        frame = native.Frame(
            client=client, control=control, payload=native.encode_apdu(apdu), server=server
        )
        return bytes(native.encode_frame(frame))
