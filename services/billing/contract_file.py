"""A contract as a file: the terms of an account as people write them, and what a bill takes of it.

    account: "3100012345"
    price_book: cq-residential
    points:
      - {point: P1, price_list: residential}

Fields have the meaning of `agreement.AgreementTerms`, quantities are in kWh, kVA, kW and yuan. One
account has a contract for each time in which its terms differ (`from_on` to before `until_on`).
What is left out has the default named here; a point takes category and voltage class from its price
list when the contract does not name them. BadInput names place, field and fix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from libs.events.errors import BadInput
from services.billing import agreement as pure
from services.billing.file_fields import (
    Capacity,
    Day,
    Kilo,
    Month,
    Name,
    Period,
    Price,
    Ratio,
    Yuan,
    checked,
    parse_fen,
    require_order,
    wh,
)
from services.billing.price_book_models import Strict

LOSS_MOST_W = 10**9
"""Plates say watts of loss; a gigawatt is a slip of the pen."""


class LineLossModel(Strict):
    """The loss of the line behind the property boundary."""

    kind: Literal["percent", "resistance"]
    percent: str = ""
    resistance_mohm: int = Field(default=0, ge=0)


class ContractPointModel(Strict):
    """How one usage point is billed; `rate_periods`: the meter's rate numbers and their periods."""

    point: Name
    price_list: Name
    category: str = ""
    voltage_class: str = ""
    metering_side: Literal["low", "high"] = "low"
    rate_periods: dict[str, Period] = Field(default_factory=dict)
    from_on: Day = ""
    until_on: Day = ""
    loss_table: str = ""
    line_loss: LineLossModel | None = None
    feeder: str = ""


class RelationModel(Strict):
    """What a point is to another one."""

    point: Name
    kind: Literal[
        "main", "deducted", "fixed_ratio", "fixed_quantity", "transferred", "check", "feed_in"
    ]
    of: str = ""
    ratio: Ratio = ""
    quantity_kwh: Kilo = ""
    from_on: Day = ""
    until_on: Day = ""


class TransformerModel(Strict):
    """A transformer, or a directly connected high-voltage motor, in one state."""

    id: Name
    capacity_kva: Capacity = Field(min_length=1)
    state: Literal["in_use", "suspended", "cold_sealed", "hot_standby"] = "in_use"
    kind: Literal["transformer", "motor"] = "transformer"
    model: str = ""
    from_on: Day = ""
    until_on: Day = ""
    share: Ratio = "1"
    shared_with: str = ""
    iron_loss_w: int = Field(default=0, ge=0, le=LOSS_MOST_W)
    copper_loss_w: int = Field(default=0, ge=0, le=LOSS_MOST_W)


class AllowanceModel(Strict):
    """A rule of the price list by which the tier boundaries are higher."""

    rule: Name
    from_on: Day = Field(min_length=1)
    until_on: Day = ""


class HouseholdModel(Strict):
    """How many people live there from a day on; the book says what follows from it."""

    from_on: Day = Field(min_length=1)
    people: int = Field(ge=0, le=1000)
    category: str = "residential"


class AccountComponentModel(Strict):
    """A price that only this account has."""

    code: Name
    name_zh: str
    name_en: str
    unit: Literal["kWh", "kVA", "kW", "month"]
    price: Price
    point: str = ""
    from_on: Day = ""
    until_on: Day = ""
    source: str = ""


class ExternalLineModel(Strict):
    """An amount of a month that another one settled."""

    document_no: Name
    month: Month = Field(min_length=1)
    code: Name
    name_zh: str
    name_en: str
    amount_yuan: Yuan = Field(min_length=1)
    settled_by: Name


class PrepaidModel(Strict):
    """The signed agreement of a prepaid account."""

    agreement_no: Name
    signed_on: Day = Field(min_length=1)
    credit_limit_yuan: Yuan = "0"
    warn1_yuan: Yuan = "0"
    warn2_yuan: Yuan = "0"


class ContractModel(Strict):
    """The contract of an account. Days are of the utility's zone; empty ends are open."""

    kind: Literal["contract"] = "contract"
    account: Name
    price_book: str = Field(default="", description="id or region of a book; empty: any given one")
    from_on: Day = ""
    until_on: Day = ""
    points: tuple[ContractPointModel, ...] = Field(min_length=1)
    relations: tuple[RelationModel, ...] = ()
    payment_mode: Literal["postpaid", "prepaid_remote", "prepaid_local"] = "postpaid"
    basic_charge: Literal["none", "capacity", "contract_demand", "measured_demand"] = "none"
    contract_demand_kw: Kilo = ""
    transformers: tuple[TransformerModel, ...] = ()
    power_factor_standard: Literal["", "0.90", "0.85", "0.80"] = ""
    household: tuple[HouseholdModel, ...] = ()
    allowances: tuple[AllowanceModel, ...] = ()
    free_allowance: bool = False
    language: Literal["zh", "en"] = "zh"
    components: tuple[AccountComponentModel, ...] = ()
    external_lines: tuple[ExternalLineModel, ...] = ()
    feed_in_price_list: str = ""
    prepaid: PrepaidModel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Terms of an account and the days in which they hold; `place` names them in an error."""

    place: str
    from_on: str
    until_on: str
    terms: pure.AgreementTerms
    household: tuple[pure.HouseholdSize, ...]


def read_contract(document: Any, place: str) -> Contract:
    """The contract in a document, from `place` of a file."""
    model = checked(ContractModel, document, place)
    require_order(place, "until_on", model.from_on, model.until_on)
    for name in ("points", "relations", "transformers", "allowances", "components"):
        for number, each in enumerate(getattr(model, name)):
            require_order(place, f"{name}.{number}.until_on", each.from_on, each.until_on)
    if model.basic_charge == "contract_demand" and not wh(model.contract_demand_kw):
        fix = "give it, or another basic_charge"
        raise BadInput(f"{place} contract_demand_kw", "is missing", fix)
    days = [each.from_on for each in model.household]
    if days != sorted(set(days)):
        raise BadInput(f"{place} household", "days do not rise", "order the sizes by from_on")
    return Contract(
        place=place,
        from_on=model.from_on,
        until_on=model.until_on,
        terms=_terms(model),
        household=tuple(pure.HouseholdSize(**each.model_dump()) for each in model.household),
    )


def _terms(model: ContractModel) -> pure.AgreementTerms:
    demand_w = wh(model.contract_demand_kw) if model.contract_demand_kw else None
    prepaid = model.prepaid
    return pure.AgreementTerms(
        account=model.account,
        price_book=model.price_book,
        points=tuple(_point(each) for each in model.points),
        relations=tuple(_relation(each) for each in model.relations),
        payment_mode=model.payment_mode,
        basic_charge=model.basic_charge,
        contract_demand_w=demand_w,
        transformers=tuple(_transformer(each) for each in model.transformers),
        power_factor_standard=model.power_factor_standard,
        allowances=tuple(pure.HouseholdAllowance(**each.model_dump()) for each in model.allowances),
        free_allowance=model.free_allowance,
        language=model.language,
        components=tuple(pure.AccountComponent(**each.model_dump()) for each in model.components),
        external_lines=tuple(_external(each) for each in model.external_lines),
        feed_in_price_list=model.feed_in_price_list,
        prepaid=_prepaid(prepaid) if prepaid is not None else None,
    )


def _point(model: ContractPointModel) -> pure.PointTerms:
    loss = pure.LineLoss(**model.line_loss.model_dump()) if model.line_loss else None
    return pure.PointTerms(**model.model_dump(exclude={"line_loss"}), line_loss=loss)


def _relation(model: RelationModel) -> pure.PointRelation:
    content = model.model_dump(exclude={"quantity_kwh"})
    return pure.PointRelation(**content, quantity_wh=wh(model.quantity_kwh))


def _transformer(model: TransformerModel) -> pure.Transformer:
    content = model.model_dump(exclude={"capacity_kva"})
    return pure.Transformer(**content, capacity_va=wh(model.capacity_kva))


def _external(model: ExternalLineModel) -> pure.ExternalLine:
    content = model.model_dump(exclude={"amount_yuan"})
    return pure.ExternalLine(**content, amount_fen=parse_fen(model.amount_yuan))


def _prepaid(model: PrepaidModel) -> pure.PrepaidTerms:
    return pure.PrepaidTerms(
        agreement_no=model.agreement_no,
        signed_on=model.signed_on,
        credit_limit_fen=parse_fen(model.credit_limit_yuan),
        warn1_fen=parse_fen(model.warn1_yuan),
        warn2_fen=parse_fen(model.warn2_yuan),
    )
