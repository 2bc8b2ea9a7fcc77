"""What the agreement, the book or the usage holds and this version does not rate: a rule each.

Such a part is listed as `not_yet_rated`; it withholds the bill wherever leaving it out would make a
line wrong, so nothing is ever priced silently or wrongly. Who rates a part takes its rule out of
`UNRATED`.

    a fixed-quantity relation   -> NotYetRated(what="fixed_quantity", withheld=True)
    export without a price list -> NotYetRated(what="feed_in", withheld=False); the import is billed
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from services.billing.agreement import RELATIONS, PointRelation, PointTerms, Transformer
from services.billing.bill import NotYetRated
from services.billing.calendar import days_between, overlap
from services.billing.point_relations import MAIN, InForce
from services.billing.price_book import DemandRule

CYCLE_DAYS_MAX = 31
LOW_VOLTAGE = "lt1kv"
WHOLE = "1"
DEMAND_MODES = ("contract_demand", "measured_demand")
CUT = ("main", "deducted", "check", "feed_in")
"""Relations that hold on all days of a part; the others have rules of their own."""

Rule = Callable[[InForce], Iterator[NotYetRated]]


def not_yet_rated(given: InForce) -> tuple[NotYetRated, ...]:
    """Everything in the agreement or the usage that this version does not rate, with the reason."""
    return tuple(found for rule in UNRATED for found in rule(given))


def _unrated(what: str, point: str, reason: str, *, withheld: bool = True) -> NotYetRated:
    return NotYetRated(what=what, point=point, reason=reason, withheld=withheld)


# -- how it pays ----------------------------------------------------------------------------------


def prepaid(given: InForce) -> Iterator[NotYetRated]:
    terms = given.part.terms
    if terms.payment_mode != "postpaid":
        yield _unrated(terms.payment_mode, "", "only postpaid accounts are billed")
    elif terms.prepaid is not None:
        yield _unrated("prepaid_terms", "", "a postpaid account has terms of a prepaid one")


# -- relations of points --------------------------------------------------------------------------


def _of_kind(given: InForce, kind: str) -> Iterator[PointRelation]:
    """The relations of a kind that hold on any of the days."""
    usage = given.part.usage
    for each in given.part.terms.relations:
        if each.kind == kind and overlap(
            usage.from_on, usage.until_on, each.from_on, each.until_on
        ):
            yield each


def _relation(given: InForce, kind: str) -> Iterator[NotYetRated]:
    for each in _of_kind(given, kind):
        yield _unrated(kind, each.point, f"the relation {kind} is not rated yet")


def fixed_ratio(given: InForce) -> Iterator[NotYetRated]:
    yield from _relation(given, "fixed_ratio")


def fixed_quantity(given: InForce) -> Iterator[NotYetRated]:
    yield from _relation(given, "fixed_quantity")


def transferred(given: InForce) -> Iterator[NotYetRated]:
    yield from _relation(given, "transferred")


def relation_unknown(given: InForce) -> Iterator[NotYetRated]:
    for kind in sorted({each.kind for each in given.part.terms.relations} - {*RELATIONS}):
        yield from _relation(given, kind)


def relation_change(given: InForce) -> Iterator[NotYetRated]:
    """A relation that begins or ends within the days: the core cuts the month there."""
    usage = given.part.usage
    for each in given.part.terms.relations:
        days = overlap(usage.from_on, usage.until_on, each.from_on, each.until_on)
        if each.kind in CUT and days and days != (usage.from_on, usage.until_on):
            reason = f"the relation changes within {usage.from_on} to {usage.until_on}"
            yield _unrated("relation_change", each.point, reason)


# -- producers ------------------------------------------------------------------------------------


def feed_in(given: InForce) -> Iterator[NotYetRated]:
    """What is fed in is valued by a list that the agreement names; here it names none."""
    if given.part.terms.feed_in_price_list:
        return
    for point in sorted(_producers(given) | _generators(given)):
        reason = "no price list of feed-in is agreed"
        yield _unrated("feed_in", point, reason, withheld=False)


def power_factor_of_producer(given: InForce) -> Iterator[NotYetRated]:
    if given.part.terms.power_factor_standard and _producers(given) | _generators(given):
        reason = "which reactive quadrants of a producer count is not decided yet"
        yield _unrated("power_factor_of_producer", "", reason)


def _producers(given: InForce) -> set[str]:
    return {each.point for each in given.part.usage.points if each.export_wh}


def _generators(given: InForce) -> set[str]:
    return {each.point for each in given.relations.values() if each.kind == "feed_in"}


# -- transformers and losses ----------------------------------------------------------------------


def _transformers(given: InForce) -> Iterator[Transformer]:
    usage = given.part.usage
    for each in given.part.terms.transformers:
        if overlap(usage.from_on, usage.until_on, each.from_on, each.until_on):
            yield each


def transformer_state(given: InForce) -> Iterator[NotYetRated]:
    withheld = given.part.terms.basic_charge != "none"
    for each in _transformers(given):
        if each.state != "in_use":
            reason = f"transformer {each.id} is {each.state}; only the state in_use is rated yet"
            yield _unrated("transformer_state", "", reason, withheld=withheld)


def transformer_share(given: InForce) -> Iterator[NotYetRated]:
    withheld = given.part.terms.basic_charge != "none"
    for each in _transformers(given):
        if each.share != WHOLE or each.shared_with:
            reason = f"transformer {each.id} is shared ({each.share}); shares are not rated yet"
            yield _unrated("transformer_share", "", reason, withheld=withheld)


def transformer_loss(given: InForce) -> Iterator[NotYetRated]:
    for point in given.priced:
        if point.voltage_class != LOW_VOLTAGE and point.metering_side == "low":
            reason = "transformer loss of low-side metering is not rated yet"
            yield _unrated("transformer_loss", point.point, reason)
        elif point.loss_table:
            reason = f"transformer loss by the table {point.loss_table} is not rated yet"
            yield _unrated("transformer_loss", point.point, reason)


def line_loss(given: InForce) -> Iterator[NotYetRated]:
    for point in given.priced:
        if point.line_loss is not None:
            reason = f"line loss by {point.line_loss.kind} is not rated yet"
            yield _unrated("line_loss", point.point, reason)


def _with_demand(given: InForce) -> Iterator[tuple[PointTerms, DemandRule]]:
    """The points whose maximum demand is charged, with the rule of their price list."""
    if given.part.terms.basic_charge not in DEMAND_MODES:
        return
    for point in given.priced:
        price_list = given.part.book.price_lists.get(point.price_list)
        is_main = given.relations.get(point.point, MAIN).kind == "main"
        if is_main and price_list is not None and price_list.two_part:
            yield point, price_list.two_part.demand_rule


def feeder_demand(given: InForce) -> Iterator[NotYetRated]:
    """Maxima of one feeder at different instants are no maximum of the feeder."""
    feeders = Counter(point.feeder for point, _ in _with_demand(given) if point.feeder)
    for feeder in sorted(feeder for feeder, points in feeders.items() if points > 1):
        reason = f"the demand of several points of the feeder {feeder} is not rated yet"
        yield _unrated("feeder_demand", "", reason)


def load_hours(given: InForce) -> Iterator[NotYetRated]:
    for point, rule in _with_demand(given):
        if rule.load_hours_kwh_per_kva:
            reason = f"the demand price by energy per kVA ({rule.name}) is not rated yet"
            yield _unrated("load_hours", point.point, reason)


# -- lines of money -------------------------------------------------------------------------------


def free_allowance(given: InForce) -> Iterator[NotYetRated]:
    if given.part.terms.free_allowance:
        yield _unrated("free_allowance", "", "free energy is not rated yet")


def minimum_charge(given: InForce) -> Iterator[NotYetRated]:
    for point in given.priced:
        price_list = given.part.book.price_lists.get(point.price_list)
        if price_list is not None and price_list.minimum_charge:
            yield _unrated("minimum_charge", point.point, "minimum charges are not rated yet")


def account_component(given: InForce) -> Iterator[NotYetRated]:
    usage = given.part.usage
    for each in given.part.terms.components:
        if overlap(usage.from_on, usage.until_on, each.from_on, each.until_on):
            reason = f"the account's own component {each.code} is not rated yet"
            yield _unrated("account_component", each.point, reason)


def external_line(given: InForce) -> Iterator[NotYetRated]:
    for each in given.part.terms.external_lines:
        if each.month == given.part.usage.period:
            reason = f"the amount of {each.document_no} ({each.settled_by}) is not billed yet"
            yield _unrated("external_line", "", reason)


def long_cycle(given: InForce) -> Iterator[NotYetRated]:
    days = days_between(given.part.usage.cycle_from_on, given.part.usage.cycle_until_on)
    if days > CYCLE_DAYS_MAX:
        yield _unrated("long_cycle", "", f"a billing cycle of {days} days is not rated yet")


UNRATED: tuple[Rule, ...] = (
    prepaid,
    fixed_ratio,
    fixed_quantity,
    transferred,
    relation_unknown,
    relation_change,
    feed_in,
    power_factor_of_producer,
    transformer_state,
    transformer_share,
    transformer_loss,
    line_loss,
    feeder_demand,
    load_hours,
    free_allowance,
    minimum_charge,
    account_component,
    external_line,
    long_cycle,
)
