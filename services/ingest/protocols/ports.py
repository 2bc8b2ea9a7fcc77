"""The two wires a DL/T 645 line can be: a TCP connection to a terminal, or a serial port.

A port only moves bytes and knows time-outs; everything about frames is in `drivers.Line`.
"""

from __future__ import annotations

import os
import socket
from typing import Any, Protocol

from services.ingest.protocols.failures import LineDown

RECEIVE_BYTES = 4096
DEAD_PEER = {
    "TCP_KEEPIDLE": 30,
    "TCP_KEEPINTVL": 10,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 20_000,
}
"""After how long a terminal that vanished without a word counts as gone: idle for 60 s, or 20 s (in
ms) after something was sent. Without it every meter would seem silent for a quarter of an hour."""


def notice_dead_peer(connection: socket.socket) -> None:
    """Have the system end a connection whose other side vanished without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in DEAD_PEER.items():
        if hasattr(socket, name):  # not every system can be told
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Port(Protocol):
    """Bytes to and from one line. Every method may raise LineDown; `open` may be called again."""

    name: str

    def open(self) -> None:
        """Make the line ready; nothing happens when it is."""
        ...

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        ...

    def read(self, timeout_s: float) -> bytes:
        """What came; empty when nothing came for `timeout_s` (0: what is there already)."""
        ...

    def close(self) -> None:
        """Give the line back; `open` makes it ready again."""
        ...


class TcpPort:
    """A terminal or serial server that passes bytes through, on one TCP connection."""

    def __init__(self, host: str, port: int, connect_timeout_s: float = 5.0) -> None:
        self.name = f"tcp:{host}:{port}"
        self._address = (host, port)
        self._connect_timeout_s = connect_timeout_s
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Connect, unless connected."""
        if self._socket is not None:
            return
        try:
            connection = socket.create_connection(self._address, self._connect_timeout_s)
        except OSError as error:
            raise LineDown(f"{self.name}: no connection ({error})") from None
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        notice_dead_peer(connection)
        self._socket = connection

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        connection = self._ready()
        try:
            connection.settimeout(self._connect_timeout_s)
            connection.sendall(data)
        except OSError as error:
            raise self._broken(error) from None

    def read(self, timeout_s: float) -> bytes:
        """What came within `timeout_s`; LineDown when the peer closed."""
        connection = self._ready()
        try:
            connection.settimeout(timeout_s)
            data = connection.recv(RECEIVE_BYTES)
        except (TimeoutError, BlockingIOError):
            return b""
        except OSError as error:
            raise self._broken(error) from None
        if not data:
            raise self._broken("closed by the other side")
        return data

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ready(self) -> socket.socket:
        if self._socket is None:
            raise LineDown(f"{self.name}: not connected")
        return self._socket

    def _broken(self, why: object) -> LineDown:
        self.close()
        return LineDown(f"{self.name}: {why}")


PSEUDO_TERMINALS = ("/dev/pts/", "/dev/ttys")
"""Slave sides on Linux and macOS. They carry no bits, so the system refuses a parity on them."""


class SerialPort:
    """A serial port: 2400 bit/s, 8 data bits, even parity, 1 stop bit (domain.md 1.1).

    A pseudo-terminal is opened without parity; on a real port a refused parity is LineDown.
    """

    def __init__(self, path: str, baud: int = 2400, write_timeout_s: float = 5.0) -> None:
        self.name = f"serial:{path}"
        self._path = path
        self._baud = baud
        self._write_timeout_s = write_timeout_s
        self._serial: Any = None

    def open(self) -> None:
        """Open the tty for us alone; what was left in its buffer is dropped."""
        if self._serial is not None:
            return
        import termios

        import serial

        pseudo = os.path.realpath(self._path).startswith(PSEUDO_TERMINALS)
        try:
            self._serial = serial.Serial(
                self._path,
                self._baud,
                bytesize=serial.EIGHTBITS,
                parity=serial.PARITY_NONE if pseudo else serial.PARITY_EVEN,
                stopbits=serial.STOPBITS_ONE,
                exclusive=True,
                write_timeout=self._write_timeout_s,
            )
            self._serial.reset_input_buffer()
        except (OSError, termios.error) as error:  # SerialException is an OSError
            self.close()
            raise LineDown(f"{self.name}: cannot be opened ({error})") from None

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        try:
            self._ready().write(data)
        except OSError as error:
            raise self._broken(error) from None

    def read(self, timeout_s: float) -> bytes:
        """What came within `timeout_s`."""
        tty = self._ready()
        try:
            tty.timeout = timeout_s
            first: bytes = tty.read(1)
            return first + tty.read(tty.in_waiting) if first else b""
        except OSError as error:
            raise self._broken(error) from None

    def close(self) -> None:
        """Close the tty."""
        if self._serial is not None:
            self._serial.close()
            self._serial = None

    def _ready(self) -> Any:
        if self._serial is None:
            raise LineDown(f"{self.name}: not open")
        return self._serial

    def _broken(self, why: object) -> LineDown:
        self.close()
        return LineDown(f"{self.name}: {why}")
