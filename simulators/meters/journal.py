"""What every simulated meter was asked and answered: one JSON line per frame received.

    {"at":"2026-01-02T00:00:00Z","line":"area-7","meter":"000000000161","received":"6861...",
     "sent":["6861..."],"faults":[],"relay":"closed"}

Passwords are masked. The file is line-buffered: what was answered is in it, even after SIGKILL.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO


class Journal:
    """The file, or nothing when no path was configured."""

    def __init__(self, path: str) -> None:
        self._file: TextIO | None = None
        if path:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._file = Path(path).open("a", buffering=1, encoding="utf-8")  # noqa: SIM115
        self.entries = 0

    def note(
        self,
        at: str,
        line: str,
        meter: str,
        received: str,
        sent: list[str],
        faults: list[str],
        relay: str,
    ) -> None:
        """One exchange; nothing sent is an empty list."""
        self.entries += 1
        if self._file is None:
            return
        entry = {
            "at": at,
            "line": line,
            "meter": meter,
            "received": received,
            "sent": sent,
            "faults": faults,
            "relay": relay,
        }
        self._file.write(json.dumps(entry, separators=(",", ":")) + "\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
