"""What was planted at meters, on lines and in areas, and what the topics say happened."""

from __future__ import annotations

from collections import Counter

from simulators.city import edits
from simulators.city.behind import SILENT_ON
from simulators.city.facts import Expectation, Facts, expect
from simulators.city.population import GATED_AREA
from simulators.city.report_basis import (
    ROUNDING_WH,
    billed_wh,
    days_of,
    holder,
    profile_wh,
    sound_points,
    used_by,
)


def silent_meter(facts: Facts) -> Expectation:
    """Missing days, a field order, a manual reading that closes it, and the estimates redone."""
    missing = facts.of("ingest.reading_missing", "silent")
    ordered = facts.of("ingest.field_reading_ordered", "silent")
    closed = facts.of("ingest.field_reading_closed", "silent")
    superseded = facts.of("validation.estimate_superseded", "silent")
    by = closed[0]["closed_by"] if closed else "nobody"
    found = (
        f"{len(missing)} missing, {len(ordered)} ordered, closed by {by}, "
        f"{len(superseded)} superseded"
    )
    holds = len(missing) >= 5 and len(ordered) >= 1 and by == "zhou" and bool(superseded)
    return expect("silent meter", "missing, field order, read by hand, re-estimated", found, holds)


def bad_frames(facts: Facts) -> Expectation:
    """Damaged frames are a failed attempt, never a value; the day is read later."""
    failed = facts.of("ingest.reading_failed", "bad_frames", cause="bad_reply")
    day = failed[0]["day_on"] if failed else ""
    later = facts.of("ingest.reading_collected", "bad_frames", day_on=day)
    found = f"{len(failed)} failed, day {day or '-'} collected {len(later)} x"
    return expect("wrong checksums", "failed, then collected once", found, len(later) == 1)


def spike(facts: Facts) -> Expectation:
    """A register that jumps and comes back is rejected, its day estimated to the register."""
    rejected = facts.of("validation.reading_rejected", "spike")
    rules = {found["rule"] for body in rejected for found in body["findings"]}
    found = f"{len(rejected)} rejected by {', '.join(sorted(rules)) or '-'}"
    return expect("spike", "rejected by a rule", found, bool(rules & {"spike", "negative"}))


def rollover(facts: Facts) -> Expectation:
    """A register that rolls over counts on."""
    hits = [
        body
        for body in facts.of("validation.reading_accepted", "rollover")
        if any(found["rule"] == "rollover" for found in body["findings"])
    ]
    found = f"{len(hits)} readings with a rollover, accepted"
    return expect("register rollover", "accepted once", found, len(hits) == 1)


def exchange(facts: Facts) -> Expectation:
    """A meter exchange within a day: final minus previous plus current minus initial; and the new
    meter's readings count from then on."""
    point = facts.city.point_of("exchange")
    usage = [
        body
        for body in facts.of("validation.usage_established", "exchange")
        if body["after_exchange"]
    ]
    energy = [body["energy"]["1-0:1.8.0"] for body in usage]
    whole = _sum_matches(facts, point.usage_point)
    refused = facts.of("validation.reading_rejected", "exchange")
    found = f"{len(usage)} day with exchange, {energy} Wh, registers add up: {whole}; "
    found += f"{len(refused)} readings refused"
    holds = len(usage) >= 1 and whole and min(energy, default=-1) >= 0 and not refused
    return expect("meter exchange", "one day over both meters", found, holds)


def _sum_matches(facts: Facts, usage_point: str) -> bool:
    """Whether the days' latest revisions add up to what the registers moved."""
    latest: dict[str, int] = {}
    changes = 0
    for body in facts.memory.of("validation.usage_established"):
        if body["usage_point"] == usage_point:
            latest[body["day_on"]] = body["energy"].get("1-0:1.8.0", 0)
            changes += body["change"].get("1-0:1.8.0", 0)
    return changes == sum(latest.values())


def registers_add_up(facts: Facts) -> Expectation:
    """Over all points: the sum of changes is the sum of the latest revisions."""
    points = {body["usage_point"] for body in facts.memory.of("validation.usage_established")}
    wrong = sorted(point for point in points if not _sum_matches(facts, point))
    found = f"{len(points)} points, wrong: {', '.join(wrong) or 'none'}"
    return expect("registers", "days add up to the registers", found, bool(points) and not wrong)


def edited_day(facts: Facts) -> Expectation:
    """An estimated day edited by a person: an audit entry, and a revision that names the edit; the
    registers that came later leave it or overrule it, and their sums stay whole."""
    taken = facts.of("validation.edit_taken", edits.ROLE)
    named = [
        body
        for body in facts.of("validation.usage_established", edits.ROLE, quality="edited")
        if taken and body["method"] == f"edit {taken[0]['edit_id']}"
    ]
    overruled = facts.of("validation.edit_overruled", edits.ROLE)
    whole = _sum_matches(facts, facts.city.point_of(edits.ROLE).usage_point)
    by = f"{taken[0]['edited_by']}: {taken[0]['reason']}" if taken else "nobody"
    found = f"by {by}; {len(named)} revisions, overruled {len(overruled)} x, adds up: {whole}"
    holds = len(taken) == 1 and taken[0]["reason"] == edits.REASON and bool(named) and whole
    return expect("edited day", "edited with a reason, registers whole", found, holds)


def slot_table(facts: Facts) -> Expectation:
    """A meter that counts by another table: held, released, billed by its load profile."""
    days = days_of(facts, "slot_table")
    billed, counted = billed_wh(facts, "slot_table"), profile_wh(facts, "slot_table", days)
    off = [abs(billed.get(name, 0) - counted.get(name, 0)) for name in {**billed, **counted}]
    by, used = holder(facts, "slot_table"), used_by(days)
    is_moved = any(body["basis"]["measured"] for body in days.values() if body["basis"])
    found = f"{used['load_profile']} days by the profile, released by {by or 'nobody'}"
    holds = used == {"load_profile": 28} and by == "clerk" and is_moved
    holds = holds and max(off, default=ROUNDING_WH * 28) < ROUNDING_WH * 28
    return expect("slot table", "held; a person; by the profile", found, holds)


def slot_table_blind(facts: Facts) -> Expectation:
    """The same without a profile: held until a person releases what the registers say."""
    by, used = holder(facts, "slot_table_blind"), used_by(days_of(facts, "slot_table_blind"))
    points, blocked = sound_points(facts)
    found = f"{used['']} days held, released by {by or 'nobody'}; others blocked: {len(blocked)}"
    holds = used == {"": 28} and by == "clerk" and points >= 8 and not blocked
    return expect("slot table, no profile", "held; a person; no other point", found, holds)


def line_loss(facts: Facts) -> Expectation:
    """The area with a gate meter loses what it should, but for the days on which a member bypasses
    its meter: then an alarm names the member."""
    latest = {body["day_on"]: body for body in facts.memory.of("validation.loss_calculated")
              if body["area"] == GATED_AREA}  # fmt: skip
    alarms = {day: body for day, body in latest.items() if body["status"] != "ok"}
    point = facts.city.point_of("bypass").usage_point
    named = [
        day
        for day, body in sorted(alarms.items())
        if body["status"] == "high"
        and (body["causes"][0]["name"], body["causes"][0]["usage_point"]) == ("zero_usage", point)
    ]
    found = f"{len(latest) - len(alarms)} days ok, {len(alarms)} alarms, {len(named)} name {point}"
    expected = {BYPASS_BEGAN, *BYPASSED, BYPASS_ENDED}
    holds = named == list(BYPASSED) and alarms.keys() <= expected
    return expect("line loss", "alarms name who used nothing", found, holds and len(latest) > 20)


BYPASS_BEGAN, BYPASSED = "2026-02-23", ("2026-02-24", "2026-02-25")
BYPASS_ENDED = "2026-02-26"
"""The day in which the bypass begins, and those on which the meter stood still all day."""


def concentrator(facts: Facts) -> Expectation:
    """Twenty homes behind a concentrator: days by its freeze, gaps by forwarding."""
    points = {point.usage_point for point in facts.city.points if point.pn}
    collected = [
        body
        for body in facts.memory.of("ingest.reading_collected", kind="daily_freeze")
        if body["usage_point"] in points
    ]
    days = Counter((body["usage_point"], body["day_on"]) for body in collected)
    sources = Counter(body["source"] for body in collected)
    wanted = len(points) * len({day_on for _, day_on in days})
    found = (
        f"{len(points)} points, {len(days)} of {wanted} days: {sources['qgdw376_freeze']} frozen, "
        f"{sources['qgdw376_forwarded']} forwarded"
    )
    gaps = {body["usage_point"] for body in collected if body["source"] == "qgdw376_forwarded"}
    holds = len(points) == 20 and len(days) == wanted and gaps == points
    holds = holds and sources["qgdw376_freeze"] > 9 * sources["qgdw376_forwarded"]
    return expect("concentrator", "every day; frozen first, gaps forwarded", found, holds)


def recovered_profile(facts: Facts) -> Expectation:
    """The load profile of a day whose meter has fallen silent comes from its concentrator."""
    day_on = SILENT_ON.isoformat()
    profile = facts.of("ingest.reading_collected", "behind", kind="profile", day_on=day_on)
    failed = facts.of("ingest.reading_failed", "behind", cause="no_reply")
    sources = [body["source"] for body in profile]
    days = facts.of("validation.intervals_established", "behind", day_on=day_on)
    whole = [None not in body["energies"] for body in days]
    found = f"{day_on} from {', '.join(sources) or '-'}, whole: {all(whole) and bool(whole)}; "
    found += f"{len(failed)} attempts at the meter failed"
    holds = sources == ["qgdw376_freeze"] and whole == [True] and bool(failed)
    return expect("recovered profile", "the concentrator's curve", found, holds)
