"""The tariff audit: who is billed on a class that the agreement contradicts, and for how much.

    contradictions(terms, book, ("2026-03-01", "2026-04-01"), DEFAULT_AUDIT)
        400 kVA at 10 kV on a single-part list      two_part_from_315: system is single_part
    month_at_stake(parts, bill, found.key, DEFAULT_AUDIT, books)
        the month under the expected list, minus as billed

A month is rated again by the function that billed it, with one thing changed: the price list (the
one of the region that is expected, with the basic charge by capacity where it is two-part), the
power-factor standard, or the supply at high voltage behind whose transformer the meter is. Where no
such list is published, or the month cannot be rated so, the finding stands without an amount.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from libs.events.quantities import WH_PER_KWH
from services.billing.agreement import AgreementTerms, PointTerms
from services.billing.apportion import read_part
from services.billing.audit_rules import (
    AGREED,
    CONDITIONS,
    HIGH_VOLTAGE,
    LIST_FACTS,
    AuditRule,
    AuditRules,
)
from services.billing.bill import Bill, RatingPart
from services.billing.calendar import overlap
from services.billing.point_relations import MAIN, PRICED
from services.billing.price_book import PriceBook, PriceList
from services.billing.rating import rate_parts
from services.billing.transformer_loss import bears_loss

Facts = dict[str, str]
HOUSEHOLDS = "residential"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """A point on which a rule finds something else than it expects, as `fact: value`."""

    rule: str
    point: str
    stands: str
    expected: str

    @property
    def key(self) -> str:
        """What it is about: `two_part_from_315/P1`."""
        return f"{self.rule}/{self.point}"


class AtStake(NamedTuple):
    """A month under the expected class minus as billed; `problem`: why there is no amount."""

    month: str
    amount_fen: int
    problem: str = ""


def contradictions(
    terms: AgreementTerms, book: PriceBook | None, days: tuple[str, str], audit: AuditRules
) -> list[Contradiction]:
    """What the rules say about the points in force on some of these days, in the order of the
    rules. Without a book nothing is known of the price lists, and rules about them say nothing."""
    found: list[Contradiction] = []
    capacity_kva = _capacity_kva(terms, days)
    for point in terms.points:
        if not overlap(*days, point.from_on, point.until_on):
            continue
        facts = _facts(terms, point, book, days)
        is_list_wrong = False
        for name, rule in audit.rules.items():
            is_of_list = rule.expected in LIST_FACTS
            if (is_of_list and is_list_wrong) or not _holds(rule, facts, capacity_kva):
                continue
            wanted = [facts[rule.expected.removeprefix("list_")] if each == AGREED else each
                      for each in rule.one_of]  # fmt: skip
            stands = facts[rule.expected]
            if stands and stands not in wanted:
                is_list_wrong = is_list_wrong or is_of_list
                found.append(
                    Contradiction(
                        rule=name,
                        point=point.point,
                        stands=f"{rule.expected}: {stands}",
                        expected=f"{rule.expected}: {' or '.join(wanted)}",
                    )
                )
    return found


def month_at_stake(
    parts: Sequence[RatingPart],
    bill: Bill,
    key: str,
    audit: AuditRules,
    books: Iterable[PriceBook],
) -> AtStake | None:
    """What a billed month would be under the expected class, minus as billed; None when nothing of
    it contradicted this rule. The tier positions are those of the bill."""
    rule, published = audit.rules[key.partition("/")[0]], list(books)
    changed, is_concerned = [], False
    for part in parts:
        days = (part.usage.from_on, part.usage.until_on)
        here = contradictions(part.terms, part.book, days, audit)
        if all(each.key != key for each in here):
            changed.append(part)
            continue
        is_concerned = True
        point = next(each for each in part.terms.points if each.point == key.partition("/")[2])
        expected = _expected(part, point, rule, published)
        if expected is None:
            wanted = next(each.expected for each in here if each.key == key)
            problem = f"no price list of the region for {point.voltage_class}, {wanted}"
            return AtStake(bill.period, 0, problem)
        changed.append(expected)
    if not is_concerned:
        return None
    again = rate_parts(changed, bill.tiers_before)
    if again.withheld:
        reasons = [f"{each.rule}: {each.text}" for each in again.findings]
        reasons += [f"{gap.what}: {gap.reason}" for gap in again.not_yet_rated]
        return AtStake(bill.period, 0, reasons[0])
    return AtStake(bill.period, again.total_fen - bill.total_fen)


# -- the facts ------------------------------------------------------------------------------------


def _facts(
    terms: AgreementTerms, point: PointTerms, book: PriceBook | None, days: tuple[str, str]
) -> Facts:
    """What the rules look at; "" for what is not known, or not asked of the point."""
    relation = next(
        (
            each.kind
            for each in terms.relations
            if each.point == point.point and overlap(*days, each.from_on, each.until_on)
        ),
        MAIN.kind,
    )
    price_list = None
    if book is not None and relation in PRICED:
        price_list = book.price_lists.get(point.price_list)
    facts = {
        "category": point.category,
        "voltage": point.voltage_class,
        "metering_side": point.metering_side,
        "relation": relation,
        "pf_standard": terms.power_factor_standard or "none",
        "transformer_loss": _loss(terms, point, book, days),
        **dict.fromkeys(LIST_FACTS, ""),
    }
    if price_list is not None:
        facts["system"] = _system(price_list)
        facts["list_voltage"] = price_list.voltage_class
        facts["list_category"] = price_list.category
        if not price_list.power_factor_applies:
            facts["pf_standard"] = ""  # its charges are assessed by none
    return facts


def _system(price_list: PriceList) -> str:
    return "single_part" if price_list.two_part is None else "two_part"


def _loss(
    terms: AgreementTerms, point: PointTerms, book: PriceBook | None, days: tuple[str, str]
) -> str:
    """Whether the loss of the transformers is billed: the terms say that it is borne, and a table
    or a plate how much it is."""
    if not bears_loss(point):
        return "none"
    tables = book.loss_tables if book is not None else {}
    is_known = point.loss_table != "" or all(
        each.model in tables or each.iron_loss_w
        for each in terms.transformers
        if overlap(*days, each.from_on, each.until_on)
    )
    return "borne" if is_known else "unknown"


def _capacity_kva(terms: AgreementTerms, days: tuple[str, str]) -> Fraction:
    """All transformers, each once and by its share; 0 when none is known."""
    by_name = {
        each.id: each.capacity_va * (read_part(each.share) or 1)
        for each in terms.transformers
        if overlap(*days, each.from_on, each.until_on)
    }
    return Fraction(sum(by_name.values()), WH_PER_KWH)


def _holds(rule: AuditRule, facts: Facts, capacity_kva: Fraction) -> bool:
    """Whether all conditions of a rule hold."""
    for name in CONDITIONS:
        wanted: tuple[str, ...] = getattr(rule, name)
        if wanted and facts[name] not in wanted:
            return False
    if not rule.capacity_from_kva and not rule.capacity_below_kva:
        return True
    is_below = not rule.capacity_below_kva or capacity_kva < rule.capacity_below_kva
    return capacity_kva > 0 and rule.capacity_from_kva <= capacity_kva and is_below


# -- what would be expected -----------------------------------------------------------------------


def _expected(
    part: RatingPart, point: PointTerms, rule: AuditRule, books: Sequence[PriceBook]
) -> RatingPart | None:
    """The part with the first thing that the rule expects; None when no list has it."""
    first = rule.one_of[0]
    if rule.expected == "pf_standard":
        standard = "" if first == "none" else first
        return part._replace(terms=replace(part.terms, power_factor_standard=standard))
    if rule.expected == "transformer_loss":
        return part._replace(terms=_with_point(part.terms, _behind(point, first)))
    found = _list_expected(part, point, rule, books)
    if found is None:
        return None
    book, price_list = found
    changed = replace(point, price_list=price_list.code, category=price_list.category)
    terms = replace(_with_point(part.terms, changed), price_book=book.id)
    if price_list.two_part is None:
        terms = replace(terms, basic_charge="none")
    elif terms.basic_charge == "none":
        terms = replace(terms, basic_charge="capacity")
    return RatingPart(part.usage, book, terms)


def _behind(point: PointTerms, expected: str) -> PointTerms:
    """The point with, or without, a transformer before its meter."""
    if expected != "borne":
        return replace(point, metering_side="high", loss_table="")
    voltage = point.voltage_class if point.voltage_class in HIGH_VOLTAGE else HIGH_VOLTAGE[0]
    return replace(point, voltage_class=voltage, metering_side="low")


def _with_point(terms: AgreementTerms, point: PointTerms) -> AgreementTerms:
    points = (point if each.point == point.point else each for each in terms.points)
    return replace(terms, points=tuple(points))


def _list_expected(
    part: RatingPart, point: PointTerms, rule: AuditRule, books: Sequence[PriceBook]
) -> tuple[PriceBook, PriceList] | None:
    """The list of the region for the point's voltage that has what the rule expects; one of its own
    class of use before others, of several the first by book and code."""
    billed = part.book.price_lists[point.price_list]
    first, system, category = rule.one_of[0], _system(billed), billed.category
    if rule.expected == "system":
        system, category = first, ""
    elif rule.expected == "list_category":
        category = point.category if first == AGREED else first
    elif first != AGREED:
        point = replace(point, voltage_class=first)
    found = [
        (each.category != point.category, book.id, each.code, book, each)
        for book in _near(part, point, books)
        for each in book.price_lists.values()
        if not each.kind
        and _system(each) == system
        and each.voltage_class == point.voltage_class
        and (each.category == category if category else _is_like(each, billed))
    ]
    return min(found, key=lambda each: each[:3])[3:] if found else None


def _is_like(price_list: PriceList, billed: PriceList) -> bool:
    """Whether both are for households, or neither."""
    return price_list.category.startswith(HOUSEHOLDS) == billed.category.startswith(HOUSEHOLDS)


def _near(part: RatingPart, point: PointTerms, books: Sequence[PriceBook]) -> Iterator[PriceBook]:
    """The books of the region in force on the first day that have the lists of the other points."""
    on = part.usage.from_on
    others = {
        each.price_list
        for each in part.terms.points
        if each.point != point.point and each.price_list in part.book.price_lists
    }
    newest: dict[str, PriceBook] = {}
    for book in books:
        is_near = book.region == part.book.region and book.from_on <= on < book.until_on
        if is_near and (book.id not in newest or newest[book.id].version < book.version):
            newest[book.id] = book
    return (book for book in newest.values() if others <= book.price_lists.keys())
