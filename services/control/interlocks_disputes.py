"""Interlocks of what is in doubt: nobody is cut for a debt that may yet be corrected."""

from __future__ import annotations

from services.control.facts import Facts, Finding, interlock, listed
from services.control.policy import Policy


@interlock(
    reads=("corrections",),
    rule="DESIGN 5: a failed meter opens a correction case; UNCONFIRMED: nobody is cut meanwhile",
    zh="无未决的计量更正案",
    en="no correction of the account's usage is open",
)
def no_correction_open(facts: Facts, policy: Policy) -> Finding:
    """No correction case of metrology for this account waits for its decision."""
    looked_at = f"corrections open: {listed(facts.corrections)}"
    return looked_at, "a correction is not decided" if facts.corrections else ""


@interlock(
    reads=("disputes",),
    rule="issue of relay safety: no open dispute; UNCONFIRMED: nobody is cut meanwhile",
    zh="无未决的用户异议",
    en="no dispute of the customer is open",
)
def no_open_dispute(facts: Facts, policy: Policy) -> Finding:
    """No dispute of the account waits for its decision."""
    looked_at = f"disputes open: {listed(each.dispute_id for each in facts.disputes)}"
    return looked_at, "a dispute is not decided" if facts.disputes else ""
