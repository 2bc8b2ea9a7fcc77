"""Questions of the tariff audit about an account: asked, kept up to date, settled.

    400 kVA at 10 kV on a single-part list, billed for February
        tariff_class_questioned A1-T001    two_part_from_315, 2026-02, 1,234.56 yuan at stake
    the agreement is put on the two-part list
        tariff_class_settled A1-T001       agreement_changed

What stands is judged by the agreement as it was noted last, the money by the issued months that
were billed on a class that the rule contradicts. Both are looked at again whenever the agreement, a
book of the account or what was billed changes: the order in which these came does not matter. A
person may accept a class; it is not asked about again until another one stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from libs.events.core import Emit
from libs.tou_calendar import book_on
from services.billing.audit_rules import AuditRules
from services.billing.bill import RatingPart
from services.billing.events import (
    AgreementNoted,
    BookNoted,
    CorrectionIssued,
    InvoiceIssued,
    TariffAcceptanceRejected,
    TariffClassAccepted,
    TariffClassQuestioned,
    TariffClassSettled,
)
from services.billing.month_input import is_of, price_lists_of
from services.billing.months import add_days
from services.billing.standing_questions import ACCEPTED, AGREEMENT_CHANGED, NOT_FOUND
from services.billing.state import Account, Shared, evolve
from services.billing.tariff_audit import AtStake, Contradiction, contradictions, month_at_stake

CHANGES = (AgreementNoted, BookNoted, InvoiceIssued, CorrectionIssued)
"""Own events after which an account is looked at again."""


def questions_after(
    account: Account, emits: Sequence[Emit], shared: Shared, today_on: str, audit: AuditRules
) -> Iterator[Emit]:
    """What the events of a decision make of the questions about the account."""
    if not any(isinstance(emit.body, CHANGES) for emit in emits):
        return
    for emit in emits:
        account = evolve(account, emit.body)
    found = {each.key: each for each in _standing(account, shared, today_on, audit)}
    is_agreement = any(isinstance(emit.body, AgreementNoted) for emit in emits)
    for key, question in account.questions.items():
        if key not in found:
            reason = AGREEMENT_CHANGED if is_agreement else NOT_FOUND
            yield Emit(_settled(question.asked, reason))
    count = account.question_count
    for key, each in found.items():
        known = account.questions.get(key)
        is_new = known is None or known.is_accepted
        if known is not None and known.is_accepted and _is_same(known.asked, each):
            continue
        number = f"{_account_no(account)}-T{count + 1:03d}"
        audit_id = number if known is None or is_new else known.asked.audit_id
        asked = _asked(account, each, audit_id, shared, audit)
        if known is None or asked != known.asked:
            count += is_new
            yield Emit(asked)


def on_acceptance(account: Account, request: TariffClassAccepted) -> Emit:
    """A person accepts the class that stands."""
    for each in account.questions.values():
        if each.asked.audit_id == request.audit_id and not each.is_accepted:
            return Emit(_settled(each.asked, ACCEPTED, request.decided_by, request.reason))
    return Emit(
        TariffAcceptanceRejected(
            request_id=request.request_id,
            account_no=request.account_no,
            audit_id=request.audit_id,
            problem="no such question stands",
        )
    )


def _standing(
    account: Account, shared: Shared, today_on: str, audit: AuditRules
) -> list[Contradiction]:
    """What the agreement as it was noted last contradicts, on the first day of its newest terms or
    today, whichever is later."""
    agreement = account.agreement
    if agreement is None or not agreement.timeline:
        return []
    newest = agreement.timeline[-1]
    on = max(today_on, newest.from_on)
    if agreement.moved_out_on and agreement.moved_out_on <= on:
        return []
    near = [book for book in shared.books.values() if is_of(newest.terms, book)]
    book = book_on(near, price_lists_of(newest.terms), on)
    return contradictions(newest.terms, book, (on, add_days(on, 1)), audit)


def _account_no(account: Account) -> str:
    assert account.agreement is not None, "a question is about an agreement"
    return account.agreement.account_no


def _is_same(asked: TariffClassQuestioned, found: Contradiction) -> bool:
    return (asked.stands, asked.expected) == (found.stands, found.expected)


def _asked(
    account: Account, found: Contradiction, audit_id: str, shared: Shared, audit: AuditRules
) -> TariffClassQuestioned:
    months = list(_months(account, found.key, shared, audit))
    return TariffClassQuestioned(
        account_no=_account_no(account),
        audit_id=audit_id,
        rule=found.rule,
        point=found.point,
        stands=found.stands,
        expected=found.expected,
        months=tuple(each.month for each in months if not each.problem),
        at_stake_fen=sum(each.amount_fen for each in months),
        problem=next((each.problem for each in months if each.problem), ""),
        rules_version=audit.id,
        unconfirmed=audit.rules[found.rule].is_unconfirmed,
    )


def _months(account: Account, key: str, shared: Shared, audit: AuditRules) -> Iterator[AtStake]:
    for issued in account.issued[-audit.months :]:
        parts = [RatingPart(each.usage, shared.books[each.book], each.terms)
                 for each in issued.inputs]  # fmt: skip
        found = month_at_stake(parts, issued.bill, key, audit, shared.books.values())
        if found is not None:
            yield found


def _settled(
    asked: TariffClassQuestioned, reason: str, decided_by: str = "", note: str = ""
) -> TariffClassSettled:
    return TariffClassSettled(
        account_no=asked.account_no,
        audit_id=asked.audit_id,
        rule=asked.rule,
        point=asked.point,
        reason=reason,
        decided_by=decided_by,
        note=note,
    )
