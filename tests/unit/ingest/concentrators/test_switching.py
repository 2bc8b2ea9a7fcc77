"""Relay commands through a concentrator: sent once, read back, and unknown when nobody answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from services.ingest.effect.decide import ReadBack, RelayAnswer, SendCommand
from services.ingest.effect.policy import DEFAULT_POLICY
from services.ingest.events import RegistersRead
from services.ingest.line_queue import Priority
from services.ingest.lines import Lines
from services.ingest.protocols.dlt645.requests import Credentials
from services.ingest.protocols.session import PasswordSecurity
from services.ingest.switching import look, switch
from tests.unit.ingest.concentrators.orders import carry_out, line_of, lines_with, order_of
from tests.unit.simulators_concentrator.running import (
    NAME,
    START_AT,
    Site,
    address_of,
    running_site,
)

pytestmark = pytest.mark.wide

UNTIL_AT = "2026-02-01T02:10:00Z"
SECURITY = PasswordSecurity(credentials=Credentials(password="000000"))
POLICY = replace(DEFAULT_POLICY, relay_settle_ms=0)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("town"), 10, listen_port=0) as found:
        yield found


@pytest.fixture
def lines() -> Iterator[Lines]:
    found = lines_with(answer_s=0.5, forward_s=1)
    yield found
    found.close()


def command(site: Site, pn: int, action: str, **changes: Any) -> SendCommand:
    return SendCommand(
        **{
            "command_id": "C1",
            "action": action,
            "usage_point": f"P{pn}",
            "meter_no": f"M{pn}",
            "protocol": "qgdw376",
            "line": line_of(site),
            "address": f"{NAME}/{pn}/{address_of(pn)}",
            "valid_until_at": UNTIL_AT,
            "now_at": START_AT,
            "policy": POLICY,
            **changes,
        }
    )


def send(lines: Lines, request: SendCommand) -> RelayAnswer:
    return switch(request, lines, SECURITY, lambda: ("", ""))


def relay_frames(site: Site, pn: int) -> int:
    """How many relay frames (1CH) the meter heard."""
    heard = [entry["received"] for entry in site.journal() if entry["meter"] == address_of(pn)]
    return sum(1 for text in heard if "681c10" in text.lower())


def test_a_relay_is_opened_and_closed_and_read_back(site: Site, lines: Lines) -> None:
    opened = send(lines, command(site, 1, "open"))
    assert (opened.sent, opened.accepted, opened.state) == (True, True, "open")
    assert site.remote.ask("state", meter=address_of(1))["relay"] == "open"
    masked = [frame for frame in opened.frames if "xx" in frame]
    assert all("#" in frame for frame in masked)
    inner = [frame for frame in masked if "681c10" in frame and not is_outer(frame)]
    assert inner, "the command's own frame, without its password"
    assert all("333333333333" not in frame for frame in masked)
    closed = send(lines, command(site, 1, "permit_close"))
    assert (closed.state, relay_frames(site, 1)) == ("closed", 2)
    seen = look(
        ReadBack(
            usage_point="P1",
            protocol="qgdw376",
            line=line_of(site),
            address=f"{NAME}/1/{address_of(1)}",
            action="open",
        ),
        lines,
    )
    assert seen.state == "closed"


@pytest.mark.parametrize(
    ("kind", "pn", "state", "heard"),
    [
        ("silent", 2, "closed", 0),
        ("wrong_checksum", 5, "open", 1),
        ("hang_up", 7, "closed", 0),
        ("cut", 8, "open", 1),
        ("wrong_number", 9, "open", 1),
        ("slow", 10, "open", 1),
    ],
)
def test_a_command_without_an_answer_is_sent_once_and_looked_at(
    site: Site, lines: Lines, kind: str, pn: int, state: str, heard: int
) -> None:
    """The concentrator loses the command, or the answer, or the connection, or answers late, just
    as the command goes out: only what the relay says is known then."""

    def last_word() -> tuple[str, str]:
        site.remote.ask("misbehave", kind=kind, count=1)
        return "", ""

    found = switch(command(site, pn, "open"), lines, SECURITY, last_word)
    assert (found.sent, found.accepted, found.state) == (True, None, state)
    assert relay_frames(site, pn) == heard
    outer = [frame for frame in found.frames if is_outer(frame) and "681c10" in frame]
    assert len(outer) == 1, "one frame to the concentrator carries it"


def is_outer(frame: str) -> bool:
    """Whether it was sent to the concentrator: two 68H around its length."""
    return frame.startswith(">68") and frame[11:13] == "68"


def test_a_concentrator_that_is_not_there_gets_no_command(lines: Lines, site: Site) -> None:
    found = send(lines, command(site, 1, "open", line="tcp:127.0.0.1:1"))
    assert (found.sent, found.refusal) == (False, "meter_unreachable")
    wrong = send(lines, command(site, 1, "open", address=address_of(1)))
    assert (wrong.sent, wrong.refusal) == (False, "line")
    assert "names no meter behind a concentrator" in wrong.detail


def test_a_relay_command_goes_between_two_requests_of_a_reader(site: Site, lines: Lines) -> None:
    """The reader has the line; the command waits for the exchange in hand only."""
    name = f"{line_of(site)}/{NAME}"
    found: list[RelayAnswer] = []
    with lines.taken(name, Priority.SCHEDULED) as turn:
        turn.use(lambda line: line)
        waiter = threading.Thread(
            target=lambda: found.append(send(lines, command(site, 3, "open")))
        )
        waiter.start()
        while not lines._owned[name].queue.is_waited_for(Priority.SCHEDULED, 1 << 60):
            pass
        turn.use(lambda line: line)
        assert found, "it had the line before the reader's second request"
        waiter.join()
    assert found[0].state == "open"
    (reading,) = carry_out(lines, order_of(line_of(site), 4))["P4/2026-01-31/daily_freeze/1"]
    assert isinstance(reading, RegistersRead)


def test_a_meter_that_keeps_the_supply_obeys_no_command_to_open(site: Site, lines: Lines) -> None:
    kept = send(lines, command(site, 1, "keep_supply"))
    assert (kept.accepted, kept.state) == (True, "kept")
    assert kept.detail.startswith("status word 3 1")
    opened = send(lines, command(site, 1, "open"))
    assert (opened.accepted, opened.state) == (False, "closed")
    ended = send(lines, command(site, 1, "keep_supply_off"))
    assert (ended.accepted, ended.state) == (True, "not_kept")
    assert send(lines, command(site, 1, "open")).state == "open"
