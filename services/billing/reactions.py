"""What billing takes from others, in its own terms: usage, agreements, openings, cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.billing.agreement import (
    AccountComponent,
    AgreementTerms,
    ExternalLine,
    HouseholdSize,
    LineLoss,
    PointRelation,
    PointTerms,
    PrepaidTerms,
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
    share: str = "1"
    shared_with: str = ""
    iron_loss_w: int = 0
    copper_loss_w: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignComponent:
    """A price that only this account has, from and to a day."""

    code: str
    name_zh: str
    name_en: str
    unit: str
    price: str
    usage_point: str
    source: str
    from_on: str
    to_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignExternalLine:
    """An amount of a month that another one settled."""

    document_no: str
    month: str
    code: str
    name_zh: str
    name_en: str
    amount_fen: int
    settled_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignPrepaid:
    """The signed agreement of a prepaid account."""

    agreement_no: str
    signed_on: str
    credit_limit_fen: int
    warn1_fen: int
    warn2_fen: int


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
    feeder: str = ""
    loss_table: str = ""
    line_loss_percent: str = ""
    line_resistance_mohm: int = 0


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
    low_income: bool = False
    feed_in_price_list: str = ""
    prepaid: ForeignPrepaid | None = None


@catalogue.reads("customers.agreement_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementPublished:
    """The whole agreement timeline of an account."""

    account_no: str
    version: int
    terms: tuple[ForeignTerms, ...]
    transformers: tuple[ForeignTransformer, ...]
    points: tuple[ForeignPoint, ...]
    components: tuple[ForeignComponent, ...] = ()
    external_lines: tuple[ForeignExternalLine, ...] = ()


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
    """A meter that failed, or was wired or billed wrongly, counted at a point of the account."""

    case_id: str
    account_no: str
    usage_point: str
    error_e4_pct: int
    rule: str
    from_on: str
    to_on: str
    kind: str = "error"
    factor_num: int = 1
    factor_den: int = 1


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
    kind: str = "error"
    factor_num: int = 1
    factor_den: int = 1


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
    return AgreementNoted(
        account_no=published.account_no,
        version=published.version,
        timeline=tuple(
            DatedTerms(from_on=terms.valid_from_on, terms=_terms(published, terms))
            for terms in ordered
        ),
        moved_out_on=ordered[-1].moved_out_on if ordered else "",
        household=_household(ordered),
        external_lines=tuple(
            ExternalLine(
                document_no=found.document_no,
                month=found.month,
                code=found.code,
                name_zh=found.name_zh,
                name_en=found.name_en,
                amount_fen=found.amount_fen,
                settled_by=found.settled_by,
            )
            for found in published.external_lines
        ),
    )


def _household(ordered: Sequence[ForeignTerms]) -> tuple[HouseholdSize, ...]:
    """How many people lived there from when on; each of them differs from the one before."""
    found: list[HouseholdSize] = []
    for terms in ordered:
        size = HouseholdSize(
            from_on=terms.valid_from_on, people=terms.household_size, category=terms.category
        )
        if not found or replace(size, from_on=found[-1].from_on) != found[-1]:
            found.append(size)
    return tuple(found)


def _terms(published: AgreementPublished, terms: ForeignTerms) -> AgreementTerms:
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
                share=found.share,
                shared_with=found.shared_with,
                iron_loss_w=found.iron_loss_w,
                copper_loss_w=found.copper_loss_w,
            )
            for found in published.transformers
        ),
        power_factor_standard=terms.pf_standard,
        free_allowance=terms.low_income,
        language=terms.language,
        components=tuple(
            AccountComponent(
                code=found.code,
                name_zh=found.name_zh,
                name_en=found.name_en,
                unit=found.unit,
                price=found.price,
                point=found.usage_point,
                source=found.source,
                from_on=found.from_on,
                until_on=found.to_on,
            )
            for found in published.components
        ),
        feed_in_price_list=terms.feed_in_price_list,
        prepaid=_prepaid(terms.prepaid),
    )


def _prepaid(found: ForeignPrepaid | None) -> PrepaidTerms | None:
    if found is None:
        return None
    return PrepaidTerms(
        agreement_no=found.agreement_no,
        signed_on=found.signed_on,
        credit_limit_fen=found.credit_limit_fen,
        warn1_fen=found.warn1_fen,
        warn2_fen=found.warn2_fen,
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
        loss_table=point.loss_table,
        line_loss=_line_loss(point),
        feeder=point.feeder,
    )


def _line_loss(point: ForeignPoint) -> LineLoss | None:
    if point.line_loss_percent:
        return LineLoss(kind="percent", percent=point.line_loss_percent)
    if point.line_resistance_mohm:
        return LineLoss(kind="resistance", resistance_mohm=point.line_resistance_mohm)
    return None


def book_category(category: str, demand_mode: str, price_list: str) -> str:
    """A class of use as price books name it; shared household meters are a class of their own."""
    if category == "residential":
        return "residential_shared" if price_list == "residential_shared" else category
    if category == "industrial" and demand_mode != "none":
        return "large_industry"
    if category in ("industrial", "non_residential"):
        return "commercial_industrial"
    return category
