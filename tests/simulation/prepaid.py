"""Accounts that pay ahead in the simulated towns of payments and control."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from libs.events.registry import Catalogue
from services.control.prepaid import AvailableChanged, BalanceLow
from services.control.reactions import BalanceChanged, PaymentCaptured
from services.payments import prepaid_events as prepaid
from services.payments.reactions import (
    AgreementPublished,
    ChargeEstimated,
    InvoiceIssued,
    SignedTerms,
    Terms,
)
from tests.unit.control.samples import WINDOW_FROM

NAME = "pays ahead"
MONTHS = ("2026-02", "2026-03")
SIGNED = SignedTerms(credit_limit_fen=500, warn1_fen=3_000, warn2_fen=1_000)


# -- control ---------------------------------------------------------------------------------------


def left(account: str, available_fen: int, until_on: str, *warned: str) -> AvailableChanged:
    return AvailableChanged(
        account_no=account,
        available_fen=available_fen,
        estimate_until_on=until_on,
        missing_days=0,
        estimated_days=0,
        warned=warned,
    )


def steps(town: Any, account: str, phase: int) -> Iterator[Callable[[], None]]:
    """Low and warned twice, beyond its credit, cut in the window, back by a top-up."""
    if phase == 1:
        yield lambda: _tell(
            town,
            account,
            left(account, 900, "2026-03-02"),
            *(
                BalanceLow(
                    account_no=account,
                    stage=stage,
                    available_fen=900,
                    threshold_fen=1_000,
                    as_of=town.now,
                )
                for stage in ("warn1", "warn2", "zero")
            ),
        )
    elif phase == 3:
        for stage in ("warn1", "warn2"):
            served = {"stage": stage, "channel": "letter", "recipient": "she", "evidence": "slip"}
            served["served_at"] = town.now
            yield partial(town.ask, account, "serve_warning", "server", served)
    elif phase == 4:
        yield lambda: _beyond(town, account)
    elif phase == 5:
        for role in ("reviewer", "unit_head"):
            yield partial(town.ask, account, "approve", role, {})
    elif phase == 7:
        yield lambda: _tell(
            town,
            account,
            PaymentCaptured(payment_id=f"wx:{account}", account_no=account, amount_fen=9_000),
            BalanceChanged(account_no=account, prepayment_fen=9_000, overdue_fen=0, debts=()),
            left(account, 8_000, "2026-03-13"),
        )


def _tell(town: Any, account: str, *bodies: Any) -> None:
    for body in bodies:
        town.tell(account, body)


def _beyond(town: Any, account: str) -> None:
    _tell(town, account, left(account, -1, "2026-03-12", "warn1", "warn2"))
    town.sim.run(20)
    wanted = {"window_from_at": WINDOW_FROM}
    town.ask(account, "request_prepaid_disconnect", "requester", wanted)


# -- payments --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageNoted:
    """Means nothing to payments."""

    usage_point: str


FOREIGN: dict[str, type[Any]] = {
    "billing.charge_estimated": ChargeEstimated,
    "billing.usage_noted": UsageNoted,
    "customers.agreement_published": AgreementPublished,
}
"""What others tell that concerns accounts that pay ahead, or nobody in payments."""


def pay_ahead(town: Any, outside: Catalogue, accounts: tuple[str, ...]) -> None:
    """An agreement, an estimate or an invoice of an account that pays ahead, now and then."""
    account_no = town.random.choice(accounts)
    kind = town.random.choice((agreed, estimated, estimated, estimated, billed))
    if kind is agreed:
        body: Any = agreed(account_no, town.number // 7)
        town.write(outside, "customers.agreements", account_no, body)
        return
    town.write(outside, "billing.events", account_no, kind(town.random, account_no))


def agreed(account_no: str, version: int) -> AgreementPublished:
    """Every third version pays afterwards again."""
    mode = "postpaid" if version % 3 == 2 else "prepaid_remote"
    terms = Terms(valid_from_on="2026-01-01", payment_mode=mode, prepaid=SIGNED)
    return AgreementPublished(account_no=account_no, version=version, terms=(terms,))


def estimated(random: Any, account_no: str) -> ChargeEstimated:
    return ChargeEstimated(
        account_no=account_no,
        month=random.choice(MONTHS),
        until_on="2026-03-02",
        amount_fen=random.choice((0, 900, 2_500, 9_000)),
        missing_days=random.choice((0, 0, 1)),
        estimated_days=0,
        reasons=random.choice(((), (), (), ("price_awaited",))),
    )


def billed(random: Any, account_no: str) -> InvoiceIssued:
    month = random.choice(MONTHS)
    total_fen = random.choice((0, 900, 2_600))
    return InvoiceIssued(
        invoice_no=f"{account_no}-{month}",
        account_no=account_no,
        total_fen=total_fen,
        due_on="2026-04-18",
        month=month,
    )


def what_is_left_adds_up(own: list[Any]) -> None:
    """Each figure is made of the others; a stage is told once until money lifted it."""
    estimates: dict[str, Counter[str]] = {}
    told: dict[str, set[str]] = {}
    for body in own:
        if isinstance(body, prepaid.EstimateNoted):
            of_account = estimates.setdefault(body.account_no, Counter())
            of_account[body.month] = 0 if body.is_closed else body.amount_fen
        elif isinstance(body, prepaid.AvailableChanged):
            assert body.estimate_fen == estimates.get(body.account_no, Counter()).total()
            parts = body.prepayment_fen - body.receivable_fen - body.estimate_fen
            assert body.available_fen == parts
            assert set(body.warned) <= told.get(body.account_no, set())
            told[body.account_no] = set(body.warned)
        elif isinstance(body, prepaid.BalanceLow):
            known = told.setdefault(body.account_no, set())
            assert body.stage not in known
            assert body.available_fen < body.threshold_fen
            known.add(body.stage)
