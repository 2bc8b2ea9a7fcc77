"""What a rule found: its name, how bad it is, the numbers that led to it, and the slots concerned.

A slot is what is judged: a day, an interval by its end, or a register. The status of a slot is the
worst of its findings (domain.md §2, status model); a finding without slots is about all of them.

    slot_status(("00:15", "00:30"), (Finding(rule="spike", severity="fail", slots=("00:30",)),))
    -> {"00:15": "pass", "00:30": "fail"}
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

PASS = "pass"  # noqa: S105 - a severity, no secret
WARN = "warn"
FAIL = "fail"

_RANK = {PASS: 0, WARN: 1, FAIL: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one rule on one subject.

    `numbers` holds exact decimal strings by name, the unit last (`highest_wh`); `text` is one
    sentence for a person. A `warn` is accepted and shown, a `fail` keeps the value out of a bill.
    """

    rule: str
    severity: str
    numbers: dict[str, str] = field(default_factory=dict)
    text: str = ""
    slots: tuple[str, ...] = ()


def worst(findings: Iterable[Finding]) -> str:
    """The worst severity among findings; `pass` when there are none."""
    return max((finding.severity for finding in findings), key=_RANK.__getitem__, default=PASS)


def slot_status(slots: Iterable[str], findings: tuple[Finding, ...]) -> dict[str, str]:
    """The status of each slot: the worst of the findings about it or about all slots."""
    return {
        slot: worst(found for found in findings if not found.slots or slot in found.slots)
        for slot in slots
    }
