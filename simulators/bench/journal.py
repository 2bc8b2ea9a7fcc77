"""The journal of a simulator: what it was told, what it sent, what it was answered.

One JSON object per line, written through at once, so that a killed bench leaves a whole journal:

    {"at": "2026-03-01T02:00:00.123Z", "event": "sent", "run": "B1-M1-...", "attempt": 1, ...}
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path


class Journal:
    """Appends to a file; every entry is on disk when `write` returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def write(self, event: str, **facts: object) -> None:
        """One entry: the wall clock's instant, what happened, and its facts."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = {"at": at, "event": event, **facts}
        self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
