"""Load-profile records (060Kxxxx): snapshots the meter stored, K = 1..6 or 0 for all classes.

    A0 A0 | length | mm hh DD MM YY | class 1 AA class 2 AA ... class 6 AA | sum | E5

`length` counts from the time to the last AA, `sum` is modulo 256 from the first A0H to there. A
class that is not stored is empty: only its AAH. E0 E0 instead of A0 A0 means the meter itself calls
the record wrong. Four independent pieces of field code agree on this; some meters leave out the
AAH of the classes not asked for (`Dlt645Profile.load_record_separators`). All of it UNCONFIRMED
against the standard's text (domain.md 1.3 and 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from services.ingest.protocols.dlt645.identifiers import Item, find_item, item_size
from services.ingest.protocols.dlt645.payloads import decode_items
from services.ingest.protocols.dlt645.profile import STANDARD, Dlt645Profile
from services.ingest.protocols.dlt645.values import BadValue, Quantity, decode_stamp, encode_stamp
from services.ingest.protocols.failures import BadReply

GOOD_START = b"\xa0\xa0"
WRONG_START = b"\xe0\xe0"
SEPARATOR = 0xAA
END = 0xE5
EARLIEST, AT_TIME, NEWEST = "0000", "0001", "0002"
"""DI1 DI0 of a load-profile read."""
MARKED_WRONG = "marked_wrong"
RECORD_CHECKSUM = "record_checksum"
_STAMP_BYTES = 5
_HEAD_BYTES = 3
_TAIL_BYTES = 2

_CLASS_DIS: dict[int, tuple[str, ...]] = {
    1: (
        *(f"0201{phase:02d}00" for phase in (1, 2, 3)),
        *(f"0202{phase:02d}00" for phase in (1, 2, 3)),
        "02800002",
    ),
    2: tuple(f"{kind}{phase:02d}00" for kind in ("0203", "0204") for phase in range(4)),
    3: tuple(f"0206{phase:02d}00" for phase in range(4)),
    4: ("00010000", "00020000", "00030000", "00040000"),
    5: ("00050000", "00060000", "00070000", "00080000"),
}
_DEMAND_ITEMS = (
    Item("", "1-0:1.4.0", "active demand", "power", "W"),
    Item("", "1-0:3.4.0", "reactive demand", "power", "var"),
)
CLASSES = range(1, 7)


@dataclass(frozen=True, slots=True)
class LoadRecord:
    """One stored snapshot: the meter's civil time and the quantities of the classes it has."""

    civil: datetime
    quantities: tuple[Quantity, ...]


def class_items(number: int, profile: Dlt645Profile = STANDARD) -> tuple[Item, ...]:
    """The rows of one class of records, in order."""
    if number == 6:
        return _DEMAND_ITEMS
    found = [find_item(di, profile.extra_items) for di in _CLASS_DIS[number]]
    return tuple(item for item in found if item is not None)


def class_size(number: int, profile: Dlt645Profile = STANDARD) -> int:
    """How many bytes a class takes: 17, 24, 8, 16, 16, 6."""
    return sum(map(item_size, class_items(number, profile)))


def decode_load_records(
    payload: bytes, wanted: int, profile: Dlt645Profile = STANDARD
) -> list[LoadRecord]:
    """All records in the joined payload of a read of class `wanted` (0 = all).

    A record that the meter marks wrong, or whose own sum is wrong, keeps its time and has bad
    quantities. BadReply when the bytes are not records at all.
    """
    records = []
    position = 0
    while position < len(payload):
        head = payload[position : position + _HEAD_BYTES]
        if head[:2] not in (GOOD_START, WRONG_START) or len(head) < _HEAD_BYTES:
            raise BadReply(f"no load record at byte {position}: {head.hex()}")
        end = position + _HEAD_BYTES + head[2]
        tail = payload[end : end + _TAIL_BYTES]
        if len(tail) < _TAIL_BYTES or tail[1] != END:
            raise BadReply(f"the load record at byte {position} does not end")
        bad = MARKED_WRONG if head[:2] == WRONG_START else ""
        if sum(payload[position:end]) & 0xFF != tail[0]:
            bad = RECORD_CHECKSUM
        body = payload[position + _HEAD_BYTES : end]
        records.append(_decode_record(body, wanted, bad, profile))
        position = end + _TAIL_BYTES
    return records


def _decode_record(body: bytes, wanted: int, bad: str, profile: Dlt645Profile) -> LoadRecord:
    civil = decode_stamp(body[:_STAMP_BYTES])
    if isinstance(civil, BadValue):
        raise BadReply(f"a load record without a time: {civil.raw_hex}")
    quantities: list[Quantity] = []
    for number, raw in split_classes(body[_STAMP_BYTES:], wanted, profile):
        if wanted in (0, number):
            quantities.extend(decode_items(class_items(number, profile), raw, profile))
    if bad:
        quantities = [replace(quantity, value=None, bad=bad) for quantity in quantities]
    return LoadRecord(civil, tuple(quantities))


def split_classes(blocks: bytes, wanted: int, profile: Dlt645Profile) -> list[tuple[int, bytes]]:
    """The classes that hold something, cut at their AAH."""
    own = wanted and profile.load_record_separators == "own"
    found = []
    position = 0
    for number in (wanted,) if own else CLASSES:
        if position == len(blocks):
            break
        if blocks[position] != SEPARATOR:
            size = class_size(number, profile)
            found.append((number, blocks[position : position + size]))
            position += size
        if blocks[position : position + 1] != bytes((SEPARATOR,)):
            raise BadReply(f"class {number} of a load record does not end with AAH")
        position += 1
    if position != len(blocks):
        raise BadReply(f"{len(blocks) - position} bytes too many in a load record")
    return found


def encode_load_record(
    civil: datetime, classes: Mapping[int, bytes], wanted: int, profile: Dlt645Profile = STANDARD
) -> bytes:
    """One record as a meter sends it; `classes` holds the bytes of each class that is stored."""
    own = wanted and profile.load_record_separators == "own"
    blocks = b"".join(
        (classes.get(number, b"") if wanted in (0, number) else b"") + bytes((SEPARATOR,))
        for number in ((wanted,) if own else CLASSES)
    )
    body = encode_stamp(civil, _STAMP_BYTES) + blocks
    record = GOOD_START + bytes((len(body),)) + body
    return record + bytes((sum(record) & 0xFF, END))
