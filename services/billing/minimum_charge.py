"""Minimum charge 最低电费: what is missing to what a price list asks at least.

The minimum is per month, or per kVA of the capacity in use or kW of the contract demand and month,
and is shared by days like every monthly price. What counts towards it are all lines of the list:
energy of its points with their adders, its basic charge, and the power-factor adjustment where the
list has one (UNCONFIRMED: the sources do not say what counts).

    at least 20.00, charged 12.30        ->  a line of 7.70, `minimum.small`
"""

from __future__ import annotations

from libs.events.quantities import ROUNDING, WH_PER_KWH
from services.billing.account_lines import capacity_by_part
from services.billing.bill import (
    AMOUNT_DENOMINATOR,
    BillLine,
    Charge,
    Finding,
    RatingPart,
    rule_id,
)
from services.billing.calendar import Share
from services.billing.capacity import CapacitySpan
from services.billing.price_book import PriceList, price_e6
from services.billing.stage import Rating, part_shares

Spans = list[tuple[CapacitySpan, Share]]


def minimum_charge_stage(rating: Rating) -> None:
    """What each part lacks to the minimum of its price lists."""
    wanted = [_lists(rating, number) for number in range(len(rating.parts))]
    if not any(wanted):
        return
    capacities = capacity_by_part(rating)
    shares = part_shares(rating.parts)
    for number, part in enumerate(rating.parts):
        for price_list in wanted[number]:
            exact = _minimum(part, price_list, capacities[number], shares[number])
            if exact is None:
                rating.findings.append(_without_base(price_list))
                continue
            minimum_fen = ROUNDING[part.book.rounding.amount](*exact)
            charged_fen = sum(
                charge.line.amount_fen
                for charge in rating.charges[number]
                if _counts(part, price_list, charge.line)
            )
            if charged_fen < minimum_fen:
                line = _line(part, price_list, minimum_fen, charged_fen, shares[number])
                rating.charges[number].append(Charge(line, False, (line.amount_fen, 1)))


def _without_base(price_list: PriceList) -> Finding:
    per = price_list.minimum_per
    what = {"kVA": "no transformer is in use", "kW": "there is no contract demand"}[per]
    text = f"the minimum of {price_list.code} is per {per} and {what}"
    return Finding(rule="minimum_without_base", point="", text=text)


def _lists(rating: Rating, number: int) -> list[PriceList]:
    found = {
        point.price_list.code: point.price_list
        for point in rating.points[number]
        if point.price_list.minimum_charge
    }
    return [found[code] for code in sorted(found)]


def _minimum(
    part: RatingPart, price_list: PriceList, spans: Spans, share: Share
) -> tuple[int, int] | None:
    """The minimum of the part's days in fen, exact; None where there is nothing to take it of."""
    price, (days, month_days) = price_e6(price_list.minimum_charge), share
    denominator = AMOUNT_DENOMINATOR * month_days
    if price_list.minimum_per == "month":
        return WH_PER_KWH * price * days, denominator
    if price_list.minimum_per == "kW":
        demand_w = part.terms.contract_demand_w
        return (demand_w * price * days, denominator) if demand_w else None
    va_days = sum(span.capacity_va * of_span[0] for span, of_span in spans)
    return (va_days * price, denominator) if va_days else None


def _counts(part: RatingPart, price_list: PriceList, line: BillLine) -> bool:
    if line.code == "power_factor":
        return price_list.power_factor_applies
    return line.rule.startswith(rule_id(part.book, price_list.code) + "/")


def _line(
    part: RatingPart, price_list: PriceList, minimum_fen: int, charged_fen: int, share: Share
) -> BillLine:
    missing_fen = minimum_fen - charged_fen
    per = price_list.minimum_per
    return BillLine(
        code=f"minimum.{price_list.code}",
        name_zh="最低电费补足",
        name_en="Up to the minimum charge",
        point="",
        from_on=part.usage.from_on,
        until_on=part.usage.until_on,
        quantity=missing_fen,
        unit="fen",
        price="100",
        price_unit="%",
        amount_fen=missing_fen,
        rule=rule_id(part.book, price_list.code, "minimum_charge"),
        basis={
            "minimum_fen": str(minimum_fen),
            "minimum_per": f"{price_list.minimum_charge} {part.book.currency}/{per}",
            "charged_fen": str(charged_fen),
            "days": f"{share[0]}/{share[1]}",
        },
    )
