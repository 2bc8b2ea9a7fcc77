"""May this be rated at all? What is missing or contradictory, and what only looks odd.

A finding withholds the bill, because any figure would be a guess. What is sound and not rated yet
is listed by unrated.py.

    a point without usage              -> Finding(rule="usage_missing", ...), and no bill
    a price list of another class      -> a warning: the bill is made, and a person looks at it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise

from libs.tou_calendar import PERIODS
from services.billing.agreement import BASIC_CHARGES, PointRelation, Transformer
from services.billing.apportion import read_part
from services.billing.bill import Finding
from services.billing.calendar import overlap
from services.billing.line_loss import line_loss_defect
from services.billing.point_relations import (
    BEHIND,
    MAIN,
    PRICED,
    REST_PERIODS,
    UNMETERED,
    InForce,
    measured,
    two_part_lists,
)
from services.billing.price_book import PriceList, TwoPartRule


def findings(given: InForce) -> tuple[Finding, ...]:
    """Everything that is missing or contradictory in what a rating part was given."""
    found = (*_book(given), *_usage_complete(given), *_relations_sound(given))
    return found or (
        *_allowances(given),
        *_rates(given),
        *_losses(given),
        *_basic_charge(given),
        *_power_factor(given),
    )


def warnings(given: InForce) -> tuple[Finding, ...]:
    """What can be billed and yet looks odd: prices of another class, a standard without effect."""
    found = []
    if given.part.terms.power_factor_standard and not _assessed(given):
        text = "the agreement has a power-factor standard that none of its price lists applies"
        found.append(_finding("power_factor_without_effect", "", text))
    for point in given.priced:
        price_list = given.part.book.price_lists[point.price_list]
        if (price_list.category, price_list.voltage_class) != (point.category, point.voltage_class):
            text = (
                f"price list {price_list.code} is for {price_list.category} at "
                f"{price_list.voltage_class}, the point is {point.category} at "
                f"{point.voltage_class}"
            )
            found.append(_finding("class_mismatch", point.point, text))
    return tuple(found)


def _finding(rule: str, point: str, text: str, numbers: dict[str, int] | None = None) -> Finding:
    return Finding(rule=rule, point=point, text=text, numbers=numbers or {})


def _book(given: InForce) -> Iterator[Finding]:
    book, usage = given.part.book, given.part.usage
    if book.id != given.part.terms.price_book:
        text = f"the agreement names the book {given.part.terms.price_book}, not {book.id}"
        yield _finding("other_book", "", text)
    if not (book.from_on <= usage.from_on and usage.until_on <= book.until_on):
        text = f"the book is in force from {book.from_on} to before {book.until_on} only"
        yield _finding("book_not_in_force", "", text)
    for point in given.priced:
        if point.price_list not in book.price_lists:
            text = f"the book has no price list {point.price_list}"
            yield _finding("price_list_missing", point.point, text)
        elif book.price_lists[point.price_list].kind == "feed_in":
            text = f"the price list {point.price_list} values what is fed in, not what is drawn"
            yield _finding("price_list_kind", point.point, text)


def _usage_complete(given: InForce) -> Iterator[Finding]:
    usage = given.part.usage
    if _is_complete(given):
        return
    counts = Counter(each.point for each in usage.points)
    agreed = Counter(each.point for each in given.points)
    metered = {each.point for each in measured(given)}
    for point in sorted(counts.keys() | agreed.keys()):
        if agreed[point] > 1:
            yield _finding("point_twice", point, "the agreement has the point twice")
        if counts[point] > 1:
            yield _finding("usage_twice", point, "two usages of the point were given")
        if not agreed[point]:
            yield _finding("point_unknown", point, "the agreement has no such point in these days")
        elif not counts[point] and point in metered:
            yield _finding("usage_missing", point, "no usage of the point was given")
    expected = {
        each.point: overlap(usage.from_on, usage.until_on, each.from_on, each.until_on)
        for each in given.points
    }
    for each in usage.points:
        days = expected.get(each.point)
        if days and days != (each.from_on, each.until_on):
            text = (
                f"usage of {each.from_on} to {each.until_on} was given for {days[0]} to {days[1]}"
            )
            yield _finding("usage_of_other_days", each.point, text)


def _is_complete(given: InForce) -> bool:
    """Whether every point has one usage, of all days: so it is of nearly every account."""
    usage = given.part.usage
    if len(given.points) != len(usage.points):
        return False
    days = (usage.from_on, usage.until_on)
    names = set()
    for each in usage.points:
        if (each.from_on, each.until_on) != days:
            return False
        names.add(each.point)
    for point in given.points:
        is_whole = point.from_on <= days[0] and (not point.until_on or days[1] <= point.until_on)
        if not is_whole or point.point not in names:
            return False
        names.remove(point.point)
    return True


def _relations_sound(given: InForce) -> Iterator[Finding]:
    usage, terms = given.part.usage, given.part.terms
    if not terms.relations:
        return
    known = {each.point for each in given.points}
    others = {each.point for each in terms.points} - known
    billed = {each.point for each in measured(given)}
    in_force = [
        each
        for each in terms.relations
        if each.point not in others
        and overlap(usage.from_on, usage.until_on, each.from_on, each.until_on)
    ]
    counts = Counter(each.point for each in in_force)
    for relation in sorted(in_force, key=lambda each: (each.point, each.of)):
        if counts[relation.point] > 1:
            yield _finding("relation_twice", relation.point, "the point has two relations")
        if relation.kind in PRICED and relation.point not in known:
            text = "the agreement has a relation of the point and not the point"
            yield _finding("relation_unknown", relation.point, text)
        if relation.kind in (*BEHIND, *UNMETERED) and relation.of not in billed:
            text = f"it is {relation.kind} of {relation.of}, which has no billed meter"
            yield _finding("relation_unknown", relation.point, text)
        if relation.kind == "fixed_ratio" and read_part(relation.ratio) is None:
            text = f"{relation.ratio!r} is no ratio above 0 and up to 1"
            yield _finding("ratio_invalid", relation.point, text)
        if relation.kind == "fixed_quantity" and relation.quantity_wh <= 0:
            numbers = {"quantity_wh": relation.quantity_wh}
            yield _finding("quantity_invalid", relation.point, "it needs an energy", numbers)
        if _is_in_circle(relation.point, given.relations):
            yield _finding("relation_circle", relation.point, "it is deducted of itself")


def _is_in_circle(point: str, relations: Mapping[str, PointRelation]) -> bool:
    current = point
    for _ in relations:
        relation = relations.get(current, MAIN)
        if relation.kind not in BEHIND:
            return False
        current = relation.of
        if current == point:
            return True
    return False


def _allowances(given: InForce) -> Iterator[Finding]:
    if not given.part.terms.allowances:
        return
    for point in given.priced:
        price_list = given.part.book.price_lists[point.price_list]
        if price_list.tiers is None:
            continue
        for allowance in given.part.terms.allowances:
            if allowance.rule not in price_list.tiers.allowances:
                text = f"the price list has no allowance {allowance.rule}"
                yield _finding("allowance_missing", point.point, text)


def _rates(given: InForce) -> Iterator[Finding]:
    usages = {each.point: each for each in given.part.usage.points}
    rates = {each.point: each.rate_periods for each in given.points}
    for point in given.priced:
        relation = given.relations.get(point.point, MAIN)
        metered = relation.of if relation.kind in UNMETERED else point.point
        periods = rates[metered]
        if given.part.book.price_lists[point.price_list].calendar and not periods:
            text = "the price list has periods, the point says of no rate which period it is"
            yield _finding("periods_missing", point.point, text)
        if relation.kind in UNMETERED:
            continue
        usage = usages[point.point]
        if not periods and not usage.import_wh_by_rate:
            continue
        for rate in sorted(rate for rate in periods if periods[rate] not in PERIODS):
            text = f"rate {rate} is given the period {periods[rate]}, which does not exist"
            yield _finding("period_unknown", point.point, text)
        rest = next((each for each in REST_PERIODS if each in periods.values()), "")
        for rate in sorted(periods.keys() | usage.import_wh_by_rate.keys()):
            energy_wh = usage.import_wh_by_rate.get(rate)
            if energy_wh is None and periods[rate] != rest:
                text = f"the usage has no energy of rate {rate} ({periods[rate]})"
                yield _finding("rate_missing", point.point, text)
            elif energy_wh and periods and rate not in periods:
                text = f"rate {rate} has energy and no period"
                numbers = {"energy_wh": energy_wh}
                yield _finding("rate_without_period", point.point, text, numbers)


def _losses(given: InForce) -> Iterator[Finding]:
    for point in given.priced:
        is_main = given.relations.get(point.point, MAIN).kind == "main"
        if not is_main and (point.loss_table or point.line_loss):
            text = "its loss is in what the main meter shows: only main points bear one"
            yield _finding("loss_of_sub_meter", point.point, text)
        elif problem := line_loss_defect(point, given.part.book.loss_rule):
            yield _finding("line_loss_invalid", point.point, problem)


def _basic_charge(given: InForce) -> Iterator[Finding]:
    mode, price_lists = given.part.terms.basic_charge, two_part_lists(given)
    if mode == "none":
        for price_list, _ in price_lists:
            text = f"{price_list.code} is two-part and the agreement has no basic charge"
            yield _finding("basic_charge_missing", "", text)
        return
    if mode not in BASIC_CHARGES:
        yield _finding("basic_charge_unknown", "", f"{mode} is no way to charge a basic charge")
        return
    if len(price_lists) != 1:
        text = "an account with a basic charge needs one two-part price list on its main points"
        numbers = {"price_lists": len(price_lists)}
        yield _finding("two_part_list_ambiguous", "", text, numbers)
        return
    price_list, rule = price_lists[0]
    unit = "kVA" if mode == "capacity" else "kW"
    if all(each.unit != unit for each in price_list.components):
        text = f"the price list {price_list.code} has no price per {unit}"
        yield _finding("price_missing", "", text)
    if mode != "capacity":
        yield from _demand(given, price_list)
    has_floor = mode == "contract_demand" and rule.contract_floor_percent
    if mode == "capacity" or has_floor or rule.demand_rule.load_hours_kwh_per_kva:
        yield from _capacity(given)
    yield from _transformers(given, rule)


def _demand(given: InForce, price_list: PriceList) -> Iterator[Finding]:
    terms = given.part.terms
    if terms.basic_charge == "contract_demand" and not terms.contract_demand_w:
        yield _finding("contract_demand_missing", "", "the agreement has no contract demand")
    billed = {each.point for each in given.priced if each.price_list == price_list.code}
    for usage in given.part.usage.points:
        is_main = given.relations.get(usage.point, MAIN).kind == "main"
        if usage.point in billed and is_main and usage.demand_w is None:
            text = "the usage has no maximum demand"
            yield _finding("demand_missing", usage.point, text)


def _capacity(given: InForce) -> Iterator[Finding]:
    """Where the capacity counts: there is a transformer, and none is counted twice."""
    days: dict[str, list[tuple[str, str]]] = {}
    for each, span in _transformers_in_force(given):
        days.setdefault(each.id, []).append(span)
    if not days:
        yield _finding("capacity_missing", "", "the agreement has no transformer")
    for name, spans_of_one in sorted(days.items()):
        ordered = sorted(spans_of_one)
        if any(later[0] < earlier[1] for earlier, later in pairwise(ordered)):
            text = f"transformer {name} is in two rows on the same day"
            yield _finding("transformer_twice", "", text)


def _transformers(given: InForce, rule: TwoPartRule) -> Iterator[Finding]:
    """Each is in a state that the book knows, and its share is one."""
    for each, _ in _transformers_in_force(given):
        if each.state not in rule.state_percents:
            text = f"transformer {each.id} is {each.state}, which is no state of the book"
            yield _finding("transformer_state_unknown", "", text)
        if read_part(each.share) is None:
            text = f"{each.share!r} of transformer {each.id} is no share above 0 and up to 1"
            yield _finding("share_invalid", "", text)


def _transformers_in_force(given: InForce) -> Iterator[tuple[Transformer, tuple[str, str]]]:
    usage = given.part.usage
    for each in given.part.terms.transformers:
        span = overlap(usage.from_on, usage.until_on, each.from_on, each.until_on)
        if span:
            yield each, span


def _power_factor(given: InForce) -> Iterator[Finding]:
    standard, rule = given.part.terms.power_factor_standard, given.part.book.power_factor
    if not standard:
        return
    if rule is None or standard not in rule.percents:
        text = f"the book has no power-factor table for the standard {standard}"
        yield _finding("power_factor_table_missing", "", text)


def _assessed(given: InForce) -> list[str]:
    """The main points with a price list to which the power-factor adjustment applies."""
    return [
        each.point
        for each in given.priced
        if given.relations.get(each.point, MAIN).kind == "main"
        and given.part.book.price_lists[each.price_list].power_factor_applies
    ]
