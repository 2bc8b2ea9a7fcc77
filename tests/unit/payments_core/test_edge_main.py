"""The edge as a process: starts when the log is there, ends in order, says what it does."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.events.codec import Codec, envelope_of
from libs.events.errors import Refused, Unavailable, Unknown
from libs.events.host import Runtime, StatusFile
from libs.events.kafka import KafkaSettings
from services.payments import edge_main
from services.payments.channels.profile import Profiles
from services.payments.edge_main import OutcomeCounts, listen, serve, wait_for_topic
from services.payments.events import edge_catalogue
from services.payments.webhooks import make_app
from services.settings import Settings, load_settings
from simulators.gateways.keys import MCHID, KeySet
from tests.unit.payments.signing import NOW, wechat_content, wechat_request
from tests.unit.payments_core.edge_process import MemoryPort, producer_over

pytestmark = pytest.mark.wide

PATH = f"/notify/wechat/{MCHID}"


class Stop:
    is_set = False


def settings_of(tmp_path: Path, **changes: Any) -> Settings:
    return load_settings(tmp_path, data_dir=tmp_path, **changes).settings


class Edge:
    """The edge in a thread, over a log in memory."""

    def __init__(self, profiles: Profiles, tmp_path: Path) -> None:
        self.port = MemoryPort()
        self.producer = producer_over(self.port, "payments.edge", edge_catalogue)
        self.counts = OutcomeCounts()
        self.status_file = tmp_path / "edge-0.json"
        self.stop = Stop()
        self.failure: Exception | None = None
        self.listener = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        health = listen("127.0.0.1", 0)
        self.health_port = health.getsockname()[1]
        health.close()
        runtime = Runtime(
            KafkaSettings(bootstrap_servers="127.0.0.1:1"), "", 4, health_port=self.health_port
        )
        app = make_app(
            profiles,
            edge_main.appender(self.producer),
            now=lambda: NOW,
            nonce=lambda: os.urandom(12),
            observe=self.counts.observe,
        )

        def run() -> None:
            acks = self.producer.serve_acks()
            status = StatusFile(tmp_path, "edge-0")
            try:
                serve(app, self.listener, self.stop, status, self.counts, acks, runtime)
            except Exception as failure:
                self.failure = failure

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def end(self) -> None:
        self.stop.is_set = True
        self.thread.join(10)
        self.producer.close()
        self.listener.close()

    def status(self) -> Any:
        return json.loads(self.status_file.read_text())


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "never came true"
        time.sleep(0.02)


def test_a_callback_is_a_record_before_it_is_answered(
    profiles: Profiles, keys: KeySet, tmp_path: Path
) -> None:
    edge = Edge(profiles, tmp_path)
    try:
        headers, body = wechat_request(keys, wechat_content())
        with httpx.Client(base_url=edge.url) as client:
            assert client.post(PATH, headers=headers, content=body).status_code == 204
            assert len(edge.port.taken) == 1
            assert client.post(PATH, headers=headers, content=body + b" ").status_code == 401
            wrong = client.get(PATH)
            assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
            assert "server" not in wrong.headers
        record = edge.port.taken[0]
        envelope = envelope_of(record.headers)
        assert (record.topic, record.key) == ("payments.notices", b"1000000042")
        assert envelope.source == "payments.edge"
        assert envelope.traceparent.startswith("00-")
        notice = Codec(edge_catalogue).decode(envelope.type, record.value)
        assert notice.notice.amount_fen == 12345
        until(lambda: edge.status_file.exists() and edge.status().get("counts") != {})
        assert edge.status()["state"] == "ready"
        assert edge.status()["health_port"] == edge.health_port
        assert edge.status()["port"] == edge.listener.getsockname()[1]
        assert edge.counts.by_outcome == {"accepted": 1, "signature_invalid": 1}
        health = f"http://127.0.0.1:{edge.health_port}"
        assert httpx.get(f"{health}/ready").status_code == 200
        assert httpx.get(f"{health}/live").status_code == 200
        metrics = httpx.get(f"{health}/metrics").text
        line = 'gridledger_callbacks_total{channel="wechat",outcome="signature_invalid"} 1.0'
        assert line in metrics
    finally:
        edge.end()
    assert edge.failure is None
    assert edge.port.is_closed


def test_nobody_receives_acks_any_more(profiles: Profiles, tmp_path: Path) -> None:
    edge = Edge(profiles, tmp_path)
    noticed: list[object] = []
    hook, threading.excepthook = threading.excepthook, noticed.append
    try:
        edge.port.failure = Unavailable("gone")
        edge.thread.join(20)
        assert not edge.thread.is_alive()
        assert isinstance(edge.failure, Unknown)
        assert len(noticed) == 1
    finally:
        threading.excepthook = hook
        edge.end()


def test_a_process_ends_in_order(key_folder: Path, keys: KeySet, tmp_path: Path) -> None:
    """SIGTERM while a request is under way: it is answered, then the exit status is 0."""
    command = [sys.executable, "-m", "tests.unit.payments_core.edge_process"]
    profiles = str(key_folder / "keys.json")
    child = subprocess.Popen(
        [*command, profiles, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    status_file = tmp_path / "run" / "payments-edge-3.json"
    try:
        until(
            lambda: (
                status_file.exists() and json.loads(status_file.read_text())["state"] == "ready"
            ),
            60,
        )
        port = json.loads(status_file.read_text())["port"]
        with socket.create_connection(("127.0.0.1", port)) as client:
            head = f"POST {PATH} HTTP/1.1\r\nhost: edge\r\ncontent-length: 2\r\n\r\n"
            client.sendall(head.encode())
            time.sleep(0.3)
            child.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            client.sendall(b"{}")
            answer = client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 4"), answer
        out, errors = child.communicate(timeout=20)
    finally:
        child.kill()
        child.wait()
    assert (child.returncode, out) == (0, b"closed True after 1 records\n"), errors
    assert json.loads(status_file.read_text())["state"] == "stopped"
    assert b"Traceback" not in errors


def test_without_profiles_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="GRIDLEDGER_PAYMENT_PROFILES_FILE is not set"):
        edge_main.run(settings_of(tmp_path), 0)


def test_a_port_that_is_taken_is_named() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(Refused, match=rf"port {port} .*GRIDLEDGER_PAYMENTS_PORT"):
            listen("127.0.0.1", port)


def test_the_log_is_waited_for(tmp_path: Path) -> None:
    answers: list[dict[str, int] | Exception] = [Unavailable("no"), {"payments.notices": 4}]

    def partitions() -> dict[str, int]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    status = StatusFile(tmp_path, "edge-0")
    wait_for_topic(partitions, settings_of(tmp_path), Stop(), status, wait_s=0)
    assert answers == []
    assert json.loads((tmp_path / "edge-0.json").read_text())["state"] == "waiting for the broker"


def test_a_log_that_never_answers_ends_the_start(tmp_path: Path) -> None:
    def partitions() -> dict[str, int]:
        time.sleep(0.3)
        raise Unavailable("no broker answers at 127.0.0.1:1")

    settings = settings_of(tmp_path, kafka_start_timeout_ms=1000)
    with pytest.raises(Unavailable, match="no broker answers"):
        wait_for_topic(partitions, settings, Stop(), StatusFile(None, ""), wait_s=0)


def test_told_to_stop_while_waiting(tmp_path: Path) -> None:
    stop = Stop()

    def partitions() -> dict[str, int]:
        stop.is_set = True
        raise Unavailable("no")

    wait_for_topic(partitions, settings_of(tmp_path), stop, StatusFile(None, ""), wait_s=0)


@pytest.mark.parametrize("found", [{}, {"payments.notices": 3}])
def test_a_topic_with_other_partitions_is_refused(tmp_path: Path, found: dict[str, int]) -> None:
    with pytest.raises(Refused, match="partitions, 4 are set"):
        wait_for_topic(lambda: found, settings_of(tmp_path), Stop(), StatusFile(None, ""))
