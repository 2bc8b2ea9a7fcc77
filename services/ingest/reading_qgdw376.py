"""One order to read a meter behind a concentrator: what that froze first, then the meter itself.

    read_behind(order, lines, "2026-02-01T16:10:00Z", waiting=lambda: others_of_the_line)

An order asks for others of its day that wait for the concentrator too, as many points as go into a
request (protocols/qgdw376/plan.py), and their answers are kept until it is their turn. What the
concentrator lacks is a gap: its order goes behind all that were not asked yet (`Later`), and then
the meter is asked through it, with DL/T 645 frames that it forwards (10H F1).

Before a value is believed, the archive says that the meter of our register stands at that point;
where it says otherwise, the meter itself is asked. A freeze tagged with day D is 24:00 of D; one
that was taken before is none of that day.
`source` of a reading is qgdw376_freeze, or qgdw376_forwarded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.events.errors import BadInput
from libs.events.telemetry import logger
from services.ingest.behind import QGDW376, lane_name, parse_behind, reach
from services.ingest.concentrators import Asked, ConcentratorLine
from services.ingest.days import day_end, parse_instant
from services.ingest.events import ProfileRead, ReadFailed, ReadingOrdered, RegistersRead
from services.ingest.line_queue import Priority
from services.ingest.lines import TRIED_AGAIN, Lines, Turn
from services.ingest.protocols.dlt645.values import format_instant
from services.ingest.protocols.failures import BadReply, ProtocolError
from services.ingest.protocols.modbus import RegisterMap
from services.ingest.protocols.qgdw376.archive import ArchiveDifference, ArchiveEntry
from services.ingest.protocols.qgdw376.layout_file import load_layouts
from services.ingest.protocols.qgdw376.layouts import Unit
from services.ingest.protocols.qgdw376.masking import kept
from services.ingest.protocols.qgdw376.plan import Need, plan_freezes
from services.ingest.protocols.qgdw376.replies import decode_archive, decode_data, sort_out
from services.ingest.protocols.qgdw376.requests import (
    Request,
    archive_query,
    curve_request,
    day_freeze_request,
)
from services.ingest.reading import (
    CAUSES,
    Evidence,
    Outcome,
    Wall,
    _failed,
    _freeze_read,
    _profile_read,
    _sort,
    read_order,
)

FROZEN_SOURCE = "qgdw376_freeze"
FREEZE_FNS = {
    "1-0:1.8": 161,
    "1-0:2.8": 163,
    "1-0:5.8": 165,
    "1-0:6.8": 166,
    "1-0:7.8": 167,
    "1-0:8.8": 168,
    "1-0:1.6": 185,
}
"""Which kind (Fn of 0DH) has the day freeze of which registers."""
CURVE_FNS = {
    "1-0:1.8": 101,
    "1-0:2.8": 103,
    "1-0:5.8": 145,
    "1-0:8.8": 146,
    "1-0:6.8": 147,
    "1-0:7.8": 148,
}
"""Which kind has their curve; of reactive energy UNCONFIRMED (layouts.csv)."""
CURVE_POINTS, DENSITY = 96, 1
"""A day's curve has the registers at 00:00 to 23:45, every 15 minutes; 24:00 begins the next."""

GAP = "gap"
"""Kept for an order whose concentrator has nothing: at its next turn the meter is asked."""

Waiting = Callable[[], tuple[ReadingOrdered, ...]]


@dataclass(frozen=True, slots=True)
class Later:
    """The concentrator has nothing: the meter is asked after all that were not asked yet."""

    frames: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Frozen:
    """What a concentrator said to one order: units by kind, and the frames that say so."""

    units: Mapping[int, Unit]
    frames: tuple[str, ...]


def read_behind(
    order: ReadingOrdered,
    lines: Lines,
    ordered_at: str,
    wall: Wall | None = None,
    before: tuple[str, ...] = (),
    maps: Mapping[str, RegisterMap] | None = None,
    waiting: Waiting = tuple,
) -> Outcome | Later:
    """Carry out one order as `reading.read_order` does; `waiting`: the other orders of its line."""
    if order.protocol != QGDW376 or order.kind not in ("daily_freeze", "profile"):
        return read_order(order, lines, ordered_at, wall, before, maps)
    evidence = Evidence(before)
    try:
        found = _ask_concentrator(order, lines, evidence, ordered_at, waiting)
    except ProtocolError as error:
        if error.exchange is not None:
            evidence.add((error.exchange,))
        cause = CAUSES.get(type(error), "bad_reply")
        return _failed(order, cause, error.problem, ordered_at, evidence.frames)
    except BadInput as error:
        return _failed(order, "refused", str(error), ordered_at, evidence.frames)
    if found is None:
        return read_order(order, lines, ordered_at, wall, before, maps)
    if not isinstance(found, ProfileRead) or _is_whole(found):
        return found
    outcome = read_order(order, lines, ordered_at, wall, found.frames, maps)
    has_none = isinstance(outcome, ReadFailed) and outcome.cause not in TRIED_AGAIN
    return found if has_none and _has_any(found) else outcome


def _ask_concentrator(
    order: ReadingOrdered, lines: Lines, evidence: Evidence, now_at: str, waiting: Waiting
) -> Outcome | Later | None:
    """What its concentrator has of an order's day; None when it was asked before, in vain."""
    name, _ = reach(order.protocol, order.line, order.address)
    with lines.taken(name, Priority.SCHEDULED) as turn:
        site = turn.use(_site_of)
        found = site.answers.pop(order.order_id, None)
        if found is GAP:
            return None
        if found is None:
            others = [other for other in waiting() if _is_alike(other, order)]
            others = [other for other in others if other.order_id not in site.answers]
            together = [order, *others][: site.reached.own.points_per_request]
            _check_archive(turn, site, together)
            if order.kind == "profile":
                return _read_curve(order, turn, site, evidence, now_at)
            _ask_day(turn, site, together)
            found = site.answers.pop(order.order_id)
        assert isinstance(found, _Frozen)
        evidence.frames += found.frames
        reading = _registers_of(order, found, evidence.frames, now_at)
        if reading is None:
            site.keep(order.order_id, GAP)
    return reading if reading is not None else Later(tuple(evidence.frames))


def _site_of(line: object) -> ConcentratorLine:
    assert isinstance(line, ConcentratorLine), "a line with a concentrator's name is its line"
    return line


def _is_alike(other: ReadingOrdered, order: ReadingOrdered) -> bool:
    """Whether one request can serve both; what names no place is refused in its own turn."""
    if (other.protocol, other.kind, other.day_on) != (QGDW376, order.kind, order.day_on):
        return False
    name = lane_name(other.protocol, other.line, other.address)
    return "/" in name and name == lane_name(order.protocol, order.line, order.address)


def _kinds_of(order: ReadingOrdered, table: Mapping[str, int]) -> list[int]:
    """The kinds (Fn) that have the registers of an order; import energy when it names none."""
    names = {register.rsplit(".", 1)[0] for register in order.registers}
    return sorted({table[name] for name in names if name in table}) or [table["1-0:1.8"]]


# -- the archive ----------------------------------------------------------------------------------


def _check_archive(turn: Turn, site: ConcentratorLine, orders: Sequence[ReadingOrdered]) -> None:
    """Read what the archive says of these meters, unless it is known; tell what differs."""
    places = [parse_behind(order.address) for order in orders]
    numbers = site.unread_numbers(places, orders[0].day_on)
    step = site.reached.own.points_per_request
    for at in range(0, len(numbers), step):
        part = numbers[at : at + step]
        asked = _ask(turn, archive_query(part))
        site.note_entries(part, _entries_of(asked))
    if numbers:
        _tell(site.reached.name, site.difference())


def _entries_of(asked: Asked) -> list[ArchiveEntry]:
    """The entries of an answer; none when it denies, or when nobody can read it."""
    if asked.answer.is_acknowledgement:
        return []
    try:
        return [entry for frame in asked.answer.frames for entry in decode_archive(frame)]
    except BadReply as error:
        logger("ingest.concentrators").warning("an archive nobody can read", why=error.problem)
        return []


def _tell(name: str, difference: ArchiveDifference) -> None:
    """A difference is somebody's work: `gridledger protocols archive` shows the whole of it."""
    if difference.is_empty:
        return
    logger("ingest.concentrators").warning(
        "a concentrator's archive differs from the register",
        concentrator=name,
        missing=[pn for _, pn in difference.missing],
        foreign=[entry.pn for entry in difference.foreign],
        moved=[each.pn for each in difference.moved],
        twice=list(difference.twice),
    )


# -- day freezes ----------------------------------------------------------------------------------


def _ask_day(turn: Turn, site: ConcentratorLine, orders: list[ReadingOrdered]) -> None:
    """Ask what was frozen of one day for all of them, and keep each one's answer."""
    day_on = orders[0].day_on
    kinds = {order.order_id: _kinds_of(order, FREEZE_FNS) for order in orders}
    places = {order.order_id: parse_behind(order.address) for order in orders}
    points = {name: place.pn for name, place in places.items()}
    distrusted = site.distrusted(places.values())
    needs = [
        Need(day_on, fn, points[name])
        for name, fns in kinds.items()
        for fn in fns
        if points[name] not in distrusted
    ]
    units: dict[tuple[int, int], Unit] = {}
    frames: dict[int, list[str]] = {}
    for request in plan_freezes(needs, site.reached.own.points_per_request):
        wanted = {(pn, fn) for pn in request.pns for fn in request.fns}
        asked = _ask(turn, day_freeze_request(request.pns, request.fns, day_on))
        bodies = list(_bodies(turn, asked))
        came = [unit for found, _ in bodies for unit in found]
        units |= {(unit.pn, unit.fn): unit for unit in sort_out(came, wanted, day_on).units}
        for pn in request.pns:
            said = [text for found, text in bodies if any(unit.pn == pn for unit in found)]
            known = frames.setdefault(pn, [])
            known += [f">{asked.exchange.sent_hex}", *(said or [text for _, text in bodies])]
    for order in orders:
        pn = points[order.order_id]
        own = {fn: units[pn, fn] for fn in kinds[order.order_id] if (pn, fn) in units}
        site.keep(order.order_id, _Frozen(own, tuple(frames.get(pn, ()))))


def _bodies(turn: Turn, asked: Asked) -> Iterator[tuple[tuple[Unit, ...], str]]:
    """Each frame of an answer: its units, none when it denies, and the frame as evidence."""
    site = turn.use(_site_of)
    profile, key = site.reached.own.profile(), site.settings.digest_key
    for frame in asked.answer.frames:
        denies = asked.answer.is_acknowledgement
        units = () if denies else decode_data(frame, load_layouts(), profile).units
        yield units, f"<{kept(frame, key)}"


def _ask(turn: Turn, request: Request) -> Asked:
    return turn.use(lambda line: _site_of(line).ask(request))


def _registers_of(
    order: ReadingOrdered, frozen: _Frozen, frames: list[str], now_at: str
) -> RegistersRead | None:
    """The reading, or None when a register of the order has no value there, or when the terminal
    read the meter before the day was over."""
    quantities = tuple(each for unit in frozen.units.values() for each in unit.quantities)
    registers, _, demands = _sort(quantities, order)
    has = registers.keys() | {peak.register for peak in demands}
    if set(_kinds_of(order, FREEZE_FNS)) - frozen.units.keys() or not set(order.registers) <= has:
        return None
    end_at = day_end(order.day_on)
    if any(unit.read_at and unit.read_at < end_at for unit in frozen.units.values()):
        return None
    return _freeze_read(order, FROZEN_SOURCE, (registers, {}, demands), frames, now_at)


# -- curves ---------------------------------------------------------------------------------------


def _read_curve(
    order: ReadingOrdered, turn: Turn, site: ConcentratorLine, evidence: Evidence, now_at: str
) -> ProfileRead:
    """A day's 97 snapshots of each register, as far as the concentrator has them."""
    place = parse_behind(order.address)
    pn = place.pn
    first_at = parse_instant(day_end(order.day_on)) - timedelta(days=1)
    fns = _kinds_of(order, CURVE_FNS)
    columns: dict[str, list[int | None]] = {
        f"{name}.0": [None] * (CURVE_POINTS + 1) for name, fn in CURVE_FNS.items() if fn in fns
    }
    if not site.distrusted([place]):
        shift = timedelta(seconds=site.reached.own.curve_offset * 900)
        for begin, count in ((0, CURVE_POINTS), (CURVE_POINTS, 1)):
            tag_at = format_instant(first_at + timedelta(seconds=900 * begin) - shift)
            asked = _ask(turn, curve_request((pn,), fns, tag_at, DENSITY, count))
            evidence.frames.append(f">{asked.exchange.sent_hex}")
            for units, text in _bodies(turn, asked):
                evidence.frames.append(text)
                for unit in units:
                    is_asked = (unit.pn, unit.interval_s) == (pn, 900) and unit.fn in fns
                    if is_asked and unit.first_at:
                        _place(unit, first_at, columns)
    snapshots = {name: tuple(column) for name, column in columns.items()}
    return _profile_read(order, FROZEN_SOURCE, snapshots, evidence.frames, now_at)


def _place(unit: Unit, first_at: datetime, columns: Mapping[str, list[int | None]]) -> None:
    """Put a curve's values where its own tag says they belong; BadReply when two of them differ."""
    start, rest = divmod(parse_instant(unit.first_at) - first_at, timedelta(seconds=900))
    if rest:
        raise BadReply(f"a curve of p{unit.pn} that begins at {unit.first_at}")
    for number, quantity in enumerate(unit.quantities, start):
        column = columns[quantity.obis]
        if 0 <= number < len(column) and quantity.value is not None:
            value = quantity.value // quantity.scale
            if column[number] not in (None, value):
                raise BadReply(f"two curves of p{unit.pn} that differ")
            column[number] = value


def _is_whole(found: ProfileRead) -> bool:
    return all(None not in column for column in found.snapshots.values())


def _has_any(found: Outcome) -> bool:
    assert isinstance(found, ProfileRead)
    columns = found.snapshots.values()
    return any(value is not None for column in columns for value in column)
