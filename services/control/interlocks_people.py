"""Interlocks of people: who may not be cut, and who must have agreed to it."""

from __future__ import annotations

from services.control.facts import Facts, Finding, interlock, listed
from services.control.identifiers import identity
from services.control.instant import local_day, parse_day
from services.control.policy import Policy


@interlock(
    reads=("protected", "category"),
    rule="domain.md 5: who may not be cut",
    zh="非受保护用户",
    en="the customer is not protected",
)
def not_protected(facts: Facts, policy: Policy) -> Finding:
    """The customer is not protected from cuts, and the terms in force are known."""
    looked_at = f"protected {facts.protected!r}, category {facts.category!r}"
    problem = f"protected: {facts.protected}" if facts.protected else ""
    if not facts.category:
        problem = "no terms are in force"
    return looked_at, problem


@interlock(
    reads=("requester", "reviewer", "unit_head"),
    rule="domain.md 5: Art. 67; DESIGN 5",
    zh="申请、审核、批准为不同三人",
    en="three different people asked and approved",
)
def approvals_by_three_different_people(facts: Facts, policy: Policy) -> Finding:
    """Requester, reviewer and head of the unit are three people (Art. 67; DESIGN 5)."""
    people = (facts.requester, facts.reviewer, facts.unit_head)
    looked_at = "requester {}, reviewer {}, unit head {}".format(
        *(person or "nobody" for person in people)
    )
    different = {identity(person) for person in people} - {""}
    problem = "" if len(different) == 3 else "not three different people"
    return looked_at, problem


@interlock(
    reads=("now_at", "protections"),
    terms=("utc_offset_minutes",),
    rule="domain.md 5: protected_until with approver and legal basis",
    zh="不在临时保护期内",
    en="no protection for a time is in force",
)
def no_protection_in_force(facts: Facts, policy: Policy) -> Finding:
    """Every protection that somebody approved for a time is over; its last day is protected."""
    looked_at = "protections: " + listed(
        f"{each.kind} until {each.until_on or 'further notice'} by {each.approved_by} "
        f"({each.legal_basis})"
        for each in facts.protections
    )
    today = parse_day(local_day(facts.now_at, policy.utc_offset_minutes), "now_at")
    in_force = [
        each.kind
        for each in facts.protections
        if not each.until_on or parse_day(each.until_on, "until_on") >= today
    ]
    return looked_at, f"protected: {listed(in_force)}" if in_force else ""
