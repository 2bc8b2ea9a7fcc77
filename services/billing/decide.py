"""What billing decides: which months can be billed, which bills are held, what is corrected.

    customers.agreements, validation.usage -> agreement_noted, opening_noted, usage_noted
    tariffs            -> book_adopted, and book_noted for every account it concerns
    metrology.findings -> case_noted, usage_adjusted
    billing.requests   -> bill_released | release_rejected, invoice_issued
    calendar           -> bill_calculated, invoice_issued, price_awaited, correction_issued

Bills are made and corrected on ticks only, from all that was noted until then: the order in which
books, agreements and usage arrived does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from libs.events.core import SHARED, Emit, Item, Tick, View
from services.billing.bill import Bill, RatingPart
from services.billing.bill_checks import AUTOMATIC, check_bill, release_of
from services.billing.correction import Change, RatingInput, correct
from services.billing.events import (
    BillCalculated,
    BillReleased,
    BillWithheld,
    BookAdopted,
    BookNoted,
    BookPublished,
    BookRejected,
    CaseNoted,
    CorrectionIssued,
    CorrectionWithheld,
    InvoiceIssued,
    OpeningNoted,
    PriceAwaited,
    ReleaseDecided,
    ReleaseRejected,
)
from services.billing.meter_correction import adjustments
from services.billing.months import (
    Incomplete,
    NoBook,
    add_days,
    book_of,
    first_day,
    month_inputs,
    next_month,
    span_of,
)
from services.billing.policy import DEFAULT, BillingPolicy
from services.billing.price_book import PriceBook, book_key, content_hash
from services.billing.rating import rate_parts
from services.billing.reactions import (
    AccountOpened,
    AgreementPublished,
    CorrectionDecided,
    CorrectionProposed,
    UsageEstablished,
    agreement_noted,
    usage_noted,
)
from services.billing.state import Account, Shared
from services.billing.tiers import TierPosition

POLICY: BillingPolicy = DEFAULT
ZONE = timedelta(hours=8)


def concerned(view: View, item: Item) -> Iterable[str]:
    """A tick concerns who is due; a book the partition and everybody who may be rated by it."""
    if isinstance(item.body, Tick):
        return view.keys_due(item.body.at)
    if isinstance(item.body, BookPublished):
        return [SHARED, *view.keys()]
    return (item.key,)


def decide(view: View, key: str, item: Item) -> Sequence[Emit]:
    """Dispatch by what came in."""
    body = item.body
    if isinstance(body, BookPublished):
        return _on_book(view, key, body)
    account: Account = view.get(key) or Account()
    match body:
        case UsageEstablished():
            return [Emit(usage_noted(body))]
        case AgreementPublished():
            return _on_agreement(account, body)
        case AccountOpened():
            return _on_opening(account, body)
        case CorrectionProposed() | CorrectionDecided():
            return list(_on_case(account, body))
        case ReleaseDecided():
            return list(_on_release(account, body, item.at))
        case Tick():
            return list(_on_tick(account, key, view.shared, body.at))
    return []


# -- what is noted --------------------------------------------------------------------------------


def _on_agreement(account: Account, published: AgreementPublished) -> Sequence[Emit]:
    known = account.agreement
    if known is not None and published.version <= known.version:
        return []
    return [Emit(agreement_noted(published))]


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


def _on_book(view: View, key: str, published: BookPublished) -> Sequence[Emit]:
    """Adopt the book, then tell every account that waited for it or was billed without it."""
    shared: Shared = view.shared
    book = published.book
    if key == SHARED:
        return _adopt(shared, published)
    if shared.books.get(book_key(book)) != book:
        return []  # it was rejected
    account: Account = view.get(key)
    if account.agreement is None or not _is_concerned(account, book, shared):
        return []
    return [Emit(BookNoted(account_no=account.agreement.account_no, book=book_key(book)))]


def _adopt(shared: Shared, published: BookPublished) -> Sequence[Emit]:
    book, claimed = published.book, published.content_hash
    known = shared.books.get(book_key(book))
    if known is not None and content_hash(known) == content_hash(book):
        return []  # published again
    problem = ""
    if content_hash(book) != claimed:
        problem = f"the content has the hash {content_hash(book)}"
    elif known is not None:
        problem = "another book has this id and version; raise the version"
    if problem:
        return [Emit(BookRejected(book_id=book_key(book), content_hash=claimed, problem=problem))]
    return [Emit(BookAdopted(book=book, content_hash=claimed))]


def _is_concerned(account: Account, book: PriceBook, shared: Shared) -> bool:
    """Whether the account waits for a price, or has bills in the book's days by the same id."""
    assert account.agreement is not None
    terms = account.agreement.timeline[-1].terms if account.agreement.timeline else None
    if terms is None or book_of(terms, [book]) is None:
        return False
    if account.waiting:
        return True
    return any(
        bill.bill.until_on > book.from_on
        and (not book.until_on or bill.bill.from_on < book.until_on)
        for bill in account.issued
    )


def _on_case(account: Account, case: CorrectionProposed | CorrectionDecided) -> Iterator[Emit]:
    known = account.cases.get(case.case_id)
    status = case.decision if isinstance(case, CorrectionDecided) else "proposed"
    if known is not None and status in (known.status, "proposed"):
        return
    yield Emit(
        CaseNoted(
            case_id=case.case_id,
            account_no=case.account_no,
            usage_point=case.usage_point,
            status=status,
            error_e4_pct=case.error_e4_pct,
            rule=case.rule,
            from_on=case.from_on,
            to_on=case.to_on,
        )
    )
    if status == "approved":
        yield from (Emit(change) for change in adjustments(account, case))


# -- release --------------------------------------------------------------------------------------


def _on_release(account: Account, request: ReleaseDecided, now: str) -> Iterator[Emit]:
    draft = account.draft
    problem = ""
    if draft is None or draft.bill_id != request.bill_id:
        problem = "no such bill is held"
    elif request.decision not in ("release", "hold"):
        problem = f"{request.decision!r} is no decision: release or hold"
    elif request.decided_by in account.released_by:
        problem = f"{request.decided_by} released it already"
    if problem or draft is None:
        yield Emit(
            ReleaseRejected(
                request_id=request.request_id,
                account_no=request.account_no,
                bill_id=request.bill_id,
                problem=problem,
            )
        )
        return
    if request.decision == "hold":
        return
    yield Emit(_released(draft, request.decided_by, request.reason))
    yield Emit(_invoice(account, draft, now))


def _released(draft: BillCalculated, released_by: str, reason: str) -> BillReleased:
    return BillReleased(
        bill_id=draft.bill_id,
        account_no=draft.account_no,
        month=draft.month,
        released_by=released_by,
        reason=reason,
    )


def _invoice(account: Account, draft: BillCalculated, now: str) -> InvoiceIssued:
    issued_on = day_of(now)
    assert account.agreement is not None
    return InvoiceIssued(
        invoice_no=f"{draft.account_no}-{draft.month}",
        bill_id=draft.bill_id,
        account_no=draft.account_no,
        month=draft.month,
        inputs=draft.inputs,
        bill=draft.bill,
        total_fen=draft.total_fen,
        issued_on=issued_on,
        due_on=add_days(issued_on, POLICY.pay_within_days),
        language=account.agreement.timeline[-1].terms.language,
    )


# -- ticks: bills and corrections -----------------------------------------------------------------


def _on_tick(account: Account, key: str, shared: Shared, now: str) -> Iterator[Emit]:
    if account.agreement is None:
        return
    if account.to_correct:
        # The round moves tier positions: the next bill is made of them, at the next tick.
        yield from _correct(account, key, shared, now)
        return
    month = month_to_bill(account)
    if month and bill_at(month) <= now:
        yield from _bill(account, key, month, shared, now)


def _bill(account: Account, key: str, month: str, shared: Shared, now: str) -> Iterator[Emit]:
    """Calculate the month anew when something is new; issue it when nothing holds it."""
    if not account.news:
        return
    inputs = month_inputs(account, month, shared.books)
    if isinstance(inputs, Incomplete):
        return
    if isinstance(inputs, NoBook):
        if account.waiting != month:
            yield Emit(PriceAwaited(account_no=key, month=month, price_list=inputs.price_list))
        return
    bill = rate_parts(_parts(inputs, shared), tiers_before(account, month))
    if bill.withheld:
        yield Emit(BillWithheld(account_no=key, month=month, reasons=reasons_of(bill)))
        return
    draft = account.draft
    if draft is not None and (draft.month, draft.inputs, draft.bill) == (month, inputs, bill):
        return
    hits = check_bill(bill, account.history, POLICY.checks)
    calculated = BillCalculated(
        bill_id=f"{key}-{month}",
        account_no=key,
        month=month,
        calculation=draft.calculation + 1 if draft is not None else 1,
        inputs=inputs,
        bill=bill,
        total_fen=bill.total_fen,
        hits=hits,
    )
    yield Emit(calculated)
    if release_of(hits) == AUTOMATIC:
        yield Emit(_released(calculated, AUTOMATIC, "no check hit"))
        yield Emit(_invoice(account, calculated, now))


def _correct(account: Account, key: str, shared: Shared, now: str) -> Iterator[Emit]:
    """One numbered round for all months whose inputs changed since they were issued."""
    changes = []
    for issued in account.issued:
        month = issued.bill.period
        if month not in account.to_correct:
            continue
        inputs = month_inputs(account, month, shared.books)
        if not isinstance(inputs, (Incomplete, NoBook)) and inputs != issued.inputs:
            changes.append(Change(bill_id=issued.bill_id, inputs=inputs))
    months = tuple(sorted(account.to_correct))
    cause = account.to_correct[months[0]]
    done = None
    if changes:
        done = correct(
            account.issued,
            changes,
            shared.books,
            number=account.round_no + 1,
            cause=cause,
            references=months,
            opening=tiers_before(account, account.issued[0].bill.period),
        )
    if done is None or done.withheld:
        reasons = reasons_of(done) if done is not None else ("no difference",)
        yield Emit(CorrectionWithheld(account_no=key, cause=cause, months=months, reasons=reasons))
        return
    issued_on = day_of(now)
    yield Emit(
        CorrectionIssued(
            correction_no=f"{key}-K{done.number:03d}",
            round_no=done.number,
            account_no=key,
            cause=cause,
            reference=",".join(months),
            correction=done,
            difference_fen=done.total_fen,
            issued_on=issued_on,
            due_on=add_days(issued_on, POLICY.pay_within_days),
        )
    )


def _parts(inputs: Sequence[RatingInput], shared: Shared) -> tuple[RatingPart, ...]:
    return tuple(RatingPart(each.usage, shared.books[each.book], each.terms) for each in inputs)


def reasons_of(bill: Bill | object) -> tuple[str, ...]:
    """Why a bill or a round is withheld, one line each."""
    findings = [f"{found.rule}: {found.text}" for found in getattr(bill, "findings", ())]
    gaps = [f"not_yet_rated {gap.what}: {gap.reason}" for gap in getattr(bill, "not_yet_rated", ())]
    return (*findings, *gaps)


def tiers_before(account: Account, month: str) -> dict[str, TierPosition]:
    """The tier positions before a month: from the bills before it, or from the opening."""
    positions: dict[str, TierPosition] = {}
    opening = account.opening
    if opening is not None and account.agreement is not None and account.agreement.timeline:
        for point in account.agreement.timeline[-1].terms.points[:1]:
            year = opening.billed_to_on[:4]
            positions[point.point] = TierPosition(key=year, used_wh=opening.tier_year_to_date_wh)
    for issued in account.issued:
        if issued.bill.period < month:
            positions |= issued.bill.tiers_after
    return positions


def month_to_bill(account: Account) -> str:
    """The first month that is not billed, "" when there is none under the agreement."""
    agreement = account.agreement
    if agreement is None or not agreement.timeline:
        return ""
    month = (
        next_month(account.billed_to) if account.billed_to else agreement.timeline[0].from_on[:7]
    )
    return month if span_of(agreement, month) is not None else ""


def bill_at(month: str) -> str:
    """The instant from which a month is billed."""
    begin = datetime.fromisoformat(first_day(next_month(month)))
    begin += timedelta(days=POLICY.bill_after_days)
    return (begin - ZONE).strftime("%Y-%m-%dT%H:%M:%SZ")


def day_of(at: str) -> str:
    """The day in the utility's zone in which an instant lies."""
    return (datetime.fromisoformat(at[:-1]) + ZONE).date().isoformat()


def due(state: Account) -> str:
    """When a tick must look at the account: its next bill, or at once for a correction."""
    if state.to_correct:
        return "0001-01-01T00:00:00Z"
    month = month_to_bill(state)
    if not month or not state.news:
        return ""
    return bill_at(month)
