"""A billing core in memory, and small inputs for it; every figure in them is made up.

The home list costs 0.50 yuan per kWh and 0.10 more above 1,000 kWh a year; the shop list 0.80.
Account A1 has the point P1, which uses 10 kWh a day unless told: January is 310 kWh, 155.00 yuan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from libs.events.codec import Codec, encode, encode_state, state_decoder
from libs.events.core import SHARED, Item, Tick
from libs.events.fold import Fold
from services.billing.core import make_core
from services.billing.events import BillCalculated, BookPublished, InvoiceIssued, ReleaseDecided
from services.billing.months import add_days, month_span
from services.billing.policy import DEFAULT_POLICY, BillingPolicy
from services.billing.price_book import PriceBook, PriceList, content_hash
from services.billing.reactions import (
    AccountOpened,
    AgreementPublished,
    CorrectionDecided,
    CorrectionProposed,
    ForeignComponent,
    ForeignExternalLine,
    ForeignOpening,
    ForeignPoint,
    ForeignTerms,
    UsageDemand,
    UsageEstablished,
)
from services.billing.state import Account
from tests.unit.billing.builders import book, price_list, tiers
from tests.unit.billing.builders import component as price_component

ANNUAL = tiers("year", (1000,), ("0.10",))
IMPORT = "1-0:1.8.0"
DAY_WH = 10_000


def home_list(price: str = "0.50") -> PriceList:
    return price_list(
        price_component(price=price), code="home", category="residential", tiers=ANNUAL
    )


SHOP = price_list(price_component(price="0.80"), code="shop")
HOME = book(home_list(), SHOP)


def home_book(price: str = "0.50", **changes: Any) -> PriceBook:
    return book(home_list(price), SHOP, **changes)


def usage(
    day_on: str,
    wh: int = DAY_WH,
    *,
    point: str = "P1",
    revision: int = 1,
    quality: str = "actual",
    **changes: Any,
) -> UsageEstablished:
    values: dict[str, Any] = {
        "usage_point": point,
        "account_no": "A1",
        "day_on": day_on,
        "revision": revision,
        "quality": quality,
        "energy": {IMPORT: wh},
        "demands": (),
        "after_exchange": False,
        "readings": (f"{point}@{add_days(day_on, -1)}", f"{point}@{day_on}"),
        **changes,
    }
    return UsageEstablished(**values)


def demand(watts: int, at: str, register: str = "1-0:1.6.0") -> UsageDemand:
    return UsageDemand(register=register, demand_w=watts, occurred_at=at)


def days(from_on: str, until_on: str) -> list[str]:
    start, end = date.fromisoformat(from_on), date.fromisoformat(until_on)
    return [(start + timedelta(days=number)).isoformat() for number in range((end - start).days)]


def month_of_usage(month: str, wh: int = DAY_WH, **changes: Any) -> list[UsageEstablished]:
    return [usage(day, wh, **changes) for day in days(*month_span(month))]


def terms(from_on: str = "2026-01-01", **changes: Any) -> ForeignTerms:
    values: dict[str, Any] = {
        "valid_from_on": from_on,
        "category": "residential",
        "region": "Test",
        "price_list": "home",
        "voltage_class": "lt1kv",
        "metering_side": "low",
        "demand_mode": "none",
        "contract_demand_w": 0,
        "pf_standard": "",
        "payment_mode": "postpaid",
        "household_size": 3,
        "language": "zh",
        "moved_out_on": "",
        **changes,
    }
    return ForeignTerms(**values)


def point(name: str = "P1", from_on: str = "2026-01-01", **changes: Any) -> ForeignPoint:
    values: dict[str, Any] = {
        "usage_point": name,
        "relation": "main",
        "parent_point": "",
        "share": "",
        "quantity_wh": 0,
        "price_list": "home",
        "category": "residential",
        "voltage_class": "lt1kv",
        "metering_side": "low",
        "rate_periods": {},
        "from_on": from_on,
        "to_on": "",
        **changes,
    }
    return ForeignPoint(**values)


def component(code: str = "x", from_on: str = "2026-01-01", to_on: str = "") -> ForeignComponent:
    return ForeignComponent(
        code=code,
        name_zh="附加",
        name_en="extra",
        unit="kWh",
        price="0.01",
        usage_point="P1",
        source="contract 7",
        from_on=from_on,
        to_on=to_on,
    )


def external_line(document_no: str = "D1", month: str = "2026-01") -> ForeignExternalLine:
    return ForeignExternalLine(
        document_no=document_no,
        month=month,
        code="market",
        name_zh="市场化",
        name_en="market",
        amount_fen=-500,
        settled_by="trading centre",
    )


def agreement(
    *points: ForeignPoint,
    version: int = 1,
    rows: Iterable[ForeignTerms] = (),
    **changes: Any,
) -> AgreementPublished:
    values: dict[str, Any] = {
        "account_no": "A1",
        "version": version,
        "terms": tuple(rows) or (terms(),),
        "transformers": (),
        "points": points or (point(),),
        **changes,
    }
    return AgreementPublished(**values)


def opening(as_of_on: str = "2025-12-31", wh: int = 0, opening_id: str = "o1") -> AccountOpened:
    return AccountOpened(
        opening=ForeignOpening(
            opening_id=opening_id,
            account_no="A1",
            as_of_on=as_of_on,
            tier_year_to_date_wh=wh,
        )
    )


def proposed(case_id: str = "c1", **changes: Any) -> CorrectionProposed:
    return CorrectionProposed(**{**_case(case_id), **changes})


def decided(case_id: str = "c1", decision: str = "approved", **changes: Any) -> CorrectionDecided:
    return CorrectionDecided(**{**_case(case_id), "decision": decision, **changes})


def _case(case_id: str) -> dict[str, Any]:
    return {
        "case_id": case_id,
        "account_no": "A1",
        "usage_point": "P1",
        "error_e4_pct": 30_000,
        "rule": "supply-rules-1996-art-80-1",
        "from_on": "2026-01-01",
        "to_on": "2026-02-01",
    }


def release(bill_id: str = "A1-2026-01", decision: str = "release", **changes: Any) -> Any:
    values: dict[str, Any] = {
        "request_id": "r1",
        "account_no": "A1",
        "bill_id": bill_id,
        "decision": decision,
        "decided_by": "li",
        "reason": "looked at",
        **changes,
    }
    return ReleaseDecided(**values)


def published(found: PriceBook, digest: str = "") -> BookPublished:
    return BookPublished(
        book=found, content_hash=digest or content_hash(found), published_by="desk"
    )


class Office:
    """One partition of the core. `feed` and `tick` give the bodies that were emitted."""

    def __init__(self, policy: BillingPolicy = DEFAULT_POLICY) -> None:
        self.core = make_core("test", policy)
        self.fold = Fold(self.core, 0)
        self.log: list[tuple[str, Any]] = []
        self.asked: Counter[str] = Counter()
        self.codec = Codec(self.core.catalogue)
        self.offset = 0

    def feed(self, *bodies: Any, key: str = "A1") -> list[Any]:
        """Decide inputs one after the other, each through its bytes."""
        found: list[Any] = []
        for body in bodies:
            kind = self.core.catalogue.type_of(body)
            read = self.codec.decode(kind.full_name, encode(body))
            found += self._decide(kind.name, key, read)
        return found

    def tick(self, at: str) -> list[Any]:
        """A tick at an instant, or at 16:30 UTC of a day: half past midnight of the next."""
        at = at if "T" in at else f"{at}T16:30:00Z"
        self.fold.as_of = max(self.fold.as_of, at)
        return self._decide("clock.ticked", "", Tick(at=at))

    def live(self, from_on: str, until_on: str) -> list[Any]:
        """A tick at the end of each day."""
        return [body for day in days(from_on, until_on) for body in self.tick(day)]

    def _decide(self, name: str, key: str, body: Any) -> list[Any]:
        self.offset += 1
        item = Item("input", self.offset, key, name, body, self.fold.as_of)
        found = []
        for each in sorted(set(self.core.concerned(self.fold, item))):
            self.asked[name] += 1
            for emit in self.core.decide(self.fold, each, item):
                assert not emit.topic, "billing writes its own topic only"
                kind = self.core.catalogue.type_of(emit.body)
                read = self.codec.decode(kind.full_name, encode(emit.body))
                assert read == emit.body, "an event must survive its bytes"
                self.log.append((each, emit.body))
                self.fold.apply(each, emit.body)
                found.append(emit.body)
        return found

    @property
    def account(self) -> Account:
        state = self.fold.get("A1")
        assert isinstance(state, Account)
        return state

    def of(self, kind: type, key: str = "A1") -> list[Any]:
        """Every event of a type so far."""
        return [body for name, body in self.log if name == key and isinstance(body, kind)]

    def due(self) -> str:
        return self.core.due(self.account)

    def check_folds(self) -> None:
        """The live fold is the fold rebuilt, and survives its bytes as a checkpoint."""
        again = Fold(self.core, 0)
        for key, body in self.log:
            again.apply(key, body)
        assert again.states == self.fold.states
        for key, state in self.fold.states.items():
            kind = self.core.state_types[0 if key == SHARED else 1]
            assert state_decoder(kind)(encode_state(state)) == state


def office(*bodies: Any) -> Office:
    """An office that has the book, the agreement and what is given."""
    made = Office()
    made.feed(published(HOME), agreement(), *bodies)
    return made


def billed_office(*bodies: Any, policy: BillingPolicy = DEFAULT_POLICY) -> Office:
    """An office whose account was billed for December before, so that no first bill is held."""
    made = Office(policy)
    december = replace(terms(), valid_from_on="2025-12-01")
    made.feed(
        published(HOME),
        agreement(point(from_on="2025-12-01"), rows=[december]),
        *month_of_usage("2025-12"),
    )
    made.tick("2026-01-05")
    made.feed(release("A1-2025-12"))
    made.feed(*bodies)
    return made


# -- looking at what came out ---------------------------------------------------------------------

AS_SHOP = {"price_list": "shop", "category": "non_residential"}


def names(bodies: list[Any]) -> list[str]:
    return [type(body).__name__ for body in bodies]


def only(bodies: list[Any], kind: type) -> Any:
    (found,) = [body for body in bodies if isinstance(body, kind)]
    return found


def lines(bill: Any) -> list[tuple[str, str, int, int]]:
    return [(line.code, line.from_on, line.quantity, line.amount_fen) for line in bill.lines]


def first_bill(made: Office, at: str = "2026-02-02") -> BillCalculated:
    found = only(made.tick(at), BillCalculated)
    assert [hit.check for hit in found.hits][-1:] == ["first"]
    return found


MONTHS = [f"2026-{number:02d}" for number in range(1, 6)]


def three_months() -> Office:
    """December to March issued; 310, 280 and 310 kWh of the tier year 2026: 900 in all."""
    made = billed_office(*(day for month in MONTHS[:3] for day in month_of_usage(month)))
    issued = [body for body in made.tick("2026-04-02") if isinstance(body, InvoiceIssued)]
    assert [body.total_fen for body in issued] == [15_500, 14_000, 15_500]
    return made


def differences(found: Any) -> list[tuple[str, int]]:
    return [(each.bill_id, each.total_fen) for each in found.correction.bills]


def sides(found: Any) -> list[tuple[str, str, str, int, int]]:
    return [
        (each.bill_id, line.side, line.line.code, line.line.quantity, line.line.amount_fen)
        for each in found.correction.bills
        for line in each.lines
    ]


def since_december(*points: Any, version: int = 2, rows: Any = (), **changes: Any) -> Any:
    rows = rows or [terms("2025-12-01", **changes)]
    return agreement(*(points or [point(from_on="2025-12-01")]), version=version, rows=rows)
