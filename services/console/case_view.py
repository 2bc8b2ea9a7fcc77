"""What waits for a person in the field, as SQL: alarms of line loss, seals found broken.

The alarm of a day stands as its latest revision says; a case of a seal until it is closed. As the
tables of read_view.py these are a cache that goes with the process.

    view = CaseView(31)
    view.note(LossCalculated(...)); view.alarms(); view.seals()
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from libs.events.codec import to_document
from services.console.reactions import LossCalculated, SealBrokenFound, SealCaseClosed
from services.console.read_view import first_shown

ALARMS = ("high", "negative")

_TABLES = """
PRAGMA journal_mode = OFF;
CREATE TABLE losses (day_on TEXT, feeder TEXT, area TEXT, revision INTEGER, status TEXT, body TEXT,
  PRIMARY KEY (day_on, feeder, area)) WITHOUT ROWID;
CREATE TABLE seals (case_id TEXT PRIMARY KEY, found_at TEXT, body TEXT) WITHOUT ROWID;
CREATE TABLE closed (case_id TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class CaseView:
    """Folds losses of the last `shown_days` and cases of seals; used by one thread at a time."""

    def __init__(self, shown_days: int) -> None:
        self.shown_days = shown_days
        self.rows = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self.rows.executescript(_TABLES)
        self.last_on = self.first_on = ""

    def note(self, body: object) -> None:
        """Fold one event."""
        match body:
            case LossCalculated():
                self._note_loss(body)
            case SealBrokenFound():
                self.rows.execute(
                    "INSERT OR REPLACE INTO seals VALUES (?, ?, ?)",
                    (body.case_id, body.broken.found_at, json.dumps(to_document(body))),
                )
            case SealCaseClosed():
                self.rows.execute("INSERT OR IGNORE INTO closed VALUES (?)", (body.case_id,))

    def _note_loss(self, loss: LossCalculated) -> None:
        if loss.day_on > self.last_on:
            self.last_on = loss.day_on
            self.first_on = first_shown(loss.day_on, self.shown_days)
            self.rows.execute("DELETE FROM losses WHERE day_on < ?", (self.first_on,))
        if loss.day_on >= self.first_on:
            self.rows.execute(
                "INSERT INTO losses VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                "revision = excluded.revision, status = excluded.status, body = excluded.body "
                "WHERE excluded.revision > revision",
                (loss.day_on, loss.feeder, loss.area, loss.revision, loss.status, _text(loss)),
            )

    def alarms(self) -> list[dict[str, Any]]:
        """The alarms, the newest day first: fields of LossCalculated."""
        found = self.rows.execute(
            "SELECT body FROM losses WHERE status IN (?, ?) ORDER BY day_on DESC, feeder, area",
            ALARMS,
        )
        return [json.loads(body) for (body,) in found]

    def seals(self) -> list[dict[str, Any]]:
        """The open cases, the oldest first: fields of SealBrokenFound."""
        found = self.rows.execute(
            "SELECT body FROM seals WHERE case_id NOT IN (SELECT case_id FROM closed) "
            "ORDER BY found_at, case_id"
        )
        return [json.loads(body) for (body,) in found]


def _text(body: object) -> str:
    return json.dumps(to_document(body), ensure_ascii=False)
