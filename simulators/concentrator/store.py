"""What the concentrator has of its meters: freezes and current registers, as bytes of data units.

Registers are those the meters show (cut down to 10 Wh), taken at 24:00 of a day or month, or now. A
meter with a bad radio has nothing frozen, and one that was silent nothing of that time. What it
lacks is filled with EEH, or left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from services.ingest.protocols.dlt645.values import epoch_s
from services.ingest.protocols.qgdw376.formats import (
    NUMBERS,
    encode_minute,
    encode_number,
    size_of,
)
from services.ingest.protocols.qgdw376.frame import FROZEN
from services.ingest.protocols.qgdw376.layouts import INTERVALS_S, Layout, end_of_day_at
from simulators.meters.meter import Meter

_COMBINED = {129: (5, 6), 130: (7, 8)}
_KINDS = (1, 2, 5, 6, 7, 8, 129, 130)
_SHOWN_WH = 10


def can_give(layout: Layout) -> bool:
    """Whether this simulator has such data: energy registers, frozen, current or as a curve."""
    values = [field for field in layout.fields if field.repeat]
    return bool(values) and all(".8." in field.obis for field in values)


def civil_of(at_s: int, zone_minutes: int) -> datetime:
    """Civil time of an instant."""
    return datetime.fromtimestamp(at_s + zone_minutes * 60, UTC).replace(tzinfo=None)


def taken_s(layout: Layout, tag: str, zone_minutes: int) -> int:
    """When the data with this tag was taken: the end of a day or month, a curve's beginning."""
    if layout.tag_format == "A15":
        return epoch_s(tag)
    if layout.tag_format == "A21":
        first = datetime.fromisoformat(f"{tag}-01")
        tag = ((first + timedelta(days=32)).replace(day=1) - timedelta(days=1)).date().isoformat()
    return epoch_s(end_of_day_at(tag, zone_minutes))


class Store:
    """The data of one concentrator."""

    def __init__(
        self, zone_minutes: int, freezes_kept: int, bad_radio: frozenset[str], now_s: int
    ) -> None:
        self._zone_minutes = zone_minutes
        self._kept_s = (freezes_kept + 1) * 86_400
        self.bad_radio = bad_radio
        self._passed_s = now_s
        self._missed: dict[str, list[tuple[int, int]]] = {}
        self._unfrozen: set[int] = set()

    def pass_time(self, meters: Iterable[Meter], now_s: int, skips: Callable[[], bool]) -> None:
        """Read the meters from the last time up to now: of a silent one nothing is frozen, and of a
        midnight that `skips` says nothing of any."""
        since_s, self._passed_s = self._passed_s, max(now_s, self._passed_s)
        if now_s <= since_s:
            return
        for meter in meters:
            if meter.faults.peek("silent"):
                self._missed.setdefault(meter.config.name, []).append((since_s, now_s))
        zone_s = self._zone_minutes * 60
        first = -(-(since_s + 1 + zone_s) // 86_400) * 86_400 - zone_s
        for midnight_s in range(first, now_s + 1, 86_400):
            if skips():
                self._unfrozen.add(midnight_s)

    def _is_missed(self, meter: Meter, at_s: int) -> bool:
        spans = self._missed.get(meter.config.name, ())
        return any(since < at_s <= until for since, until in spans)

    def unit(
        self, layout: Layout, meter: Meter | None, tag: bytes, tag_text: str, now_s: int
    ) -> bytes | None:
        """The data of one point; None when it has none of it."""
        if meter is None or not can_give(layout):
            return None
        at_s = now_s if layout.afn != FROZEN else taken_s(layout, tag_text, self._zone_minutes)
        has = self._has(layout, meter, at_s, now_s)
        parts = [tag]
        for field in layout.fields:
            if field.name == "read_at":
                read = encode_minute(civil_of(at_s + 1800 if tag else now_s, self._zone_minutes))
                parts.append(read if has else b"\xee" * size_of(field.format))
            elif field.name == "rates":
                parts.append(bytes((meter.config.rates,)))
            elif field.repeat == "rates":
                parts += [
                    self._register(meter, field.obis, field.format, rate, at_s if has else None)
                    for rate in range(meter.config.rates + 1)
                ]
            elif field.repeat == "points":
                step_s = INTERVALS_S.get(tag[5], 900)
                moments = [at_s + number * step_s for number in range(tag[6])]
                parts += [
                    self._register(
                        meter,
                        field.obis,
                        field.format,
                        0,
                        each
                        if has and each <= now_s and not self._is_missed(meter, each)
                        else None,
                    )
                    for each in moments
                ]
        return b"".join(parts)

    def _has(self, layout: Layout, meter: Meter, at_s: int, now_s: int) -> bool:
        if layout.afn != FROZEN:
            return meter.is_installed(now_s)
        if meter.config.address in self.bad_radio or not meter.is_installed(at_s):
            return False
        is_freeze = layout.tag_format != "A15"
        if is_freeze and (at_s in self._unfrozen or self._is_missed(meter, at_s)):
            return False
        return max(meter.base_s, now_s - self._kept_s) <= at_s <= now_s

    def _register(self, meter: Meter, obis: str, kind: str, rate: int, at_s: int | None) -> bytes:
        number = int(obis.split(":")[1].split(".", maxsplit=1)[0])
        if at_s is None or number not in _KINDS:
            return b"\xee" * size_of(kind)
        energy_wh = sum(
            meter.energy_wh(each, rate, at_s) for each in _COMBINED.get(number, (number,))
        )
        shown_wh = energy_wh % meter.capacity_wh // _SHOWN_WH * _SHOWN_WH
        return encode_number(kind, shown_wh * NUMBERS[kind].scale)
