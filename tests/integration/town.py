"""A town on a real Kafka: services as processes of their own, everybody else played by a test.

    with opened_town(servers, tmp_path, ["000000000042"]) as town:
        payments = town.start("payments")
        town.tick("2026-03-02T01:00:00Z")
        town.until("a capture", lambda: town.facts("payments.events", "payments.payment_captured"))
        payments.kill()

The meters are those of `simulators.meters`: real TCP, real relays, a journal of every frame. Their
clock follows the town's ticks, so that no rule about time is waited for.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from confluent_kafka.admin import AdminClient

from libs.events.codec import envelope_of
from libs.events.core import Tick
from libs.events.edge import EdgeProducer, broadcast
from libs.events.errors import Unavailable
from libs.events.kafka import KafkaProducerPort, KafkaReader, TransactionalWriter
from libs.events.record import Record
from libs.events.registry import Catalogue
from libs.events.topics import load_topics
from services.cli.topics import apply
from services.clock.barrier import OPEN_TRANSACTIONS, Barrier
from services.clock.events import catalogue as clock_catalogue
from services.customers import events as customers
from services.local.kafka import start_broker
from services.settings import Settings, load_settings
from tests.broker import TEST_OVERRIDES
from tests.unit.simulators.running import Running, document, meter, running_simulator

ROOT = Path(__file__).parents[2]
PARTITIONS = 2
PATIENCE_S = 90.0
INSTALLED_AT = "2025-01-01T00:00:00Z"
LINE = "town"
METER_PASSWORDS = {"level": "02", "password": "000000", "operator": "00000001"}
"""What the simulated meters take."""

RELAY_REQUEST, RELAY_REFUSED = "1c", "dc"
"""Control codes of a relay command and of a meter's refusal of one (DL/T 645)."""

T = TypeVar("T")


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker that nobody else writes to: services know their topics by their real names."""
    cluster = start_broker(tmp_path_factory.mktemp("kafka"), overrides=TEST_OVERRIDES)
    try:
        yield cluster.bootstrap_servers
    finally:
        cluster.stop()


@dataclass(frozen=True, slots=True)
class Fact:
    """One committed record; the body as it is on the wire."""

    name: str
    key: str
    offset: int
    body: dict[str, Any]


class Member:
    """One member of a service, started by `gridledger run` in a process of its own."""

    def __init__(self, target: str, environment: dict[str, str], log: Path) -> None:
        self.target, self.log = target, log
        self.may_end = False
        with log.open("ab") as file:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "services.cli.main", "run", target],
                cwd=ROOT,
                env=environment,
                stdout=file,
                stderr=file,
            )

    def kill(self) -> None:
        """SIGKILL, whatever it is doing; a frozen one dies too."""
        self.may_end = True
        self.child.kill()
        self.child.wait(30)

    def is_frozen(self) -> bool:
        """Whether SIGSTOP has stopped it."""
        looked = os.waitid(os.P_PID, self.child.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        return looked is not None

    def wake(self) -> None:
        """SIGCONT: it goes on as if no time had passed. From now on it may end by itself."""
        self.may_end = True
        self.child.send_signal(signal.SIGCONT)

    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self.child.poll() is not None

    def said(self) -> str:
        """What it wrote to its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def check(self) -> None:
        """An end that nobody asked for fails the test with what the member said."""
        if self.has_ended() and not self.may_end:
            pytest.fail(f"{self.target} ended with {self.child.returncode}: {self.said()[-2000:]}")


class Town:
    """What runs, what was written, and the one clock. `settings`: as every member has them."""

    def __init__(self, settings: Settings, simulator: Running, folder: Path) -> None:
        self.settings, self.simulator, self.folder = settings, simulator, folder
        self.members: list[Member] = []
        self.table = load_topics(PARTITIONS)
        apply(settings)
        kafka = settings.kafka()
        self.reader = KafkaReader(kafka)
        self.clock = TransactionalWriter(kafka, "clock")
        self.port = KafkaProducerPort(kafka)
        self.barrier = Barrier(kafka, self.table)
        self.admin = AdminClient(kafka.client())
        self._facts: dict[str, list[Fact]] = {}
        self._next: dict[tuple[str, int], int] = {}

    # -- members ----------------------------------------------------------------------------

    def start(self, target: str, **more: object) -> Member:
        """Start a service, or `module:function`; `more` are settings of this member alone."""
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("GRIDLEDGER_")}
        ours = self.settings.model_dump(exclude_defaults=True) | more
        named = {f"GRIDLEDGER_{name.upper()}": str(value) for name, value in ours.items()}
        log = self.folder / f"{len(self.members)}-{target.replace(':', '.')}.log"
        member = Member(target, inherited | named, log)
        self.members.append(member)
        return member

    def until_ready(self, name: str) -> dict[str, Any]:
        """Wait until a member tells its supervisor that it is ready; all that it tells."""
        path = self.settings.data_dir / "run" / f"{name}.json"

        def ready() -> dict[str, Any]:
            found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
            return found if found.get("state") == "ready" else {}

        return self.until(f"{name} ready", ready)

    def is_deserted(self, group: str) -> bool:
        """Whether the coordinator has given up every member of a group."""
        asked = self.admin.describe_consumer_groups([group], request_timeout=20)
        return not asked[group].result(30).members

    # -- writing ----------------------------------------------------------------------------

    def write(self, catalogue: Catalogue, topic: str, key: str, body: object) -> int:
        """A record of an edge or of another service; its offset, after the ack."""
        owner = catalogue.type_of(body).name.partition(".")[0]
        producer = EdgeProducer(owner, catalogue, self.port, self.table.partitions, 30.0)
        return producer.append(topic, key, body)

    def tick(self, at: str) -> None:
        """Business time, for the meters first: theirs is never behind ours."""
        self.simulator.remote.ask("time", at=at)
        broadcast(self.clock, "clock", clock_catalogue, "calendar", Tick(at=at), PARTITIONS)

    def supply(self, account_no: str, point: str, address: str) -> None:
        """A point with a meter on the simulator's line, switched by the meter's own relay."""
        host, port = self.simulator.address_of(LINE)
        body = customers.SupplyPublished(
            usage_point=point,
            version=1,
            account_no=account_no,
            area="T1",
            switching_method="meter_relay",
            voltage_class="lt1kv",
            registers=("1-0:1.8.0",),
            intervals=False,
            rate_periods={},
            supplied_from_on="2025-01-01",
            supplied_to_on="",
            agreement_version=1,
            installations=(
                customers.Installation(
                    meter_no=f"M{address}",
                    from_at=INSTALLED_AT,
                    to_at="",
                    ratio="1",
                    protocol="dlt645_2007",
                    line=f"tcp:{host}:{port}",
                    address=address,
                    digits=6,
                    capacity_w=20_000,
                    initial={},
                    final={},
                ),
            ),
        )
        self.write(customers.catalogue, "customers.supply", point, body)

    # -- looking ----------------------------------------------------------------------------

    def facts(self, topic: str, name: str, **fields: object) -> list[Fact]:
        """What is committed on a topic of one type and with these values, in order by key."""
        known = self._facts.setdefault(topic, [])
        for partition in range(PARTITIONS):
            place = (topic, partition)
            while (piece := self.reader.read(*place, self._next.get(place, 0), 1000)).records:
                self._next[place] = piece.next_offset
                known += [_fact_of(record) for record in piece.records]
        return [
            fact
            for fact in known
            if fact.name == name and all(fact.body[n] == value for n, value in fields.items())
        ]

    def until(self, what: str, holds: Callable[[], T]) -> T:
        """Wait for a condition; its value. Fails when a member ends that should not."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with suppress(Unavailable):  # a topic that is new has no leader yet
                if found := holds():
                    return found
            for member in self.members:
                member.check()
            assert time.monotonic() < deadline, f"in {PATIENCE_S:g} s there was not {what}"
            time.sleep(0.05)

    def settle(self, *groups: str) -> None:
        """Wait until these groups have decided everything that was written."""
        waited_for = {OPEN_TRANSACTIONS, *groups}

        def is_settled() -> bool:
            """Twice, and nothing new in between: offsets may be seen before their records."""
            if waited_for & self.barrier.behind().keys():
                return False
            before = dict(self.barrier.tail.following)
            again = waited_for & self.barrier.behind().keys()
            return not again and before == self.barrier.tail.following

        self.until(f"rest of {', '.join(groups)}", is_settled)

    def relay(self, address: str) -> str:
        """What an eye on the relay sees."""
        return str(self.simulator.remote.ask("state", meter=address)["relay"])

    def relay_frames(self, address: str) -> list[dict[str, Any]]:
        """Every relay command that reached the meter, with its answer and the relay after it."""
        return [
            entry
            for entry in self.simulator.journal()
            if entry["meter"] == address and control_code(entry["received"]) == RELAY_REQUEST
        ]

    def openings(self, address: str) -> int:
        """How often the relay went from closed to open."""
        states = [e["relay"] for e in self.simulator.journal() if e["meter"] == address]
        pairs = zip(["closed", *states], states, strict=False)
        return sum(before != "open" and after == "open" for before, after in pairs)

    def close(self) -> None:
        """End what was started here, by its own id each."""
        for member in self.members:
            member.kill()
        self.barrier.close()
        self.reader.close()
        self.clock.close()
        self.port.close()


def _fact_of(record: Record) -> Fact:
    kind = envelope_of(record.headers).type.rpartition(".v")[0]
    return Fact(kind, (record.key or b"").decode(), record.offset, json.loads(record.value))


def control_code(frame_hex: str) -> str:
    """The control code of a frame in hexadecimal: after the two start bytes and the address."""
    return frame_hex.lstrip("fe")[16:18]


def was_refused(entry: dict[str, Any]) -> bool:
    """Whether the meter refused the relay command of a journal entry."""
    return [control_code(sent) for sent in entry["sent"]] == [RELAY_REFUSED]


@contextmanager
def opened_town(
    servers: str, folder: Path, addresses: Sequence[str], **settings: object
) -> Iterator[Town]:
    """A town whose meters stand on one line; all that runs in it ends with it."""
    lines = [{"name": LINE, "kind": "tcp", "meters": [meter(address) for address in addresses]}]
    passwords = folder / "meter_passwords.json"
    passwords.write_text(json.dumps(METER_PASSWORDS), encoding="utf-8")
    loaded = load_settings(
        folder,
        data_dir=folder / "data",
        kafka_bootstrap_servers=servers,
        kafka_session_timeout_ms=6_000,
        kafka_transaction_timeout_ms=5_000,
        partitions=PARTITIONS,
        clock_mode="simulated",
        payments_port=0,
        **{"meter_passwords_file": passwords, **settings},
    ).settings
    with running_simulator(folder, document(folder, lines)) as simulator:
        town = Town(loaded, simulator, folder)
        try:
            yield town
        finally:
            town.close()
