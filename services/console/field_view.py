"""The page's section on the field: remote reading, line losses, broken seals.

view = FieldView()
view.note(envelope, record.value)
view.document()["groups"]["concentrator"]["worst"][0]["key"]     who misses the largest share
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from libs.events.codec import Codec
from libs.events.errors import Undecodable
from libs.events.record import Envelope
from libs.read_success import GROUPS, PERCENT_E2, ReadRate, add_rates
from services.console.case_view import CaseView
from services.console.policy import DEFAULT_POLICY, ReadRules
from services.console.reactions import catalogue
from services.console.read_view import ReadView


@dataclass(slots=True)
class FieldView:
    """Folds the types of reactions.py; others, and what cannot be decoded, pass."""

    rules: ReadRules = DEFAULT_POLICY
    reads: ReadView = field(init=False)
    cases: CaseView = field(init=False)
    codec: Codec = field(init=False)

    def __post_init__(self) -> None:
        self.reads = ReadView(self.rules)
        self.cases = CaseView(self.rules.shown_days)
        self.codec = Codec(catalogue)

    def note(self, envelope: Envelope, value: bytes) -> None:
        """Fold one event."""
        if not self.codec.knows(envelope.type):
            return
        try:
            body = self.codec.decode(envelope.type, value)
        except Undecodable:
            return
        self.reads.note(body, envelope.time)
        self.cases.note(body)

    def document(self) -> dict[str, Any]:
        """The section's data; stable, also served as JSON."""
        return {
            "days": [{"day_on": rate.day_on, **_shown([rate])} for rate in self.reads.rates("")],
            "groups": {by: self._groups(by) for by in GROUPS},
            "loss_alarms": self.cases.alarms(),
            "seal_cases": self.cases.seals(),
        }

    def _groups(self, by: str) -> dict[str, Any]:
        """The groups that miss the largest share first, each with its days."""
        found: dict[str, list[ReadRate]] = {}
        for rate in self.reads.rates(by):
            found.setdefault(rate.key, []).append(rate)
        rows = [
            {
                "key": key,
                **_shown(rates),
                "days": [{"day_on": rate.day_on, **_shown([rate])} for rate in rates],
            }
            for key, rates in found.items()
        ]
        rows.sort(key=lambda row: (-row["missing"] * PERCENT_E2 // row["expected"], row["key"]))
        most = self.rules.shown_groups
        return {"worst": rows[:most], "left_out": max(0, len(rows) - most)}


def _shown(rates: Iterable[ReadRate]) -> dict[str, Any]:
    """The counts of one group added up, with its rates."""
    (total,) = add_rates({}, rates).values()
    return total.shown()
