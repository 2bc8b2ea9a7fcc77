"""Raw frames fit for storage: what proves authority is masked (DESIGN 2, invariant 8).

PW, the meter passwords of archive entries, and the passwords of a forwarded meter frame become
`xx`, and so does the checksum, which would give their sum. What may hold a password and cannot be
read is hidden as a whole: parameters other than the archive (a terminal keeps its network password
among them), an authentication, and bytes on their way to a meter that are no DL/T 645 frame. Of
what comes back and is no frame, the possible rest of a password's echo is hidden: by its looks, or,
right after a command that had one (`hide_noise`), all of it.
"""

from __future__ import annotations

from services.ingest.protocols.dlt645.edition_1997 import secret_data_1997
from services.ingest.protocols.dlt645.frame import Frame as MeterFrame
from services.ingest.protocols.dlt645.frame import FrameReader as MeterFrameReader
from services.ingest.protocols.dlt645.masking import kept_text, masked_noise, secret_data
from services.ingest.protocols.failures import BadReply
from services.ingest.protocols.qgdw376.archive import (
    ENTRY_BYTES,
    PASSWORD_BYTES,
    PASSWORD_OFFSET,
)
from services.ingest.protocols.qgdw376.forwarding import (
    REPLY_HEAD_BYTES,
    REQUEST_HEAD_BYTES,
    decode_forwarded,
    decode_forwarding,
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
AUTHENTICATION = 0x06
_ARCHIVE_FNS = (10,)


def masked_pairs(frame: Frame, *, hide_noise: bool = False) -> list[str]:
    """Two hexadecimal digits for each byte of `frame.raw`, `xx` where it tells of a secret."""
    secret = _secret_offsets(frame, hide_noise)
    return ["xx" if place in secret else f"{byte:02x}" for place, byte in enumerate(frame.raw)]


def masked_hex(frame: Frame) -> str:
    """The frame as it came, in hexadecimal, with secrets as `xx`."""
    return "".join(masked_pairs(frame))


def kept(frame: Frame, digest_key: bytes = b"", *, hide_noise: bool = False) -> str:
    """What is stored of a frame: masked, with the digest of the original where that hides bytes."""
    masked = "".join(masked_pairs(frame, hide_noise=hide_noise))
    return kept_text(masked, frame.raw, digest_key)


def carries_secret(frame: Frame) -> bool:
    """Whether a meter's frame inside has a password, or may have one."""
    return frame.afn == FORWARD and bool(_secret_body(frame, hide_noise=False))


def _secret_offsets(frame: Frame, hide_noise: bool) -> set[int]:
    """Offsets in `frame.raw`; the frame must have come raw."""
    places = {BODY_OFFSET + place for place in _secret_body(frame, hide_noise)}
    if frame.password:
        pw_at = BODY_OFFSET + len(frame.body)
        places.update(range(pw_at, pw_at + PW_BYTES))
    if places:
        places.add(len(frame.raw) - 2)  # the checksum gives the sum of what is hidden
    return places


def _secret_body(frame: Frame, hide_noise: bool) -> set[int]:
    """Offsets in the body."""
    if frame.afn == FORWARD:
        return _secret_forwarded(frame, hide_noise or not frame.from_terminal)
    if frame.afn == AUTHENTICATION:
        return set(range(len(frame.body)))
    if frame.afn == SET or (frame.afn == QUERY and frame.from_terminal):
        return _secret_parameters(frame.body)
    return set()


def _secret_parameters(body: bytes) -> set[int]:
    identifier = decode_identifier(body)
    first = IDENTIFIER_BYTES + 2
    count = int.from_bytes(body[IDENTIFIER_BYTES:first], "little")
    whole = len(body) == first + count * ENTRY_BYTES
    if identifier is None or identifier.fns != _ARCHIVE_FNS or not whole:
        return set(range(IDENTIFIER_BYTES, len(body)))
    return {
        entry_at + place
        for entry_at in range(first, len(body), ENTRY_BYTES)
        for place in range(PASSWORD_OFFSET, PASSWORD_OFFSET + PASSWORD_BYTES)
    }


def _secret_forwarded(frame: Frame, hide_noise: bool) -> set[int]:
    """Of the meter's frames; all of the content when it cannot be told what it is."""
    data = frame.body[IDENTIFIER_BYTES:]
    try:
        if frame.from_terminal:
            _, content = decode_forwarded(data)
            at = IDENTIFIER_BYTES + REPLY_HEAD_BYTES
        else:
            _, content = decode_forwarding(data)
            at = IDENTIFIER_BYTES + REQUEST_HEAD_BYTES
    except BadReply:
        return set(range(IDENTIFIER_BYTES, len(frame.body)))
    return {at + place for place in secret_content(content, hide_noise=hide_noise)}


def secret_content(content: bytes, *, hide_noise: bool) -> set[int]:
    """Offsets in what is carried to or from a meter that tell, or may tell, of a password."""
    places: set[int] = set()
    at = 0
    reader = MeterFrameReader(keep_lead=True)
    for found in reader.feed(content) + reader.finish():
        size = len(found.raw)
        if isinstance(found, MeterFrame):
            data_at = at + size - len(found.data) - 2
            secret = secret_data(found) | secret_data_1997(found)
            places.update(data_at + place for place in secret)
            if secret:
                places.add(at + size - 2)
        elif hide_noise and found.reason != "lead":
            places.update(range(at, at + size))
        else:
            shown = masked_noise(found.raw)
            places.update(at + place for place in range(size) if shown[2 * place] == "x")
        at += size
    return places
