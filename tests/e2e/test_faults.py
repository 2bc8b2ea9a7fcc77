"""Kills at random on real Kafka: services, the broker, a member more and one less, no database.

The load is the demo's city. Nothing may be lost or doubled, the replay must be identical with
nothing that cannot be compared, and what the services know must come back without a database.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sqlite3
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from services.local import control_socket, kafka
from simulators.city.demo import PARTITIONS, DemoOptions, run_demo
from simulators.city.stage import Stage
from tests.e2e.test_demo import Silent

KILLABLE = (
    "clock",
    "customers",
    "ingest",
    "ingest-field",
    "validation",
    "validation-areas",
    "billing",
    "payments",
    "payments-settlement",
    "payments-edge",
    "control",
    "metrology",
)
CORES = ("customers", "ingest", "validation", "billing", "payments", "control", "metrology")
LAST = date(2026, 2, 12)


class Nemesis:
    """Two kills a day, one of the broker, a second member of validation for some days."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.kills = 0
        self.broker_kills = 0

    def __call__(self, stage: Stage, day: date) -> None:
        names = [name for name in KILLABLE if is_running(stage, f"{name}-0")]
        for name in self.random.sample(names, 2):
            stage.kill(f"{name}-0")
            self.kills += 1
        if day.day == 5:
            scale(stage, "validation", 2)
        elif day.day == 7:
            self.kill_broker(stage)
        elif day.day == 9:
            scale(stage, "validation", 1)

    def kill_broker(self, stage: Stage) -> None:
        """SIGKILL the broker; the supervisor starts it again on the same data."""
        cluster = kafka.find_cluster(stage.data_dir / "kafka")
        assert cluster is not None, "no broker runs on the demo's data"
        os.kill(cluster.nodes[0].pid, signal.SIGKILL)
        self.broker_kills += 1


def is_running(stage: Stage, name: str) -> bool:
    answer = control_socket.ask(stage.data_dir, {"command": "status"})
    return any(
        f"{row['service']}-{row['ordinal']}" == name and row.get("pid")
        for row in answer["services"]
    )


def scale(stage: Stage, service: str, count: int) -> None:
    answer = control_socket.ask(
        stage.data_dir, {"command": "scale", "service": service, "count": count}
    )
    assert "error" not in answer, answer


@dataclass(frozen=True)
class Kept:
    """All checkpoints: up to which own record, by core and partition, and every state by key."""

    positions: dict[tuple[str, int], int]
    states: dict[tuple[str, int, str], bytes]


def checkpoints(stage: Stage) -> Kept:
    """Every checkpointed state of every core."""
    kept = Kept({}, {})
    for core in CORES:
        with sqlite3.connect(stage.data_dir / "db" / f"{core}.db") as connection:
            for row in connection.execute(
                "SELECT core, partition, position FROM checkpoint_standing"
            ):
                kept.positions[row[0], row[1]] = row[2]
            for row in connection.execute("SELECT core, partition, key, state FROM checkpoint_row"):
                kept.states[row[0], row[1], row[2]] = bytes(row[3])
    return kept


def stop_cores(stage: Stage) -> None:
    """SIGTERM: every core writes its checkpoints and leaves with 0."""
    for core in CORES:
        scale(stage, core, 0)
    deadline = time.monotonic() + 60
    while any(is_running(stage, f"{core}-0") for core in CORES):
        assert time.monotonic() < deadline, "a core did not leave"
        time.sleep(0.1)
    told = (stage.data_dir / "logs" / "supervisor.log").read_text(encoding="utf-8")
    for core in CORES:
        ends = re.findall(rf"{core}-0 \(pid [0-9]+\) ended: (.*)", told)
        assert ends[-1] == "status 0", f"{core}: {ends[-1]}"


@pytest.mark.kafka
def test_kills_of_services_and_broker_lose_and_double_nothing(tmp_path: Path) -> None:
    nemesis = Nemesis(7)
    found: list[Kept] = []

    def without_database(stage: Stage) -> None:
        stop_cores(stage)
        found.append(checkpoints(stage))
        shutil.rmtree(stage.data_dir / "db")
        for core in CORES:
            scale(stage, core, 1)
        stage.wait_ready({f"{core}-0" for core in CORES})
        stop_cores(stage)
        found.append(checkpoints(stage))

    result = run_demo(
        DemoOptions(
            data_dir=tmp_path,
            kills=False,
            last=LAST,
            nemesis=nemesis,
            afterwards=without_database,
            environment={
                "GRIDLEDGER_KAFKA_SESSION_TIMEOUT_MS": "10000",
                "GRIDLEDGER_KAFKA_TRANSACTION_TIMEOUT_MS": "8000",
            },
        ),
        Silent(),
    )
    assert nemesis.kills >= 20
    assert nemesis.broker_kills == 1
    assert (result.balance["lost"], result.balance["doubled"]) == (0, 0)
    assert [core["problems"] for core in result.balance["cores"] if core["problems"]] == []
    assert result.replay["identical"], result.replay
    assert result.replay["not_comparable"] == 0
    before, after = found
    # Steps that change no state leave an older checkpoint as good as it was.
    assert len(before.positions) == len(CORES) * PARTITIONS
    assert before.positions.keys() == after.positions.keys()
    assert all(at >= before.positions[where] for where, at in after.positions.items())
    assert len(before.states) > 300
    assert after.states == before.states
