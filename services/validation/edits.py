"""What follows from a person's edit of a day: held for a second person, taken or rejected.

    validation.requests  edit_requested -> edit_held | edit_taken, usage_established | edit_rejected
                         edit_decided   -> edit_taken, ... | edit_refused | edit_decision_rejected

The judgement is that of `gridledger vee edit` (interval_editing.py): a day is an interval that ends
at 24:00, its version the revision. An edit of a revision that stands no more is rejected, so that
nobody changes what they have not seen; therefore no order of edits and readings makes an edit count
that was meant for something else. Final are, and need a second person: settled days (up to the
anchor: all is measured and nothing can come any more) and days that two people have edited before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from libs.events.core import Emit
from libs.events.errors import BadInput
from libs.events.quantities import floor_div
from services.validation.edit_events import (
    EditDecided,
    EditDecisionRejected,
    EditEntry,
    EditHeld,
    EditRefused,
    EditRejected,
    EditRequested,
    EditTaken,
)
from services.validation.edit_rules import ALWAYS, EditRules
from services.validation.edit_state import WAITING_MOST, DayEdit
from services.validation.edited_days import method_of, standing
from services.validation.estimation import ACTUAL, DayUsage
from services.validation.instant import day_end_at, day_start, days_after, format_instant, parse_day
from services.validation.interval_editing import (
    EDIT,
    AuditEntry,
    Edit,
    SlotVersion,
    edit_slot,
    is_same_person,
)
from services.validation.interval_series import EDITED
from services.validation.policy import Policy
from services.validation.register_usage import PERMILLE, parse_register, plausible_usage
from services.validation.revision import margin_of, revise, runs_of, usages_between, work_out
from services.validation.rules_in_force import point_rules
from services.validation.state import Established, Point, evolve
from services.validation.timeline import meters_of, spans

APPROVED, REFUSED = "approved", "refused"
REASON_LENGTH_MOST = 500
LOOK = "look at it again, then edit"


@dataclass(frozen=True, slots=True)
class Base:
    """What an edit is of: a day's usage as a person sees it, with the rates that its load profile
    gave (known.given) where it did; and why it is final ("": it is not)."""

    known: Established
    edit_id: str
    final: str


@dataclass(frozen=True, slots=True)
class Between:
    """The days between two readings and what the registers moved by over them."""

    days_on: tuple[str, ...]
    energy: dict[str, int]


def on_edit_requested(
    point: Point, key: str, edit: EditRequested, now: str, policy: Policy
) -> Iterator[Emit]:
    """Take an edit, hold it for a second person, or say what is wrong with it."""
    if any(held.edit.edit_id == edit.edit_id for held in point.edits.waiting):
        return
    try:
        base = _base(point, edit)
        if base.edit_id == edit.edit_id:
            return  # the same edit again, and it stands
        _check_request(point, edit, base, policy)
        entries = _entries(key, edit, base, now)
        _check_registers(point, edit, base, policy)
        because = base.final or (ALWAYS if policy.edits.second_person == ALWAYS else "")
        _check_waiting(point, edit)
    except BadInput as wrong:
        yield _rejected(key, edit, wrong)
        return
    if because:
        yield Emit(EditHeld(usage_point=key, edit=edit, held_at=now, because=because))
    else:
        yield from _take(point, key, edit, base, entries, policy)


def on_edit_decided(
    point: Point, key: str, decision: EditDecided, now: str, policy: Policy
) -> Iterator[Emit]:
    """Take an edit that waited, or put it away; the decision of a wrong person is none."""
    try:
        held = _waiting(point, decision, policy.edits)
    except BadInput as wrong:
        yield Emit(
            EditDecisionRejected(
                edit_id=decision.edit_id,
                usage_point=key,
                person=decision.person,
                field=wrong.field,
                problem=wrong.problem,
                fix=wrong.fix,
            )
        )
        return
    edit = held.edit
    if decision.decision == REFUSED:
        yield Emit(
            EditRefused(
                edit_id=edit.edit_id,
                usage_point=key,
                day_on=edit.day_on,
                refused_by=decision.person,
                reason=decision.reason[:REASON_LENGTH_MOST],
            )
        )
        return
    try:
        base = _base(point, edit)
        _check_request(point, edit, base, policy)
        entries = _entries(key, edit, base, held.held_at, decision.person, now)
        _check_registers(point, edit, base, policy)
    except BadInput as wrong:
        yield _rejected(key, edit, wrong)
        return
    yield from _take(point, key, edit, base, entries, policy)


def _rejected(key: str, edit: EditRequested, wrong: BadInput) -> Emit:
    return Emit(
        EditRejected(
            edit_id=edit.edit_id,
            usage_point=key,
            day_on=edit.day_on,
            person=edit.person,
            field=wrong.field,
            problem=wrong.problem,
            fix=wrong.fix,
        )
    )


def _waiting(point: Point, decision: EditDecided, rules: EditRules) -> EditHeld:
    """The edit that is decided about; BadInput when this decision of this person does not count."""
    found = [held for held in point.edits.waiting if held.edit.edit_id == decision.edit_id]
    if not found:
        fix = "see `gridledger vee history`"
        raise BadInput("edit_id", f"no edit {decision.edit_id!r} waits", fix)
    if decision.decision not in (APPROVED, REFUSED):
        problem = f"{decision.decision!r} is not known"
        raise BadInput("decision", problem, f"give {APPROVED} or {REFUSED}")
    if not decision.person.strip():
        raise BadInput("person", "is empty", "say who decides")
    is_own = is_same_person(found[0].edit.person, decision.person)
    if is_own and decision.decision == APPROVED:
        problem = f"is {decision.person}, who edits"
        raise BadInput("person", problem, "have another person approve")
    if not is_own:
        _check_role(decision.role, rules.approver_roles)
    return found[0]


def _check_role(role: str, roles: Iterable[str]) -> None:
    if role not in roles:
        raise BadInput("role", f"{role!r} may not do this", f"be one of {', '.join(roles)}")


# -- what an edit is of ---------------------------------------------------------------------------


def _base(point: Point, edit: EditRequested) -> Base:
    """The day's usage as it stands; BadInput when nothing is known of it, or it is another one."""
    parse_day(edit.day_on, "day_on")
    known = point.usage.get(edit.day_on)
    if known is not None:
        known = _as_seen(known)
        done = point.edits.days[edit.day_on] if known.quality == EDITED else None
        if done is None:
            return Base(known, "", "")
        return Base(known, done.edit_id, "approved" if done.is_approved else "")
    settled = _settled_base(point, edit.day_on)
    if settled is None:
        is_old = edit.day_on <= point.anchor_on
        fix = "have billing correct it" if is_old else "edit a day after it is estimated or read"
        raise BadInput("day_on", f"no usage of {edit.day_on} can be edited", fix)
    return settled


def _as_seen(known: Established) -> Established:
    return replace(known, energy=known.given) if known.given else known


def _settled_base(point: Point, day_on: str) -> Base | None:
    settled = point.edits.settled.get(day_on)
    measured = next((day.energy for day in point.history if day.day_on == day_on), {})
    energy = settled.energy or measured if settled is not None else {}
    if settled is None or not energy:
        return None
    known = Established(
        account_no=settled.account_no,
        revision=settled.revision,
        quality=EDITED if settled.energy else ACTUAL,
        energy=energy,
        demands=settled.demands,
        given=settled.given,
    )
    return Base(_as_seen(known), settled.edit_id, "settled")


# -- what may be wrong ----------------------------------------------------------------------------


def _check_request(point: Point, edit: EditRequested, base: Base, policy: Policy) -> None:
    """Who, why, what, and whether it is of the revision that stands."""
    rules = policy.edits
    _check_role(edit.role, rules.editor_roles)
    if edit.based_on != base.known.revision:
        problem = f"is {edit.based_on}, the day has revision {base.known.revision}"
        raise BadInput("based_on", problem, LOOK)
    if edit.reason_code not in rules.reasons:
        problem = f"{edit.reason_code!r} is not known"
        raise BadInput("reason_code", problem, f"give one of {', '.join(rules.reasons)}")
    if len(edit.reason) > REASON_LENGTH_MOST:
        raise BadInput("reason", "is too long", f"give at most {REASON_LENGTH_MOST} characters")
    if not edit.after:
        raise BadInput("after", "is empty", "say what is to stand, by register")
    most_wh = _most_wh(point, edit.day_on, policy)
    for register, energy in edit.after.items():
        if register not in base.known.energy:
            fix = f"give one of {', '.join(sorted(base.known.energy))}"
            raise BadInput("after", f"the day has no register {register}", fix)
        if most_wh and energy > most_wh:
            problem = f"{register}: {energy} is more than the connection can carry"
            raise BadInput("after", problem, f"give at most {most_wh}")


def _most_wh(point: Point, day_on: str, policy: Policy) -> int:
    """What the point's connection can carry in a day, 0 when that is not known."""
    begin, end = format_instant(day_start(day_on)), day_end_at(day_on)
    margin = margin_of(point, policy)
    chain = meters_of(point.supplies)
    here = [meter for meter in chain if meter.from_at < end and (meter.to_at or end) > begin]
    capacity_w = max((meter.capacity_w for meter in here), default=0)
    return plausible_usage(floor_div(capacity_w * margin, PERMILLE), begin, end)


def _check_waiting(point: Point, edit: EditRequested) -> None:
    """One edit of a day waits at a time, and not too many at a point."""
    waiting = point.edits.waiting
    same = [held.edit.edit_id for held in waiting if held.edit.day_on == edit.day_on]
    if same or len(waiting) >= WAITING_MOST:
        problem = f"{same[0]} waits" if same else f"{WAITING_MOST} edits wait at this point"
        raise BadInput("edit_id", problem, "have it approved or refused first")


def _entries(
    key: str,
    edit: EditRequested,
    base: Base,
    edited_at: str,
    approved_by: str = "",
    approved_at: str = "",
) -> list[AuditEntry]:
    """The judgement of every register that changes, by the rules of interval editing."""
    known = base.known
    changed = {
        name: energy
        for name, energy in edit.after.items()
        if (energy, EDITED) != (known.energy[name], known.quality)
    }
    entries = []
    for register, energy in sorted((changed or edit.after).items()):
        slot = SlotVersion(
            usage_point=key,
            register=register,
            end_at=day_end_at(edit.day_on),
            version=known.revision,
            energy=known.energy[register],
            quality=known.quality,
            is_final=approved_at != "",
        )
        change = Edit(
            usage_point=key,
            register=register,
            end_at=slot.end_at,
            before=known.energy[register],
            after=energy,
            reason=edit.reason,
            edited_by=edit.person,
            edited_at=edited_at,
            source=EDIT,
            approved_by=approved_by,
            approved_at=approved_at,
        )
        entries.append(edit_slot(slot, change).entry)
    return entries


def _check_registers(point: Point, edit: EditRequested, base: Base, policy: Policy) -> None:
    """The rates of the day must still add up, and the days to what the registers moved by."""
    _check_rates(point, edit, base, policy)
    if policy.edits.outranks(edit.reason_code):
        return
    between = _between(point, edit.day_on, policy)
    if between is not None:
        edits = {**point.edits.days, edit.day_on: _day_edit(point, edit, base, policy)}
        fits = edit.day_on in standing(between.days_on, between.energy, edits)
    else:
        fits = base.final != "settled" or edit.after.items() <= base.known.energy.items()
    if not fits:
        days = between.days_on if between is not None else (edit.day_on,)
        span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        problem = f"contradicts what the register moved by on {span}"
        reasons = ", ".join(policy.edits.outranking) or "none here"
        fix = f"give what it leaves, or a reason that says it is wrong: {reasons}"
        raise BadInput("after", problem, fix)


def _check_rates(point: Point, edit: EditRequested, base: Base, policy: Policy) -> None:
    """Rates add up to their total after an edit, unless they were further away before."""
    before = base.known.energy
    after = {**before, **edit.after}
    rules = point_rules(policy.rule_book, point.supplies).rules
    tolerance = rules["rate_sum"].parameters["tolerance_register_wh"]
    for total in sorted({parse_register(register).total for register in edit.after}):
        rates = [
            name
            for name in before
            if parse_register(name).total == total and parse_register(name).rate
        ]
        if not rates or total not in before:
            continue
        was = abs(sum(before[name] for name in rates) - before[total])
        found = sum(after[name] for name in rates)
        if abs(found - after[total]) > max(tolerance, was):
            problem = f"{total} is {after[total]}, its rates add up to {found}"
            raise BadInput("after", problem, "give the total and its rates together")


def _between(point: Point, day_on: str, policy: Policy) -> Between | None:
    """The days between the readings around a day, when all registers say something of them."""
    for span in spans(runs_of(point), point.readings, point.anchor_on):
        if span.first.day_on < day_on <= span.last.day_on:
            usages = usages_between(span.run, span.first, span.last, margin_of(point, policy))
            energy = {name: used.usage for name, used in usages.items() if used.usage is not None}
            if usages and len(energy) == len(usages):
                return Between(days_after(span.first.day_on, span.last.day_on), energy)
    return None


# -- what is done ---------------------------------------------------------------------------------


def _day_edit(point: Point, edit: EditRequested, base: Base, policy: Policy) -> DayEdit:
    """People's values of the day with this edit: earlier ones stay while they stand, and so does
    what the load profile gave, for the registers say otherwise."""
    earlier = point.edits.days.get(edit.day_on) if base.known.quality == EDITED else None
    stays = earlier.energy if earlier is not None else base.known.given
    return DayEdit(
        edit_id=edit.edit_id,
        energy={**stays, **edit.after},
        outranks_register=policy.edits.outranks(edit.reason_code),
        is_approved=False,
    )


def _take(
    point: Point,
    key: str,
    edit: EditRequested,
    base: Base,
    entries: list[AuditEntry],
    policy: Policy,
) -> Iterator[Emit]:
    first = entries[0]
    taken = EditTaken(
        edit_id=edit.edit_id,
        usage_point=key,
        day_on=edit.day_on,
        reason_code=edit.reason_code,
        reason=first.reason,
        edited_by=first.edited_by,
        edited_at=first.edited_at,
        approved_by=first.approved_by,
        approved_at=first.approved_at,
        was_final=first.was_final,
        outranks_register=policy.edits.outranks(edit.reason_code),
        energy=_day_edit(point, edit, base, policy).energy,
        entries=tuple(
            EditEntry(
                register=entry.register,
                version_before=entry.version_before,
                version_after=entry.version_after,
                energy_before=base.known.energy[entry.register],
                energy_after=entry.energy_after,
                quality_before=entry.quality_before,
                quality_after=entry.quality_after,
            )
            for entry in entries
        ),
    )
    yield Emit(taken)
    point = evolve(point, taken)
    if _between(point, edit.day_on, policy) is None:
        day = DayUsage(
            day_on=edit.day_on,
            energy={**base.known.energy, **edit.after},
            quality=EDITED,
            method=method_of(edit.edit_id),
        )
        emits = list(revise(point, key, day, base.known, edit.edit_id, policy))
        yield from emits
        point = evolve(point, emits[0].body)
    yield from work_out(point, key, edit.edit_id, {}, policy)
