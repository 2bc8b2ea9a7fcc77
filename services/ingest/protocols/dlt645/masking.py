"""Raw frames fit for storage: password bytes masked, the original kept as a digest.

DESIGN §2, invariant 8. A masked byte is written `xx`, so that it cannot be taken for a password of
zeros. The checksum is masked too: with all other bytes known it gives the sum of the password.

    >>> mask_frame(trip)  # vector f48
    '68611001301215681c1035xxxxxx343333334d333333336345ccxx16'

A plain SHA-256 of a frame whose only unknown is a 6-digit password can be searched in a second;
give `digest_key` (kept apart from the events) to get an HMAC, which cannot.
"""

from __future__ import annotations

import hashlib
import hmac

from services.ingest.protocols.dlt645.frame import (
    AUTHENTICATE,
    CHANGE_PASSWORD,
    CLEAR_DEMAND,
    CLEAR_EVENTS,
    CLEAR_METER,
    FROM_METER,
    FUNCTION,
    READ,
    READ_FOLLOW_UP,
    RELAY,
    WRITE,
    Frame,
    FrameReader,
)

_PASSWORD_BYTES = 3
_SECRET_OFFSETS: dict[int, tuple[int, ...]] = {
    WRITE: (5,),  # DI, PA, P0 P1 P2
    CHANGE_PASSWORD: (5, 9),  # DI, PA, old, PA, new
    CLEAR_DEMAND: (1,),  # PA, P0 P1 P2
    CLEAR_METER: (1,),
    CLEAR_EVENTS: (1,),
    RELAY: (1,),
}
"""Where passwords begin in the DATA of a request, by function."""
_PASSWORD_DI = b"\x0c\x00\x04"
"""DI1 DI2 DI3 of 04000CNN: to read or write it is to tell a password."""
_WRITTEN_AT = 12
"""Where the value of a write begins: behind DI, PA P0..P2 and C0..C3."""
_HEADER_BYTES = 10
_SEALED_LEVELS = (b"\x98", b"\x99")
_SEALED_FROM = 8
"""A relay command through an ESAM: PA P0..P2 C0..C3, then ciphertext and MAC."""


def has_secret(frame: Frame) -> bool:
    """Whether the frame carries a password."""
    return bool(_secret_bytes(frame))


def kept_text(masked: str, raw: bytes, digest_key: bytes = b"") -> str:
    """What is stored of `raw`: its masked text and, when that hides bytes, `#` and the SHA-256 of
    the original (an HMAC with a key)."""
    if "x" not in masked:
        return masked
    if digest_key:
        return f"{masked}#{hmac.new(digest_key, raw, hashlib.sha256).hexdigest()}"
    return f"{masked}#{hashlib.sha256(raw).hexdigest()}"


def mask_frame(raw: bytes) -> str:
    """`raw` in hexadecimal with secrets as `xx`.

    Lead bytes may precede the frame; bytes that are no frame come back unmasked.
    """
    reader = FrameReader()
    found = [item for item in reader.feed(raw) + reader.finish() if isinstance(item, Frame)]
    pairs = [f"{byte:02x}" for byte in raw]
    start = 0
    for frame in found:
        start = raw.index(frame.raw, start)
        for offset in _secret_bytes(frame):
            pairs[start + offset] = "xx"
        start += len(frame.raw)
    return "".join(pairs)


def masked_hex(frame: Frame) -> str:
    """The frame as it came, in hexadecimal, with secrets as `xx`."""
    secret = _secret_bytes(frame)
    if not secret:
        return frame.raw.hex()
    return "".join(
        "xx" if offset in secret else f"{byte:02x}" for offset, byte in enumerate(frame.raw)
    )


def secret_data(frame: Frame) -> frozenset[int]:
    """Offsets in DATA that tell something of a password."""
    size = len(frame.data)
    function = frame.control & FUNCTION
    names_password = frame.data[1:4] == _PASSWORD_DI
    if function == AUTHENTICATE and not frame.abnormal:
        return frozenset(range(4, size))  # proofs and random numbers of a session
    if frame.control & FROM_METER:
        if function == CHANGE_PASSWORD:
            return frozenset(range(size))  # 98H repeats the new password
        read = function in (READ, READ_FOLLOW_UP) and names_password
        return frozenset(range(4, size)) if read else frozenset()
    starts = _SECRET_OFFSETS.get(frame.control, ())
    places = {n for first in starts for n in range(first, first + _PASSWORD_BYTES) if n < size}
    if frame.control == WRITE and names_password:
        places |= set(range(_WRITTEN_AT, size))
    if frame.control == RELAY and frame.data[:1] in _SEALED_LEVELS:
        places |= set(range(_SEALED_FROM, size))  # ciphertext and MAC
    return frozenset(places)


def _secret_bytes(frame: Frame) -> frozenset[int]:
    """Offsets in the raw frame that tell something of a password; the checksum does too."""
    places = secret_data(frame)
    if not places:
        return places
    return frozenset({_HEADER_BYTES + n for n in places} | {_HEADER_BYTES + len(frame.data)})
