"""Data unit identifiers: DA names information points (Pn), DT names kinds of information (Fn).

DA1 is a bit for each of the 8 points of group DA2 (group 1 is p1..p8); 00 00 is p0, the terminal
itself. DT1 is a bit for each of the 8 kinds of group DT2 (group 0 is F1..F8). Both are as
`guyingzhi/learngit` (get_PN, get_FN) and vectors c01 to c05 have them. FFH with group 0 or FFH
means every point; we read it and never send it.

    >>> encode_identifier((17,), (161,)).hex(" "), decode_identifier(bytes.fromhex("01030114"))
    ('01 03 01 14', Identifier(pns=(17,), fns=(161,), everything=False))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from libs.events.errors import BadInput

IDENTIFIER_BYTES = 4
MAX_PN = 2040
MAX_FN = 248
GROUP = 8
_EVERYTHING = (b"\xff\x00", b"\xff\xff")


@dataclass(frozen=True, slots=True)
class Identifier:
    """The points and kinds one identifier names, both ascending; the data follows in this order:
    for each point, for each kind. everything: all points the terminal has."""

    pns: tuple[int, ...]
    fns: tuple[int, ...]
    everything: bool = False


def encode_identifier(pns: Sequence[int], fns: Sequence[int]) -> bytes:
    """DA1 DA2 DT1 DT2; BadInput when they do not fit one identifier (groups of 8)."""
    if tuple(pns) == (0,):
        points = b"\0\0"
    else:
        bits, group = _bits("pn", pns, MAX_PN)
        points = bytes((bits, group + 1))
        if points in _EVERYTHING:
            raise BadInput("pn", "FFH FFH means every point", "ask for p2033 to p2040 in two parts")
    return points + bytes(_bits("fn", fns, MAX_FN))


def _bits(name: str, numbers: Sequence[int], highest: int) -> tuple[int, int]:
    groups = {(number - 1) // GROUP for number in numbers}
    if len(groups) != 1 or not all(1 <= number <= highest for number in numbers):
        raise BadInput(
            name,
            f"{', '.join(map(str, numbers)) or 'none'} cannot stand in one identifier",
            f"use numbers of one group of {GROUP}, from 1 to {highest}",
        )
    return sum(1 << (number - 1) % GROUP for number in set(numbers)), groups.pop()


def decode_identifier(raw: bytes) -> Identifier | None:
    """What DA and DT name; None when they name nothing (no bit, or a group there is not)."""
    if len(raw) < IDENTIFIER_BYTES:
        return None
    da1, da2, dt1, dt2 = raw[:IDENTIFIER_BYTES]
    fns = tuple(dt2 * GROUP + bit + 1 for bit in range(GROUP) if dt1 >> bit & 1)
    if not fns or fns[-1] > MAX_FN:
        return None
    if (da1, da2) == (0, 0):
        return Identifier((0,), fns)
    if raw[:2] in _EVERYTHING:
        return Identifier((), fns, everything=True)
    pns = tuple((da2 - 1) * GROUP + bit + 1 for bit in range(GROUP) if da1 >> bit & 1)
    if da2 == 0 or not pns:
        return None
    return Identifier(pns, fns)


def group_points(pns: Iterable[int]) -> list[tuple[int, ...]]:
    """The points in ascending order, cut where a group of 8 ends; p0 stands alone."""
    groups: dict[int, list[int]] = {}
    for pn in sorted(set(pns)):
        groups.setdefault((pn - 1) // GROUP, []).append(pn)
    return [tuple(group) for group in groups.values()]
