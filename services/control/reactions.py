"""What control reads of other services, in the fields it needs, and what that means for control.

The anti-corruption layer: foreign facts become own `..._noted` events here and nowhere else.

    payments.balance_changed         -> control.arrears_noted
    customers.agreement_published    -> control.account_noted
"""

from __future__ import annotations

from dataclasses import dataclass

from services.control.events import (
    AccountNoted,
    ArrearsNoted,
    HoldPlaced,
    PointNoted,
    TermsNoted,
    catalogue,
)
from services.control.instant import local_day
from services.control.policy import Policy
from services.control.state import Account

# -- payments.events ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDebt:
    """One debt as it stands."""

    invoice_no: str
    open_fen: int
    due_on: str


@catalogue.reads("payments.account_overdue")
@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOverdue:
    """Debts are past their due date, with all that are open."""

    account_no: str
    overdue_fen: int
    oldest_due_on: str
    debts: tuple[OpenDebt, ...]


@catalogue.reads("payments.balance_changed")
@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceChanged:
    """How an account stands after money moved, with all debts that are open."""

    account_no: str
    prepayment_fen: int
    overdue_fen: int
    debts: tuple[OpenDebt, ...]


@catalogue.reads("payments.clearance_granted")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceGranted:
    """The debt is still open, all notices before the fence being decided."""

    clearance_id: str
    account_no: str
    fence_offset: int
    open_fen: int
    valid_until_at: str


@catalogue.reads("payments.clearance_refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceRefused:
    """The debt is settled, or it cannot be said now."""

    clearance_id: str
    account_no: str
    fence_offset: int
    open_fen: int
    reason: str


@catalogue.reads("payments.clearance_withdrawn")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceWithdrawn:
    """Money arrived after the fence."""

    clearance_id: str
    account_no: str
    payment_id: str


@catalogue.reads("payments.payment_captured")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCaptured:
    """Money reached the account; how it stands then is told by balance_changed."""

    payment_id: str
    account_no: str
    amount_fen: int


def arrears_noted(body: AccountOverdue | BalanceChanged, account: Account) -> ArrearsNoted:
    """How the account stands, as an own event; an overdue notice says nothing of prepayment."""
    debts = sorted(body.debts, key=lambda debt: (debt.due_on, debt.invoice_no))
    prepayment = body.prepayment_fen if isinstance(body, BalanceChanged) else account.prepayment_fen
    return ArrearsNoted(
        account_no=body.account_no,
        overdue_fen=body.overdue_fen,
        oldest_due_on=debts[0].due_on if debts else "",
        invoice_nos=tuple(debt.invoice_no for debt in debts),
        open_fen=tuple(debt.open_fen for debt in debts),
        due_on=tuple(debt.due_on for debt in debts),
        prepayment_fen=prepayment,
    )


def says_nothing_new(event: ArrearsNoted, account: Account) -> bool:
    """Whether payments told what is known already."""
    known = tuple((debt.invoice_no, debt.open_fen, debt.due_on) for debt in account.debts)
    told = tuple(zip(event.invoice_nos, event.open_fen, event.due_on, strict=True))
    return (
        account.arrears_known
        and known == told
        and account.overdue_fen == event.overdue_fen
        and account.prepayment_fen == event.prepayment_fen
    )


# -- ingest.switching -----------------------------------------------------------------------------


@catalogue.reads("ingest.switching_reported")
@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchingReported:
    """The outcome of a device command, or a relay found otherwise than we left it."""

    command_id: str
    seq: int
    account_no: str
    usage_point: str
    action: str
    outcome: str
    state: str
    reason: str
    reported_at: str


# -- customers.agreements -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTerms:
    """The signed agreement of a prepaid account."""

    agreement_no: str
    signed_on: str
    credit_limit_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The agreement from a day on."""

    valid_from_on: str
    category: str
    payment_mode: str
    protected: str
    moved_out_on: str
    prepaid: SignedTerms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTerms:
    """A usage point under the agreement, from a day to a day ("" open)."""

    usage_point: str
    category: str
    from_on: str
    to_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchPoint:
    """How a point of the account is switched now."""

    usage_point: str
    meter_no: str
    address: str
    installed_from_at: str
    switching_method: str
    voltage_class: str
    area: str = ""


@catalogue.reads("customers.agreement_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementPublished:
    """The whole agreement timeline of an account, and how its points are switched now."""

    account_no: str
    version: int
    terms: tuple[Terms, ...]
    points: tuple[PointTerms, ...]
    switch_points: tuple[SwitchPoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningReceivable:
    """A debt that a running utility brings along."""

    invoice_no: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningHold:
    """A hold that is in force when the utility moves in."""

    usage_point: str
    reason: str
    since_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The part of an opening position that control needs."""

    opening_id: str
    account_no: str
    receivables: tuple[OpeningReceivable, ...]
    holds: tuple[OpeningHold, ...]


@catalogue.reads("customers.account_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpened:
    """The opening position of an account."""

    opening: Opening


def account_noted(body: AgreementPublished, now_at: str, policy: Policy) -> AccountNoted:
    """The agreement as control needs it."""
    terms = tuple(
        TermsNoted(
            valid_from_on=row.valid_from_on,
            category=row.category,
            protected=row.protected,
            payment_mode=row.payment_mode,
            moved_out_on=row.moved_out_on,
            prepaid_agreement_no=row.prepaid.agreement_no if row.prepaid else "",
            prepaid_signed_on=row.prepaid.signed_on if row.prepaid else "",
            credit_limit_fen=row.prepaid.credit_limit_fen if row.prepaid else 0,
        )
        for row in sorted(body.terms, key=lambda row: row.valid_from_on)
    )
    today = local_day(now_at, policy.utc_offset_minutes)
    present = Account(terms=terms).terms_on(today)
    return AccountNoted(
        account_no=body.account_no,
        version=body.version,
        category=present.category if present else "",
        protected=present.protected if present else "",
        payment_mode=present.payment_mode if present else "",
        points=tuple(_point_noted(point, body, today) for point in body.switch_points),
        terms=terms,
    )


def _point_noted(point: SwitchPoint, body: AgreementPublished, today: str) -> PointNoted:
    """A point with the days it belongs to the account: the stay of today, else the next one."""
    rows = [row for row in body.points if row.usage_point == point.usage_point]
    stays = _stays(rows)
    begun = [stay for stay in stays if stay[0] <= today]
    # A point that no row of the agreement names was never the account's.
    from_on, to_on = begun[-1] if begun else (stays or [("9999-12-31", "")])[0]
    categories = {row.category for row in rows if not row.to_on or row.to_on > today}
    return PointNoted(
        usage_point=point.usage_point,
        meter_no=point.meter_no,
        address=point.address,
        switching_method=point.switching_method,
        voltage_class=point.voltage_class,
        agreement_version=body.version,
        installed_from_at=point.installed_from_at,
        # Residential has the longer notice: it counts from when it is agreed.
        category="residential" if "residential" in categories else min(categories, default=""),
        from_on=from_on,
        to_on=to_on,
        area=point.area,
    )


def _stays(rows: list[PointTerms]) -> list[tuple[str, str]]:
    """From when to when a point belongs to the account: rows that adjoin are one stay."""
    stays: list[tuple[str, str]] = []
    for row in sorted(rows, key=lambda row: row.from_on):
        if stays and stays[-1][1] == row.from_on:
            stays[-1] = (stays[-1][0], row.to_on)
        else:
            stays.append((row.from_on, row.to_on))
    return stays


def opening_holds(body: AccountOpened, now_at: str, policy: Policy) -> tuple[HoldPlaced, ...]:
    """The holds a running utility brought along; arrears are about the debts it brought along.

    A hold for a reason we do not know is kept, owned by the unit `unknown`: nobody loses it.
    """
    opening = body.opening
    debts = tuple(receivable.invoice_no for receivable in opening.receivables)
    return tuple(
        HoldPlaced(
            usage_point=hold.usage_point,
            account_no=opening.account_no,
            reason=hold.reason,
            owner=policy.unit_of(hold.reason),
            placed_at=now_at,
            invoice_nos=debts if hold.reason == "arrears" else (),
        )
        for hold in opening.holds
    )
