"""`gridledger metrology`: open cases, the decision about one, a judgement with its limits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from libs.events.codec import Codec, encode
from libs.events.edge import EdgeProducer
from libs.events.errors import BadInput, Unavailable
from libs.events.record import Envelope, envelope_headers, partition_of
from libs.events.testing.simbroker import SimBroker
from libs.events.testing.simlog import SimProducerPort, SimReader
from services.audit.files import export_topics
from services.billing.events import CaseEstimate, CaseNoted
from services.billing.events import catalogue as billing_catalogue
from services.cli import main as cli
from services.cli import metrology as command
from services.cli import metrology_desk as desk
from services.cli.metrology_certificate import find_issued
from services.cli.metrology_estimates import energy_cell
from services.metrology.events import CertificateIssued, catalogue, edge_catalogue
from tests.unit.metrology.samples import TESTS
from tests.unit.metrology_core.lab import (
    Lab,
    decision,
    fast,
    meter,
    move,
    run,
    seal,
    standard,
    use,
)

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
    assert rows[1]["estimate"] is None  # an export without billing's events
    assert cli.main(["metrology", "cases", "--from-files", str(files)]) == 0
    shown = capsys.readouterr().out
    assert "+3 %" in shown
    assert "2024-07-02" in shown


def test_a_case_is_listed_with_what_billing_says_it_would_change(
    broker: SimBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The latest estimate counts; money is unknown where a bill cannot be rated."""
    topics = ["metrology.events", "billing.events"]
    both = SimBroker(dict.fromkeys(topics, PARTITIONS))
    for partition in range(PARTITIONS):
        for record in SimReader(broker).read(topics[0], partition, 0, 1 << 20).records:
            both.append(topics[0], partition, record.key, record.value, record.headers)
    for case_id, estimate in (
        (FIRST, CaseEstimate(energy_wh=1, amount_fen=1, months=())),
        (FIRST, CaseEstimate(energy_wh=-3_495_146, amount_fen=-279_360, months=("2024-07",))),
        (SECOND, CaseEstimate(energy_wh=500, amount_fen=None, months=("2025-01",))),
    ):
        noted = CaseNoted(
            case_id=case_id,
            account_no="A1",
            usage_point="P1",
            status="proposed",
            error_e4_pct=30_000,
            rule="",
            from_on="",
            to_on="",
            estimate=estimate,
        )
        kind = billing_catalogue.type_of(noted).full_name
        headers = envelope_headers(Envelope("b", kind, "billing", "2026-03-01T03:00:00Z", "A1"))
        both.append(topics[1], 0, b"A1", encode(noted), headers)
    export_topics(SimReader(both), lambda topic: PARTITIONS, topics, tmp_path / "x", {})
    arguments = ["metrology", "cases", "--from-files", str(tmp_path / "x")]
    assert cli.main([*arguments, "--json"]) == 0
    second, first = json.loads(capsys.readouterr().out)
    assert first["estimate"] == {
        "energy_wh": -3_495_146,
        "amount_fen": -279_360,
        "months": ["2024-07"],
        "problem": "",
    }
    assert second["estimate"]["amount_fen"] is None
    assert [energy_cell(CaseEstimate(**each["estimate"])) for each in (first, second)] == [
        "-3495.146",
        "+0.500",
    ]
    assert cli.main(arguments) == 0
    shown = capsys.readouterr().out
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_a_decided_case_is_open_no_more(made: Lab) -> None:
    broker = SimBroker({"metrology.events": PARTITIONS})
    lab = Lab()
    lab.feed(meter(), fast(), decision())
    for key, body in lab.log:
        put(broker, key, body)
    assert command.open_cases(SimReader(broker), PARTITIONS) == []
    with pytest.raises(BadInput, match=r"CASE_ID: '.*' was approved already \(a case is decided"):
        command.find_case(SimReader(broker), PARTITIONS, FIRST, "approved")


def test_a_case_that_was_proposed_again_is_listed_as_it_is_now() -> None:
    broker = SimBroker({"metrology.events": PARTITIONS})
    lab = Lab()
    lab.feed(meter(), fast(), meter(use(to_on="2024-01-11"), version=2))
    for key, body in lab.log:
        put(broker, key, body)
    (case,) = command.open_cases(SimReader(broker), PARTITIONS)
    assert case.to_on == "2024-01-11"


def test_a_decision_is_written_where_the_meters_runs_are(broker: SimBroker, made: Lab) -> None:
    case = command.find_case(SimReader(broker), PARTITIONS, SECOND, "approved")
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
        command.find_case(SimReader(broker), PARTITIONS, "B9", "approved")


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


# -- broken seals ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broken() -> SimBroker:
    lab = Lab()
    lab.feed(meter())
    for number in (1, 2):
        seal_no = f"S{number}"
        entries = [
            seal("issue", "2025-01-01", seal_no=seal_no),
            seal("apply", "2025-01-02", seal_no=seal_no),
            seal("break", "2026-02-01", seal_no=seal_no),
        ]
        lab.feed(*entries, key=seal_no)
    lab.feed(decision("seal/S2", "closed"))
    found = SimBroker({"metrology.events": PARTITIONS})
    for key, body in lab.log:
        put(found, key, body)
    return found


def test_open_broken_seals_are_listed(
    broken: SimBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topics = ["metrology.events"]
    export_topics(SimReader(broken), lambda topic: PARTITIONS, topics, tmp_path, {})
    arguments = ["metrology", "cases", "--seals", "--from-files", str(tmp_path)]
    assert cli.main(arguments) == 0
    shown = capsys.readouterr().out
    assert "seal/S1" in shown
    assert "seal/S2" not in shown
    assert cli.main([*arguments, "--json"]) == 0
    (case,) = json.loads(capsys.readouterr().out)
    assert (case["case_id"], case["account_no"]) == ("seal/S1", "A1")
    assert case["broken"]["photo"] == "p.jpg"
    assert command.open_cases(SimReader(broken), PARTITIONS) == []


def test_a_seal_is_closed_and_a_correction_is_not(broken: SimBroker, broker: SimBroker) -> None:
    assert command.find_case(SimReader(broken), PARTITIONS, "seal/S1", "closed") == "M1"
    with pytest.raises(BadInput, match=r"--decision: 'approved' is none of 'seal/S1' \(use closed"):
        command.find_case(SimReader(broken), PARTITIONS, "seal/S1", "approved")
    with pytest.raises(BadInput, match=r"'closed' is none of .* \(use approved or refused"):
        command.find_case(SimReader(broker), PARTITIONS, SECOND, "closed")
    with pytest.raises(BadInput, match="was closed already"):
        command.find_case(SimReader(broken), PARTITIONS, "seal/S2", "closed")
    body = command.make_request("seal/S1", "closed", "head", "the crew's own cut")
    assert body.decision == "closed"


# -- certificates that the core issued ------------------------------------------------------------


def test_what_was_issued_is_signed_outside_and_verified_offline(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    secret, public = tmp_path / "lab.pem", tmp_path / "lab.pub.pem"
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    issued = ["metrology", "certificate", "issued"]
    given = ["--key", str(secret), "--from-files", str(files), "--out"]
    for run_id, kind, until in (
        ("B1-0003", "certificate", "2034-03-01"),
        ("B1-0001", "notice_of_result", ""),
    ):
        out = tmp_path / f"{run_id}.json"
        assert cli.main([*issued, run_id, *given, str(out), "--json"]) == 0
        made = json.loads(capsys.readouterr().out)["certificate"]
        assert (made["kind"], made["valid_until"]) == (kind, until)
        assert (made["certificate_no"], made["issued_by"]) == (f"C-{run_id}", "lab-3")
        verify = ["metrology", "certificate", "verify", str(out), "--key", str(public)]
        assert cli.main([*verify, "--on", "2026-04-01"]) == 0
        capsys.readouterr()
        assert cli.main([*issued, run_id, *given, str(out)]) == 2
        assert "is there already" in capsys.readouterr().err
    assert cli.main([*issued, "B1-0002", *given, str(tmp_path / "none.json")]) == 2
    assert "RUN_ID: nothing was issued for 'B1-0002'" in capsys.readouterr().err


def test_an_issued_certificate_that_was_changed_is_not_signed(made: Lab) -> None:
    broker = SimBroker({"metrology.events": PARTITIONS})
    (issued, *_) = made.of(CertificateIssued)
    changed = replace(issued, certificate=replace(issued.certificate, device_no="M2"))
    put(broker, "M1", changed)
    with pytest.raises(BadInput, match="was changed"):
        find_issued(SimReader(broker), PARTITIONS, issued.certificate.run_id)


# -- requests -------------------------------------------------------------------------------------


def test_requests_are_written_under_their_number() -> None:
    broker = SimBroker({"metrology.bench": PARTITIONS})
    producer = EdgeProducer(
        "metrology.edge", edge_catalogue, SimProducerPort(broker), lambda topic: PARTITIONS
    )
    moved = desk.make_move(move("receive").move, "1", "direct")
    entry = desk.make_entry(seal("issue").entry)
    desk.send(producer, "M1", moved)
    desk.send(producer, "S1", entry)
    codec = Codec(edge_catalogue)
    for key, kind, body in (("M1", "move_requested", moved), ("S1", "seal_reported", entry)):
        partition = partition_of(key, PARTITIONS)
        records = SimReader(broker).read("metrology.bench", partition, 0, 9).records
        found = {record.key: record.value for record in records}
        assert codec.decode(f"metrology.{kind}.v1", found[key.encode()]) == body
    lab = Lab()
    assert type(lab.feed(moved)[0]).__name__ == "DeviceMoved"
    assert desk.make_move(move("receive").move).request_id != moved.request_id


def test_a_certificate_of_a_bench_is_written_to_every_partition() -> None:
    class Writer:
        def __init__(self) -> None:
            self.taken: list[Any] = []

        def write(self, outgoing: Any) -> None:
            self.taken += outgoing

    writer = Writer()
    desk.send_registration(writer, desk.make_registration(standard().standard, " li "), PARTITIONS)
    assert [(each.topic, each.partition, each.key) for each in writer.taken] == [
        ("metrology.standards", number, None) for number in range(PARTITIONS)
    ]
    body = Codec(edge_catalogue).decode("metrology.standard_registered.v1", writer.taken[0].value)
    assert (body.standard, body.registered_by) == (standard().standard, "li")


MOVE = ["move", "M1", "reserve", "--place", "shelf", "--by", "li"]
SEAL = ["seal", "S1", "apply", "--by", "li", "--device", "M1", "--location", "cover"]
REGISTER = ["register", "bench", "B1", "--certificate", "Z", "--accuracy-class", "0.05"]
REGISTER += ["--from-on", "2026-01-01", "--due-on", "2027-01-01", "--by", "li"]


def changed(arguments: list[str], before: str, after: str) -> list[str]:
    return [after if each == before else each for each in arguments]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (changed(MOVE, "reserve", "paint"), "ACTION: 'paint' is unknown (use receive, accept"),
        (changed(MOVE, "reserve", "scrap"), "--reason: is empty"),
        (changed(MOVE, "shelf", ""), "--place: is empty"),
        ([*MOVE, "--at", "1999-3-1"], "--at: '1999-3-1' is no instant"),
        ([*MOVE, "--at", "2999-01-01T00:00:00Z"], "--at: 2999-01-01T00:00:00Z is after 20"),
        ([*SEAL, "--at", "2999-01-01T00:00:00Z"], "--at: 2999-01-01T00:00:00Z is after 20"),
        (changed(SEAL, "apply", "paint"), "ACTION: 'paint' is unknown (use issue, hand_over"),
        (changed(SEAL, "M1", ""), "--device: is empty"),
        ([*changed(SEAL, "apply", "issue"), "--kind", "wax", "--holder", "li"], "--kind: 'wax'"),
        (changed(REGISTER, "bench", "ruler"), "KIND: 'ruler' is unknown"),
        (changed(REGISTER, "Z", " "), "--certificate: is empty"),
        (changed(REGISTER, "0.05", "fine"), "--accuracy-class: "),
        (changed(REGISTER, "2027-01-01", "2025-01-01"), "--due-on: 2025-01-01 is before"),
        (changed(REGISTER, "li", " "), "--by: is empty"),
    ],
)
def test_a_wrong_request_is_one_line_and_needs_no_broker(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["metrology", *arguments]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: {line}"), shown
    assert len(shown.splitlines()) == 1
