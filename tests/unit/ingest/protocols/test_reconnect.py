"""A line that goes away and comes back, on real sockets and pseudo-terminals."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.ingest.protocols.dlt645.frame import encode_frame
from services.ingest.protocols.dlt645.replies import data_reply, is_reply
from services.ingest.protocols.dlt645.requests import read_request
from services.ingest.protocols.drivers import Exchanged, Line, LineSettings
from services.ingest.protocols.failures import LineDown
from services.ingest.protocols.ports import SerialPort, TcpPort

ADDRESS = "000000000001"
SETTINGS = LineSettings(baud=115_200, turnaround_s=2.0, tries=1, backoff_s=0.01, reopen_max_s=0.05)
REPLY = encode_frame(data_reply(ADDRESS, "00010000", bytes.fromhex("26000000")))
PATIENCE_S = 5.0


def ask(line: Line) -> Exchanged:
    request = read_request(ADDRESS, "00010000")
    return line.exchange(request, lambda frame: is_reply(request, frame))


def until_answered(line: Line) -> None:
    """Ask until the line is opened again."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            ask(line)
            return
        except LineDown:
            assert time.monotonic() < deadline, "it was never opened again"
            time.sleep(0.01)


@contextmanager
def terminal(port: int = 0) -> Iterator[int]:
    """A terminal with one meter; its port. Its connections end with it."""
    server = socket.create_server(("127.0.0.1", port))
    over = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(0.02)
            while not over.is_set():
                try:
                    if connection.recv(4096):
                        connection.sendall(REPLY)
                except TimeoutError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        over.set()
        thread.join(PATIENCE_S)
        server.close()


def test_a_terminal_that_was_away_is_connected_again() -> None:
    with terminal() as port:
        line = Line(TcpPort("127.0.0.1", port), SETTINGS)
        ask(line)
    for _ in range(3):
        with pytest.raises(LineDown):
            ask(line)
    with terminal(port):
        until_answered(line)
    line.close()


def test_a_terminal_that_vanishes_without_a_word_is_noticed() -> None:
    with terminal() as port:
        line = TcpPort("127.0.0.1", port)
        line.open()
        assert line._socket is not None
        option = line._socket.getsockopt
        assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        assert option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000
        line.close()


@contextmanager
def plugged(link: Path) -> Iterator[None]:
    """A serial port with one meter at the end of a link; unplugged at the end."""
    master, slave = os.openpty()
    tty.setraw(slave)
    link.unlink(missing_ok=True)
    link.symlink_to(os.ttyname(slave))
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            if select.select([master], [], [], 0.02)[0] and os.read(master, 4096):
                os.write(master, REPLY)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE_S)
        os.close(slave)
        os.close(master)


def test_a_serial_port_that_was_unplugged_is_opened_again(tmp_path: Path) -> None:
    link = tmp_path / "meters"
    line = Line(SerialPort(str(link)), SETTINGS)
    with plugged(link):
        ask(line)
    for _ in range(3):
        with pytest.raises(LineDown):
            ask(line)
    with plugged(link):
        until_answered(line)
    line.close()
