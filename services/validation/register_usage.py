"""Usage between two readings of a register: ratio, rollover, meter exchange, ratio change.

    usage = (final - previous) x old ratio + (current - initial) x new ratio      (DESIGN §5)

Register values are what the meter shows, in Wh or varh; usage is on the primary side. A value is
brought to the primary side first and rounded down there, so usages telescope: the usage over [a, c]
is the usage over [a, b] plus that over [b, c], to the watt-hour, whatever the ratio.

A falling register is a rollover (domain.md §2 rule 11) when the usage it then stands for is
plausible: not more than capacity x hours. Otherwise it is a negative usage, and nobody guesses.

    installed = Installation(
        meter_no="M1", from_at="2025-12-31T16:00:00Z", ratio="1", digits=6, capacity_w=10_000)
    before = Snapshot(
        meter_no="M1", taken_at="2026-01-30T16:00:00Z", registers={"1-0:1.8.0": 999_998_500})
    after = Snapshot(
        meter_no="M1", taken_at="2026-01-31T16:00:00Z", registers={"1-0:1.8.0": 12_300})
    usages_between(before, after, (installed,))["1-0:1.8.0"].usage == 13_800
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from libs.events.errors import BadInput
from libs.events.quantities import WH_PER_KWH, floor_div, parse_scaled
from services.validation.instant import seconds_between

RATIO_SCALE = 10**6
"""A ratio has at most six decimals, so the range of a dial is whole on the primary side."""

SECONDS_PER_HOUR = 3600
PERMILLE = 1000
DIGITS_MIN, DIGITS_MAX = 4, 12

GOOD = "good"
ROLLOVER = "rollover"
NEGATIVE = "negative"
OUT_OF_RANGE = "out_of_range"
FOREIGN_METER = "foreign_meter"
NO_EXCHANGE_READING = "no_exchange_reading"

_OBIS = re.compile(
    r"(?P<channel>[0-9]+-[0-9]+:)?(?P<quantity>[0-9]{1,3})\.(?P<kind>[0-9]{1,3})\.(?P<rate>[0-9]{1,3})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterName:
    """An OBIS code taken apart: `1-0:1.8.2` is channel `1-0:`, quantity 1, kind 8, rate 2."""

    channel: str
    quantity: int
    kind: int
    rate: int

    @property
    def cumulative(self) -> bool:
        """Whether usage is a difference of readings: import 1.8.x, export 2.8.x, reactive 3-8.8.x.

        Demand (1.6.x) is a maximum and is never differenced; a combined register (15.8.x) is never
        used, for the meter's characteristic word decides what it adds up (domain.md §5).
        """
        return self.kind == 8 and 1 <= self.quantity <= 8

    @property
    def total(self) -> str:
        """The OBIS code of the total that this register belongs to."""
        return f"{self.channel}{self.quantity}.{self.kind}.0"


@lru_cache(maxsize=1024)
def parse_register(register: str) -> RegisterName:
    """An OBIS code such as `1-0:1.8.0` or `1.8.0`; BadInput when it is none."""
    match = _OBIS.fullmatch(register)
    if match is None:
        raise BadInput("register", f"{register!r} is no OBIS code", "write it like 1-0:1.8.0")
    quantity, kind, rate = (int(match[name]) for name in ("quantity", "kind", "rate"))
    return RegisterName(channel=match["channel"] or "", quantity=quantity, kind=kind, rate=rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A meter at the usage point from an instant to an instant ("" while it is there).

    `ratio` is CT x VT, `digits` the integer digits of its registers, `capacity_w` what the
    connection can carry. `initial` and `final` are what its registers showed at both ends; a ratio
    change ends one installation and begins another of the same meter.
    """

    meter_no: str
    from_at: str
    to_at: str = ""
    ratio: str = "1"
    digits: int = 6
    capacity_w: int = 0
    initial: dict[str, int] = field(default_factory=dict)
    final: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All registers of a meter at one instant: for a daily freeze 24:00 of its day, whenever it was
    fetched. `flaws` gives the reason for each register without a value (non_bcd, no_value)."""

    meter_no: str
    taken_at: str
    registers: dict[str, int]
    flaws: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The part of a period in one installation. `usage` is None when it cannot be told."""

    meter_no: str
    ratio: str
    from_value: int
    to_value: int
    outcome: str
    usage: int | None
    rollover_usage: int | None
    plausible_usage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterUsage:
    """What one register says was used (Wh or varh, primary side), and how that was found.

    `outcome` is the worst of the segments; `usage` is None unless it is `good` or `rollover`.
    """

    register: str
    from_at: str
    to_at: str
    outcome: str
    usage: int | None
    segments: tuple[Segment, ...] = ()
    text: str = ""


@lru_cache(maxsize=1024)
def parse_ratio(ratio: str) -> int:
    """A ratio as an integer of 1e-6; BadInput when it is not above zero or has more decimals."""
    scaled = parse_scaled(ratio, RATIO_SCALE, "ratio")
    if scaled <= 0:
        raise BadInput("ratio", f"is {ratio}", "use CT ratio x VT ratio, above zero")
    return scaled


def primary_value(value: int, ratio: str) -> int:
    """What a meter shows (energy, demand) on the primary side, rounded down to the unit."""
    return floor_div(value * parse_ratio(ratio), RATIO_SCALE)


def highest_ratio(usage: RegisterUsage) -> str:
    """The highest ratio of the installations that a usage went through, for its tolerances."""
    return max((part.ratio for part in usage.segments), key=Fraction)


def register_range(digits: int) -> int:
    """The first value (Wh or varh) that a register of so many integer digits cannot show."""
    if not DIGITS_MIN <= digits <= DIGITS_MAX:
        raise BadInput("digits", f"is {digits}", f"use {DIGITS_MIN} to {DIGITS_MAX}")
    limit: int = 10**digits * WH_PER_KWH
    return limit


def plausible_usage(capacity_w: int, from_at: str, to_at: str) -> int:
    """Capacity x hours in Wh (the same number bounds varh), rounded down."""
    return floor_div(capacity_w * seconds_between(from_at, to_at), SECONDS_PER_HOUR)


def segment(installed: Installation, from_value: int, to_value: int, plausible: int) -> Segment:
    """Usage in one installation; a falling register counts as rolled over up to `plausible`."""
    limit = register_range(installed.digits)
    rollover_usage: int | None = None
    usage: int | None = None
    if not (0 <= from_value < limit and 0 <= to_value < limit):
        outcome = OUT_OF_RANGE
    else:
        usage = primary_value(to_value, installed.ratio) - primary_value(
            from_value, installed.ratio
        )
        outcome = GOOD
        if to_value < from_value:
            rollover_usage = usage + primary_value(limit, installed.ratio)
            rolled = rollover_usage <= plausible
            outcome, usage = (ROLLOVER, rollover_usage) if rolled else (NEGATIVE, None)
    return Segment(
        meter_no=installed.meter_no,
        ratio=installed.ratio,
        from_value=from_value,
        to_value=to_value,
        outcome=outcome,
        usage=usage,
        rollover_usage=rollover_usage,
        plausible_usage=plausible,
    )


def usages_between(
    previous: Snapshot,
    current: Snapshot,
    installations: tuple[Installation, ...],
    capacity_margin_permille: int = PERMILLE,
) -> dict[str, RegisterUsage]:
    """The usage of every cumulative register that both readings have.

    `installations` are those of the usage point, in any order; a reading at the very instant of a
    change is of the installation that begins there, if that has its meter. A rollover is plausible
    up to capacity x margin x hours. BadInput when the readings are not in order of time.
    """
    if seconds_between(previous.taken_at, current.taken_at) < 0:
        problem = f"{current.taken_at} is before {previous.taken_at}"
        raise BadInput("taken_at", problem, "give readings in order of time")
    ordered = tuple(sorted(installations, key=lambda installed: installed.from_at))
    first, last = _index_at(previous, ordered), _index_at(current, ordered)
    foreign = _foreign(previous, first) or _foreign(current, last)
    chain = ordered[first : last + 1] if first is not None and last is not None else ()
    return {
        register: _foreign_usage(register, previous, current, foreign)
        if foreign
        else _chain_usage(register, previous, current, chain, capacity_margin_permille)
        for register in previous.registers
        if register in current.registers and parse_register(register).cumulative
    }


def _index_at(reading: Snapshot, ordered: tuple[Installation, ...]) -> int | None:
    """The last installation of the reading's meter that holds its instant, both ends included."""
    found = [
        index
        for index, installed in enumerate(ordered)
        if installed.meter_no == reading.meter_no
        and seconds_between(installed.from_at, reading.taken_at) >= 0
        and (not installed.to_at or seconds_between(reading.taken_at, installed.to_at) >= 0)
    ]
    return found[-1] if found else None


def _foreign(reading: Snapshot, index: int | None) -> str:
    if index is not None:
        return ""
    return f"meter {reading.meter_no} was not installed at {reading.taken_at}"


def _foreign_usage(
    register: str, previous: Snapshot, current: Snapshot, text: str
) -> RegisterUsage:
    return RegisterUsage(
        register=register,
        from_at=previous.taken_at,
        to_at=current.taken_at,
        outcome=FOREIGN_METER,
        usage=None,
        text=text,
    )


def _chain_usage(
    register: str,
    previous: Snapshot,
    current: Snapshot,
    chain: tuple[Installation, ...],
    margin_permille: int,
) -> RegisterUsage:
    """Usage over a chain of installations: each from its initial to its final reading, the first
    from the previous reading on, the last up to the current one."""
    segments: list[Segment] = []
    text = ""
    for index, installed in enumerate(chain):
        begins, ends = index == 0, index == len(chain) - 1
        from_values = previous.registers if begins else installed.initial
        to_values = current.registers if ends else installed.final
        if register not in from_values or register not in to_values:
            end = "final" if register in from_values else "initial"
            text = f"the {end} reading of {register} on {installed.meter_no} is missing"
            break
        from_at = previous.taken_at if begins else installed.from_at
        to_at = current.taken_at if ends else installed.to_at
        capacity_w = floor_div(installed.capacity_w * margin_permille, PERMILLE)
        plausible = plausible_usage(capacity_w, from_at, to_at)
        segments.append(segment(installed, from_values[register], to_values[register], plausible))
    outcome = NO_EXCHANGE_READING if text else _worst_outcome(segments)
    usages = [part.usage for part in segments if part.usage is not None]
    known = not text and len(usages) == len(segments)
    return RegisterUsage(
        register=register,
        from_at=previous.taken_at,
        to_at=current.taken_at,
        outcome=outcome,
        usage=sum(usages) if known else None,
        segments=tuple(segments),
        text=text,
    )


def _worst_outcome(segments: list[Segment]) -> str:
    """A value outside the register, then a negative usage, then a rollover, then good."""
    found = {part.outcome for part in segments}
    return next(name for name in (OUT_OF_RANGE, NEGATIVE, ROLLOVER, GOOD) if name in found)
