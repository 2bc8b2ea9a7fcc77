"""The payments edge as a process over a log in memory: what `run` does but for the broker.

python -m tests.unit.payments_core.edge_process PROFILES DATA_DIR
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

from libs.events.edge import EdgeProducer
from libs.events.record import Outgoing
from libs.events.registry import Catalogue
from services.payments import edge_main
from services.settings import Settings, load_settings


class MemoryPort:
    """Acknowledges at the next poll; counts what it took."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Outgoing, Callable[[int | Exception], None]]] = []
        self.taken: list[Outgoing] = []
        self.failure: Exception | None = None
        self.is_closed = False

    def submit(self, outgoing: Outgoing, on_ack: Callable[[int | Exception], None]) -> None:
        self.waiting.append((outgoing, on_ack))

    def poll(self, timeout_s: float = 0.0) -> int:
        if self.failure is not None:
            raise self.failure
        while self.waiting:
            outgoing, on_ack = self.waiting.pop(0)
            self.taken.append(outgoing)
            on_ack(len(self.taken) - 1)
        return 0

    def append_many(self, outgoing: Sequence[Outgoing], timeout_s: float) -> list[int]:
        first = len(self.taken)
        self.taken += outgoing
        return list(range(first, len(self.taken)))

    def close(self) -> None:
        self.is_closed = True


def producer_over(port: MemoryPort, source: str, catalogue: Catalogue) -> EdgeProducer:
    return EdgeProducer(source, catalogue, port, lambda topic: 4)


class Broker:
    """Stands for KafkaAdmin: the topic is there."""

    def __init__(self, settings: object) -> None:
        pass

    def partitions(self) -> dict[str, int]:
        return {"payments.notices": 4}


def main(profiles: str, data_dir: str) -> int:
    def open_producer(settings: Settings, source: str, catalogue: Catalogue) -> EdgeProducer:
        return producer_over(ports[0], source, catalogue)

    ports = [MemoryPort()]
    with (
        patch.object(edge_main, "KafkaAdmin", Broker),
        patch.object(edge_main, "open_producer", open_producer),
    ):
        status = edge_main.run(settings_of(profiles, data_dir), 3)
    print(f"closed {ports[0].is_closed} after {len(ports[0].taken)} records")
    return status


def settings_of(profiles: str, data_dir: str) -> Settings:
    return load_settings(
        Path(data_dir),
        data_dir=data_dir,
        payment_profiles_file=profiles,
        payments_port=0,
    ).settings


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
