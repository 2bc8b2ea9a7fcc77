"""A file as sheets: one for each channel, merchant and day, each known by what is in it.

Where a row stood in its file does not matter: the same rows in a longer statement are the same
sheet. State: all rows of the file (about 700 bytes each).

Example: a WeChat bill is one sheet; a bank statement of a week with two channels is up to fourteen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace

from services.payments.settlement.requests import BANK, RowsSubmitted
from services.payments.settlement.rows import PAYOUT, SettlementRow

PART_ROWS = 500
"""About 200 KB of a record; a record may have 1 MB."""

Place = tuple[str, str, str]
"""Channel, merchant and day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What every sheet says of its file."""

    kind: str
    file_sha256: str
    name: str
    submitted_at: str
    submitted_by: str


def parts_of(
    rows: Iterable[SettlementRow], facts: FileFacts, empty: Place | None = None
) -> Iterator[RowsSubmitted]:
    """The records of a file. `empty` is the place of a file without rows (a day without trade).

    Of a bank's statement only payouts of channels are taken.
    """
    by_place: dict[Place, list[SettlementRow]] = {empty: []} if empty else {}
    for row in rows:
        if facts.kind != BANK or row.kind == PAYOUT:
            by_place.setdefault((row.channel, row.merchant, row.day_on), []).append(row)
    for (channel, merchant, day_on), found in sorted(by_place.items()):
        parts = [tuple(found[at : at + PART_ROWS]) for at in range(0, len(found), PART_ROWS)]
        for number, part in enumerate(parts or [()]):
            yield RowsSubmitted(
                sheet_id=sheet_id_of(found),
                kind=facts.kind,
                channel=channel,
                merchant=merchant,
                day_on=day_on,
                part=number,
                parts=len(parts) or 1,
                rows=part,
                file_sha256=facts.file_sha256,
                name=facts.name,
                submitted_at=facts.submitted_at,
                submitted_by=facts.submitted_by,
            )


def sheet_id_of(rows: Iterable[SettlementRow]) -> str:
    """SHA-256 over the rows in their order, without the lines they stood on."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(asdict(replace(row, line=0)), sort_keys=True).encode() + b"\n")
    return digest.hexdigest()
