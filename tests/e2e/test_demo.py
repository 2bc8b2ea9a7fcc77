"""The demo's first month on real Kafka, with and without kills: one business result.

Every service runs as its own process; three are killed with SIGKILL on the way. The audit reads
the topics afterwards, and an independent consumer that knows only the published catalogue reads
every record.
"""

from __future__ import annotations

import json
import re
import urllib.request
from datetime import date
from pathlib import Path

import pytest

from libs.events.audit import scan
from libs.events.kafka import KafkaProducerPort
from libs.events.record import Outgoing
from libs.events.topics import load_topics
from services.audit.files import FileReader
from services.cli import main as cli
from simulators.city.demo import DemoOptions, DemoResult, run_demo
from simulators.city.population import make_city
from simulators.city.stage import Stage
from tests.plain_consumer import PlainConsumer

ASYNCAPI = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"
LAST = date(2026, 3, 6)
SETTLED = frozenset(
    {
        "registers",
        "silent meter",
        "wrong checksums",
        "spike",
        "held bill",
        "journal",
        "line loss",
        "paid in time",
        "stuck relay",
        "relay chain",
        "slot table",
        "slot table, no profile",
        "SIGKILLs",
        "concentrator",
        "recovered profile",
        "mass cut-off",
        "settlement",
        "late payout",
        "cut-off bill",
        "difference by file",
        "group transfer",
        "wrong tariff class",
        "storm over a cut",
    }
)
"""What must be settled by the last day of the short form."""


class Silent:
    """Nobody looks."""

    def say(self, text: str) -> None:
        """Nothing."""

    def day(self, done: int, total: int, text: str) -> None:
        """Nothing."""


POISONED = (
    "customers.requests",
    "ingest.readings",
    "validation.usage",
    "validation.area_usage",
    "payments.notices",
    "control.requests",
    "control.commands",
    "control.permit_requests",
    "metrology.bench",
)
"""One input of every core gets bytes that are no event."""


def poison(stage: Stage, day: date) -> None:
    if day != date(2026, 2, 10):
        return
    assert stage.settings is not None
    port = KafkaProducerPort(stage.settings.kafka())
    port.append_many(
        [
            Outgoing(topic, 0, b"poison", b"\xff\x00 no event", (("ce_type", b"nobody.knows.v1"),))
            for topic in POISONED
        ],
        10.0,
    )
    port.close()


def play(directory: Path, *, kills: bool, database: str) -> DemoResult:
    def look(stage: Stage) -> None:
        with urllib.request.urlopen(stage.url("console", "/field.json"), timeout=30) as answer:
            (directory / "field.json").write_bytes(answer.read())

    options = DemoOptions(
        data_dir=directory,
        kills=kills,
        database=database,
        last=LAST,
        nemesis=poison if kills else None,
        afterwards=look,
    )
    return run_demo(options, Silent())


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the killed history lies."""
    return tmp_path_factory.mktemp("killed")


@pytest.fixture(scope="module")
def killed(directory: Path) -> DemoResult:
    """A history with kills and poison, checkpoints in PostgreSQL."""
    return play(directory, kills=True, database="postgres")


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
@pytest.mark.postgres
def test_the_console_and_the_log_show_whose_readings_are_missing(
    killed: DemoResult, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The silent meter by its area; one day of one meter behind the concentrator, no more."""
    page = json.loads((directory / "field.json").read_text("utf-8"))
    shown = {row["day_on"] for row in page["days"]}
    assert len(shown) == 31
    missing = {}
    for by in ("area", "concentrator"):
        cli.main(["kpi", "--from-files", str(directory / "export"), "--by", by, "--json"])
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        rows = [row for row in lines if row.get("day_on") in shown and row["key"]]
        for group in page["groups"][by]["worst"]:
            missing[group["key"]] = group["missing"]
            wanted = [row["freeze"] for row in rows if row["key"] == group["key"]]
            assert [day["freeze"] for day in group["days"]] == wanted
    assert missing[make_city(1).point_of("silent").area] >= 5
    assert missing["0200-0001"] == 1


@pytest.mark.kafka
def test_the_same_seed_gives_the_same_result_without_kills(
    killed: DemoResult, tmp_path: Path
) -> None:
    calm = play(tmp_path, kills=False, database="sqlite")
    assert sorted(set(calm.business) ^ set(killed.business)) == []
    assert calm.digest == killed.digest


@pytest.mark.kafka
def test_a_consumer_that_knows_only_the_catalogue_reads_every_record(
    killed: DemoResult, directory: Path
) -> None:
    """Every record of every topic, dead letters included; the poison itself is no event."""
    consumer = PlainConsumer(ASYNCAPI)
    reader = FileReader(directory / "export")
    table = load_topics(reader.partition_count)
    records = [record for place in table.places() for record in scan(reader, *place)]
    poisoned = [record for record in records if record.key == b"poison"]
    problems = [
        text
        for record in records
        if record.key != b"poison" or record.topic.endswith(".dlq")
        for text in consumer.problems(record)
    ]
    assert problems == []
    assert len(records) > 10_000
    dead = [record for record in poisoned if record.topic.endswith(".dlq")]
    assert len(dead) == len(POISONED) + 1, "ingest.readings has two readers"
    assert {record.value for record in dead} == {b"\xff\x00 no event"}


@pytest.mark.kafka
def test_no_password_is_kept_and_the_digest_of_every_masked_frame_is(
    killed: DemoResult, directory: Path
) -> None:
    reader = FileReader(directory / "export")
    places = [("ingest.results", number) for number in range(reader.partition_count)]
    values = [record.value.decode() for place in places for record in scan(reader, *place)]
    masked = [text for value in values for text in re.findall(r'"([<>?][^"]*xx[^"]*)"', value)]
    assert masked, "relays were switched"
    assert all(re.search(r"#[0-9a-f]{64}$", text) for text in masked)
