"""What is told to billing in a simulation: agreements of every kind, usage, cases, books."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

from services.billing.agreement import TRANSFORMER_STATES
from services.billing.price_book import LossRow, LossTable, PriceBook
from services.billing.reactions import ForeignPoint, ForeignTerms, ForeignTransformer
from tests.unit.billing.builders import book, component, power_factor, price_list, two_part
from tests.unit.billing_core.office import (
    IMPORT,
    agreement,
    days,
    decided,
    demand,
    external_line,
    home_book,
    opening,
    point,
    proposed,
    published,
    release,
    terms,
    usage,
)
from tests.unit.billing_core.office import component as own_component
from tests.unit.billing_core.test_bills import AS_SHOP

EXPORT = "1-0:2.8.0"
SUPPLY = ("2026-01-27", "2026-02-05")

Input = tuple[str, Any]
"""The account, "" for all partitions, and the body."""


INDUSTRY = price_list(
    component(price="0.60"),
    component("capacity", "16", unit="kVA"),
    component("demand", "40", unit="kW"),
    code="industry",
    category="large_industry",
    voltage_class="1_10kv",
    two_part=two_part(40, load_hours_kwh_per_kva=1, price_percent_above=90),
    power_factor_applies=True,
)
LOSSES = LossTable(
    rows=(LossRow(above_wh=0, loss_wh=30_000), LossRow(above_wh=10**6, loss_wh=50_000))
)
KINDS = ("", "fixed", "passing_on", "capacity", "measured")


@cache
def city_book(price: str = "0.50", **changes: Any) -> PriceBook:
    """The home book with free energy and a minimum, a two-part list, a loss table and the table of
    power factors."""
    lists = dict(home_book(price).price_lists)
    least = {"minimum_charge": "40", "minimum_per": "month"}
    lists["home"] = replace(lists["home"], free_allowance_wh=15_000, **least)
    more = {"loss_tables": {"S11": LOSSES}, "power_factor": power_factor()}
    return book(*lists.values(), INDUSTRY, **more, **changes)


def points_of(kind: str, name: str, **main: Any) -> list[ForeignPoint]:
    """The main point, and what is behind it or shares its energy."""
    found = [point(name, SUPPLY[0], **main)]
    behind = {"parent_point": name}
    if kind == "fixed":
        found.append(point(f"{name}F", "2026-01-30", relation="fixed_ratio", share="0.3", **behind))
        quantity = {"quantity_wh": 31_000, **behind}
        found.append(point(f"{name}Q", SUPPLY[0], relation="fixed_quantity", **quantity))
    if kind == "passing_on":
        found.append(point(f"{name}T", SUPPLY[0], relation="transferred", **behind))
    return found


def rows_of(kind: str, moved_out_on: str = SUPPLY[1], **sold: Any) -> list[ForeignTerms]:
    if kind not in ("capacity", "measured"):
        return [terms(SUPPLY[0], moved_out_on=moved_out_on, **sold)]
    industry = {"category": "industrial", "price_list": "industry", "voltage_class": "10kv"}
    industry |= {"demand_mode": kind, "pf_standard": "0.90", "moved_out_on": moved_out_on}
    return [terms(SUPPLY[0], **industry, **sold)]


def own_charges(random: Random, name: str) -> dict[str, Any]:
    """What only this account is charged; another version of its agreement may know of others."""
    found: dict[str, Any] = {}
    if random.random() < 0.3:
        days_on = random.choice(((SUPPLY[0], ""), ("2026-01-30", "2026-02-03")))
        found["components"] = (replace(own_component("own", *days_on), usage_point=name),)
    if random.random() < 0.3:
        amount_fen = random.choice((-500, -20_000, 700))
        line = external_line(month=random.choice(("2026-01", "2026-02")))
        found["external_lines"] = (replace(line, amount_fen=amount_fen),)
    return found


def transformers(random: Random) -> tuple[ForeignTransformer, ...]:
    """A whole one with a table, and a part of one with a plate that rests from some day on."""
    days_on = {"from_on": SUPPLY[0], "to_on": ""}
    rests_on = random.choice(("2026-01-30", "2026-02-02"))
    shared = {"transformer_no": "T2", "kva": 30, "model": "", "share": "0.4", "shared_with": "A9"}
    shared |= {"iron_loss_w": 90, "copper_loss_w": 600}
    return (
        ForeignTransformer(transformer_no="T1", kva=20, model="S11", state="in_use", **days_on),
        ForeignTransformer(**shared, state="in_use", from_on=SUPPLY[0], to_on=rests_on),
        ForeignTransformer(
            **shared, state=random.choice(TRANSFORMER_STATES), from_on=rests_on, to_on=""
        ),
    )


def used(
    day: str,
    wh: int,
    name: str,
    no: str,
    revision: int = 1,
    energy: dict[str, int] | None = None,
    **changes: Any,
) -> Any:
    """A day's usage; every meter has reactive registers and a demand, `energy` is what else."""
    registers = {IMPORT: wh, "1-0:5.8.0": wh // 3, "1-0:8.8.0": wh // 10, **(energy or {})}
    peak = (demand(wh // 10, f"{day}T04:00:00Z"),)
    at = {"point": name, "account_no": no, "energy": registers, "demands": peak}
    return usage(day, revision=revision, **at, **changes)


def inputs_of(random: Random, no: str) -> list[Input]:
    """What is told about one account, in whatever order it will come."""
    name, kind = f"P{no[1:]}", random.choice(KINDS)
    is_producer = random.random() < 0.6
    sold: dict[str, Any] = {"feed_in_price_list": "sold"} if is_producer else {}
    if random.random() < 0.3:
        sold["low_income"] = True
    if no == "A2":
        sold["payment_mode"] = "prepaid_remote"
    rows = rows_of(kind, **sold)
    own = {"price_list": "", "category": "", "voltage_class": "", "metering_side": ""}
    main = own if kind in ("capacity", "measured") else {}
    agreed: dict[str, Any] = {"account_no": no}
    if main:
        agreed["transformers"] = transformers(random)
    points = points_of(kind, name, **main)
    first = agreement(*points, rows=rows, **agreed, **own_charges(random, name))
    told: list[Any] = [first, first]
    for day in days(*SUPPLY):
        energy = export(random, is_producer)
        told.append(used(day, random.choice((9_000, 60_000)), name, no, energy=energy))
        if kind == "passing_on":
            told.append(used(day, random.choice((1_000, 8_400)), f"{name}T", no))
    for day in random.sample(days(*SUPPLY), 3):
        told.append(used(day, 12_000, name, no, 2, quality="estimated"))
        energy = export(random, is_producer)
        told.append(used(day, random.choice((12_000, 12_100, 250_000)), name, no, 3, energy=energy))
    if main and random.random() < 0.5:
        changed = agreed | {"transformers": transformers(random)} | own_charges(random, name)
        told.append(agreement(*points, rows=rows, **changed, version=2))
    elif not main and random.random() < 0.4:
        cut = "2026-02-03"
        others = points[1:]
        halves = point(name, SUPPLY[0], to_on=cut), point(name, cut, **AS_SHOP)
        changed = agreed | own_charges(random, name)
        told.append(agreement(*halves, *others, rows=rows, version=2, **changed))
    if random.random() < 0.3:
        gone = rows_of(kind, "2026-02-02", **sold)
        changed = agreed | own_charges(random, name)
        told.append(agreement(*points, rows=gone, version=3, **changed))
    if random.random() < 0.5:
        as_of = random.choice(("2025-12-31", "2026-01-28"))
        made = opening(as_of, 900_000)
        told.append(replace(made, opening=replace(made.opening, account_no=no)))
    if random.random() < 0.5:
        case = {"account_no": no, "usage_point": name, "from_on": "2026-01-29"}
        case |= {"to_on": "2026-02-03"}
        if random.random() < 0.5:
            case |= {"kind": "wiring", "error_e4_pct": 0, "factor_num": 3, "factor_den": 2}
        told += [proposed(**case), decided(**case), decided(decision="refused", **case)][
            : random.choice((1, 2, 3))
        ]
    for month in ("2026-01", "2026-02"):
        told.append(release(f"{no}-{month}", account_no=no))
    return [(no, body) for body in told]


def export(random: Random, is_producer: bool) -> dict[str, int]:
    """What a producer feeds in on a day."""
    return {EXPORT: random.choice((0, 1_001, 7_777))} if is_producer else {}


def books(random: Random) -> list[Input]:
    """The book, again, a wrong one under its name, and perhaps a dearer version."""
    home = city_book()
    told = [published(home), published(home), published(city_book("0.70"), digest="0" * 64)]
    if random.random() < 0.5:
        told.append(published(city_book("0.60", version=2, from_on="2026-01-30")))
    sold = price_list(component("sold", "0.40"), code="sold", kind="feed_in")
    told += [published(book(sold, id="sold"))] * 2
    if random.random() < 0.3:
        dear = replace(sold, components=(component("sold", "0.45"),))
        told.append(published(book(dear, id="sold", version=2, from_on="2026-02-02")))
    return [("", body) for body in told]
