"""The plan of the demo: which day brings what. Days are of the utility's zone.

Each method is the story of a person or a device. `STORIES` has them all, with those of modules of
their own. Nothing is decided here that the services decide: people look at what the topics say
(memory) and act.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from simulators.city import (
    behind,
    edits,
    feed_in,
    lab,
    late_fees,
    lost_callback,
    mass_cut,
    prepaid,
    settlement,
    superseded,
    surroundings,
    suspended,
    transfers,
    voltages,
)
from simulators.city.acts import PASSWORD, Acts
from simulators.city.files import write_rows
from simulators.city.memory import Memory
from simulators.city.people import City, Point

CUT_ON = date(2026, 2, 19)
CHANNELS = ("wechat", "alipay", "pos")
DEBTORS = ("cut_off", "race", "stuck_relay", "works")
COPIES = 50
FORGERIES: tuple[dict[str, Any], ...] = (
    {"forge": True},
    {"age_s": 600},
    {"unknown_key": True},
    {"other_merchant": True},
    {"probe": True},
)
"""Callbacks that must be refused: a strange key, an old timestamp, an unknown key id, another
merchant's, and the channel's own probe."""

KILLS = {
    date(2026, 2, 5): "ingest-0",
    date(2026, 2, 13): "payments-settlement-0",
    date(2026, 2, 21): "validation-0",
    date(2026, 3, 4): "billing-0",
    date(2026, 3, 16): "ingest-field-0",
    date(2026, 3, 27): "payments-0",
    date(2026, 4, 9): "control-0",
}


def instant(day: date, hhmm: str) -> str:
    """A local time of a day as an instant in UTC."""
    hours, minutes = int(hhmm[:2]), int(hhmm[3:5])
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    at = midnight + timedelta(hours=hours - 8, minutes=minutes)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def local(day: date, hhmm: str) -> str:
    """The same with its offset, as gateways write it."""
    return f"{day.isoformat()}T{hhmm}:00+08:00"


@dataclass(slots=True)
class Plan:
    """The stories, with what they must remember. `tick` advances business time to an instant."""

    city: City
    acts: Acts
    memory: Memory
    files: Path
    tick: Callable[[str], None]
    rest: Callable[[], None]
    kill: Callable[[str], None]
    seed: int
    kills: bool = True
    paid: set[str] = field(default_factory=set)
    cases: dict[str, str] = field(default_factory=dict)
    exchange_kwh: dict[str, str] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)
    bank: settlement.Bank = field(default_factory=settlement.Bank)

    # -- the day ----------------------------------------------------------------------------

    def on_day(self, day: date) -> None:
        """Everything that happens between this morning's tick and tomorrow's."""
        self.memory.follow()
        for story in STORIES:
            story(self, day)

    def on_kills(self, day: date) -> None:
        """A service is killed."""
        if self.kills and day in KILLS:
            self.kill(KILLS[day])
            self.killed.append(KILLS[day])

    def _fault(self, role: str, kind: str, **options: Any) -> None:
        self.acts.meters.ask("fault", meter=self.point(role).meter_no, kind=kind, **options)

    def _heal(self, role: str) -> None:
        self.acts.meters.ask("clear", meter=self.point(role).meter_no)

    def point(self, role: str) -> Point:
        """The point of a role."""
        return self.city.point_of(role)

    # -- meters -----------------------------------------------------------------------------

    def on_meters(self, day: date) -> None:
        """Planted faults of meters, and the readers who go out."""
        match (day.month, day.day):
            case (2, 7):
                self._fault("silent", "silent")
            case (2, 12):
                self._fault("spike", "spike", wh=900_000)
            case (2, 13):
                self._heal("spike")
            case (2, 14):
                self._fault("bad_frames", "wrong_checksum", count=12)
            case (2, 15):
                self._read_by_hand(day)
            case (2, 16):
                self._heal("silent")
            case (2, 23):
                self._fault("bypass", "bypass")
            case (2, 26):
                self._heal("bypass")
                self._fault("late_actual", "silent")
            case (3, 5):
                point = self.point(edits.ROLE).usage_point
                edits.edit_estimate(self.acts, self.memory, point, day, PASSWORD)
            case (3, 7):
                self._heal("late_actual")
            case (3, 10):
                self._exchange(day)

    def _read_by_hand(self, day: date) -> None:
        """The field order of the silent meter: somebody reads what it shows."""
        point = self.point("silent")
        eve = day - timedelta(days=1)
        self.acts.meters.ask("clear", meter=point.meter_no)
        shown = self.acts.meters.ask("state", meter=point.meter_no, at=instant(day, "00:00"))
        wh = int(shown["registers_wh"]["1-0:1.8.0"])
        self._fault("silent", "silent")
        self.acts.read_by_hand(point.usage_point, point.meter_no, eve.isoformat(), wh)

    def _exchange(self, day: date) -> None:
        """A meter is changed at 10:30; the crew notes both meters' registers."""
        point = self.point("exchange")
        at = instant(day, "10:30")
        self.tick(at)
        shown = self.acts.meters.ask("state", meter=point.meter_no, at=at)
        wh = int(shown["registers_wh"]["1-0:1.8.0"])
        final = f"{wh // 1000}.{wh % 1000 // 10:02d}"
        directory = self.files / "exchange"
        shutil.copytree(self.files / "import", directory, dirs_exist_ok=True)
        new_meter = f"{point.meter_no}-N"
        with (directory / "meters.csv").open("a", encoding="utf-8") as file:
            file.write(f"{new_meter},{day.isoformat()},DDZY102,2,direct,2026-02-20,6\n")
        write_rows(
            directory / "exchanges.csv",
            [
                {
                    "usage_point": point.usage_point,
                    "valid_from": day.isoformat(),
                    "exchanged_at": f"{day.isoformat()} 10:30",
                    "old_meter_no": point.meter_no,
                    "old_ratio": "1",
                    "old_final": f"1-0:1.8.0={final}",
                    "new_meter_no": new_meter,
                    "new_ratio": "1",
                    "new_initial": "1-0:1.8.0=0",
                    "address": point.address,
                }
            ],
        )
        self.exchange_kwh["final"] = final
        _, bad = self.acts.import_customers(directory, "crew 7")
        assert not bad, f"{bad} rows of the exchange were refused"
        self.rest()

    # -- the billing desk -------------------------------------------------------------------

    def on_desk(self, day: date) -> None:
        """Books, held bills, and money without an order."""
        if (day.month, day.day) == (3, 10):
            self.acts.publish("zj_residential")
            self.rest()
        if day.day in (3, 4, 5, 11, 12):
            self._release_held()

    def _release_held(self) -> None:
        self.memory.follow()
        released = {body["bill_id"] for body in self.memory.of("billing.bill_released")}
        latest = {body["bill_id"]: body for body in self.memory.of("billing.bill_calculated")}
        held = [
            SimpleNamespace(account_no=body["account_no"], bill_id=name)
            for name, body in sorted(latest.items())
            if body["hits"] and name not in released
        ]
        if held:
            self.acts.release(held, "looked at, in order")
            self.rest()

    # -- switching --------------------------------------------------------------------------

    def on_switching(self, day: date) -> None:
        """The four who owe: requests, notices, approvals, the day of the cut, and afterwards."""
        match (day.month, day.day):
            case (2, 11):
                self._request_cases(day)
            case (2, 12):
                self._approve_cases()
            case (2, 19):
                self._cut(day)
            case (2, 20):
                self._hold_for_works()
            case (2, 24):
                self._pay_debt("cut_off", day)
                self._pay_debt("works", day)
            case (3, 11):
                self._release_works()

    def _request_cases(self, day: date) -> None:
        for role in DEBTORS:
            point = self.point(role)
            answer = self.acts.ask_control(
                "requester",
                "/cases",
                {
                    "account_no": point.account_no,
                    "usage_point": point.usage_point,
                    "window_from_at": instant(CUT_ON, "10:00"),
                    "window_to_at": instant(CUT_ON, "15:00"),
                },
            )
            self.cases[role] = answer["case_id"]
        self.rest()
        for role in DEBTORS:
            self._serve(role, instant(day, "00:30"), "notice-served")
        surroundings.verify_matches(self, DEBTORS, day)
        self.rest()

    def _serve(self, role: str, served_at: str, path: str) -> None:
        self.acts.ask_control(
            "server",
            f"/cases/{self.cases[role]}/{path}",
            {
                "channel": "in person",
                "recipient": "the account holder",
                "served_at": served_at,
                "evidence": f"receipt {self.cases[role]}",
            },
        )

    def _approve_cases(self) -> None:
        for role in DEBTORS:
            for person in ("reviewer", "unit_head"):
                self.acts.ask_control(person, f"/cases/{self.cases[role]}/approve", {})
        self.rest()

    def _cut(self, day: date) -> None:
        """Final notices, one payment in time, then the window opens."""
        self._fault("stuck_relay", "relay_stuck")
        surroundings.state_weather(self, day, self.point(surroundings.ROLE).area)
        self.tick(instant(day, "09:00"))
        for role in DEBTORS:
            self._serve(role, instant(day, "09:00"), "final-notice-served")
        self.rest()
        self._pay_debt("race", day)
        self.rest()
        for hhmm in ("10:01", "10:20", "11:30"):
            self.tick(instant(day, hhmm))

    def _pay_debt(self, role: str, day: date) -> None:
        """All that the account owes, at once."""
        self.memory.follow()
        point = self.point(role)
        balances = self.memory.of("payments.balance_changed", account_no=point.account_no)
        owed = balances[-1]["receivable_fen"] if balances else 0
        assert owed > 0, f"{role} owes nothing on {day}"
        self.acts.pay(point.account_no, owed, "wechat", local(day, "09:30"))
        self.rest()

    def _hold_for_works(self) -> None:
        point = self.point("works")
        self.acts.ask_control(
            "works",
            "/holds",
            {
                "account_no": point.account_no,
                "usage_point": point.usage_point,
                "reason": "works",
                "note": "cable joint",
            },
        )
        self.rest()

    def _release_works(self) -> None:
        point = self.point("works")
        self.acts.ask_control(
            "works",
            "/holds/release",
            {
                "account_no": point.account_no,
                "usage_point": point.usage_point,
                "reason": "works",
                "note": "joint done",
            },
        )
        self.rest()

    # -- the lab ----------------------------------------------------------------------------

    def on_lab(self, day: date) -> None:
        """What the laboratory registers, seals, measures and decides."""
        sealed = self.point("spike").meter_no
        if day == lab.SEALED_ON:
            for standard in lab.standards():
                self.acts.register_standard(standard)
            for entry in lab.sealing(sealed, instant(day, "09:00")):
                self.acts.report_seal(entry)
        elif day == lab.BROKEN_ON:
            for entry in lab.breaking(sealed, instant(day, "14:00")):
                self.acts.report_seal(entry)
        elif (day.month, day.day) == (4, 8):
            self._bench_run(day, "09:00", [], bench_no=lab.LATE_BENCH)
            self._bench_run(day, "10:00", ["garbled_line"])
        elif (day.month, day.day) == (4, 10):
            for case in self.memory.of("metrology.correction_proposed"):
                self.acts.decide_case(case["case_id"], case["meter_no"], "approved")
            self.rest()

    def _bench_run(self, day: date, hhmm: str, wrong: list[str], **bench: str) -> None:
        """A meter that runs 3 % fast, class 2, on the configured bench or another one."""
        point = self.point("bench")
        places = ("0.05Ib 1.0", "0.2Ib 1.0", "1Ib 1.0", "Imax 1.0", "0.2Ib 0.5L", "1Ib 0.5L")
        self.acts.bench.ask(
            "place_meter",
            placement={
                "meter_no": point.meter_no,
                "accuracy_class": point.accuracy_class,
                "measured_at": instant(day, hhmm),
                "base": "Ib",
                "imax_multiple": "12",
                "curve": [
                    {"power_factor": factor, "load": "balanced", "knots": [["0.05", 30_000]]}
                    for factor in ("1.0", "0.5L")
                ],
                "points": [
                    dict(
                        zip(
                            ("current", "power_factor", "load"),
                            (*place.split(), "balanced"),
                            strict=True,
                        )
                    )
                    for place in places
                ],
                "noise_e4_pct": 0,
                "tests": {"start": "pass", "creep": "pass", "constant": "pass"},
                "misbehaviours": wrong,
                **bench,
            },
        )
        self._wait_bench()
        self.rest()

    def _wait_bench(self) -> None:
        for _ in range(600):
            if self.acts.bench.ask("status")["idle"]:
                return
            time.sleep(0.05)
        raise AssertionError("the bench never got an answer")

    # -- payers -----------------------------------------------------------------------------

    def on_payers(self, day: date) -> None:
        """Everybody pays ten days after the bill came; the planted ones in their own way."""
        due = [
            body
            for body in (
                *self.memory.of("billing.invoice_issued"),
                *map(late_fees.as_bill, self.memory.of("billing.late_fee_charged")),
            )
            if body["invoice_no"] not in self.paid
            and body["account_no"] != self.city.cast[prepaid.ROLE]  # paid already
            and self._pays_on(body, day)
        ]
        for body in sorted(due, key=lambda found: found["invoice_no"]):
            self.paid.add(body["invoice_no"])
            if body["total_fen"] > 0:
                self._pay_invoice(body, day)
        if due:
            self.rest()

    def _pays_on(self, body: dict[str, Any], day: date) -> bool:
        issued = date.fromisoformat(body["issued_on"])
        if not body["month"]:
            return day > issued
        wait = 10 + int(body["account_no"][-2:]) % 4
        if body["account_no"] == self.city.cast["late_payment"] and body["month"] == "2026-02":
            wait = 24
        return day >= issued + timedelta(days=wait)

    def _pay_invoice(self, body: dict[str, Any], day: date) -> None:
        account_no, amount = body["account_no"], body["total_fen"]
        roles = {self.city.cast[role]: role for role in ("repeated_payment", "forged_payment")}
        roles[self.city.cast["altered_payment"]] = "altered_payment"
        roles[self.city.cast["jump"]] = "orderless"
        role = roles.get(account_no, "") if body["month"] == "2026-02" else ""
        at = local(day, "11:00")
        channel = random.Random(f"{self.seed}{body['invoice_no']}").choice(CHANNELS)
        if role == "repeated_payment":
            self.acts.pay(account_no, amount, "wechat", at, {"copies": COPIES})
        elif role == "forged_payment":
            for fault in FORGERIES:
                self.acts.pay(account_no, amount, "wechat", at, fault)
            self.acts.pay(account_no, amount, "wechat", at)
        elif role == "altered_payment":
            self.acts.pay(account_no, amount, "alipay", at, {"alter": True})
            self.acts.pay(account_no, amount, "alipay", at)
        elif role == "orderless":
            self._pay_without_order(account_no, amount, at)
        else:
            self.acts.pay(account_no, amount, channel, at)

    def _pay_without_order(self, account_no: str, amount: int, at: str) -> None:
        self.acts.pay(account_no, amount, "pos", at, orderless=True)
        self.rest()
        self.memory.follow()
        suspended = self.memory.of("payments.payment_suspended")[-1]
        self.acts.bind(suspended["suspense_key"], {account_no: amount})
        self.rest()


STORIES: tuple[Callable[[Plan, date], None], ...] = (
    Plan.on_meters,
    voltages.on_day,
    Plan.on_desk,
    Plan.on_switching,
    mass_cut.on_day,
    lost_callback.on_day,
    Plan.on_lab,
    settlement.on_day,
    transfers.on_day,
    Plan.on_payers,
    Plan.on_kills,
    behind.on_day,
    suspended.on_day,
    superseded.on_day,
    feed_in.on_day,
    prepaid.on_day,
)
"""In the order of a day; a story with a module of its own has a line here."""
