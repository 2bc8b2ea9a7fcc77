"""An office with the customers core on a simulated log: commands run against it as on a cluster.

    office.command("import", directory)       status; what it printed is in capsys
    office.core_is_up = False                 nobody answers, and time passes all the same

The core works whenever a command pauses, so nothing here depends on a wall clock.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from libs.events.codec import Codec, envelope_of
from libs.events.edge import EdgeProducer
from libs.events.errors import Aborted, Unknown
from libs.events.testing.driver import Simulation
from libs.events.testing.simlog import SimProducerPort, SimReader, SimWriter
from services.cli import customers as command
from services.cli.main import main
from services.customers.answers import Patience
from services.customers.core import WRITTEN, make_core
from services.customers.events import catalogue

PARTITIONS = 2


class Office:
    """One core, one broker, and a clock that goes on by what is waited."""

    def __init__(self) -> None:
        self.sim = Simulation(1, (make_core(),), PARTITIONS, members=1, topics=WRITTEN)
        self.sim.calm = True
        self.core_is_up = True
        self.time_s = 0.0
        self.before_write: Callable[[], None] = lambda: None
        self.codec = Codec(make_core().catalogue)

    def work(self) -> None:
        """The core decides all that there is."""
        self.sim.finish()

    def pause(self, seconds: float) -> None:
        """Time that a command waits."""
        self.time_s += seconds
        if self.core_is_up:
            self.work()

    def patience(self, timeout_s: float) -> Patience:
        return Patience(timeout_s, now=lambda: self.time_s, pause=self.pause)

    def reader(self) -> SimReader:
        return SimReader(self.sim.broker)

    def producer(self) -> EdgeProducer:
        port = SimProducerPort(self.sim.broker)
        return EdgeProducer("customers.edge", catalogue, port, lambda _: PARTITIONS)

    def writer(self, transactional_id: str) -> Writer:
        return Writer(self, transactional_id)

    def bodies(self, topic: str) -> list[Any]:
        """Everything on a topic that the customers catalogue knows but steps."""
        found = []
        for partition in range(PARTITIONS):
            for record in self.reader().read(topic, partition, 0, 10_000).records:
                name = envelope_of(record.headers).type
                if not name.startswith("customers.step_taken"):
                    found.append(self.codec.decode(name, record.value))
        return found

    def command(self, *arguments: str | Path) -> int:
        return main(["customers", *map(str, arguments)])


class Writer(SimWriter):
    """The transactional writer of a command; somebody may come in between."""

    def __init__(self, office: Office, transactional_id: str) -> None:
        super().__init__(office.sim.broker, transactional_id)
        self.office = office

    def write(self, outgoing: Any) -> Any:
        self.office.before_write()
        return super().write(outgoing)


def aborted() -> None:
    raise Aborted("transaction: timed out")


def unknown() -> None:
    raise Unknown("commit: no answer")


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Office:
    """The office as the commands find it."""
    made = Office()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRIDLEDGER_PARTITIONS", str(PARTITIONS))
    monkeypatch.setattr(command, "open_cluster", lambda _: made.reader())
    monkeypatch.setattr(command, "open_producer", lambda *_: made.producer())
    monkeypatch.setattr(command, "TransactionalWriter", lambda _, name: made.writer(name))
    monkeypatch.setattr(command, "Patience", made.patience)
    return made
