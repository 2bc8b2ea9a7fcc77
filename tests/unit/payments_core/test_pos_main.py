"""The listener of card terminals on a socket: nothing is answered that is not on the log."""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.events.codec import Codec, envelope_of
from libs.events.errors import Refused, Unavailable, Unknown
from libs.events.host import Runtime, StatusFile
from libs.events.kafka import KafkaSettings
from libs.events.record import Outgoing
from services.cli.run import runner_of
from services.payments import pos_main
from services.payments.channels.iso8583_codec import decode
from services.payments.channels.profile import Profiles
from services.payments.edge_main import appender, listen
from services.payments.events import edge_catalogue
from services.payments.evidence import open_body
from services.payments.notices import NoticeReceived
from services.payments.order_number import make_order_number
from simulators.gateways.keys import FRONT, KeySet
from simulators.gateways.terminal import Terminal
from tests.unit.payments_core.edge_process import MemoryPort, producer_over
from tests.unit.payments_core.test_edge_main import Stop, settings_of, until

pytestmark = pytest.mark.wide

CARD = "6228480402564890018"
ORDER = make_order_number("1000000042", "26010001")


class Front:
    """The listener in a thread, over a log in memory."""

    def __init__(self, profiles: Profiles, folder: Path) -> None:
        self.profiles = profiles
        self.port = MemoryPort()
        self.producer = producer_over(self.port, "payments.edge", edge_catalogue)
        self.stop = Stop()
        self.failure: Exception | None = None
        self.listener = listen("127.0.0.1", 0)
        self.tcp_port = self.listener.getsockname()[1]
        health = listen("127.0.0.1", 0)
        self.health_port = health.getsockname()[1]
        health.close()
        self.status_file = folder / "pos-0.json"
        self.front = pos_main.Front(
            profile=profiles.pos_8583[FRONT],
            evidence_key=profiles.evidence_key,
            append=appender(self.producer),
            now=lambda: int(time.time()),
            nonce=lambda: os.urandom(12),
        )
        runtime = Runtime(
            KafkaSettings(bootstrap_servers="127.0.0.1:1"), "", 4, health_port=self.health_port
        )

        def run() -> None:
            acks = self.producer.serve_acks()
            status = StatusFile(folder, "pos-0")
            try:
                pos_main.serve(self.front, self.listener, self.stop, status, acks, runtime)
            except Exception as failure:
                self.failure = failure

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def end(self) -> None:
        self.stop.is_set = True
        self.thread.join(15)
        self.producer.close()
        self.listener.close()

    def records(self) -> list[NoticeReceived]:
        found = [
            Codec(edge_catalogue).decode(envelope_of(record.headers).type, record.value)
            for record in self.port.taken
        ]
        assert all(isinstance(record, NoticeReceived) for record in found)
        return found

    def status(self) -> Any:
        return json.loads(self.status_file.read_text())


@pytest.fixture
def front(profiles: Profiles, tmp_path: Path) -> Iterator[Front]:
    made = Front(profiles, tmp_path)
    yield made
    made.end()


@pytest.fixture
def terminal(front: Front, keys: KeySet) -> Iterator[Terminal]:
    with Terminal("127.0.0.1", front.tcp_port, mac_key=keys.pos_mac_key) as made:
        yield made


def test_a_day_at_a_terminal(front: Front, terminal: Terminal) -> None:
    signed_on = terminal.sign_on()
    assert (signed_on.mti, signed_on.fields[39], signed_on.mac_ok) == ("0810", "00", None)
    assert terminal.drawer.batch == f"{time.strftime('%y')}{signed_on.fields[13]}"
    sale = terminal.sale(12345, order_no=ORDER, card=CARD)
    terminal.sale(800)
    back = terminal.reverse(sale)
    assert (back.mti, back.fields[39], back.mac_ok) == ("0410", "00", True)
    settled = terminal.settle()
    assert (settled.mti, settled.fields[39], settled.fields[48][30]) == ("0510", "00", "1")
    records = front.records()
    kinds = [record.notice.kind for record in records if record.notice]
    assert kinds == ["information", "captured", "captured", "reversed", "information"]
    assert {record.source for record in records} == {"pos_8583"}
    assert records[1].key == records[3].key == "1000000042"
    assert records[2].key.startswith("pos_8583:88758D048165555-58D01115-")
    totals = records[4].notice
    assert totals is not None
    assert (totals.references["debit_fen"], totals.references["debit_count"]) == ("13145", "2")
    until(lambda: front.status_file.exists() and front.status()["counts"] != {})
    assert front.status()["state"] == "ready"
    assert front.status()["port"] == front.tcp_port
    assert httpx.get(f"http://127.0.0.1:{front.health_port}/ready").status_code == 200


def test_evidence_holds_no_card_data(front: Front, terminal: Terminal) -> None:
    terminal.sale(100, order_no=ORDER, card=CARD)
    fields = terminal.sale_of(100).fields | {2: CARD, 35: f"{CARD}D49122010000012"}
    refused = terminal.ask(terminal.request("0200", fields))
    assert (refused.fields[39], refused.mac_ok) == ("30", True)
    key = front.profiles.evidence_key
    for record in front.records():
        body = open_body(key, record.evidence, "pos_8583", FRONT)
        message = decode(body)
        assert message.fields[2] == "622848FFFFFFFFF0018"
        assert 35 not in message.fields
        assert 64 in message.fields
    for taken in front.port.taken:
        assert isinstance(taken, Outgoing)
        for place in (taken.value, base64.b64encode(CARD.encode())):
            assert CARD.encode() not in place
            assert bytes.fromhex(CARD + "0") not in place
    assert [record.cause for record in front.records()] == ["", "malformed"]


def test_without_an_acknowledgement_there_is_no_answer(
    front: Front, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pos_main, "APPEND_TIMEOUT_S", 0.2)
    held: list[Any] = []
    monkeypatch.setattr(front.port, "submit", lambda *record: held.append(record))
    sale = terminal.sale_of(100)
    with pytest.raises(ConnectionError):
        terminal.ask(sale)
    assert front.port.taken == []
    monkeypatch.undo()
    # The terminal reverses what it heard nothing of; the sale arrives all the same.
    front.port.waiting += held
    assert terminal.reverse(sale).fields[39] == "00"
    kinds = [record.notice.kind for record in front.records() if record.notice]
    assert kinds == ["captured", "reversed"]
    assert len({record.key for record in front.records()}) == 1
    assert front.front.counts.by_outcome == {"unavailable": 1, "accepted": 1}


def test_a_terminal_that_misbehaves(
    front: Front, terminal: Terminal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sale = terminal.sale_of(100, card=CARD)
    assert terminal.ask(terminal.spoiled(sale)).fields[39] == "A0"
    assert terminal.reverse(sale).fields[39] == "00"  # before its sale
    assert terminal.ask(sale).fields[39] == "00"
    terminal.send(terminal.sale_of(200).frame[:30])  # half a message, then nothing
    terminal.hang_up()
    terminal.send(sale.frame)  # does not wait for its answer
    terminal.hang_up()
    terminal.send(b"GET / HTTP/1.1\r\n\r\n" + CARD.encode())
    assert terminal.is_hung_up()
    terminal.hang_up()
    terminal.send(terminal.request("0210", sale.fields).frame)
    assert terminal.is_hung_up()
    terminal.hang_up()
    assert terminal.sign_on().fields[39] == "00"
    until(lambda: len(front.port.taken) == 7)
    causes = sorted(record.cause for record in front.records())
    assert causes == ["", "", "", "", "malformed", "malformed", "signature_invalid"]
    assert CARD not in caplog.text


def test_many_terminals_at_once(front: Front, keys: KeySet) -> None:
    def work(number: int) -> None:
        with Terminal("127.0.0.1", front.tcp_port, mac_key=keys.pos_mac_key) as terminal:
            terminal.drawer.batch = f"{number:06d}"
            for amount_fen in (100, 200, 300):
                terminal.sale(amount_fen)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    numbers = {record.notice.channel_txn_id for record in front.records() if record.notice}
    assert len(numbers) == 24


def test_it_ends_while_terminals_are_connected(front: Front, terminal: Terminal) -> None:
    terminal.sign_on()
    started = time.monotonic()
    front.end()
    assert not front.thread.is_alive()
    assert time.monotonic() - started < 4
    assert terminal.is_hung_up()
    assert front.failure is None
    assert front.port.is_closed


def test_a_quiet_terminal_is_hung_up(
    front: Front, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pos_main, "QUIET_S", 0.1)
    terminal.send(b"\x00")
    assert terminal.is_hung_up()


def test_more_connections_than_there_are_terminals(
    front: Front, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pos_main, "CONNECTIONS_MAX", 0)
    terminal.send(b"\x00")
    assert terminal.is_hung_up()


def test_nobody_receives_acks_any_more(profiles: Profiles, tmp_path: Path) -> None:
    made = Front(profiles, tmp_path)
    hook, threading.excepthook = threading.excepthook, lambda noticed: None
    try:
        made.port.failure = Unavailable("gone")
        made.thread.join(20)
        assert isinstance(made.failure, Unknown)
    finally:
        threading.excepthook = hook
        made.end()


def test_what_it_needs_to_start(tmp_path: Path, key_folder: Path) -> None:
    run = runner_of("pos-edge")
    with pytest.raises(Refused, match="GRIDLEDGER_PAYMENT_PROFILES_FILE is not set"):
        run(settings_of(tmp_path), 0)
    document = json.loads((key_folder / "keys.json").read_text())
    del document["pos_8583"]
    for path in key_folder.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "keys.json").write_text(json.dumps(document))
    settings = settings_of(tmp_path, payment_profiles_file=tmp_path / "keys.json")
    with pytest.raises(Refused, match='has 0 profiles under "pos_8583", one listener serves one'):
        run(settings, 0)
    assert settings.port_of("pos-edge", 1) == 8181
