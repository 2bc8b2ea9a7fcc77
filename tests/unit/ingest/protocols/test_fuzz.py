"""Mutated frames: only typed errors, and never a wrong value under a wrong checksum.

The mutants and what must hold of them are in `mutants`; `python -m bench.dlt645_fuzz` tries a
million of them.
"""

from __future__ import annotations

import random

import pytest

from services.ingest.protocols.dlt645.frame import Frame, FrameReader
from tests.unit.ingest.protocols.mutants import check_mutant, decode_all, follows_the_rule
from tests.unit.ingest.protocols.vectors import BASES

pytestmark = pytest.mark.wide

MUTANTS = 20_000


def test_mutants_never_give_a_frame_that_breaks_the_rule() -> None:
    rng = random.Random(645)
    accepted = sum(check_mutant(rng) for _ in range(MUTANTS))
    assert accepted > MUTANTS // 5  # those with a right checksum, and some that touch lead bytes


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
