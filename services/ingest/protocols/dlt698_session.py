"""A DL/T 698.45 meter, blocking: association, day freeze and present values over any port.

    session = Dlt698Session(talk_on, "000000000161")
    session.read_freeze(date(2026, 1, 31))         # registers of 24:00 of that day
    session.read(["20000200", "40000200"])         # voltages and clock, as they are now

A terminal that logs in on its own connection (LINK request) is answered, or it would hang up; an
association without security (the public client's) is asked for before the first question. Every
request is one whole APDU: an answer in several APDUs or link segments is no answer here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from services.ingest.protocols.dlt645.values import Quantity
from services.ingest.protocols.dlt698 import (
    civil_time_of,
    package,
    parse_oad,
    quantities,
    request_frame,
    reraise_unknown,
)
from services.ingest.protocols.dlt698_frames import LONGEST_BYTES, Found, FrameReader
from services.ingest.protocols.failures import BadReply, Exchange
from services.ingest.protocols.framing import StreamReader
from services.ingest.protocols.talk import Talk

DAY_FREEZE = 0x5004
FREEZE_TIME = "20210200"
LINK_CONTROL = 0x01
"""From the client, answering: link management."""
FROM_METER = 0x80
PROTOCOL_CONFORMANCE = [0xFF, 0xFF, 0xF8, 0, 0, 0, 0, 0]
"""Every service, as the package's own client asks for them; the meter answers with those it has."""
_LEAD = b"\xfe" * 4

OpenTalk = Callable[
    [Callable[[], StreamReader[Found]], Callable[[Found], bytes]],
    Talk[Found],
]
"""Opens the conversation on a line, given a reader of frames and what to say to other frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dlt698Profile:
    """How one type of meter speaks.

    freeze_days: the day freeze of a day has the stamp 00:00 of so many days later (UNCONFIRMED, as
    DL/T 645 has it). client: our address (0 the public one). connects: an association is asked for.
    lead_bytes: FEH before a request, which a serial line wants and a terminal on TCP does not.
    """

    freeze_days: int = 1
    client: int = 0
    connects: bool = True
    lead_bytes: int = 0


STANDARD_698 = Dlt698Profile()
SERIAL_698 = Dlt698Profile(lead_bytes=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """The registers at 24:00 of a day; `held` is false when the meter has no such freeze; refused:
    its reason (DAR) when it does not answer to the question at all."""

    quantities: tuple[Quantity, ...] = ()
    held: bool = True
    refused: str = ""


class Dlt698Session:
    """Conversation with one meter. Raises BadReply, NoReply or LineDown with the exchange."""

    def __init__(
        self, open_talk: OpenTalk, address: str, profile: Dlt698Profile = STANDARD_698
    ) -> None:
        self._native = package()
        self._address, self._profile = address, profile
        self._talk = open_talk(lambda: FrameReader(keep_lead=False), self._aside)
        self._piid = 0
        self._is_connected = not profile.connects
        self._has_logged_in = False

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All that was asked so far, and what came."""
        return tuple(self._talk.exchanges)

    def read_freeze(self, day_on: date, oads: Sequence[str]) -> Freeze:
        """The day freeze (50040200) of a day: the columns `oads` of its one row."""
        native = self._native
        midnight = datetime.combine(day_on, time())  # the meter's clock: civil, without a zone
        stamp = midnight + timedelta(days=self._profile.freeze_days)
        columns = [parse_oad(each) for each in (FREEZE_TIME, *oads)]
        wanted = native.record_at(DAY_FREEZE, native.DateTimeS(value=_wire_time(stamp)), columns)
        request = native.GetRecordRequest(records=[wanted], list=False, piid=self._next_piid())
        answer = self._ask(request, native.GetRecordResponse)
        if len(answer.records) != 1:
            problem = f"{len(answer.records)} records for one question"
            raise BadReply(f"{self._address}: {problem}", self._last())
        record = answer.records[0]
        if isinstance(record.result, int):
            return Freeze(refused=f"DAR {record.result}")
        if not record.result:
            return Freeze(held=False)
        row = record.result[0]
        if len(row) != len(columns) or civil_time_of(row[0]) != stamp:
            raise BadReply(f"{self._address}: the freeze is not that of {stamp}", self._last())
        found = [
            each
            for oad, cell in zip(columns[1:], row[1:], strict=True)
            for each in quantities(oad, cell)
        ]
        return Freeze(quantities=tuple(found))

    def read(self, oads: Sequence[str]) -> dict[str, Any]:
        """The values of attributes now, by OAD: data of the package, or the refusal (DAR, int)."""
        native = self._native
        wanted = [parse_oad(each) for each in oads]
        request = native.GetRequest(attributes=wanted, list=True, piid=self._next_piid())
        answer = self._ask(request, native.GetResponse)
        if len(answer.attributes) != len(oads):
            problem = f"{len(answer.attributes)} answers to {len(oads)} OADs"
            raise BadReply(f"{self._address}: {problem}", self._last())
        return {oad: each.result for oad, each in zip(oads, answer.attributes, strict=True)}

    def _ask(self, request: Any, kind: type) -> Any:
        """The APDU that answers a request."""
        if not self._is_connected:
            self._is_connected = True
            # a terminal that logs in while we ask refuses until its login is answered
            result = self._associate()
            if result and self._has_logged_in:
                result = self._associate()
            if result:
                problem = f"{self._address}: no association (result {result})"
                raise BadReply(problem, self._last())
        return self._exchange(request, kind)

    def _associate(self) -> int:
        """Ask for an association without security: 0, or why there is none."""
        native = self._native
        asked = native.ConnectRequest(
            mechanism=native.NullSecurity(),
            parameters=native.AssociationParameters(protocol=PROTOCOL_CONFORMANCE),
            piid=self._next_piid(),
        )
        return int(self._exchange(asked, native.ConnectResponse).result)

    def _exchange(self, request: Any, kind: type) -> Any:
        raw = request_frame(self._address, self._native.encode_apdu(request), self._profile.client)
        answers: list[Any] = []

        def expect(found: Found) -> bool:
            answer = self._apdu_of(found)
            piid = getattr(answer, "piid_acd", None)
            if not isinstance(answer, kind) or piid is None or piid & 0x3F != request.piid:
                return False
            answers.append(answer)
            return True

        self._talk.ask(_LEAD[: self._profile.lead_bytes] + raw, expect, LONGEST_BYTES)
        return answers[0]

    def _apdu_of(self, found: Found) -> Any:
        """What a frame of our meter carries; None for any other."""
        frame = self._native.decode_frame(found.raw)
        if frame.server.bytes[::-1].hex() != self._address or not frame.control & FROM_METER:
            return None
        try:
            return self._native.decode_apdu(frame.payload)
        except Exception as error:
            reraise_unknown(error)
            return None

    def _aside(self, found: Found) -> bytes:
        """The answer to a terminal that logs in or says that it is alive."""
        native = self._native
        frame = native.decode_frame(found.raw)
        try:
            said = native.decode_apdu(frame.payload)
        except Exception as error:
            reraise_unknown(error)
            return b""
        if not isinstance(said, native.LinkRequest):
            return b""
        self._has_logged_in = True
        at = said.requested_at
        answer = native.LinkResponse(
            piid=said.piid_acd & 0x3F, requested_at=at, received_at=at, responded_at=at, result=0
        )
        back = native.Frame(
            client=frame.client,
            control=LINK_CONTROL,
            payload=native.encode_apdu(answer),
            server=frame.server,
        )
        return bytes(native.encode_frame(back))

    def _next_piid(self) -> int:
        self._piid = (self._piid + 1) & 0x3F
        return self._piid

    def _last(self) -> Exchange:
        return self._talk.exchanges[-1]


def _wire_time(civil: datetime) -> list[int]:
    return [*divmod(civil.year, 256), *civil.timetuple()[1:6]]
