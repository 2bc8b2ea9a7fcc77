"""Simulated relays, control and clocks around the executor: everything that it may hurt.

Business time is the simulated broker's time, so that a frozen executor wakes up in a later world.
The meters enforce the frame's valid-until against clocks of their own, some seconds off; they may
be stuck, slow, or take a command and not answer. `Wire` sees every frame and checks at that moment
what must hold when a frame is sent; `check_commands` checks what must hold in the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.events.codec import Codec, encode, envelope_of
from libs.events.core import Tick
from libs.events.effects import EffectLoop
from libs.events.loop import Loop
from libs.events.record import Envelope, envelope_headers, partition_of
from libs.events.testing.driver import STALLS, Faults, Simulation
from libs.events.testing.simbroker import ABORTED
from libs.events.testing.simlog import SimLog
from services.control import events as control
from services.customers import events as customers
from services.ingest.effect import core as executor
from services.ingest.effect.decide import ReadBack, RelayAnswer, SendCommand
from services.ingest.effect.decide import last_word as real_last_word
from services.ingest.events import (
    AttemptEnded,
    AttemptStarted,
    CommandRefused,
    effect_catalogue,
)
from services.wiring import on_table
from tests.simulation.relay_model import KEEPING, WANTED, Relay, text

PARTITIONS = 2
BEGAN = datetime(2026, 2, 1, tzinfo=UTC)
POINTS = tuple(f"P{number}" for number in range(6))
PACE = 4
"""How much faster business time runs than the broker's."""

FINAL = ("confirmed", "waiting_for_button", "not_confirmed")


def topic_of(action: str) -> str:
    """Where control writes a command, and what cancels it."""
    return executor.RECONNECTIONS if "close" in action else "control.commands"


@dataclass(slots=True)
class Sent:
    """One frame on the wire."""

    command: SendCommand
    at: datetime


@dataclass(slots=True)
class Wire:
    """The world of one simulation: its relays, what control wrote, what was sent."""

    sim: Simulation
    relays: dict[str, Relay] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    issued: dict[str, control.CommandIssued] = field(default_factory=dict)
    cancelled: dict[str, datetime] = field(default_factory=dict)
    doomed: set[str] = field(default_factory=set)
    committed: dict[int, float] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    seqs: dict[str, int] = field(default_factory=dict)
    ticked: datetime = BEGAN
    next_ms: int = 60_000
    index: int = 0
    asked: int = 0

    @property
    def now(self) -> datetime:
        """Business time, which is the wall clock's here."""
        return BEGAN + timedelta(milliseconds=self.sim.broker.now_ms * PACE)

    # -- what others write --------------------------------------------------------------------

    def write(self, catalogue: Any, topic: str, key: str, body: object) -> None:
        self.index += 1
        self.sim.feed(catalogue, topic, key, body, self.index)

    def tick(self) -> None:
        """The clock writes every minute that passed."""
        if self.sim.broker.now_ms * PACE < self.next_ms:
            return
        while self.ticked + timedelta(minutes=1) <= self.now:
            self.ticked += timedelta(minutes=1)
            body = Tick(at=text(self.ticked))
            self.index += 1
            for partition in range(PARTITIONS):
                headers = envelope_headers(
                    Envelope(f"tick/{self.index}", "clock.ticked.v1", "clock", body.at, "")
                )
                self.sim.append(executor.CALENDAR, partition, None, encode(body), headers)
        self.next_ms = (self.ticked - BEGAN) // timedelta(milliseconds=1) + 60_000

    def supply(self, point: str) -> None:
        """A new version of the point's supply, with a new agreement version."""
        version = self.versions[point] = self.versions.get(point, 0) + 1
        self.write(
            customers.catalogue,
            executor.SUPPLY,
            point,
            customers.SupplyPublished(
                usage_point=point,
                version=version,
                account_no=f"A-{point}",
                area="T1",
                switching_method="meter_relay",
                voltage_class="lt1kv",
                registers=("1-0:1.8.0",),
                intervals=False,
                rate_periods={},
                supplied_from_on="2026-01-01",
                supplied_to_on="",
                agreement_version=version,
                installations=(
                    customers.Installation(
                        meter_no=f"M-{point}",
                        from_at="2025-12-31T16:00:00Z",
                        to_at="",
                        ratio="1",
                        protocol="dlt645_2007",
                        line="tcp:127.0.0.1:1",
                        address="000000000001",
                        digits=6,
                        capacity_w=20_000,
                        initial={},
                        final={},
                    ),
                ),
            ),
        )

    def issue(self, point: str, action: str, *, valid_s: int = 60, **wrong: Any) -> str:
        """Control issues a command that agrees with the supply it knows, or not."""
        seq = wrong.pop("seq", self.seqs.get(point, 0) + 1)
        self.seqs[point] = max(self.seqs.get(point, 0), seq)
        command_id = f"C{len(self.issued) + 1}"
        if wrong:
            self.doomed.add(command_id)
        values = {
            "account_no": f"A-{point}",
            "meter_no": f"M-{point}",
            "agreement_version": self.versions.get(point, 0),
            "clearance_id": "F1" if action == "open" else "",
            **wrong,
        }
        body = control.CommandIssued(
            command_id=command_id,
            seq=seq,
            case_id="",
            usage_point=point,
            address="000000000001",
            installed_from_at="2025-12-31T16:00:00Z",
            switching_method="meter_relay",
            action=action,
            fence_offset=0,
            approvals=(),
            verdicts=(),
            issued_at=text(self.now),
            valid_until_at=text(self.now + timedelta(seconds=valid_s)),
            priority=0,
            **values,
        )
        self.issued[command_id] = body
        self.write(control.catalogue, topic_of(action), point, body)
        return command_id

    def repeat(self, command_id: str) -> None:
        """The same command once more."""
        body = self.issued[command_id]
        self.write(control.catalogue, topic_of(body.action), body.usage_point, body)

    def cancel(self, command_id: str) -> None:
        """Control thinks better of it."""
        body = self.issued[command_id]
        self.cancelled.setdefault(command_id, self.now)
        self.write(
            control.catalogue,
            topic_of(body.action),
            body.usage_point,
            control.CommandCancelled(
                command_id=command_id,
                seq=body.seq,
                account_no=body.account_no,
                usage_point=body.usage_point,
                reason="money came",
            ),
        )

    # -- what the executor does ---------------------------------------------------------------

    def results(self, point: str) -> list[Any]:
        """What stands in the executor's own topic about a point, not rolled back: also what an
        open transaction of somebody else still hides from readers."""
        partition = partition_of(point, PARTITIONS)
        codec = Codec(effect_catalogue)
        found = []
        for entry in self.sim.broker.topics["ingest.results"][partition].entries:
            record = entry.record
            if record is not None and entry.state != ABORTED and record.key == point.encode():
                found.append(codec.decode(envelope_of(record.headers).type, record.value))
        return found

    def outcomes(self, point: str) -> dict[str, list[str]]:
        """The final outcomes of a point's commands so far. A command that comes once more when a
        later one is known is refused by its seq, which is no second outcome."""
        found: dict[str, list[str]] = {}
        highest, holder = 0, ""
        for event in self.results(point):
            if isinstance(event, CommandRefused):
                is_again = event.check == "seq" and event.command_id in found
                if not (is_again and event.command_id != holder):
                    found.setdefault(event.command_id, []).append("refused")
            elif isinstance(event, AttemptEnded) and event.final:
                found.setdefault(event.command_id, []).append(event.outcome)
            if getattr(event, "seq", 0) > highest:
                highest, holder = event.seq, event.command_id
        return found

    def is_settled(self, point: str) -> bool:
        """Whether every attempt at a point has ended."""
        started = {e.command_id for e in self.results(point) if isinstance(e, AttemptStarted)}
        return started <= self.outcomes(point).keys()

    def on_point(self, point: str, client: object) -> None:
        """Between any two steps of any process: time passes, and faults strike."""
        if point == "commit.after":
            self.committed[id(client)] = self.sim.broker.now_ms
        self.tick()
        self.sim._fault(point, client)
        if point == "commit.after" and not self.sim.calm:
            chance = self.sim.random.random()
            if chance < 0.01:
                self._replace(client)
            elif chance < 0.05:
                self.sim.broker.advance(7_000)  # paused, and nobody took over yet
        self.tick()

    def _replace(self, client: object) -> None:
        """A second process of the same member starts while the first one still runs."""
        for worker in self.sim.workers:
            if worker.loop is not None and worker.loop.log is client:
                self.sim.counts["replaced"] = self.sim.counts.get("replaced", 0) + 1
                worker.loop = self.sim._start(worker)


class Performer:
    """What an executor does in the world; one for each process, with its own log."""

    def __init__(self, wire: Wire, loop: EffectLoop) -> None:
        self.wire, self.loop = wire, loop
        assert isinstance(loop.log, SimLog)
        self.log = loop.log

    def __call__(self, request: Any) -> RelayAnswer:
        wire = self.wire
        relay = wire.relays[request.usage_point]
        if isinstance(request, ReadBack):
            self.log.pass_fault("perform.before")
            state = relay.look(wire.now, request.action)
            self.log.pass_fault("perform.after")
            return RelayAnswer(sent=True, refusal="", accepted=None, state=state, detail="look")
        assert isinstance(request, SendCommand)
        self._check_entry(request)
        self._check_order(request)
        self.log.pass_fault("perform.before")
        check, detail = self._last_word(request)
        wire.asked += 1
        self._check_word(request, check)
        if check:
            return RelayAnswer(sent=False, refusal=check, accepted=None, state="", detail=detail)
        self.log.pass_fault("wire.before")
        accepted = self._send(request, relay)
        self.log.pass_fault("wire.after")
        state = relay.look(wire.now, request.action)
        return RelayAnswer(sent=True, refusal="", accepted=accepted, state=state, detail="sent")

    def _last_word(self, request: SendCommand) -> tuple[str, str]:
        fold = self.loop.folds[partition_of(request.usage_point, PARTITIONS)]
        point = request.usage_point
        return last_word(
            request.command_id,
            request.valid_until_at,
            [body for topic in executor.COMMANDS for body in self.loop.ahead(fold, topic, point)],
            self.loop.ahead(fold, executor.SUPPLY, point),
            self.loop.ahead(fold, executor.CALENDAR, None),
        )

    # -- what must hold at this moment --------------------------------------------------------

    def _check_entry(self, request: SendCommand) -> None:
        """A member that still owns the partition, and an attempt that was written just now."""
        wire, partition = self.wire, partition_of(request.usage_point, PARTITIONS)
        assert partition in self.log.assigned(), "sent by one who lost the partition"
        group = wire.sim.broker.group(self.log.group)
        mine = group.members.get(self.log.member)
        assert mine is not None, "sent by one who is no member"
        assert mine.member_id == self.log.membership.member_id, "sent by one who was replaced"
        assert self.log.membership.generation == group.generation, "sent in an old generation"
        waited_ms = wire.sim.broker.now_ms - wire.committed[id(self.log)]
        assert waited_ms <= 5_000, f"{waited_ms} ms between the written attempt and the wire"
        started = [e for e in wire.results(request.usage_point) if isinstance(e, AttemptStarted)]
        assert started, "nothing was written before the wire"
        assert started[-1].command_id == request.command_id, "not written before the wire"

    def _check_word(self, request: SendCommand, check: str) -> None:
        """Nothing that stands in the topics by now forbids it."""
        wire = self.wire
        if check:
            return
        assert request.command_id not in wire.cancelled, "sent after a cancellation"
        assert text(wire.ticked) < request.valid_until_at, "sent after its time"
        body = wire.issued[request.command_id]
        known = wire.versions[request.usage_point]
        assert body.agreement_version == known, "sent under another agreement"

    def _check_order(self, request: SendCommand) -> None:
        """One command after another, and every seq above all before it."""
        wire, point = self.wire, request.usage_point
        seqs = [
            wire.issued[sent.command.command_id].seq
            for sent in wire.sent
            if sent.command.usage_point == point
        ]
        seq = wire.issued[request.command_id].seq
        assert all(before < seq for before in seqs), "sent out of sequence"
        started = {e.command_id for e in wire.results(point) if isinstance(e, AttemptStarted)}
        others = started - wire.outcomes(point).keys() - {request.command_id}
        assert not others, f"sent while {others} has no outcome"

    def _send(self, request: SendCommand, relay: Relay) -> bool | None:
        """The frame itself, maybe long after all checks: then only the meter can refuse it."""
        wire = self.wire
        wire.sent.append(Sent(request, wire.now))
        ended = wire.outcomes(request.usage_point)
        opened = len(relay.openings)
        accepted = relay.take(request, frame_valid_until(request), wire.now)
        for command_id, _ in relay.openings[opened:]:  # a slow one may move only now, for another
            assert command_id not in ended, "opened after its outcome was told"
        return accepted


def last_word(*given: Any) -> tuple[str, str]:
    """The executor's last word (tests replace it)."""
    return real_last_word(*given)


def frame_valid_until(request: SendCommand) -> str:
    """The valid-until that the frame carries (tests replace it)."""
    return request.valid_until_at


def new_wire(seed: int, faults: Faults | None = None) -> Wire:
    """Two executors, six relays."""
    wires: list[Wire] = []

    def make_loop(*args: Any, **named: Any) -> Loop:
        loop = EffectLoop(*args, **named)
        loop.perform = Performer(wires[0], loop)
        return loop

    sim = Simulation(
        seed,
        (on_table(executor.make_core("e"), PARTITIONS),),
        partitions=PARTITIONS,
        members=2,
        faults=faults or Faults(crash=0.004, stall=0.02, broker_down=0.001),
        loop_type=make_loop,
        stalls=(*STALLS, "commit.after", "poll.before", "perform.before", "wire.before"),
    )
    wire = Wire(sim)
    wires.append(wire)
    sim.broker.faults = wire.on_point
    for point in POINTS:
        wire.relays[point] = Relay(clock_off_s=sim.random.randrange(-90, 90))
        wire.supply(point)
    return wire


def live(wire: Wire, turns: int) -> None:
    """Control issues, repeats and cancels; supplies change; relays misbehave."""
    sim, roll = wire.sim, wire.sim.random
    for _ in range(turns):
        if not sim.broker.down:
            _happen(wire)
        sim.run(roll.randrange(1, 5))


def _happen(wire: Wire) -> None:
    roll = wire.sim.random
    point = roll.choice(POINTS)
    chance = roll.random()
    known = list(wire.issued)
    if chance < 0.45:
        action = roll.choice(("open", "open", "open", "permit_close", "close", *KEEPING))
        wire.issue(point, action, valid_s=roll.choice((20, 60, 120)))
    elif chance < 0.50:
        wrong = roll.choice(
            ({"clearance_id": ""}, {"meter_no": "M0"}, {"account_no": "A0"}, {"seq": 1})
        )
        wire.issue(point, "open", **wrong)
    elif chance < 0.58 and known:
        wire.repeat(roll.choice(known[-5:]))
    elif chance < 0.68 and known:
        wire.cancel(roll.choice(known[-2:]))
    elif chance < 0.72:
        wire.supply(point)
    elif chance < 0.90:
        relay = wire.relays[point]
        relay.mode = roll.choice(("normal", "normal", "stuck", "silent", "button", "slow"))
        if relay.state == "close_permitted" and roll.random() < 0.5:
            relay.state = "closed"  # the customer pressed the button


def settle(wire: Wire) -> None:
    """The faults end, the meters answer again, and time passes until nothing is open."""
    wire.sim.finish()
    for relay in wire.relays.values():
        relay.mode = "normal"
    for _ in range(4):
        wire.sim.broker.advance(40 * 60_000 // PACE)
        wire.tick()
        wire.sim.finish()
        if all(wire.is_settled(point) for point in POINTS):
            return


def check_commands(wire: Wire) -> None:
    """What must hold of every command in the end."""
    seed = wire.sim.seed
    sent = [frame.command.command_id for frame in wire.sent]
    assert len(sent) == len(set(sent)), f"seed {seed}: sent twice"
    for point in POINTS:
        results = wire.results(point)
        outcomes = wire.outcomes(point)
        mine = {name for name, body in wire.issued.items() if body.usage_point == point}
        assert set(outcomes) == mine, f"seed {seed}: {mine ^ set(outcomes)} have no outcome"
        for command_id, found in outcomes.items():
            assert len(found) == 1, f"seed {seed}: {command_id} ended as {found}"
            if found == ["refused"]:
                assert command_id not in sent, f"seed {seed}: {command_id} was sent and refused"
            if command_id in wire.doomed:
                assert found == ["refused"], f"seed {seed}: {command_id} should be refused"
        started = [event for event in results if isinstance(event, AttemptStarted)]
        seqs = [event.seq for event in started]
        assert seqs == sorted(set(seqs)), f"seed {seed}: attempts out of sequence"
        assert {e.command_id for e in started} >= {i for i in sent if i in mine}, "not written"
        for event in results:
            if isinstance(event, AttemptEnded) and event.final:
                _check_outcome(wire, event)
        _check_last(wire, point, [e for e in results if isinstance(e, AttemptEnded) and e.final])


def _check_last(wire: Wire, point: str, finals: list[AttemptEnded]) -> None:
    """What was told last is how the relay stands (but for a customer who pressed the button)."""
    kept = [each.state for each in finals if each.action in KEEPING]
    seed = wire.sim.seed
    assert not kept or kept[-1] == wire.relays[point].kept, f"seed {seed}: {point} {kept}"
    finals = [each for each in finals if each.action not in KEEPING]
    state = wire.relays[point].look(wire.now)
    if finals and not (finals[-1].outcome == "waiting_for_button" and state == "closed"):
        shown = "open" if state == "close_permitted" else state
        assert finals[-1].state == shown, f"seed {wire.sim.seed}: {point} is {state}: {finals[-1]}"


def _check_outcome(wire: Wire, event: AttemptEnded) -> None:
    """Confirmed by what the relay said; not confirmed only when the frame can act no more."""
    body = wire.issued[event.command_id]
    assert event.outcome in FINAL
    if event.outcome == "confirmed":
        assert event.state == WANTED[event.action], event
    elif event.outcome == "waiting_for_button":
        assert (event.action, event.state) == ("permit_close", "open"), event
    else:
        assert event.state not in ("", WANTED[event.action]) or event.state == "open", event
    for command_id, opened_at in wire.relays[event.usage_point].openings:
        margin = timedelta(minutes=executor.DEFAULT_POLICY.clock_margin_min)
        until = datetime.fromisoformat(wire.issued[command_id].valid_until_at)
        assert opened_at < until + margin + timedelta(seconds=30), "opened after its time"
    assert body.usage_point == event.usage_point
