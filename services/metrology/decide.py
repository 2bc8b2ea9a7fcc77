"""What metrology decides: verdicts on bench runs, where devices and seals are, what is due, and the
corrections that a failure proposes.

    customers.meters    -> meter_noted, and what the note makes possible
    metrology.standards -> standard_adopted | standard_rejected, and the runs that waited for it
    metrology.bench     -> meter_judged, certificate_issued | run_repeated | run_rejected
                           | meter_awaited | standard_awaited                           (runs.py)
                           device_moved | move_rejected, seal_moved | seal_rejected     (custody.py)
                           correction_decided | seal_case_closed | case_rejected        (cases.py)
                           correction_proposed | case_rejected                     (hand_cases.py)
    metrology.custody   -> seal_broken_found
    calendar            -> verification_due | _overdue | _untracked                  (tracking.py)

Only a meter whose error is beyond its limit and that was installed at an account's point proposes a
correction (correction_proposed, own, and by account on metrology.findings); only a person approves.
What failed in the store is rejected there and proposes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from libs.events.core import SHARED, Emit, Item, Tick, View
from libs.events.errors import BadInput
from services.metrology.cases import decide_case, follow_cases, note_broken
from services.metrology.custody import follow_device, take_move, take_seal
from services.metrology.draft import Draft, Rulings
from services.metrology.error_limits import ErrorLimits
from services.metrology.events import (
    CaseDecided,
    CaseOpened,
    MoveRequested,
    RunGarbled,
    RunMeasured,
    RunRejected,
    SealBroken,
    SealReported,
    StandardAdopted,
    StandardRegistered,
    StandardRejected,
)
from services.metrology.hand_cases import open_case
from services.metrology.policy import DEFAULT_POLICY, Policy
from services.metrology.reactions import MeterPublished, meter_noted
from services.metrology.runs import retry, take_run
from services.metrology.standards_register import adopt
from services.metrology.state import Entry, Shared
from services.metrology.tracking import remind

Decide = Callable[[View, str, Item], Sequence[Emit]]


def concerned(view: View, item: Item) -> Iterable[str]:
    """A tick concerns who is due; a standard the partition and the meters whose runs wait."""
    if isinstance(item.body, Tick):
        return view.keys_due(item.body.at)
    if isinstance(item.body, StandardRegistered):
        known = view.keys()
        return [SHARED, *(key for key in known if _waits(view.get(key)))]
    return (item.key,)


def _waits(entry: Entry) -> bool:
    return bool(entry.meter.held or entry.meter.refused)


def deciding_with(limits: ErrorLimits, policy: Policy = DEFAULT_POLICY) -> Decide:
    """`decide` with a table of error limits and a policy, which are data of the installation."""

    def decide(view: View, key: str, item: Item) -> Sequence[Emit]:
        if key == SHARED:
            return _on_standard(view.shared, item.body)
        entry: Entry = view.get(key) or Entry()
        if isinstance(item.body, SealReported):
            return take_seal(entry, key, item.body)
        by = Rulings(limits=limits, policy=policy, shared=view.shared)
        draft = Draft(key, entry.meter, by)
        _on_meter(draft, item.body)
        return draft.emits

    return decide


def _on_standard(shared: Shared, registered: StandardRegistered) -> Sequence[Emit]:
    """Adopt a certificate; one that is known is silent."""
    standard, by = registered.standard, registered.registered_by
    try:
        if not by.strip():
            raise BadInput("registered_by", "is empty", "say who registers it")
        changed = adopt(shared.standards, standard)
    except BadInput as wrong:
        rejected = StandardRejected(standard=standard, registered_by=by, problem=str(wrong))
        return [Emit(rejected)]
    if changed is None:
        return []
    return [Emit(StandardAdopted(standard=standard, registered_by=by))]


def _on_meter(draft: Draft, body: object) -> None:
    match body:
        case Tick():
            remind(draft, body.at)
        case RunGarbled():
            rejected = RunRejected(run_id=body.run_id, meter_no=draft.key, problem=body.problem)
            draft.own(rejected)
        case CaseDecided():
            decide_case(draft, body)
        case CaseOpened():
            open_case(draft, body)
        case _:
            _on_fact(draft, body)


def _on_fact(draft: Draft, body: object) -> None:
    """What tells something new of a meter, and all that follows from it."""
    match body:
        case MeterPublished():
            known = draft.meter.notes.get(body.account_no)
            if known is not None and body.version <= known.version:
                return
            draft.own(meter_noted(body))
            retry(draft)
        case RunMeasured():
            take_run(draft, body)
        case MoveRequested():
            take_move(draft, body)
            retry(draft)
        case SealBroken():
            note_broken(draft, body)
        case _:
            assert isinstance(body, StandardRegistered), f"nothing follows from {type(body)}"
            retry(draft)
    follow_device(draft)
    follow_cases(draft)
