"""What an account, a usage point and the city are to the demo, and the days that it plays.

population.py says who lives there; a story that needs somebody of its own adds them in a module of
its own (see `population.RESIDENTS`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

FIRST_ON = "2026-02-01"
MONTHS = ("2026-02", "2026-03", "2026-04")
START_AT = "2026-01-31T16:00:00Z"
TOU_RATES = "1=sharp;2=peak;3=flat;4=valley"
PEAK_VALLEY = "2=peak;4=valley"
IMPORT_RATES = ("1-0:1.8.0", "1-0:1.8.1", "1-0:1.8.2", "1-0:1.8.3", "1-0:1.8.4")
DAY_TABLES = {
    "commercial": [
        ("00:00", 4), ("07:00", 3), ("11:00", 2), ("17:00", 3), ("20:00", 2), ("22:00", 3),
        ("23:00", 4),
    ],
    "commercial_late": [
        ("00:00", 4), ("08:00", 3), ("11:00", 2), ("17:00", 3), ("20:00", 2), ("22:00", 3),
        ("23:00", 4),
    ],
    "peak_valley": [("00:00", 4), ("08:00", 2), ("22:00", 4)],
}  # fmt: skip
"""What meters are programmed with. The first and the last are what the books say of the months that
the demo plays; one table for all days is enough there, because the sharp months are others and no
book treats weekends or holidays differently. `commercial_late` has the morning an hour late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One usage point with its meter and account. line: the simulator's line name; pn: its point
    behind the concentrator, 0 elsewhere."""

    usage_point: str
    account_no: str
    meter_no: str
    address: str
    line: str
    annual_kwh: int
    shape: str = "H25"
    phases: int = 1
    ratio: int = 1
    accuracy_class: str = "2"
    protocol: str = "dlt645_2007"
    registers: tuple[str, ...] = ("1-0:1.8.0",)
    rate_periods: str = ""
    day_table: str = ""
    price_list: str = ""
    category: str = ""
    area: str = "A-01"
    switching_method: str = "meter_relay"
    intervals: bool = False
    relation: str = ""
    parent: str = ""
    share: str = ""
    digits: int = 6
    initial_kwh: int = 0
    capacity_kw: int = 20
    voltage_v: str = "220.0"
    export_ratio: str = "0"
    close_mode: str = "closes"
    loss_role: str = ""
    voltage_class: str = ""
    sum_of: tuple[str, ...] = ()
    pn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account with its agreement. region: or the id of the one price book that counts."""

    account_no: str
    category: str
    price_list: str
    region: str = "Chongqing"
    voltage_class: str = "lt1kv"
    metering_side: str = "low"
    demand_mode: str = "none"
    contract_demand_kw: int = 0
    pf_standard: str = ""
    payment_mode: str = "postpaid"
    household_size: int = 3
    language: str = "zh"
    feed_in_price_list: str = ""


@dataclass(slots=True)
class City:
    """All accounts and points, the supplier's own gate meters, and what each planted person or
    meter is called. rows: further rows of import files by the file's name (transformers), of which
    one may have columns that another has not."""

    accounts: list[Account] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    gates: list[Point] = field(default_factory=list)
    cast: dict[str, str] = field(default_factory=dict)
    rows: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    def point_of(self, role: str) -> Point:
        """The first point of the account that plays a role."""
        account_no = self.cast[role]
        return next(point for point in self.points if point.account_no == account_no)


Settle = Callable[[City, Random, int], None]
"""Adds the account and the points of one who lives there; the number counts those of a kind."""


def next_number(city: City) -> int:
    """The number of the next account: account 1000000001 is number 1."""
    return len(city.accounts) + 1
