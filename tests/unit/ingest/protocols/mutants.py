"""Frames that were damaged, and what must hold of whatever reads them; also for bench/.

A modulo-256 checksum cannot see two changes that cancel out; such a mutant *is* a valid frame of
the standard. So the oracle here is the frame rule itself, computed by this module: whatever the
reader accepts must satisfy it, and a mutant with one changed byte must never be accepted.
"""

from __future__ import annotations

import random

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.edition_1997 import (
    decode_payload_1997,
    di_text_1997,
    explainer_1997,
    parse_reply_1997,
    read_request_1997,
)
from services.ingest.protocols.dlt645.edition_2007 import explainer_2007
from services.ingest.protocols.dlt645.frame import Frame, FrameReader
from services.ingest.protocols.dlt645.identifiers import di_text
from services.ingest.protocols.dlt645.payloads import decode_payload
from services.ingest.protocols.dlt645.replies import is_reply, parse_reply
from services.ingest.protocols.dlt645.requests import parse_request, read_request
from services.ingest.protocols.explanation import Explained, Unexplained
from services.ingest.protocols.failures import BadReply
from tests.unit.ingest.protocols.vectors import BASES


def mutate(rng: random.Random, sent: bytes) -> bytes:
    """One to three changes: flips, cuts, insertions, doublings, swaps."""
    found = bytearray(sent)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(found)) if found else 0
        match rng.randrange(6):
            case 0:
                found[place : place + 1] = bytes((rng.randrange(256),))
            case 1:
                found[place : place + 1] = (
                    bytes((found[place] ^ 1 << rng.randrange(8),)) if found else b""
                )
            case 2:
                del found[place : place + rng.randint(1, 4)]
            case 3:
                found[place:place] = rng.randbytes(rng.randint(1, 4))
            case 4:
                found[place:place] = found[place : place + rng.randint(1, 8)]
            case _:
                del found[rng.randint(0, len(found)) :]
    return bytes(found)


def resealed(rng: random.Random, sent: bytes) -> bytes:
    """A frame with other DATA of any length and a right checksum: the values must be survived."""
    start = sent.index(0x68)
    data = bytearray(sent[start + 10 : -2])
    for _ in range(rng.randint(1, 4)):
        if data and rng.randrange(3):
            data[rng.randrange(len(data))] = rng.randrange(256)
        elif rng.randrange(2):
            data += rng.randbytes(rng.randint(1, 12))
        else:
            del data[rng.randint(0, len(data)) :]
    control = sent[start + 8] if rng.randrange(4) else rng.randrange(256)
    body = sent[start : start + 8] + bytes((control, len(data))) + bytes(data)
    return body + bytes((sum(body) % 256, 0x16))


def follows_the_rule(raw: bytes) -> bool:
    """The frame rule of domain.md 1.1, written down once more."""
    return (
        len(raw) >= 12
        and raw[0] == raw[7] == 0x68
        and raw[-1] == 0x16
        and len(raw) == 12 + raw[9]
        and sum(raw[:-2]) % 256 == raw[-2]
    )


def decode_all(frame: Frame) -> None:
    """Everything that reads a frame, as a driver or a meter would; typed errors only."""
    try:
        if not frame.from_meter:
            parse_request(frame)
            return
        di = di_text(frame.data) if len(frame.data) >= 4 else "00010000"
        request = read_request(frame.address, di)
        if not is_reply(request, frame):
            decode_1997(frame)
            return
        reply = parse_reply(request, frame)
        if not reply.refused:
            for quantity in decode_payload(di, reply.payload):
                assert quantity.value is not None or quantity.bad or quantity.text
    except (BadReply, BadInput):
        return


def decode_1997(frame: Frame) -> None:
    """The same for a reply of 1997."""
    di = di_text_1997(frame.data) if len(frame.data) >= 2 else "9010"
    reply = parse_reply_1997(read_request_1997(frame.address, di), frame)
    if not reply.refused:
        for quantity in decode_payload_1997(di, reply.payload):
            assert quantity.value is not None or quantity.bad or quantity.text


def same_bytes(shown: str, raw: bytes) -> bool:
    """Whether hexadecimal text with masked bytes `xx` is that of `raw`."""
    pairs = [shown[n : n + 2] for n in range(0, len(shown), 2)]
    return len(pairs) == len(raw) and all(
        pair in ("xx", f"{byte:02x}") for pair, byte in zip(pairs, raw, strict=True)
    )


def check_explanation(sent: bytes) -> None:
    """Whatever came: nothing raised, no byte lost or told twice, no frame against the rule."""
    for explainer in (explainer_2007(), explainer_1997()):
        found: list[Explained | Unexplained] = [*explainer.feed(sent), *explainer.end()]
        assert same_bytes("".join(item.raw_hex for item in found), sent)
        offset = 0
        for item in found:
            assert item.offset == offset
            size = len(item.raw_hex) // 2
            if isinstance(item, Explained):
                assert follows_the_rule(sent[offset : offset + size])
                assert "".join(part.raw_hex for part in item.parts) == item.raw_hex
            offset += size


def check_mutant(rng: random.Random) -> int:
    """One mutant against all of it; how many frames were accepted."""
    base = BASES[rng.randrange(len(BASES))]
    sent = resealed(rng, base) if rng.randrange(4) == 0 else mutate(rng, base)
    reader = FrameReader()
    accepted = 0
    for item in (*reader.feed(sent), *reader.finish()):
        if isinstance(item, Frame):
            assert follows_the_rule(item.raw)
            assert item.raw in sent
            decode_all(item)
            accepted += 1
    check_explanation(sent)
    return accepted
