"""A household and an industrial account as rows, and a desk at which the core decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from libs.events.core import Emit, Item, Tick
from services.customers.admission import judge_rows
from services.customers.columns import RowText, natural_key, read_row
from services.customers.core import make_core
from services.customers.events import (
    OpeningHold,
    OpeningReading,
    OpeningReceivable,
    OpeningSubmitted,
    Row,
    RowsSubmitted,
)
from services.customers.state import Account

ANNA = "1000000001"
MILL = "1000000002"
JANUARY_5 = "2026-01-05T00:00:00Z"


def row(file: str, valid_from_on: str, kind: str = "", /, **values: str) -> Row:
    """A submitted row; its natural key is made as the border makes it."""
    read = read_row(RowText(file, valid_from_on, kind, values))
    key = natural_key(file, read.record) if read.record is not None else "?"
    return Row(
        file=file,
        line=2,
        natural_key=key,
        kind=kind,
        valid_from_on=valid_from_on,
        values=values,
    )


def account(on: str = "2026-01-01", kind: str = "", no: str = ANNA, **values: str) -> Row:
    return row("accounts", on, kind, account_no=no, **values)


def agreement(on: str = "2026-01-01", kind: str = "", no: str = ANNA, **values: str) -> Row:
    terms = {
        "account_no": no,
        "category": "residential",
        "region": "500000",
        "price_list": "residential",
        "voltage_class": "lt1kv",
        "metering_side": "low",
    }
    return row("agreements", on, kind, **(terms | values))


def point(
    on: str = "2026-01-01", kind: str = "", no: str = ANNA, name: str = "P1", **values: str
) -> Row:
    terms = {"account_no": no, "usage_point": name, "area": "A1"}
    return row("points", on, kind, **(terms | values))


def relation(on: str = "2026-01-01", kind: str = "", no: str = ANNA, **values: str) -> Row:
    return row("point_relations", on, kind, account_no=no, **values)


def transformer(on: str = "2026-01-01", kind: str = "", no: str = MILL, **values: str) -> Row:
    terms = {"account_no": no, "transformer_no": "T1", "kva": "630", "state": "in_use"}
    return row("transformers", on, kind, **(terms | values))


def meter(name: str = "M1", on: str = "2026-01-01", kind: str = "", **values: str) -> Row:
    terms = {"meter_no": name, "accuracy_class": "2", "connection": "direct"}
    return row("meters", on, kind, **(terms | values))


def installation(
    on: str = "2025-06-01", kind: str = "", at: str = "P1", name: str = "M1", **values: str
) -> Row:
    terms = {
        "usage_point": at,
        "meter_no": name,
        "ratio": "1",
        "protocol": "dlt645_2007",
        "line": "tcp:127.0.0.1:9600",
        "address": "000000000001",
        "capacity_kw": "8",
    }
    return row("installations", on, kind, **(terms | values))


def exchange(on: str = "2026-02-10", kind: str = "", at: str = "P1", **values: str) -> Row:
    """M1 to M2 at 10:30 of the day."""
    terms = {
        "usage_point": at,
        "exchanged_at": f"{on} 10:30",
        "old_meter_no": "M1",
        "old_ratio": "1",
        "old_final": "1-0:1.8.0=500.5",
        "new_meter_no": "M2",
        "new_ratio": "1",
        "new_initial": "1-0:1.8.0=0.12",
        "address": "000000000002",
    }
    return row("exchanges", on, kind, **(terms | values))


def removal(on: str, at: str = "P1", old: str = "M1", ratio: str = "1", **values: str) -> Row:
    """The meter was taken away."""
    terms = {
        "usage_point": at,
        "exchanged_at": f"{on} 10:30",
        "old_meter_no": old,
        "old_ratio": ratio,
        "old_final": "1-0:1.8.0=600",
    }
    return row("exchanges", on, **(terms | values))


def household() -> list[Row]:
    return [account(), agreement(), point(), meter(), installation()]


def known(rows: Iterable[Row], no: str = ANNA, state: Account | None = None) -> Account:
    """The state after rows that must all be taken."""
    judged = judge_rows(state or Account(), no, rows)
    assert judged.refused == ()
    return judged.state


def opening(no: str = ANNA, **changes: Any) -> OpeningSubmitted:
    position: dict[str, Any] = {
        "opening_id": "opening-1",
        "account_no": no,
        "as_of_on": "2025-12-31",
        "readings": (
            OpeningReading(
                usage_point="P1", register="1-0:1.8.0", reading_wh=421_000, read_on="2025-12-31"
            ),
        ),
        "tier_year_to_date_wh": 0,
        "receivables": (
            OpeningReceivable(
                invoice_no="OLD-1", amount_fen=12_345, issued_on="2025-12-05", due_on="2025-12-25"
            ),
        ),
        "prepayment_fen": 45,
        "holds": (OpeningHold(usage_point="P1", reason="arrears", since_on="2025-12-30"),),
        "control_total_fen": 12_300,
        "submitted_by": "wang",
    }
    return OpeningSubmitted(**(position | changes))


class Desk:
    """Decides inputs as the loop does: own events are folded, the others collected."""

    shared = None

    def __init__(self) -> None:
        self.core = make_core()
        self.as_of = "1970-01-01T00:00:00Z"
        self.states: dict[str, Any] = {}
        self.own: list[Any] = []
        self.written: list[Emit] = []

    def get(self, key: str) -> Any:
        return self.states.get(key)

    def keys(self) -> Sequence[str]:
        return sorted(self.states)

    def keys_due(self, until: str) -> Sequence[str]:
        return sorted(
            key for key, state in self.states.items() if "" < self.core.due(state) <= until
        )

    def rows(self, rows: Iterable[Row], no: str = ANNA) -> list[Emit]:
        return self.take(
            no,
            RowsSubmitted(
                import_id="import-1", account_no=no, rows=tuple(rows), submitted_by="wang"
            ),
        )

    def take(self, key: str, body: Any) -> list[Emit]:
        """One input; the events that follow from it for the keys it concerns."""
        if isinstance(body, Tick):
            self.as_of = max(self.as_of, body.at)
        item = Item("input", 0, key, "", body, self.as_of)
        emitted = []
        for concerned in self.core.concerned(self, item):
            for emit in self.core.decide(self, concerned, item):
                emitted.append(emit)
                if emit.topic:
                    self.written.append(emit)
                else:
                    self.own.append(emit.body)
                    self.states[concerned] = self.core.evolve(self.states.get(concerned), emit.body)
        return emitted

    def tick(self, at: str) -> list[Emit]:
        return self.take("", Tick(at=at))


def on_topic(emits: Iterable[Emit], topic: str) -> list[Any]:
    """The bodies written to a topic, "" for own events."""
    return [emit.body for emit in emits if emit.topic == topic]


def types(emits: Iterable[Emit]) -> list[str]:
    return [type(emit.body).__name__ for emit in emits]
