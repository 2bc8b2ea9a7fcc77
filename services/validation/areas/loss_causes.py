"""Why a loss is too high or negative: named causes, each with the numbers it was judged by.

A cause is a row of `CAUSES`: a name, its Chinese name, and a pure predicate over what was measured.
`effect_wh` is what the cause adds to the loss (below 0: takes off it), None when its direction is
not known; then `explained_wh` is its size. Only causes that push the way of the alarm are named,
those that explain most energy first; nothing found is said as `unexplained`.

    causes_of(high_loss, day, places, rules)[0]
    -> Cause(name="zero_usage", usage_point="P3", effect_wh=8200, ...)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from libs.events.quantities import floor_div, half_up_div
from services.validation.areas.line_loss import ALARMS, HIGH, NEGATIVE, Loss, LossDay, Measured
from services.validation.areas.loss_rules import PERCENT_E2, LossRules
from services.validation.areas.membership import ESTIMATED, GATE, MISSING, Membership, Places
from services.validation.register_usage import parse_ratio

DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One cause at one point ("" for all of the area); numbers are exact decimals, unit last."""

    name: str
    usage_point: str
    effect_wh: int | None
    explained_wh: int
    numbers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that a predicate may look at."""

    loss: Loss
    day: LossDay
    measured: tuple[Measured, ...]
    places: Places
    rules: LossRules


Found = Iterator[Cause]


@dataclass(frozen=True, slots=True)
class CauseRule:
    """A named cause: its Chinese name, its meaning, and the predicate that finds it."""

    chinese: str
    meaning: str
    find: Callable[[Scene], Found]


def causes_of(loss: Loss, day: LossDay, places: Places, rules: LossRules) -> tuple[Cause, ...]:
    """The causes of an alarm, those that explain most energy first; none for a loss within limits.

    Equal energies are in the order of CAUSES, then of points.
    """
    if loss.status not in ALARMS:
        return ()
    measured = day.measured(loss)
    scene = Scene(loss=loss, day=day, measured=measured, places=places, rules=rules)
    found = [
        cause
        for rule in CAUSES.values()
        for cause in rule.find(scene)
        if cause.effect_wh is None or (cause.effect_wh > 0) == (loss.status == HIGH)
    ]
    if not found:
        numbers = {"excess_wh": str(loss.excess_wh)}
        return (
            Cause(
                name=UNEXPLAINED, usage_point="", effect_wh=None, explained_wh=0, numbers=numbers
            ),
        )
    return tuple(sorted(found, key=lambda cause: -cause.explained_wh))


def _cause(
    name: str, found: Measured, effect_wh: int | None, numbers: dict[str, int | str]
) -> Cause:
    return Cause(
        name=name,
        usage_point=found.read.usage_point,
        effect_wh=effect_wh,
        explained_wh=abs(effect_wh or 0),
        numbers={key: str(value) for key, value in numbers.items()},
    )


def _effect(found: Measured, import_change_wh: int) -> int:
    """What it does to the loss that a point shows so much more import than it should."""
    return import_change_wh if found.place.role == GATE else -import_change_wh


def _against_usual(name: str, found: Measured) -> Found:
    """A point whose value of this day is doubtful: the usual day says by how much."""
    usual = found.read.usual_wh
    if usual is None:
        yield _cause(name, found, None, {"import_wh": found.import_wh})
    elif usual != found.import_wh:
        effect = _effect(found, found.import_wh - usual)
        yield _cause(name, found, effect, {"import_wh": found.import_wh, "usual_wh": usual})


def meter_exchanged(scene: Scene) -> Found:
    """A meter exchange lies in the day: its final or initial registers may be wrong."""
    for found in scene.measured:
        if found.read.after_exchange:
            yield from _against_usual("meter_exchanged", found)


def register_rolled_over(scene: Scene) -> Found:
    """A register went over its last digit: the usage rests on the number of its digits."""
    for found in scene.measured:
        if found.read.rolled_over:
            yield from _against_usual("register_rolled_over", found)


def reading_missing(scene: Scene) -> Found:
    """A point without any value: its usage is in the supply and not in the sales."""
    for found in scene.measured:
        if found.read.quality == MISSING:
            yield from _against_usual("reading_missing", found)


def reading_estimated(scene: Scene) -> Found:
    """A point whose value is an estimate."""
    for found in scene.measured:
        if found.read.quality == ESTIMATED:
            yield from _against_usual("reading_estimated", found)


def ratio_mismatch(scene: Scene) -> Found:
    """The ratio that was used is not the one of the archive."""
    for found in scene.measured:
        used, archive = found.read.ratio, found.place.ratio
        if not used or not archive or parse_ratio(used) == parse_ratio(archive):
            continue
        should_wh = half_up_div(found.import_wh * parse_ratio(archive), parse_ratio(used))
        effect = _effect(found, found.import_wh - should_wh)
        if effect:
            numbers: dict[str, int | str] = {
                "used_ratio": used,
                "archive_ratio": archive,
                "import_wh": found.import_wh,
                "by_archive_wh": should_wh,
            }
            yield _cause("ratio_mismatch", found, effect, numbers)


def pv_not_counted(scene: Scene) -> Found:
    """A point with PV whose export register was not read: its supply is not counted."""
    for found in scene.measured:
        if found.place.has_pv and found.read.export_wh is None:
            usual = found.read.usual_export_wh
            numbers: dict[str, int | str] = {} if usual is None else {"usual_export_wh": usual}
            yield _cause("pv_not_counted", found, -usual if usual else None, numbers)


def zero_usage(scene: Scene) -> Found:
    """A member used nothing though it usually does, while a current flows or its neighbours used
    theirs: suspicion of theft or of a dead meter, for a person to look at."""
    rules = scene.rules
    members = [each for each in scene.measured if each.place.role != GATE]
    known = [each for each in members if each.read.usual_wh and each.read.quality != MISSING]
    for found in known:
        read, usual = found.read, found.read.usual_wh or 0
        if read.after_exchange or read.quality == ESTIMATED:
            continue
        if found.import_wh > rules.zero_usage_most_wh or usual < rules.usual_least_wh:
            continue
        others = [each for each in known if each is not found]
        others_wh = sum(each.import_wh for each in others)
        others_usual_wh = sum(each.read.usual_wh or 0 for each in others)
        neighbours_live = bool(others) and (
            others_wh * PERCENT_E2 >= rules.neighbours_least_e2_pct * others_usual_wh
        )
        if read.current_seen or (read.current_seen is None and neighbours_live):
            numbers: dict[str, int | str] = {
                "import_wh": found.import_wh,
                "usual_wh": usual,
                "neighbours_wh": others_wh,
                "neighbours_usual_wh": others_usual_wh,
                "current_seen": {True: "yes", None: "unknown"}[read.current_seen],
            }
            yield _cause("zero_usage", found, usual - found.import_wh, numbers)


def clock_off(scene: Scene) -> Found:
    """A meter freezes another 24 hours than its neighbours; by size only, for what it used in the
    time between is not known."""
    for found in scene.measured:
        offset_s = found.read.clock_offset_s or 0
        if abs(offset_s) >= scene.rules.clock_off_least_s:
            size_wh = half_up_div(found.import_wh * abs(offset_s), DAY_S)
            numbers = {
                "clock_offset_s": str(offset_s),
                "import_wh": str(found.import_wh),
            }
            yield Cause(
                name="clock_off",
                usage_point=found.read.usage_point,
                effect_wh=None,
                explained_wh=size_wh,
                numbers=numbers,
            )


def member_moved(scene: Scene) -> Found:
    """A member that came lately may still be fed from elsewhere; one that left, from here. Who
    moved inside a feeder says nothing about that feeder, and a new customer moved from nowhere."""
    loss, days = scene.loss, scene.rules.moved_within_days
    since_on = (date.fromisoformat(loss.day_on) - timedelta(days=days)).isoformat()
    for members in scene.day.members_of.values():
        for found in members:
            now = found.place
            if now.role == GATE or not found.import_wh:
                continue
            before = _place_before(now, scene.places)
            if before is None or not since_on < now.from_on <= loss.day_on:
                continue
            is_here, was_here = _is_inside(loss, now), _is_inside(loss, before)
            if is_here == was_here:
                continue
            numbers: dict[str, int | str] = {
                "moved_on": now.from_on,
                "from": before.area or before.feeder,
                "to": now.area or now.feeder,
                "import_wh": found.import_wh,
            }
            effect = -found.import_wh if is_here else found.import_wh
            yield _cause("member_moved", found, effect, numbers)


def _place_before(now: Membership, places: Places) -> Membership | None:
    """Where a point was before it came to a place."""
    earlier = [place for place in places[now.usage_point] if place.from_on < now.from_on]
    return earlier[-1] if earlier else None


def _is_inside(loss: Loss, place: Membership) -> bool:
    """Whether a place is in the area, or in the feeder with all its areas, of a loss."""
    return place.feeder == loss.feeder and (not loss.area or place.area == loss.area)


def wrong_area(scene: Scene) -> Found:
    """Two areas of a feeder, one with too high and one with negative loss, and a member of the
    negative one whose usage would bring both within their limits: it is fed from the other."""
    loss = scene.loss
    if not loss.area:
        return
    wanted = NEGATIVE if loss.status == HIGH else HIGH
    for other in scene.day.areas:
        if other.feeder != loss.feeder or other.status != wanted:
            continue
        high, low = (loss, other) if loss.status == HIGH else (other, loss)
        fitting = [
            found
            for found in scene.day.measured(low)
            if found.place.role != GATE
            and high.least_wh <= high.loss_wh - found.import_wh <= high.most_wh
            and low.least_wh <= low.loss_wh + found.import_wh <= low.most_wh
        ]
        middle_wh = floor_div(high.least_wh + high.most_wh, 2)
        fitting.sort(key=lambda found: abs(high.loss_wh - found.import_wh - middle_wh))
        for found in fitting[: scene.rules.wrong_area_candidates]:
            effect = found.import_wh if loss is high else -found.import_wh
            numbers: dict[str, int | str] = {
                "import_wh": found.import_wh,
                "listed_in": low.area,
                "fed_from": high.area,
                "high_loss_wh": high.loss_wh,
                "low_loss_wh": low.loss_wh,
            }
            yield _cause("wrong_area", found, effect, numbers)


CAUSES: dict[str, CauseRule] = {
    "meter_exchanged": CauseRule("换表", "a meter was exchanged that day", meter_exchanged),
    "ratio_mismatch": CauseRule("倍率不符", "another ratio than the archive's", ratio_mismatch),
    "register_rolled_over": CauseRule(
        "示数翻转", "a register went over its last digit", register_rolled_over
    ),
    "reading_missing": CauseRule("缺抄", "a point has no reading", reading_missing),
    "reading_estimated": CauseRule("估抄", "a point was estimated", reading_estimated),
    "pv_not_counted": CauseRule("光伏上网未计", "feed-in was not read", pv_not_counted),
    "zero_usage": CauseRule("疑似窃电", "no usage against all signs", zero_usage),
    "wrong_area": CauseRule("户变关系错误", "a member is fed from another area", wrong_area),
    "member_moved": CauseRule("台区切改", "a member came or left lately", member_moved),
    "clock_off": CauseRule("时钟偏差", "a meter's clock is off", clock_off),
}
"""Every cause by name; a cause is found by evidence only (domain.md 5)."""

UNEXPLAINED = "unexplained"
UNEXPLAINED_CHINESE = "原因不明"
