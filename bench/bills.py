"""How many bills a second one core rates, through the function that billing calls.

Residential: one point, a price and two tiers, of which most months reach the second. Two-part: one
point with four rates on the 10 kV list, capacity, funds and power factor. Each bill has a usage of
its own and agreements take turns, as in a run over accounts. The baseline does the same sums on
bare integers and keeps no line, rule, basis or check: what is between is what a bill must say.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bench.figures import Figure
from services.billing.agreement import AgreementTerms, PointTerms, Transformer
from services.billing.bill import RatingPart
from services.billing.price_book import PriceBook
from services.billing.price_book_file import BOOKS, load_book
from services.billing.rating import rate_parts
from services.billing.tiers import TierPosition
from services.billing.usage import AccountUsage, PointUsage

BILLS, AGREEMENTS, SEED = 2_000, 500, 1
MONTH = ("2026-03-01", "2026-04-01")
RATES = {"1": "sharp", "2": "peak", "3": "flat", "4": "valley"}
Job = tuple[RatingPart, dict[str, TierPosition]]


def residential_jobs(count: int) -> list[Job]:
    """Households by the Chongqing book."""
    draw, book = random.Random(SEED), load_book(BOOKS / "cq_residential.yaml")
    agreed = [
        AgreementTerms(
            account=f"A{number}",
            price_book=book.id,
            points=(
                PointTerms(
                    point=f"P{number}",
                    price_list="residential",
                    category="residential",
                    voltage_class="lt1kv",
                ),
            ),
        )
        for number in range(AGREEMENTS)
    ]
    jobs: list[Job] = []
    for number in range(count):
        terms = agreed[number % AGREEMENTS]
        usage = _usage(terms, import_wh=draw.randrange(80_000, 400_000))
        jobs.append((RatingPart(usage, book, terms), {}))
    return jobs


def two_part_jobs(count: int) -> list[Job]:
    """Factories at 10 kV with two transformers and a power-factor standard."""
    draw, book = random.Random(SEED), load_book(BOOKS / "cq_industry_10kv.yaml")
    agreed = [
        AgreementTerms(
            account=f"A{number}",
            price_book=book.id,
            points=(
                PointTerms(
                    point=f"P{number}",
                    price_list="large_industry",
                    category="large_industry",
                    voltage_class="1_10kv",
                    metering_side="high",
                    rate_periods=RATES,
                ),
            ),
            basic_charge="capacity",
            transformers=(
                Transformer(id="T1", capacity_va=630_000),
                Transformer(id="T2", capacity_va=315_000),
            ),
            power_factor_standard="0.90",
        )
        for number in range(AGREEMENTS)
    ]
    jobs: list[Job] = []
    for number in range(count):
        terms = agreed[number % AGREEMENTS]
        rates = {rate: draw.randrange(20_000_000, 60_000_000) for rate in ("2", "3", "4")}
        rates["1"] = 0
        energy = sum(rates.values())
        usage = _usage(
            terms,
            import_wh=energy,
            import_wh_by_rate=rates,
            reactive_varh={"1": energy * 4 // 10, "4": 1_000_000},
            demand_w=600_000,
        )
        jobs.append((RatingPart(usage, book, terms), {}))
    return jobs


def _usage(terms: AgreementTerms, **used: object) -> AccountUsage:
    name = terms.points[0].point
    fields: dict[str, Any] = {
        "reading_ids": (f"{name}@{MONTH[0]}", f"{name}@{MONTH[1]}"),
        **used,
    }
    point = PointUsage(point=name, from_on=MONTH[0], until_on=MONTH[1], **fields)
    return AccountUsage(
        account=terms.account,
        period=MONTH[0][:7],
        cycle_from_on=MONTH[0],
        cycle_until_on=MONTH[1],
        from_on=MONTH[0],
        until_on=MONTH[1],
        points=(point,),
    )


def rate_all(jobs: Sequence[Job]) -> Callable[[], int]:
    """Every job through the function that billing calls."""

    def run() -> int:
        total_fen = 0
        for part, tiers in jobs:
            bill = rate_parts((part,), tiers)
            assert not bill.withheld
            total_fen += bill.total_fen
        return total_fen

    return run


def _bare_residential(jobs: Sequence[Job], book: PriceBook) -> Callable[[], int]:
    """The sums of a household's bill and nothing else."""
    price, adders = 5_200, (500, 3_000)

    def run() -> int:
        total_fen = 0
        for part, _ in jobs:
            kwh = (part.usage.points[0].import_wh + 500) // 1000
            second = max(0, min(kwh, 320) - 200)
            third = max(0, kwh - 320)
            for amount in (kwh * price, second * adders[0], third * adders[1]):
                total_fen += (amount + 50) // 100
        return total_fen

    assert book.price_lists["residential"].components[0].price == "0.52"
    return run


def _bare_two_part(jobs: Sequence[Job]) -> Callable[[], int]:
    """The sums of a factory's charges without the adjustment."""
    prices = {"2": 5_440, "3": 3_400, "4": 2_071}

    def run() -> int:
        total_fen = 0
        for part, _ in jobs:
            used, total = part.usage.points[0].import_wh_by_rate, 0
            for rate, price in prices.items():
                kwh = (used[rate] + 500) // 1000
                total += kwh
                total_fen += (kwh * price + 50) // 100
            for fund in (40, 200, 20):
                total_fen += (total * fund + 50) // 100
            total_fen += 945 * 1_600
        return total_fen

    return run


def figures() -> Iterator[Figure]:
    """Both kinds of bills; the household sums of both ways are the same."""
    homes, factories = residential_jobs(BILLS), two_part_jobs(BILLS)
    bare = _bare_residential(homes, homes[0][0].book)
    name = "bare integers"
    yield Figure("residential", "bills/s", BILLS, rate_all(homes), name, bare, 20_000)
    bare = _bare_two_part(factories)
    yield Figure("two-part", "bills/s", BILLS, rate_all(factories), name, bare, 5_000)
