"""What the agreement, the book or the usage holds and this version does not rate: a rule each.

Such a part is listed as `not_yet_rated`; it withholds the bill wherever leaving it out would make a
line wrong, so nothing is ever priced silently or wrongly. Who rates a part takes its rule out of
`UNRATED`.

    the terms of a prepaid one   -> NotYetRated(what="prepaid_terms", withheld=True)
    export without a price list -> NotYetRated(what="feed_in", withheld=False); the import is billed
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from services.billing.agreement import PAYMENT_MODES, RELATIONS, PointRelation
from services.billing.bill import NotYetRated
from services.billing.calendar import days_between, overlap
from services.billing.point_relations import InForce

CYCLE_DAYS_MAX = 31

Rule = Callable[[InForce], Iterator[NotYetRated]]


def not_yet_rated(given: InForce) -> tuple[NotYetRated, ...]:
    """Everything in the agreement or the usage that this version does not rate, with the reason."""
    return tuple(found for rule in UNRATED for found in rule(given))


def _unrated(what: str, point: str, reason: str, *, withheld: bool = True) -> NotYetRated:
    return NotYetRated(what=what, point=point, reason=reason, withheld=withheld)


# -- how it pays ----------------------------------------------------------------------------------


def prepaid(given: InForce) -> Iterator[NotYetRated]:
    terms = given.part.terms
    if terms.payment_mode not in PAYMENT_MODES:
        yield _unrated(terms.payment_mode, "", "nobody knows how the account pays")
    elif terms.payment_mode == "postpaid" and terms.prepaid is not None:
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


def relation_unknown(given: InForce) -> Iterator[NotYetRated]:
    for kind in sorted({each.kind for each in given.part.terms.relations} - {*RELATIONS}):
        yield from _relation(given, kind)


# -- producers ------------------------------------------------------------------------------------


def feed_in(given: InForce) -> Iterator[NotYetRated]:
    """What is fed in is valued by a list that the agreement names; here it names none."""
    if given.part.terms.feed_in_price_list:
        return
    for point in sorted(_producers(given) | _generators(given)):
        reason = "no price list of feed-in is agreed"
        yield _unrated("feed_in", point, reason, withheld=False)


def _producers(given: InForce) -> set[str]:
    return {each.point for each in given.part.usage.points if each.export_wh}


def _generators(given: InForce) -> set[str]:
    return {each.point for each in given.relations.values() if each.kind == "feed_in"}


# -- days -----------------------------------------------------------------------------------------


def long_cycle(given: InForce) -> Iterator[NotYetRated]:
    days = days_between(given.part.usage.cycle_from_on, given.part.usage.cycle_until_on)
    if days > CYCLE_DAYS_MAX:
        yield _unrated("long_cycle", "", f"a billing cycle of {days} days is not rated yet")


UNRATED: tuple[Rule, ...] = (
    prepaid,
    relation_unknown,
    feed_in,
    long_cycle,
)
