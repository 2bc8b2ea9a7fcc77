"""Laws that hold for any usage: sums, order, conservation of energy and money."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.quantities import energy_amount_fen, parse_price
from services.billing.agreement import AgreementTerms, PointRelation, Transformer
from services.billing.bill import Bill, RatingPart
from services.billing.price_book import Rounding
from services.billing.rating import rate, rate_parts
from services.billing.tiers import TierPosition
from services.billing.usage import AccountUsage, PointUsage, split_usage
from tests.unit.billing.builders import (
    FOUR_RATES,
    book,
    calendar,
    component,
    point_terms,
    point_usage,
    power_factor,
    price_list,
    terms,
    tiers,
    two_part,
    usage,
)

PRICES = {"sharp": "1.2", "peak": "0.8696", "flat": "0.5435", "valley": "0.3308"}
INDUSTRY = price_list(
    component(price="", tou_applies=True, period_prices=PRICES),
    component("fund", "0.026345", pf_base=False),
    component("capacity", "16", unit="kVA"),
    component("demand", "24", unit="kW"),
    component("fee", "3.33", unit="month"),
    code="industry",
    calendar="times",
    two_part=two_part(40),
    power_factor_applies=True,
)
HOME = price_list(
    component(price="0.538"), code="home", tiers=tiers("month", (100, 200), ("0.05", "0.30"))
)
TARIFF = book(INDUSTRY, HOME, calendars={"times": calendar()}, power_factor=power_factor())
ENERGY = st.integers(0, 10**8)


@st.composite
def accounts(draw: st.DrawFn) -> tuple[AccountUsage, AgreementTerms]:
    """An industry account of one or two feeders, some with a deducted residential sub-meter."""
    feeders = draw(st.integers(1, 2))
    usages: list[PointUsage] = []
    relations = []
    for number in range(feeders):
        rates = {rate: draw(ENERGY) for rate in FOUR_RATES}
        total_wh = sum(rates.values())
        usages.append(
            point_usage(
                f"F{number}",
                import_wh=total_wh,
                import_wh_by_rate=rates,
                reactive_varh={"1": draw(ENERGY), "4": draw(ENERGY)},
                demand_w=draw(st.integers(0, 10**7)),
                quality=draw(st.sampled_from(["actual", "estimated"])),
            )
        )
        if draw(st.booleans()):
            share = draw(st.integers(0, 100))
            usages.append(point_usage(f"H{number}", import_wh=total_wh * share // 100))
            relations.append(PointRelation(point=f"H{number}", kind="deducted", of=f"F{number}"))
    points = [
        point_terms(each.point, price_list="industry", rate_periods=FOUR_RATES)
        if each.point.startswith("F")
        else point_terms(each.point, price_list="home")
        for each in usages
    ]
    mode = draw(st.sampled_from(["capacity", "contract_demand", "measured_demand"]))
    agreed = terms(
        *points,
        relations=tuple(relations),
        basic_charge=mode,
        contract_demand_w=draw(st.integers(1, 10**7)),
        transformers=(Transformer(id="T1", capacity_va=draw(st.integers(1, 10**7))),),
        power_factor_standard=draw(st.sampled_from(["", "0.80", "0.85", "0.90"])),
    )
    return usage(*usages), agreed


def rated(account: tuple[AccountUsage, AgreementTerms]) -> Bill:
    bill = rate(account[0], TARIFF, account[1])
    assert not bill.withheld, bill.findings
    return bill


@settings(max_examples=100, deadline=None)
@given(accounts())
def test_the_total_is_the_sum_of_the_lines(account: tuple[AccountUsage, AgreementTerms]) -> None:
    bill = rated(account)
    assert bill.total_fen == sum(line.amount_fen for line in bill.lines)
    keys = [(line.code, line.point, line.from_on, line.price) for line in bill.lines]
    assert len(set(keys)) == len(keys)


@settings(max_examples=60, deadline=None)
@given(accounts(), st.randoms(use_true_random=False))
def test_the_order_of_usages_points_and_rates_does_not_matter(
    account: tuple[AccountUsage, AgreementTerms], shuffle: object
) -> None:
    taken, agreed = account

    def mixed(items: tuple) -> tuple:  # type: ignore[type-arg]
        return tuple(shuffle.sample(items, len(items)))  # type: ignore[attr-defined]

    points = [
        PointUsage(
            **{
                **{name: getattr(each, name) for name in PointUsage.__slots__},
                "import_wh_by_rate": dict(mixed(tuple(each.import_wh_by_rate.items()))),
                "reactive_varh": dict(mixed(tuple(each.reactive_varh.items()))),
            }
        )
        for each in taken.points
    ]
    other = usage(*mixed(tuple(points)))
    fields = {name: getattr(agreed, name) for name in AgreementTerms.__slots__}
    fields |= {"points": mixed(agreed.points), "relations": mixed(agreed.relations)}
    assert rate(other, TARIFF, AgreementTerms(**fields)) == rate(taken, TARIFF, agreed)


@settings(max_examples=100, deadline=None)
@given(accounts())
def test_energy_is_conserved_by_deduction_and_periods(
    account: tuple[AccountUsage, AgreementTerms],
) -> None:
    """What the feeders' meters showed, rounded, is what is billed, and every kWh once."""
    bill = rated(account)
    mains = [each for each in account[0].points if each.point.startswith("F")]
    assert bill.energy_wh == sum((each.import_wh + 500) // 1000 * 1000 for each in mains)
    billed = [line for line in bill.lines if line.code.split(".")[0] == "energy"]
    assert sum(line.quantity for line in billed) == bill.energy_wh


@given(st.integers(0, 10**9), st.integers(0, 10**7))
def test_a_household_pays_base_on_all_and_adders_above(used_wh: int, more_wh: int) -> None:
    """Monotone: more energy never costs less, and never less than at the base price."""

    def total(energy_wh: int) -> int:
        agreed = terms(point_terms(price_list="home"))
        return rate(usage(point_usage(import_wh=energy_wh)), TARIFF, agreed).total_fen

    assert total(used_wh) <= total(used_wh + more_wh)
    rounded_wh = (used_wh + 500) // 1000 * 1000
    assert total(used_wh) >= energy_amount_fen(rounded_wh, parse_price("0.538"))


EXACT = book(
    price_list(component(price="10"), code="home", tiers=tiers("month", (100, 200), ("10", "20"))),
    rounding=Rounding(energy_unit_wh=1),
)
"""A fen for each Wh: no amount is rounded, whatever the energy."""


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 500_000), st.integers(2, 31), st.integers(0, 300))
def test_splitting_a_month_and_adding_is_the_whole(wh: int, day: int, used_kwh: int) -> None:
    """With amounts that are exact in fen, parts of one book add up to the month rated whole."""
    taken = usage(point_usage(import_wh=wh))
    start = {"P1": TierPosition(key="2026-01", used_wh=used_kwh * 1000)}
    agreed = terms(point_terms(price_list="home"))
    whole = rate(taken, EXACT, agreed, start)
    parts = split_usage(taken, f"2026-01-{day:02d}")
    split = rate_parts([RatingPart(part, EXACT, agreed) for part in parts], start)
    assert split.total_fen == whole.total_fen
    assert split.energy_wh == whole.energy_wh
    assert (split.tiers_before, split.tiers_after) == (whole.tiers_before, whole.tiers_after)
