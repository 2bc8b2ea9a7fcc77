"""`gridledger metrology`: open cases, the decision about one, a judgement with its limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from libs.events.codec import Codec, encode
from libs.events.edge import EdgeProducer
from libs.events.errors import BadInput, Unavailable
from libs.events.record import Envelope, envelope_headers, partition_of
from libs.events.testing.simbroker import SimBroker
from libs.events.testing.simlog import SimProducerPort, SimReader
from services.audit.files import export_topics
from services.cli import main as cli
from services.cli import metrology as command
from services.metrology.events import catalogue, edge_catalogue
from tests.unit.metrology.samples import TESTS
from tests.unit.metrology_core.lab import Lab, decision, fast, meter, run, use

PARTITIONS = 2
FIRST, SECOND = "B1-0001/P1/2024-01-01", "B1-0001/P2/2025-01-01"


@pytest.fixture(scope="module")
def made() -> Lab:
    """A failed meter of two places, of which the first is decided; and one that passed."""
    lab = Lab()
    lab.feed(meter(use(to_on="2025-01-01")))
    lab.feed(meter(use("P2", "A0", "2025-01-01"), account="A0"), fast(tests={**TESTS}))
    lab.feed(run(run_id="B1-0002", points=(*run().run.points[:3], *run().run.points[4:])))
    lab.feed(run(run_id="B1-0003"))
    return lab


@pytest.fixture(scope="module")
def broker(made: Lab) -> SimBroker:
    found = SimBroker({"metrology.events": PARTITIONS, "metrology.bench": PARTITIONS})
    for key, body in made.log:
        put(found, key, body)
    return found


def put(broker: SimBroker, key: str, body: Any) -> None:
    kind = catalogue.type_of(body).full_name
    headers = envelope_headers(Envelope("x", kind, "metrology", "2026-03-01T03:00:00Z", key))
    partition = partition_of(key, PARTITIONS)
    broker.append("metrology.events", partition, key.encode(), encode(body), headers)


@pytest.fixture(scope="module")
def files(broker: SimBroker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("export")
    topics = ["metrology.events"]
    export_topics(SimReader(broker), lambda topic: PARTITIONS, topics, directory, {})
    return directory


def test_open_cases_are_listed_by_account(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["metrology", "cases", "--from-files", str(files), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["case_id"], row["account_no"], row["error_e4_pct"]) for row in rows] == [
        (SECOND, "A0", 30_000),
        (FIRST, "A1", 30_000),
    ]
    assert (rows[1]["from_on"], rows[1]["to_on"]) == ("2024-07-02", "2025-01-01")
    assert cli.main(["metrology", "cases", "--from-files", str(files)]) == 0
    shown = capsys.readouterr().out
    assert "+3 %" in shown
    assert "2024-07-02" in shown


def test_a_decided_case_is_open_no_more(made: Lab) -> None:
    broker = SimBroker({"metrology.events": PARTITIONS})
    lab = Lab()
    lab.feed(meter(), fast(), decision())
    for key, body in lab.log:
        put(broker, key, body)
    assert command.open_cases(SimReader(broker), PARTITIONS) == []
    with pytest.raises(BadInput, match=r"CASE_ID: '.*' was approved already \(a case is decided"):
        command.find_case(SimReader(broker), PARTITIONS, FIRST)


def test_a_case_that_was_proposed_again_is_listed_as_it_is_now() -> None:
    broker = SimBroker({"metrology.events": PARTITIONS})
    lab = Lab()
    lab.feed(meter(), fast(), meter(use(to_on="2024-01-11"), version=2))
    for key, body in lab.log:
        put(broker, key, body)
    (case,) = command.open_cases(SimReader(broker), PARTITIONS)
    assert case.to_on == "2024-01-11"


def test_a_decision_is_written_where_the_meters_runs_are(broker: SimBroker, made: Lab) -> None:
    case = command.find_case(SimReader(broker), PARTITIONS, SECOND)
    port = SimProducerPort(broker)
    producer = EdgeProducer("metrology.edge", edge_catalogue, port, lambda topic: PARTITIONS)
    request = command.make_request(SECOND, "approved", " head of lab ", "certificate 4711 ")
    command.send_request(producer, case, request)
    partition = partition_of("M1", PARTITIONS)
    (record,) = SimReader(broker).read("metrology.bench", partition, 0, 9).records
    body = Codec(edge_catalogue).decode("metrology.case_decided.v1", record.value)
    assert (record.key, body.meter_no, body.decided_by, body.reason) == (
        b"M1",
        "M1",
        "head of lab",
        "certificate 4711",
    )
    (decided,) = lab_with(made).feed(body)
    assert (decided.decision, decided.reason) == ("approved", "certificate 4711")
    broker.down = True
    with pytest.raises(Unavailable):
        command.send_request(producer, case, request)
    broker.down = False


def lab_with(made: Lab) -> Lab:
    again = Lab(bare=True)
    for key, body in made.log:
        again.fold.apply(key, body)
    return again


def test_an_unknown_case_is_named(broker: SimBroker) -> None:
    with pytest.raises(BadInput, match=r"CASE_ID: there is no case 'B9' \(see `gridledger"):
        command.find_case(SimReader(broker), PARTITIONS, "B9")


def test_a_judgement_shows_every_point_with_its_limit(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["metrology", "judgement", "B1-0001", "--from-files", str(files)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("B1-0001: meter M1, class 1: fail\n")
    assert shown.count("±") == 6
    assert "±1.5 %" in shown
    assert "creep: pass (the bench reports pass)" in shown
    assert "because 0.05Ib 1.0 balanced: +3 % against +-1.5 %" in shown
    assert "representative error +3 %: (1 x 30000 + 3 x 30000 + 1 x 30000) / 5" in shown
    assert "next verification" not in shown


def test_a_judgement_says_what_is_missing_and_when_it_is_due(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["metrology", "judgement", "B1-0002", "--from-files", str(files)]) == 0
    shown = capsys.readouterr().out
    assert "not_judged" in shown
    assert "representative error unknown: Imax at 1.0, balanced load, was not measured" in shown
    assert cli.main(["metrology", "judgement", "B1-0003", "--from-files", str(files)]) == 0
    assert "next verification by 2034-03-01" in capsys.readouterr().out


def test_a_judgement_as_data(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["metrology", "judgement", "B1-0001", "--from-files", str(files), "--json"]
    assert cli.main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["judgement"]["verdict"] == "fail"
    assert [point["limit_e4_pct"] for point in document["judgement"]["points"]] == [
        15_000,
        10_000,
        10_000,
        10_000,
        10_000,
        10_000,
    ]


DECIDE = ["decide", FIRST, "--decision"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([*DECIDE, "maybe", "--by", "x", "--reason", "y"], "--decision: 'maybe' is no decision"),
        ([*DECIDE, "approved", "--by", " ", "--reason", "y"], "--by: is empty"),
        ([*DECIDE, "refused", "--by", "x", "--reason", ""], "--reason: is empty"),
        ([*DECIDE, "refused", "--by", "x"], "Missing option '--reason'"),
        (["decide"], "Missing argument 'CASE_ID'"),
        (["judgement", "B9", "--from-files", "FILES"], "RUN_ID: no run 'B9' was judged"),
        (["judgement"], "Missing argument 'RUN_ID'"),
        (["cases", "--from-files", "nowhere"], "nowhere/manifest.json: No such file"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(
    arguments: list[str], line: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(files) if each == "FILES" else each for each in arguments]
    assert cli.main(["metrology", *given]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert line in shown
    assert len(shown.splitlines()) == 1
