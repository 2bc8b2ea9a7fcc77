"""The estimation plan: which method fills which gap of a load profile, in which order. It is data.

A plan has an id and a version that stand in every result. Its steps are tried from the first to the
last; the first whose condition holds and that finds its references fills the slots. What a source
does not settle is marked `unconfirmed`, and the utility replaces it by a plan of its own:

    id: city
    version: 2
    valid_from_on: 2026-01-01
    residual: largest_remainder           # or last: where the last watt-hours of a scale go
    steps:
    - {method: linear, gap_max_min: 120, source: California}
    - {method: same_weekday, parameters: {samples: 3, samples_min: 3, window_days: 35}}
    - {method: register_even}
    like_days: {monday: [monday], ..., holiday: [holiday, sunday]}
    class_profiles: {residential: {workday: [24 numbers, Wh an hour], restday: [...]}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from libs.events.errors import BadInput
from services.validation.instant import parse_day
from services.validation.slot_time import HOLIDAY, WEEKDAYS

LINEAR = "linear"
CHECK_METER = "check_meter"
SAME_WEEKDAY = "same_weekday"
LIKE_DAY = "like_day"
WEEKS_AVERAGE = "weeks_average"
CLASS_PROFILE = "class_profile"
FLAT_AVERAGE = "flat_average"
REGISTER_EVEN = "register_even"

LARGEST_REMAINDER = "largest_remainder"
LAST = "last"
RESIDUALS = (LARGEST_REMAINDER, LAST)

WORKDAY = "workday"
RESTDAY = "restday"
HOURS = 24

PARAMETERS: Mapping[str, tuple[str, ...]] = {
    LINEAR: (),
    CHECK_METER: (),
    SAME_WEEKDAY: ("samples", "samples_min", "window_days"),
    LIKE_DAY: ("window_days",),
    WEEKS_AVERAGE: ("window_days",),
    CLASS_PROFILE: (),
    FLAT_AVERAGE: ("window_days",),
    REGISTER_EVEN: (),
}
"""Every method, with the parameters it must be given."""

PARAMETER_MAX = 3_660
GAP_MAX_MIN = 60 * 24 * 366


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """One method, the condition under which it is tried, and where its numbers come from.

    `gap_max_min`: only gaps up to this length in minutes (0: any). `unconfirmed` names what no
    source settles: `gap_max_min`, a parameter, or `order` for the place of the step.
    """

    method: str
    gap_max_min: int = 0
    parameters: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    unconfirmed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimationPlan:
    """The steps in their order, and the tables they look into.

    `like_days`: by kind of day, the kinds that may stand for it, the best first. `class_profiles`:
    by class, for `workday` and `restday` (Saturday, Sunday, holiday) the Wh of each hour.
    `residual`: who gets the units that rounding down leaves: `largest_remainder` (one each to the
    slots with the largest remainder, of equals the earliest) or `last` (the last slot).
    """

    id: str
    version: int
    valid_from_on: str
    steps: tuple[PlanStep, ...]
    like_days: Mapping[str, tuple[str, ...]]
    class_profiles: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    residual: str = LARGEST_REMAINDER

    @property
    def name(self) -> str:
        """The id with the version, as results carry it: `default.v1`."""
        return f"{self.id}.v{self.version}"


_MIDWEEK = ("tuesday", "wednesday", "thursday")

DEFAULT_PLAN = EstimationPlan(
    id="default",
    version=1,
    valid_from_on="2000-01-01",
    steps=(
        PlanStep(
            method=LINEAR,
            gap_max_min=60,
            source="domain.md 2 (a): IESO 1 h; the California standard says 2 h",
            unconfirmed=("gap_max_min",),
        ),
        PlanStep(method=CHECK_METER, source="domain.md 2 (b): AEMO 11-13, IESO substitution"),
        PlanStep(
            method=SAME_WEEKDAY,
            parameters={"samples": 3, "samples_min": 3, "window_days": 35},
            source="domain.md 2 (c): Itron Historical; IESO looks three weeks back",
            unconfirmed=("samples_min", "window_days"),
        ),
        PlanStep(
            method=LIKE_DAY,
            parameters={"window_days": 14},
            source="domain.md 2 (d): WA Metering Code appendix 3, method 14",
            unconfirmed=("window_days",),
        ),
        PlanStep(
            method=WEEKS_AVERAGE,
            parameters={"window_days": 28},
            source="domain.md 2 (e)",
            unconfirmed=("window_days",),
        ),
        PlanStep(
            method=CLASS_PROFILE,
            source="domain.md 2 (f): the profiles are data of the utility",
            unconfirmed=("order",),
        ),
        PlanStep(
            method=FLAT_AVERAGE,
            parameters={"window_days": 28},
            source="domain.md 2 (g)",
            unconfirmed=("window_days",),
        ),
        PlanStep(
            method=REGISTER_EVEN,
            source="nothing but the register is known: evenly, as estimation.py does for days",
            unconfirmed=("order",),
        ),
    ),
    like_days={day: (day,) for day in (*WEEKDAYS, HOLIDAY)}
    | {day: (day, *(other for other in _MIDWEEK if other != day)) for day in _MIDWEEK},
)


def unconfirmed(plan: EstimationPlan) -> tuple[str, ...]:
    """`method.what` of everything in a plan without a confirmed source."""
    return tuple(f"{step.method}.{name}" for step in plan.steps for name in step.unconfirmed)


def check_plan(plan: EstimationPlan) -> EstimationPlan:
    """The plan itself when it can be carried out; BadInput names the first wrong field."""
    if not plan.id:
        raise BadInput("id", "is empty", "name your plan")
    if plan.version < 1:
        raise BadInput("version", f"is {plan.version}", "count from 1")
    parse_day(plan.valid_from_on, "valid_from_on")
    if plan.residual not in RESIDUALS:
        raise BadInput("residual", f"{plan.residual!r} is unknown", f"use {', '.join(RESIDUALS)}")
    if not plan.steps:
        raise BadInput("steps", "are none", f"name at least one of {', '.join(PARAMETERS)}")
    for number, step in enumerate(plan.steps, 1):
        _check_step(f"steps[{number}]", step)
    kinds = (*WEEKDAYS, HOLIDAY)
    for day in kinds:
        if day not in plan.like_days:
            raise BadInput(f"like_days.{day}", "is missing", "list the kinds that are like it")
    for day, others in plan.like_days.items():
        unknown = [kind for kind in (day, *others) if kind not in kinds]
        if unknown:
            raise BadInput(
                f"like_days.{day}", f"{unknown[0]!r} is unknown", f"use {', '.join(kinds)}"
            )
    for name, profile in plan.class_profiles.items():
        _check_profile(f"class_profiles.{name}", profile)
    return plan


def _check_step(place: str, step: PlanStep) -> None:
    if step.method not in PARAMETERS:
        fix = f"use {', '.join(PARAMETERS)}"
        raise BadInput(f"{place}.method", f"{step.method!r} is unknown", fix)
    if not 0 <= step.gap_max_min <= GAP_MAX_MIN:
        raise BadInput(f"{place}.gap_max_min", f"is {step.gap_max_min}", "use 0 (any) or more")
    wanted = PARAMETERS[step.method]
    for name in sorted({*wanted} ^ {*step.parameters}):
        problem, fix = ("is missing", "add it") if name in wanted else ("is unknown", "remove it")
        raise BadInput(f"{place}.parameters.{name}", problem, fix)
    for name, value in step.parameters.items():
        if not 1 <= value <= PARAMETER_MAX:
            fix = f"use 1 to {PARAMETER_MAX}"
            raise BadInput(f"{place}.parameters.{name}", f"is {value}", fix)


def _check_profile(place: str, profile: Mapping[str, tuple[int, ...]]) -> None:
    if set(profile) != {WORKDAY, RESTDAY}:
        problem = f"has {', '.join(sorted(profile)) or 'nothing'}"
        raise BadInput(place, problem, f"give {WORKDAY} and {RESTDAY}")
    for day, hours in profile.items():
        if len(hours) != HOURS or min(hours) < 0:
            raise BadInput(f"{place}.{day}", "is no day", "give 24 numbers of 0 or more, Wh each")


# -- from and to a document ------------------------------------------------------------------------


def plan_of(document: Any) -> EstimationPlan:
    """A plan as a YAML or JSON document has it (scalars may be texts); BadInput names the field."""
    given = _mapping(document, "plan")
    known = ("id", "version", "valid_from_on", "residual", "steps", "like_days", "class_profiles")
    _refuse_unknown(given, known, "")
    for name in ("id", "version", "steps"):
        if name not in given:
            raise BadInput(name, "is missing", "add it")
    steps = _list(given["steps"], "steps")
    like_days = _mapping(given.get("like_days", DEFAULT_PLAN.like_days), "like_days")
    profiles = _mapping(given.get("class_profiles", {}), "class_profiles")
    plan = EstimationPlan(
        id=str(given["id"]),
        version=_whole(given["version"], "version"),
        valid_from_on=str(given.get("valid_from_on", DEFAULT_PLAN.valid_from_on)),
        residual=str(given.get("residual", LARGEST_REMAINDER)),
        steps=tuple(_step(step, f"steps[{number}]") for number, step in enumerate(steps, 1)),
        like_days={
            day: tuple(map(str, _list(kinds, f"like_days.{day}")))
            for day, kinds in like_days.items()
        },
        class_profiles={
            name: {
                day: tuple(
                    _whole(value, f"class_profiles.{name}.{day}")
                    for value in _list(hours, f"class_profiles.{name}.{day}")
                )
                for day, hours in _mapping(profile, f"class_profiles.{name}").items()
            }
            for name, profile in profiles.items()
        },
    )
    return check_plan(plan)


def plan_document(plan: EstimationPlan) -> dict[str, Any]:
    """A plan as the document that `plan_of` reads back."""
    return {
        "id": plan.id,
        "version": plan.version,
        "valid_from_on": plan.valid_from_on,
        "residual": plan.residual,
        "steps": [
            {
                "method": step.method,
                "gap_max_min": step.gap_max_min,
                "parameters": dict(step.parameters),
                "source": step.source,
                "unconfirmed": list(step.unconfirmed),
            }
            for step in plan.steps
        ],
        "like_days": {day: list(kinds) for day, kinds in plan.like_days.items()},
        "class_profiles": {
            name: {day: list(hours) for day, hours in profile.items()}
            for name, profile in plan.class_profiles.items()
        },
    }


def _step(document: Any, place: str) -> PlanStep:
    given = _mapping(document, place)
    known = ("method", "gap_max_min", "parameters", "source", "unconfirmed")
    _refuse_unknown(given, known, f"{place}.")
    parameters = _mapping(given.get("parameters", {}), f"{place}.parameters")
    return PlanStep(
        method=str(given.get("method", "")),
        gap_max_min=_whole(given.get("gap_max_min", 0), f"{place}.gap_max_min"),
        parameters={
            name: _whole(value, f"{place}.parameters.{name}") for name, value in parameters.items()
        },
        source=str(given.get("source", "")),
        unconfirmed=tuple(
            map(str, _list(given.get("unconfirmed", []), f"{place}.unconfirmed")),
        ),
    )


def _refuse_unknown(given: Mapping[str, Any], known: tuple[str, ...], prefix: str) -> None:
    for name in given:
        if name not in known:
            raise BadInput(f"{prefix}{name}", "is unknown", f"use {', '.join(known)}")


def _mapping(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise BadInput(place, "is no table of names", "write name: value")
    return value


def _list(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise BadInput(place, "is no list", "write [one, two]")
    return list(value)


def _whole(value: Any, place: str) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise BadInput(place, f"{text[:20]!r} is no whole number", "write digits only")
    return int(text)
