"""Relay commands for meters that obey only their security module (ESAM): no password, a session.

    1. 03H 070000FF: operator, proof, random 1, dispersion factor
       83H: random 2, serial, counter
    2. 1CH, PA = 98H: operator, ciphertext (the 8 command bytes and a counter), MAC

Fee-control meters take relay commands in no other way (domain.md 5). The text of the standard is
not at hand: every identifier, length and order of fields is UNCONFIRMED and stands in `EsamProfile`
as data; a utility that has the text writes its values into the security file. Keys never come here:
a `CryptoMachine` holds them, in production the utility's own, and returns proofs, ciphertext and
MACs. None of these bytes is ever stored (masking).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.address import MeterAddress
from services.ingest.protocols.dlt645.frame import Frame
from services.ingest.protocols.dlt645.identifiers import check_di, di_bytes
from services.ingest.protocols.dlt645.profile import Dlt645Profile
from services.ingest.protocols.dlt645.requests import Credentials, RelayOrder, relay_request
from services.ingest.protocols.failures import NotSealed
from services.ingest.protocols.session import Ask, PasswordSecurity

COMMAND_BYTES = 8
"""N1 N2 N3..N8 of 1CH: the command and until when the meter may obey."""
HEADER_BYTES = 8
"""PA P0 P1 P2 C0..C3 of 1CH."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EsamProfile:
    """What a type of meter wants of a session. All of it is UNCONFIRMED (domain.md 6).

    function, di: of the authentication. level: PA of the command. random_1_bytes, proof_bytes,
    dispersion_bytes: what we send; random_2_bytes, serial_bytes, counter_bytes: what the meter
    answers, in this order. cipher_bytes, mac_bytes: of the command. session_s: how long the meter
    keeps a session; a command ends it.
    """

    function: int = 0x03
    di: str = "070000FF"
    level: str = "98"
    random_1_bytes: int = 8
    proof_bytes: int = 8
    dispersion_bytes: int = 8
    random_2_bytes: int = 4
    serial_bytes: int = 8
    counter_bytes: int = 4
    cipher_bytes: int = 16
    mac_bytes: int = 4
    session_s: int = 300

    def __post_init__(self) -> None:
        check_di(self.di)
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name not in ("di", "level") and (type(value) is not int or value < 1):
                raise BadInput(f"profile.{each.name}", f"{value!r}", "give a whole number from 1")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Challenge:
    """What we send to be recognised; secret, so it has no text."""

    random_1: bytes
    proof: bytes
    dispersion: bytes


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Session:
    """A meter that recognised us, and what it answered; secret, so it has no text."""

    address: str
    challenge: Challenge
    random_2: bytes
    serial: bytes
    counter: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Sealed:
    """A command that only this meter can read, and only once."""

    ciphertext: bytes
    mac: bytes


class CryptoMachine(Protocol):
    """Holds the keys and does all cryptography; the utility's machine in production.

    Raises `NotSealed` when it cannot or will not.
    """

    def challenge(self, address: str, profile: EsamProfile) -> Challenge:
        """A fresh challenge for one meter (12 digits)."""
        ...

    def seal(self, session: Session, header: bytes, plain: bytes, profile: EsamProfile) -> Sealed:
        """`plain` encrypted for the session, and a MAC over header and ciphertext."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EsamSecurity:
    """Seals relay commands through an ESAM session."""

    machine: CryptoMachine
    operator: str
    profile: EsamProfile = EsamProfile()

    def seal(self, order: RelayOrder, profile: Dlt645Profile, ask: Ask) -> Frame:
        """Open a session with the meter, then the 1CH frame for it. NotSealed when it refuses."""
        session = self._authenticate(order.address, ask)
        credentials = Credentials(level=self.profile.level, operator=self.operator)
        plain_frame = relay_request(order, credentials, profile.zone_minutes)
        header, command = plain_frame.data[:HEADER_BYTES], plain_frame.data[HEADER_BYTES:]
        counter = (session.counter + 1).to_bytes(self.profile.counter_bytes, "little")
        sealed = self.machine.seal(session, header, command + counter, self.profile)
        sizes = (len(sealed.ciphertext), len(sealed.mac))
        if sizes != (self.profile.cipher_bytes, self.profile.mac_bytes):
            raise NotSealed("the crypto machine's ciphertext or MAC has not the profile's length")
        return Frame(
            str(order.address), plain_frame.control, header + sealed.ciphertext + sealed.mac
        )

    def _authenticate(self, address: MeterAddress, ask: Ask) -> Session:
        wanted = self.profile
        challenge = self.machine.challenge(str(address), wanted)
        operator = Credentials(level=wanted.level, operator=self.operator).encode()[4:]
        data = di_bytes(wanted.di) + operator + challenge.proof
        request = Frame(
            str(address), wanted.function, data + challenge.random_1 + challenge.dispersion
        )
        reply = ask(request)
        if reply.refused:
            raise NotSealed(f"{address} refused the authentication: {', '.join(reply.refused)}")
        first = wanted.random_2_bytes
        second = first + wanted.serial_bytes
        if len(reply.payload) != second + wanted.counter_bytes:
            raise NotSealed(f"{address} answered {len(reply.payload)} bytes to the authentication")
        return Session(
            address=str(address),
            challenge=challenge,
            random_2=reply.payload[:first],
            serial=reply.payload[first:second],
            counter=int.from_bytes(reply.payload[second:], "little"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityByMeter:
    """ESAM for the meters that are named, the password for all others.

    esam_meters: 12 digits, or their beginning and `*`.
    """

    password: PasswordSecurity
    esam: EsamSecurity
    esam_meters: tuple[str, ...]

    def seal(self, order: RelayOrder, profile: Dlt645Profile, ask: Ask) -> Frame:
        """The frame of the implementation that this meter needs."""
        address = str(order.address)
        wants_esam = any(
            address.startswith(each[:-1]) if each.endswith("*") else address == each
            for each in self.esam_meters
        )
        chosen = self.esam if wants_esam else self.password
        return chosen.seal(order, profile, ask)
