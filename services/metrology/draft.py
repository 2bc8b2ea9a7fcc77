"""A decision in the making: what it yields so far, and the meter as it stands after that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from libs.events.core import Emit
from services.metrology.error_limits import ErrorLimits, MeterRating
from services.metrology.policy import Policy
from services.metrology.state import Meter, Shared, evolve_meter


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulings:
    """What a decision rests on besides its state: the table of limits, the policy, the register."""

    limits: ErrorLimits
    policy: Policy
    shared: Shared


@dataclass(slots=True)
class Draft:
    """Collects events about one meter; each changes the meter that the next ones see."""

    key: str
    meter: Meter
    by: Rulings
    emits: list[Emit] = field(default_factory=list)

    def own(self, body: Any) -> None:
        """An own event of the meter."""
        self.emits.append(Emit(body))
        self.meter = evolve_meter(self.meter, body)

    def tell(self, topic: str, key: str, body: Any) -> None:
        """The same for others, under their key."""
        self.emits.append(Emit(body, topic=topic, key=key))


def rating_of(meter: Meter) -> MeterRating | None:
    """What a meter is: by the newest note of the register, else by its delivery."""
    if not meter.notes:
        return meter.delivered
    newest = max(meter.notes.values(), key=lambda noted: (noted.version, noted.account_no))
    return MeterRating(accuracy_class=newest.accuracy_class, connection=newest.connection)
