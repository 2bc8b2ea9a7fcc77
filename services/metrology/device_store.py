"""The meter store: one state machine per device, and every move of it, with who, when and where.

    (nothing) -receive-> new -accept-> stock -reserve-> reserved -install-> installed
    installed -remove-> removed -accept-> stock          new, stock, removed -reject-> rejected
    removed, rejected -scrap-> scrapped                  rejected -return-> returned

`TRANSITIONS` is the whole of it: a move that is not in the table is refused, so a device is never
installed twice and never in two places. What was removed goes back to stock only by `accept`, that
is after a verification that it passed; what was scrapped or returned moves no more.

    device = move(None, DeviceMove(device_no="M1", action="receive", ...))
    action_after(device.state, "fail")      "reject" for new and stock: a failed meter is rejected
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libs.events.errors import BadInput
from services.metrology.judgement import FAILED, PASSED, local_day

UNKNOWN = ""
NEW = "new"
STOCK = "stock"
RESERVED = "reserved"
INSTALLED = "installed"
REMOVED = "removed"
REJECTED = "rejected"
SCRAPPED = "scrapped"
RETURNED = "returned"

TRANSITIONS: Mapping[tuple[str, str], str] = {
    (UNKNOWN, "receive"): NEW,
    (NEW, "accept"): STOCK,
    (NEW, "reject"): REJECTED,
    (STOCK, "reserve"): RESERVED,
    (STOCK, "reject"): REJECTED,
    (STOCK, "relocate"): STOCK,
    (RESERVED, "release"): STOCK,
    (RESERVED, "install"): INSTALLED,
    (INSTALLED, "remove"): REMOVED,
    (REMOVED, "accept"): STOCK,
    (REMOVED, "reject"): REJECTED,
    (REMOVED, "scrap"): SCRAPPED,
    (REJECTED, "scrap"): SCRAPPED,
    (REJECTED, "return"): RETURNED,
}
"""(state, action) -> state. What is not here is refused."""

ACTIONS = tuple(dict.fromkeys(action for _, action in TRANSITIONS))

AFTER_VERDICT: Mapping[tuple[str, str], str] = {
    (NEW, PASSED): "accept",
    (NEW, FAILED): "reject",
    (STOCK, FAILED): "reject",
    (REMOVED, PASSED): "accept",
    (REMOVED, FAILED): "reject",
}
"""(state, verdict) -> action. An installed meter that fails is first removed; a correction case is
proposed for what it measured. `not_judged` moves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMove:
    """One event of a device: what was done, by whom, when and where (the shelf, or the usage point
    where it is installed), and why; `reason` may be empty except for a rejection or scrapping."""

    device_no: str
    action: str
    by: str
    at: str
    place: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDevice:
    """Where a device is: its state and place since the instant of its last move."""

    device_no: str
    state: str
    place: str
    since_at: str
    moves: int


def check_move(event: DeviceMove) -> None:
    """BadInput when a move does not say what, who, when and where; that is no matter of state."""
    for name in ("device_no", "by", "at", "place"):
        if not getattr(event, name):
            raise BadInput(name, "is empty", "every move says who, when and where")
    if event.action in {"reject", "scrap"} and not event.reason:
        raise BadInput("reason", "is empty", f"say why it is a case to {event.action}")
    if event.action not in ACTIONS:
        raise BadInput("action", f"{event.action!r} is unknown", f"use {', '.join(ACTIONS)}")
    local_day(event.at, 0, "at")


def move(device: StoredDevice | None, event: DeviceMove) -> StoredDevice:
    """The device after a move. BadInput when the table does not allow it, when it lies before the
    last one, or as in `check_move`."""
    check_move(event)
    assert device is None or device.device_no == event.device_no, "a move of another device"
    state = device.state if device else UNKNOWN
    after = TRANSITIONS.get((state, event.action))
    if after is None:
        allowed = [action for before, action in TRANSITIONS if before == state]
        shown = f"{state} since {device.since_at} at {device.place}" if device else "not known"
        fix = f"allowed are {', '.join(allowed)}" if allowed else "it moves no more"
        raise BadInput("action", f"{event.action!r} of a device that is {shown}", fix)
    if device and event.at < device.since_at:
        raise BadInput("at", f"{event.at} is before {device.since_at}", "give moves in their order")
    return StoredDevice(
        device_no=event.device_no,
        state=after,
        place=event.place,
        since_at=event.at,
        moves=device.moves + 1 if device else 1,
    )


def follow_register(device: StoredDevice | None, event: DeviceMove) -> StoredDevice:
    """The device after an installation or removal that the register of meters tells.

    It happened, so nothing refuses it: a running utility's meters hang before its store is kept,
    and a crew may take one from the shelf that nobody reserved. `DeviceMoved` names the state
    before, so that what the table does not have can be found.
    """
    return StoredDevice(
        device_no=event.device_no,
        state=INSTALLED if event.action == "install" else REMOVED,
        place=event.place,
        since_at=event.at,
        moves=device.moves + 1 if device else 1,
    )


def action_after(state: str, verdict: str) -> str:
    """What a verdict (pass, fail, not_judged) does to a device: an action of `TRANSITIONS`, or ""
    where it moves nothing."""
    return AFTER_VERDICT.get((state, verdict), "")
