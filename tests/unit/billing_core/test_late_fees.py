"""Late fees from what payments say: charged once, together at least the minimum, given back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.events import CorrectionIssued, InvoiceIssued, LateFeeCharged
from services.billing.late_debts import DEBTS_KEPT, LateDebt, with_fee, with_invoice
from services.billing.late_fee import LateFeeShare
from services.billing.late_fees import standing_fen
from services.billing.payment_reactions import Allocation, PaymentCaptured, PaymentReversed
from services.billing.price_book import LateFeeRule
from tests.unit.billing_core.office import (
    AS_SHOP,
    HOME,
    Office,
    billed_office,
    home_book,
    month_of_usage,
    names,
    only,
    point,
    published,
    since_december,
    three_months,
    usage,
)


def paid(payment_id: str, on: str, /, **parts: int) -> PaymentCaptured:
    """A payment at noon of a day; `january=1550` is what it settled of that month's invoice."""
    months = {"january": "A1-2026-01", "february": "A1-2026-02", "round": "A1-K001"}
    return PaymentCaptured(
        payment_id=payment_id,
        account_no="A1",
        occurred_at=f"{on}T04:00:00Z",
        allocations=tuple(
            Allocation(invoice_no=months.get(name, name), amount_fen=fen)
            for name, fen in parts.items()
        ),
    )


def taken_back(payment_id: str, transfer_id: str = "") -> PaymentReversed:
    return PaymentReversed(payment_id=payment_id, transfer_id=transfer_id, account_no="A1")


def january(*, shop: bool = False, **rule: Any) -> Office:
    """January is issued on 3 February over 155.00 (a shop: 248.00), due on 18 February."""
    made = billed_office()
    if rule:
        named = home_book(version=2, late_fee=LateFeeRule(**rule), from_on="2026-01-01")
        made.feed(published(named))
    if shop:
        before = point(from_on="2025-12-01", to_on="2026-01-01")
        made.feed(since_december(before, point(**AS_SHOP)))
    made.feed(*month_of_usage("2026-01"))
    invoice = only(made.tick("2026-02-02"), InvoiceIssued)
    assert (invoice.total_fen, invoice.due_on) == (24_800 if shop else 15_500, "2026-02-18")
    return made


def fees(made: Office) -> list[tuple[str, str, int]]:
    return [(each.fee_no, each.invoice_no, each.amount_fen) for each in made.of(LateFeeCharged)]


# -- one payment ----------------------------------------------------------------------------------


def test_what_is_paid_late_bears_a_fee_that_says_why() -> None:
    made = january()
    made.tick("2026-02-28")
    (fee,) = made.feed(paid("w:1", "2026-02-28", january=15_500))
    assert fee == LateFeeCharged(
        fee_no="A1-L001",
        account_no="A1",
        invoice_no="A1-2026-01",
        payment="w:1",
        cause="paid_late",
        debt_fen=15_500,
        debt_due_on="2026-02-18",
        paid_on="2026-02-28",
        rule="split_at_year_end",
        book="test@1",
        shares=(LateFeeShare(days=10, permille=1, amount_fen=155),),
        piece_fen=155,
        amount_fen=155,
        issued_on="2026-03-01",
        due_on="2026-03-16",
    )
    assert made.account.late_debts["A1-2026-01"].pieces == {"w:1": 155}
    made.check_folds()


def test_who_pays_in_time_pays_no_fee_and_the_day_is_that_of_the_payment() -> None:
    made = january()
    made.tick("2026-03-20")
    assert made.feed(paid("w:1", "2026-02-18", january=10_000)) == []
    night = replace(paid("w:2", "2026-02-18", january=5_500), occurred_at="2026-02-18T16:00:00Z")
    (fee,) = made.feed(night)
    assert (fee.paid_on, fee.piece_fen, fee.amount_fen) == ("2026-02-19", 6, 100)


def test_a_shop_bears_two_permille() -> None:
    made = january(shop=True)
    (fee,) = made.feed(paid("w:1", "2026-02-28", january=24_800))
    assert (fee.amount_fen, fee.shares[0].permille) == (496, 2)


def test_the_reading_is_that_of_the_book_of_the_bill() -> None:
    made = january(residential_permille=5, name="whole_debt_by_age", minimum_fen=0)
    made.feed(published(home_book(version=3, from_on="2026-01-01")))  # comes after the invoice
    (fee,) = made.feed(paid("w:1", "2026-02-19", january=15_500))
    assert (fee.rule, fee.book, fee.amount_fen) == ("whole_debt_by_age", "test@2", 78)


def test_what_is_no_debt_of_ours_bears_nothing() -> None:
    made = january()
    assert made.feed(paid("w:1", "2026-06-01", **{"OLD-7": 900, "A1-L001": 100})) == []
    assert made.feed(replace(paid("w:2", "2026-06-01"), allocations=())) == []
    assert Office().feed(paid("w:1", "2026-06-01", january=100), taken_back("w:1")) == []


# -- several payments -----------------------------------------------------------------------------


def test_the_minimum_is_once_for_a_debt() -> None:
    """0.10, 0.25 and 1.60: 1.00 stands charged after the first two, then 1.95."""
    made = january()
    made.feed(
        paid("w:1", "2026-02-19", january=10_000),
        paid("w:2", "2026-02-28", january=2_500),
        paid("w:3", "2026-03-26", january=3_000),
        paid("w:4", "2026-06-06", january=1_000),
    )
    assert [(each.piece_fen, each.amount_fen) for each in made.of(LateFeeCharged)] == [
        (10, 100), (25, 0), (108, 43), (108, 108),
    ]  # fmt: skip
    assert made.account.late_fees == 4
    made.check_folds()


def test_one_payment_of_two_debts_bears_a_fee_for_each() -> None:
    made = three_months()
    (first, second) = made.feed(
        paid("w:1", "2026-05-30", **{"A1-2026-01": 15_500, "A1-2026-02": 14_000})
    )
    due = [each.debt_due_on for each in (first, second)]
    assert (first.fee_no, second.fee_no) == ("A1-L001", "A1-L002")
    assert due[0] == due[1] == "2026-04-18"
    assert [first.amount_fen, second.amount_fen] == [651, 588]


def test_a_round_to_be_paid_is_a_debt_and_a_credit_is_none() -> None:
    made = three_months()
    made.feed(usage("2026-02-10", 4_000, revision=2))
    credit = only(made.tick("2026-04-05"), CorrectionIssued)
    made.feed(usage("2026-02-10", 54_000, revision=3))
    debit = only(made.tick("2026-04-06"), CorrectionIssued)
    assert (credit.difference_fen < 0, debit.difference_fen > 0) == (True, True)
    assert set(made.account.late_debts) == {
        "A1-2025-12", "A1-2026-01", "A1-2026-02", "A1-2026-03", "A1-K002",
    }  # fmt: skip
    (fee,) = made.feed(paid("w:1", "2026-05-22", **{"A1-K002": debit.difference_fen}))
    assert (fee.invoice_no, fee.debt_due_on, fee.amount_fen) == ("A1-K002", debit.due_on, 100)


# -- taken back -----------------------------------------------------------------------------------


def test_a_payment_that_is_taken_back_takes_its_fee_with_it() -> None:
    made = january()
    made.feed(paid("w:1", "2026-02-28", january=15_500))
    (back,) = made.feed(taken_back("w:1"))
    assert (back.fee_no, back.cause, back.amount_fen) == ("A1-L002", "payment_reversed", -155)
    assert (back.piece_fen, back.debt_fen, back.shares) == (-155, 0, ())
    assert made.account.late_debts["A1-2026-01"].pieces == {}
    assert made.feed(taken_back("w:1")) == []
    (again,) = made.feed(paid("w:2", "2026-03-20", january=15_500))
    assert (again.fee_no, again.amount_fen) == ("A1-L003", 465)


def test_what_is_left_of_a_debt_keeps_its_minimum() -> None:
    made = january()
    made.feed(paid("w:1", "2026-02-19", january=10_000), paid("w:2", "2026-04-09", january=5_500))
    (back,) = made.feed(taken_back("w:2"))
    assert fees(made) == [
        ("A1-L001", "A1-2026-01", 100),
        ("A1-L002", "A1-2026-01", 185),
        ("A1-L003", "A1-2026-01", -185),
    ]
    assert back.payment == "w:2"


def test_a_transfer_out_of_suspense_is_known_by_its_own_id() -> None:
    made = january()
    transfer = replace(paid("p:1", "2026-02-28", january=15_500), transfer_id="p:1/r1")
    made.feed(transfer)
    assert made.feed(taken_back("p:1", "p:1/r2")) == []
    (back,) = made.feed(taken_back("p:1", "p:1/r1"))
    assert back.amount_fen == -155


# -- laws -----------------------------------------------------------------------------------------

PIECE = st.tuples(st.integers(1, 8_000), st.integers(0, 400), st.booleans())


@settings(max_examples=25)
@given(st.lists(PIECE, max_size=5), st.randoms(use_true_random=False))
def test_what_stands_charged_follows_from_what_was_paid_and_not_from_the_order(
    pieces: list[tuple[int, int, bool]], random: Any
) -> None:
    """In any order, with captures that are taken back in between."""
    bodies = []
    for number, (fen, days, is_reversed) in enumerate(pieces):
        on = f"{2026 + days // 300}-{3 + days % 300 // 30:02d}-{1 + days % 28:02d}"
        bodies.append([paid(f"w:{number}", on, january=fen)])
        if is_reversed:
            bodies[-1].append(taken_back(f"w:{number}"))
    totals = []
    for _ in range(2):
        made = january()
        queues = [list(each) for each in bodies]
        while waiting := [queue for queue in queues if queue]:
            made.feed(random.choice(waiting).pop(0))
        charged = made.of(LateFeeCharged)
        totals.append(sum(each.amount_fen for each in charged))
        kept = made.account.late_debts["A1-2026-01"].pieces
        assert totals[-1] == standing_fen(kept.values(), HOME.late_fee)
        assert set(kept) <= {f"w:{at}" for at, each in enumerate(pieces) if not each[2]}
        assert all(body.amount_fen <= 0 for body in charged if body.cause == "payment_reversed")
    assert totals[0] == totals[1]


def test_debts_are_kept_for_some_years_only() -> None:
    made = january()
    invoice = made.of(InvoiceIssued)[-1]
    debts: dict[str, LateDebt] = {}
    for number in range(DEBTS_KEPT + 3):
        debts = with_invoice(debts, replace(invoice, invoice_no=f"I{number}"))
    assert list(debts) == [f"I{number}" for number in range(3, DEBTS_KEPT + 3)]
    assert with_invoice(debts, replace(invoice, invoice_no="none", total_fen=0)) == debts


def test_a_fee_folds_into_its_debt() -> None:
    made = january()
    (fee,) = made.feed(paid("w:1", "2026-02-28", january=15_500))
    assert names([fee]) == ["LateFeeCharged"]
    debts = {"A1-2026-01": LateDebt(due_on="2026-02-18", book="test@1", residential=True)}
    once = with_fee(debts, fee)
    assert once["A1-2026-01"].pieces == {"w:1": 155}
    assert with_fee(once, replace(fee, piece_fen=-155))["A1-2026-01"].pieces == {}
