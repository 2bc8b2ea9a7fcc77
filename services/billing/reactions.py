"""What billing takes from others, in its own terms: usage, agreements, openings, cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.billing.agreement import (
    AgreementTerms,
    HouseholdAllowance,
    PointRelation,
    PointTerms,
    Transformer,
)
from services.billing.events import AgreementNoted, DatedTerms, UsageNoted, catalogue

BASIC_CHARGE = {
    "none": "none",
    "capacity": "capacity",
    "contract": "contract_demand",
    "measured": "measured_demand",
}
VOLTAGE_CLASS = {"10kv": "1_10kv"}
"""Voltage classes of the agreement as price books name them; others are the same."""

LARGE_HOUSEHOLD = 5
"""People from whom the large-household allowance counts (UNCONFIRMED, differs by province)."""

VA_PER_KVA = 1000

IMPORT_DEMAND = "1-0:1.6."
"""Registers of maximum demand that count for the basic charge; a producer has others as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageDemand:
    """A maximum demand, after ratio."""

    register: str
    demand_w: int
    occurred_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageBasis:
    """Whether the energy by period may be billed without a person looking at it."""

    blocked: bool


@catalogue.reads("validation.usage_established")
@dataclass(frozen=True, slots=True, kw_only=True)
class UsageEstablished:
    """Usage of one point on one day; a higher revision takes the place of a lower one."""

    usage_point: str
    account_no: str
    day_on: str
    revision: int
    quality: str
    energy: dict[str, int]
    demands: tuple[UsageDemand, ...]
    after_exchange: bool
    readings: tuple[str, ...]
    basis: UsageBasis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTransformer:
    """A transformer in one state, from and to a day."""

    transformer_no: str
    kva: int
    model: str
    state: str
    from_on: str
    to_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignPoint:
    """A usage point under the agreement."""

    usage_point: str
    relation: str
    parent_point: str
    share: str
    quantity_wh: int
    price_list: str
    category: str
    voltage_class: str
    metering_side: str
    rate_periods: dict[str, str]
    from_on: str
    to_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTerms:
    """The agreement from a day on."""

    valid_from_on: str
    category: str
    region: str
    price_list: str
    voltage_class: str
    metering_side: str
    demand_mode: str
    contract_demand_w: int
    pf_standard: str
    payment_mode: str
    household_size: int
    language: str
    moved_out_on: str


@catalogue.reads("customers.agreement_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementPublished:
    """The whole agreement timeline of an account."""

    account_no: str
    version: int
    terms: tuple[ForeignTerms, ...]
    transformers: tuple[ForeignTransformer, ...]
    points: tuple[ForeignPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignOpening:
    """The opening position, as far as billing needs it."""

    opening_id: str
    account_no: str
    as_of_on: str
    tier_year_to_date_wh: int


@catalogue.reads("customers.account_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpened:
    """A running account came with its position."""

    opening: ForeignOpening


@catalogue.reads("metrology.correction_proposed")
@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionProposed:
    """A failed meter was installed at a point of the account."""

    case_id: str
    account_no: str
    usage_point: str
    error_e4_pct: int
    rule: str
    from_on: str
    to_on: str


@catalogue.reads("metrology.correction_decided")
@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionDecided:
    """A person approved or refused the case."""

    case_id: str
    account_no: str
    usage_point: str
    error_e4_pct: int
    rule: str
    from_on: str
    to_on: str
    decision: str


def usage_noted(usage: UsageEstablished) -> UsageNoted:
    """The own event of a day's usage, with the highest demand of import."""
    demands = (found for found in usage.demands if found.register.startswith(IMPORT_DEMAND))
    peak = min(demands, key=lambda found: (-found.demand_w, found.occurred_at), default=None)
    return UsageNoted(
        usage_point=usage.usage_point,
        day_on=usage.day_on,
        revision=usage.revision,
        quality=usage.quality,
        energy=usage.energy,
        demand_w=peak.demand_w if peak else 0,
        demand_at=peak.occurred_at if peak else "",
        after_exchange=usage.after_exchange,
        readings=usage.readings,
        basis_blocked=usage.basis is not None and usage.basis.blocked,
    )


def agreement_noted(published: AgreementPublished) -> AgreementNoted:
    """The own event of an agreement: one set of terms from each day on which they change.

    `price_book` holds the region until a bill is rated: which book of the region has the price
    list is known only with the books.
    """
    ordered = sorted(published.terms, key=lambda terms: terms.valid_from_on)
    allowances = _allowances(ordered)
    return AgreementNoted(
        account_no=published.account_no,
        version=published.version,
        timeline=tuple(
            DatedTerms(from_on=terms.valid_from_on, terms=_terms(published, terms, allowances))
            for terms in ordered
        ),
        moved_out_on=ordered[-1].moved_out_on if ordered else "",
    )


def _allowances(ordered: Sequence[ForeignTerms]) -> tuple[HouseholdAllowance, ...]:
    """The times in which the household is a large one, whatever else changed meanwhile.

    All terms carry all of them: an annual boundary is raised by the months of the whole year.
    """
    found: list[HouseholdAllowance] = []
    for terms in ordered:
        is_large = terms.household_size >= LARGE_HOUSEHOLD and terms.category == "residential"
        is_open = bool(found) and not found[-1].until_on
        if is_large and not is_open:
            found.append(HouseholdAllowance(rule="large_household", from_on=terms.valid_from_on))
        elif is_open and not is_large:
            found[-1] = replace(found[-1], until_on=terms.valid_from_on)
    return tuple(found)


def _terms(
    published: AgreementPublished, terms: ForeignTerms, allowances: tuple[HouseholdAllowance, ...]
) -> AgreementTerms:
    return AgreementTerms(
        account=published.account_no,
        price_book=terms.region,
        points=tuple(_point(point, terms) for point in published.points),
        relations=tuple(
            PointRelation(
                point=point.usage_point,
                kind=point.relation,
                of=point.parent_point,
                ratio=point.share,
                quantity_wh=point.quantity_wh,
                from_on=point.from_on,
                until_on=point.to_on,
            )
            for point in published.points
            if point.relation != "main"
        ),
        payment_mode=terms.payment_mode,
        basic_charge=BASIC_CHARGE.get(terms.demand_mode, terms.demand_mode),
        contract_demand_w=terms.contract_demand_w or None,
        transformers=tuple(
            Transformer(
                id=found.transformer_no,
                capacity_va=found.kva * VA_PER_KVA,
                state=found.state,
                model=found.model,
                from_on=found.from_on,
                until_on=found.to_on,
            )
            for found in published.transformers
        ),
        power_factor_standard=terms.pf_standard,
        allowances=allowances,
        language=terms.language,
    )


def _point(point: ForeignPoint, terms: ForeignTerms) -> PointTerms:
    voltage_class = point.voltage_class or terms.voltage_class
    return PointTerms(
        point=point.usage_point,
        price_list=point.price_list or terms.price_list,
        category=book_category(
            point.category or terms.category,
            terms.demand_mode,
            point.price_list or terms.price_list,
        ),
        voltage_class=VOLTAGE_CLASS.get(voltage_class, voltage_class),
        metering_side=point.metering_side or terms.metering_side,
        rate_periods=point.rate_periods,
        from_on=point.from_on,
        until_on=point.to_on,
    )


def book_category(category: str, demand_mode: str, price_list: str) -> str:
    """A class of use as price books name it; shared household meters are a class of their own."""
    if category == "residential":
        return "residential_shared" if price_list == "residential_shared" else category
    if category == "industrial" and demand_mode != "none":
        return "large_industry"
    if category in ("industrial", "non_residential"):
        return "commercial_industrial"
    return category
