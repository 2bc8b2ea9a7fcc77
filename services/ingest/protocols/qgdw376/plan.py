"""What to ask a concentrator next: frozen days first, forwarding only for gaps and relays.

    plan = plan_reads(wanted, answered, relays)

Forwarding costs seconds of power line for each exchange (domain.md 5: 300 meters x 13 exchanges x
4 s are 4.3 hours), what the concentrator froze costs a few frames. So a meter is asked itself only
when the concentrator has answered and had nothing, or its values may not be believed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from services.ingest.protocols.qgdw376.points import GROUP

ASKED, FROZEN_HERE, ABSENT = "asked", "frozen", "absent"


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """A day's freeze of one kind (Fn) that we lack of one point."""

    day_on: str
    fn: int
    pn: int


@dataclass(frozen=True, slots=True)
class FreezeOrder:
    """One request of class 2: a day, kinds, and points in ascending order."""

    day_on: str
    fns: tuple[int, ...]
    pns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ForwardOrder:
    """A meter to be asked itself. reason: relay, gap (the concentrator has nothing), archive (its
    archive differs there, so its values are of unknown meters)."""

    pn: int
    reason: str
    days_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """In this order: relays, then freezes, then gaps. postponed: how many forwards the limit left
    out."""

    relays: tuple[ForwardOrder, ...]
    freezes: tuple[FreezeOrder, ...]
    forwards: tuple[ForwardOrder, ...]
    postponed: int = 0


def plan_reads(
    needs: Iterable[Need],
    answers: Mapping[Need, str],
    relays: Collection[int] = (),
    unsafe_pns: Collection[int] = (),
    *,
    points_per_request: int = 24,
    most_forwards: int = 30,
) -> Plan:
    """The next requests to one concentrator.

    answers: what it said so far: "frozen" needs nothing more, "absent" is a gap, a need it was not
    asked yet is missing here. relays: points with a relay command or read-back. unsafe_pns: see
    `ArchiveDifference.unsafe_pns`. most_forwards: so few of these at a time, the oldest day first,
    so that freezes of the next day and relays are never kept waiting for hours.
    """
    asked: dict[tuple[str, int], list[int]] = {}
    gaps: dict[int, set[str]] = {}
    for need in sorted(set(needs)):
        answer = answers.get(need, "")
        if answer == FROZEN_HERE and need.pn not in unsafe_pns:
            continue
        if answer == ABSENT or need.pn in unsafe_pns:
            gaps.setdefault(need.pn, set()).add(need.day_on)
        else:
            asked.setdefault((need.day_on, need.fn), []).append(need.pn)
    forwards = [
        ForwardOrder(pn, "archive" if pn in unsafe_pns else "gap", tuple(sorted(days)))
        for pn, days in gaps.items()
    ]
    forwards.sort(key=lambda order: (order.days_on[0], order.pn))
    return Plan(
        relays=tuple(ForwardOrder(pn, "relay") for pn in sorted(set(relays))),
        freezes=tuple(_freeze_orders(asked, points_per_request)),
        forwards=tuple(forwards[:most_forwards]),
        postponed=max(0, len(forwards) - most_forwards),
    )


def _freeze_orders(
    asked: Mapping[tuple[str, int], list[int]], points_per_request: int
) -> list[FreezeOrder]:
    """Kinds that the same points lack of the same day go together; cut between groups of 8."""
    together: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for (day_on, fn), pns in asked.items():
        together.setdefault((day_on, tuple(pns)), []).append(fn)
    orders = []
    for (day_on, points), fns in sorted(together.items()):
        room = max(1, points_per_request // len(fns))
        orders += [FreezeOrder(day_on, tuple(fns), part) for part in cut_points(points, room)]
    return orders


def cut_points(pns: Iterable[int], most: int) -> list[tuple[int, ...]]:
    """Points in ascending order in parts of at most `most`, whole groups of 8 where they fit."""
    parts: list[list[int]] = []
    groups: dict[int, list[int]] = {}
    for pn in sorted(set(pns)):
        groups.setdefault((pn - 1) // GROUP, []).append(pn)
    for group in groups.values():
        for place in range(0, len(group), most):
            piece = group[place : place + most]
            if parts and len(parts[-1]) + len(piece) <= most:
                parts[-1] += piece
            else:
                parts.append(piece)
    return [tuple(part) for part in parts]
