"""The capacity that is charged: transformers by their state, by their share, from and until.

A suspended or sealed transformer counts for nothing and a hot standby whole, or as the book says
(`state_percents`). Of a shared one each account bears its share of the capacity.

    945 kVA, of which 315 are suspended from the 11th   ->  945 kVA for 10 days, 630 for the rest
    630 kVA shared 0.4 and 0.6                          ->  252 kVA and 378 kVA
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from libs.events.quantities import half_up_div
from services.billing.agreement import AgreementTerms, Transformer
from services.billing.apportion import part_of
from services.billing.calendar import overlap


class CapacitySpan(NamedTuple):
    """Days in which the capacity that is charged did not change."""

    from_on: str
    until_on: str
    capacity_va: int


def charged_va(transformer: Transformer, state_percents: Mapping[str, int]) -> Fraction:
    """What an account is charged of a transformer, exact."""
    return transformer.capacity_va * _part(transformer.share, state_percents[transformer.state])


@lru_cache(maxsize=1024)
def _part(share: str, percent: int) -> Fraction:
    return part_of(share) * Fraction(percent, 100)


def capacity_spans(
    terms: AgreementTerms, from_on: str, until_on: str, state_percents: Mapping[str, int]
) -> list[CapacitySpan]:
    """The capacity over days, cut where it changes; the spans adjoin and are complete.

    The sum of the transformers is half-up to whole VA: shares to a thousandth of whole kVA are
    exact, and those of all sharers add up to the transformer.
    """
    days = []
    for each in terms.transformers:
        span = overlap(from_on, until_on, each.from_on, each.until_on)
        if span:
            days.append((*span, charged_va(each, state_percents)))
    if all(span[:2] == (from_on, until_on) for span in days):
        whole = sum((va for _, _, va in days), Fraction())
        return [CapacitySpan(from_on, until_on, half_up_div(whole.numerator, whole.denominator))]
    cuts = sorted({from_on, until_on} | {on for start, end, _ in days for on in (start, end)})
    spans: list[CapacitySpan] = []
    for start, end in pairwise(cuts):
        exact = sum((va for first, last, va in days if first <= start and end <= last), Fraction())
        total_va = half_up_div(exact.numerator, exact.denominator)
        if spans and spans[-1].capacity_va == total_va:
            spans[-1] = spans[-1]._replace(until_on=end)
        else:
            spans.append(CapacitySpan(start, end, total_va))
    return spans
