"""The executor of device commands on a desk: a command, what the wire answers, what is written."""

from __future__ import annotations

from typing import Any

from libs.events.core import Item, Tick
from services.ingest.effect.decide import (
    RelayAnswer,
    action,
    conclude,
    decide,
    due,
)
from services.ingest.effect.policy import DEFAULT_POLICY, ExecutorPolicy
from services.ingest.effect.reactions import CommandIssued
from services.ingest.effect.state import evolve
from tests.unit.ingest.desk import POINT, at, supply

ISSUED_AT = at(10, 9)
VALID_UNTIL = at(10, 9, 1)
FINAL_AT = at(10, 9, 3)  # two minutes' margin for the clocks


def command(**changes: Any) -> CommandIssued:
    """A disconnection of M1, issued at nine on the eleventh day, valid for a minute."""
    values: dict[str, Any] = {
        "command_id": "C1",
        "seq": 1,
        "case_id": "K1",
        "account_no": "A1",
        "usage_point": POINT,
        "meter_no": "M1",
        "address": "000000000001",
        "installed_from_at": at(0),
        "agreement_version": 1,
        "switching_method": "meter_relay",
        "action": "open",
        "clearance_id": "F1",
        "issued_at": ISSUED_AT,
        "valid_until_at": VALID_UNTIL,
        **changes,
    }
    return CommandIssued(**values)


def answer(state: str, *, accepted: bool | None = True) -> RelayAnswer:
    """What the wire said after the frame was sent."""
    return RelayAnswer(
        sent=True, refusal="", accepted=accepted, state=state, detail="seen", frames=(">68", "<68")
    )


def not_sent(check: str) -> RelayAnswer:
    return RelayAnswer(sent=False, refusal=check, accepted=None, state="", detail="no")


class Executor:
    """The executor's functions in the order in which the effect loop calls them."""

    def __init__(self, *supplies: Any, policy: ExecutorPolicy = DEFAULT_POLICY) -> None:
        self.policy = policy
        self.state: Any = None
        self.shared = None
        self.as_of = ISSUED_AT
        self.events: list[Any] = []
        for each in supplies or (supply(),):
            self.take(each)

    def get(self, key: str) -> Any:
        return self.state

    def keys(self) -> tuple[str, ...]:
        return (POINT,)

    def keys_due(self, until: str) -> tuple[str, ...]:
        return (POINT,) if due(self.state) and due(self.state) <= until else ()

    def _fold(self, emits: Any) -> list[Any]:
        own = []
        for emit in emits:
            assert emit.topic == ""
            self.state = evolve(self.state, emit.body)
            self.events.append(emit.body)
            own.append(emit.body)
        return own

    def take(self, body: Any, *answers: Any, fresh: bool | None = None) -> tuple[list[Any], Any]:
        """Decide, act with the given answers, conclude; the events, and the last request."""
        item = Item("any", 0, POINT, "", body, self.as_of)
        own = self._fold(decide(self, POINT, item))
        first = bool(own) if fresh is None else fresh
        request = last = None
        waiting = list(answers)
        while (request := action(self, POINT, item, first, self.policy)) is not None:
            last = request
            if not waiting:
                return own, last  # the process dies here
            own += self._fold(conclude(self, POINT, item, waiting.pop(0), self.policy))
            first = False
        assert not waiting, "an answer to nothing"
        return own, last

    def tick(self, moment: str, *answers: Any) -> tuple[list[Any], Any]:
        """Business time, as the loop tells it."""
        self.as_of = moment
        if not self.keys_due(moment):
            return [], None
        return self.take(Tick(at=moment), *answers)
