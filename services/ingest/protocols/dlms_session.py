"""A DLMS/COSEM meter over the TCP wrapper, blocking: association, clock and registers.

    session = DlmsSession(turn.talk, "1")
    session.registers(("1-0:1.8.0",)); session.clock()

The client is the public one (port 16) without security; the meter's logical device is its address.
The association is asked for before the first question, and ends with the connection, which the
caller closes: a meter refuses a second association on the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta

from libs.events.errors import BadInput
from services.ingest.protocols.dlms import DlmsReader, Refusal, decode_data, package
from services.ingest.protocols.dlms_frames import LONGEST_APDU_BYTES, Packet, PacketReader, wrapped
from services.ingest.protocols.dlt645.values import NO_VALUE, Quantity
from services.ingest.protocols.failures import BadReply, Exchange
from services.ingest.protocols.framing import StreamReader
from services.ingest.protocols.talk import Talk

PUBLIC_CLIENT = 16
CLOCK_CLASS, CLOCK, CLOCK_TIME = 8, "0-0:1.0.0", 2
NO_DEVIATION = -0x8000
LAST_PORT = 0xFFFF
LONGEST_ANSWER_BYTES = 2048
"""What a time-out is computed for; blocks are longer only where a meter makes them so."""

OpenTalk = Callable[[Callable[[], StreamReader[Packet]]], Talk[Packet]]


class DlmsSession:
    """Conversation with one logical device. Raises BadReply, NoReply or LineDown."""

    def __init__(self, open_talk: OpenTalk, address: str, zone_minutes: int = 480) -> None:
        if not (address.isascii() and address.isdecimal() and 0 < int(address) <= LAST_PORT):
            fix = f"give the logical device, 1 to {LAST_PORT}"
            raise BadInput("address", f"{address!r} is no DLMS address", fix)
        self._reader = DlmsReader(self._ask)
        self._server = int(address)
        self._zone = timedelta(minutes=zone_minutes)
        self._talk = open_talk(PacketReader)
        self._is_associated = False

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All that was asked so far, and what came."""
        return tuple(self._talk.exchanges)

    def registers(self, codes: Sequence[str]) -> tuple[Quantity, ...]:
        """Registers as they are now, in the order of the codes; one that the meter does not give
        has no value."""
        self._associate()
        return tuple(map(self._register, codes))

    def _register(self, code: str) -> Quantity:
        try:
            return self._reader.register(code)
        except Refusal:
            return Quantity(obis=code, name=code, unit="", scale=1, value=None, bad=NO_VALUE)

    def clock(self) -> datetime | None:
        """The instant (naive UTC) that the meter's clock shows; None when it shows none."""
        self._associate()
        raw = decode_data(self._reader.get(CLOCK_CLASS, CLOCK, CLOCK_TIME))
        if not isinstance(raw, bytes):
            raise BadReply("the clock shows no date and time")
        return utc_of(raw, self._zone)

    def _associate(self) -> None:
        if self._is_associated:
            return
        acse, xdlms = package("protocol.acse"), package("protocol.xdlms")
        able = package("protocol.xdlms.conformance").Conformance(
            get=True, block_transfer_with_get_or_read=True
        )
        asked = acse.ApplicationAssociationRequest(
            user_information=acse.UserInformation(
                content=xdlms.InitiateRequest(
                    proposed_conformance=able, client_max_receive_pdu_size=LONGEST_APDU_BYTES
                )
            )
        )
        answer = self._ask(asked.to_bytes())
        try:
            accepted = acse.ApplicationAssociationResponse.from_bytes(answer).result
        except Exception as error:  # the package raises what its parsing meets
            raise BadReply(f"no answer to an association ({error})", self._last()) from None
        if accepted != package("enumerations").AssociationResult.ACCEPTED:
            raise BadReply(f"no association: {accepted.name.lower()}", self._last())
        self._is_associated = True

    def _ask(self, apdu: bytes) -> bytes:
        raw = wrapped(apdu, PUBLIC_CLIENT, self._server)

        def expect(found: Packet) -> bool:
            ports = (found.source, found.destination)
            return found.control < 0 and ports == (str(self._server), str(PUBLIC_CLIENT))

        return self._talk.ask(raw, expect, LONGEST_ANSWER_BYTES).apdu

    def _last(self) -> Exchange:
        return self._talk.exchanges[-1]


def utc_of(raw: bytes, zone: timedelta) -> datetime | None:
    """The instant (naive UTC) in the 12 bytes of a date-time; None when a part is not specified, or
    when there is no such instant.

    Its deviation is minutes from local time to UTC, so China has -480; without one, `zone` counts.
    """
    if len(raw) != 12:
        return None
    deviation = int.from_bytes(raw[9:11], "big", signed=True)
    shift = zone if deviation == NO_DEVIATION else timedelta(minutes=-deviation)
    year = int.from_bytes(raw[:2], "big")
    month, day, _weekday, hour, minute, second = raw[2:8]
    try:
        return datetime.combine(date(year, month, day), time(hour, minute, second)) - shift
    except (ValueError, OverflowError):
        return None
