"""Who lives in the city: about 60 usage points of every kind that the system knows.

    city = make_city(seed=1)
    city.points[0].usage_point      "P-0001"

Everything is derived from the seed, so the same seed gives the same customers, meters and loads.
"""

from __future__ import annotations

import random
from dataclasses import replace

from simulators.city import feed_in, mass_cut, transfers, wrong_class
from simulators.city.people import (
    FIRST_ON,
    IMPORT_RATES,
    PEAK_VALLEY,
    TOU_RATES,
    Account,
    City,
    Point,
    Settle,
    next_number,
)

ROLES = (
    "silent",
    "late_actual",
    "bad_frames",
    "spike",
    "rollover",
    "exchange",
    "jump",
    "repeated_payment",
    "forged_payment",
    "altered_payment",
    "late_payment",
    "cut_off",
    "race",
    "stuck_relay",
    "works",
    "bench",
    "prepaid",
    "fixed_ratio",
)
RESIDENTIAL = 38
WITH_PROFILE = 4
MISPROGRAMMED = {WITH_PROFILE: "slot_table", 5: "slot_table_blind"}
"""Shops whose meter's slot table contradicts the book; of the first the load profile is read."""
BEHIND = range(18, 38)
"""The homes that a concentrator reads; the first of them has a load profile."""


def _add_home(city: City, rng: random.Random, index: int) -> None:
    number = next_number(city)
    account_no = f"1{number:09d}"
    role = ROLES[index] if index < len(ROLES) else ""
    if role:
        city.cast[role] = account_no
    city.accounts.append(
        Account(
            account_no=account_no,
            category="residential",
            price_list="residential",
            household_size=rng.choice((2, 3, 3, 4, 5)),
            language=rng.choice(("zh", "zh", "en")),
            payment_mode="prepaid_remote" if role == "prepaid" else "postpaid",
        )
    )
    near_rollover = role == "rollover"
    is_behind = index in BEHIND
    if index == BEHIND[0]:
        city.cast["behind"] = account_no
    city.points.append(
        Point(
            usage_point=f"P-{number:04d}",
            account_no=account_no,
            meter_no=f"M-{number:04d}",
            address=f"{number:012d}",
            line="concentrator" if is_behind else f"area-{index % 4 + 1}",
            protocol="qgdw376" if is_behind else "dlt645_2007",
            pn=BEHIND.index(index) + 1 if is_behind else 0,
            intervals=index == BEHIND[0],
            area=f"A-{index % 4 + 1:02d}",
            annual_kwh=rng.randrange(1400, 4600),
            initial_kwh=999_950 if near_rollover else rng.randrange(0, 40_000),
            capacity_kw=12,
            close_mode="button" if role == "race" else "closes",
        )
    )
    if role == "fixed_ratio":
        main = city.points[-1]
        city.points.append(
            replace(
                main,
                usage_point=f"{main.usage_point}-F",
                meter_no="",
                relation="fixed_ratio",
                parent=main.usage_point,
                share="0.2",
                switching_method="none",
            )
        )


def _add_tou_home(city: City, rng: random.Random, index: int) -> None:
    number = next_number(city)
    account_no = f"1{number:09d}"
    has_panels = index == 6
    registers = ("1-0:1.8.0", "1-0:1.8.2", "1-0:1.8.4") + (("1-0:2.8.0",) if has_panels else ())
    city.accounts.append(
        Account(
            account_no=account_no,
            category="residential",
            price_list="residential_tou",
            region="Zhejiang",
            language="zh",
            feed_in_price_list=feed_in.PRICE_LIST if has_panels else "",
        )
    )
    if index == 0:
        city.cast["late_book"] = account_no
    if index == 1:
        city.cast["over_voltage"] = account_no
    if has_panels:
        city.cast["panels"] = account_no
    city.points.append(
        Point(
            usage_point=f"P-{number:04d}",
            account_no=account_no,
            meter_no=f"M-{number:04d}",
            address=f"{number:012d}",
            line="area-5",
            area="A-05",
            annual_kwh=rng.randrange(2500, 9000),
            registers=registers,
            rate_periods=PEAK_VALLEY,
            day_table="peak_valley",
            initial_kwh=rng.randrange(0, 30_000),
            capacity_kw=16,
            shape="P25" if has_panels else "H25",
            export_ratio="0.3" if has_panels else "0",
        )
    )


def _add_shop(city: City, rng: random.Random, index: int) -> None:
    number = next_number(city)
    account_no = f"1{number:09d}"
    city.accounts.append(
        Account(
            account_no=account_no,
            category="non_residential",
            price_list="commercial_tou",
            language="zh",
        )
    )
    main = Point(
        usage_point=f"P-{number:04d}",
        account_no=account_no,
        meter_no=f"M-{number:04d}",
        address=f"{number:012d}",
        line="bus-1" if index < 2 else "area-6",
        area="A-06",
        annual_kwh=rng.randrange(30_000, 160_000),
        shape="G25",
        phases=3,
        ratio=40,
        accuracy_class="1",
        registers=IMPORT_RATES,
        rate_periods=TOU_RATES,
        day_table="commercial_late" if index in MISPROGRAMMED else "commercial",
        intervals=index == WITH_PROFILE,
        initial_kwh=rng.randrange(0, 5_000),
        capacity_kw=120,
    )
    city.points.append(main)
    if index in MISPROGRAMMED:
        city.cast[MISPROGRAMMED[index]] = account_no
    if index == 0:
        city.cast["deducted"] = account_no
        city.points.append(
            Point(
                usage_point=f"P-{number:04d}-S",
                account_no=account_no,
                meter_no=f"M-{number:04d}-S",
                address=f"{number + 900:012d}",
                line="area-6",
                area="A-06",
                annual_kwh=2_500,
                price_list="residential_shared",
                category="residential",
                relation="deducted",
                parent=main.usage_point,
                capacity_kw=12,
            )
        )


def _add_factory(city: City, rng: random.Random, index: int) -> None:
    number = next_number(city)
    account_no = f"1{number:09d}"
    mode = ("capacity", "capacity", "contract", "measured")[index]
    city.accounts.append(
        Account(
            account_no=account_no,
            category="industrial",
            price_list="large_industry",
            voltage_class="10kv",
            metering_side="high",
            demand_mode=mode,
            contract_demand_kw=400 if mode == "contract" else 0,
            pf_standard="0.90",
        )
    )
    for transformer_no, kva in ((f"T-{number}-1", 630), (f"T-{number}-2", 315)):
        row = {
            "account_no": account_no,
            "transformer_no": transformer_no,
            "valid_from": FIRST_ON,
            "kva": kva,
            "model": f"S11-M-{kva}/10",
            "state": "in_use",
        }
        city.rows.setdefault("transformers", []).append(row)
    if index == 0:
        city.cast["two_part"] = account_no
    city.points.append(
        Point(
            usage_point=f"P-{number:04d}",
            account_no=account_no,
            meter_no=f"M-{number:04d}",
            address=f"{number:012d}",
            line="feeder-1",
            area="F-01",
            annual_kwh=rng.randrange(1_200_000, 2_400_000),
            shape="G25",
            phases=3,
            ratio=5000,
            accuracy_class="0.5S",
            registers=(*IMPORT_RATES, "1-0:5.8.0", "1-0:8.8.0", "1-0:1.6.0"),
            rate_periods=TOU_RATES,
            day_table="commercial",
            initial_kwh=rng.randrange(0, 300),
            capacity_kw=900,
            intervals=index == 0,
            switching_method="none",
            voltage_v="57.7",
        )
    )


def _add_sdm630(city: City, rng: random.Random, index: int) -> None:
    number = next_number(city)
    account_no = f"1{number:09d}"
    city.cast["modbus"] = account_no
    city.accounts.append(
        Account(
            account_no=account_no,
            category="residential",
            price_list="residential_shared",
            region="cq-commercial",
            language="en",
        )
    )
    city.points.append(
        Point(
            usage_point=f"P-{number:04d}",
            account_no=account_no,
            meter_no=f"M-{number:04d}",
            address="1",
            line="modbus-1",
            area="A-07",
            annual_kwh=rng.randrange(5_000, 9_000),
            phases=3,
            accuracy_class="1",
            protocol="modbus_sdm630",
            switching_method="field_ticket",
            capacity_kw=40,
        )
    )


SUPPLIER_NO = "9000000001"
"""The account of the supplier itself: it has no agreement, so nothing is ever billed to it."""
GATED_AREA = "A-05"
LOSS_PCT = "2.5"


def _add_gate(city: City) -> None:
    """A gate meter over the time-of-use homes; the largest without another story is the one that
    will bypass its meter."""
    members = [point for point in city.points if point.area == GATED_AREA and point.meter_no]
    told = set(city.cast.values())
    idle = [point for point in members if point.account_no not in told]
    city.cast["bypass"] = max(idle, key=lambda point: point.annual_kwh).account_no
    city.gates.append(
        Point(
            usage_point="G-A05",
            account_no=SUPPLIER_NO,
            meter_no="M-G-A05",
            address="000000000995",
            line="area-5",
            area=GATED_AREA,
            annual_kwh=0,
            phases=3,
            ratio=20,
            accuracy_class="0.5S",
            voltage_class="lt1kv",
            switching_method="none",
            capacity_kw=200,
            loss_role="gate",
            sum_of=tuple(point.meter_no for point in members),
        )
    )


RESIDENTS: tuple[tuple[int, Settle], ...] = (
    (RESIDENTIAL, _add_home),
    (7, _add_tou_home),
    (6, _add_shop),
    (4, _add_factory),
    (1, _add_sdm630),
    (len(mass_cut.ROLES), mass_cut.settle),
    (1, wrong_class.settle),
)
"""How many of each kind, in the order of their account numbers. Who comes later is added at the
end: numbers and loads of the others then stay."""


def make_city(seed: int) -> City:
    """The city of a seed."""
    rng = random.Random(seed)
    city = City()
    for count, settle in RESIDENTS:
        for index in range(count):
            settle(city, rng, index)
    _add_gate(city)
    transfers.cast(city)
    return city
