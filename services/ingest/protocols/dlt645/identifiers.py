"""The data identifiers of DL/T 645-2007 as a table: what a DI is, in OBIS, format and unit.

The rows are data: `identifiers.csv` (one value each) and `records.csv` (values that travel together
under one DI: events, year zones, day slots). Sources: domain.md 1.3 (rows marked confirmed were
checked against real values); the others are as independent field code and the tables of the PyPI
package `dlt645` 3.2.0 have them, and UNCONFIRMED. A meter that differs is given its own rows in
`Dlt645Profile.extra_items`, which win over this table.

In a pattern RR is the rate (00 total, 01..3F), SS the settlement period before the current one (00
current, 01..0C), NN the number of an event, table or holiday (01..FE, 01 the latest event). FF in
place of one of them reads the block of all. In an OBIS code `{rate}` and `{nth}` are those numbers,
and `*NN` is appended for a past settlement period, an older event, and a later entry of a table.
Which rate number means peak or valley is data of the usage point, never of this table.

Combined registers (0000, 0003, 0004) add or subtract others by a word set in the meter. They get
manufacturer-specific codes (C = 128..130) on purpose: no bill may take them for a real register.
Registers inside event records have the event's code (0-0:99.98.x) for the same reason.

    >>> find_item("00010200").obis, find_item("00010001").obis
    ('1-0:1.8.2', '1-0:1.8.0*01')
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files

from libs.events.errors import BadInput


@dataclass(frozen=True, slots=True)
class Format:
    """How one value is written.

    size: bytes of BCD; factor and scale: value = number * factor, an integer of 1/scale unit;
    signed: the top bit is the sign; stamp: bytes of a time that follow the number.
    """

    size: int
    factor: int = 1
    scale: int = 1
    signed: bool = False
    stamp: int = 0


FORMATS = {
    "energy": Format(4, factor=10),  # XXXXXX.XX k, in whole Wh, varh or VAh
    "energy_signed": Format(4, factor=10, signed=True),
    "demand": Format(3, scale=10, stamp=5),  # XX.XXXX k and YYMMDDhhmm, in 0.1 W
    "demand_signed": Format(3, scale=10, signed=True, stamp=5),
    "power": Format(3, scale=10, signed=True),  # XX.XXXX k, in 0.1 W
    "power_unsigned": Format(3, scale=10),
    "voltage": Format(2, scale=10),  # XXX.X
    "current": Format(3, scale=1000, signed=True),  # XXX.XXX
    "factor": Format(2, scale=1000, signed=True),  # X.XXX
    "tenths2": Format(2, scale=10),
    "tenths2_signed": Format(2, scale=10, signed=True),
    "hundredths2": Format(2, scale=100),  # XX.XX
    "number1": Format(1),
    "number2": Format(2),
    "number3": Format(3),
    "number4": Format(4),
    # DL/T 645-1997 only (identifiers_1997.csv)
    "demand_1997": Format(3, scale=10),  # XX.XXXX k, its time is another DI
    "power_1997": Format(3, scale=10),
    "reactive_power_1997": Format(2, factor=10),  # XX.XX k
    "voltage_1997": Format(2),  # XXXX, whole volts
    "current_1997": Format(2, scale=100),  # XX.XX
    "factor_1997": Format(2, scale=1000),
}
TEXT_FORMATS = {
    "date": 4,
    "clock": 3,
    "stamp": 5,
    "stamp_s": 6,
    "month_minute": 4,
    "address": 6,
    "status": 2,
    "settlement_day": 2,
    "word": 1,
    "operator": 4,
    "di": 4,
    "zone": 3,
    "slot": 3,
    "holiday": 4,
    "secret": 4,
    "ascii4": 4,
    "ascii6": 6,
    "ascii10": 10,
    "ascii16": 16,
    "ascii32": 32,
}
"""Formats whose value is a text, with their size in bytes."""


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the table. `confirmed`: checked against a real value (domain.md 1.3)."""

    pattern: str
    obis: str
    name: str
    format: str
    unit: str
    confirmed: bool = False


def read_table(name: str) -> list[dict[str, str]]:
    """The rows of a CSV file beside this module."""
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _item(row: dict[str, str]) -> Item:
    return Item(
        row["pattern"],
        row["obis"],
        row["name"],
        row["format"],
        row["unit"],
        row.get("confirmed") == "yes",
    )


ITEMS: tuple[Item, ...] = tuple(map(_item, read_table("identifiers.csv")))


@dataclass(frozen=True, slots=True)
class Record:
    """Values that one DI carries one behind the other; `repeats`: the last as often as fits."""

    items: tuple[Item, ...]
    repeats: bool


def _read_records() -> dict[str, Record]:
    found: dict[str, Record] = {}
    for row in read_table("records.csv"):
        many = row["times"] == "*"
        items = (_item(row),) * (1 if many else int(row["times"]))
        before = found.get(row["pattern"], Record((), False))
        found[row["pattern"]] = Record(before.items + items, many)
    return found


RECORDS = _read_records()
"""By pattern. Makers add to and leave out from the end of a record, so as many whole values are
read as came; what is left over stays in the frame."""


def _phase_block(family: str) -> tuple[str, ...]:
    own = [item.pattern for item in ITEMS if item.pattern[:4] == family]
    return tuple(pattern for pattern in own if pattern[6:] == "00")


BLOCKS: dict[str, tuple[str, ...]] = {
    **{f"020{n}FF00": _phase_block(f"020{n}") for n in range(1, 10)},
    "040005FF": tuple(f"0400050{n}" for n in range(1, 8)),
}
"""Blocks of unlike items; blocks over RR, SS and NN come from the rows that have them."""

FREEZE_TRIGGERS = {
    "00": "timed freeze",
    "01": "instant freeze",
    "02": "year zone switch freeze",
    "03": "day table switch freeze",
    "04": "hourly freeze",
    "05": "price switch freeze",
    "06": "daily freeze",
    "07": "tier switch freeze",
}
"""DI2 of 05XXKKNN (UNCONFIRMED but for 0506, which `coyool/XXOO_000` uses)."""

FREEZE_PARTS: dict[str, str] = {
    **{f"{n:02X}": f"00{n:02X}FF00" for n in range(1, 9)},
    "09": "0101FF00",
    "0A": "0102FF00",
}
"""DI1 of a freeze, and the block of current values it has the layout of."""

FREEZE_POWERS = ("10", ("0203FF00", "0204FF00"))
"""DI1 of the powers of a freeze, and their layout (UNCONFIRMED)."""
FREEZE_STAMP_PART = "00"
PLACEHOLDERS = {"RR": (0x00, 0x3F), "SS": (0x00, 0x0C), "NN": (0x01, 0xFE)}
"""The first and last number that each may stand for."""
MAX_RATE = PLACEHOLDERS["RR"][1]
ALL = "FF"


def check_di(di: str) -> str:
    """The DI as 8 hexadecimal digits in capitals; BadInput otherwise."""
    text = di.upper()
    if len(text) == 8 and all(c in "0123456789ABCDEF" for c in text):
        return text
    raise BadInput("di", f"{di!r} is no data identifier", "write DI3..DI0 as 8 hex digits")


def di_bytes(di: str) -> bytes:
    """The DI as it travels: low byte first, without the 33H."""
    return bytes.fromhex(di)[::-1]


def di_text(raw: bytes) -> str:
    """The DI in the first four bytes of DATA."""
    return raw[3::-1].hex().upper()


@lru_cache(maxsize=4096)
def find_item(di: str, extra_items: tuple[Item, ...] = ()) -> Item | None:
    """The row of one single value (no block), with its OBIS code filled in; None when unknown."""
    for item in (*extra_items, *ITEMS):
        numbers = _match(item.pattern, di)
        if numbers is not None:
            return _filled(item, di, numbers)
    return None


def _match(pattern: str, di: str) -> dict[str, int] | None:
    """The numbers that the placeholders of a pattern stand for in a DI; None when it is another."""
    numbers = {}
    for place in range(0, 8, 2):
        wanted, found = pattern[place : place + 2], di[place : place + 2]
        if wanted in PLACEHOLDERS:
            first, last = PLACEHOLDERS[wanted]
            numbers[wanted] = int(found, 16)
            if not first <= numbers[wanted] <= last:
                return None
        elif wanted != found:
            return None
    return numbers


def _filled(item: Item, di: str, numbers: dict[str, int], entry: int = 0) -> Item:
    """The row for one DI. `*NN`: how long ago, counted from the latest."""
    if "{" in item.obis:
        obis = item.obis.format(rate=numbers.get("RR"), nth=numbers.get("NN"))
        past = numbers.get("SS", 0)
    else:
        obis = item.obis
        past = numbers.get("SS", 0) or (numbers["NN"] if numbers.get("NN", 1) > 1 else 0)
    past = past or entry
    return replace(item, pattern=di, obis=obis + (f"*{past:02d}" if past else ""))


@lru_cache(maxsize=4096)
def layout_of(di: str, size: int, extra_items: tuple[Item, ...] = ()) -> tuple[Item, ...]:
    """The items in `size` bytes of payload that answer a read of `di`, in order.

    A block over rates, periods or events has as many as the payload has room for, and a record as
    many whole values. An empty tuple means that the payload does not have the length this DI has;
    BadInput that nobody knows the DI.
    """
    if di[:2] == "05":
        return _freeze_layout(di, size, extra_items)
    singles = BLOCKS.get(di, (di,))
    found = [find_item(single, extra_items) for single in singles]
    items = tuple(item for item in found if item is not None)
    if items and len(items) == len(found):
        return items if sum(map(item_size, items)) == size else ()
    for layout in (_record_layout(di, size), _block(di, size, extra_items)):
        if layout is not None:
            return layout
    raise BadInput("di", f"{di} is not in the table", "give its row in extra_items")


def _record_layout(di: str, size: int) -> tuple[Item, ...] | None:
    """The values of a record that are there in whole; None when the DI is no record."""
    for pattern, record in RECORDS.items():
        numbers = _match(pattern, di)
        if numbers is None:
            continue
        items: list[Item] = []
        while True:
            place = len(items)
            if place >= len(record.items) and not record.repeats:
                break
            row = record.items[min(place, len(record.items) - 1)]
            if item_size(row) > size:
                break
            size -= item_size(row)
            entry = place + 1 - len(record.items) + 1
            items.append(_filled(row, di, numbers, entry if entry > 1 else 0))
        return tuple(items)
    return None


def _block(di: str, size: int, extra_items: tuple[Item, ...]) -> tuple[Item, ...] | None:
    """A DI with FF where a row has RR, SS or NN; None when no row has."""
    for place in (4, 6):
        if di[place : place + 2] != ALL:
            continue
        numbered = _numbered(di, place, extra_items)
        if not numbered:
            continue
        count, rest = divmod(size, item_size(numbered[0]))
        return () if rest or not 0 < count <= len(numbered) else tuple(numbered[:count])
    return None


def _numbered(di: str, place: int, extra_items: tuple[Item, ...]) -> list[Item]:
    """Every row that the FF at `place` stands for, from the first."""
    found = []
    for number in range(int(ALL, 16)):
        single = f"{di[:place]}{number:02X}{di[place + 2 :]}"
        item = find_item(single, extra_items)
        if item is not None:
            found.append(item)
        elif number > 1:
            break
    return found


def _freeze_layout(di: str, size: int, extra_items: tuple[Item, ...]) -> tuple[Item, ...]:
    trigger, part, nth = di[2:4], di[4:6], di[6:]
    known = trigger in FREEZE_TRIGGERS and nth != "00"
    if known and part == FREEZE_STAMP_PART:
        stamp = Item(di, "0-0:96.128.0", FREEZE_TRIGGERS[trigger] + " time", "stamp", "")
        return (stamp,) if size == item_size(stamp) else ()
    if known and part in FREEZE_PARTS:
        return _block(FREEZE_PARTS[part], size, extra_items) or ()
    if known and part == FREEZE_POWERS[0]:
        singles = [single for block in FREEZE_POWERS[1] for single in BLOCKS[block]]
        found = [find_item(single, extra_items) for single in singles]
        items = tuple(item for item in found if item is not None)
        return items if sum(map(item_size, items)) == size else ()
    raise BadInput(
        "di", f"{di} is no freeze in the table", "use 0506KKNN with KK 00..0A or 10, NN from 1"
    )


def item_size(item: Item) -> int:
    """How many bytes one item takes."""
    if item.format in TEXT_FORMATS:
        return TEXT_FORMATS[item.format]
    known = FORMATS.get(item.format)
    if known is None:
        names = ", ".join((*FORMATS, *TEXT_FORMATS))
        raise BadInput("extra_items", f"{item.format!r} is no format", f"use one of {names}")
    return known.size + known.stamp
