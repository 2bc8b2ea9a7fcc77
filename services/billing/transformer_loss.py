"""Transformer loss of a customer at high voltage who is metered at the low side 高供低计变损.

The meter does not see what the transformer loses. The book's table of the model says how much that
is in a month by load, for the days it was in use; where the book has no table, it is calculated
from the losses on the plate, W = P0 t + K Pk (P^2 + Q^2) / (S^2 t) by a named rule (domain.md 3.5,
UNCONFIRMED). Who is metered at the high side, or supplied at low voltage, bears none.

    50 kVA, 304 kWh a month by its table, 20 of 30 days    ->  202.67, that is 203 kWh
    P0 0.5 kW, Pk 5 kW, 400 kVA, 720 h, 144,000 kWh, K 1   ->  360 + 900 = 1,260 kWh
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from libs.events.quantities import ROUNDING
from services.billing.agreement import PointTerms, Transformer
from services.billing.apportion import RunningTotal, part_of, read_part
from services.billing.bill import Finding
from services.billing.calendar import Share, days_between, overlap
from services.billing.losses import (
    HOURS_PER_DAY,
    Load,
    PointPart,
    load_of,
    main_points,
    square_of_load,
    with_loss,
)
from services.billing.price_book import LossRow, LossRule, LossTable, PriceBook
from services.billing.stage import Rating, shares_of

LOW_VOLTAGE = "lt1kv"
LOADED, ENERGISED = "in_use", ("in_use", "hot_standby")
"""A hot standby has its iron loss; suspended and sealed transformers are off the grid."""


class Span(NamedTuple):
    """Days of a part on which no transformer and no metered point changes."""

    part: int
    from_on: str
    until_on: str
    share: Share

    @property
    def days(self) -> int:
        return days_between(self.from_on, self.until_on)


class Lost(NamedTuple):
    """A loss, exact, in Wh and varh."""

    wh: Fraction
    varh: Fraction


class Flow(NamedTuple):
    """How a point's load is shared by the transformers: by capacity and days in use."""

    load: Load
    va_days: Fraction
    cycle_days: int


def bears_loss(terms: PointTerms) -> bool:
    """Whether the loss of a transformer is not in what a point's meter shows."""
    is_behind = terms.voltage_class != LOW_VOLTAGE and terms.metering_side == "low"
    return is_behind or terms.loss_table != ""


def transformer_loss_stage(rating: Rating) -> None:
    """The loss of every main point that bears one, added to what it is billed."""
    if not any(bears_loss(each) for given in rating.given for each in given.priced):
        return
    by_point = (
        [each for each in found if bears_loss(each.point.terms)]
        for found in main_points(rating.points).values()
    )
    bearing = [found for found in by_point if found]
    spans = _spans(rating, [each.point.usage.from_on for found in bearing for each in found])
    rating.findings += _findings(rating, bearing)
    if not rating.findings:
        for found in bearing:
            _add(rating, found, spans)


def table_row(table: LossTable, load_wh: Fraction) -> LossRow:
    """The row of a month's load: the last one that it is above, the first one below all."""
    found = table.rows[0]
    for row in table.rows:
        if load_wh > row.above_wh:
            found = row
    return found


def plate_loss_wh(
    transformer: Transformer,
    rule: LossRule,
    hours: int,
    energy_wh: Fraction,
    reactive_varh: Fraction,
) -> Fraction:
    """P0 t + K Pk (P^2 + Q^2) / (S^2 t) of the energies that went through in these hours."""
    squared = square_of_load(rule, energy_wh, reactive_varh)
    full_load = transformer.capacity_va * transformer.capacity_va * hours
    copper_wh = copper_factor(rule) * squared * Fraction(transformer.copper_loss_w, full_load)
    return transformer.iron_loss_w * hours + copper_wh


def copper_factor(rule: LossRule) -> Fraction:
    """K, by which uneven load loses more than even load, as an exact number."""
    return Fraction(rule.copper_factor)


# -- over the cycle -------------------------------------------------------------------------------


def _spans(rating: Rating, extra: Iterable[str]) -> list[Span]:
    """The days of all parts, cut where a transformer comes, goes, or changes its state."""
    changes = set(extra)
    for part in rating.parts:
        changes.update(
            on for each in part.terms.transformers for on in (each.from_on, each.until_on)
        )
    for points in rating.points:
        changes.update(point.usage.until_on for point in points)
    days: list[tuple[int, str, str]] = []
    for number, part in enumerate(rating.parts):
        start, end = part.usage.from_on, part.usage.until_on
        cuts = sorted({start, end} | {on for on in changes if start < on < end})
        days += ((number, *span) for span in pairwise(cuts))
    shares = shares_of(rating.parts, [(start, end) for _, start, end in days])
    return [Span(*each, share) for each, share in zip(days, shares, strict=True)]


def _findings(rating: Rating, bearing: Sequence[Sequence[PointPart]]) -> Iterator[Finding]:
    """What is not known of the losses."""
    by_model = 0
    for found in bearing:
        name = found[0].point.terms.point
        tables = {each.point.terms.loss_table for each in found}
        missing = {
            each.point.terms.loss_table
            for each in found
            if each.point.terms.loss_table not in ("", *rating.parts[each.part].book.loss_tables)
        }
        if "" in tables:
            by_model += 1
            if by_model > 1:
                text = "which transformers it is behind is not told: name a loss table"
                yield _finding("transformer_ambiguous", name, text)
            yield from _transformer_findings(rating, name, found)
        for table in sorted(missing):
            yield _finding("loss_table_missing", name, f"the book has no loss table {table}")


def _transformer_findings(
    rating: Rating, name: str, found: Sequence[PointPart]
) -> Iterator[Finding]:
    """What is not known of the transformers that a point is behind."""
    behind = [
        (each, rating.parts[number].book)
        for number, _, point in found
        for each in rating.parts[number].terms.transformers
        if overlap(point.usage.from_on, point.usage.until_on, each.from_on, each.until_on)
    ]
    is_loaded = any(each.state == LOADED for each, _ in behind)
    if not behind or (not is_loaded and any(point.metered.total_wh for _, _, point in found)):
        yield _finding("transformer_missing", name, "it is behind no transformer in use")
    unknown = sorted(
        {
            each.id
            for each, book in behind
            if each.model not in book.loss_tables and not each.iron_loss_w
        }
    )
    for transformer in unknown:
        text = f"no loss table has the model of {transformer}, and its plate says no loss"
        yield _finding("loss_table_missing", name, text)
    for each, _ in behind:
        if read_part(each.share) is None or each.capacity_va <= 0:
            text = f"{each.share!r} of {each.capacity_va} VA of {each.id} is no share of it"
            yield _finding("share_invalid", name, text)


def _finding(rule: str, point: str, text: str) -> Finding:
    return Finding(rule=rule, point=point, text=text)


def _add(rating: Rating, found: Sequence[PointPart], spans: Sequence[Span]) -> None:
    load = load_of(each.point for each in found)
    cycle = rating.parts[0].usage
    cycle_days = days_between(cycle.cycle_from_on, cycle.cycle_until_on)
    own = {each.part: [span for span in spans if _is_of(span, each)] for each in found}
    va_days = sum(
        (
            each.capacity_va * part_of(each.share) * span.days
            for part in own.values()
            for span in part
            for each in _energised(rating, span)
            if each.state == LOADED
        ),
        Fraction(),
    )
    flow = Flow(load, va_days, cycle_days)
    energy, reactive = RunningTotal(), RunningTotal()
    for number, place, point in found:
        book = rating.parts[number].book
        lost = [_of_span(rating, span, point.terms, flow) for span in own[number]]
        unit_wh, rounding = book.rounding.energy_unit_wh, ROUNDING[book.rounding.energy]
        rating.points[number][place] = with_loss(
            point,
            "transformer_loss_wh",
            energy.add(sum((each.wh for each in lost), Fraction()), unit_wh, rounding),
            reactive.add(sum((each.varh for each in lost), Fraction()), unit_wh, rounding),
            unit_wh=unit_wh,
            unconfirmed=_is_unconfirmed(rating, number, point.terms, book),
        )


def _is_of(span: Span, found: PointPart) -> bool:
    usage = found.point.usage
    is_within = usage.from_on <= span.from_on and span.until_on <= usage.until_on
    return span.part == found.part and is_within


def _energised(rating: Rating, span: Span) -> Iterator[Transformer]:
    for each in rating.parts[span.part].terms.transformers:
        days = overlap(span.from_on, span.until_on, each.from_on, each.until_on)
        if days and each.state in ENERGISED:
            yield each


def _of_span(rating: Rating, span: Span, terms: PointTerms, flow: Flow) -> Lost:
    """What is lost on the days of a span: by the point's table, or by each of the transformers."""
    book = rating.parts[span.part].book
    if terms.loss_table:
        month_wh = Fraction(flow.load.energy_wh * flow.cycle_days, flow.load.days)
        return _by_table(book.loss_tables[terms.loss_table], month_wh, span, Fraction(1))
    wh = varh = Fraction()
    for each in _energised(rating, span):
        lost = _of_transformer(each, book, span, flow)
        wh, varh = wh + lost.wh, varh + lost.varh
    return Lost(wh, varh)


def _of_transformer(transformer: Transformer, book: PriceBook, span: Span, flow: Flow) -> Lost:
    """The account's share of what one transformer lost; a shared one carries the others' too."""
    per_day = Fraction()
    if transformer.state == LOADED and flow.va_days:
        per_day = Fraction(transformer.capacity_va, flow.va_days)
    share = part_of(transformer.share)
    table = book.loss_tables.get(transformer.model)
    if table is not None:
        month_wh = flow.load.energy_wh * per_day * flow.cycle_days
        return _by_table(table, month_wh, span, share)
    energy_wh = flow.load.energy_wh * per_day * span.days
    reactive_varh = flow.load.reactive_varh * per_day * span.days
    hours = span.days * HOURS_PER_DAY
    lost_wh = plate_loss_wh(transformer, book.loss_rule, hours, energy_wh, reactive_varh)
    return Lost(share * lost_wh, Fraction())


def _by_table(table: LossTable, month_wh: Fraction, span: Span, share: Fraction) -> Lost:
    row = table_row(table, month_wh)
    days = share * Fraction(*span.share)
    return Lost(row.loss_wh * days, row.loss_varh * days)


def _is_unconfirmed(rating: Rating, number: int, terms: PointTerms, book: PriceBook) -> bool:
    """Whether a table is, or the formula for a transformer that has none."""
    if terms.loss_table:
        return book.loss_tables[terms.loss_table].unconfirmed
    found = (book.loss_tables.get(each.model) for each in rating.parts[number].terms.transformers)
    return any(book.loss_rule.unconfirmed if each is None else each.unconfirmed for each in found)
