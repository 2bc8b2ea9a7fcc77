"""What the interlocks look at, and what an interlock is.

An interlock is a named function over plain data. It declares which fields of `Facts` and which
values of the policy it reads, so that what it can depend on is known without running it: a test
changes everything else and sees the same verdict.

    @interlock(reads=("locks",), rule="DESIGN 5", zh="无人挂锁", en="nobody locked the point")
    def nobody_locked(facts: Facts, policy: Policy) -> Finding:
        return f"locked by {facts.locks}", "it is locked" if facts.locks else ""

    nobody_locked.verdict(facts, policy)     InterlockVerdict(name="nobody_locked", ...)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from libs.events.errors import BadInput
from services.control.events import InterlockVerdict, PointNoted
from services.control.policy import TERMS, Policy
from services.control.prepaid_state import Available, BalanceWarning, PrepaidAgreement
from services.control.safety_facts import (
    Contact,
    Dispute,
    Match,
    Protection,
    Service,
    Weather,
)
from services.control.state import Clearance, Debt, Permit

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the interlocks look at. Whoever fills in nothing gets every interlock to deny.

    moved_out_on, protected, category: of the terms in force; invoice_nos: the debt acted on;
    noticed, noticed_fen: the debt the written notice names; case_meter_no, case_installed_at: what
    was installed when the case was opened; locks: who locked the point; holds: reasons in force;
    under_way: the command whose outcome is to come, "" for none; kept: the command that keeps the
    point supplied, "" for none; prepaid, available, warnings: of who pays ahead.
    """

    now_at: str
    category: str = ""
    protected: str = UNKNOWN
    moved_out_on: str = ""
    version: int = 0
    arrears_known: bool = False
    debts: tuple[Debt, ...] = ()
    invoice_nos: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()
    noticed_fen: int = 0
    window_from_at: str = ""
    window_to_at: str = ""
    expires_at: str = ""
    served_at: str = ""
    final_served_at: str = ""
    requester: str = ""
    reviewer: str = ""
    unit_head: str = ""
    point: PointNoted | None = None
    case_meter_no: str = ""
    case_installed_at: str = ""
    other_case: str = UNKNOWN
    cut: bool = True
    holds: tuple[str, ...] = (UNKNOWN,)
    locks: tuple[str, ...] = (UNKNOWN,)
    under_way: str = UNKNOWN
    clearance: Clearance | None = None
    permit: Permit | None = None
    corrections: tuple[str, ...] = (UNKNOWN,)
    open_orders: tuple[str, ...] = (UNKNOWN,)
    disputes: tuple[Dispute, ...] = (Dispute(dispute_id=UNKNOWN, raised_by=""),)
    protections: tuple[Protection, ...] = (
        Protection(kind=UNKNOWN, until_on="", approved_by="", legal_basis=""),
    )
    weather: tuple[Weather, ...] = ()
    contact: Contact | None = None
    matched: Match | None = None
    notice_form: Service | None = None
    final_form: Service | None = None
    kept: str = UNKNOWN
    prepaid: PrepaidAgreement | None = None
    available: Available | None = None
    warnings: tuple[BalanceWarning, ...] = ()


Finding = tuple[str, str]
"""What an interlock looked at, and what is wrong with it; "" when nothing is."""

KINDS = ("categories", "utc_offset_minutes")
"""Values that say what a home or a day is, not where a rule comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interlock:
    """One interlock: a name, what it reads, where it comes from, how people call it.

    reads: fields of `Facts`; terms: values of the policy, by their paths in `policy.TERMS`; source:
    where the rule and the defaults of its values come from; zh, en: what it asserts.
    """

    name: str
    reads: tuple[str, ...]
    terms: tuple[str, ...]
    source: str
    zh: str
    en: str
    find: Callable[[Facts, Policy], Finding]

    def verdict(self, facts: Facts, policy: Policy) -> InterlockVerdict:
        """It allows when there is no problem; what cannot be read denies."""
        try:
            looked_at, problem = self.find(facts, policy)
        except BadInput as unreadable:
            looked_at, problem = "unreadable", str(unreadable)
        return InterlockVerdict(
            name=self.name,
            allows=not problem,
            looked_at=looked_at,
            reason=problem,
            source=self.source,
        )


def interlock(
    *, reads: tuple[str, ...], zh: str, en: str, terms: tuple[str, ...] = (), rule: str = ""
) -> Callable[[Callable[[Facts, Policy], Finding]], Interlock]:
    """Make an interlock of a function; `rule` is the source of what no value of the policy says."""
    sources = [rule] if rule else []
    sources += [TERMS[term].source for term in terms if term not in KINDS]
    assert sources, f"{en} has no source"

    def made(find: Callable[[Facts, Policy], Finding]) -> Interlock:
        return Interlock(
            name=find.__name__,
            reads=reads,
            terms=terms,
            source="; ".join(dict.fromkeys(sources)),
            zh=zh,
            en=en,
            find=find,
        )

    return made


def listed(parts: Iterable[str]) -> str:
    """Some words in a row."""
    return ", ".join(parts) or "none"
