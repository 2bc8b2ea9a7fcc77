"""The other end of the control port, blocking: for the demo, tests and people.

with Remote("127.0.0.1", port) as remote:
    remote.ask("time", at="2026-01-02T00:00:00Z")
"""

from __future__ import annotations

import json
import socket
from types import TracebackType
from typing import Any

from libs.events.errors import BadInput


class Remote:
    """One connection to the control port of a running simulator."""

    def __init__(self, host: str, port: int, timeout_s: float = 10.0) -> None:
        self._socket = socket.create_connection((host, port), timeout_s)
        self._lines = self._socket.makefile("rb")

    def ask(self, op: str, **fields: object) -> dict[str, Any]:
        """The simulator's answer; BadInput with its words when it refuses."""
        self._socket.sendall(json.dumps({"op": op, **fields}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(self._lines.readline())
        if not answer.pop("ok"):
            raise BadInput(op, str(answer["error"]))
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Remote:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
