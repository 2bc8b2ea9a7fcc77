"""Whether a meter answers from afar, and up to which day its readings are in, told to control.

    ingest.readings  registers_read  -> contact_changed reachable
                     read_failed     -> contact_changed not reachable, after so many failures

It is told when it changes, when the account or the meter is another one, and again after so many
days of readings (policy contact_again_days), so that control sees how old the readings are. A
reading by hand says up to when readings are in, and nothing of the line.
"""

from __future__ import annotations

from collections.abc import Iterator

from libs.events.core import Emit
from services.ingest.days import add_days, day_of
from services.ingest.events import ContactChanged, RegistersRead
from services.ingest.expected import account_of, latest, meter_at
from services.ingest.policy import ReadingPolicy
from services.ingest.state import Point

SWITCHING = "ingest.switching"


def on_reading(
    point: Point, reading: RegistersRead, now: str, policy: ReadingPolicy
) -> Iterator[Emit]:
    """A reading of a day came."""
    known = point.contact
    if _is_of_before(known, reading):
        return
    is_by_hand = reading.kind == "manual"
    newest_on = max(reading.day_on, known.data_to_on if known is not None else "")
    reachable = known is not None and known.reachable if is_by_hand else True
    told = _told(point, reading.meter_no, newest_on, now, reachable=reachable)
    is_due = known is None or newest_on >= add_days(
        known.data_to_on or "2000-01-01", policy.contact_again_days
    )
    if is_due or _differs(point, told):
        yield from _emit(told)


def _is_of_before(known: ContactChanged | None, reading: RegistersRead) -> bool:
    """Whether a late reading is of a meter that was there before the one that was told of."""
    if known is None or reading.meter_no == known.meter_no:
        return False
    return reading.day_on < known.data_to_on


def on_failure(
    point: Point, meter_no: str, failures: int, now: str, policy: ReadingPolicy
) -> Iterator[Emit]:
    """An attempt failed: so many in a row, and the meter does not answer."""
    known, meter = point.contact, meter_at(point, now)
    if failures < policy.unreachable_after_failures:
        return
    if meter is None or meter.meter_no != meter_no:
        return  # a meter that was there before
    newest_on = known.data_to_on if known is not None else ""
    told = _told(point, meter_no, newest_on, now, reachable=False)
    if known is None or _differs(point, told):
        yield from _emit(told)


def _told(
    point: Point, meter_no: str, data_to_on: str, now: str, *, reachable: bool
) -> ContactChanged:
    return ContactChanged(
        usage_point=latest(point).usage_point,
        account_no=account_of(point, day_of(now)),
        meter_no=meter_no,
        reachable=reachable,
        data_to_on=data_to_on,
        told_at=now,
    )


def _differs(point: Point, told: ContactChanged) -> bool:
    known = point.contact
    assert known is not None, told
    before = (known.account_no, known.meter_no, known.reachable)
    return (told.account_no, told.meter_no, told.reachable) != before


def _emit(told: ContactChanged) -> Iterator[Emit]:
    yield Emit(told)
    yield Emit(told, topic=SWITCHING, key=told.account_no)
