"""A meter on the bench: its true error curve, what is to be measured, and how the bench misbehaves.

    {"meter_no": "M1", "accuracy_class": "1", "measured_at": "2026-03-01T02:00:00Z",
     "base": "Ib", "imax_multiple": "12",
     "curve": [{"power_factor": "1.0", "load": "balanced",
                "knots": [["0.05", 4000], ["1", 2000], ["12", -1000]]}],
     "points": [{"current": "0.05Ib", "power_factor": "1.0", "load": "balanced"}],
     "noise_e4_pct": 200, "tests": {"start": "pass", "creep": "pass", "constant": "pass"},
     "misbehaviours": ["garbled_line"]}

`bench_no`, `reference_meter_no` and `reference_due_on` let the meter be placed on another bench
than the configured one, such as one that is out of date and does not say so.

A curve gives the error (1e-4 per cent) at multiples of the base current, straight between two knots
and level beyond them. The noise of a point is drawn from the seed, the run and the point, so the
same placement gives the same errors, in whatever order and however often it is measured.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from libs.events.errors import BadInput
from libs.events.quantities import half_even_div
from services.metrology.error_limits import MeasuredPoint, MeterRating, parse_current
from services.metrology.judgement import BenchRun
from simulators.bench.config import BenchConfig

Misbehaviour = Literal[
    "duplicate_point",  # a point is sent twice, equal both times
    "contradicting_point",  # a point is sent twice with different errors
    "missing_point",  # the last point is left out, and counted out
    "wrong_class",  # the bench was set to another class than the meter's
    "expired_reference",  # the reference meter was due the day before
    "garbled_line",  # first attempt: a byte of a line is damaged on the way
    "lost_line",  # first attempt: a line is lost on the way
    "disconnect",  # first attempt: the connection is closed in the middle of the run
]

OTHER_CLASS = {"0.2S": "0.5S", "0.5S": "1", "1": "2", "2": "1"}
CONTRADICTION_E4_PCT = 1_000
"""How far the second error of a contradicting point is from the first: 0.1 %."""

INSTANT = "%Y-%m-%dT%H:%M:%SZ"
UTC_OFFSET_MINUTES = 480


class Strict(BaseModel):
    """A model that refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Place(Strict):
    """A load point to be measured."""

    current: str = Field(min_length=1)
    power_factor: str = Field(min_length=1)
    load: str = Field(min_length=1)


class Curve(Strict):
    """The true error at one power factor and load, by multiple of the base current."""

    power_factor: str
    load: str
    knots: tuple[tuple[str, int], ...] = Field(min_length=1)


class Placement(Strict):
    """A meter placed on the bench."""

    meter_no: str = Field(min_length=1)
    accuracy_class: Literal["0.2S", "0.5S", "1", "2"]
    measured_at: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
    base: Literal["Ib", "In"] = "Ib"
    imax_multiple: str = Field(default="12", pattern=r"^\d+(\.\d+)?$")
    curve: tuple[Curve, ...] = Field(min_length=1)
    points: tuple[Place, ...] = Field(min_length=1)
    noise_e4_pct: int = Field(default=0, ge=0)
    tests: dict[str, Literal["pass", "fail", "not_done"]] = Field(default_factory=dict)
    misbehaviours: tuple[Misbehaviour, ...] = ()
    bench_no: str | None = Field(default=None, min_length=1)
    reference_meter_no: str | None = Field(default=None, min_length=1)
    reference_due_on: date | None = None


def bench_of(config: BenchConfig, placement: Placement) -> BenchConfig:
    """The bench that a meter is placed on: the configured one, unless the placement says so."""
    names = {"bench_no", "reference_meter_no", "reference_due_on"}
    return config.model_copy(update=placement.model_dump(include=names, exclude_none=True))


def run_id(config: BenchConfig, placement: Placement) -> str:
    """The id of a run: the same meter at the same instant on the same bench is the same run."""
    config = bench_of(config, placement)
    stamp = placement.measured_at.replace("-", "").replace(":", "")
    return f"{config.bench_no}-{placement.meter_no}-{stamp}"


def measure(config: BenchConfig, placement: Placement) -> BenchRun:
    """What the bench measures and claims, its misbehaviours included (those of the line are done
    when it is sent). BadInput for a point without a curve or a current that is none."""
    config = bench_of(config, placement)
    wrong = placement.misbehaviours
    points = [_measured(config, placement, place) for place in placement.points]
    if "missing_point" in wrong:
        points.pop()
    if points and "duplicate_point" in wrong:
        points.append(points[0])
    if points and "contradicting_point" in wrong:
        other = points[0].error_e4_pct + CONTRADICTION_E4_PCT
        points.append(replace(points[0], error_e4_pct=other))
    accuracy_class: str = placement.accuracy_class
    if "wrong_class" in wrong:
        accuracy_class = OTHER_CLASS[accuracy_class]
    due_on = config.reference_due_on.isoformat()
    if "expired_reference" in wrong:
        due_on = _day_before(placement.measured_at)
    return BenchRun(
        run_id=run_id(config, placement),
        meter_no=placement.meter_no,
        accuracy_class=accuracy_class,
        bench_no=config.bench_no,
        reference_meter_no=config.reference_meter_no,
        reference_class=config.reference_class,
        reference_due_on=due_on,
        measured_at=placement.measured_at,
        operator=config.operator,
        points=tuple(points),
        tests=dict(placement.tests),
    )


def _day_before(at: str) -> str:
    local = datetime.strptime(at, INSTANT).replace(tzinfo=UTC) + timedelta(
        minutes=UTC_OFFSET_MINUTES
    )
    return (local.date() - timedelta(days=1)).isoformat()


def _measured(config: BenchConfig, placement: Placement, place: Place) -> MeasuredPoint:
    meter = MeterRating(
        accuracy_class=placement.accuracy_class,
        connection="direct" if placement.base == "Ib" else "ct",
        imax_multiple=placement.imax_multiple,
    )
    multiple = parse_current(place.current, meter)
    assert multiple is not None, "Imax is always known here"
    for curve in placement.curve:
        if (curve.power_factor, curve.load) == (place.power_factor, place.load):
            true = true_error(curve.knots, multiple)
            break
    else:
        problem = f"there is none for {place.power_factor}, {place.load}"
        raise BadInput("curve", problem, "give a curve for every power factor and load measured")
    key = (config.seed, run_id(config, placement), multiple, place.power_factor, place.load)
    noise = Random("|".join(map(str, key))).randint(-placement.noise_e4_pct, placement.noise_e4_pct)
    exact = true + noise
    return MeasuredPoint(
        current=place.current,
        power_factor=place.power_factor,
        load=place.load,
        error_e4_pct=half_even_div(exact.numerator, exact.denominator),
    )


def true_error(knots: tuple[tuple[str, int], ...], multiple: Fraction) -> Fraction:
    """The error at a multiple of the base current: straight between knots, level beyond them."""
    try:
        ordered = sorted((Fraction(at), Fraction(error)) for at, error in knots)
    except (ValueError, ZeroDivisionError):
        raise BadInput("knots", f"are {knots}", 'write a knot like ["0.05", 4000]') from None
    below = [knot for knot in ordered if knot[0] <= multiple]
    above = [knot for knot in ordered if knot[0] >= multiple]
    if not below:
        return above[0][1]
    if not above:
        return below[-1][1]
    (low, low_error), (high, high_error) = below[-1], above[0]
    if low == high:
        return low_error
    return low_error + (high_error - low_error) * (multiple - low) / (high - low)
