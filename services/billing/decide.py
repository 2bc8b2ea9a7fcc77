"""What billing decides: which months can be billed, which bills are held, what is corrected.

    customers.agreements, validation.usage -> agreement_noted, opening_noted, usage_noted
    tariffs            -> book_adopted, and book_noted for every account it concerns
    metrology.findings -> case_noted, usage_adjusted
    payments.allocations -> late_fee_charged
    billing.requests   -> bill_released | release_rejected, invoice_issued
    calendar           -> bill_calculated, invoice_issued, price_awaited, correction_issued
                          feed_in_stated, feed_in_corrected, feed_in_withheld, charge_estimated

After an agreement, a book, an invoice or a correction the questions of the tariff audit are looked
at again: tariff_class_questioned, tariff_class_settled.

Bills are made and corrected on ticks only, from all that was noted until then: the order in which
books, agreements and usage arrived does not matter. Months are billed one after the other, because
a bill rests on the tier positions before it: a month that is held or withheld holds the later ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from libs.events.core import SHARED, Emit, Item, Tick, View
from services.billing.book_defects import defects
from services.billing.case_estimate import case_estimate
from services.billing.events import (
    BookAdopted,
    BookNoted,
    BookPublished,
    BookRejected,
    CaseNoted,
    CorrectionWithheld,
    OpeningNoted,
    ReleaseDecided,
    ReleaseRejected,
    TariffClassAccepted,
)
from services.billing.late_fees import dated, on_captured, on_reversed
from services.billing.meter_correction import adjusted, adjustment, adjustments, problem_of
from services.billing.month_input import is_of, price_lists_of
from services.billing.months import (
    PointMonth,
    month_span,
    revision_of,
)
from services.billing.payment_reactions import PaymentCaptured, PaymentReversed
from services.billing.policy import BillingPolicy
from services.billing.price_book import PriceBook, book_key, content_hash
from services.billing.reactions import (
    AccountOpened,
    AgreementPublished,
    CorrectionDecided,
    CorrectionProposed,
    UsageEstablished,
    agreement_noted,
    usage_noted,
)
from services.billing.state import (
    Account,
    Shared,
    evolve,
    is_closed,
)
from services.billing.statements import is_concerned as is_statement_concerned
from services.billing.tariff_questions import on_acceptance, questions_after
from services.billing.ticks import day_of, invoice, on_tick, released

RELEASE, HOLD = "release", "hold"
PROPOSED = "proposed"


def concerned(view: View, item: Item) -> Iterable[str]:
    """A tick concerns who is due; a book the partition and everybody who may be rated by it."""
    if isinstance(item.body, Tick):
        return view.keys_due(item.body.at)
    if isinstance(item.body, BookPublished):
        return [SHARED, *view.keys()]
    return (item.key,)


def decide(view: View, key: str, item: Item, policy: BillingPolicy) -> Sequence[Emit]:
    """What follows from an input, and from that for the questions of the tariff audit."""
    emits = _decided(view, key, item, policy)
    if key == SHARED:
        return emits
    account, today_on = view.get(key) or Account(), day_of(item.at)
    return [*emits, *questions_after(account, emits, view.shared, today_on, policy.audit)]


def _decided(view: View, key: str, item: Item, policy: BillingPolicy) -> Sequence[Emit]:
    """Dispatch by what came in."""
    body = item.body
    if isinstance(body, BookPublished):
        return _on_book(view, key, body, item.offset)
    account: Account = view.get(key) or Account()
    match body:
        case UsageEstablished():
            return list(_on_usage(account, key, body))
        case AgreementPublished():
            return _on_agreement(account, body)
        case AccountOpened():
            return _on_opening(account, body)
        case CorrectionProposed() | CorrectionDecided():
            return list(_on_case(account, key, body, view.shared, day_of(item.at)))
        case PaymentCaptured():
            return list(dated(on_captured(account, body, view.shared.books), item.at, policy))
        case PaymentReversed():
            return list(dated(on_reversed(account, body, view.shared.books), item.at, policy))
        case TariffClassAccepted():
            return [on_acceptance(account, body)]
        case ReleaseDecided():
            return list(_on_release(account, body, item.at, policy))
    assert isinstance(body, Tick), f"nothing is decided about {type(body).__name__}"
    return list(on_tick(account, key, view.shared, body.at, policy))


# -- what is noted --------------------------------------------------------------------------------


def _on_usage(account: Account, key: str, usage: UsageEstablished) -> Iterator[Emit]:
    """Note a day's usage, and what approved cases make of it; a known revision is silent."""
    month = usage.day_on[:7]
    known = account.months.get(month, {}).get(usage.usage_point, PointMonth())
    if is_closed(account, month):
        reason = f"closed: {usage.usage_point} {usage.day_on} came after the month was put away"
        withheld = CorrectionWithheld(
            account_no=key, cause="late_actual", months=(month,), reasons=(reason,)
        )
        yield Emit(withheld)
        return
    if usage.revision <= revision_of(known, usage.day_on):
        return
    noted = usage_noted(usage)
    yield Emit(noted)
    changed = evolve(account, noted).months[month][usage.usage_point]
    for _, case in sorted(account.cases.items()):
        if case.usage_point == usage.usage_point:
            before = adjustment(known, case, month, *month_span(month))
            after = adjustment(changed, case, month, *month_span(month))
            change = {name: wh - before.get(name, 0) for name, wh in after.items()}
            if any(change.values()):
                yield Emit(adjusted(case, month, change))


def _on_agreement(account: Account, published: AgreementPublished) -> Sequence[Emit]:
    """Note an agreement when it says something new that billing takes of it."""
    known, noted = account.agreement, agreement_noted(published)
    if known is not None:
        is_same = replace(known, version=noted.version) == noted
        if published.version <= known.version or is_same:
            return []
    return [Emit(noted)]


def _on_opening(account: Account, opened: AccountOpened) -> Sequence[Emit]:
    opening = opened.opening
    if account.opening is not None:
        return []
    return [
        Emit(
            OpeningNoted(
                account_no=opening.account_no,
                opening_id=opening.opening_id,
                billed_to_on=opening.as_of_on,
                tier_year_to_date_wh=opening.tier_year_to_date_wh,
            )
        )
    ]


def _on_book(view: View, key: str, published: BookPublished, offset: int) -> Sequence[Emit]:
    """Adopt the book, then tell every account that waits for it or was billed without it."""
    shared: Shared = view.shared
    book = published.book
    if key == SHARED:
        return _adopt(shared, published, offset)
    if shared.offsets.get(book_key(book)) != offset:
        return []  # this record was rejected, or repeats a book
    account: Account = view.get(key)
    if account.agreement is None or not (
        _is_concerned(account, book, shared) or is_statement_concerned(account, book, shared.books)
    ):
        return []
    noted = BookNoted(
        account_no=account.agreement.account_no,
        book=book_key(book),
        from_on=book.from_on,
        until_on=book.until_on,
    )
    return [Emit(noted)]


def _adopt(shared: Shared, published: BookPublished, offset: int) -> Sequence[Emit]:
    book, claimed = published.book, published.content_hash
    known, found = shared.books.get(book_key(book)), content_hash(book)
    problem = ""
    if found != claimed:
        problem = f"the content has the hash {found}"
    elif known is not None and content_hash(known) == found:
        return []  # published again
    elif known is not None:
        problem = "another book has this id and version; raise the version"
    else:
        problem = "; ".join(f"{each.field}: {each.problem}" for each in defects(book)[:1])
    if problem:
        return [Emit(BookRejected(book_id=book_key(book), content_hash=claimed, problem=problem))]
    return [Emit(BookAdopted(book=book, content_hash=claimed, offset=offset))]


def _is_concerned(account: Account, book: PriceBook, shared: Shared) -> bool:
    """Whether a bill waits, is held or was issued that this book may price."""
    assert account.agreement is not None
    terms = [dated.terms for dated in account.agreement.timeline if is_of(dated.terms, book)]
    wanted = {name for each in terms for name in price_lists_of(each)}
    versions = [each for each in shared.books.values() if each.id == book.id]
    if not any(wanted & each.price_lists.keys() for each in versions):
        return False
    if account.waiting or account.draft is not None:
        return True
    return any(
        book.from_on < each.bill.until_on and each.bill.from_on < book.until_on
        for each in account.issued
    )


def _on_case(
    account: Account,
    key: str,
    case: CorrectionProposed | CorrectionDecided,
    shared: Shared,
    today_on: str,
) -> Iterator[Emit]:
    """Note a case, a proposed one with what it would change; once it is decided it stays so. An
    approved one changes the energy at once."""
    known = account.cases.get(case.case_id)
    if known is not None and known.status != PROPOSED:
        return
    noted = CaseNoted(
        case_id=case.case_id,
        account_no=case.account_no,
        usage_point=case.usage_point,
        status=case.decision if isinstance(case, CorrectionDecided) else PROPOSED,
        error_e4_pct=case.error_e4_pct,
        rule=case.rule,
        from_on=case.from_on,
        to_on=case.to_on,
        kind=case.kind,
        factor_num=case.factor_num,
        factor_den=case.factor_den,
    )
    if known is not None and noted == replace(known, estimate=None):
        return
    if noted.status == PROPOSED:
        estimate = case_estimate(account, noted, key, shared.books, today_on)
        yield Emit(replace(noted, estimate=estimate))
        return
    yield Emit(replace(noted, problem=problem_of(account.months, noted)))
    yield from (Emit(change) for change in adjustments(account.months, noted))


# -- release --------------------------------------------------------------------------------------


def _on_release(
    account: Account, request: ReleaseDecided, now: str, policy: BillingPolicy
) -> Iterator[Emit]:
    """Release a held bill and issue it; the decision to hold it on leaves all as it is."""
    draft = account.draft
    if draft is None or draft.bill_id != request.bill_id:
        problem = "no such bill is held"
    elif request.decision not in (RELEASE, HOLD):
        problem = f"{request.decision!r} is no decision: {RELEASE} or {HOLD}"
    elif request.calculation not in (0, draft.calculation):
        problem = f"it was calculated anew: look at calculation {draft.calculation}"
    elif account.news or account.to_correct:
        problem = "something new came for it: look at it again when it is calculated anew"
    elif request.decision == HOLD:
        return
    else:
        yield Emit(released(draft, request.decided_by, request.reason))
        yield Emit(invoice(account, draft, now, policy))
        return
    yield Emit(
        ReleaseRejected(
            request_id=request.request_id,
            account_no=request.account_no,
            bill_id=request.bill_id,
            problem=problem,
        )
    )
