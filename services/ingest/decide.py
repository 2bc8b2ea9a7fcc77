"""What ingest decides: which readings are due, which came, which are missing, whom to send.

customers.supply   -> supply_noted
calendar           -> reading_ordered, reading_missing, field_reading_ordered, relay_found
ingest.readings    -> reading_collected, reading_failed, field_reading_closed
ingest.results     -> switching_reported (own, and by account for control)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from libs.events.core import Emit, Item, Tick, View
from services.ingest.days import add_days, add_minutes, day_end, day_of, next_day
from services.ingest.events import (
    AttemptEnded,
    CommandRefused,
    FieldReadingClosed,
    FieldReadingOrdered,
    ProfileRead,
    ReadFailed,
    ReadingCollected,
    ReadingFailed,
    ReadingMissing,
    ReadingOrdered,
    RegistersRead,
    RelayFound,
    SupplyInstallation,
    SwitchingReported,
)
from services.ingest.policy import DEFAULT, ReadingPolicy
from services.ingest.reactions import SupplyPublished, supply_noted, switching_reported
from services.ingest.state import OpenDay, Point, find_day

SWITCHING = "ingest.switching"
POLICY: ReadingPolicy = DEFAULT


def decide(view: View, key: str, item: Item) -> Sequence[Emit]:
    """Dispatch by what came in."""
    point: Point | None = view.get(key)
    match item.body:
        case SupplyPublished():
            return _on_supply(point, item.body)
        case Tick():
            return list(_on_tick(point, item.body.at)) if point is not None else []
        case RegistersRead():
            return list(_on_registers(point, item.body))
        case ProfileRead():
            return list(_on_profile(point, item.body))
        case ReadFailed():
            return list(_on_failure(point, item.body, item.at))
        case AttemptEnded() | CommandRefused():
            return _on_result(point, item.body, item.at)
    return []


def _on_supply(point: Point | None, supply: SupplyPublished) -> Sequence[Emit]:
    if point is not None and supply.version <= point.supply.version:
        return []
    return [Emit(supply_noted(supply))]


# -- time passes ----------------------------------------------------------------------------------


def _on_tick(point: Point, now: str) -> Iterator[Emit]:
    """Order new days, order again what nobody answered, judge what is missing."""
    for day_on in days_to_order(point, now):
        meter = meter_at(point, day_end(day_on))
        if meter is None:
            continue
        yield _order(point, meter, day_on, "daily_freeze", 1, now)
        if point.supply.intervals:
            yield _order(point, meter, day_on, "profile", 1, now)
    for day in point.open_days:
        yield from _on_open_day(point, day, now)
    if point.failures >= POLICY.field_after_failures and not point.field_order_id:
        yield from _send_somebody(point, now)
    if point.relay_expected and point.relay_seen not in ("", point.relay_expected):
        yield from _report_relay(point, now)


def _on_open_day(point: Point, day: OpenDay, now: str) -> Iterator[Emit]:
    end = day_end(day.day_on)
    if day.kind == "daily_freeze" and not day.missing and add_minutes(end, POLICY.grace_min) <= now:
        yield Emit(
            ReadingMissing(
                usage_point=point.supply.usage_point,
                account_no=point.supply.account_no,
                day_on=day.day_on,
                attempts=day.attempts,
                last_cause=day.cause,
            )
        )
    if not day.retry_at or day.retry_at > now:
        return
    meter = meter_at(point, end)
    too_old = add_days(day.day_on, POLICY.give_up_days) < day_of(now)
    if meter is None or too_old or _is_spent(day):
        yield Emit(_failed(point, day, "gave_up", ""))
        return
    yield _order(point, meter, day.day_on, day.kind, day.attempts + 1, now)


def _is_spent(day: OpenDay) -> bool:
    return day.kind == "profile" and day.attempts >= POLICY.profile_attempts


def _order(
    point: Point, meter: SupplyInstallation, day_on: str, kind: str, attempt: int, now: str
) -> Emit:
    return Emit(
        ReadingOrdered(
            order_id=f"{point.supply.usage_point}/{day_on}/{kind}/{attempt}",
            usage_point=point.supply.usage_point,
            meter_no=meter.meter_no,
            protocol=meter.protocol,
            line=meter.line,
            address=meter.address,
            kind=kind,
            day_on=day_on,
            attempt=attempt,
            registers=point.supply.registers,
            retry_at=add_minutes(now, POLICY.wait_min(attempt)),
        )
    )


def _send_somebody(point: Point, now: str) -> Iterator[Emit]:
    freezes = [day for day in point.open_days if day.kind == "daily_freeze"]
    meter = meter_at(point, now)
    if not freezes or meter is None:
        return
    since_on = freezes[0].day_on
    yield Emit(
        FieldReadingOrdered(
            field_order_id=f"{point.supply.usage_point}/field/{since_on}",
            usage_point=point.supply.usage_point,
            account_no=point.supply.account_no,
            meter_no=meter.meter_no,
            since_on=since_on,
            failures=point.failures,
        )
    )


def _report_relay(point: Point, now: str) -> Iterator[Emit]:
    """Nobody's command explains the relay: told a tick later, when outcomes have arrived."""
    meter = meter_at(point, now)
    meter_no = meter.meter_no if meter is not None else ""
    found = RelayFound(
        usage_point=point.supply.usage_point,
        account_no=point.supply.account_no,
        meter_no=meter_no,
        expected=point.relay_expected,
        found=point.relay_seen,
        reading_id="",
    )
    report = SwitchingReported(
        command_id="",
        seq=0,
        account_no=point.supply.account_no,
        usage_point=point.supply.usage_point,
        meter_no=meter_no,
        action="",
        outcome="found",
        state=point.relay_seen,
        reason=f"found {point.relay_seen}, left {point.relay_expected}",
        reported_at=now,
    )
    yield Emit(found)
    yield Emit(report, topic=SWITCHING, key=point.supply.account_no)


# -- the edge reports ------------------------------------------------------------------------------


def _on_registers(point: Point | None, reading: RegistersRead) -> Iterator[Emit]:
    if point is None or not reading.registers or reading.kind == "current":
        return
    day = find_day(point, reading.day_on, "daily_freeze")
    if day is not None or reading.kind == "manual" or reading.relay:
        yield Emit(_collected(point, reading.day_on, "daily_freeze", reading.reading_id, reading))
    if point.field_order_id:
        yield Emit(
            FieldReadingClosed(
                field_order_id=point.field_order_id,
                usage_point=reading.usage_point,
                reading_id=reading.reading_id,
                closed_by=reading.entered_by or "remote reading",
            )
        )


def _collected(
    point: Point, day_on: str, kind: str, reading_id: str, reading: RegistersRead | None
) -> ReadingCollected:
    day = find_day(point, day_on, kind)
    return ReadingCollected(
        usage_point=point.supply.usage_point,
        day_on=day_on,
        kind=kind,
        reading_id=reading_id,
        attempts=day.attempts if day is not None else 0,
        relay=reading.relay if reading is not None else "",
    )


def _on_profile(point: Point | None, profile: ProfileRead) -> Iterator[Emit]:
    if point is not None and find_day(point, profile.day_on, "profile") is not None:
        yield Emit(_collected(point, profile.day_on, "profile", profile.reading_id, None))


def _on_failure(point: Point | None, failure: ReadFailed, now: str) -> Iterator[Emit]:
    if point is None:
        return
    kind = failure.order_id.split("/")[-2] if failure.order_id.count("/") >= 3 else "daily_freeze"
    day = find_day(point, failure.day_on, kind)
    if day is None or failure.attempt != day.attempts:
        return
    retry_at = "" if _is_spent(day) else add_minutes(now, POLICY.wait_min(day.attempts))
    yield Emit(_failed(point, day, failure.cause, retry_at))


def _failed(point: Point, day: OpenDay, cause: str, retry_at: str) -> ReadingFailed:
    return ReadingFailed(
        usage_point=point.supply.usage_point,
        day_on=day.day_on,
        kind=day.kind,
        attempt=day.attempts,
        cause=cause,
        retry_at=retry_at,
    )


def _on_result(
    point: Point | None, result: AttemptEnded | CommandRefused, now: str
) -> Sequence[Emit]:
    report = switching_reported(result, now)
    outgoing = Emit(report, topic=SWITCHING, key=report.account_no)
    return [outgoing] if point is None else [Emit(report), outgoing]


# -- days ------------------------------------------------------------------------------------------


def days_to_order(point: Point, now: str) -> Iterator[str]:
    """The days that ended long enough ago and were not ordered yet, oldest first."""
    first = point.supply.supplied_from_on
    day_on = max(first, next_day(point.ordered_to_on)) if point.ordered_to_on else first
    if not day_on:
        return
    # A point that was not looked at for long is asked only for what its meter still holds.
    day_on = max(day_on, add_days(day_of(now), -POLICY.give_up_days))
    last = point.supply.supplied_to_on
    while order_at(day_on) <= now and (not last or day_on <= last):
        yield day_on
        day_on = next_day(day_on)


def order_at(day_on: str) -> str:
    """When the freeze of a day is asked for."""
    return add_minutes(day_end(day_on), POLICY.order_after_min)


def meter_at(point: Point, at: str) -> SupplyInstallation | None:
    """The meter installed at an instant (24:00 belongs to the meter that stands then)."""
    for meter in point.supply.installations:
        if meter.from_at <= at and (not meter.to_at or at < meter.to_at):
            return meter
    return None


def due(state: Point) -> str:
    """The next instant at which a tick must look at the point."""
    moments = []
    following = (
        next_day(state.ordered_to_on) if state.ordered_to_on else state.supply.supplied_from_on
    )
    last = state.supply.supplied_to_on
    if following and (not last or following <= last):
        moments.append(order_at(following))
    for day in state.open_days:
        if day.retry_at:
            moments.append(day.retry_at)
        if day.kind == "daily_freeze" and not day.missing:
            moments.append(add_minutes(day_end(day.day_on), POLICY.grace_min))
    if state.failures >= POLICY.field_after_failures and not state.field_order_id:
        moments += [day.retry_at for day in state.open_days[:1]]
    if state.relay_expected and state.relay_seen not in ("", state.relay_expected):
        moments.append("0001-01-01T00:00:00Z")
    return min(moments, default="")
