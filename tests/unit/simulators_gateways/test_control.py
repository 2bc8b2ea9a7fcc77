"""The control port, and the gateways as a program of their own."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.events.errors import BadInput
from services.payments.webhooks import load_profiles
from simulators.gateways.__main__ import RETRY_DELAYS_S, load_settings, main, parse_settings
from simulators.gateways.control import Control
from simulators.gateways.delivery import Delivery, Journal
from simulators.gateways.gateway import Gateways
from simulators.gateways.keys import KeySet, generate_keys
from tests.unit.payments.server import MemoryLog, running_edge

PAY: dict[str, Any] = {
    "op": "pay",
    "channel": "wechat",
    "order": "1000000042126010001",
    "amount_fen": 12345,
    "at": "2026-01-31T08:00:00+08:00",
}


def converse(keys: KeySet, base_url: str, lines: list[bytes]) -> list[dict[str, Any]]:
    """Send lines to a control port over TCP; the answers."""

    async def run() -> list[dict[str, Any]]:
        async with httpx.AsyncClient(base_url=base_url, trust_env=False) as client:
            gateways = Gateways(keys, Delivery(client, Journal(None), ()))
            control = Control(gateways)
            server = await control.start(0)
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            answers = []
            for line in lines:
                writer.write(line + b"\n")
                answers.append(json.loads(await reader.readline()))
            while control.tasks:
                await asyncio.sleep(0.01)
            writer.close()
            await writer.wait_closed()
            server.close()
            await server.wait_closed()
            gateways.close()
            return answers

    return asyncio.run(run())


def test_conversation(keys: KeySet, edge: tuple[MemoryLog, str]) -> None:
    log, base_url = edge
    requests = [
        PAY,
        {**PAY, "channel": "alipay", "faults": {"alter": True}},
        {**PAY, "channel": "pos", "payer": "6228480402564890018", "faults": {"copies": 2}},
        {"op": "hold"},
        {**PAY, "amount_fen": 1},
        {"op": "idle"},
        {"op": "release", "order": "reversed"},
        {**PAY, "amount_fen": 2, "coupon_fen": 1, "wait": False},
    ]
    answers = converse(keys, base_url, [json.dumps(item).encode() for item in requests])
    assert all(answer["ok"] for answer in answers)
    assert answers[0]["answers"] == [{"status": 204, "body": "", "taken": True}]
    assert answers[1]["answers"][0]["status"] == 401
    assert [answer["status"] for answer in answers[2]["answers"]] == [200, 200]
    assert answers[4]["held"]
    assert answers[5] == {"ok": True, "idle": False, "held": 1}
    assert answers[6]["results"][0]["answers"][0]["taken"]
    assert answers[7] == {"ok": True}
    assert len(log.captures()) == 4


def test_refund_by_control(keys: KeySet, edge: tuple[MemoryLog, str]) -> None:
    log, base_url = edge
    (paid,) = converse(keys, base_url, [json.dumps(PAY).encode()])
    refund = {"op": "refund", "txn_id": paid["txn_id"], "refund_fen": 5, "at": PAY["at"]}
    both = [PAY, refund]
    answers = converse(keys, base_url, [json.dumps(item).encode() for item in both])
    assert answers[1]["ok"]
    last = log.records[-1][1].notice
    assert last is not None
    assert (last.kind, last.refund_fen) == ("refund", 5)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (b"{", "request: is no JSON text"),
        (b"[]", "request: is no JSON object"),
        (b"\xff", "request: is no JSON text"),
        ({"op": "steal"}, "op: is none of pay, refund"),
        ({**PAY, "order": None}, "order: is missing"),
        ({**PAY, "amount_fen": "1"}, "amount_fen: is missing"),
        ({**PAY, "at": "soon"}, "at: is no time"),
        ({**PAY, "at": "2026-01-31T08:00:00"}, "at: has no offset"),
        ({**PAY, "faults": 1}, "faults: is no JSON object"),
        ({**PAY, "faults": {"alterr": True}}, "faults.alterr: is no fault"),
        ({**PAY, "faults": {"alter": 1}}, "faults.alter: is no bool"),
        ({**PAY, "faults": {"age_s": True}}, "faults.age_s: is no int"),
        ({**PAY, "faults": {"silent": 1}}, "faults.silent: is no bool"),
        ({**PAY, "faults": {"delay_s": -1}}, "faults.delay_s: is no number"),
        ({**PAY, "channel": "cash"}, "channel: is none of"),
        ({**PAY, "channel": "cash", "wait": False}, "channel: is none of"),
        ({"op": "refund", "txn_id": "x", "refund_fen": 1, "at": PAY["at"]}, "txn_id: 'x'"),
        ({"op": "release", "order": "up"}, "order: is no order"),
    ],
)
def test_wrong_requests_are_answered(keys: KeySet, request_: Any, error: str) -> None:
    line = request_ if isinstance(request_, bytes) else json.dumps(request_).encode()
    (answer,) = converse(keys, "http://127.0.0.1:9", [line])
    assert answer["ok"] is False
    assert error in answer["error"]


def test_an_endless_line_ends_the_conversation(keys: KeySet) -> None:
    async def run() -> bytes:
        async with httpx.AsyncClient(trust_env=False) as client:
            server = await Control(Gateways(keys, Delivery(client, Journal(None), ()))).start(0)
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x" * 200_000)
            try:
                return await reader.read()
            except ConnectionError:
                return b""
            finally:
                writer.close()
                server.close()

    assert asyncio.run(run()) == b""


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ([], "CONFIG: is no JSON object"),
        ({"keys": "k", "target": "t", "tarjet": 1}, "tarjet: is no setting here"),
        ({"target": "t"}, "keys: is missing"),
        ({"keys": "k", "target": 1}, "target: is missing"),
        ({"keys": "k", "target": "t", "retry_delays_s": 1}, "retry_delays_s: is no list"),
        ({"keys": "k", "target": "t", "seed": "1"}, "seed: is no whole number"),
    ],
)
def test_wrong_settings_are_named(document: Any, error: str) -> None:
    with pytest.raises(BadInput) as raised:
        parse_settings(document)
    assert error in str(raised.value)


def test_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"keys": "k", "target": "http://t", "journal": "j"}))
    settings = load_settings(path)
    assert (settings.journal, settings.retry_delays_s) == (Path("j"), RETRY_DELAYS_S)
    assert main([]) == 2
    assert main([str(tmp_path / "none.json")]) == 2
    path.write_text("{")
    assert main([str(path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("simulators.gateways: CONFIG: is missing")
    assert "No such file" in lines[1]
    assert "is no JSON" in lines[2]


def test_as_its_own_program(tmp_path: Path) -> None:
    profiles = load_profiles(generate_keys(tmp_path / "keys"))
    log = MemoryLog()
    with running_edge(profiles, log) as base_url:
        config = tmp_path / "config.json"
        document = {
            "keys": str(tmp_path / "keys"),
            "target": base_url,
            "journal": str(tmp_path / "journal.jsonl"),
        }
        config.write_text(json.dumps(document))
        command = [sys.executable, "-m", "simulators.gateways", str(config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateways:
            assert gateways.stdout is not None
            port = json.loads(gateways.stdout.readline())["control_port"]
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                stream = connection.makefile("rw")
                stream.write(json.dumps({**PAY, "faults": {"probe": True}}) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                stream.close()
            gateways.send_signal(signal.SIGTERM)
            assert gateways.wait(10) == 0
    assert [item["status"] for item in answer["answers"]] == [401, 204]
    journal = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert [entry["expected"] for entry in journal] == ["refused", "taken"]
    assert [entry["taken"] for entry in journal] == [False, True]
