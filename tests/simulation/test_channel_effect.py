"""The effect core of payments under crashes and takeovers: a refund reaches its channel once.

Two members share two partitions of commands; processes die before and after every call of the log
and of the channel. Every command is answered once, whatever happened; without its answer, each trap
is noticed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from libs.events.audit import scan
from libs.events.codec import Codec, encode, envelope_of
from libs.events.core import Tick
from libs.events.effects import EffectLoop
from libs.events.loop import Loop
from libs.events.record import Envelope, envelope_headers
from libs.events.testing.driver import STALLS, Faults, Simulation
from libs.events.testing.laws import check
from libs.events.testing.simlog import SimLog, SimReader
from services.payments import events as payments
from services.payments.effect import decide as decisions
from services.payments.effect import state
from services.payments.effect.core import make_core
from services.payments.effect.decide import Call, Outcome
from services.payments.order_events import KINDS, REFUND, ChannelAnswered, ChannelAsked
from services.wiring import on_table
from tests.unit.payments_core.world import START, A, B, C

SEEDS = 40
PARTITIONS = 2
COMMANDS = 24
SEEN: Counter[str] = Counter()


class Street:
    """Payments, which commands, and the channels, which remember what reached them."""

    def __init__(self, seed: int) -> None:
        self.core = on_table(make_core("test"), PARTITIONS)
        self.reached: Counter[str] = Counter()
        self.asked: list[ChannelAsked] = []
        self.sim = Simulation(
            seed,
            (self.core,),
            partitions=PARTITIONS,
            faults=Faults(crash=0.03),
            loop_type=self.loop,
            stalls=(*STALLS, "perform.before"),
        )
        headers = envelope_headers(Envelope("tick", "clock.ticked.v1", "clock", START, ""))
        for partition in range(PARTITIONS):
            self.sim.append("calendar", partition, None, encode(Tick(at=START)), headers)

    def loop(self, *given: Any, **named: Any) -> Loop:
        loop = EffectLoop(*given, **named)
        log = loop.log
        assert isinstance(log, SimLog)
        loop.perform = lambda call: self.perform(call, log)
        return loop

    def perform(self, call: Call, log: SimLog) -> Outcome:
        log.pass_fault("perform.before")
        if call.asked.kind == REFUND and not call.is_look:
            self.reached[call.asked.refund_no] += 1
        SEEN["looked" if call.is_look else "sent"] += 1
        log.pass_fault("perform.after")
        said = self.sim.random.choice(("answered", "unanswered", "refused", "not_found"))
        return Outcome(outcome=said, looked=call.is_look)

    def command(self) -> None:
        """A command, of three refunds in all: now and then one is told under another number."""
        random, number = self.sim.random, len(self.asked)
        kind = random.choice((*KINDS, REFUND, REFUND))
        key = random.choice((A, B, C))
        body = ChannelAsked(
            command_id=f"c{number}",
            kind=kind,
            account_no=key,
            channel="wechat",
            merchant="m",
            out_trade_no=f"{key}1A",
            attempt=1,
            next_at="",
            asked_at=START,
            refund_no=f"RF-{key}-{number // 8}" if "refund" in kind else "",
        )
        self.asked.append(body)
        self.sim.feed(payments.catalogue, "payments.commands", key, body, number)

    def answers(self) -> list[ChannelAnswered]:
        codec, found = Codec(self.core.catalogue), []
        for partition in range(PARTITIONS):
            for record in scan(SimReader(self.sim.broker), self.core.own_topic, partition):
                body = codec.decode(envelope_of(record.headers).type, record.value)
                found += [body] if isinstance(body, ChannelAnswered) else []
        return found


def run(seed: int) -> Street:
    street = Street(seed)
    while len(street.asked) < COMMANDS:
        if not street.sim.broker.down:
            street.command()
        street.sim.run(street.sim.random.randrange(1, 6))
    street.sim.finish()
    SEEN.update(street.sim.counts)
    return street


def check_all(street: Street) -> None:
    check(street.sim, {"payments.effect": ()})
    assert all(count == 1 for count in street.reached.values()), street.reached
    answers = street.answers()
    assert sorted(each.command_id for each in answers) == sorted(
        each.command_id for each in street.asked
    )
    SEEN.update(each.outcome for each in answers)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_refund_reaches_its_channel_once_and_every_command_is_answered(seed: int) -> None:
    check_all(run(seed))


def test_the_histories_crash_and_look() -> None:
    for seed in range(0 if SEEN else SEEDS):
        check_all(run(seed))
    assert {"SimCrash", "stall", "looked", "sent", "not_sent", "not_found"} <= SEEN.keys()


def sent_again_after_a_crash(patch: pytest.MonkeyPatch) -> None:
    """An attempt without an answer is sent once more."""
    action = decisions.action
    patch.setattr(decisions, "action", lambda view, key, item, fresh: action(view, key, item, True))


def refunds_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A refund that was sent is not known under another command."""
    original = state.evolve

    def evolve(known: Any, event: Any) -> Any:
        desk = original(known, event)
        return replace(desk, sent=b"") if desk is not None else None

    patch.setattr("services.payments.effect.core.evolve", evolve)


@pytest.mark.parametrize("mutant", [sent_again_after_a_crash, refunds_are_forgotten])
def test_without_its_answer_a_trap_is_noticed(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    for seed in range(SEEDS):
        try:
            check_all(run(seed))
        except AssertionError:
            return
    raise AssertionError(f"{mutant.__name__} went unnoticed")
