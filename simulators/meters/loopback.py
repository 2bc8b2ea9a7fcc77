"""A TCP server in this process that is a meter, or meters, for one that reads them."""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Self


class LoopbackServer(ABC):
    """Listens on a free loopback port until it is closed; each connection has a thread."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._socket.close()

    @abstractmethod
    def converse(self, received: Iterator[bytes]) -> Iterator[bytes]:
        """What one connection sends, while it takes what it receives, up to the other's end."""

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            for answer in self.converse(iter(lambda: connection.recv(4096), b"")):
                connection.sendall(answer)
