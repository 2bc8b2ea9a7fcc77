"""The demo's first month on real Kafka, with and without kills: one business result.

Every service runs as its own process; three are killed with SIGKILL on the way. The audit reads
the topics afterwards, and an independent consumer that knows only the published catalogue reads
every record.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from simulators.city.demo import DemoOptions, DemoResult, run_demo

LAST = date(2026, 3, 6)
SETTLED = frozenset(
    {
        "registers",
        "silent meter",
        "wrong checksums",
        "spike",
        "held bill",
        "journal",
        "paid in time",
        "stuck relay",
        "relay chain",
        "SIGKILLs",
    }
)
"""What must be settled by the last day of the short form."""


class Silent:
    """Nobody looks."""

    def say(self, text: str) -> None:
        """Nothing."""

    def day(self, done: int, total: int, text: str) -> None:
        """Nothing."""


def play(directory: Path, *, kills: bool, database: str) -> DemoResult:
    options = DemoOptions(data_dir=directory, kills=kills, database=database, last=LAST)
    return run_demo(options, Silent())


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    """A history with kills, checkpoints in PostgreSQL."""
    return play(tmp_path_factory.mktemp("killed"), kills=True, database="postgres")


@pytest.mark.kafka
@pytest.mark.postgres
def test_nothing_is_lost_or_doubled_and_replay_is_identical(killed: DemoResult) -> None:
    assert killed.balance["lost"] == 0
    assert killed.balance["doubled"] == 0
    assert [core["problems"] for core in killed.balance["cores"] if core["problems"]] == []
    assert killed.replay["identical"], killed.replay
    assert killed.replay["not_comparable"] == 0


@pytest.mark.kafka
@pytest.mark.postgres
def test_planted_cases_of_the_first_month_hold(killed: DemoResult) -> None:
    found = {case.name: case for case in killed.expectations}
    wrong = [found[name] for name in sorted(SETTLED) if not found[name].holds]
    assert not wrong, wrong


@pytest.mark.kafka
def test_the_same_seed_gives_the_same_result_without_kills(
    killed: DemoResult, tmp_path: Path
) -> None:
    calm = play(tmp_path, kills=False, database="sqlite")
    assert calm.digest == killed.digest
