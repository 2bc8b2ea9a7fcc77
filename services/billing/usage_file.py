"""Usage as a file: what the points of an account used in a month, as people write it.

    account: "3100012345"
    period: 2026-01
    points:
      - {point: P1, import_kwh: "523"}

Days are those of the calendar month unless given: `cycle_from_on` and `cycle_until_on` for another
billing cycle, `from_on` and `until_on` (points have them, too) for a part of it. Reactive energy is
a figure by quadrant, one figure (all of it in quadrant 1), or `power_factor`: then it is the energy
that gives this factor. BadInput names place, field and fix.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any, Literal

from pydantic import Field

from libs.events.errors import BadInput
from libs.events.quantities import parse_scaled
from services.billing import usage as pure
from services.billing.calendar import days_between
from services.billing.file_fields import (
    Day,
    Factor,
    GivenKilo,
    Kilo,
    Month,
    Name,
    checked,
    require_order,
    wh,
)
from services.billing.months import month_span
from services.billing.power_factor import power_factor_hundredths
from services.billing.price_book_models import Strict
from services.billing.wrong_measurement import WrongMeasurementModel, true_usage

QUADRANTS = ("1", "2", "3", "4")
CYCLE_DAYS_MOST = 400


class PointUsageModel(Strict):
    """What one point used. `import_kwh` may be left out where the rates are given: their sum."""

    point: Name
    from_on: Day = ""
    until_on: Day = ""
    import_kwh: Kilo = ""
    import_kwh_by_rate: dict[str, GivenKilo] = Field(default_factory=dict)
    export_kwh: Kilo = "0"
    export_kwh_by_rate: dict[str, GivenKilo] = Field(default_factory=dict)
    reactive_kvarh: Kilo | dict[Literal["1", "2", "3", "4"], GivenKilo] = ""
    power_factor: Factor = ""
    demand_kw: Kilo = ""
    demand_at: str = ""
    quality: Literal["actual", "estimated"] = "actual"
    exchanged: bool = False
    used_before_kwh: Kilo = Field(
        default="", description="used in the tier month or year before this period"
    )
    reading_ids: tuple[str, ...] = ()
    measured_wrongly: WrongMeasurementModel | None = None


class UsageModel(Strict):
    """The usage of an account in a billing cycle, or in a part of one."""

    kind: Literal["usage"] = "usage"
    account: Name
    period: Month = Field(min_length=1)
    cycle_from_on: Day = ""
    cycle_until_on: Day = ""
    from_on: Day = ""
    until_on: Day = ""
    points: tuple[PointUsageModel, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageEntry:
    """Usage of an account, and what its points had used in their tiers before, where it is told;
    `notes` are for the reader of the bill."""

    place: str
    usage: pure.AccountUsage
    used_before_wh: dict[str, int]
    notes: tuple[str, ...] = ()


def read_usage(document: Any, place: str, today_on: str) -> UsageEntry:
    """The usage in a document, from `place` of a file; its days must be over."""
    model = checked(UsageModel, document, place)
    month = month_span(model.period)
    cycle = (model.cycle_from_on or month[0], model.cycle_until_on or month[1])
    require_order(place, "cycle_until_on", *cycle)
    days = (model.from_on or cycle[0], model.until_on or cycle[1])
    require_order(place, "until_on", *days)
    if days_between(*cycle) > CYCLE_DAYS_MOST:
        problem = f"{days_between(*cycle)} days are no billing cycle"
        raise BadInput(f"{place} cycle_until_on", problem, "check the year")
    if not cycle[0] <= days[0] < days[1] <= cycle[1]:
        problem = f"{days[0]} to {days[1]} is not within the cycle {cycle[0]} to {cycle[1]}"
        raise BadInput(f"{place} from_on", problem, "give cycle_from_on and cycle_until_on, too")
    if days[1] > today_on:
        problem = f"{days[1]} is in the future: nobody has the usage of days that are not over"
        raise BadInput(f"{place} until_on", problem, "correct it, or say `--on DAY`")
    points, notes = [], []
    for number, each in enumerate(model.points):
        where = f"{place} points.{number}"
        point = _point(each, days, where)
        if each.measured_wrongly is not None:
            wrong = f"{where}.measured_wrongly"
            point, note = true_usage(each.measured_wrongly, point, wrong)
            notes.append(note)
        points.append(point)
    usage = pure.AccountUsage(
        account=model.account,
        period=model.period,
        cycle_from_on=cycle[0],
        cycle_until_on=cycle[1],
        from_on=days[0],
        until_on=days[1],
        points=tuple(points),
    )
    before = {each.point: wh(each.used_before_kwh) for each in model.points if each.used_before_kwh}
    return UsageEntry(place=place, usage=usage, used_before_wh=before, notes=tuple(notes))


def _point(model: PointUsageModel, days: tuple[str, str], place: str) -> pure.PointUsage:
    from_on, until_on = model.from_on or days[0], model.until_on or days[1]
    require_order(place, "until_on", from_on, until_on)
    if not days[0] <= from_on < until_on <= days[1]:
        problem = f"{from_on} to {until_on} is not within {days[0]} to {days[1]}"
        raise BadInput(f"{place}.from_on", problem, "give the days of the usage, too")
    rates = {name: wh(text) for name, text in model.import_kwh_by_rate.items()}
    if not model.import_kwh and not rates:
        raise BadInput(f"{place}.import_kwh", "is missing", "give kWh, 0 for none")
    import_wh = wh(model.import_kwh) if model.import_kwh else sum(rates.values())
    return pure.PointUsage(
        point=model.point,
        from_on=from_on,
        until_on=until_on,
        import_wh=import_wh,
        import_wh_by_rate=rates,
        export_wh=wh(model.export_kwh),
        export_wh_by_rate={name: wh(text) for name, text in model.export_kwh_by_rate.items()},
        reactive_varh=_reactive(model, import_wh, place),
        demand_w=wh(model.demand_kw) if model.demand_kw else None,
        demand_at=model.demand_at,
        quality=model.quality,
        exchanged=model.exchanged,
        reading_ids=model.reading_ids,
    )


def _reactive(model: PointUsageModel, import_wh: int, place: str) -> dict[str, int]:
    given = model.reactive_kvarh
    if model.power_factor:
        if given:
            problem = "is given beside reactive_kvarh"
            raise BadInput(f"{place}.power_factor", problem, "give one of them")
        varh = reactive_of_factor(import_wh, parse_scaled(model.power_factor, 100, "power_factor"))
        return {**dict.fromkeys(QUADRANTS, 0), "1": varh}
    if isinstance(given, str):
        return {**dict.fromkeys(QUADRANTS, 0), "1": wh(given)} if given else {}
    return {quadrant: wh(text) for quadrant, text in given.items()}


def reactive_of_factor(active_wh: int, hundredths: int) -> int:
    """The reactive energy with which an active one has a power factor in hundredths; whole kvarh
    where one gives it, since bills round to them."""
    square = active_wh * active_wh * (10_000 - hundredths * hundredths)
    varh = isqrt(square) // hundredths
    for unit in (1000, 1):
        rounded = (varh + unit // 2) // unit * unit
        if active_wh and power_factor_hundredths(active_wh, rounded) == hundredths:
            return rounded
    return varh
