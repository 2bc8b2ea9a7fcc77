"""The data identifiers of DL/T 645-2007 as a table: what a DI is, in OBIS, format and unit.

Sources: domain.md 1.3 (rows marked confirmed were checked against real values); the other rows are
as independent field code has them and are UNCONFIRMED. A meter that differs is given its own rows
in `Dlt645Profile.extra_items`, which win over this table.

In a pattern RR is the rate (00 total, 01..3F, FF the block of total and all rates) and SS the
settlement period before the current one (00 current, 01..0C). In an OBIS code `{rate}` is that rate
and `*NN` is appended for a past settlement period. Which rate number means peak or valley is data
of the usage point, never of this table.

Combined registers (0000, 0003, 0004) add or subtract others by a word set in the meter. They get
manufacturer-specific codes (C = 128..130) on purpose: no bill may take them for a real register.

    >>> find_item("00010200").obis, find_item("00010001").obis
    ('1-0:1.8.2', '1-0:1.8.0*01')
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

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
    "energy": Format(4, factor=10),  # XXXXXX.XX k, in whole Wh or varh
    "energy_signed": Format(4, factor=10, signed=True),
    "demand": Format(3, scale=10, stamp=5),  # XX.XXXX k and YYMMDDhhmm, in 0.1 W
    "power": Format(3, scale=10, signed=True),  # XX.XXXX k, in 0.1 W
    "voltage": Format(2, scale=10),  # XXX.X
    "current": Format(3, scale=1000, signed=True),  # XXX.XXX
    "factor": Format(2, scale=1000, signed=True),  # X.XXX
    "frequency": Format(2, scale=100),  # XX.XX
    "number1": Format(1),
    "number3": Format(3),
}
TEXT_FORMATS = {
    "date": 4,
    "clock": 3,
    "stamp": 5,
    "stamp_s": 6,
    "address": 6,
    "status": 2,
    "settlement_day": 2,
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


ITEMS: tuple[Item, ...] = (
    Item("0000RRSS", "1-0:128.8.{rate}", "combined active energy", "energy_signed", "Wh"),
    Item("0001RRSS", "1-0:1.8.{rate}", "import active energy", "energy", "Wh", True),
    Item("0002RRSS", "1-0:2.8.{rate}", "export active energy", "energy", "Wh", True),
    Item("0003RRSS", "1-0:129.8.{rate}", "combined reactive energy 1", "energy_signed", "varh"),
    Item(
        "0004RRSS", "1-0:130.8.{rate}", "combined reactive energy 2", "energy_signed", "varh", True
    ),
    Item("0005RRSS", "1-0:5.8.{rate}", "reactive energy quadrant 1", "energy", "varh"),
    Item("0006RRSS", "1-0:6.8.{rate}", "reactive energy quadrant 2", "energy", "varh"),
    Item("0007RRSS", "1-0:7.8.{rate}", "reactive energy quadrant 3", "energy", "varh"),
    Item("0008RRSS", "1-0:8.8.{rate}", "reactive energy quadrant 4", "energy", "varh"),
    Item("0101RRSS", "1-0:1.6.{rate}", "import maximum demand", "demand", "W"),
    Item("0102RRSS", "1-0:2.6.{rate}", "export maximum demand", "demand", "W"),
    Item("02010100", "1-0:32.7.0", "voltage L1", "voltage", "V", True),
    Item("02010200", "1-0:52.7.0", "voltage L2", "voltage", "V", True),
    Item("02010300", "1-0:72.7.0", "voltage L3", "voltage", "V", True),
    Item("02020100", "1-0:31.7.0", "current L1", "current", "A", True),
    Item("02020200", "1-0:51.7.0", "current L2", "current", "A", True),
    Item("02020300", "1-0:71.7.0", "current L3", "current", "A", True),
    Item("02030000", "1-0:16.7.0", "active power", "power", "W", True),
    Item("02030100", "1-0:36.7.0", "active power L1", "power", "W", True),
    Item("02030200", "1-0:56.7.0", "active power L2", "power", "W", True),
    Item("02030300", "1-0:76.7.0", "active power L3", "power", "W", True),
    Item("02040000", "1-0:131.7.0", "reactive power", "power", "var", True),
    Item("02040100", "1-0:151.7.0", "reactive power L1", "power", "var", True),
    Item("02040200", "1-0:171.7.0", "reactive power L2", "power", "var", True),
    Item("02040300", "1-0:191.7.0", "reactive power L3", "power", "var", True),
    Item("02050000", "1-0:9.7.0", "apparent power", "power", "VA", True),
    Item("02060000", "1-0:13.7.0", "power factor", "factor", "", True),
    Item("02060100", "1-0:33.7.0", "power factor L1", "factor", "", True),
    Item("02060200", "1-0:53.7.0", "power factor L2", "factor", "", True),
    Item("02060300", "1-0:73.7.0", "power factor L3", "factor", "", True),
    Item("02800002", "1-0:14.7.0", "frequency", "frequency", "Hz", True),
    Item("03300000", "0-0:96.20.10", "times programmed", "number3", ""),
    Item("03300400", "0-0:96.20.20", "times the clock was set", "number3", ""),
    Item("03300D00", "0-0:96.20.0", "times the cover was opened", "number3", ""),
    Item("04000101", "0-0:0.9.2", "meter date", "date", ""),
    Item("04000102", "0-0:0.9.1", "meter time", "clock", ""),
    Item("04000103", "1-0:0.8.0", "demand period", "number1", "min"),
    Item("04000201", "0-0:128.2.1", "year zones", "number1", ""),
    Item("04000202", "0-0:128.2.2", "day tables", "number1", ""),
    Item("04000203", "0-0:128.2.3", "day slots", "number1", ""),
    Item("04000204", "0-0:128.2.4", "rates", "number1", ""),
    Item("04000401", "0-0:96.1.0", "communication address", "address", "", True),
    Item("04000402", "0-0:96.1.1", "meter number", "address", ""),
    Item("04000501", "0-0:96.5.1", "status word 1", "status", ""),
    Item("04000502", "0-0:96.5.2", "status word 2", "status", ""),
    Item("04000503", "0-0:96.5.3", "status word 3", "status", "", True),
    Item("04000504", "0-0:96.5.4", "status word 4", "status", ""),
    Item("04000505", "0-0:96.5.5", "status word 5", "status", ""),
    Item("04000506", "0-0:96.5.6", "status word 6", "status", ""),
    Item("04000507", "0-0:96.5.7", "status word 7", "status", ""),
    Item("04000B01", "0-0:128.11.1", "settlement day", "settlement_day", ""),
    Item("1D000101", "0-0:96.3.128", "last trip", "stamp_s", ""),
    Item("1E000101", "0-0:96.3.129", "last close", "stamp_s", ""),
)

BLOCKS: dict[str, tuple[str, ...]] = {
    "0201FF00": ("02010100", "02010200", "02010300"),
    "0202FF00": ("02020100", "02020200", "02020300"),
    "0203FF00": ("02030000", "02030100", "02030200", "02030300"),
    "0204FF00": ("02040000", "02040100", "02040200", "02040300"),
    "0206FF00": ("02060000", "02060100", "02060200", "02060300"),
    "040005FF": tuple(f"0400050{n}" for n in range(1, 8)),
}
"""Blocks of unlike items; blocks over rates (DI1 = FF) come from the rows with RR."""

FREEZE_TRIGGERS = {"00": "timed freeze", "01": "instant freeze", "06": "daily freeze"}
"""DI2 of 05XXKKNN (UNCONFIRMED but for 0506, which `coyool/XXOO_000` uses)."""

FREEZE_PARTS: dict[str, str] = {
    **{f"{n:02X}": f"00{n:02X}FF00" for n in range(1, 9)},
    "09": "0101FF00",
    "0A": "0102FF00",
}
"""DI1 of a freeze, and the block of current values it has the layout of."""

FREEZE_STAMP_PART = "00"
MAX_RATE = 0x3F
MAX_SETTLEMENT = 0x0C


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
        found = _match(item, di)
        if found is not None:
            return found
    return None


def _match(item: Item, di: str) -> Item | None:
    pattern = item.pattern
    if pattern == di:
        return item
    if not pattern.endswith("RRSS") or pattern[:4] != di[:4]:
        return None
    rate, settlement = int(di[4:6], 16), int(di[6:], 16)
    if rate > MAX_RATE or settlement > MAX_SETTLEMENT:
        return None
    obis = item.obis.format(rate=rate) + (f"*{settlement:02d}" if settlement else "")
    return replace(item, pattern=di, obis=obis)


@lru_cache(maxsize=4096)
def layout_of(di: str, size: int, extra_items: tuple[Item, ...] = ()) -> tuple[Item, ...]:
    """The items in `size` bytes of payload that answer a read of `di`, in order.

    A block over rates has as many rates as the payload has room for. An empty tuple means that the
    payload does not have the length this DI has; BadInput that nobody knows the DI.
    """
    if di[:2] == "05":
        return _freeze_layout(di, size, extra_items)
    if di[4:6] == "FF" and di not in BLOCKS:
        return _rate_block(di, size, extra_items)
    found = [find_item(single, extra_items) for single in BLOCKS.get(di, (di,))]
    items = tuple(item for item in found if item is not None)
    if len(items) < len(found):
        raise BadInput("di", f"{di} is not in the table", "give its row in extra_items")
    if sum(map(item_size, items)) == size:
        return items
    if len(items) == 1 and items[0].format == "stamp_s" and size > item_size(items[0]):
        return items  # an event record: what follows its time stays in the frame
    return ()


def _rate_block(di: str, size: int, extra_items: tuple[Item, ...]) -> tuple[Item, ...]:
    total = find_item(f"{di[:4]}00{di[6:]}", extra_items)
    if total is None:
        raise BadInput("di", f"{di} is not in the table", "give its row in extra_items")
    count, rest = divmod(size, item_size(total))
    if rest or not 0 < count <= MAX_RATE + 1:
        return ()
    found = [find_item(f"{di[:4]}{rate:02X}{di[6:]}", extra_items) for rate in range(count)]
    return tuple(item for item in found if item is not None)


def _freeze_layout(di: str, size: int, extra_items: tuple[Item, ...]) -> tuple[Item, ...]:
    trigger, part, nth = di[2:4], di[4:6], di[6:]
    known = trigger in FREEZE_TRIGGERS and nth != "00"
    if known and part == FREEZE_STAMP_PART:
        stamp = Item(di, "0-0:96.128.0", FREEZE_TRIGGERS[trigger] + " time", "stamp", "")
        return (stamp,) if size == item_size(stamp) else ()
    if known and part in FREEZE_PARTS:
        return _rate_block(FREEZE_PARTS[part], size, extra_items)
    raise BadInput(
        "di", f"{di} is no freeze in the table", "use 0506KKNN with KK 00..0A, NN from 1"
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
