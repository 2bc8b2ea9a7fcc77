"""One relay command or look, carried out on a line: the only code that can move a relay.

The clock is looked at before a disconnect and the relay read after every command; a frame is sent
once, and whatever may have reached the meter is read back, never repeated.

    switch(request, lines, PasswordSecurity(credentials=...), lambda: ("", ""), utc_now)
"""

from __future__ import annotations

import time

from libs.events.errors import BadInput
from services.ingest.behind import reach
from services.ingest.days import parse_instant
from services.ingest.effect.decide import WANTED, ReadBack, RelayAnswer, SendCommand
from services.ingest.line_queue import Priority
from services.ingest.lines import Lines
from services.ingest.protocols.failures import NotSealed, ProtocolError, Withheld
from services.ingest.protocols.session import LastWord, MeterSession, RelaySecurity
from services.ingest.reading import Evidence, Wall

COMMANDS = {
    "open": "trip",
    "permit_close": "permit_close",
    "close": "close",
    "keep_supply": "keep_supply",
    "keep_supply_off": "keep_supply_off",
}
KEPT = "keep_supply"
"""The bit of status word 3 (UNCONFIRMED, domain.md 1.2)."""
NOTHING = ("", "")
"""No check refuses."""


def look(request: ReadBack, lines: Lines) -> RelayAnswer:
    """Read status word 3, nothing else."""
    evidence = Evidence()
    try:
        line, address = reach(request.protocol, request.line, request.address)
        with lines.taken(line, Priority.ON_DEMAND) as turn:
            session = MeterSession(turn, address)
            state, detail = _read_state(session, evidence, request.action)
    except (ProtocolError, BadInput) as error:
        return _answer(evidence, sent=True, detail=str(error))
    return _answer(evidence, sent=True, state=state, detail=detail)


def switch(
    request: SendCommand,
    lines: Lines,
    security: RelaySecurity,
    last_word: LastWord,
    wall: Wall | None = None,
) -> RelayAnswer:
    """Send one command. `last_word` is asked last before the wire, behind a security module's
    session: the check that refuses and why, or two empty texts; `wall`: the wall clock where
    business time is the wall clock's, else None.
    """
    evidence = Evidence()
    try:
        line, address = reach(request.protocol, request.line, request.address)
        with lines.taken(line, Priority.RELAY) as turn:
            session = MeterSession(turn, address)
            refusal, detail = _may_send(request, session, evidence, wall)
            if refusal:
                return _answer(evidence, sent=False, refusal=refusal, detail=detail)
            return _send(
                request,
                session,
                evidence,
                security,
                lambda: _expired(request, wall) or last_word(),
            )
    except BadInput as error:  # a line, an address or a password that nothing can be sent with
        return _answer(evidence, sent=False, refusal="line", detail=str(error))


def _may_send(
    request: SendCommand,
    session: MeterSession,
    evidence: Evidence,
    wall: Wall | None,
) -> tuple[str, str]:
    """The checks that need the meter or the wall clock."""
    try:
        shown = session.read_clock()
    except ProtocolError as error:
        evidence.add(session.take_exchanges())
        return "meter_unreachable", error.problem
    now_at = wall() if wall is not None else request.now_at
    evidence.add(shown.exchanges)
    if not shown.meter_at:
        return "meter_clock", shown.bad or ", ".join(shown.refused)
    offset_s = (parse_instant(shown.meter_at) - parse_instant(now_at)).total_seconds()
    if request.action == "open" and abs(offset_s) > 60 * request.policy.clock_margin_min:
        return "meter_clock", f"the meter's clock is off by {int(offset_s)} s"
    return _expired(request, wall) or NOTHING


def _expired(request: SendCommand, wall: Wall | None) -> tuple[str, str] | None:
    now_at = wall() if wall is not None else request.now_at
    if now_at < request.valid_until_at:
        return None
    return "expired", f"valid until {request.valid_until_at}, now {now_at}"


def _send(
    request: SendCommand,
    session: MeterSession,
    evidence: Evidence,
    security: RelaySecurity,
    last_word: LastWord,
) -> RelayAnswer:
    """Put the frame on the wire, once, and read the relay back."""
    try:
        reply = session.send_relay_command(
            COMMANDS[request.action], request.valid_until_at, security, last_word
        )
    except Withheld as withheld:
        evidence.add(session.take_exchanges())
        return _answer(evidence, sent=False, refusal=withheld.check, detail=withheld.problem)
    except ProtocolError as error:
        evidence.add(session.take_exchanges())
        if not error.sent:
            refusal = "credentials" if isinstance(error, NotSealed) else "line_down"
            return _answer(evidence, sent=False, refusal=refusal, detail=error.problem)
        state, _ = _look_again(session, evidence, request)
        return _answer(evidence, sent=True, state=state, detail=error.problem)
    evidence.add(reply.exchanges)
    state, seen = _look_again(session, evidence, request)
    detail = f"meter refused: {', '.join(reply.refused)}" if reply.refused else seen
    return _answer(evidence, sent=True, accepted=reply.accepted, state=state, detail=detail)


def _look_again(session: MeterSession, evidence: Evidence, request: SendCommand) -> tuple[str, str]:
    """Read the state a few times: a relay needs a moment; the last word counts."""
    closes = WANTED[request.action] == "closed"
    wanted = ("closed", "close_permitted") if closes else (WANTED[request.action],)
    state, detail = "", ""
    for number in range(request.policy.looks):
        if number:
            time.sleep(request.policy.relay_settle_ms / 1000)
        try:
            state, detail = _read_state(session, evidence, request.action)
        except (ProtocolError, BadInput) as error:  # the command is out: that stays the answer
            detail = str(error)
            continue
        if state in wanted:
            break
    return state, detail


def _read_state(session: MeterSession, evidence: Evidence, action: str) -> tuple[str, str]:
    try:
        status = session.read_relay_status()
    except ProtocolError:
        evidence.add(session.take_exchanges())
        raise
    evidence.add(status.exchanges)
    if status.is_open is None:
        return "", ", ".join(status.refused) or "no status word"
    if action in (KEPT, "keep_supply_off"):
        return ("kept" if KEPT in status.bits else "not_kept"), f"status word 3 {status.word:04X}H"
    if status.state == "close_permitted":
        return "close_permitted", "waits for the button"
    return ("open" if status.is_open else "closed"), f"status word 3 is {status.word:04X}H"


def _answer(
    evidence: Evidence,
    *,
    sent: bool,
    refusal: str = "",
    accepted: bool | None = None,
    state: str = "",
    detail: str = "",
) -> RelayAnswer:
    return RelayAnswer(
        sent=sent,
        refusal=refusal,
        accepted=accepted,
        state=state,
        detail=detail,
        frames=tuple(evidence.frames),
    )
