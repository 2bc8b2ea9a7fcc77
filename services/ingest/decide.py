"""What ingest decides: which readings are due, which came, which are missing, whom to send.

customers.supply   -> supply_noted
calendar           -> reading_ordered, reading_missing, field_reading_ordered, relay_found
ingest.readings    -> reading_collected, reading_failed, field_reading_ordered and _closed,
                      contact_changed (own, and by account for control)
ingest.results     -> switching_reported (own, and by account for control)

Which days are expected of which meter says expected.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from libs.events.core import Emit, Item, Tick, View
from services.ingest import contact
from services.ingest.days import add_days, add_minutes, day_end, day_of
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
    SlotTableRead,
    SupplyInstallation,
    SwitchingReported,
)
from services.ingest.expected import (
    MANUAL,
    account_of,
    latest,
    meter_at,
    meter_of_day,
    needs_slot_table,
    next_expected,
    order_at,
    supply_of,
)
from services.ingest.policy import ReadingPolicy
from services.ingest.reactions import SupplyPublished, supply_noted, switching_reported
from services.ingest.state import SLOT_TABLE, OpenDay, Point, find_day, is_news

SWITCHING = "ingest.switching"


def decide(view: View, key: str, item: Item, policy: ReadingPolicy) -> Sequence[Emit]:
    """Dispatch by what came in."""
    point: Point | None = view.get(key)
    match item.body:
        case SupplyPublished():
            return _on_supply(point, item.body)
        case AttemptEnded() | CommandRefused():
            return _on_result(point, item.body, item.at)
    if point is None:
        return []  # ingest asked for nothing here yet: a reading is validation's to hold
    match item.body:
        case Tick():
            return list(_on_tick(point, item.body.at, policy))
        case RegistersRead():
            return list(_on_registers(point, item.body, item.at, policy))
        case ProfileRead():
            return list(_on_other(point, item.body, "profile"))
        case SlotTableRead():
            return list(_on_other(point, item.body, SLOT_TABLE))
        case ReadFailed():
            return list(_on_failure(point, item.body, item.at, policy))
    return []


def _on_supply(point: Point | None, supply: SupplyPublished) -> Sequence[Emit]:
    """Each account's supply by itself: the highest version of every (point, account) stands."""
    for known in point.supplies if point is not None else ():
        if known.account_no == supply.account_no and supply.version <= known.version:
            return []
    return [Emit(supply_noted(supply))]


# -- time passes ----------------------------------------------------------------------------------


def _on_tick(point: Point, now: str, policy: ReadingPolicy) -> Iterator[Emit]:
    """Order new days, order again what nobody answered, judge what is missing."""
    yield from _on_new_days(point, now, policy)
    for day in point.open_days:
        yield from _on_open_day(point, day, now, policy)
    told_at = relay_told_at(point, policy)
    if told_at and told_at <= now:
        yield from _report_relay(point, now)


def _on_new_days(point: Point, now: str, policy: ReadingPolicy) -> Iterator[Emit]:
    """Every expected day that ended long enough ago and was not ordered yet, oldest first."""
    day_on = next_expected(point, point.ordered_to_on)
    if not day_on or order_at(day_on, policy) > now:
        return
    # A point that was not looked at for long is asked only for what its meter still holds.
    forgotten_on = add_days(day_of(now), -policy.give_up_days - 1)
    if day_on <= forgotten_on and not _is_manual(meter_of_day(point, day_on)):
        yield Emit(_missing(point, forgotten_on, 0, "gave_up"))
        day_on = next_expected(point, forgotten_on)
    has_order, asked = bool(point.field_order_id), ""
    while day_on and order_at(day_on, policy) <= now:
        meter = meter_of_day(point, day_on)
        assert meter is not None, "a day is expected of a meter"
        supply = supply_of(point, day_on)
        if not _is_manual(meter):
            yield _order(point, meter, day_on, "daily_freeze", 1, now, policy)
            if supply.intervals and supply.supplied_from_on <= day_on:
                yield _order(point, meter, day_on, "profile", 1, now, policy)
            if asked != meter.meter_no and needs_slot_table(point, meter, day_on, policy):
                asked = meter.meter_no
                yield _order(point, meter, day_on, SLOT_TABLE, 1, now, policy)
        elif not has_order:
            has_order = True
            yield Emit(_field_order(point, meter, day_on, 0))
        day_on = next_expected(point, day_on)


def _on_open_day(point: Point, day: OpenDay, now: str, policy: ReadingPolicy) -> Iterator[Emit]:
    is_due = day.kind == "daily_freeze" and not day.missing
    if is_due and add_minutes(day_end(day.day_on), policy.grace_min) <= now:
        yield Emit(_missing(point, day.day_on, day.attempts, day.cause))
    if day.retry_at > now:
        return
    meter = meter_of_day(point, day.day_on)
    too_old = add_days(day.day_on, policy.give_up_days) < day_of(now)
    if meter is None or too_old or _is_spent(day, policy):
        yield Emit(_failed(point, day, "gave_up", ""))
        return
    yield _order(point, meter, day.day_on, day.kind, day.attempts + 1, now, policy)


def _is_spent(day: OpenDay, policy: ReadingPolicy) -> bool:
    """Whether asking again is of no use."""
    return day.cause == "not_held" or (
        day.kind == "profile" and day.attempts >= policy.profile_attempts
    )


def _is_manual(meter: SupplyInstallation | None) -> bool:
    """Whether only people can read a meter."""
    return meter is not None and meter.protocol == MANUAL


def _missing(point: Point, day_on: str, attempts: int, cause: str) -> ReadingMissing:
    return ReadingMissing(
        usage_point=latest(point).usage_point,
        account_no=account_of(point, day_on),
        day_on=day_on,
        attempts=attempts,
        last_cause=cause,
    )


def _order(
    point: Point,
    meter: SupplyInstallation,
    day_on: str,
    kind: str,
    attempt: int,
    now: str,
    policy: ReadingPolicy,
) -> Emit:
    supply = supply_of(point, day_on)
    return Emit(
        ReadingOrdered(
            order_id=f"{supply.usage_point}/{day_on}/{kind}/{attempt}",
            usage_point=supply.usage_point,
            meter_no=meter.meter_no,
            protocol=meter.protocol,
            line=meter.line,
            address=meter.address,
            kind=kind,
            day_on=day_on,
            attempt=attempt,
            registers=supply.registers,
            retry_at=add_minutes(now, policy.wait_min(attempt)),
        )
    )


def _field_order(
    point: Point, meter: SupplyInstallation, since_on: str, failures: int, asked_on: str = ""
) -> FieldReadingOrdered:
    usage_point = latest(point).usage_point
    return FieldReadingOrdered(
        field_order_id=f"{usage_point}/field/{asked_on or since_on}",
        usage_point=usage_point,
        account_no=account_of(point, since_on),
        meter_no=meter.meter_no,
        since_on=since_on,
        failures=failures,
    )


# -- the relay ------------------------------------------------------------------------------------


def relay_told_at(point: Point, policy: ReadingPolicy) -> str:
    """When a relay that stands otherwise than we left it is told, "" when it does not."""
    if not point.relay_expected or point.relay_seen in ("", point.relay_expected):
        return ""
    return add_minutes(point.relay_seen_at, policy.relay_settle_min)


def _report_relay(point: Point, now: str) -> Iterator[Emit]:
    """Nobody's command explains the relay."""
    meter = meter_at(point, now)
    meter_no = meter.meter_no if meter is not None else ""
    supply = latest(point)
    found = RelayFound(
        usage_point=supply.usage_point,
        account_no=supply.account_no,
        meter_no=meter_no,
        expected=point.relay_expected,
        found=point.relay_seen,
        reading_id=point.relay_reading_id,
    )
    report = SwitchingReported(
        command_id="",
        seq=0,
        account_no=supply.account_no,
        usage_point=supply.usage_point,
        meter_no=meter_no,
        action="",
        outcome="found",
        state=point.relay_seen,
        reason=f"found {point.relay_seen}, left {point.relay_expected}",
        reported_at=now,
    )
    yield Emit(found)
    yield Emit(report, topic=SWITCHING, key=supply.account_no)


# -- the edge reports -----------------------------------------------------------------------------


def _on_registers(
    point: Point, reading: RegistersRead, now: str, policy: ReadingPolicy
) -> Iterator[Emit]:
    """A reading came: the day is collected, and nobody need go there any more."""
    if reading.kind == "current" or reading.reading_id == point.last_reading_id:
        return
    day = find_day(point, reading.day_on, "daily_freeze")
    if not reading.registers:
        if day is not None:
            yield from _note_failure(point, day, day.attempts, "no_value", now, policy)
        return
    says_relay = reading.relay != "" and is_news(point, reading.read_at)
    if day is None and reading.kind != "manual" and not says_relay:
        return
    yield Emit(
        ReadingCollected(
            usage_point=reading.usage_point,
            day_on=reading.day_on,
            kind="daily_freeze",
            reading_id=reading.reading_id,
            attempts=day.attempts if day is not None else 0,
            relay=reading.relay,
            read_at=reading.read_at,
            source=reading.source,
        )
    )
    yield from contact.on_reading(point, reading, now, policy)
    if point.field_order_id:
        yield Emit(_field_closed(point, reading, now, policy))


def _field_closed(
    point: Point, reading: RegistersRead, now: str, policy: ReadingPolicy
) -> FieldReadingClosed:
    is_person = reading.kind == "manual"
    again_min = policy.field_again_days * 24 * 60
    return FieldReadingClosed(
        field_order_id=point.field_order_id,
        usage_point=reading.usage_point,
        reading_id=reading.reading_id,
        closed_by=reading.entered_by or "remote reading",
        next_at=add_minutes(now, again_min) if is_person else "",
        day_on=reading.day_on if is_person and _is_manual(meter_at(point, now)) else "",
    )


def _on_other(point: Point, read: ProfileRead | SlotTableRead, kind: str) -> Iterator[Emit]:
    """A profile or a slot table came."""
    day = find_day(point, read.day_on, kind)
    if day is not None:
        yield Emit(
            ReadingCollected(
                usage_point=read.usage_point,
                day_on=read.day_on,
                kind=kind,
                reading_id=read.reading_id,
                attempts=day.attempts,
                source=read.source,
            )
        )


def _on_failure(
    point: Point, failure: ReadFailed, now: str, policy: ReadingPolicy
) -> Iterator[Emit]:
    kind = "".join(failure.order_id.split("/")[-2:-1])
    kind = kind if kind in ("profile", SLOT_TABLE) else "daily_freeze"
    day = find_day(point, failure.day_on, kind)
    if day is not None:
        yield from _note_failure(point, day, failure.attempt, failure.cause, now, policy)


def _note_failure(
    point: Point, day: OpenDay, attempt: int, cause: str, now: str, policy: ReadingPolicy
) -> Iterator[Emit]:
    """An attempt failed: once noted, and of no meaning when a later one is under way."""
    if attempt != day.attempts or attempt == day.failed:
        return
    if day.kind != "daily_freeze":
        is_over = cause == "not_held" or _is_spent(day, policy)
        retry_at = "" if is_over else add_minutes(now, policy.wait_min(attempt))
    elif cause == "not_held":
        retry_at = max(now, add_minutes(day_end(day.day_on), policy.grace_min))
    else:
        retry_at = add_minutes(now, policy.wait_min(attempt))
    yield Emit(_failed(point, day, cause, retry_at))
    if day.kind == "daily_freeze" and cause != "not_held":
        meter = meter_of_day(point, day.day_on)
        meter_no = meter.meter_no if meter is not None else ""
        yield from contact.on_failure(point, meter_no, point.failures + 1, now, policy)
        yield from _send_somebody(point, now, policy)


def _send_somebody(point: Point, now: str, policy: ReadingPolicy) -> Iterator[Emit]:
    """One failure more: so many in a row, and a person goes there."""
    failures = point.failures + 1
    meter = meter_at(point, now)
    if failures < policy.field_after_failures or point.field_order_id:
        return
    if meter is None or now < point.field_next_at:
        return
    since_on = min(day.day_on for day in point.open_days if day.kind == "daily_freeze")
    yield Emit(_field_order(point, meter, since_on, failures, day_of(now)))


def _failed(point: Point, day: OpenDay, cause: str, retry_at: str) -> ReadingFailed:
    return ReadingFailed(
        usage_point=latest(point).usage_point,
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


# -- deadlines ------------------------------------------------------------------------------------


def due(state: Point, policy: ReadingPolicy) -> str:
    """The next instant at which a tick must look at the point, "" for none."""
    moments = [relay_told_at(state, policy)]
    following = next_expected(state, state.ordered_to_on)
    if following:
        is_asked = state.field_order_id and _is_manual(meter_of_day(state, following))
        moments.append("" if is_asked else order_at(following, policy))
    for day in state.open_days:
        moments.append(day.retry_at)
        if day.kind == "daily_freeze" and not day.missing:
            moments.append(add_minutes(day_end(day.day_on), policy.grace_min))
    return min((at for at in moments if at), default="")
