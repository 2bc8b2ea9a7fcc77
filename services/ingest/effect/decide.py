"""Whether a relay command is sent, and what its outcome is.

Every check that refuses has a name. What was started and has no outcome is only ever looked at:
the first frame carries its own valid-until, and until the relay stands as asked only a read-back
after that is final.

    control.reconnections, control.commands -> command_refused
                                             | attempt_started, then attempt_ended
    calendar                                -> attempt_ended, by reading back what is unknown

`last_word` is asked once more just before the wire, with what is committed and not decided yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from libs.events.core import Emit, Item, Tick, View
from libs.events.effects import TooLate
from services.ingest.days import add_minutes
from services.ingest.effect.policy import ExecutorPolicy
from services.ingest.effect.reactions import (
    CommandCancelled,
    CommandIssued,
    meter_at,
    place_noted,
    read_back_after,
)
from services.ingest.effect.state import Attempt, Place
from services.ingest.events import (
    AttemptEnded,
    AttemptStarted,
    CommandRefused,
    SupplyInstallation,
)
from services.ingest.reactions import SupplyPublished

WANTED = {
    "open": "open",
    "permit_close": "closed",
    "close": "closed",
    "keep_supply": "kept",
    "keep_supply_off": "not_kept",
}
NO_FRAME = {"limit_load": "no frame of DL/T 645 that limits a load is confirmed"}
"""Actions that are known and that no meter can be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendCommand:
    """Do it: the clock is looked at first, the relay read after. now_at: business time; policy:
    how far the clock may be off, and how the relay is looked at."""

    command_id: str
    action: str
    usage_point: str
    meter_no: str
    protocol: str
    line: str
    address: str
    valid_until_at: str
    now_at: str
    policy: ExecutorPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """Only look: what state is the relay in, or, after `action`, is the supply kept?"""

    usage_point: str
    protocol: str
    line: str
    address: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayAnswer:
    """What the world said. sent: whether a byte of the command may have reached the meter;
    refusal: why nothing was sent ("" when something was); accepted: the meter's acknowledgement,
    None without one; state: open, closed, close_permitted, of keep-supply kept, not_kept; "" when
    it could not be read."""

    sent: bool
    refusal: str
    accepted: bool | None
    state: str
    detail: str
    frames: tuple[str, ...] = ()


def decide(view: View, key: str, item: Item) -> Sequence[Emit]:
    """What is written before the world is touched."""
    place: Place = view.get(key) or Place()
    match item.body:
        case SupplyPublished():
            return _on_supply(place, item)
        case CommandIssued():
            return _on_command(place, item.body, item.at)
        case Tick():
            return _on_tick(place, key, item.body.at)
    return []


def _on_supply(place: Place, item: Item) -> Sequence[Emit]:
    supply: SupplyPublished = item.body
    if place.noted is not None and supply.version <= place.noted.supply_version:
        return []
    return [Emit(place_noted(supply))]


def _on_command(place: Place, command: CommandIssued, now: str) -> Sequence[Emit]:
    attempt = place.attempt
    if attempt is not None and attempt.command_id == command.command_id:
        return []  # taken up again after a crash: it is only looked at
    if command.command_id == place.last_command_id:
        return []  # the same once more: its outcome is told already
    for name, check in CHECKS.items():
        problem = check(place, command, now)
        if problem:
            return [Emit(_refused(command, name, problem))]
    meter = meter_now(place, now)
    assert meter is not None, "the checks saw it"
    return [
        Emit(
            AttemptStarted(
                command_id=command.command_id,
                seq=command.seq,
                account_no=command.account_no,
                usage_point=command.usage_point,
                meter_no=command.meter_no,
                action=command.action,
                valid_until_at=command.valid_until_at,
                protocol=meter.protocol,
                line=meter.line,
                address=meter.address,
            )
        )
    ]


def _on_tick(place: Place, key: str, now: str) -> Sequence[Emit]:
    """A meter that was taken away can tell nothing any more: its attempt ends unconfirmed."""
    attempt = place.attempt
    if attempt is None or not is_look_due(attempt, now):
        return []
    meter = meter_now(place, now)
    if meter is not None and meter.meter_no == attempt.meter_no:
        return []
    answer = RelayAnswer(
        sent=True, refusal="", accepted=None, state="", detail="the meter was taken away"
    )
    return [Emit(_ended(attempt, key, answer, "not_confirmed", final=True, read_back_at=""))]


def is_look_due(attempt: Attempt, now: str) -> bool:
    """Whether an unknown outcome is to be looked at again."""
    return attempt.read_back_at != "" and attempt.read_back_at <= now


def meter_now(place: Place, now: str) -> SupplyInstallation | None:
    """The meter at the point now, as far as its supply says."""
    return meter_at(place.noted, now) if place.noted is not None else None


def _refused(command: CommandIssued, check: str, detail: str) -> CommandRefused:
    return CommandRefused(
        command_id=command.command_id,
        seq=command.seq,
        account_no=command.account_no,
        usage_point=command.usage_point,
        meter_no=command.meter_no,
        action=command.action,
        check=check,
        detail=detail,
    )


# -- checks: each names itself in the refusal -----------------------------------------------------


def _seq(place: Place, command: CommandIssued, now: str) -> str:
    if command.seq <= place.seq_max:
        return f"seq {command.seq} is not above {place.seq_max}"
    return ""


def _no_attempt_open(place: Place, command: CommandIssued, now: str) -> str:
    if place.attempt is not None:
        return f"the outcome of {place.attempt.command_id} is not known yet"
    return ""


def _known_action(place: Place, command: CommandIssued, now: str) -> str:
    if command.action in NO_FRAME:
        return NO_FRAME[command.action]
    return "" if command.action in WANTED else f"{command.action!r} is no relay action"


def _cleared(place: Place, command: CommandIssued, now: str) -> str:
    if command.action == "open" and not command.clearance_id:
        return "a disconnection without a clearance"
    return ""


def _not_expired(place: Place, command: CommandIssued, now: str) -> str:
    if now >= command.valid_until_at:
        return f"valid until {command.valid_until_at}, now {now}"
    return ""


def _place_matches(place: Place, command: CommandIssued, now: str) -> str:
    noted, meter = place.noted, meter_now(place, now)
    if noted is None or meter is None:
        return "no meter is known at this point"
    compared = (
        ("account", command.account_no, noted.account_no),
        ("meter", command.meter_no, meter.meter_no),
        ("address", command.address, meter.address),
        ("installation", command.installed_from_at, meter.from_at),
        ("agreement", str(command.agreement_version), str(noted.agreement_version)),
    )
    for name, ours, theirs in compared:
        if ours != theirs:
            return f"{name} is {theirs} now, the command says {ours}"
    return ""


def _remote_switch(place: Place, command: CommandIssued, now: str) -> str:
    method = place.noted.switching_method if place.noted is not None else ""
    return "" if method == "meter_relay" else f"switching method is {method or 'unknown'}"


Check = Callable[[Place, CommandIssued, str], str]
CHECKS: dict[str, Check] = {
    "seq": _seq,
    "attempt_open": _no_attempt_open,
    "action": _known_action,
    "clearance": _cleared,
    "expired": _not_expired,
    "supply": _place_matches,
    "switching_method": _remote_switch,
}


# -- what to do in the world -----------------------------------------------------------------------


def action(
    view: View, key: str, item: Item, fresh: bool, policy: ExecutorPolicy
) -> SendCommand | ReadBack | None:
    """Send a fresh command; look at one that was started before, or whose look is due."""
    place: Place = view.get(key) or Place()
    attempt = place.attempt
    if attempt is None:
        return None
    if attempt.read_back_at:
        due_now = isinstance(item.body, Tick) and is_look_due(attempt, item.body.at)
        return _look(attempt, key) if due_now else None
    if not fresh:
        return _look(attempt, key)
    return SendCommand(
        command_id=attempt.command_id,
        action=attempt.action,
        usage_point=key,
        meter_no=attempt.meter_no,
        protocol=attempt.protocol,
        line=attempt.line,
        address=attempt.address,
        valid_until_at=attempt.valid_until_at,
        now_at=item.at,
        policy=policy,
    )


def _look(attempt: Attempt, usage_point: str) -> ReadBack:
    return ReadBack(
        usage_point=usage_point,
        protocol=attempt.protocol,
        line=attempt.line,
        address=attempt.address,
        action=attempt.action,
    )


def conclude(
    view: View, key: str, item: Item, result: Any, policy: ExecutorPolicy
) -> Sequence[Emit]:
    """What the answer means for the open attempt."""
    place: Place = view.get(key)
    attempt = place.attempt
    assert attempt is not None
    if isinstance(result, TooLate):
        detail = f"{result.waited_s:.1f} s passed between the written attempt and the wire"
        return [Emit(_not_sent(attempt, key, "too_late", detail))]
    assert isinstance(result, RelayAnswer)
    if not result.sent and result.refusal:
        return [Emit(_not_sent(attempt, key, result.refusal, result.detail))]
    outcome, final = _outcome(attempt, result, item.at, policy)
    if final:
        read_back_at = ""
    elif attempt.read_back_at:
        read_back_at = add_minutes(item.at, policy.look_again_min)
    else:
        read_back_at = read_back_after(attempt.valid_until_at, policy.clock_margin_min)
    return [Emit(_ended(attempt, key, result, outcome, final=final, read_back_at=read_back_at))]


def _outcome(
    attempt: Attempt, answer: RelayAnswer, now: str, policy: ExecutorPolicy
) -> tuple[str, bool]:
    if answer.state == WANTED[attempt.action]:
        return "confirmed", True
    if answer.state == "close_permitted" and attempt.action == "permit_close":
        return "waiting_for_button", True
    beyond = now >= read_back_after(attempt.valid_until_at, policy.clock_margin_min)
    if answer.state and beyond:
        return "not_confirmed", True
    return "unknown", False


def _ended(
    attempt: Attempt,
    usage_point: str,
    answer: RelayAnswer,
    outcome: str,
    *,
    final: bool,
    read_back_at: str,
) -> AttemptEnded:
    state = "open" if answer.state == "close_permitted" else answer.state
    return AttemptEnded(
        command_id=attempt.command_id,
        seq=attempt.seq,
        account_no=attempt.account_no,
        usage_point=usage_point,
        meter_no=attempt.meter_no,
        action=attempt.action,
        outcome=outcome,
        state=state,
        detail=answer.detail,
        final=final,
        read_back_at=read_back_at,
        frames=answer.frames,
    )


def _not_sent(attempt: Attempt, usage_point: str, check: str, detail: str) -> CommandRefused:
    return CommandRefused(
        command_id=attempt.command_id,
        seq=attempt.seq,
        account_no=attempt.account_no,
        usage_point=usage_point,
        meter_no=attempt.meter_no,
        action=attempt.action,
        check=check,
        detail=detail,
    )


def due(state: Place) -> str:
    """When an unknown outcome is looked at again."""
    return state.attempt.read_back_at if state.attempt is not None else ""


def last_word(
    command_id: str,
    valid_until_at: str,
    commands: Sequence[object],
    supplies: Sequence[object],
    ticks: Sequence[object],
) -> tuple[str, str]:
    """The check that refuses a command just before the wire, and why; two empty texts to send it.

    The sequences are what is committed on the inputs of the point and not decided yet: it may have
    been cancelled, its supply may have changed, and its time may have run out.
    """
    for body in commands:
        if isinstance(body, CommandCancelled) and body.command_id == command_id:
            return "cancelled", f"control cancelled it: {body.reason}"
    if any(isinstance(body, SupplyPublished) for body in supplies):
        return "supply", "the supply of the point has just changed"
    for body in ticks:
        if isinstance(body, Tick) and body.at >= valid_until_at:
            return "expired", f"valid until {valid_until_at}, now {body.at}"
    return "", ""
