"""Rating: from the usage, book and agreement of an account to its bill, as one pure function.

The order is fixed: what must not be billed is found first, sub-meters are deducted before anything
is priced, then energy, tiers and basic charge, and the power-factor adjustment last, because it is
taken on the charges before it. The total is the sum of the rounded lines.

    bill = rate(usage, book, terms, {"P1": TierPosition(key="2026", used_wh=2_700_000)})
    bill.total_fen, bill.lines[0].rule        27_196, "cq-residential@1/residential/energy"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from services.billing.admission import findings, not_yet_rated, two_part_lists, warnings
from services.billing.agreement import AgreementTerms
from services.billing.basic_charge import (
    capacity_charges,
    capacity_spans,
    demand_charges,
    measured_demand,
)
from services.billing.bill import Bill, Charge, Finding, NotYetRated, RatingPart
from services.billing.calendar import Share, day_shares
from services.billing.energy_charge import energy_charges, tier_charges, unusual_periods
from services.billing.point_relations import BilledPoint, InForce, billed_points, in_force
from services.billing.power_factor import assessed_factor, power_factor_charge
from services.billing.price_book import PriceBook, reference
from services.billing.tiers import TierPosition
from services.billing.usage import AccountUsage

T = TypeVar("T")


def rate(
    usage: AccountUsage,
    book: PriceBook,
    terms: AgreementTerms,
    tiers_before: Mapping[str, TierPosition] | None = None,
) -> Bill:
    """The bill of an account for a period with one book and one set of terms.

    `tiers_before` is each point's tier position at the start; the bill's `tiers_after` continues
    it. A bill that cannot be right comes back withheld, with its findings and no lines.
    """
    return rate_parts((RatingPart(usage, book, terms),), tiers_before)


def rate_parts(
    parts: Sequence[RatingPart], tiers_before: Mapping[str, TierPosition] | None = None
) -> Bill:
    """The bill of adjoining parts of one cycle, where a book, a class or the terms changed.

    Prices and terms are each part's own. Tiers run on from part to part; the maximum demand and the
    power factor are those of the whole cycle; monthly prices are shared by days.
    """
    _assert_adjoining(parts)
    given = [in_force(part) for part in parts]
    gaps = _once(gap for each in given for gap in not_yet_rated(each))
    found = _once(finding for each in given for finding in findings(each))
    if found or any(gap.withheld for gap in gaps):
        return _withheld(parts, found, gaps)
    points: list[list[BilledPoint]] = []
    for each in given:
        billed, trouble = billed_points(each)
        points.append(billed)
        found += tuple(trouble)
    if found:
        return _withheld(parts, found, gaps)
    return _priced(given, points, dict(tiers_before or {}), gaps)


def _priced(
    given: Sequence[InForce],
    points: Sequence[Sequence[BilledPoint]],
    tiers: Mapping[str, TierPosition],
    gaps: tuple[NotYetRated, ...],
) -> Bill:
    parts = [each.part for each in given]
    charges: list[list[Charge]] = []
    found: list[Finding] = []
    odd: list[Finding] = []
    before: dict[str, TierPosition] = {}
    after: dict[str, TierPosition] = {}
    for each, billed, share in zip(given, points, _part_shares(parts), strict=True):
        energy, trouble = energy_charges(each.part, billed, share)
        adders, part_before, part_after = tier_charges(each.part, billed, {**tiers, **after})
        before, after = {**part_before, **before}, {**after, **part_after}
        charges.append(energy + adders)
        found += trouble
        odd += (*warnings(each), *unusual_periods(each.part, billed))
    if found:
        return _withheld(parts, tuple(found), gaps)
    for number, basic in enumerate(_basic_charges(given, points)):
        charges[number] += basic
    odd += _adjust_for_power_factor(given, points, charges)
    lines = tuple(charge.line for part_charges in charges for charge in part_charges)
    return Bill(
        account=parts[0].usage.account,
        period=parts[0].usage.period,
        from_on=parts[0].usage.from_on,
        until_on=parts[-1].usage.until_on,
        books=_once(reference(part.book) for part in parts),
        lines=lines,
        total_fen=sum(line.amount_fen for line in lines),
        energy_wh=sum(each.billed.total_wh for billed in points for each in billed),
        tiers_before=before,
        tiers_after=after,
        estimated=_is_estimated(parts),
        exchanged=_is_exchanged(parts),
        blocked_days=sum(each.blocked_days for part in parts for each in part.usage.points),
        warnings=_once(odd),
        not_yet_rated=gaps,
    )


def _basic_charges(
    given: Sequence[InForce], points: Sequence[Sequence[BilledPoint]]
) -> list[list[Charge]]:
    """The basic charges of every part; days are shared over the spans of the whole cycle."""
    parts = [each.part for each in given]
    if all(part.terms.basic_charge == "none" for part in parts):
        return [[] for _ in parts]
    spans = [capacity_spans(part.terms, part.usage.from_on, part.usage.until_on) for part in parts]
    days = [(span.from_on, span.until_on) for part_spans in spans for span in part_spans]
    shares = iter(_shares(parts, days))
    measured = measured_demand(points, parts[0].book.rounding)
    charges: list[list[Charge]] = []
    for each, part_spans, part_share in zip(given, spans, _part_shares(parts), strict=True):
        shared = [(span, next(shares)) for span in part_spans]
        part, part_charges = each.part, []
        for price_list, rule in two_part_lists(each):
            if part.terms.basic_charge == "capacity":
                part_charges = capacity_charges(part, price_list, shared)
            else:
                part_charges = demand_charges(part, price_list, rule, measured, part_share)
        charges.append(part_charges)
    return charges


def _adjust_for_power_factor(
    given: Sequence[InForce],
    points: Sequence[Sequence[BilledPoint]],
    charges: Sequence[list[Charge]],
) -> list[Finding]:
    """Adds each part's adjustment to its charges; a warning where there is nothing to assess."""
    parts = [each.part for each in given]
    if not any(part.terms.power_factor_standard for part in parts):
        return []
    factor = assessed_factor(parts, points)
    if factor is None:
        text = "no active and no reactive energy: there is no power factor to adjust for"
        return [Finding(rule="power_factor_undefined", point="", text=text)]
    for part, part_charges in zip(parts, charges, strict=True):
        adjustment = power_factor_charge(part, factor, part_charges)
        if adjustment is not None:
            part_charges.append(adjustment)
    return []


def _withheld(
    parts: Sequence[RatingPart], found: tuple[Finding, ...], gaps: tuple[NotYetRated, ...]
) -> Bill:
    return Bill(
        account=parts[0].usage.account,
        period=parts[0].usage.period,
        from_on=parts[0].usage.from_on,
        until_on=parts[-1].usage.until_on,
        books=_once(reference(part.book) for part in parts),
        lines=(),
        total_fen=0,
        energy_wh=0,
        tiers_before={},
        tiers_after={},
        estimated=_is_estimated(parts),
        exchanged=_is_exchanged(parts),
        withheld=True,
        findings=found,
        not_yet_rated=gaps,
    )


def _is_estimated(parts: Sequence[RatingPart]) -> bool:
    return any(each.quality != "actual" for part in parts for each in part.usage.points)


def _is_exchanged(parts: Sequence[RatingPart]) -> bool:
    return any(each.exchanged for part in parts for each in part.usage.points)


def _part_shares(parts: Sequence[RatingPart]) -> list[Share]:
    return _shares(parts, [(part.usage.from_on, part.usage.until_on) for part in parts])


def _shares(parts: Sequence[RatingPart], days: Sequence[tuple[str, str]]) -> list[Share]:
    """Day shares by the basis of the cycle's first book."""
    cycle = parts[0].usage
    return day_shares(days, cycle.cycle_from_on, cycle.cycle_until_on, parts[0].book.day_basis)


def _once(items: Iterable[T]) -> tuple[T, ...]:
    """The items in their order, each once; they may hold dictionaries."""
    seen: list[T] = []
    for item in items:
        if item not in seen:
            seen.append(item)
    return tuple(seen)


def _assert_adjoining(parts: Sequence[RatingPart]) -> None:
    """Parts are made by this service; a gap between them is a bug, no input."""
    assert parts, "a bill needs at least one part"
    for part in parts:
        usage, first = part.usage, parts[0].usage
        assert usage.account == part.terms.account, f"usage of {usage.account}, other terms"
        assert (usage.account, usage.period) == (first.account, first.period), "another bill's part"
        cycle = (usage.cycle_from_on, usage.cycle_until_on)
        assert cycle == (first.cycle_from_on, first.cycle_until_on), "another cycle's part"
        assert cycle[0] <= usage.from_on < usage.until_on <= cycle[1], "days outside the cycle"
    for earlier, later in pairwise(parts):
        assert earlier.usage.until_on == later.usage.from_on, "the parts do not adjoin"
