"""Remote reading as SQL: which day's freeze was expected of whom, and when it came.

A day's freeze is expected from its first order on, or when it is told missing without one; it is
read when the meter or its concentrator gave it, so what a person read at the meter does not count.
Behind a concentrator the group is the concentrator's address (`0200-0001`), else the line. Area and
model are those of the latest word on the point and the meter; "" while unknown.

    view = ReadView(DEFAULT_POLICY)
    view.note(ReadingOrdered(...), at)
    view.rates("concentrator")      counts of each day and group

The tables are a cache in a private temporary file of SQLite, which nobody has to delete: it is gone
with the process and folded again from the topics. A point costs about 120 bytes a day; days that
the page does not show are dropped. Rates are kept too, and counted again only for changed days.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from libs.read_success import GROUPS, ReadRate
from services.console.policy import ReadRules
from services.console.reactions import (
    MeterPublished,
    ReadingCollected,
    ReadingMissing,
    ReadingOrdered,
    SupplyPublished,
)

FREEZE, MANUAL, BEHIND = "daily_freeze", "manual", "qgdw376"
_ZONE = timedelta(hours=8)

_TABLES = """
PRAGMA journal_mode = OFF;
CREATE TABLE days (day_on TEXT PRIMARY KEY, once_at TEXT, on_time_at TEXT, freeze_at TEXT);
CREATE TABLE reads (day_on TEXT, usage_point TEXT, meter_no TEXT, concentrator TEXT,
  collected_at TEXT DEFAULT '', attempts INTEGER DEFAULT 0,
  PRIMARY KEY (day_on, usage_point)) WITHOUT ROWID;
CREATE TABLE points (usage_point TEXT PRIMARY KEY, version INTEGER, area TEXT) WITHOUT ROWID;
CREATE TABLE meters (meter_no TEXT PRIMARY KEY, version INTEGER, model TEXT) WITHOUT ROWID;
CREATE TABLE rates (kind TEXT, day_on TEXT, name TEXT, expected INTEGER, once INTEGER,
  on_time INTEGER, freeze INTEGER, PRIMARY KEY (kind, day_on, name)) WITHOUT ROWID;
CREATE VIEW placed AS SELECT reads.*, coalesce(area, '') AS area, coalesce(model, '') AS model
  FROM reads LEFT JOIN points USING (usage_point) LEFT JOIN meters USING (meter_no);
"""
_COUNT = """
INSERT INTO rates SELECT ?, day_on, {name}, count(*),
  sum(collected_at > '' AND collected_at <= once_at AND attempts <= ?),
  sum(collected_at > '' AND collected_at <= on_time_at),
  sum(collected_at > '' AND collected_at <= freeze_at)
FROM placed JOIN days USING (day_on) WHERE day_on = ? GROUP BY {name}
"""
_PUT_AREA = """
INSERT INTO points VALUES (?, ?, ?) ON CONFLICT DO UPDATE
SET version = excluded.version, area = excluded.area WHERE excluded.version > version
"""
_PUT_MODEL = """
INSERT INTO meters VALUES (?, ?, ?) ON CONFLICT DO UPDATE
SET version = excluded.version, model = excluded.model WHERE excluded.version > version
"""
_FORGET = (
    "DELETE FROM days WHERE day_on < ?",
    "DELETE FROM reads WHERE day_on < ?",
    "DELETE FROM rates WHERE day_on < ?",
)


class Read(NamedTuple):
    """An expected reading, as `gridledger kpi` has its rows; collected_at "": it did not come."""

    day_on: str
    usage_point: str
    concentrator: str
    area: str
    model: str
    collected_at: str
    attempts: int


def after_day(day_on: str, minutes: int) -> str:
    """The instant so many minutes after 24:00 of a day of the utility's zone."""
    end = datetime.fromisoformat(day_on) + timedelta(days=1, minutes=minutes) - _ZONE
    return end.strftime("%Y-%m-%dT%H:%M:%SZ")


def first_shown(last_on: str, days: int) -> str:
    """The first of so many days, the last of which is given."""
    return (date.fromisoformat(last_on) - timedelta(days=days - 1)).isoformat()


class ReadView:
    """Folds orders and readings; `keeps_all`: every day, not only those the page shows.

    One thread at a time may use it, not always the same.
    """

    def __init__(self, rules: ReadRules, *, keeps_all: bool = False) -> None:
        self.rules = rules
        self.keeps_all = keeps_all
        self.rows = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self.rows.executescript(_TABLES)
        self.days: set[str] = set()
        self.changed: set[str] = set()
        self.first_on = ""

    def note(self, body: object, at: str) -> None:
        """Fold one event of the time `at`."""
        match body:
            case ReadingOrdered(kind="daily_freeze", attempt=1):
                behind = body.address.partition("/")[0] if body.protocol == BEHIND else body.line
                self._expect(body.day_on, body.usage_point, body.meter_no, behind)
            case ReadingMissing(attempts=0):
                self._expect(body.day_on, body.usage_point, "", "")
            case ReadingCollected(kind="daily_freeze"):
                self._collect(body, at)
            case SupplyPublished():
                self._put(_PUT_AREA, body.usage_point, body.version, body.area)
            case MeterPublished():
                self._put(_PUT_MODEL, body.meter_no, body.version, body.model)

    def _expect(self, day_on: str, usage_point: str, meter_no: str, concentrator: str) -> None:
        if day_on < self.first_on:
            return
        if day_on not in self.days:
            self._open(day_on)
        self.changed.add(day_on)
        self.rows.execute(
            "INSERT OR IGNORE INTO reads (day_on, usage_point, meter_no, concentrator) "
            "VALUES (?, ?, ?, ?)",
            (day_on, usage_point, meter_no, concentrator),
        )

    def _open(self, day_on: str) -> None:
        rules = self.rules
        untils = (rules.once_until_min, rules.on_time_until_min, rules.freeze_until_min)
        deadlines = [after_day(day_on, minutes) for minutes in untils]
        self.rows.execute("INSERT INTO days VALUES (?, ?, ?, ?)", (day_on, *deadlines))
        self.days.add(day_on)
        if self.keeps_all:
            return
        self.first_on = first_shown(max(self.days), rules.shown_days)
        for forget in _FORGET:
            self.rows.execute(forget, (self.first_on,))
        self.days = {day for day in self.days if day >= self.first_on}
        self.changed &= self.days

    def _collect(self, body: ReadingCollected, at: str) -> None:
        """The first reading that an order brought; one by the clock of a meter behind ours cannot
        be older than the freeze itself."""
        if body.attempts < 1 or body.source == MANUAL or body.day_on not in self.days:
            return
        came_at = max(body.read_at or at, after_day(body.day_on, 0))
        self.changed.add(body.day_on)
        self.rows.execute(
            "UPDATE reads SET collected_at = ?, attempts = ? "
            "WHERE day_on = ? AND usage_point = ? AND collected_at = ''",
            (came_at, body.attempts, body.day_on, body.usage_point),
        )

    def _put(self, statement: str, key: str, version: int, value: str) -> None:
        """The highest version stands, whatever came first; then every day is counted again."""
        if self.rows.execute(statement, (key, version, value)).rowcount:
            self.changed |= self.days

    def rates(self, by: str) -> list[ReadRate]:
        """The counts of every day and group, sorted; by: one of GROUPS, "" for all together."""
        self._count()
        if not by:
            found = self.rows.execute(
                "SELECT day_on, '', sum(expected), sum(once), sum(on_time), sum(freeze) "
                "FROM rates WHERE kind = 'area' GROUP BY day_on ORDER BY day_on"
            )
        else:
            found = self.rows.execute(
                "SELECT day_on, name, expected, once, on_time, freeze FROM rates "
                "WHERE kind = ? ORDER BY day_on, name",
                (by,),
            )
        return [ReadRate(*row) for row in found]

    def _count(self) -> None:
        for day_on in self.changed:
            self.rows.execute("DELETE FROM rates WHERE day_on = ?", (day_on,))
            for name in GROUPS:
                given = (name, self.rules.once_attempts_most, day_on)
                self.rows.execute(_COUNT.format(name=name), given)
        self.changed = set()

    def reads(self) -> Iterator[Read]:
        """Every expected reading, by day and point."""
        found: Iterator[tuple[Any, ...]] = self.rows.execute(
            "SELECT day_on, usage_point, concentrator, area, model, collected_at, attempts "
            "FROM placed ORDER BY day_on, usage_point"
        )
        for row in found:
            yield Read(*row)
