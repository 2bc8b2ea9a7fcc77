"""What the field process refuses when it was not given a secret: commands, or to start at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from libs.events.errors import BadInput, Refused
from services.ingest import field
from services.ingest.effect.decide import ReadBack, SendCommand
from services.ingest.effect.policy import DEFAULT_POLICY
from services.ingest.events import CommandRefused, ReadFailed
from services.ingest.field import Performer, digest_key_of, load_security
from services.ingest.line_queue import Priority
from services.ingest.lines import Lines
from services.ingest.protocols.dlt645.requests import Credentials
from services.ingest.protocols.failures import NoReply
from services.ingest.protocols.session import PasswordSecurity
from services.ingest.reading import read_order
from services.settings import load_settings
from tests.unit.ingest.desk import at
from tests.unit.ingest.executor_desk import Executor, command
from tests.unit.ingest.test_poller import order

LINE = "tcp:127.0.0.1:1"
GIVEN = {"level": "02", "password": "123456", "operator": "00000001"}


class NotingLines(Lines):
    """Lines with nobody at their ends; `taken_count` tells whether one was asked for."""

    taken_count = 0
    priority: Priority | None = None

    @contextmanager
    def taken(self, name: str, priority: Priority = Priority.SCHEDULED) -> Iterator[Any]:
        """Nobody answers."""
        self.taken_count += 1
        self.priority = priority
        raise NoReply("nobody")
        yield


def send(action: str) -> SendCommand:
    return SendCommand(
        command_id="C1",
        action=action,
        usage_point="P1",
        meter_no="M1",
        protocol="dlt645_2007",
        line=LINE,
        address="000000000001",
        valid_until_at=at(1),
        now_at=at(0),
        policy=DEFAULT_POLICY,
    )


@pytest.mark.parametrize("action", ["open", "permit_close", "close"])
def test_without_passwords_a_command_is_refused_and_nothing_goes_on_the_wire(action: str) -> None:
    lines = NotingLines(b"key")
    perform = Performer(lines, load_security(None))
    answer = perform(send(action))
    assert (answer.sent, answer.refusal, answer.frames) == (False, "credentials", ())
    assert "GRIDLEDGER_METER_PASSWORDS_FILE" in answer.detail
    assert lines.taken_count == 0
    executor = Executor()
    own, _ = executor.take(command(), answer)
    assert isinstance(own[-1], CommandRefused)
    assert (own[-1].check, own[-1].detail) == ("credentials", answer.detail)
    assert executor.state.attempt is None


def test_without_passwords_a_relay_is_still_looked_at() -> None:
    lines = NotingLines(b"key")
    perform = Performer(lines, None)
    request = ReadBack(
        usage_point="P1",
        protocol="dlt645_2007",
        line=LINE,
        address="000000000001",
        action="open",
    )
    assert perform(request).detail
    assert (lines.taken_count, lines.priority) == (1, Priority.ON_DEMAND)


def test_a_relay_command_goes_before_all_readings() -> None:
    lines = NotingLines(b"key")
    security = PasswordSecurity(credentials=Credentials(**GIVEN))
    with pytest.raises(NoReply):
        Performer(lines, security)(send("open"))
    assert lines.priority is Priority.RELAY


@pytest.mark.parametrize("protocol", ["dlt645_2007", "modbus_sdm630", "dlt698", "dlms"])
def test_a_reading_takes_its_line_whatever_the_meter_speaks(protocol: str) -> None:
    """One master a line: a Modbus meter behind the same terminal waits its turn too."""
    lines = NotingLines(b"key")
    asked = replace(order(1, LINE), protocol=protocol, day_on="2026-01-31", address="1")
    assert isinstance(read_order(asked, lines, at(0)), ReadFailed)
    assert (lines.taken_count, lines.priority) == (1, Priority.SCHEDULED)
    read_order(asked, lines, at(0), None, (">68",))
    assert lines.priority is Priority.RETRY


def test_the_passwords_are_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "passwords.json"
    file.write_text(json.dumps(GIVEN), encoding="utf-8")
    security = load_security(file)
    assert isinstance(security, PasswordSecurity)
    assert security.credentials.password == "123456"


@pytest.mark.parametrize("missing", GIVEN)
def test_a_password_that_the_file_lacks_is_not_made_up(tmp_path: Path, missing: str) -> None:
    file = tmp_path / "passwords.json"
    rest = {name: text for name, text in GIVEN.items() if name != missing}
    file.write_text(json.dumps(rest), encoding="utf-8")
    with pytest.raises(BadInput, match=r"GRIDLEDGER_METER_PASSWORDS_FILE: passwords\.json"):
        load_security(file)


def test_live_nothing_starts_without_an_evidence_key(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, clock_mode="live", data_dir=tmp_path).settings
    with pytest.raises(Refused, match=r"^GRIDLEDGER_EVIDENCE_KEY_FILE is not set: [^\n]*$"):
        field.run(settings, 0)


def test_the_digest_key_is_that_of_the_file_for_every_auditor(tmp_path: Path) -> None:
    file = tmp_path / "evidence.key"
    file.write_bytes(b"0123456789abcdef\n")
    assert digest_key_of(file, "live") == digest_key_of(file, "simulated")
    other = tmp_path / "other.key"
    other.write_bytes(b"0123456789abcdeF\n")
    assert digest_key_of(other, "live") != digest_key_of(file, "live")
    assert digest_key_of(None, "simulated") != digest_key_of(None, "simulated")


def test_an_empty_evidence_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "evidence.key"
    file.write_bytes(b"\n")
    with pytest.raises(BadInput, match=r"GRIDLEDGER_EVIDENCE_KEY_FILE: evidence\.key is empty"):
        digest_key_of(file, "live")
