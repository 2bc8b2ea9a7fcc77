"""What is due of an installed meter, told once for each day that it is due by.

    class 2, verified 2018-05-01, cycle 96 months, notice 30 days
    2026-04-01   verification_due         (due by 2026-05-01)
    2026-05-02   verification_overdue
    nothing known to count from           verification_untracked, at the next tick

`due_list.obligations` says what is due; the days come from the register of meters and from our own
judgements, the later one counts. Only an installed meter has duties; every one is told of, or
untracked, so the cycle is covered to 100 % or the log says by which meters it is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from libs.events.errors import BadInput
from services.metrology.device_store import INSTALLED
from services.metrology.draft import Draft, rating_of
from services.metrology.due_list import (
    DUE_SOON,
    METER,
    UNTRACKED,
    Obligation,
    TrackedDevice,
    obligations,
)
from services.metrology.due_list import OVERDUE as OVERDUE_STATUS
from services.metrology.events import (
    MeterNoted,
    VerificationDue,
    VerificationOverdue,
    VerificationUntracked,
)
from services.metrology.installations import register_moves
from services.metrology.judgement import local_day
from services.metrology.metering_category import MeteringPoint, classify
from services.metrology.policy import Policy
from services.metrology.runs import UTC_OFFSET_MIN
from services.metrology.state import DUE, OVERDUE, Entry, Meter
from services.metrology.verification_cycle import parse_day

AT_ONCE = "0001-01-01T00:00:00Z"
LAST_DAY = "9900-01-01"
"""A day after all others, from which every duty shows the day it is due by."""
VOLTAGES = {"lt1kv": 380, "10kv": 10_000, "35kv": 35_000, "110kv": 110_000}
"""Volts of the voltage classes of an agreement; the lower bound where a class is a range."""
TOLD_DUTIES = ("verification", "rotation")
"""Duties that are met by what this service learns of: a judgement, an exchange. Checks on site are
told by nobody yet, so to remind of them would be an alarm that nothing ends."""


def installed_on(meter: Meter) -> str:
    """The day since which a meter hangs where it is, "" when it is nowhere."""
    if meter.device is not None:
        is_there = meter.device.state == INSTALLED
        return local_day(meter.device.since_at, UTC_OFFSET_MIN) if is_there else ""
    moves = register_moves("", meter.notes.values())
    is_there = bool(moves) and moves[-1].action == "install"
    return local_day(moves[-1].at, UTC_OFFSET_MIN) if is_there else ""


def tracked(meter: Meter, key: str, on: str) -> TrackedDevice | None:
    """The meter as the due list takes it; None while it is not installed, or no note says what it
    is. Days after `on` are not believed yet."""
    since_on = installed_on(meter)
    rating = rating_of(meter)
    if not meter.notes or rating is None or not since_on or since_on > on:
        return None
    verified = [noted.verified_on for noted in meter.notes.values()]
    known = [day for day in (*verified, *meter.passed_on) if day and day <= on]
    newest = max(meter.notes.values(), key=lambda noted: (noted.version, noted.account_no))
    return TrackedDevice(
        device_no=key,
        kind=METER,
        accuracy_class=rating.accuracy_class,
        category=category_of(newest),
        voltage_v=VOLTAGES.get(newest.voltage_class, 0),
        installed_on=since_on,
        verified_on=max(known, default=""),
    )


def category_of(noted: MeterNoted) -> str:
    """The metering category, "" where the capacity is not known: a meter of a small customer."""
    if noted.capacity_va <= 0:
        return ""
    return classify(MeteringPoint(phases=3, capacity_va=noted.capacity_va))


def duties(meter: Meter, key: str, on: str, policy: Policy) -> tuple[Obligation, ...]:
    """The duties that are told of, as they stand on a day; a class without a cycle is untracked."""
    device = tracked(meter, key, on)
    if device is None:
        return ()
    try:
        found = obligations(device, on, policy.notice_days, policy.periods)
    except BadInput as wrong:
        return (
            Obligation(
                device_no=key,
                kind=METER,
                duty=TOLD_DUTIES[0],
                last_on=device.verified_on,
                due_on="",
                status=UNTRACKED,
                days_left=None,
                rule=str(wrong),
            ),
        )
    return tuple(duty for duty in found if duty.duty in TOLD_DUTIES)


def deadline(state: Entry, policy: Policy) -> str:
    """The instant from which a tick has something to tell about a meter, "" for none."""
    if not state.meter.notes:
        return ""
    return min(_deadlines(state.meter, policy), default="")


def _deadlines(meter: Meter, policy: Policy) -> Iterator[str]:
    for duty in duties(meter, "", LAST_DAY, policy):
        told = meter.told.get(duty.duty, "")
        if not duty.due_on:
            if told != UNTRACKED:
                yield AT_ONCE
            continue
        if told == f"{OVERDUE} {duty.due_on}":
            continue
        days = 1 if told == f"{DUE} {duty.due_on}" else -policy.notice_days
        yield _midnight(duty.due_on, days)


def _midnight(day: str, days: int) -> str:
    """The first instant of the local day some days later."""
    try:
        on = parse_day(day, "day") + timedelta(days=days - 1)
    except OverflowError:  # before the first day that there is
        return AT_ONCE
    assert UTC_OFFSET_MIN == 8 * 60, "a local day begins at 16:00 UTC of the day before"
    return f"{on.isoformat()}T16:00:00Z"


def remind(draft: Draft, at: str) -> None:
    """Tell what a tick makes due, overdue or known to be untracked; each once."""
    on = local_day(at, UTC_OFFSET_MIN)
    meter = draft.meter
    device = tracked(meter, draft.key, on)
    category = device.category if device else ""
    for duty in duties(meter, draft.key, on, draft.by.policy):
        told = meter.told.get(duty.duty, "")
        facts = {"meter_no": draft.key, "duty": duty.duty, "category": category, "rule": duty.rule}
        days = {"last_on": duty.last_on, "due_on": duty.due_on}
        if duty.status == UNTRACKED and told != UNTRACKED:
            draft.own(VerificationUntracked(**facts))
        elif duty.status == DUE_SOON and told != f"{DUE} {duty.due_on}":
            draft.own(VerificationDue(**facts, **days))
        elif duty.status == OVERDUE_STATUS and told != f"{OVERDUE} {duty.due_on}":
            draft.own(VerificationOverdue(**facts, **days))
