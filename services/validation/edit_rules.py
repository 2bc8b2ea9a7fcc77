"""Who may edit, for which reasons, against what, and when a second person is needed: as data.

EditRules().outranks("meter_fault")      True: such an edit holds against the register
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.errors import BadInput
from libs.events.policy import UNCONFIRMED, Term

FINAL = "final"
ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class EditRules:
    """What edits are judged by. EDIT_TERMS says what each value means."""

    reasons: tuple[str, ...] = (
        "bad_estimate",
        "field_evidence",
        "meter_fault",
        "tampering",
        "wrong_register",
    )
    outranking: tuple[str, ...] = ("meter_fault", "tampering", "wrong_register")
    second_person: str = FINAL
    editor_roles: tuple[str, ...] = ("editor", "approver")
    approver_roles: tuple[str, ...] = ("approver",)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.outranking) - set(self.reasons))
        if unknown:
            problem = f"{unknown[0]!r} is none of the reasons"
            raise BadInput("outranking", problem, "name it in reasons as well")
        if self.second_person not in (FINAL, ALWAYS):
            problem = f"{self.second_person!r} is not known"
            raise BadInput("second_person", problem, f"give {FINAL} or {ALWAYS}")

    def outranks(self, reason_code: str) -> bool:
        """Whether an edit with this reason holds against the register."""
        return reason_code in self.outranking


EDIT_TERMS: dict[str, Term] = {
    "edits.reasons": Term(
        "the codes of reasons for which a person may edit a day's usage",
        f"{UNCONFIRMED}: our list; domain.md 2 asks for a reason",
    ),
    "edits.outranking": Term(
        "those that say that the register is wrong: an edit holds against it (domain.md 2 rule 18)",
        f"{UNCONFIRMED}: with any other reason days must add up to the register",
    ),
    "edits.second_person": Term(
        f"when a second person must approve: {FINAL} (settled, or approved before) or {ALWAYS}",
        f"{UNCONFIRMED}: what is final for billing needs two",
    ),
    "edits.editor_roles": Term("the roles of people who may edit", UNCONFIRMED),
    "edits.approver_roles": Term("the roles of people who may approve", UNCONFIRMED),
}
"""What each value means and where it comes from."""
