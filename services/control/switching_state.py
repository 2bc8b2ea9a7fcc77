"""How the end of a command, its cancellation and a ticket change what control knows of a point."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from services.control.events import CommandCancelled, FieldTicketOpened, SwitchingNoted
from services.control.policy import CLOSE_ACTIONS, KEEP_ACTIONS, SUPPLY_ACTIONS

if TYPE_CHECKING:
    from services.control.state import Point

DONE = ("confirmed", "crossed", "waiting_for_button")


def cancelled(point: Point, event: CommandCancelled) -> Point:
    """The command must not be sent any more; its outcome is still to come."""
    assert point.command is not None, event
    assert point.command.command_id == event.command_id, event
    return replace(point, command=replace(point.command, cancelled=event.reason))


def switched(point: Point, event: SwitchingNoted) -> Point:
    """What became of a command, or how a relay was found."""
    if event.outcome == "found":
        cut = bool(point.holds) or point.cut if event.state == "open" else False
        return replace(point, relay=event.state, cut=cut, found_at=event.reported_at)
    command = point.command
    assert command is not None, event
    assert command.command_id == event.command_id, event
    changed = replace(point, command=replace(command, outcome=event.outcome))
    if event.action in SUPPLY_ACTIONS:
        return replace(changed, kept=_kept(point, event))
    if event.outcome not in DONE:
        return replace(changed, relay=event.state or point.relay)
    if event.action in CLOSE_ACTIONS:
        # Permitted and waiting for the button: the customer closes it, whenever they like.
        return replace(changed, relay=event.state, cut=False, case_id="")
    return replace(changed, relay="open", cut=True, tried=False, case_id=event.case_id)


def _kept(point: Point, event: SwitchingNoted) -> str:
    """What was read back counts; where nothing was, a keep-supply that may be in force is."""
    if event.state in KEEP_ACTIONS.values():
        return event.command_id if event.state == KEEP_ACTIONS["keep_supply"] else ""
    return point.kept


def ticketed(point: Point, event: FieldTicketOpened) -> Point:
    """Somebody goes: what need not be asked for once more."""
    match event.task:
        case "disconnect":
            return replace(point, cut=True, tried=False, case_id=event.case_id)
        case "reconnect":
            return replace(point, tried=True)
        case "read_relay":
            assert point.command is not None, event
            return replace(point, command=replace(point.command, ticketed=True))
    return point
