"""`gridledger vee submit|decide|history`: who may, what is refused, and what the log gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from libs.events.codec import Codec, encode
from libs.events.edge import EdgeProducer
from libs.events.record import Envelope, Outgoing, envelope_headers, partition_of
from libs.events.testing.simbroker import SimBroker
from libs.events.testing.simlog import SimReader
from services.cli import main as cli
from services.cli import vee_requests
from services.control.accounts import add_account
from services.validation.edit_events import (
    EditDecided,
    EditDecisionRejected,
    EditRequested,
    edge_catalogue,
)
from services.validation.events import catalogue
from tests.unit.validation.desk import Desk, opened, reading
from tests.unit.validation.test_edits import decision, request, settled

HEADER = "usage_point,day_on,based_on,after_wh,reason_code,reason,register"
PASSWORD = "correct horse 2026"
PARTITIONS = 2
EDIT = "P1/2026-01-03/edit/0123456789ab"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Port:
    """The producer of a cluster that is a simulated broker."""

    def __init__(self, broker: SimBroker) -> None:
        self.broker = broker

    def append_many(self, outgoing: list[Outgoing], _timeout_s: float) -> list[int]:
        return [
            self.broker.append(o.topic, o.partition, o.key, o.value, o.headers) for o in outgoing
        ]

    def close(self) -> None:
        pass


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimBroker:
    """A cluster with point P1, and four people."""
    monkeypatch.chdir(tmp_path)
    topics = ("customers.supply", "validation.requests", "validation.events")
    made = SimBroker(dict.fromkeys(topics, PARTITIONS))
    made.append("customers.supply", partition_of("P1", PARTITIONS), b"P1", b"{}", ())
    for person, role in (("li", "editor"), ("zhao", "approver"), ("sun", "viewer")):
        add_account(tmp_path / "operators.json", person, role, PASSWORD, hasher=CHEAP)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    monkeypatch.setenv("GRIDLEDGER_OPERATORS_FILE", "operators.json")
    monkeypatch.setenv("GRIDLEDGER_PARTITIONS", str(PARTITIONS))
    monkeypatch.setattr(vee_requests, "open_cluster", lambda _settings: SimReader(made))
    monkeypatch.setattr(vee_requests, "open_records", lambda _path: (SimReader(made), PARTITIONS))

    def producer(_settings: Any, source: str, owner: Any) -> EdgeProducer:
        return EdgeProducer(source, owner, Port(made), lambda _topic: PARTITIONS)  # type: ignore[arg-type]

    monkeypatch.setattr(vee_requests, "open_producer", producer)
    return made


def run(*arguments: str) -> int:
    return cli.main(["vee", *arguments])


def edits(*rows: str) -> str:
    Path("edits.csv").write_text("\n".join((HEADER, *rows)) + "\n", encoding="utf-8")
    return "edits.csv"


def signed(by: str = "li") -> list[str]:
    return ["--by", by, "--password-file", "password"]


def requests(broker: SimBroker) -> list[Any]:
    """What stands in validation.requests of P1."""
    owner = Codec(edge_catalogue)
    place = partition_of("P1", PARTITIONS)
    return [
        owner.decode(dict(record.headers)["ce_type"].decode(), record.value)
        for record in broker.read("validation.requests", place, 0, 100).records
    ]


def publish(broker: SimBroker, desk: Desk) -> None:
    """The own events of a desk, as the core writes them."""
    for index, body in enumerate(desk.events):
        kind = catalogue.type_of(body).full_name
        headers = envelope_headers(Envelope(f"e/{index}", kind, "validation", "", "P1"))
        place = partition_of("P1", PARTITIONS)
        broker.append("validation.events", place, b"P1", encode(body), headers)


def test_the_rows_of_a_day_are_one_edit_by_an_authenticated_person(
    broker: SimBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    file = edits(
        "P1,2026-01-03,1,9000,bad_estimate,空置,",
        "P1,2026-01-03,1,3000,bad_estimate,空置,1-0:1.8.1",
        "P1,2026-01-04,2,0,meter_fault,stood still,",
    )
    assert run("submit", file, *signed()) == 0
    one, two = requests(broker)
    assert isinstance(one, EditRequested)
    assert (one.person, one.role, one.based_on) == ("li", "editor", 1)
    assert one.after == {"1-0:1.8.0": 9_000, "1-0:1.8.1": 3_000}
    assert (two.after, two.reason_code) == ({"1-0:1.8.0": 0}, "meter_fault")
    assert capsys.readouterr().out.splitlines() == [
        f"{one.edit_id} submitted",
        f"{two.edit_id} submitted",
    ]
    assert run("submit", file, *signed(), "--json") == 0
    again = [json.loads(line)["edit_id"] for line in capsys.readouterr().out.splitlines()]
    assert again == [one.edit_id, two.edit_id], "sent twice it is the same edit"


def test_a_second_person_decides(broker: SimBroker, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["decide", EDIT, "--decision", "approved", "--reason", "seen", *signed("zhao")]
    assert run(*arguments) == 0
    assert capsys.readouterr().out == f"{EDIT}: approved by zhao\n"
    (body,) = requests(broker)
    assert isinstance(body, EditDecided)
    assert (body.edit_id, body.usage_point, body.decision) == (EDIT, "P1", "approved")
    assert (body.person, body.role, body.reason) == ("zhao", "approver", "seen")
    assert run(*arguments, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"edit_id": EDIT, "decision": "approved"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("P1,2026-01-03,1,9000,mood,x,", "edits.csv line 2 reason_code: 'mood' is not known"),
        ("P1,2026-01-03,1,9000,bad_estimate,,", "edits.csv line 2 reason: is empty"),
        (f"P1,2026-01-03,1,9000,bad_estimate,{'x' * 501},", "edits.csv line 2 reason: is too long"),
        ("P1,2026-02-30,1,9000,bad_estimate,x,", "edits.csv line 2 day_on: '2026-02-30'"),
        ("P1,2026-01-03,0,9000,bad_estimate,x,", "edits.csv line 2 based_on: is 0"),
        ("P1,2026-01-03,1,-1,bad_estimate,x,", "edits.csv line 2 after_wh: is -1"),
        ("P1,2026-01-03,1,9.5,bad_estimate,x,", "edits.csv line 2 after_wh: '9.5'"),
        ("P1,2026-01-03,1,,bad_estimate,x,", "edits.csv line 2 after_wh: is empty"),
        ("a b,2026-01-03,1,9000,bad_estimate,x,", "edits.csv line 2 usage_point: 'a b'"),
        ("P1,2026-01-03,1,9000,bad_estimate,x,zzz", "edits.csv line 2 register: 'zzz'"),
        (
            "P1,2026-01-03,1,9,bad_estimate,x,\nP1,2026-01-03,2,9,bad_estimate,x,1-0:2.8.0",
            "edits.csv line 3 based_on: differs",
        ),
        (
            "P1,2026-01-03,1,9,bad_estimate,x,\nP1,2026-01-03,1,8,bad_estimate,x,",
            "edits.csv line 3 register: 1-0:1.8.0 is given twice",
        ),
        ("", "edits.csv: has no edits"),
        ("P9,2026-01-03,1,9000,bad_estimate,x,", "POINT: there is no usage point 'P9'"),
    ],
)
def test_a_wrong_file_is_one_line_and_nothing_is_written(
    broker: SimBroker, row: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("submit", edits(row), *signed()) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {said}")
    assert err.count("\n") == 1
    assert requests(broker) == []


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("wang", "--by: wang is not known with this password"),
        ("sun", "--by: sun is viewer (be one of editor, approver)"),
        (" ", "--by: is empty"),
    ],
)
def test_strangers_and_other_roles_are_refused(
    broker: SimBroker, by: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("submit", edits("P1,2026-01-03,1,9000,bad_estimate,x,"), *signed(by)) == 2
    assert said in capsys.readouterr().err
    assert requests(broker) == []


def test_a_wrong_password_or_none_is_refused(
    broker: SimBroker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = edits("P1,2026-01-03,1,9000,bad_estimate,x,")
    Path("password").write_text("something else\n")
    assert run("submit", file, *signed()) == 2
    assert run("submit", file, "--by", "li") == 2
    monkeypatch.setattr("sys.stdin", type("T", (), {"isatty": lambda _: True})())
    monkeypatch.setattr("getpass.getpass", lambda _prompt: PASSWORD)
    assert run("submit", file, "--by", "li") == 0
    monkeypatch.delenv("GRIDLEDGER_OPERATORS_FILE")
    assert run("submit", file, "--by", "li") == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        "error: --by: li is not known with this password",
        "error: password: there is no terminal to ask at",
        "error: --by: there is no operators file",
    ]
    assert len(requests(broker)) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["decide", "P1", "--decision", "approved", "--reason", "x"], "EDIT: 'P1' is no id"),
        (["decide", EDIT, "--decision", "maybe", "--reason", "x"], "--decision: 'maybe'"),
        (["decide", EDIT, "--decision", "refused", "--reason", " "], "--reason: is empty"),
    ],
)
def test_a_wrong_decision_is_refused(
    broker: SimBroker, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, *signed("zhao")) == 2
    assert said in capsys.readouterr().err
    assert requests(broker) == []


def test_history_tells_every_outcome(broker: SimBroker, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("history", "P1") == 0
    assert capsys.readouterr().out == "nothing is known of that\n"
    desk = settled()
    edit = request(1, 14_000, reason_code="meter_fault", reason="电表停走")
    desk.take(edit)
    desk.take(decision(edit, person="li"))
    desk.take(decision(edit))
    desk.take(request(0, 1))
    refused = request(2, 14_000, reason_code="meter_fault")
    desk.take(refused)
    desk.take(decision(refused, "refused"))
    publish(broker, desk)
    assert run("history", "P1") == 0
    out = capsys.readouterr().out
    assert all(len(line) <= 80 for line in out.splitlines())
    for word in ("revision 1", "waits: settled", "li + zhao", "电表停走", "refused", "rejected"):
        assert word in out
    assert "no decision" in out
    assert run("history", "P1", "--day", "2026-01-02", "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [body["event"] for body in told] == [
        "usage_established",
        "edit_held",
        "edit_decision_rejected",
        "edit_taken",
        "usage_established",
    ]


def test_history_tells_that_a_register_overruled_an_edit(
    broker: SimBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = opened()
    for day, value in ((0, 10_000), (2, 30_000)):
        desk.take(reading(day, value))
    desk.take(request(1, 4_000))
    desk.take(reading(1, 20_000))
    publish(broker, desk)
    assert run("history", "P1") == 0
    assert "by r1" in capsys.readouterr().out
    assert not any(isinstance(body, EditDecisionRejected) for body in desk.events)
