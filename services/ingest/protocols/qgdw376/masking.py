"""Raw frames fit for storage: what proves authority is masked (DESIGN 2, invariant 8).

PW, the meter passwords of archive entries, and the passwords of a forwarded meter frame become
`xx`, and so does the checksum, which would give their sum. `kept` appends the digest of the
original, as the meters' evidence does.
"""

from __future__ import annotations

from services.ingest.protocols.dlt645.masking import kept_text
from services.ingest.protocols.dlt645.masking import mask_frame as mask_meter_frame
from services.ingest.protocols.qgdw376.archive import (
    ENTRY_BYTES,
    PASSWORD_BYTES,
    PASSWORD_OFFSET,
)
from services.ingest.protocols.qgdw376.frame import (
    FORWARD,
    HEAD_BYTES,
    PW_BYTES,
    QUERY,
    SET,
    Frame,
)
from services.ingest.protocols.qgdw376.points import IDENTIFIER_BYTES, decode_identifier

BODY_OFFSET = 6 + HEAD_BYTES
"""Of the first data unit in a raw frame."""
_ARCHIVE_FNS = (10,)


def secret_offsets(frame: Frame) -> frozenset[int]:
    """Offsets in `frame.raw` that tell something of a password; the frame must have come raw."""
    places: set[int] = set()
    body = frame.body
    if frame.password:
        pw_at = BODY_OFFSET + len(body)
        places.update(range(pw_at, pw_at + PW_BYTES))
    if frame.afn == FORWARD:
        masked = mask_meter_frame(body)
        places.update(
            BODY_OFFSET + n for n in range(len(body)) if masked[2 * n : 2 * n + 2] == "xx"
        )
    identifier = decode_identifier(body)
    if frame.afn in (SET, QUERY) and identifier and identifier.fns == _ARCHIVE_FNS:
        first = IDENTIFIER_BYTES + 2 + PASSWORD_OFFSET
        for at in range(first, len(body), ENTRY_BYTES):
            end = min(at + PASSWORD_BYTES, len(body))
            places.update(BODY_OFFSET + n for n in range(at, end))
    if not places:
        return frozenset()
    return frozenset(places | {len(frame.raw) - 2})


def masked_hex(frame: Frame) -> str:
    """The frame as it came, in hexadecimal, with secrets as `xx`."""
    secret = secret_offsets(frame)
    return "".join(
        "xx" if offset in secret else f"{byte:02x}" for offset, byte in enumerate(frame.raw)
    )


def kept(frame: Frame, digest_key: bytes = b"") -> str:
    """What is stored of a frame: masked, with the digest of the original where that hides bytes."""
    return kept_text(masked_hex(frame), frame.raw, digest_key)
