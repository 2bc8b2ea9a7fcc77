"""What is due when: verifications, rotations and checks of devices, over one day.

    meter 0.5S, category I, installed 2026-01-10, verified 2025-12-20
        verification    2031-12-20    (72 months by class)
        rotation        2030-01-10    (48 months from the installation, categories I to III)
        first_check     2026-02-10    (one month from the installation, high voltage)
        on_site_check   every 3 months from the last one

Every device gives its obligations, each with the last day it was met on, the day it is due by, and
a status: `overdue`, `due_soon` (within the notice), `done`, or `untracked` where no day is known to
count from. The cycle is covered when nothing is overdue or untracked (周期 100 %): `coverage_pct`
counts both against it. Periods are data (`CheckPeriods`, domain.md §4.1 and §4.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from libs.events.errors import BadInput
from libs.events.quantities import floor_div, format_scaled
from services.metrology.metering_category import CATEGORIES
from services.metrology.verification_cycle import (
    DEFAULT_CYCLES,
    VerificationCycles,
    later_by_months,
    next_due_on,
    parse_day,
)

OVERDUE = "overdue"
DUE_SOON = "due_soon"
DONE = "done"
UNTRACKED = "untracked"
STATUSES = (OVERDUE, UNTRACKED, DUE_SOON, DONE)
METER, CT, VT = "meter", "ct", "vt"
STANDARDS = ("bench", "reference_meter", "standard", "site_standard")
KINDS = (METER, CT, VT, *STANDARDS)
PCT_E2 = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPeriods:
    """Months between checks, by category where they depend on it, with the source of each.

    `high_voltage_v`: from where on the first check and the transformer's cycle apply;
    `drop_voltage_v`: from where on the voltage drop of a VT's secondary circuit is measured.
    """

    id: str
    version: int
    on_site_months: dict[str, int]
    rotation_months: dict[str, int]
    first_check_months: int
    first_check_categories: tuple[str, ...]
    high_voltage_v: int
    transformer_months: int
    drop_voltage_v: int
    drop_months: int
    compare_months: int
    standard_months: dict[str, int]
    cycles: VerificationCycles = DEFAULT_CYCLES
    sources: dict[str, str] = field(default_factory=dict)


DEFAULT_PERIODS = CheckPeriods(
    id="dlt-448-2000-periods",
    version=1,
    on_site_months={"I": 3, "II": 6, "III": 12},
    rotation_months={"I": 48, "II": 48, "III": 48},
    first_check_months=1,
    first_check_categories=("I", "II", "III", "IV"),
    high_voltage_v=1_001,
    transformer_months=120,
    drop_voltage_v=35_000,
    drop_months=24,
    compare_months=3,
    standard_months={"bench": 24, "reference_meter": 12, "standard": 24, "site_standard": 12},
    sources={
        "on_site_months": "DL/T 448-2000 (domain.md §4.3)",
        "rotation_months": "DL/T 448-2000: 3 to 4 years, the longer one (domain.md §4.3)",
        "first_check_months": "DL/T 448-2000: high voltage, categories I to IV (domain.md §4.3)",
        "high_voltage_v": "UNCONFIRMED: above 1 kV",
        "transformer_months": "DL/T 448-2000: high voltage, 10 years (domain.md §4.3)",
        "drop_months": "DL/T 448-2000: VTs of 35 kV and above, 2 years (domain.md §4.3)",
        "compare_months": "on-site standards, every 3 months (domain.md §4.3)",
        "standard_months": "UNCONFIRMED: where the certificate names no day",
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedDevice:
    """A device and the days known of it; "" where a day is not known.

    `category` I to V for what is installed at a point ("" in the lab or store); `voltage_v` of the
    point, 0 when not known; `due_on` is what a certificate names, and is then believed.
    """

    device_no: str
    kind: str
    accuracy_class: str = ""
    category: str = ""
    voltage_v: int = 0
    installed_on: str = ""
    verified_on: str = ""
    checked_on: str = ""
    drop_measured_on: str = ""
    compared_on: str = ""
    due_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """One thing to be done with a device: the day it was done last, the day it is due by ("" when
    not known), the days left until then (negative: late; None when not known) and its rule."""

    device_no: str
    kind: str
    duty: str
    last_on: str
    due_on: str
    status: str
    days_left: int | None
    rule: str


def obligations(
    device: TrackedDevice,
    on: str,
    notice_days: int = 30,
    periods: CheckPeriods = DEFAULT_PERIODS,
) -> tuple[Obligation, ...]:
    """All that is due of a device, seen from the day `on`.

    BadInput for an unknown kind, category or class, or for a day that lies after `on`.
    """
    _check(device, on)
    found = _duties(device, periods)
    return tuple(
        _obligation(device, duty, last_on, due_on, on, notice_days, rule)
        for duty, last_on, due_on, rule in found
    )


Duty = tuple[str, str, str, str]
"""What, the day it was last done on, the day it is due by, and the rule."""


def _check(device: TrackedDevice, on: str) -> None:
    if device.kind not in KINDS:
        raise BadInput("kind", f"{device.kind!r} is unknown", f"use {', '.join(KINDS)}")
    if device.category and device.category not in CATEGORIES:
        fix = f"use {', '.join(CATEGORIES)}"
        raise BadInput("category", f"{device.category!r} is unknown", fix)
    if device.voltage_v < 0:
        raise BadInput("voltage_v", f"is {device.voltage_v}", "give volts of zero or more")
    for name in ("installed_on", "verified_on", "checked_on", "drop_measured_on", "compared_on"):
        day = getattr(device, name)
        if day and parse_day(day, name) > parse_day(on, "on"):
            raise BadInput(name, f"{day} is after {on}", "give the day it was done on")
    if device.due_on:
        parse_day(device.due_on, "due_on")


def _duties(device: TrackedDevice, periods: CheckPeriods) -> Iterator[Duty]:
    if device.kind == METER:
        yield _verification(device, periods)
        yield from _installed_meter(device, periods)
    elif device.kind in {CT, VT}:
        yield from _transformer(device, periods)
    else:
        months = periods.standard_months[device.kind]
        due_on = device.due_on or _after(device.verified_on, months)
        yield "verification", device.verified_on, due_on, f"{periods.id}: {months} months"
        if device.kind == "site_standard":
            rule = f"{periods.id}: {periods.compare_months} months"
            last_on = device.compared_on
            yield "comparison", last_on, _after(last_on, periods.compare_months), rule


def _verification(device: TrackedDevice, periods: CheckPeriods) -> Duty:
    months = periods.cycles.cycle_months.get(device.accuracy_class)
    due_on = device.due_on
    if device.verified_on and not due_on:
        due_on = next_due_on(device.verified_on, device.accuracy_class, periods.cycles)
    rule = f"{periods.cycles.id}: {months} months for class {device.accuracy_class}"
    return "verification", device.verified_on, due_on, rule


def _installed_meter(device: TrackedDevice, periods: CheckPeriods) -> Iterator[Duty]:
    category = device.category
    is_high = device.voltage_v >= periods.high_voltage_v
    if category in periods.rotation_months:
        months = periods.rotation_months[category]
        due_on = _after(device.installed_on, months)
        rule = f"{periods.id}: {months} months, category {category}"
        yield "rotation", device.installed_on, due_on, rule
    if is_high and category in periods.first_check_categories:
        due_on = _after(device.installed_on, periods.first_check_months)
        rule = f"{periods.id}: {periods.first_check_months} months from the installation"
        # Any check since the installation was the first one, or came after it.
        if not device.checked_on or device.checked_on < device.installed_on:
            yield "first_check", "", due_on, rule
            return
    if category in periods.on_site_months:
        months = periods.on_site_months[category]
        since_on = max(device.checked_on, device.installed_on)
        rule = f"{periods.id}: {months} months, category {category}"
        yield "on_site_check", device.checked_on, _after(since_on, months), rule


def _transformer(device: TrackedDevice, periods: CheckPeriods) -> Iterator[Duty]:
    if device.voltage_v >= periods.high_voltage_v or device.due_on:
        rule = f"{periods.id}: {periods.transformer_months} months, high voltage"
        due_on = device.due_on or _after(device.verified_on, periods.transformer_months)
        yield "verification", device.verified_on, due_on, rule
    if device.kind == VT and device.voltage_v >= periods.drop_voltage_v:
        rule = f"{periods.id}: {periods.drop_months} months"
        last_on = device.drop_measured_on
        since_on = last_on or device.installed_on
        yield "voltage_drop", last_on, _after(since_on, periods.drop_months), rule


def _after(day: str, months: int) -> str:
    """The day some months later, "" when there is none to count from."""
    return later_by_months(day, months) if day else ""


def _obligation(
    device: TrackedDevice, duty: str, last_on: str, due_on: str, on: str, notice: int, rule: str
) -> Obligation:
    days_left = None
    status = UNTRACKED
    if due_on:
        due, today = parse_day(due_on, "due_on"), parse_day(on, "on")
        days_left = (due - today).days
        soon = today + timedelta(days=notice)
        status = OVERDUE if due < today else DUE_SOON if due <= soon else DONE
    return Obligation(
        device_no=device.device_no,
        kind=device.kind,
        duty=duty,
        last_on=last_on,
        due_on=due_on,
        status=status,
        days_left=days_left,
        rule=rule,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How far one duty is covered: obligations by status, and the share that is in time in
    per cent with two decimals (rounded down, so that 100 means all)."""

    duty: str
    counts: dict[str, int]
    total: int
    coverage_pct: str


def coverage(counts: Iterable[tuple[str, str, int]]) -> tuple[Coverage, ...]:
    """The coverage of each duty from (duty, status, count), by name of the duty."""
    by_duty: dict[str, dict[str, int]] = {}
    for duty, status, count in counts:
        tallies = by_duty.setdefault(duty, dict.fromkeys(STATUSES, 0))
        tallies[status] += count
    return tuple(_coverage(duty, tallies) for duty, tallies in sorted(by_duty.items()))


def _coverage(duty: str, tallies: dict[str, int]) -> Coverage:
    total = sum(tallies.values())
    in_time = tallies[DUE_SOON] + tallies[DONE]
    share = format_scaled(floor_div(in_time * PCT_E2, total), 100) if total else "100"
    return Coverage(duty=duty, counts=tallies, total=total, coverage_pct=share)
