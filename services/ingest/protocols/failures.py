"""What can go wrong between us and a device, as errors that carry the evidence.

    ProtocolError
    ├── LineDown    the line itself could not be opened or broke
    ├── NoReply     nothing at all came within the time allowed
    ├── BadReply    something came, but no answer to what was asked
    ├── NotSealed   a relay command could not be made: nothing of it was sent
    └── Withheld    a relay command was made, and refused before the wire

`exchange` holds the raw frames (passwords masked); `sent` tells whether any byte of the request may
have reached the device. A command whose error has `sent` true has an unknown outcome: it is read
back, never repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.events.errors import GridLedgerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and all that came back: the raw evidence of a reading or a command.

    sent_hex, received_hex: frames in hexadecimal; noise_hex: what was no frame. Password bytes are
    `xx`; then `#` and the digest of the original follow (masking.kept_text). skipped: how often
    something else came (echo, other_address, duplicate, late, checksum, noise, ...). attempts: how
    often the request was sent. carried: the exchanges with a concentrator that carried this one.
    """

    sent_hex: str
    received_hex: tuple[str, ...] = ()
    noise_hex: tuple[str, ...] = ()
    skipped: dict[str, int] = field(default_factory=dict)
    attempts: int = 1
    elapsed_ms: int = 0
    carried: tuple[Exchange, ...] = ()


class ProtocolError(GridLedgerError):
    """A device could not be read or commanded."""

    def __init__(self, problem: str, exchange: Exchange | None = None) -> None:
        self.problem = problem
        self.exchange = exchange
        super().__init__(problem)

    @property
    def sent(self) -> bool:
        """Whether the request may have reached the device."""
        return self.exchange is not None and self.exchange.attempts > 0


class LineDown(ProtocolError):
    """The line could not be opened, or broke while it was used."""


class NoReply(ProtocolError):
    """Nothing came within the time allowed, in any attempt."""


class BadReply(ProtocolError):
    """What came is no answer to what was asked."""


class NotSealed(ProtocolError):
    """A relay command could not be sealed (no session, no crypto machine): it was never sent."""


class Withheld(ProtocolError):
    """A relay command was refused when it was ready: it was never sent. `check`: what refused."""

    def __init__(self, check: str, problem: str) -> None:
        self.check = check
        super().__init__(problem)
