"""The DLMS/COSEM side: one logical device on a TCP port (wrapper), with registers and a clock.

    with DlmsServer({"1-0:1.8.0": (100, 2, 30)}) as server:       # value, scaler, unit
        server.port

Associations and GETs are parsed and answered with the PDUs of the package `dlms-cosem`, whose
own side is the client's only; what a meter does is written out here. Values are A-XDR by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.ingest.protocols.dlms import obis_text, package
from services.ingest.protocols.dlms_frames import Packet, PacketReader, wrapped
from simulators.meters.loopback import LoopbackServer

CLOCK = "0-0:1.0.0"
Register = tuple[int, int, int]


class DlmsServer(LoopbackServer):
    """A meter until it is closed. clock: the 12 bytes that its clock shows; block_bytes: answers
    longer than this come in blocks, 0 for never; rejects: associations are refused."""

    def __init__(
        self,
        registers: Mapping[str, Register],
        *,
        device: int = 1,
        clock: bytes = bytes.fromhex("07ea02010700050000fe2000"),
        block_bytes: int = 0,
        rejects: bool = False,
    ) -> None:
        self._registers, self._clock, self._device = registers, clock, device
        self._block_bytes, self._rejects = block_bytes, rejects
        self.asked: list[str] = []
        self._rest = b""
        super().__init__()

    def converse(self, received: Iterator[bytes]) -> Iterator[bytes]:
        """Associates once a connection, and answers from then on."""
        reader = PacketReader()
        associated = False
        for data in received:
            for found in reader.feed(data):
                if not isinstance(found, Packet) or found.destination != str(self._device):
                    continue
                if found.apdu[0] == 0x60:
                    accepted = not (associated or self._rejects)
                    answer = self._association(found.apdu, accepted=accepted)
                    associated = associated or accepted
                elif associated:
                    answer = self._answer(found.apdu)
                else:
                    continue
                yield wrapped(answer, self._device, int(found.source))

    def _answer(self, apdu: bytes) -> bytes:
        xdlms = package("protocol.xdlms")
        asked = xdlms.GetRequestFactory.from_bytes(apdu)
        number = asked.invoke_id_and_priority
        if isinstance(asked, xdlms.GetRequestNext):
            return self._block(number, asked.block_number + 1)
        wanted = asked.cosem_attribute
        code = obis_text(wanted.instance.to_bytes())
        self.asked.append(f"{wanted.interface.value} {code} {wanted.attribute}")
        value = self._value(code, wanted.attribute)
        if value is None:
            undefined = package("enumerations").DataAccessResult.OBJECT_UNDEFINED
            refusal = xdlms.GetResponseNormalWithError(
                error=undefined, invoke_id_and_priority=number
            )
            return bytes(refusal.to_bytes())
        if self._block_bytes and len(value) > self._block_bytes:
            self._rest = value
            return self._block(number, 1)
        return b"\xc4\x01" + bytes(number.to_bytes()) + b"\x00" + value  # the package cannot

    def _block(self, number: Any, block: int) -> bytes:
        xdlms = package("protocol.xdlms")
        piece, self._rest = self._rest[: self._block_bytes], self._rest[self._block_bytes :]
        kind = xdlms.GetResponseWithBlock if self._rest else xdlms.GetResponseLastBlock
        answer = kind(data=piece, block_number=block, invoke_id_and_priority=number)
        return bytes(answer.to_bytes())

    def _association(self, apdu: bytes, *, accepted: bool) -> bytes:
        acse, xdlms, enums = (
            package(name) for name in ("protocol.acse", "protocol.xdlms", "enumerations")
        )
        acse.ApplicationAssociationRequest.from_bytes(apdu)
        result = enums.AssociationResult
        granted = package("protocol.xdlms.conformance").Conformance(get=True)
        answer = acse.ApplicationAssociationResponse(
            result=result.ACCEPTED if accepted else result.REJECTED_PERMANENT,
            result_source_diagnostics=enums.AcseServiceUserDiagnostics.NULL,
            user_information=acse.UserInformation(
                content=xdlms.InitiateResponse(
                    negotiated_conformance=granted, server_max_receive_pdu_size=1024
                )
            ),
        )
        return bytes(answer.to_bytes())

    def _value(self, code: str, attribute: int) -> bytes | None:
        if code == CLOCK and attribute == 2:
            return b"\x09\x0c" + self._clock
        register = self._registers.get(code)
        if register is None or attribute not in (2, 3):
            return None
        value, scaler, unit = register
        if attribute == 2:
            return b"\x15" + value.to_bytes(8, "big")
        return b"\x02\x02\x0f" + scaler.to_bytes(1, "big", signed=True) + bytes((0x16, unit))
