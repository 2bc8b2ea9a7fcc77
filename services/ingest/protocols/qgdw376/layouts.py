"""What the data of one point and kind (Pn, Fn) consists of, and its values.

The table is data: `layouts.csv`, a row for each field in order, with its source and whether more
than memory says so. A terminal that differs is given rows of its own (`parse_layouts`).

    field    tag, read_at, rates, density, points govern the fields behind them; others are values
    repeat   "rates": the total and each rate, {rate} in the OBIS code; "points": a curve
    obis     reduced code; combined reactive energy as in `dlt645.identifiers`

A day freeze is tagged with the day that ended at it: its registers are those of 24:00 of `day_on`
(domain.md 5). A curve's first value is that at its tag and the others follow at its density, as
`guyingzhi/learngit` reads it; what a given terminal means is UNCONFIRMED (`first_point_offset`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.values import Quantity, format_instant, parse_instant
from services.ingest.protocols.failures import BadReply
from services.ingest.protocols.qgdw376.formats import Value, decode_value, size_of

MAX_RATES = 14
INTERVALS_S = {1: 900, 2: 1800, 3: 3600, 254: 300, 255: 60}
"""Seconds between the points of a curve, by its density byte."""
GOVERNING = frozenset({"tag", "read_at", "rates", "density", "points"})
COLUMNS = ("afn", "fn", "name", "field", "format", "repeat", "obis", "unit", "status", "source")


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the table."""

    name: str
    format: str
    repeat: str = ""
    obis: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields of one kind of data. confirmed: a source besides memory has it so."""

    afn: int
    fn: int
    name: str
    fields: tuple[Field, ...]
    confirmed: bool
    source: str

    @property
    def tag_format(self) -> str:
        """A20 of a day, A21 of a month, A15 of a curve; "" of current data."""
        return self.fields[0].format if self.fields[0].name == "tag" else ""


Layouts = Mapping[tuple[int, int], Layout]
"""By AFN and Fn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """The bytes of one value, from `offset` of the unit."""

    offset: int
    size: int
    field: str
    value: Value
    quantity: Quantity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The data of one point and kind.

    day_on, month_on: what its tag says, "" for none. read_at: when the terminal read the meter, ""
    where it never did. first_at, interval_s: of a curve. quantities: in the order of the frame.
    """

    afn: int
    pn: int
    fn: int
    name: str
    size: int
    items: tuple[Item, ...]
    day_on: str = ""
    month_on: str = ""
    read_at: str = ""
    first_at: str = ""
    interval_s: int = 0

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The values, without what governs them."""
        return tuple(item.quantity for item in self.items if item.quantity is not None)


def parse_layouts(rows: Iterable[Mapping[str, str]]) -> dict[tuple[int, int], Layout]:
    """The table; BadInput names line and column of what is wrong. Rows of a kind are adjacent."""
    found: dict[tuple[int, int], Layout] = {}
    for line, row in enumerate(rows, start=2):
        try:
            key = int(row["afn"], 16), int(row["fn"])
        except (KeyError, TypeError, ValueError):
            raise BadInput(f"line {line}: fn", "no AFN and Fn", "write 0D and 161") from None
        if None in row or any(row.get(name) is None for name in COLUMNS):
            raise BadInput(f"line {line}", "columns lack", f"give {', '.join(COLUMNS)}")
        try:
            size_of(row["format"])
        except BadInput as wrong:
            raise BadInput(f"line {line}: format", wrong.problem, wrong.fix) from None
        before = found.get(key)
        fields = before.fields if before else ()
        if row["repeat"] and row["repeat"] not in {each.name for each in fields}:
            raise BadInput(
                f"line {line}: repeat",
                f"{row['repeat']!r} does not stand before it",
                'use "rates" or "points", and give the field that counts them first',
            )
        found[key] = Layout(
            *key,
            row["name"],
            (*fields, Field(*(row[name] for name in ("field", *COLUMNS[4:8])))),
            row["status"] == "confirmed",
            row["source"],
        )
    return found


@dataclass(slots=True)
class _Reading:
    """A unit while it is read."""

    zone_minutes: int
    offset: int = 0
    items: list[Item] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    tag: str = ""
    read_at: str = ""

    def near_on(self) -> str:
        """The day or month that the unit speaks of, for times without a year."""
        if len(self.tag) in (7, 10):
            return self.tag
        if self.read_at:
            civil = parse_instant(self.read_at) + timedelta(minutes=self.zone_minutes)
            return civil.date().isoformat()
        return ""

    def take(self, one: Field, raw: bytes, **more: str) -> Value:
        """Read one field and go on behind it; BadReply when the frame ends within it."""
        size = size_of(one.format)
        piece = raw[self.offset : self.offset + size]
        if len(piece) < size:
            raise BadReply(f"ends within {one.name}")
        value = decode_value(one.format, piece, self.zone_minutes, self.near_on())
        quantity = None
        if one.name not in GOVERNING:
            quantity = Quantity(
                obis=more.get("obis", one.obis),
                name=one.name,
                unit=one.unit,
                scale=value.scale,
                value=value.number,
                bad=value.bad,
                at=value.at,
                text=value.text,
            )
        self.items.append(
            Item(offset=self.offset, size=size, field=one.name, value=value, quantity=quantity)
        )
        self.offset += size
        return value


def decode_unit(
    layout: Layout,
    pn: int,
    raw: bytes,
    zone_minutes: int = 480,
    first_point_offset: int = 0,
) -> Unit:
    """The values at the beginning of `raw`; `size` says how far they reach.

    first_point_offset: how many intervals after its tag a curve begins. Raises BadReply when `raw`
    ends too early, or when a count (rates, density) is impossible: what follows is then unknown.
    """
    reading = _Reading(zone_minutes)
    for one in layout.fields:
        if not one.repeat:
            _take_governing(reading, one, reading.take(one, raw))
            continue
        for number in range(reading.counts[one.repeat]):
            reading.take(one, raw, obis=one.obis.format(rate=number))
    day_on, month_on, first_at = "", "", ""
    interval_s = INTERVALS_S.get(reading.counts.get("density", 0), 0)
    if layout.tag_format == "A20":
        day_on = reading.tag
    elif layout.tag_format == "A21":
        month_on = reading.tag
    elif reading.tag:
        shift = timedelta(seconds=interval_s * first_point_offset)
        first_at = format_instant(parse_instant(reading.tag) + shift)
    return Unit(
        afn=layout.afn,
        pn=pn,
        fn=layout.fn,
        name=layout.name,
        size=reading.offset,
        items=tuple(reading.items),
        day_on=day_on,
        month_on=month_on,
        read_at=reading.read_at,
        first_at=first_at,
        interval_s=interval_s,
    )


def _take_governing(reading: _Reading, one: Field, value: Value) -> None:
    """Note what a field means for those behind it."""
    if one.name == "tag":
        reading.tag = value.text
    elif one.name == "read_at":
        reading.read_at = value.text
    elif one.name in ("rates", "density", "points"):
        count = value.number or 0
        if one.name == "rates" and count > MAX_RATES:
            raise BadReply(f"{count} rates, at most {MAX_RATES} exist")
        if one.name == "density" and count not in INTERVALS_S:
            raise BadReply(f"density {count} is none")
        reading.counts[one.name] = count + 1 if one.name == "rates" else count


def end_of_day_at(day_on: str, zone_minutes: int = 480) -> str:
    """The instant of 24:00 of a day: when the freeze tagged with it was taken."""
    end = datetime.fromisoformat(day_on) + timedelta(days=1)
    return format_instant(end - timedelta(minutes=zone_minutes))
