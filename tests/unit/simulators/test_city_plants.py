"""The expectations of the demo's planted bills fail when a bill says something else."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from types import SimpleNamespace
from typing import Any, cast

import pytest

from simulators.city import feed_in, relations, superseded, suspended
from simulators.city.facts import Check, Facts
from simulators.city.people import MONTHS
from simulators.city.population import make_city
from simulators.city.superseded import dearer_book

CITY = make_city(1)
Told = dict[str, list[dict[str, Any]]]


class Memory:
    """Bodies by type."""

    def __init__(self, told: Told) -> None:
        self.told = told

    def of(self, name: str, **wanted: Any) -> list[dict[str, Any]]:
        return [
            body
            for body in self.told.get(name, [])
            if all(body.get(field) == value for field, value in wanted.items())
        ]


def holds(check: Check, told: Told) -> bool:
    facts = SimpleNamespace(city=CITY, memory=Memory(told), plan=None)
    facts.of = lambda *names, **wanted: Facts.of(cast("Facts", facts), *names, **wanted)
    return check(cast("Facts", facts)).holds


def used(point: str, month: str, **energy: int) -> dict[str, Any]:
    registers = {"imported": "1-0:1.8.0", "exported": "1-0:2.8.0", "q1": "1-0:5.8.0"}
    body = {registers[name]: wh for name, wh in energy.items()} | {"1-0:8.8.0": 0}
    return {"_key": point, "usage_point": point, "day_on": f"{month}-07", "energy": body}


def invoice(role: str, month: str, *lines: tuple[str, int, int]) -> dict[str, Any]:
    """Lines are code, quantity, fen; a line's point stands after a slash of its code."""
    found = []
    for code, quantity, fen in lines:
        name, _, at = code.partition("/")
        line = {"code": name, "point": at, "quantity": quantity, "amount_fen": fen}
        found.append(line)
    account_no = CITY.cast[role]
    bill = {"lines": found}
    return {"_key": account_no, "account_no": account_no, "month": month, "bill": bill}


def suspended_told() -> Told:
    """10,000 yuan of energy beside the basic charge; funds are no base: -0.60 % of the rest."""
    point = CITY.point_of("two_part").usage_point
    adjusted = dict(zip(MONTHS, (-15_072, -13_056, -12_048), strict=True))
    return {
        "validation.usage_established": [
            used(point, month, imported=1_000_000, q1=360_000) for month in MONTHS
        ],
        "billing.invoice_issued": [
            invoice(
                "two_part",
                month,
                ("energy", 0, 1_000_000),
                ("fund.reservoir", 0, 99_999),
                ("capacity", 0, suspended.CAPACITY_FEN[month]),
                ("power_factor", 0, adjusted[month]),
            )
            for month in MONTHS
        ],
    }


def deducted_told() -> Told:
    main = CITY.point_of("deducted").usage_point
    sub = f"{main}-S"
    lines = (f"energy.peak/{main}", 800_000, 1), (f"energy/{sub}", 200_000, 10_800)
    meters = [used(main, month, imported=1_000_400) for month in MONTHS]
    meters += [used(sub, month, imported=199_900) for month in MONTHS]
    bills = [invoice("deducted", month, *lines) for month in MONTHS]
    return {"validation.usage_established": meters, "billing.invoice_issued": bills}


def fixed_told() -> Told:
    main = CITY.point_of("fixed_ratio").usage_point
    lines = (f"energy/{main}", 269_000, 1), (f"energy/{main}-F", 67_000, 1)
    adder = (f"tier.2/{main}", 5_000, 1)
    meters = [used(main, month, imported=336_000) for month in MONTHS]
    bills = [invoice("fixed_ratio", month, *lines, adder) for month in MONTHS]
    return {"validation.usage_established": meters, "billing.invoice_issued": bills}


def booked(*legs: tuple[str, int]) -> dict[str, Any]:
    """A journal entry; below zero is a credit."""
    lines = [
        {"ledger_account": name, "debit_fen": max(fen, 0), "credit_fen": max(-fen, 0)}
        for name, fen in legs
    ]
    return {"journal": {"lines": lines}}


def feed_in_told() -> Told:
    """1,000 kWh a month at 0.4153."""
    no, point = CITY.cast["panels"], CITY.point_of("panels").usage_point
    told: Told = {"validation.usage_established": []}
    for month in MONTHS:
        told["validation.usage_established"].append(used(point, month, exported=1_000_000))
        stated = {"_key": no, "month": month, "energy_wh": 1_000_000}
        told.setdefault("billing.feed_in_stated", []).append(stated)
        opened = {"_key": no, "amount_fen": 41_530}
        told.setdefault("payments.payable_opened", []).append(
            opened | booked(("feed_in_cost", 41_530), ("payable_feed_in", -41_530))
        )
        told.setdefault("payments.payable_settled", []).append(
            opened | {"kind": "transfer"} | booked(("payable_feed_in", 41_530), ("bank", -41_530))
        )
    return told


def superseded_told() -> Told:
    """1,000 kWh at peak: 869.60 yuan were billed, 894.70 it costs."""
    shops = [each for each in CITY.accounts if each.price_list == superseded.PRICE_LIST]
    told: Told = {"billing.invoice_issued": [], "billing.correction_issued": []}
    for shop in shops:
        lines = [
            {"code": "energy.peak", "quantity": 1_000_000, "amount_fen": 86_960},
            {"code": "energy", "quantity": 200_000, "amount_fen": 10_800},
        ]
        own = {"_key": shop.account_no, "account_no": shop.account_no}
        bill = {"bill_id": f"{shop.account_no}-{MONTHS[1]}"}
        told["billing.invoice_issued"].append(own | {"month": MONTHS[1], "bill": {"lines": lines}})
        told["billing.correction_issued"].append(
            own
            | {
                "cause": "book_superseded",
                "reference": "cq-commercial@2",
                "difference_fen": 2_510,
                "correction": {"bills": [bill]},
            }
        )
    return told


CASES: list[tuple[Check, Callable[[], Told], str, Callable[[dict[str, Any]], None]]] = [
    (
        suspended.suspended_transformer,
        suspended_told,
        "billing.invoice_issued",
        lambda body: body["bill"]["lines"][2].update(amount_fen=1_512_000 + 1),
    ),
    (
        suspended.suspended_transformer,
        suspended_told,
        "billing.invoice_issued",
        lambda body: body["bill"]["lines"][3].update(amount_fen=-15_071),
    ),
    (
        suspended.suspended_transformer,
        suspended_told,
        "validation.usage_established",
        lambda body: body["energy"].update({"1-0:5.8.0": 480_000}),
    ),
    (
        relations.deducted_meter,
        deducted_told,
        "billing.invoice_issued",
        lambda body: body["bill"]["lines"][0].update(quantity=1_000_000),
    ),
    (
        relations.deducted_meter,
        deducted_told,
        "billing.invoice_issued",
        lambda body: body["bill"]["lines"][1].update(amount_fen=17_392),
    ),
    (
        relations.fixed_ratio,
        fixed_told,
        "billing.invoice_issued",
        lambda body: body["bill"]["lines"][1].update(quantity=68_000),
    ),
    (
        feed_in.feed_in,
        feed_in_told,
        "billing.feed_in_stated",
        lambda body: body.update(energy_wh=999_999),
    ),
    (
        feed_in.feed_in,
        feed_in_told,
        "payments.payable_settled",
        lambda body: body.update(amount_fen=41_529),
    ),
    (
        feed_in.feed_in,
        feed_in_told,
        "payments.payable_settled",
        lambda body: body["journal"]["lines"][1].update(ledger_account="prepayment"),
    ),
    (
        superseded.superseded_book,
        superseded_told,
        "billing.correction_issued",
        lambda body: body.update(difference_fen=2_511),
    ),
    (
        superseded.superseded_book,
        superseded_told,
        "billing.correction_issued",
        lambda body: body.update(cause="late_actual"),
    ),
]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_an_expectation_holds_and_fails_when_one_figure_is_another(number: int) -> None:
    check, tell, kind, spoil = CASES[number]
    told = tell()
    assert holds(check, told)
    wrong = deepcopy(told)
    spoil(wrong[kind][0])
    assert not holds(check, wrong)
    assert not holds(check, {})


def test_the_late_book_differs_from_the_first_in_one_list_only() -> None:
    book = dearer_book()
    assert (book.id, book.version, book.from_on) == ("cq-commercial", 2, "2026-03-01")
    (energy,) = book.price_lists["commercial_tou"].components
    assert energy.period_prices["peak"] == "0.8947"
    assert book.price_lists["residential_shared"].components[0].price == "0.54"
