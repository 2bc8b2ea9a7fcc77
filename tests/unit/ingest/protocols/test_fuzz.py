"""Mutated frames: only typed errors, and never a wrong value under a wrong checksum.

A modulo-256 checksum cannot see two changes that cancel out; such a mutant *is* a valid frame of
the standard. So the oracle here is the frame rule itself, computed by this test: whatever the
reader accepts must satisfy it, and a mutant with one changed byte must never be accepted.
"""

from __future__ import annotations

import random

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.frame import Frame, FrameReader
from services.ingest.protocols.dlt645.identifiers import di_text
from services.ingest.protocols.dlt645.payloads import decode_payload
from services.ingest.protocols.dlt645.replies import is_reply, parse_reply
from services.ingest.protocols.dlt645.requests import parse_request, read_request
from services.ingest.protocols.failures import BadReply
from tests.unit.ingest.protocols.vectors import IN_SCOPE

MUTANTS = 24_000
BASES = [bytes.fromhex(row["hex"]) for row in IN_SCOPE]


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
            return
        reply = parse_reply(request, frame)
        if not reply.refused:
            for quantity in decode_payload(di, reply.payload):
                assert quantity.value is not None or quantity.bad or quantity.text
    except (BadReply, BadInput):
        return


def test_mutants_never_give_a_frame_that_breaks_the_rule() -> None:
    rng = random.Random(645)
    accepted = 0
    for _ in range(MUTANTS):
        mutant = mutate(rng, rng.choice(BASES))
        reader = FrameReader()
        found = [*reader.feed(mutant), *reader.finish()]
        assert reader.pending == 0
        for item in found:
            if isinstance(item, Frame):
                accepted += 1
                assert follows_the_rule(item.raw), mutant.hex()
                assert item.raw in mutant
                decode_all(item)
    assert accepted > 100  # some mutants only touch lead bytes or repeat whole frames


def test_one_changed_byte_is_never_accepted() -> None:
    rng = random.Random(2007)
    tried = 0
    for sent in BASES:
        body = sent.lstrip(b"\xfe")
        for place in range(len(body)):
            for _ in range(6):
                mutant = bytearray(body)
                mutant[place] = (mutant[place] + rng.randint(1, 255)) % 256
                reader = FrameReader()
                found = [*reader.feed(bytes(mutant)), *reader.finish()]
                assert not any(isinstance(item, Frame) for item in found), mutant.hex()
                tried += 1
    assert tried > 4_000


def test_random_bytes_are_read_without_harm() -> None:
    rng = random.Random(16)
    reader = FrameReader()
    for _ in range(2_000):
        piece = bytes(
            rng.choice(b"\x68\x16\x33\xfe\x91\x08\x00") for _ in range(rng.randint(1, 40))
        )
        for item in reader.feed(piece):
            if isinstance(item, Frame):
                assert follows_the_rule(item.raw)
                decode_all(item)
        assert reader.pending <= 212
