"""Energy charges: each point's energy by component and period, and monthly fees.

A component that floats with the time of use is charged by period, any other one on the total.

    523 kWh at 0.52   -> 271.96 yuan          energy
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from libs.events.quantities import ROUNDING, WH_PER_KWH
from services.billing.bill import (
    AMOUNT_DENOMINATOR,
    BillLine,
    Charge,
    Finding,
    LineDraft,
    RatingPart,
    rule_id,
)
from services.billing.calendar import Share, days_between, periods_of_months
from services.billing.point_relations import BilledPoint, PointEnergy
from services.billing.price_book import PriceComponent, price_e6
from services.billing.stage import Rating, part_shares

PERIOD_NAMES = {
    "sharp": ("尖", "sharp"),
    "peak": ("峰", "peak"),
    "flat": ("平", "flat"),
    "valley": ("谷", "valley"),
}


def energy_stage(rating: Rating) -> None:
    """The charges per kWh and per month of every part."""
    shares = part_shares(rating.parts)
    for number, (part, share) in enumerate(zip(rating.parts, shares, strict=True)):
        charges, found = energy_charges(part, rating.points[number], share)
        rating.charges[number] += charges
        rating.findings += found


def energy_charges(
    part: RatingPart, points: Iterable[BilledPoint], share: Share
) -> tuple[list[Charge], list[Finding]]:
    """The charges per kWh and per month of every point; a period without a price is a finding.

    `share` is the part of a month that monthly fees are charged for. Nothing is charged for zero
    energy.
    """
    charges: list[Charge] = []
    findings: list[Finding] = []
    for point in points:
        for component in point.price_list.components:
            if component.unit == "month":
                charges.append(_monthly_fee(part, point, component, share))
            elif component.unit == "kWh" and component.tou_applies:
                found = _charges_by_period(part, point, component)
                charges += found[0]
                findings += found[1]
            elif component.unit == "kWh" and point.billed.total_wh:
                charges.append(
                    energy_charge(part, point, component, component.price, point.billed.total_wh)
                )
    return charges, findings


def unusual_periods(part: RatingPart, points: Iterable[BilledPoint]) -> list[Finding]:
    """Energy in a period that the book's calendar does not have in these months.

    The meter's time switch then differs from the calendar: the prices are those of the periods the
    meter recorded, and a person should look.
    """
    found = []
    for point in points:
        calendar = part.book.calendars.get(point.price_list.calendar)
        if calendar is None:
            continue
        usual = periods_of_months(calendar, part.usage.from_on, part.usage.until_on)
        for period, energy_wh in point.billed.by_period.items():
            if energy_wh and period not in usual:
                text = f"the calendar has no {period} period in these months"
                numbers = {"energy_wh": energy_wh}
                name = point.terms.point
                found.append(Finding(rule="unusual_period", point=name, text=text, numbers=numbers))
    return found


def _charges_by_period(
    part: RatingPart, point: BilledPoint, component: PriceComponent
) -> tuple[list[Charge], list[Finding]]:
    charges: list[Charge] = []
    findings: list[Finding] = []
    for period, energy_wh in point.billed.by_period.items():
        if not energy_wh:
            continue
        price = component.period_prices.get(period)
        if price is None:
            text = f"component {component.code} has no price for the period {period}"
            numbers = {"energy_wh": energy_wh}
            name = point.terms.point
            findings.append(Finding(rule="price_missing", point=name, text=text, numbers=numbers))
        else:
            charges.append(energy_charge(part, point, component, price, energy_wh, period=period))
    return charges, findings


def energy_charge(
    part: RatingPart,
    point: BilledPoint,
    component: PriceComponent,
    price: str,
    energy_wh: int,
    *,
    period: str = "",
    basis: dict[str, str] | None = None,
) -> Charge:
    """Energy of a point at a price; `basis` is what was deducted before, unless it is given."""
    book = part.book
    name_zh, name_en, code = component.name_zh, component.name_en, component.code
    if period:
        name_zh, name_en, code = _of_name(name_zh, name_en, code, period)
    exact = (energy_wh * price_e6(price), AMOUNT_DENOMINATOR)
    line = LineDraft(
        code=code,
        name_zh=name_zh,
        name_en=name_en,
        point=point.terms.point,
        from_on=point.usage.from_on,
        until_on=point.usage.until_on,
        quantity=energy_wh,
        unit="Wh",
        price=price,
        price_unit=f"{book.currency}/kWh",
        amount_fen=ROUNDING[book.rounding.amount](*exact),
        rule=rule_id(book, point.price_list.code, component.code),
        basis=_energy_basis(point, period) if basis is None else basis,
        reading_ids=point.reading_ids,
        unconfirmed=component.unconfirmed or point.unconfirmed,
    )
    line.__class__ = BillLine
    return Charge(line, component.pf_base and point.price_list.power_factor_applies, exact)


@lru_cache(maxsize=4096)
def _of_name(name_zh: str, name_en: str, code: str, period: str) -> tuple[str, str, str]:
    """What a component is called in a period."""
    period_zh, period_en = PERIOD_NAMES[period]
    return f"{name_zh}（{period_zh}）", f"{name_en} ({period_en})", f"{code}.{period}"


def _energy_basis(point: BilledPoint, period: str) -> dict[str, str]:
    """What came off or on the energy before pricing, and whether days stand in for a reading."""
    basis = dict(point.origin)
    if point.changes:
        basis["metered_wh"] = str(_of_period(point.metered, period))
        for name, energy in point.changes:
            basis[name] = str(_of_period(energy, period))
    if point.usage.prorated:
        basis["prorated"] = "by_days"
    return basis


def _of_period(energy: PointEnergy, period: str) -> int:
    return energy.by_period.get(period, 0) if period else energy.total_wh


def _monthly_fee(
    part: RatingPart, point: BilledPoint, component: PriceComponent, share: Share
) -> Charge:
    days, month_days = share
    usage = point.usage
    if (usage.from_on, usage.until_on) != (part.usage.from_on, part.usage.until_on):
        days = days_between(usage.from_on, usage.until_on)
    amount = WH_PER_KWH * price_e6(component.price) * days, AMOUNT_DENOMINATOR * month_days
    line = BillLine(
        code=component.code,
        name_zh=component.name_zh,
        name_en=component.name_en,
        point=point.terms.point,
        from_on=usage.from_on,
        until_on=usage.until_on,
        quantity=1,
        unit="month",
        price=component.price,
        price_unit=f"{part.book.currency}/month",
        amount_fen=ROUNDING[part.book.rounding.amount](*amount),
        rule=rule_id(part.book, point.price_list.code, component.code),
        basis={"days": f"{days}/{month_days}"},
        unconfirmed=component.unconfirmed,
    )
    return Charge(line, component.pf_base and point.price_list.power_factor_applies, amount)
