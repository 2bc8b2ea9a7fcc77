"""Journal entries outside the log: numbered, chained by hash, and checked by anybody.

An exported entry says when and why it was made, has its number, and carries the hash of the entry
before it: whoever changes, removes or inserts one breaks the chain from there on, and the hash at
the end of a day stands for everything up to that day. The hash is SHA-256 over the canonical JSON
of the entry without `hash`; the first entry's `prev_hash` is 64 zeros.

Example: chained(entries) gives what `check_entries` has no finding about.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from services.payments.journal import CHART, JournalEntry, JournalLine

FIRST_HASH = "0" * 64
KINDS_OF_FINDING = (
    "unbalanced",
    "account_unknown",
    "side_wrong",
    "hash_wrong",
    "chain_broken",
    "number_wrong",
    "day_wrong",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedLine:
    """One leg as a file has it: nothing of it is believed yet."""

    ledger_account: str
    sub_account: str
    debit_fen: int
    credit_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedEntry:
    """One entry as a file has it.

    `posted_on` is the day of the utility's zone, `event` the type that booked it, `event_id` that
    event's id, `text` the name of the function that made the entry.
    """

    number: int
    posted_on: str
    posted_at: str
    event: str
    event_id: str
    text: str
    lines: tuple[ExportedLine, ...]
    prev_hash: str = ""
    hash: str = ""

    @property
    def entry(self) -> JournalEntry:
        """The entry itself; only of one without a finding about its lines."""
        return JournalEntry(
            text=self.text,
            lines=tuple(
                JournalLine(
                    ledger_account=line.ledger_account,
                    sub_account=line.sub_account,
                    debit_fen=line.debit_fen,
                    credit_fen=line.credit_fen,
                )
                for line in self.lines
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with an entry; `place` is its number in the file, from 1."""

    place: int
    kind: str
    detail: str


def hash_of(entry: ExportedEntry) -> str:
    """The hash that an entry must have, its `prev_hash` included."""
    document = {
        "number": entry.number,
        "posted_on": entry.posted_on,
        "posted_at": entry.posted_at,
        "event": entry.event,
        "event_id": entry.event_id,
        "text": entry.text,
        "lines": [
            [line.ledger_account, line.sub_account, line.debit_fen, line.credit_fen]
            for line in entry.lines
        ],
        "prev_hash": entry.prev_hash,
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def chained(entries: Iterable[ExportedEntry]) -> Iterator[ExportedEntry]:
    """The entries with numbers and hashes, in the order given, which must be that of their days."""
    last_hash = FIRST_HASH
    for number, entry in enumerate(entries, 1):
        linked = replace(entry, number=number, prev_hash=last_hash)
        last_hash = hash_of(linked)
        yield replace(linked, hash=last_hash)


def line_findings(entry: ExportedEntry, place: int) -> Iterator[Finding]:
    """What keeps the lines from being a journal entry."""
    for line in entry.lines:
        if line.ledger_account not in CHART:
            detail = f"{line.ledger_account!r} is not in the chart"
            yield Finding(place=place, kind="account_unknown", detail=detail)
        lesser_fen, greater_fen = sorted((line.debit_fen, line.credit_fen))
        if not lesser_fen == 0 < greater_fen:
            detail = f"{line.ledger_account}: debit {line.debit_fen}, credit {line.credit_fen}"
            yield Finding(place=place, kind="side_wrong", detail=detail)
    debit_fen = sum(line.debit_fen for line in entry.lines)
    credit_fen = sum(line.credit_fen for line in entry.lines)
    if debit_fen != credit_fen or not entry.lines:
        detail = f"debit {debit_fen} fen, credit {credit_fen} fen"
        yield Finding(place=place, kind="unbalanced", detail=detail)


def check_entries(entries: Iterable[ExportedEntry]) -> Iterator[Finding]:
    """Everything that is wrong with entries, one at a time in the order of the file.

    After a break the chain is followed from what the entry itself says, so that one change is told
    once and not of every entry after it.
    """
    last_hash, last_on = FIRST_HASH, ""
    for place, entry in enumerate(entries, 1):
        yield from line_findings(entry, place)
        if entry.number != place:
            detail = f"is number {entry.number}, the file's {place}"
            yield Finding(place=place, kind="number_wrong", detail=detail)
        if entry.posted_on < last_on:
            detail = f"{entry.posted_on} after {last_on}"
            yield Finding(place=place, kind="day_wrong", detail=detail)
        if entry.prev_hash != last_hash:
            detail = f"prev_hash {entry.prev_hash[:16]}..., before it is {last_hash[:16]}..."
            yield Finding(place=place, kind="chain_broken", detail=detail)
        found = hash_of(entry)
        if found != entry.hash:
            detail = f"hash {entry.hash[:16]}..., its content gives {found[:16]}..."
            yield Finding(place=place, kind="hash_wrong", detail=detail)
        last_hash, last_on = entry.hash, max(last_on, entry.posted_on)
