"""Devices and seals: what people ask of them, and what the register and the bench do to a device.

A request is decided by `device_store.move` or `seal_custody.follow`: moved, or rejected with the
reason. A seal is decided in its own stream, since "never used again" holds over one seal; that it
was broken is told to the stream of its meter (metrology.custody), where the case opens, because
only there it is known whose meter it is.

A device is moved by requests, by the register of meters (installed, removed: `installations`), and
by the verdict on it (`AFTER_VERDICT`: what failed in the store is rejected, what passed goes to
stock). A verdict moves a device only where it was measured, after its last move.
"""

from __future__ import annotations

from libs.events.core import Emit
from libs.events.errors import BadInput
from services.metrology.dated_ahead import check_past
from services.metrology.device_store import DeviceMove, StoredDevice, action_after, move
from services.metrology.draft import Draft
from services.metrology.error_limits import BASES
from services.metrology.events import (
    DeviceMoved,
    MoveRejected,
    MoveRequested,
    SealBroken,
    SealMoved,
    SealRejected,
    SealReported,
)
from services.metrology.installations import following, register_moves
from services.metrology.judgement import class_number
from services.metrology.seal_custody import follow
from services.metrology.state import Entry, Verdict

CUSTODY = "metrology.custody"
REQUEST, REGISTER, VERDICT = "request", "register", "verdict"
WRONG_ENTRY = "wrong_entry"


# -- devices --------------------------------------------------------------------------------------


def take_move(draft: Draft, request: MoveRequested) -> None:
    """Decide about a move that a person asks for; a repeated request is silent."""
    meter, wanted = draft.meter, request.move
    if request.request_id in meter.request_ids:
        return
    before = meter.device
    try:
        _check_request(draft.key, request)
        check_past("at", wanted.at, request.requested_at)
        after = move(before, wanted)
    except BadInput as wrong:
        rejected = MoveRejected(
            request_id=request.request_id,
            move=wanted,
            state=before.state if before else "",
            field=wrong.field,
            problem=f"{wrong.problem} ({wrong.fix})",
        )
        draft.own(rejected)
        return
    moved = DeviceMoved(
        request_id=request.request_id,
        source=REQUEST,
        move=wanted,
        before=before.state if before else "",
        device=after,
        accuracy_class=request.accuracy_class,
        connection=request.connection,
    )
    draft.own(moved)


def _check_request(key: str, request: MoveRequested) -> None:
    if request.move.device_no != key:
        problem = f"{request.move.device_no!r} is not {key!r}"
        raise BadInput("device_no", problem, "send it under the number of the device")
    if bool(request.accuracy_class) != bool(request.connection):
        raise BadInput("accuracy_class", "stands without a connection", "give both, or neither")
    if request.accuracy_class:
        class_number(request.accuracy_class)
        if request.connection not in BASES:
            problem = f"{request.connection!r} is unknown"
            raise BadInput("connection", problem, f"use {' or '.join(BASES)}")
        if request.move.action != "receive":
            problem = f"comes with a delivery, not to {request.move.action}"
            raise BadInput("accuracy_class", problem, "receive the device with it")


def follow_device(draft: Draft) -> None:
    """Move the device as the register of meters and its last verdict say."""
    meter = draft.meter
    for wanted, after in following(meter.device, register_moves(draft.key, meter.notes.values())):
        _moved(draft, REGISTER, wanted, after)
    verdict, device = meter.verdict, draft.meter.device
    if verdict is None or device is None or verdict.measured_at < device.since_at:
        return
    action = action_after(device.state, verdict.verdict)
    if action:
        wanted = _by_verdict(draft.key, action, verdict)
        _moved(draft, VERDICT, wanted, move(device, wanted))


def _by_verdict(device_no: str, action: str, verdict: Verdict) -> DeviceMove:
    return DeviceMove(
        device_no=device_no,
        action=action,
        by=verdict.operator,
        at=verdict.measured_at,
        place=verdict.bench_no,
        reason=f"run {verdict.run_id}: {verdict.verdict}",
    )


def _moved(draft: Draft, source: str, wanted: DeviceMove, after: StoredDevice) -> None:
    before = draft.meter.device.state if draft.meter.device else ""
    draft.own(DeviceMoved(request_id="", source=source, move=wanted, before=before, device=after))


# -- seals ----------------------------------------------------------------------------------------


def take_seal(entry: Entry, key: str, report: SealReported) -> list[Emit]:
    """Decide about an entry of a seal's trail; a repeated one is silent. A break is also told to
    the stream of the meter that the seal is on."""
    trail, given = entry.trail, report.entry
    if trail is not None and report.request_id in trail.request_ids:
        return []
    try:
        if given.seal_no != key:
            problem = f"{given.seal_no!r} is not {key!r}"
            raise BadInput("seal_no", problem, "send it under the number of the seal")
        check_past("at", given.at, report.reported_at)
        seal, violation = follow(trail.seal if trail else None, given)
    except BadInput as wrong:
        return [_rejected(report, WRONG_ENTRY, str(wrong))]
    if violation is not None:
        return [_rejected(report, violation.rule, violation.problem)]
    assert seal is not None, "an entry that is no violation leaves a seal"
    emits = [Emit(SealMoved(request_id=report.request_id, entry=given, seal=seal))]
    if given.action == "break":
        broken = SealBroken(
            seal_no=seal.seal_no,
            kind=seal.kind,
            device_no=seal.device_no,
            location=seal.location,
            found_by=given.by,
            found_at=given.at,
            reason=given.reason,
            photo=given.photo,
        )
        emits.append(Emit(broken, topic=CUSTODY, key=seal.device_no))
    return emits


def _rejected(report: SealReported, rule: str, problem: str) -> Emit:
    return Emit(
        SealRejected(request_id=report.request_id, entry=report.entry, rule=rule, problem=problem)
    )
