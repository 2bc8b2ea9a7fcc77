"""A town for payments and control together: three accounts, one case each, and everybody outside.

People, the gateway's record, the clock, and ingest, which reads cancellations before it carries out
a command, are played here. The payer's money is acknowledged between the two approvals, and from
before that until some time after the second one no payments worker runs: they were killed, they are
frozen, or one sleeps in the middle of a call and wakes when another has its place. The late payer
pays when the command is out. The neighbour pays nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from libs.events.audit import scan
from libs.events.codec import Codec, encode, envelope_of
from libs.events.core import Core, Tick
from libs.events.record import Envelope, Record, envelope_headers, partition_of
from libs.events.testing.driver import Simulation, Worker
from libs.events.testing.simlog import SimLog
from services.control import events as control
from services.control.core import WRITTEN as CONTROL_WRITTEN
from services.control.core import make_core as make_control
from services.control.instant import plus
from services.control.limits.core import WRITTEN as LIMITS_WRITTEN
from services.control.limits.core import make_core as make_limits
from services.control.reactions import SwitchingReported
from services.control.safety_events import WeatherNoted
from services.payments import events as payments
from services.payments.core import WRITTEN as PAYMENTS_WRITTEN
from services.payments.core import make_core as make_payments
from services.payments.reactions import InvoiceIssued
from services.wiring import on_table
from tests.simulation.test_payments import outside
from tests.simulation.told import contact, match_details, published, weather
from tests.unit.control.samples import (
    FINAL,
    IN_WINDOW,
    SERVED,
    START,
    WINDOW_FROM,
    WINDOW_TO,
    service,
)
from tests.unit.payments_core.world import order_of, received

PARTITIONS = 2
OWED_FEN = 12_000
RETRY_S = 360
"""Longer than control waits before it asks for a clearance again."""
PATIENCE = 40
"""How often workers take turns under faults before the faults of a phase end."""
SLEEPS = ("poll.after", "commit.before", "commit.appended", "commit.offsets", "commit.after")
"""Where the payments worker that becomes a zombie stops."""
SEEN: Counter[str] = Counter()
"""How often what happened, over all histories."""
COMMANDS = ("control.commands", "control.reconnections")
WRITTEN = {
    "payments": PAYMENTS_WRITTEN,
    "control": CONTROL_WRITTEN,
    "control.limits": LIMITS_WRITTEN,
}


class Town:
    """Three accounts and everybody outside the two cores."""

    def __init__(self, seed: int) -> None:
        self.cores: dict[str, Core] = {
            "payments": on_table(make_payments("sim"), PARTITIONS),
            "control": on_table(make_control("sim"), PARTITIONS),
            "control.limits": on_table(make_limits("sim"), PARTITIONS),
        }
        topics = {*PAYMENTS_WRITTEN, *CONTROL_WRITTEN, *LIMITS_WRITTEN}
        self.sim = Simulation(
            seed, tuple(self.cores.values()), partitions=PARTITIONS, topics=tuple(topics)
        )
        self.random = self.sim.random
        self.codecs = {name: Codec(core.catalogue) for name, core in self.cores.items()}
        numbers = [f"10000000{number}" for number in self.random.sample(range(10, 99), 3)]
        self.payer, self.neighbour, self.late = self.accounts = tuple(numbers)
        self.now = START
        self.fed = 0
        self.paid_offset = -1
        self.relays = dict.fromkeys(self.accounts, "closed")
        self.openings: list[str] = []
        self.carried_out: set[str] = set()
        self.sleep_at = ""
        self.asleep: Callable[[], None] | None = None
        self.sim.broker.faults = self._on_point

    # -- writing --------------------------------------------------------------------------------

    def feed(self, catalogue: Any, topic: str, key: str, body: Any) -> int:
        """One record of an edge or another service; its offset once it is acknowledged."""
        while self.sim.broker.down:
            self.sim.run(1)
        self.fed += 1
        return self.sim.feed(catalogue, topic, key, body, self.fed)

    def tick(self, at: str) -> None:
        """Time, on every partition."""
        self.now = at
        while self.sim.broker.down:
            self.sim.run(1)
        headers = envelope_headers(Envelope(f"tick/{at}", "clock.ticked.v1", "clock", at, ""))
        for partition in range(PARTITIONS):
            self.sim.append("calendar", partition, None, encode(Tick(at=at)), headers)

    def know(self) -> None:
        """Agreements and debts."""
        catalogue = self.cores["control"].catalogue
        headers = envelope_headers(
            Envelope("weather", "control.weather_told.v1", "control.edge", self.now, "")
        )
        for partition in range(PARTITIONS):
            self.sim.append("control.alarms", partition, None, encode(weather()), headers)
        for account in self.random.sample(self.accounts, 3):
            self.feed(catalogue, "customers.agreements", account, published(account, {}))
            self.feed(catalogue, "ingest.switching", account, contact(account, self.now))
            debt = InvoiceIssued(
                invoice_no=f"INV{account}",
                account_no=account,
                total_fen=OWED_FEN,
                due_on="2026-01-15",
            )
            self.feed(outside, "billing.events", account, debt)

    def ask(self, action: str, role: str, **details: str) -> None:
        """A person asks the same for every account."""
        for account in self.random.sample(self.accounts, 3):
            first = action == "request_disconnect"
            request = control.RequestMade(
                request_id="ask" if first else f"{action}-{role}",
                action=action,
                account_no=account,
                usage_point=f"P{account}",
                case_id="" if first else f"{account}.ask",
                person=role,
                role=role,
                details=details,
                requested_at=self.now,
                unit="",
            )
            self.feed(control.edge_catalogue, "control.requests", account, request)
            self.sim.run(self.random.randrange(3))

    def pay(self, account: str) -> int:
        """The edge writes what a callback said and answers it: the offset of the notice."""
        body = received(
            f"T{account}",
            self.random.choice((OWED_FEN, OWED_FEN, OWED_FEN + 500)),
            order_of(account),
            evidence_id=f"ev-{account}",
            occurred_at=self.now,
        )
        offset = self.feed(payments.edge_catalogue, "payments.notices", body.key, body)
        if self.random.random() < 0.3:  # a gateway that did not hear the answer
            self.feed(payments.edge_catalogue, "payments.notices", body.key, body)
        return offset

    # -- reading --------------------------------------------------------------------------------

    def written(self, core: str, topic: str, key: str) -> Iterator[Any]:
        """The bodies under one key on a topic that a core writes, in order."""
        partition = partition_of(key, PARTITIONS)
        for record in scan(self.sim.broker, topic, partition):
            if record.key == key.encode() and self._is_of(core, record):
                yield self.codecs[core].decode(envelope_of(record.headers).type, record.value)

    def _is_of(self, core: str, record: Record) -> bool:
        return envelope_of(record.headers).source == core

    def weather_noted(self, account: str) -> WeatherNoted:
        """What the partition of an account noted of the weather; nobody states it twice."""
        partition = partition_of(account, PARTITIONS)
        noted = [
            self.codecs["control"].decode(envelope_of(record.headers).type, record.value)
            for record in scan(self.sim.broker, "control.events", partition)
            if record.key is None
        ]
        (weather_noted,) = (body for body in noted if isinstance(body, WeatherNoted))
        return weather_noted

    def decided(self, core: str, account: str, kind: type[Any]) -> list[Any]:
        """A core's own events of one kind about an account."""
        found = self.written(core, f"{core}.events", account)
        return [body for body in found if isinstance(body, kind)]

    def commands(self, account: str) -> list[control.CommandIssued]:
        """The commands that ingest was told about an account's point."""
        found = self._told_ingest(f"P{account}")
        return [body for body in found if isinstance(body, control.CommandIssued)]

    def is_cancelled(self, command: control.CommandIssued) -> bool:
        """Whether ingest can read by now that a command is cancelled."""
        return any(
            isinstance(body, control.CommandCancelled) and body.command_id == command.command_id
            for body in self._told_ingest(command.usage_point)
        )

    def _told_ingest(self, usage_point: str) -> Iterator[Any]:
        for topic in COMMANDS:
            yield from self.written("control", topic, usage_point)

    def waiting(self, account: str) -> list[control.CommandIssued]:
        """The commands that ingest has not carried out."""
        return [c for c in self.commands(account) if c.command_id not in self.carried_out]

    # -- ingest ---------------------------------------------------------------------------------

    def carry_out(self, command: control.CommandIssued) -> None:
        """Ingest reads cancellations to the end, sends, reads back and reports (DESIGN 4)."""
        account = command.account_no
        self.carried_out.add(command.command_id)
        if self.is_cancelled(command) or self.now >= command.valid_until_at:
            outcome, state = "refused", ""
        else:
            outcome, state = "confirmed", "open" if command.action == "open" else "closed"
            self.relays[account] = state
            if state == "open":
                self.openings.append(account)
        report = SwitchingReported(
            command_id=command.command_id,
            seq=command.seq,
            account_no=account,
            usage_point=command.usage_point,
            action=command.action,
            outcome=outcome,
            state=state,
            reason="",
            reported_at=self.now,
        )
        self.feed(self.cores["control"].catalogue, "ingest.switching", account, report)

    # -- turns ----------------------------------------------------------------------------------

    def rest(self) -> None:
        """Whoever runs takes all that is there: under faults, and in the end without."""
        for _ in range(PATIENCE):
            self.sim.run(self.random.randrange(2, 6))
            if self._is_quiet():
                return
        while not self._is_quiet():
            self.sim.finish()
            self.sim.broker.advance(1_000)
        self.sim.calm = False

    def _is_quiet(self) -> bool:
        """Nothing is left to take, and nothing that is hidden by an open transaction: until then
        the clock does not tick (DESIGN 3). What a stopped worker left open is not waited for."""
        partitions = [each for found in self.sim.broker.topics.values() for each in found]
        hidden = not self.sim.stopped and any(each.first_open for each in partitions)
        return not self.sim._lags() and not hidden

    def workers(self, core: str) -> list[Worker]:
        """The members of a core."""
        return [worker for worker in self.sim.workers if worker.core.name == core]

    def without_payments(self, meanwhile: Callable[[], None]) -> None:
        """Something happens while no payments worker runs, however they came to that."""
        how = self.random.choice(("killed", "frozen", "asleep", "asleep"))
        if how == "asleep":
            self._put_to_sleep(meanwhile)
            return
        SEEN[how] += 1
        self._stop(self.workers("payments"), kill=how == "killed")
        meanwhile()
        self._go_on(self.workers("payments"))

    def _stop(self, workers: list[Worker], *, kill: bool) -> None:
        for worker in workers:
            self.sim.stopped.add(worker.member)
            if worker.loop is not None:
                worker.log.frozen = True
                if kill:
                    worker.log.kill()
                    worker.loop = None

    def _go_on(self, workers: list[Worker]) -> None:
        for worker in workers:
            self.sim.stopped.discard(worker.member)

    def _put_to_sleep(self, meanwhile: Callable[[], None]) -> None:
        """The worker that comes to a seeded point next stops there, while all the rest happens."""
        self.sleep_at, self.asleep = self.random.choice(SLEEPS), meanwhile
        self.tick(plus(self.now, 60))  # something to decide
        for _ in range(300):
            self.sim.run(1)
            if not self.sleep_at:
                return
        self.sleep_at = ""
        self._stop(self.workers("payments"), kill=True)
        meanwhile()
        self._go_on(self.workers("payments"))

    def _on_point(self, point: str, client: object) -> None:
        """Before and after every call: the zombie's sleep, and the driver's faults."""
        if point == self.sleep_at and not self.sim.calm and not self.sim._stalled:
            for worker in self.workers("payments"):
                if worker.loop is not None and worker.loop.log is client and self.asleep:
                    self.sleep_at = ""
                    self._sleep(worker, self.asleep)
        self.sim._fault(point, client)

    def _sleep(self, sleeper: Worker, meanwhile: Callable[[], None]) -> None:
        """All the others are killed; when some of them run again, the sleeper wakes."""
        others = [worker for worker in self.workers("payments") if worker is not sleeper]
        log = sleeper.log
        self._stop([sleeper], kill=False)
        self._stop(others, kill=True)
        meanwhile()
        self._go_on(others)
        SEEN["asleep"] += 1
        if self.random.random() < 0.5:
            SEEN["replaced"] += 1
            sleeper.loop = self.sim._start(sleeper)  # the same member, another process
            self._go_on([sleeper])
        self.sim.run(self.random.choice((0, 10, 40)))
        self._wake(sleeper, log)

    def _wake(self, sleeper: Worker, log: SimLog) -> None:
        log.frozen = False
        self._go_on([sleeper])

    # -- the story ------------------------------------------------------------------------------

    def live(self) -> None:
        """The three cases from the debt to their ends."""
        self.tick(START)
        self.rest()
        self.know()
        self.rest()
        self.ask("request_disconnect", "requester", window_from_at=WINDOW_FROM)
        self.tick(SERVED)
        self.rest()
        self.ask("serve_notice", "server", **service(SERVED))
        self.ask("verify_match", "server", **match_details())
        self.ask("approve", "reviewer")
        self.sim.run(self.random.randrange(12))
        rest_of_case = self.after_first_approval()
        gone_for = self.random.choice((1, 2, 3, 4, 4, 5, 5))
        SEEN[f"gone for {gone_for}"] += 1
        self.without_payments(lambda: take(rest_of_case[:gone_for]))
        take(rest_of_case[gone_for:4])
        self.rest()
        self.cut()
        self.sim.finish()

    def after_first_approval(self) -> list[Callable[[], None]]:
        """What follows; after any of these the payments workers may come back."""

        def acknowledge() -> None:
            self.paid_offset = self.pay(self.payer)
            self.sim.run(self.random.randrange(12))
            self.ask("approve", "unit_head")

        def final_notice() -> None:
            self.tick(FINAL)
            self.rest()
            self.ask("serve_final_notice", "server", **service(FINAL))

        return [
            acknowledge,
            self.rest,
            final_notice,
            lambda: self.wait_until(IN_WINDOW),
            lambda: self.wait_until(plus(self.now, RETRY_S)),
        ]

    def wait_until(self, at: str) -> None:
        """Time passes, and everybody who runs takes note."""
        self.tick(at)
        self.rest()

    def cut(self) -> None:
        """Ingest carries out what it is told, and control asks again, until all cases ended."""
        while self.now < WINDOW_TO:
            for account in (self.neighbour, self.payer):
                for command in self.waiting(account):
                    self.carry_out(command)
            for command in self.waiting(self.late):
                self.pay_late(command)
            self.rest()
            if not any(self.waiting(account) for account in self.accounts):
                if all(self.decided("control", each, control.CaseClosed) for each in self.accounts):
                    return
                self.wait_until(plus(self.now, RETRY_S))

    def pay_late(self, command: control.CommandIssued) -> None:
        """Money comes when the command is out and nobody has carried it out."""
        if command.action == "open" and not self.decided(
            "payments", self.late, payments.PaymentCaptured
        ):
            self.pay(self.late)
            self.sim.run(self.random.choice((0, 5, 20, 60)))
        self.carry_out(command)


def take(steps: Iterable[Callable[[], None]]) -> None:
    """One step after the other."""
    for step in steps:
        step()
