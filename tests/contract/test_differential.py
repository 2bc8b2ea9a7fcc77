"""SimLog against Apache Kafka: seeded random operations must come out alike on both.

After every operation both sides are compared: what it gave or the class of its error, every
visible record with its offset, low, last stable and high offset of every partition, the group's
stable offsets and the assignments. A failing seed prints its operations; run it alone with
GRIDLEDGER_SEED=<seed>.
"""

from __future__ import annotations

import os
import random
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from libs.events.record import TopicPartition
from tests.contract.sides import PARTITIONS, KafkaSide, Outcome, SimSide
from tests.contract.worlds import KafkaWorld, SimWorld

# Long enough that nothing ends by itself within a fast seed.
FAST = {
    "session_ms": 45_000,
    "max_poll_ms": 60_000,
    "transaction_ms": 40_000,
    "heartbeat_ms": 100,
}
# Short enough to wait for, long enough for the few operations before the wait on a busy machine.
SLOW = {"session_ms": 6_500, "max_poll_ms": 7_000, "transaction_ms": 6_000, "heartbeat_ms": 200}
FAST_SEEDS, FAST_LANES = 200, 8
SLOW_SEEDS = 12
MEMBERS, PRODUCERS = ("a", "b"), ("x", "y")


class Script:
    """Chooses the next operation that is possible now, from one seeded source."""

    def __init__(self, seed: int, side: SimSide) -> None:
        self.random = random.Random(seed)
        self.side = side
        self.count = 0

    def value(self) -> bytes:
        self.count += 1
        return b"v%d" % self.count

    def offset(self, p: int) -> int:
        bounds = self.side.world.broker.bounds(self.side.inp, p)
        return self.random.randint(bounds.low, bounds.high)

    def values(self) -> tuple[bytes, ...]:
        return tuple(self.value() for _ in range(self.random.choice((0, 1, 1, 2, 3))))

    def next(self, kinds: tuple[str, ...]) -> Outcome:
        """One of `kinds` that can be done now; an append when none can."""
        for kind in self.random.sample(kinds, len(kinds)):
            made = self.make(kind)
            if made is not None:
                return made
        return ("append", 0, self.value())

    def make(self, kind: str) -> Outcome | None:
        """An operation of this kind with seeded arguments, None when it is not possible now."""
        side, pick = self.side, self.random.choice
        p = self.random.randrange(PARTITIONS)
        owners = [m for m in side.logs if side.logs[m].assigned()]
        match kind:
            case "append":
                return ("append", p, self.value())
            case "join":
                return ("join", pick(MEMBERS))
            case "kill" | "close" if side.logs:
                return (kind, pick(sorted(side.logs)))
            case "deliver" if owners:
                return ("deliver", pick(owners))
            case "commit" if side.logs:
                m = pick(owners or sorted(side.logs))
                return ("commit", m, p, self.offset(p), self.values())
            case "zombie_commit" if side.zombies:
                m = pick(sorted(side.zombies))
                return ("zombie_commit", m, p, self.offset(p), (self.value(),))
            case "zombie_poll" if side.zombies:
                return ("zombie_poll", pick(sorted(side.zombies)))
            case "take_over":
                return ("take_over", pick(PRODUCERS))
            case "open" if side.halves:
                return ("open", pick(sorted(side.halves)), pick(("inp", "own")), p, self.value())
            case "offsets" if side.halves and owners:
                return ("offsets", pick(sorted(side.halves)), pick(owners), p, self.offset(p))
            case "stale_offsets" if side.halves and side.zombies:
                x, m = pick(sorted(side.halves)), pick(sorted(side.zombies))
                return ("stale_offsets", x, m, p, self.offset(p))
            case "end" if side.halves:
                return ("end", pick(sorted(side.halves)), pick((True, False)))
            case "drop" if side.halves:
                return ("drop", pick(sorted(side.halves)))
            case "late" if side.former:
                return ("late", pick(sorted(side.former)), p, self.value())
            case "late_end" if side.former:
                return ("late_end", pick(sorted(side.former)))
            case "trim":
                stable = side.world.broker.bounds(side.inp, p).stable
                return ("trim", p, self.random.randint(0, stable))
        return None


class Pair:
    """Both sides under one script."""

    def __init__(self, seed: int, bootstrap: str, times: dict[str, int]) -> None:
        self.seed = seed
        self.real = KafkaWorld(bootstrap, **times)
        self.left, self.right = SimSide(SimWorld(seed, **times)), KafkaSide(self.real)
        self.script = Script(seed, self.left)
        self.history: list[tuple[Outcome, Outcome]] = []

    def step(self, operation: Outcome) -> None:
        """Do it on both sides and compare everything."""
        expected = self.left.do(operation)
        self.history.append((operation, expected))
        self._same("outcome", expected, self.right.do(operation, expected))
        self.left.settle()
        state = self.left.state()
        self._same("state", state, self.right.agrees(state))

    def told(self, reason: Exception) -> str:
        """What went wrong after which operations."""
        lines = [f"{operation} -> {outcome}" for operation, outcome in self.history]
        where = "" if isinstance(reason, AssertionError) else traceback.format_exc(limit=-4)
        return "\n".join([f"{type(reason).__name__}: {reason}", *lines, where])

    def _same(self, what: str, sim: Any, kafka: Any) -> None:
        if sim == kafka:
            return
        told = [f"{what} differs"]
        if isinstance(sim, dict):
            for name in sim:
                if sim[name] != kafka.get(name):
                    told.append(f"{name}: sim {sim[name]} kafka {kafka.get(name)}")
        else:
            told.append(f"sim {sim} kafka {kafka}")
        raise AssertionError("\n".join(told))


USUAL = (
    *("append", "join", "join", "kill", "close", "deliver", "deliver", "commit", "commit"),
    *("zombie_commit", "zombie_poll", "take_over", "take_over", "open", "open", "offsets"),
    *("end", "end", "drop", "late", "late", "late_end", "late_end", "trim"),
    *("offsets", "offsets", "stale_offsets", "stale_offsets", "zombie_commit"),
)


def opening(script: Script) -> list[Outcome]:
    """How a history begins: a record, one or two members, and often a bare producer at work."""
    first: list[Outcome] = [("append", 0, b"first"), ("join", script.random.choice(MEMBERS))]
    if script.random.random() < 0.4:
        first += [("join", m) for m in MEMBERS if m != first[1][1]]
    if script.random.random() < 0.6:
        first += [("take_over", "x"), ("open", "x", "own", 0, b"half")]
    return first


def fast_seed(seed: int, bootstrap: str) -> str:
    """A history in which no time-out ends anything; what differed, or nothing."""
    pair = Pair(seed, bootstrap, FAST)
    try:
        for operation in opening(pair.script):
            pair.step(operation)
        for _ in range(pair.script.random.randint(6, 11)):
            pair.step(pair.script.next(USUAL))
    except Exception as reason:
        return f"seed {seed}: {pair.told(reason)}"
    finally:
        pair.real.end()
    return ""


def slow_seed(seed: int, bootstrap: str) -> str:
    """A history around one wait that ends transactions, sessions or both; what differed."""
    pair = Pair(seed, bootstrap, SLOW)
    script = pair.script
    polling = seed % 2 == 0
    try:
        pair.step(("append", 0, b"first"))
        pair.step(("join", "a"))
        if script.random.random() < 0.5:
            pair.step(("join", "b"))
        pair.step(("take_over", "x"))
        pair.step(("open", "x", "own", script.random.randrange(PARTITIONS), b"half"))
        pair.step(script.next(("offsets", "commit", "open")))
        if polling and script.random.random() < 0.7:
            pair.step(script.next(("kill", "close")))
        pair.step(("pass_time", 9_000 if polling else 16_000, polling))
        pair.step(script.next(("end", "open", "commit", "deliver")))
        for _ in range(4):
            pair.step(script.next(("commit", "deliver", "open", "end", "take_over", "join")))
    except Exception as reason:
        return f"seed {seed}: {pair.told(reason)}"
    finally:
        pair.real.end()
    return ""


def chosen(seeds: range) -> list[int]:
    """All seeds, or the one that GRIDLEDGER_SEED names."""
    asked = os.environ.get("GRIDLEDGER_SEED")
    return [seed for seed in seeds if asked is None or seed == int(asked)]


def warm_up(bootstrap: str) -> None:
    """Let a broker that just started make its own topics before anything is timed."""
    world = KafkaWorld(bootstrap, **FAST)
    topic = world.topic("warm", 1)
    log = world.log("m", [topic])
    world.until_assigned({log: {0}})
    log.commit([], {TopicPartition(topic, 0): 0})
    world.end()


@pytest.mark.kafka
def test_histories_come_out_alike(kafka_bootstrap: str) -> None:
    warm_up(kafka_bootstrap)
    seeds = chosen(range(FAST_SEEDS))
    with ThreadPoolExecutor(FAST_LANES) as lanes:
        told = list(lanes.map(lambda seed: fast_seed(seed, kafka_bootstrap), seeds))
    differing = [text for text in told if text]
    assert not differing, f"{len(differing)} of {len(seeds)} differ\n" + "\n\n".join(differing[:5])


@pytest.mark.kafka
def test_time_outs_come_out_alike(kafka_bootstrap: str) -> None:
    warm_up(kafka_bootstrap)
    seeds = chosen(range(1_000, 1_000 + SLOW_SEEDS))
    with ThreadPoolExecutor(max(len(seeds), 1)) as lanes:
        told = list(lanes.map(lambda seed: slow_seed(seed, kafka_bootstrap), seeds))
    differing = [text for text in told if text]
    assert not differing, f"{len(differing)} of {len(seeds)} differ\n" + "\n\n".join(differing)
