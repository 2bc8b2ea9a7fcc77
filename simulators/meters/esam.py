"""The security module of a simulated meter: it alone decides whether a relay command is genuine.

It refuses what is not its session's: no or an old session, a wrong MAC, a counter that is not the
next one, a command sent twice. The keys are those of `esam_simulated`; real modules differ.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

from services.ingest.protocols.dlt645.frame import FROM_METER, RELAY, Frame
from services.ingest.protocols.dlt645.identifiers import di_bytes
from services.ingest.protocols.dlt645.replies import refusal_reply
from services.ingest.protocols.dlt645.requests import RelayAsked, parse_request
from services.ingest.protocols.esam import (
    COMMAND_BYTES,
    HEADER_BYTES,
    Challenge,
    EsamProfile,
    Sealed,
    Session,
)
from services.ingest.protocols.esam_simulated import dispersion_of, proof_of, unseal
from services.ingest.protocols.failures import BadReply

OPERATOR_BYTES = 4


class Esam:
    """One module. `counter`: how many commands it accepted."""

    def __init__(
        self,
        address: str,
        root: bytes,
        profile: EsamProfile | None = None,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.address = address
        self.profile = profile or EsamProfile()
        self.counter = 0
        self._root = root
        self._random = random
        self._session: tuple[Session, int] | None = None

    def is_for(self, frame: Frame) -> bool:
        """Whether a frame is the module's business."""
        return frame.control in (self.profile.function, RELAY)

    def authenticate(self, frame: Frame, at_s: int) -> Frame:
        """83H with a random number, the serial and the counter; or a refusal, and no session."""
        self._session = None
        wanted = self.profile
        data = frame.data[4 + OPERATOR_BYTES :]
        proof, rest = data[: wanted.proof_bytes], data[wanted.proof_bytes :]
        challenge = Challenge(
            random_1=rest[: wanted.random_1_bytes],
            proof=proof,
            dispersion=rest[wanted.random_1_bytes :],
        )
        right = (
            frame.data[:4] == di_bytes(wanted.di)
            and challenge.dispersion == dispersion_of(self.address, wanted)
            and secrets.compare_digest(proof_of(self._root, challenge, wanted), proof)
        )
        if not right:
            return refusal_reply(frame, self.address, "not_authorised")
        session = Session(
            address=self.address,
            challenge=challenge,
            random_2=self._random(wanted.random_2_bytes),
            serial=bytes.fromhex(self.address).rjust(wanted.serial_bytes, b"\0"),
            counter=self.counter,
        )
        self._session = (session, at_s + wanted.session_s)
        answer = session.random_2 + session.serial
        answer += self.counter.to_bytes(wanted.counter_bytes, "little")
        return Frame(self.address, frame.control | FROM_METER, frame.data[:4] + answer)

    def open(self, frame: Frame, at_s: int) -> RelayAsked | None:
        """The genuine command in a 1CH frame, or None. Every attempt ends the session."""
        held, self._session = self._session, None
        wanted = self.profile
        sizes = HEADER_BYTES + wanted.cipher_bytes + wanted.mac_bytes
        header = frame.data[:HEADER_BYTES]
        if held is None or at_s >= held[1] or len(frame.data) != sizes:
            return None
        if header[:1].hex() != wanted.level:
            return None
        end = HEADER_BYTES + wanted.cipher_bytes
        sealed = Sealed(ciphertext=frame.data[HEADER_BYTES:end], mac=frame.data[end:])
        plain = unseal(self._root, held[0], header, sealed)
        if plain is None:
            return None
        counter = plain[COMMAND_BYTES:].ljust(wanted.counter_bytes, b"\0")
        if int.from_bytes(counter, "little") != self.counter + 1:
            return None
        self.counter += 1
        try:
            asked = parse_request(replace(frame, data=header + plain[:COMMAND_BYTES]))
        except BadReply:
            return None
        return asked if isinstance(asked, RelayAsked) else None
