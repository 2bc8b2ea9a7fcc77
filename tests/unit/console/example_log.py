"""Two days of a small log, by the writers' own types: docs/examples/log.

`python -m tests.unit.console.example_log` writes that export again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from libs.events.codec import encode
from libs.events.record import Envelope, Record, envelope_headers
from libs.events.registry import Catalogue
from libs.events.testing.simlog import SimBroker, SimReader
from services.audit.files import export_topics
from services.customers.events import MeterPublished, SupplyPublished
from services.customers.events import catalogue as customers_catalogue
from services.ingest.events import ReadingCollected, ReadingMissing, ReadingOrdered
from services.ingest.events import catalogue as ingest_catalogue
from services.metrology.events import SealBroken, SealBrokenFound, SealCaseClosed
from services.metrology.events import catalogue as metrology_catalogue
from services.payments.core import catalogue as payments_catalogue
from services.payments.events import NoticeNoted, NoticeRefused
from services.payments.order_events import OrderEnded, PaymentFailed
from services.validation.areas.events import LossCalculated
from services.validation.areas.events import catalogue as losses_catalogue
from services.validation.areas.loss_causes import Cause

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "log"
TOPICS = {
    "customers.supply": customers_catalogue,
    "customers.meters": customers_catalogue,
    "ingest.events": ingest_catalogue,
    "validation.losses": losses_catalogue,
    "metrology.events": metrology_catalogue,
    "payments.events": payments_catalogue,
}
ENDS = {"2026-01-30": "2026-01-30T16:{:02}:00Z", "2026-01-31": "2026-01-31T16:{:02}:00Z"}
HOMES = ("P01", "P02", "P03", "P04", "P05", "P06")
SHOP = "P07"


class Event(NamedTuple):
    """One event of the log."""

    topic: str
    key: str
    at: str
    body: Any

    def record(self, offset: int) -> Record:
        """As the log holds it."""
        catalogue: Catalogue = TOPICS[self.topic]
        name = catalogue.type_of(self.body).full_name
        source = self.topic.partition(".")[0]
        headers = envelope_headers(
            Envelope(f"{self.topic}/{offset}", name, source, self.at, self.key)
        )
        return Record(self.topic, 0, offset, self.key.encode(), encode(self.body), headers)


def supply(point: str, area: str, version: int = 1) -> Event:
    body = SupplyPublished(
        usage_point=point,
        version=version,
        account_no="1",
        area=area,
        switching_method="none",
        voltage_class="lt1kv",
        registers=("1-0:1.8.0",),
        intervals=False,
        rate_periods={},
        supplied_from_on="2026-01-01",
        supplied_to_on="",
        agreement_version=1,
        installations=(),
    )
    return Event("customers.supply", point, "2026-01-01T00:00:00Z", body)


def meter(point: str, model: str, version: int = 1) -> Event:
    body = MeterPublished(
        meter_no=point.replace("P", "M"),
        version=version,
        account_no="1",
        model=model,
        accuracy_class="1",
        connection="direct",
        verified_on="2025-01-01",
        uses=(),
    )
    return Event("customers.meters", body.meter_no, "2026-01-01T00:00:00Z", body)


def ordered(point: str, day_on: str, attempt: int = 1, kind: str = "daily_freeze") -> Event:
    number = int(point[1:])
    behind = f"0200-000{1 if number <= 3 else 2}/{number}/{number:012}"
    body = ReadingOrdered(
        order_id=f"{point}/{day_on}/{kind}/{attempt}",
        usage_point=point,
        meter_no=point.replace("P", "M"),
        protocol="dlt645_2007" if point == SHOP else "qgdw376",
        line="tcp:shop:4001" if point == SHOP else "listen:0.0.0.0:5100",
        address="000000000007" if point == SHOP else behind,
        kind=kind,
        day_on=day_on,
        attempt=attempt,
        registers=("1-0:1.8.0",),
        retry_at=ENDS[day_on].format(59),
    )
    return Event("ingest.events", point, ENDS[day_on].format(10), body)


def collected(point: str, day_on: str, read_at: str = "", **more: Any) -> Event:
    values = {"kind": "daily_freeze", "attempts": 1, "source": "qgdw376_freeze"} | more
    body = ReadingCollected(
        usage_point=point, day_on=day_on, reading_id=f"{point}/{day_on}", read_at=read_at, **values
    )
    return Event("ingest.events", point, ENDS[day_on].format(30), body)


def missing(point: str, day_on: str, attempts: int) -> Event:
    body = ReadingMissing(
        usage_point=point, account_no="1", day_on=day_on, attempts=attempts, last_cause="no_reply"
    )
    return Event("ingest.events", point, f"{day_on}T23:59:00Z", body)


def loss(day_on: str, area: str, revision: int = 1, sold_wh: int = 95_000) -> Event:
    is_high = sold_wh < 90_000
    cause = Cause(name="zero_usage", usage_point="P05", effect_wh=16_000, explained_wh=16_000)
    body = LossCalculated(
        unit="城北线",
        day_on=day_on,
        feeder="城北线",
        area=area,
        revision=revision,
        status="high" if is_high else "ok",
        reason="",
        gate_wh=100_000,
        pv_wh=0,
        sold_wh=sold_wh,
        loss_wh=100_000 - sold_wh,
        loss_e2_pct=(100_000 - sold_wh) // 10,
        least_wh=0,
        most_wh=10_000,
        excess_wh=90_000 - sold_wh if is_high else 0,
        gate_difference_wh=None,
        expected_points=4,
        read_points=4,
        causes=(cause,) if is_high else (),
    )
    return Event("validation.losses", "城北线", ENDS["2026-01-31"].format(45), body)


def seal_broken(case_id: str, account_no: str = "") -> Event:
    broken = SealBroken(
        seal_no="S-0012",
        kind="lead",
        device_no="M05",
        location="cover",
        found_by="zhou",
        found_at="2026-01-31T02:00:00Z",
        reason="wire cut",
        photo="",
    )
    body = SealBrokenFound(
        case_id=case_id,
        broken=broken,
        usage_point="P05" if account_no else "",
        account_no=account_no,
    )
    return Event("metrology.events", "M05", "2026-01-31T02:05:00Z", body)


def seal_closed(case_id: str) -> Event:
    body = SealCaseClosed(
        case_id=case_id, meter_no="M05", account_no="1", closed_by="lab-3", reason="resealed"
    )
    return Event("metrology.events", "M05", "2026-01-31T03:00:00Z", body)


def unpaid() -> Iterator[Event]:
    """Payments that came to nothing: two failed, a card was declined, an order ended, a forgery."""
    account, at = "1000000042", "2026-01-30T02:10:00Z"
    for number, day in enumerate(ENDS, start=1):
        body: Any = PaymentFailed(
            out_trade_no=f"{account}1A{number}",
            account_no=account,
            channel="wechat",
            failure_cause="insufficient_funds",
            channel_code="NOT_ENOUGH",
            bank="ICBC_DEBIT",
            failed_at=at,
        )
        yield Event("payments.events", account, f"{day}T02:10:00Z", body)
    body = OrderEnded(
        out_trade_no=f"{account}1A3",
        account_no=account,
        channel="alipay",
        state="expired",
        failure_cause="timeout_unknown",
        channel_code="NO_ANSWER",
        ended_at=at,
    )
    yield Event("payments.events", account, at, body)
    declined = {"failure_cause": "user_cancelled"}
    body = NoticeNoted(
        evidence_id="ev-1", channel="pos_8583", kind="failed", channel_txn_id="T1",
        references=declined,
    )  # fmt: skip
    yield Event("payments.events", "pos_8583:T1", at, body)
    body = NoticeRefused(evidence_id="ev-2", channel="wechat", cause="signature_invalid")
    yield Event("payments.events", "wechat:ev-2", at, body)


def events() -> Iterator[Event]:
    """Concentrator 0200-0002 brings one home of three; another home is read by hand."""
    for point in HOMES:
        yield supply(point, "和平台区" if point < "P04" else "红旗台区")
        yield meter(point, "DDZY102")
    yield from (supply(SHOP, "红旗台区"), meter(SHOP, "DTZY341"))
    for day_on, at in ENDS.items():
        yield from (ordered(point, day_on) for point in (*HOMES, SHOP))
        yield ordered("P01", day_on, kind="profile")
        yield collected("P01", day_on, kind="profile")
        yield collected("P01", day_on, at.format(12))
        yield collected("P02", day_on, at.format(12))
        yield ordered("P03", day_on, 2)
        yield collected("P03", day_on, at.format(25), attempts=2, source="qgdw376_forwarded")
        yield collected("P04", day_on, at.format(13))
        yield collected(SHOP, day_on, source="dlt645_2007")
        yield missing("P05", day_on, 3)
        yield collected("P06", day_on, at.format(40), attempts=5, source="manual")
    yield loss("2026-01-30", "红旗台区")
    yield loss("2026-01-31", "红旗台区", sold_wh=80_000)
    yield loss("2026-01-31", "红旗台区", revision=2, sold_wh=78_500)
    yield from (seal_broken("S-1"), seal_broken("S-2"), seal_broken("S-2", "1"), seal_closed("S-1"))
    yield from unpaid()


def records() -> list[Record]:
    """The log, in the order in which it came about."""
    counts = dict.fromkeys(TOPICS, 0)
    found = []
    for event in events():
        found.append(event.record(counts[event.topic]))
        counts[event.topic] += 1
    return found


def write(directory: Path) -> None:
    """The log as an export; without commits of cores, so nothing can be audited on it."""
    broker = SimBroker(dict.fromkeys(TOPICS, 1))
    for each in records():
        broker.append(each.topic, 0, each.key, each.value, each.headers)
    export_topics(SimReader(broker), lambda topic: 1, list(TOPICS), directory, {})


if __name__ == "__main__":
    shutil.rmtree(EXAMPLE, ignore_errors=True)
    write(EXAMPLE)
