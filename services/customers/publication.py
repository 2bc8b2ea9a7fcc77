"""What is published of an account: its agreement, the supply of its points, its meters.

All are pure functions of the rows and of the day; a fact is published when it differs from what
the rows and the day before would have said.

    rows: P1 residential from 1 January, customer gone on 16 March
    agreement_of(state, ...).points == (PointTerms(usage_point="P1", from_on="2026-01-01",
                                              to_on="2026-03-16", ...),)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from services.customers.days import day_before, day_of, day_start_at, next_day
from services.customers.events import (
    AgreementPublished,
    AreaPlace,
    Component,
    ExternalLine,
    MeterPublished,
    MeterUse,
    PointTariff,
    PointTerms,
    PrepaidTerms,
    PublicationNoted,
    SupplyPublished,
    SwitchPoint,
    Terms,
    Transformer,
)
from services.customers.meter_chain import meter_chain, points_of, points_with, supplied_stays
from services.customers.rows import (
    AgreementRow,
    AnyRow,
    ComponentRow,
    MeterRow,
    PointRow,
    RelationRow,
    TransformerRow,
)
from services.customers.state import Account, closed_on, in_force, supplied_span, timeline

MEASURED_ALONE = ("main", "feed_in")
"""Relations of points whose energy no other point of the area measures as well."""

VERSIONS_PER_DAY = 10_000
"""Supply and meter versions begin with a day (20260316 0001), so that a later account's are above
an earlier one's; see `version_after`."""

VA_PER_KVA = 1_000
IN_USE = "in_use"


class Publication(NamedTuple):
    """What is new: the facts with their versions, and the own event that notes them."""

    agreement: AgreementPublished | None
    supplies: tuple[SupplyPublished, ...]
    meters: tuple[MeterPublished, ...]
    noted: PublicationNoted


def publication(before: Account, after: Account, account_no: str, day_on: str) -> Publication:
    """Everything that `after` says on a day and `before`, on its day, did not."""
    agreement = agreement_of(after, account_no, day_on)
    agreement_version = before.agreement_version
    if agreement is None or agreement == agreement_of(before, account_no, before.day_on):
        agreement = None
    else:
        agreement_version += 1
        agreement = replace(agreement, version=agreement_version)
    supplies = []
    for points in points_of(after):
        supply = _new_supply(before, after, points, agreement_version, day_on)
        if supply is not None:
            supplies.append(supply)
    meters = []
    for meter_no in sorted({row.meter_no for row in after.meters}):
        meter = _new_meter(before, after, account_no, meter_no, day_on)
        if meter is not None:
            meters.append(meter)
    return Publication(
        agreement=agreement,
        supplies=tuple(supplies),
        meters=tuple(meters),
        noted=PublicationNoted(
            account_no=account_no,
            day_on=day_on,
            agreement_version=agreement_version,
            supply_versions={each.usage_point: each.version for each in supplies},
            meter_versions={each.meter_no: each.version for each in meters},
        ),
    )


def version_after(previous: int, from_on: str) -> int:
    """The next version of a fact that readers merge over accounts; it rises with every fact.

    It begins with the day from which the account has the point or meter. So a reader that keeps
    one account only and takes the highest version keeps the latest account, in any order.
    """
    return max(previous, int(from_on.replace("-", "")) * VERSIONS_PER_DAY) + 1


# -- agreement -------------------------------------------------------------------------------------


def agreement_of(state: Account, account_no: str, day_on: str) -> AgreementPublished | None:
    """The agreement timeline, with the switch points of a day and without a version.

    None while there is no agreement.
    """
    if not state.agreements:
        return None
    return AgreementPublished(
        account_no=account_no,
        version=0,
        terms=tuple(_terms(state)),
        transformers=tuple(_transformers(state)),
        points=tuple(each for points in points_of(state) for each in _point_terms(state, points)),
        switch_points=tuple(
            each for points in points_of(state) for each in _switch_points(state, points, day_on)
        ),
        components=tuple(_components(state)),
        external_lines=tuple(
            ExternalLine(
                document_no=row.document_no,
                month=row.month,
                code=row.code,
                name_zh=row.name_zh,
                name_en=row.name_en,
                amount_fen=row.amount_fen,
                settled_by=row.settled_by,
            )
            for row in state.external_lines
        ),
    )


def _terms(state: Account) -> Iterator[Terms]:
    closed = closed_on(state)
    first_on = state.agreements[0].valid_from_on
    days = _days((*state.accounts, *state.agreements), first_on, closed)
    previous: Terms | None = None
    for day_on in days:
        account, agreement = in_force(state.accounts, day_on), in_force(state.agreements, day_on)
        terms = Terms(
            valid_from_on=day_on,
            category=agreement.category,
            region=agreement.region,
            price_list=agreement.price_list,
            voltage_class=agreement.voltage_class,
            metering_side=agreement.metering_side,
            demand_mode=agreement.demand_mode,
            contract_demand_w=agreement.contract_demand_w,
            pf_standard=agreement.pf_standard,
            payment_mode=agreement.payment_mode,
            household_size=account.household_size,
            language=account.language,
            protected=account.protected,
            moved_out_on=closed,
            low_income=agreement.low_income,
            feed_in_price_list=agreement.feed_in_price_list,
            prepaid=_prepaid(agreement),
        )
        if previous is None or replace(terms, valid_from_on=previous.valid_from_on) != previous:
            yield terms
            previous = terms


def _prepaid(agreement: AgreementRow) -> PrepaidTerms | None:
    if not agreement.prepaid_agreement_no:
        return None
    return PrepaidTerms(
        agreement_no=agreement.prepaid_agreement_no,
        signed_on=agreement.prepaid_signed_on,
        credit_limit_fen=agreement.prepaid_credit_limit_fen,
        warn1_fen=agreement.prepaid_warn1_fen,
        warn2_fen=agreement.prepaid_warn2_fen,
    )


Until = TypeVar("Until", TransformerRow, ComponentRow)


def _with_ends(state: Account, rows: Sequence[Until]) -> Iterator[tuple[Until, str]]:
    """The rows that ever hold, each with the day on which it no longer does, "" while open."""
    closed = closed_on(state)
    for row, following in zip(rows, (*rows[1:], None), strict=False):
        ends = [row.valid_to_on, closed]
        if following is not None and following.entity == row.entity:
            ends.append(following.valid_from_on)
        to_on = min((end for end in ends if end), default="")
        if not to_on or row.valid_from_on < to_on:
            yield row, to_on


def _transformers(state: Account) -> Iterator[Transformer]:
    for row, to_on in _with_ends(state, state.transformers):
        yield Transformer(
            transformer_no=row.transformer_no,
            kva=row.kva,
            model=row.model,
            state=row.state,
            from_on=row.valid_from_on,
            to_on=to_on,
            share=row.share,
            shared_with=row.shared_with,
            iron_loss_w=row.iron_loss_w,
            copper_loss_w=row.copper_loss_w,
        )


def _components(state: Account) -> Iterator[Component]:
    for row, to_on in _with_ends(state, state.account_components):
        yield Component(
            code=row.code,
            name_zh=row.name_zh,
            name_en=row.name_en,
            unit=row.unit,
            price=row.price,
            usage_point=row.usage_point,
            source=row.source,
            from_on=row.valid_from_on,
            to_on=to_on,
        )


def _point_terms(state: Account, points: list[PointRow]) -> Iterator[PointTerms]:
    from_on, end_on = supplied_span(state, points)
    relations = timeline(state.point_relations, points[0].entity)
    days = _days((*points, *relations, *state.agreements), from_on, end_on)
    spans = [_terms_on(state, points, relations, day_on) for day_on in days]
    merged: list[PointTerms] = []
    for span in spans:
        if merged and replace(span, from_on=merged[-1].from_on) == merged[-1]:
            continue
        merged.append(span)
    ends = [*(span.from_on for span in merged[1:]), end_on]
    for span, to_on in zip(merged, ends, strict=True) if merged else ():
        yield replace(span, to_on=to_on)


def _terms_on(
    state: Account, points: list[PointRow], relations: list[RelationRow], day_on: str
) -> PointTerms:
    """The terms of a point on a day, open; what its row leaves empty is the agreement's."""
    row: PointRow = in_force(points, day_on)
    agreement = in_force(state.agreements, day_on)
    begun = [each for each in relations if each.valid_from_on <= day_on]
    relation = begun[-1] if begun else None
    return PointTerms(
        usage_point=row.usage_point,
        relation=relation.relation if relation else "main",
        parent_point=relation.parent_point if relation else "",
        share=relation.share if relation else "",
        quantity_wh=relation.quantity_wh if relation else 0,
        price_list=row.price_list or agreement.price_list,
        category=row.category or agreement.category,
        voltage_class=row.voltage_class or agreement.voltage_class,
        metering_side=row.metering_side or agreement.metering_side,
        rate_periods=row.rate_periods,
        from_on=day_on,
        to_on="",
        feeder=row.feeder,
        loss_table=row.loss_table,
        line_loss_percent=row.line_loss_percent,
        line_resistance_mohm=row.line_resistance_mohm,
    )


def _switch_points(state: Account, points: list[PointRow], day_on: str) -> Iterator[SwitchPoint]:
    """How a point is switched on a day, if a meter is there at its end."""
    row: PointRow = in_force(points, day_on)
    end_at = day_start_at(next_day(day_on)) if day_on else ""
    for stay in meter_chain(state, points):
        if stay.from_at < end_at and (not stay.to_at or stay.to_at >= end_at):
            yield SwitchPoint(
                usage_point=row.usage_point,
                meter_no=stay.meter_no,
                address=stay.address,
                installed_from_at=stay.from_at,
                switching_method=row.switching_method,
                voltage_class=_voltage_class(state, row, day_on),
                area=row.area,
            )


def _voltage_class(state: Account, row: PointRow, day_on: str) -> str:
    if row.voltage_class or not state.agreements:
        return row.voltage_class
    agreed: AgreementRow = in_force(state.agreements, day_on)
    return agreed.voltage_class


def _category(state: Account, row: PointRow, day_on: str) -> str:
    if row.category or not state.agreements:
        return row.category
    agreed: AgreementRow = in_force(state.agreements, day_on)
    return agreed.category


def _days(rows: Iterable[AnyRow], from_on: str, end_on: str) -> list[str]:
    """The days on which something changes, from the first one on and before the end."""
    days = {from_on} | {row.valid_from_on for row in rows}
    return [day for day in sorted(days) if from_on <= day and (not end_on or day < end_on)]


# -- supply and meters -----------------------------------------------------------------------------


def supply_of(
    state: Account, points: list[PointRow], agreement_version: int, day_on: str
) -> SupplyPublished:
    """The supply timeline of a usage point, with what stands on a day, without a version."""
    row: PointRow = in_force(points, day_on)
    from_on, to_on = supplied_span(state, points)
    return SupplyPublished(
        usage_point=row.usage_point,
        version=0,
        account_no=row.account_no,
        area=row.area,
        switching_method=row.switching_method,
        voltage_class=_voltage_class(state, row, day_on),
        category=_category(state, row, day_on),
        registers=row.registers,
        intervals=row.intervals,
        rate_periods=row.rate_periods,
        supplied_from_on=from_on,
        supplied_to_on=day_before(to_on) if to_on else "",
        agreement_version=agreement_version,
        installations=tuple(stay for stay, _, _ in supplied_stays(state, points)),
        tariffs=tuple(_tariffs(state, points, from_on, to_on)),
        places=_area_places(state, points),
    )


def _tariffs(
    state: Account, points: list[PointRow], from_on: str, end_on: str
) -> Iterator[PointTariff]:
    """How a point is priced, from each day on which that changes; none without an agreement."""
    previous: PointTariff | None = None
    if not state.agreements:
        return
    for day_on in _days((*points, *state.agreements), from_on, end_on):
        row: PointRow = in_force(points, day_on)
        agreement: AgreementRow = in_force(state.agreements, day_on)
        tariff = PointTariff(
            from_on=day_on,
            region=agreement.region,
            price_list=row.price_list or agreement.price_list,
            rate_periods=row.rate_periods,
            tou_basis=row.tou_basis,
        )
        if previous is None or replace(tariff, from_on=previous.from_on) != previous:
            yield tariff
            previous = tariff


def _area_places(state: Account, points: list[PointRow]) -> tuple[AreaPlace, ...]:
    """The places of a point over the days supplied; a day on which nothing of it changes is not
    told apart."""
    from_on, end_on = supplied_span(state, points)
    relations = timeline(state.point_relations, points[0].entity)
    merged: list[AreaPlace] = []
    for day_on in _days((*points, *relations), from_on, end_on):
        row: PointRow = in_force(points, day_on)
        begun = [each for each in relations if each.valid_from_on <= day_on]
        relation = begun[-1].relation if begun else "main"
        place = AreaPlace(
            area="" if row.area == row.feeder else row.area,
            feeder=row.feeder,
            role=row.loss_role or ("member" if relation in MEASURED_ALONE else "none"),
            from_on=day_on,
            to_on="",
        )
        if not merged or replace(place, from_on=merged[-1].from_on) != merged[-1]:
            merged.append(place)
    ends = [*(place.from_on for place in merged[1:]), end_on]
    stays = zip(merged, ends, strict=True) if merged else ()
    return tuple(replace(place, to_on=to_on) for place, to_on in stays)


def meter_of(state: Account, account_no: str, meter_no: str, day_on: str) -> MeterPublished:
    """A meter as it stands on a day and where it served the account, without a version."""
    row: MeterRow = in_force(timeline(state.meters, meter_no), day_on)
    uses = []
    voltages = {}
    for points in points_with(state, meter_no):
        for stay, from_at, to_at in supplied_stays(state, points):
            if stay.meter_no == meter_no:
                use = MeterUse(
                    usage_point=points[0].usage_point,
                    account_no=account_no,
                    from_at=from_at,
                    to_at=to_at,
                    removed_at=stay.to_at,
                )
                uses.append(use)
                voltages[from_at] = _voltage_class(state, in_force(points, day_on), day_on)
    return MeterPublished(
        meter_no=meter_no,
        version=0,
        account_no=account_no,
        model=row.model,
        accuracy_class=row.accuracy_class,
        connection=row.connection,
        verified_on=row.verified_on,
        uses=tuple(sorted(uses, key=lambda use: (use.from_at, use.usage_point))),
        capacity_va=_capacity_va(state, day_on),
        voltage_class=voltages[max(voltages)] if voltages else "",
    )


def _capacity_va(state: Account, day_on: str) -> int:
    """What the transformers that are in use on a day can carry together."""
    return VA_PER_KVA * sum(
        each.kva
        for each in _transformers(state)
        if each.state == IN_USE
        and each.from_on <= day_on
        and (not each.to_on or day_on < each.to_on)
    )


def _new_supply(
    before: Account, after: Account, points: list[PointRow], agreement_version: int, day_on: str
) -> SupplyPublished | None:
    supply = supply_of(after, points, agreement_version, day_on)
    usage_point = supply.usage_point
    previous = before.supply_versions.get(usage_point, 0)
    if not previous and supply.supplied_from_on > day_on:
        return None  # until that day the point may be another account's
    if previous:
        known = [row for row in before.points if row.usage_point == usage_point]
        if supply == supply_of(before, known, before.agreement_version, before.day_on):
            return None
    return replace(supply, version=version_after(previous, supply.supplied_from_on))


def _new_meter(
    before: Account, after: Account, account_no: str, meter_no: str, day_on: str
) -> MeterPublished | None:
    meter = meter_of(after, account_no, meter_no, day_on)
    previous = before.meter_versions.get(meter_no, 0)
    if not previous and not any(day_of(use.from_at) <= day_on for use in meter.uses):
        return None
    if previous and meter == meter_of(before, account_no, meter_no, before.day_on):
        return None
    from_on = day_of(meter.uses[0].from_at) if meter.uses else "1970-01-01"
    return replace(meter, version=version_after(previous, from_on))
