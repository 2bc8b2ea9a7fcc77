"""One DL/T 645-2007 meter: ask for what a bill or a command needs, get exact values and evidence.

    session = MeterSession(line, MeterAddress("000000000161"))
    session.read("0001FF00").quantities[0].value      # total import in Wh

A refusal by the meter is a result (`refused` names the error bits); a line that fails raises
NoReply, BadReply or LineDown with the frames. Values that are no value come as quantities with a
reason. Nothing here decides whether a reading is good: that is validation's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.address import MeterAddress
from services.ingest.protocols.dlt645.frame import Frame
from services.ingest.protocols.dlt645.identifiers import FREEZE_STAMP_PART, check_di
from services.ingest.protocols.dlt645.payloads import decode_payload
from services.ingest.protocols.dlt645.profile import STANDARD, Dlt645Profile
from services.ingest.protocols.dlt645.replies import Reply, is_reply, parse_reply
from services.ingest.protocols.dlt645.requests import (
    Credentials,
    RelayOrder,
    follow_up_request,
    read_request,
    relay_request,
)
from services.ingest.protocols.dlt645.status import relay_state, status_bits
from services.ingest.protocols.dlt645.values import Quantity, instant
from services.ingest.protocols.drivers import Wire
from services.ingest.protocols.failures import (
    BadReply,
    Exchange,
    NotSealed,
    ProtocolError,
    Withheld,
)
from services.ingest.protocols.load_profile import ProfileBlock, read_profile

DATE_DI, TIME_DI, STATUS_3_DI = "04000101", "04000102", "04000503"
MAX_FOLLOW_UPS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult:
    """What a meter answered to one DI. `refused`: the error bits when it did not give it."""

    address: str
    di: str
    quantities: tuple[Quantity, ...] = ()
    refused: tuple[str, ...] = ()
    exchanges: tuple[Exchange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeResult:
    """A daily freeze, normalised: the registers at 24:00 of `day_on`.

    stamp_at: when the meter says it froze; day_on is empty when that is not 00:00 of its clock, and
    both when it refused. missing: the parts (DI1) the meter does not freeze.
    """

    address: str
    nth: int
    day_on: str = ""
    stamp_at: str = ""
    quantities: tuple[Quantity, ...] = ()
    missing: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    exchanges: tuple[Exchange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockResult:
    """The meter's clock as an instant; empty when the meter refused or showed no time."""

    address: str
    meter_at: str = ""
    bad: str = ""
    refused: tuple[str, ...] = ()
    exchanges: tuple[Exchange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayStatus:
    """Status word 3, the read-back of a relay command.

    is_open: what bit 4 says, None without a word; a command is confirmed by nothing else. state:
    closed, open, close_permitted (open, waits for the button), trip_pending (told to open but
    closed), or unknown.
    """

    address: str
    state: str
    is_open: bool | None = None
    word: int | None = None
    bits: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    exchanges: tuple[Exchange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayResult:
    """The meter's answer to a relay command. `accepted` is not "switched": read the status."""

    address: str
    command: str
    accepted: bool
    refused: tuple[str, ...] = ()
    exchanges: tuple[Exchange, ...] = ()


class Ask(Protocol):
    """Sends one frame on the meter's line and gives its reply."""

    def __call__(self, request: Frame) -> Reply:
        """The reply; raises NoReply, BadReply or LineDown."""
        ...


LastWord = Callable[[], tuple[str, str]]
"""The check that refuses a command just before the wire, and why; two empty texts for none."""


class RelaySecurity(Protocol):
    """How a meter is convinced that a relay command is ours."""

    def seal(self, order: RelayOrder, profile: Dlt645Profile, ask: Ask) -> Frame:
        """The 1CH frame to send; a security module may `ask` the meter first (challenges)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordSecurity:
    """The password level of old meters; meters with an ESAM refuse it."""

    credentials: Credentials

    def seal(self, order: RelayOrder, profile: Dlt645Profile, ask: Ask) -> Frame:
        """1CH with level, password and operator in clear, as the standard has it."""
        return relay_request(order, self.credentials, profile.zone_minutes)


class MeterSession:
    """Conversation with one meter on a line that others may share."""

    def __init__(
        self, line: Wire, address: MeterAddress | str, profile: Dlt645Profile = STANDARD
    ) -> None:
        self.line = line
        self.address = MeterAddress(address) if isinstance(address, str) else address
        self.profile = profile
        self._exchanges: list[Exchange] = []

    def read(self, di: str) -> ReadResult:
        """One DI, joined from follow-up frames where the meter sends them."""
        self._exchanges = []
        payload, refused = self.read_with_follow_up(di)
        quantities = () if refused else self._decode(di, payload)
        return ReadResult(
            address=str(self.address),
            di=check_di(di),
            quantities=quantities,
            refused=refused,
            exchanges=tuple(self._exchanges),
        )

    def read_with_follow_up(self, di: str, extra: bytes = b"") -> tuple[bytes, tuple[str, ...]]:
        """The joined payload behind `di`, or the meter's refusal; 11H, then 12H with SEQ 1, 2, ...

        A meter that refuses a follow-up has not answered the read: BadReply, nothing is joined.
        """
        reply = self._ask(read_request(str(self.address), di, extra))
        payload = reply.payload
        seq = 0
        while reply.more and not reply.refused:
            seq += 1
            if seq > MAX_FOLLOW_UPS:
                raise self.bad_reply(f"{di} never ends")
            reply = self._ask(follow_up_request(str(self.address), di, seq))
            if reply.refused:
                raise self.bad_reply(f"follow-up {seq} of {di} refused: {', '.join(reply.refused)}")
            payload += reply.payload
        return payload, reply.refused

    def read_daily_freeze(self, nth: int = 1) -> FreezeResult:
        """The registers of the nth last daily freeze (1 = the newest), as 24:00 of its day.

        The stamp is read before and after: a freeze that happens in between would shift every
        value by a day. Raises BadReply when it moved twice.
        """
        if not 1 <= nth <= 254:
            raise BadInput("nth", f"{nth} is no freeze number", "use 1 (newest) to 254")
        self._exchanges = []
        for _ in range(2):
            stamp = self._freeze_stamp(nth)
            if stamp[1]:
                return FreezeResult(
                    address=str(self.address),
                    nth=nth,
                    refused=stamp[1],
                    exchanges=tuple(self._exchanges),
                )
            quantities, missing = self._freeze_parts(nth)
            if self._freeze_stamp(nth) == stamp:
                return FreezeResult(
                    address=str(self.address),
                    nth=nth,
                    day_on=self._frozen_day(stamp[0]),
                    stamp_at=stamp[0],
                    quantities=quantities,
                    missing=missing,
                    exchanges=tuple(self._exchanges),
                )
        raise self.bad_reply("the daily freeze moved while it was read, twice")

    def read_profile(self, day_on: str) -> ProfileBlock:
        """The 97 register snapshots of a day, as one block (see `load_profile`)."""
        return read_profile(self, day_on)

    def read_clock(self) -> ClockResult:
        """The meter's clock; just after midnight the date is read again, so that both fit."""
        self._exchanges = []
        day, refused = self._single(DATE_DI)
        clock = day
        if not refused and not day.bad:
            clock, refused = self._single(TIME_DI)
            if not refused and clock.text.startswith("00:"):
                day, refused = self._single(DATE_DI)
        bad = day.bad or clock.bad
        at = ""
        if not refused and not bad:
            civil = datetime.fromisoformat(f"{day.text}T{clock.text}")
            at = instant(civil, self.profile.zone_minutes)
        return ClockResult(
            address=str(self.address),
            meter_at=at,
            bad=bad,
            refused=refused,
            exchanges=tuple(self._exchanges),
        )

    def read_relay_status(self) -> RelayStatus:
        """Status word 3 (04000503): whether the relay is open, and what it was last told."""
        self._exchanges = []
        word, refused = self._single(STATUS_3_DI)
        state, bits, is_open = "unknown", tuple[str, ...](), None
        if word.value is not None:
            profile = self.profile
            is_open = bool(word.value >> profile.relay_open_bit & 1)
            state = relay_state(word.value, profile.relay_open_bit, profile.relay_command_bit)
            bits = status_bits(3, word.value)
        return RelayStatus(
            address=str(self.address),
            state=state,
            is_open=is_open,
            word=word.value,
            bits=bits,
            refused=refused,
            exchanges=tuple(self._exchanges),
        )

    def send_relay_command(
        self,
        command: str,
        valid_until_at: str,
        security: RelaySecurity,
        last_word: LastWord | None = None,
    ) -> RelayResult:
        """1CH, once. An error whose `sent` is true leaves the outcome unknown: read, never repeat.

        NotSealed when the security could not make it, Withheld when `last_word` gave a reason not
        to send: then nothing of it was sent. It is asked when the frame is made, since a security
        module may have talked with the meter for seconds before.

        command: a name of `RELAY_COMMANDS`. valid_until_at: the meter refuses after this instant.
        """
        self._exchanges = []
        order = RelayOrder(address=self.address, command=command, valid_until_at=valid_until_at)
        try:
            request = security.seal(order, self.profile, self._ask)
        except ProtocolError as error:  # whatever was exchanged before, no command was sent
            raise NotSealed(error.problem) from None
        check, detail = last_word() if last_word is not None else ("", "")
        if check:
            raise Withheld(check, detail)
        reply = self._ask(request, tries=1)
        return RelayResult(
            address=str(self.address),
            command=command,
            accepted=not reply.refused,
            refused=reply.refused,
            exchanges=tuple(self._exchanges),
        )

    def take_exchanges(self) -> tuple[Exchange, ...]:
        """The evidence of the call that just returned or raised, and forget it."""
        taken = tuple(self._exchanges)
        self._exchanges = []
        return taken

    def keep_exchanges(self, before: Sequence[Exchange]) -> None:
        """Put the evidence of earlier calls before that of the one that failed."""
        self._exchanges[:0] = before

    def _ask(self, request: Frame, tries: int | None = None) -> Reply:
        try:
            exchanged = self.line.exchange(
                request, lambda frame: is_reply(request, frame), tries=tries
            )
        except ProtocolError as error:
            if error.exchange is not None:
                self._exchanges.append(error.exchange)
            raise
        self._exchanges.append(exchanged.exchange)
        try:
            return parse_reply(request, exchanged.frame)
        except BadReply as error:
            raise self.bad_reply(error.problem) from None

    def bad_reply(self, problem: str) -> BadReply:
        """The error for a reply that makes no sense, with the exchange that brought it."""
        return BadReply(f"{self.address}: {problem}", self._exchanges[-1])

    def _decode(self, di: str, payload: bytes) -> tuple[Quantity, ...]:
        try:
            return decode_payload(check_di(di), payload, self.profile)
        except BadReply as error:
            raise self.bad_reply(error.problem) from None

    def _single(self, di: str) -> tuple[Quantity, tuple[str, ...]]:
        """The one quantity of a DI, or an empty one and the refusal."""
        payload, refused = self.read_with_follow_up(di)
        if refused:
            return Quantity(obis="", name="", unit="", scale=1, value=None), refused
        return self._decode(di, payload)[0], ()

    def _freeze_stamp(self, nth: int) -> tuple[str, tuple[str, ...]]:
        stamp, refused = self._single(f"0506{FREEZE_STAMP_PART}{nth:02X}")
        if not refused and stamp.bad == "no_value":
            return "", ("no_such_data",)
        if stamp.bad:
            raise self.bad_reply(f"the freeze has no time: {stamp.bad}")
        return stamp.text, refused

    def _freeze_parts(self, nth: int) -> tuple[tuple[Quantity, ...], tuple[str, ...]]:
        quantities: list[Quantity] = []
        missing = []
        for part in self.profile.freeze_parts:
            di = f"0506{part}{nth:02X}"
            payload, refused = self.read_with_follow_up(di)
            if refused:
                missing.append(part)
            else:
                quantities.extend(self._decode(di, payload))
        return tuple(quantities), tuple(missing)

    def _frozen_day(self, stamp_at: str) -> str:
        """645 stamps the freeze 00:00 of the next day: that is 24:00 of the day before."""
        civil = datetime.fromisoformat(stamp_at.removesuffix("Z"))
        civil += timedelta(minutes=self.profile.zone_minutes)
        if (civil.hour, civil.minute) != (0, 0):
            return ""
        return (civil.date() - timedelta(days=1)).isoformat()
