"""The toy core as a process over a simulated log: what a main module does but for the broker.

python -m tests.unit.events.loop_program DATA_DIR [down]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from sqlalchemy import Engine, text

from libs.events.checkpoint import CheckpointStore, open_engine
from libs.events.codec import encode
from libs.events.host import Runtime, run_loop
from libs.events.kafka import KafkaSettings
from libs.events.loop import Limits, Loop
from libs.events.record import Envelope, Record, envelope_headers, partition_of
from libs.events.telemetry import configure_logs
from libs.events.testing.simbroker import SimBroker
from libs.events.testing.simlog import SimLog
from tests.simulation.toy import CoinDropped, make_core

PARTITIONS = 2
TOPICS = ("edge.coins", "calendar", "toy.events", "toy.totals", "toy.dlq")
BOXES = ("box-1", "box-2", "box-3")


class PatientLog(SimLog):
    """Waits a little where nothing comes: the simulation has no time of its own here."""

    def poll(self, limit: int, timeout_s: float) -> list[Record]:
        """As simulated, at most 200 times a second."""
        time.sleep(0.005)
        return super().poll(limit, timeout_s)


class ImpatientRuntime(Runtime):
    """A loop hangs after a second already."""

    @property
    def hung_after_s(self) -> float:
        """Long enough for any turn here."""
        return 1.0


class TellingLoop(Loop):
    """Says how many rows are saved when it ends."""

    engine: Engine

    def stop(self) -> None:
        """As in the core, told before and after."""
        print(f"saved before the end: {self._rows()} rows")
        super().stop()
        print(f"saved at the end: {self._rows()} rows")

    def _rows(self) -> int:
        query = "SELECT count(*) FROM checkpoint_row WHERE key LIKE 'box-%'"
        with self.engine.connect() as connection:
            return int(connection.execute(text(query)).scalar_one())


def main(data_dir: str, *more: str) -> int:
    """Run until SIGTERM."""
    configure_logs()
    broker = SimBroker(dict.fromkeys(TOPICS, PARTITIONS))
    for number, box in enumerate(BOXES):
        headers = envelope_headers(
            Envelope(f"edge/{number}", "edge.coin_dropped.v1", "edge", "", box)
        )
        coin = encode(CoinDropped(amount_fen=5))
        broker.append("edge.coins", partition_of(box, PARTITIONS), box.encode(), coin, headers)
    core = make_core()
    log = PatientLog(broker, core.name, "toy-0", core.inputs)
    broker.down = "down" in more
    engine = open_engine(f"sqlite:///{data_dir}/toy.db")
    loop = TellingLoop(
        core,
        log,
        CheckpointStore(engine),
        lambda topic: PARTITIONS,
        limits=Limits(checkpoint_s=600.0),
    )
    loop.engine = engine
    runtime = ImpatientRuntime(
        KafkaSettings(bootstrap_servers="127.0.0.1:1"),
        "",
        PARTITIONS,
        run_dir=Path(data_dir),
        health_port=0,
    )
    return run_loop(loop, runtime, "toy-0")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
