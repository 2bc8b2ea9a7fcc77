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
_PASSWORD_DI_ON_WIRE = bytes(byte + 0x33 for byte in _PASSWORD_DI)
_WRITTEN_AT = 12
"""Where the value of a write begins: behind DI, PA P0..P2 and C0..C3."""
_HEADER_BYTES = 10
_SEALED_LEVELS = (b"\x98", b"\x99")
_SEALED_FROM = 8
"""A relay command through an ESAM: PA P0..P2 C0..C3, then ciphertext and MAC."""
_PLAIN_RELAY_BYTES = 16
_SECRET_FROM_1997 = {0x04: 2, 0x0F: 0, 0x10: 0}
"""Functions of DL/T 645-1997 whose requests may carry a password, and from where in DATA; the 2007
edition has none of them. Write, change password, clear demand (UNCONFIRMED)."""
_SECRET_CONTROLS = frozenset(
    {*_SECRET_OFFSETS, *_SECRET_FROM_1997}
    | {AUTHENTICATE, AUTHENTICATE | FROM_METER, CHANGE_PASSWORD | FROM_METER}
)
_START = 0x68
_FROM_CONTROL = 7
_NO_FRAME_DATA = 202
"""DATA and the two bytes behind it that broken bytes hide at most."""


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


def masked_noise(raw: bytes) -> str:
    """Bytes that are no frame, in hexadecimal, with `xx` for what may be the DATA of a broken one
    that carries a password, of either edition.

    Rather too much is hidden than too little: where a byte was lost, nothing else is certain.

    >>> masked_noise(trip[:-4])  # vector f48, cut short
    '68611001301215681c10xxxxxxxxxxxxxxxxxxxxxxxxxxxx'
    """
    pairs = raw.hex()
    shown: list[str] = []
    told = place = 0
    while 0 <= (place := raw.find(_START, place)) < len(raw) - 2:
        at = place + 3
        data = raw[at : at + _NO_FRAME_DATA]
        control = raw[place + 1]
        # a 68H six bytes before another is the one before an address; the one behind it comes
        if raw[place + _FROM_CONTROL : place + _FROM_CONTROL + 1] != b"h" and (
            control in _SECRET_CONTROLS or _tells_password(control, data)
        ):
            shown.append(pairs[2 * told : 2 * max(at, told)])
            shown.append("xx" * (at + len(data) - max(at, told)))
            told = at + len(data)
        place += 1
    shown.append(pairs[2 * told :])
    return "".join(shown)


def _tells_password(control: int, data: bytes) -> bool:
    """Whether a broken answer is that to a read of a password."""
    return control & FROM_METER > 0 and data[1:4] == _PASSWORD_DI_ON_WIRE


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
    if frame.control in _SECRET_FROM_1997:
        return frozenset(range(_SECRET_FROM_1997[frame.control], size))
    starts = _SECRET_OFFSETS.get(frame.control, ())
    places = {n for first in starts for n in range(first, first + _PASSWORD_BYTES) if n < size}
    if frame.control == WRITE and names_password:
        places |= set(range(_WRITTEN_AT, size))
    is_sealed = frame.data[:1] in _SEALED_LEVELS or size > _PLAIN_RELAY_BYTES
    if frame.control == RELAY and is_sealed:
        places |= set(range(_SEALED_FROM, size))  # ciphertext and MAC
    return frozenset(places)


def _secret_bytes(frame: Frame) -> frozenset[int]:
    """Offsets in the raw frame that tell something of a password; the checksum does too."""
    places = secret_data(frame)
    if not places:
        return places
    return frozenset({_HEADER_BYTES + n for n in places} | {_HEADER_BYTES + len(frame.data)})
