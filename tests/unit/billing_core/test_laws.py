"""Laws over any history: one result by every road, nothing forgotten, no work without news.

A history is one account's four months: usage with revisions, up to two versions of the book and of
the agreement, perhaps an opening and a case; all of it in any order, with ticks in between and a
person who releases what is held. What stands in the end is worked out here a second time, in plain
arithmetic: whole kWh of each part of a month, 50 or 60 (shop 80) fen each, and 10 fen above
1,000 kWh of the year.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.events import (
    BillCalculated,
    BillReleased,
    BillWithheld,
    CorrectionIssued,
    InvoiceIssued,
    PriceAwaited,
)
from services.billing.months import month_span
from tests.unit.billing_core.office import (
    AS_SHOP,
    HOME,
    IMPORT,
    Office,
    agreement,
    days,
    decided,
    home_book,
    month_of_usage,
    office,
    opening,
    point,
    published,
    release,
    terms,
    usage,
)

MONTHS = ("2026-01", "2026-02", "2026-03", "2026-04")
SHOP_FROM, GONE_ON, DEAR_FROM = "2026-02-11", "2026-03-11", "2026-02-16"
CASE = {"from_on": "2026-01-20", "to_on": "2026-02-06"}


@dataclass
class History:
    """What happened in the end, and the inputs that told it."""

    is_dear: bool
    ending: str
    opened: tuple[str, int] | None
    has_case: bool
    final_wh: dict[str, int] = field(default_factory=dict)
    inputs: list[tuple[str, list[Any]]] = field(default_factory=list)

    # -- the same in plain arithmetic --------------------------------------------------------

    def supply(self) -> tuple[str, str]:
        first = "2026-01-01"
        if self.opened and self.opened[0] == "2026-01-31":
            first = "2026-02-01"
        return first, GONE_ON if self.ending == "gone" else "9999-12-31"

    def price_fen(self, on: str) -> tuple[int, bool]:
        if self.ending == "shop" and on >= SHOP_FROM:
            return 80, False
        return (60, True) if self.is_dear and on >= DEAR_FROM else (50, True)

    def part_wh(self, start: str, end: str) -> int:
        """Energy of some days; the case takes 3/103 of its own days off, rounded from the 1st."""

        def taken(until: str) -> int:
            first = f"{start[:7]}-01"
            counted = [on for on in days(first, until) if CASE["from_on"] <= on < CASE["to_on"]]
            excess = 2 * 30_000 * sum(self.final_wh[on] for on in counted) + 1_030_000
            return excess // (2 * 1_030_000)

        wh = sum(self.final_wh[on] for on in days(start, end))
        return wh - (taken(end) - taken(start)) if self.has_case else wh

    def expected_fen(self) -> dict[str, int]:
        """What every month comes to in the end."""
        begin, end = self.supply()
        used_kwh = self.opened[1] // 1000 if self.opened and self.opened[0] > "2026" else 0
        totals = {}
        for month in MONTHS:
            first, last = max(begin, month_span(month)[0]), min(end, month_span(month)[1])
            if first >= last:
                continue
            cuts = {first, last}
            cuts |= {SHOP_FROM} & set(days(first, last)) if self.ending == "shop" else set()
            cuts |= {DEAR_FROM} & set(days(first, last)) if self.is_dear else set()
            total = 0
            for start, stop in pairwise(sorted(cuts)):
                price, has_tiers = self.price_fen(start)
                kwh = (self.part_wh(start, stop) + 500) // 1000
                total += kwh * price
                if has_tiers:
                    above = max(0, used_kwh + kwh - 1000) - max(0, used_kwh - 1000)
                    total += above * 10
                    used_kwh += kwh
            totals[month] = total
        return totals


def make_history(random: Random) -> History:
    made = History(
        is_dear=random.random() < 0.5,
        ending=random.choice(("", "", "gone", "shop")),
        opened=random.choice((None, None, ("2025-12-31", 900_000), ("2026-01-31", 900_000))),
        has_case=random.random() < 0.4,
    )
    for month in MONTHS:
        daily = {
            body.day_on: random.choice((9_300, 10_000, 12_345)) for body in month_of_usage(month)
        }
        made.final_wh |= daily
        body = [usage(on, wh) for on, wh in daily.items()]
        made.inputs += [("usage", body[:14]), ("usage", body[14:])]
    for on in random.sample(sorted(made.final_wh), random.randrange(5)):
        latest = random.choice((0, 9_300, 250_000, 20_500))
        first = random.choice((5_000, latest))
        made.final_wh[on] = latest
        made.inputs.append(("usage", [usage(on, first, revision=2, quality="estimated")]))
        made.inputs.append(("usage", [usage(on, latest, revision=3)]))
    made.inputs.append(("book", [published(HOME)]))
    if made.is_dear:
        dear = home_book("0.60", version=2, from_on=DEAR_FROM)
        made.inputs.append(("book", [published(dear), published(dear)]))
    made.inputs.append(("agreement", [agreement()]))
    if made.ending == "gone":
        made.inputs.append(
            ("agreement", [agreement(version=2, rows=[terms(moved_out_on=GONE_ON)])])
        )
    if made.ending == "shop":
        points = point(to_on=SHOP_FROM), point(from_on=SHOP_FROM, **AS_SHOP)
        made.inputs.append(("agreement", [agreement(*points, version=2)]))
    if made.opened:
        made.inputs.append(("opening", [opening(*made.opened)]))
    if made.has_case:
        made.inputs.append(("case", [decided(**CASE)]))
    return made


def tell(made: Office, bodies: list[Any], kind: str) -> None:
    made.feed(*bodies, key="" if kind == "book" else "A1")


def release_held(made: Office) -> None:
    """A person releases what is held, as it was last calculated."""
    draft = made.account.draft if made.fold.get("A1") else None
    if draft is not None:
        made.feed(release(draft.bill_id, calculation=draft.calculation))


def settle(made: Office, on: str) -> None:
    """Ticks and releases until nothing moves; it must not take for ever."""
    for _ in range(20):
        moved = made.tick(on)
        released = len(made.of(BillReleased))
        release_held(made)
        if not moved and len(made.of(BillReleased)) == released:
            return
    raise AssertionError("it never came to rest")


def stands_fen(made: Office) -> dict[str, int]:
    """Invoice plus all rounds, by month."""
    totals: Counter[str] = Counter()
    for body in made.of(InvoiceIssued):
        totals[body.month] += body.total_fen
    for body in made.of(CorrectionIssued):
        assert body.difference_fen == sum(each.total_fen for each in body.correction.bills)
        for each in body.correction.bills:
            totals[each.bill_id.removeprefix("A1-")] += each.total_fen
    return dict(totals)


def check(made: Office, history: History) -> None:
    made.check_folds()
    expected = history.expected_fen()
    stands = stands_fen(made)
    assert {month: fen for month, fen in stands.items() if fen} == {
        month: fen for month, fen in expected.items() if fen
    }
    assert set(expected) <= set(stands), "a month was forgotten"
    invoices = [body.invoice_no for body in made.of(InvoiceIssued)]
    assert len(invoices) == len(set(invoices)), "an invoice was issued twice"
    numbers = [body.round_no for body in made.of(CorrectionIssued)]
    assert numbers == list(range(1, len(numbers) + 1))
    for issued in made.account.issued:
        assert issued.bill.total_fen == stands[issued.bill.period]
    # Nothing is new: no tick asks about the account, until a month is over that has no usage.
    asked = made.asked["clock.ticked"]
    made.live("2026-05-05", "2026-05-20")
    assert made.asked["clock.ticked"] == asked


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30))
def test_whatever_comes_first_the_same_bills_stand_in_the_end(seed: int) -> None:
    """All inputs in any order, ticks in between by the day or by the month."""
    random = Random(seed)
    history = make_history(random)
    random.shuffle(history.inputs)
    made = Office()
    calendar = days("2026-01-01", "2026-05-04")
    step = random.choice((1, 7, 40))
    for number, (kind, bodies) in enumerate(history.inputs):
        tell(made, bodies, kind)
        place = number * len(calendar) // len(history.inputs)
        for on in calendar[place : place + step : step]:
            made.tick(on)
            if random.random() < 0.5:
                release_held(made)
    settle(made, "2026-05-04")
    check(made, history)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30))
def test_before_the_first_tick_the_order_of_inputs_leaves_no_trace(seed: int) -> None:
    random = Random(seed)
    history = make_history(random)
    results = []
    for _ in range(2):
        random.shuffle(history.inputs)
        made = Office()
        for kind, bodies in history.inputs:
            tell(made, bodies, kind)
        settle(made, "2026-05-04")
        results.append(
            [body for _, body in made.log if isinstance(body, (BillCalculated, InvoiceIssued))]
        )
        assert made.of(CorrectionIssued) == []
        check(made, history)
    assert results[0] == results[1]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 30))
def test_repeating_every_input_changes_nothing(seed: int) -> None:
    random = Random(seed)
    history = make_history(random)
    made = Office()
    for kind, bodies in history.inputs:
        tell(made, bodies, kind)
    settle(made, "2026-05-04")
    before = made.account
    random.shuffle(history.inputs)
    for kind, bodies in history.inputs:
        tell(made, bodies, kind)
    assert made.account == before


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 30))
def test_no_account_is_forgotten(seed: int) -> None:
    """Some of the inputs never come: the next month waits, is held or withheld, with a reason."""
    random = Random(seed)
    history = make_history(random)
    random.shuffle(history.inputs)
    made = Office()
    for kind, bodies in history.inputs[random.randrange(len(history.inputs)) :]:
        tell(made, bodies, kind)
    settle(made, "2026-05-04")
    made.check_folds()
    if made.fold.get("A1") is None or made.account.agreement is None:
        return
    billed = {body.month for body in made.of(InvoiceIssued)}
    begin, end = history.supply()
    if made.account.opening is None:
        begin = "2026-01-01"
    if made.account.agreement.moved_out_on == "":
        end = "9999-12-31"
    wanted = [m for m in MONTHS if max(begin, month_span(m)[0]) < min(end, month_span(m)[1])]
    left = [month for month in wanted if month not in billed]
    if left:
        said = [body for _, body in made.log if isinstance(body, (BillWithheld, PriceAwaited))]
        assert said, "the month is forgotten"
        assert said[-1].month == left[0]
        assert made.account.waiting == left[0]
    assert made.due() == "" or made.due() > "2026-05-04T16:30:00Z"


def test_a_year_of_daily_ticks_asks_once_a_month() -> None:
    made = office()
    for on in days("2026-01-01", "2027-01-10"):
        made.feed(usage(on))
        made.tick(on)
        release_held(made)
    assert len(made.of(InvoiceIssued)) == 12
    # Each bill is asked for once, and once more after the release of the first.
    assert made.asked["clock.ticked"] == 12
    assert IMPORT in made.account.months["2027-01"]["P1"].energy


def test_minutes_and_jumps_give_the_same_invoices() -> None:
    found = []
    for ticks in (
        [
            f"2026-0{month}-0{day}T{hour:02d}:00:00Z"
            for month in (2, 3, 4)
            for day in (2, 3)
            for hour in range(24)
        ],
        ["2026-04-09T00:00:00Z", "2026-04-10T00:00:00Z"],
    ):
        made = office(*(body for month in MONTHS[:3] for body in month_of_usage(month)))
        for at in ticks:
            made.tick(at)
            release_held(made)
        found.append([(body.invoice_no, body.bill) for body in made.of(InvoiceIssued)])
    assert found[0] == found[1]
    assert len(found[0]) == 3
