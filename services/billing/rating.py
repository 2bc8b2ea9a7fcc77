"""Rating: from the usage, book and agreement of an account to its bill, as one pure function.

What must not be billed is found first. Then come the stages in their fixed order: sub-meters are
deducted, points without a meter get their part and losses are added before anything is priced; the
power-factor adjustment is taken on the charges before it, and what lacks to a minimum comes after
all of them. The total is the sum of the rounded lines.

    bill = rate(usage, book, terms, {"P1": TierPosition(key="2026", used_wh=2_700_000)})
    bill.total_fen, bill.lines[0].rule        27_196, "cq-residential@1/residential/energy"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from services.billing.account_lines import account_line_stage
from services.billing.admission import findings, warnings
from services.billing.agreement import AgreementTerms
from services.billing.basic_charge import basic_charge_stage
from services.billing.bill import Bill, BillDraft, Finding, NotYetRated, RatingPart
from services.billing.energy_charge import energy_stage, unusual_periods
from services.billing.external_lines import external_line_stage
from services.billing.free_energy import free_energy_stage
from services.billing.line_loss import line_loss_stage
from services.billing.minimum_charge import minimum_charge_stage
from services.billing.point_relations import in_force
from services.billing.power_factor import power_factor_stage
from services.billing.price_book import PriceBook, reference
from services.billing.quantities import quantity_stage
from services.billing.relation_changes import at_relation_changes
from services.billing.shared_points import shared_point_stage
from services.billing.stage import Rating, Stage
from services.billing.tier_charge import tier_stage
from services.billing.tiers import TierPosition
from services.billing.transformer_loss import transformer_loss_stage
from services.billing.unrated import not_yet_rated
from services.billing.usage import AccountUsage

STAGES: tuple[Stage, ...] = (
    quantity_stage,
    shared_point_stage,
    transformer_loss_stage,
    line_loss_stage,
    energy_stage,
    tier_stage,
    free_energy_stage,
    basic_charge_stage,
    account_line_stage,
    power_factor_stage,
    minimum_charge_stage,
    external_line_stage,
)
"""A bill's lines are in the order of the stages; each sees what the ones before it left."""

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
    parts = at_relation_changes(parts)
    given = [in_force(part) for part in parts]
    gaps = _once(gap for each in given for gap in not_yet_rated(each))
    found = _once(finding for each in given for finding in findings(each))
    if found or any(gap.withheld for gap in gaps):
        return _withheld(parts, found, gaps)
    rating = Rating(given, dict(tiers_before or {}))
    for stage in STAGES:
        stage(rating)
        if rating.findings:
            return _withheld(parts, tuple(rating.findings), gaps)
    return _bill(rating, gaps)


def _bill(rating: Rating, gaps: tuple[NotYetRated, ...]) -> Bill:
    parts = rating.parts
    odd: list[Finding] = []
    for each, points in zip(rating.given, rating.points, strict=True):
        odd += (*warnings(each), *unusual_periods(each.part, points))
    lines = tuple(charge.line for part_charges in rating.charges for charge in part_charges)
    bill = BillDraft(
        account=parts[0].usage.account,
        period=parts[0].usage.period,
        from_on=parts[0].usage.from_on,
        until_on=parts[-1].usage.until_on,
        books=_once(reference(part.book) for part in parts),
        lines=lines,
        total_fen=sum(line.amount_fen for line in lines),
        energy_wh=sum(each.billed.total_wh for points in rating.points for each in points),
        tiers_before=rating.tiers_before,
        tiers_after=rating.tiers_after,
        estimated=_is_estimated(parts),
        exchanged=_is_exchanged(parts),
        withheld=False,
        findings=(),
        blocked_days=sum(each.blocked_days for part in parts for each in part.usage.points),
        warnings=_once([*odd, *rating.warnings]),
        not_yet_rated=gaps,
    )
    bill.__class__ = Bill
    return bill


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


def _once(items: Iterable[T]) -> tuple[T, ...]:
    """The items in their order, each once; they may hold dictionaries."""
    items = tuple(items)
    if len(items) < 2:
        return items
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
