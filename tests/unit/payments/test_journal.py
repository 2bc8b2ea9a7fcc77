"""The journal: every entry balances, and so do random histories."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments import journal
from services.payments.allocation import Allocation, OpenDebt, Spread, remaining, spread
from services.payments.journal import CHART, JournalEntry, JournalLine, trial_balance

CLEARING = journal.clearing_of("wechat", "1900000001", "2026-01-01")
PARTS = Spread(allocations=(Allocation(invoice_no="I1", amount_fen=8000),), prepayment_fen=2000)


def legs(entry: JournalEntry) -> list[tuple[str, str, int]]:
    return [
        (line.ledger_account, line.sub_account, line.debit_fen - line.credit_fen)
        for line in entry.lines
    ]


def test_capture_fee_and_payout() -> None:
    taken = journal.capture(clearing=CLEARING, account_no="A", parts=PARTS)
    assert legs(taken) == [
        ("channel_clearing", "wechat:1900000001:2026-01-01", 10000),
        ("receivable", "A", -8000),
        ("prepayment", "A", -2000),
    ]
    paid = journal.payout(clearing=CLEARING, bank="6222", net_fen=9940, fee_fen=60)
    assert legs(paid) == [
        ("bank", "6222", 9940),
        ("channel_fee", CLEARING, 60),
        ("channel_clearing", CLEARING, -10000),
    ]
    assert journal.sub_balances([taken], "channel_clearing") == {CLEARING: 10000}
    assert journal.sub_balances([taken, paid], "channel_clearing") == {}
    fee = journal.channel_fee(clearing=CLEARING, fee_fen=60)
    net = journal.payout(clearing=CLEARING, bank="6222", net_fen=9940, fee_fen=0)
    assert journal.sub_balances([taken, fee, net], "channel_clearing") == {}


def test_fees_given_back_and_a_day_of_refunds() -> None:
    back = journal.channel_fee(clearing=CLEARING, fee_fen=-5)
    assert legs(back) == [("channel_fee", CLEARING, -5), ("channel_clearing", CLEARING, 5)]
    day = journal.payout(clearing=CLEARING, bank="6222", net_fen=-1000, fee_fen=-6)
    assert legs(day) == [
        ("bank", "6222", -1000),
        ("channel_fee", CLEARING, -6),
        ("channel_clearing", CLEARING, 1006),
    ]


def test_invoices_and_corrections() -> None:
    assert legs(journal.invoice_issued(account_no="A", amount_fen=500)) == [
        ("receivable", "A", 500),
        ("revenue", "A", -500),
    ]
    assert legs(journal.invoice_issued(account_no="A", amount_fen=500, prepaid_fen=200)) == [
        ("receivable", "A", 300),
        ("prepayment", "A", 200),
        ("revenue", "A", -500),
    ]
    assert legs(journal.invoice_issued(account_no="A", amount_fen=5, prepaid_fen=5)) == [
        ("prepayment", "A", 5),
        ("revenue", "A", -5),
    ]
    assert legs(journal.prepayment_applied(account_no="A", amount_fen=200)) == [
        ("prepayment", "A", 200),
        ("receivable", "A", -200),
    ]
    assert legs(journal.credit_note(account_no="A", parts=PARTS)) == [
        ("revenue", "A", 10000),
        ("receivable", "A", -8000),
        ("prepayment", "A", -2000),
    ]
    with pytest.raises(AssertionError):
        journal.invoice_issued(account_no="A", amount_fen=5, prepaid_fen=6)


def test_suspense_is_bound_through_transit() -> None:
    entries = [
        journal.capture_to_suspense(clearing=CLEARING, suspense_key="wechat:42", amount_fen=1000)
    ]
    assert journal.sub_balances(entries, "suspense") == {"wechat:42": 1000}
    entries.append(journal.suspense_released(suspense_key="wechat:42", parts={"B": 400, "A": 600}))
    assert legs(entries[-1]) == [
        ("suspense", "wechat:42", 1000),
        ("transit", "A", -600),
        ("transit", "B", -400),
    ]
    assert journal.sub_balances(entries, "transit") == {"A": 600, "B": 400}
    owed = [OpenDebt(invoice_no="I1", open_fen=250, due_on="2026-01-31")]
    entries.append(journal.transfer_received(account_no="A", parts=spread(600, owed)))
    assert legs(entries[-1]) == [
        ("transit", "A", 600),
        ("receivable", "A", -250),
        ("prepayment", "A", -350),
    ]
    entries.append(journal.transfer_received(account_no="B", parts=spread(400, [])))
    assert journal.sub_balances(entries, "transit") == {}
    assert journal.sub_balances(entries, "suspense") == {}


def test_refunds_openings_reversal() -> None:
    back = journal.money_returned(
        payment_id="p", clearing=CLEARING, account_no="A", prepayment_fen=7
    )
    assert legs(back) == [("prepayment", "A", 7), ("channel_clearing", CLEARING, -7)]
    unclaimed = journal.money_returned(payment_id="wechat:42", clearing=CLEARING, suspense_fen=7)
    assert legs(unclaimed) == [("suspense", "wechat:42", 7), ("channel_clearing", CLEARING, -7)]
    assert legs(journal.opening_debt(account_no="A", amount_fen=9)) == [
        ("receivable", "A", 9),
        ("opening", "A", -9),
    ]
    assert legs(journal.opening_prepayment(account_no="A", amount_fen=9)) == [
        ("opening", "A", 9),
        ("prepayment", "A", -9),
    ]
    failed = journal.reversal(back)
    assert legs(failed) == [("prepayment", "A", -7), ("channel_clearing", CLEARING, 7)]
    assert all(row.balance_fen == 0 for row in trial_balance([back, failed]))


def test_trial_balance() -> None:
    entries = [
        journal.invoice_issued(account_no="A", amount_fen=8000),
        journal.capture(clearing=CLEARING, account_no="A", parts=PARTS),
    ]
    rows = {row.ledger_account: row for row in trial_balance(entries)}
    assert list(rows) == list(CHART)
    assert (rows["receivable"].debit_fen, rows["receivable"].credit_fen) == (8000, 8000)
    assert rows["prepayment"].balance_fen == 2000
    assert rows["channel_clearing"].balance_fen == 10000
    assert rows["revenue"].balance_fen == 8000
    assert (rows["prepayment"].code, rows["suspense"].code) == ("2203", "2202")
    later = ("refund_payable", "write_off", "collection_fee", "late_fee")
    assert [rows[role].code for role in later] == ["2241", "6711", "6601", "6301"]
    assert [CHART[role].debit_normal for role in later] == [False, True, True, False]


def _line(**changes: object) -> JournalLine:
    fields = {"ledger_account": "bank", "sub_account": "x", "debit_fen": 5, "credit_fen": 0}
    return JournalLine(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"ledger_account": "petty_cash"},
        {"credit_fen": 5},
        {"debit_fen": 0},
        {"debit_fen": -5},
        {"debit_fen": 0, "credit_fen": -5},
    ],
)
def test_a_wrong_line_cannot_be_made(changes: dict[str, object]) -> None:
    with pytest.raises(AssertionError):
        _line(**changes)


def test_an_unbalanced_entry_cannot_be_made_or_decoded() -> None:
    credit = _line(debit_fen=0, credit_fen=4)
    for lines in ((), (_line(),), (_line(), credit)):
        with pytest.raises(AssertionError):
            JournalEntry(text="x", lines=lines)
    encoded = msgspec.json.encode(journal.channel_fee(clearing="c", fee_fen=7))
    assert msgspec.json.decode(encoded, type=JournalEntry).text == "channel_fee"
    with pytest.raises(AssertionError):
        msgspec.json.decode(encoded.replace(b'"debit_fen":7', b'"debit_fen":8'), type=JournalEntry)


class Books:
    """A small model of one utility: what each history must leave in the ledger."""

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []
        self.debts: dict[str, list[OpenDebt]] = {"A": [], "B": []}
        self.prepaid: Counter[str] = Counter()
        self.suspense: dict[str, int] = {}
        self.invoices = 0

    def invoice(self, account_no: str, amount_fen: int) -> None:
        self.invoices += 1
        debt = OpenDebt(
            invoice_no=f"I{self.invoices:04d}",
            open_fen=amount_fen,
            due_on=f"2026-{1 + self.invoices % 12:02d}-28",
        )
        self.entries.append(journal.invoice_issued(account_no=account_no, amount_fen=amount_fen))
        self.debts[account_no].append(debt)
        parts = spread(self.prepaid[account_no], self.debts[account_no])
        if parts.settled_fen:
            self.entries.append(
                journal.prepayment_applied(account_no=account_no, amount_fen=parts.settled_fen)
            )
        self._settle(account_no, parts)
        self.prepaid[account_no] = parts.prepayment_fen

    def pay(self, account_no: str, amount_fen: int) -> None:
        parts = spread(amount_fen, self.debts[account_no])
        self.entries.append(journal.capture(clearing=CLEARING, account_no=account_no, parts=parts))
        self._take(account_no, parts)

    def credit(self, account_no: str, amount_fen: int) -> None:
        parts = spread(amount_fen, self.debts[account_no])
        self.entries.append(journal.credit_note(account_no=account_no, parts=parts))
        self._take(account_no, parts)

    def unknown(self, account_no: str, amount_fen: int) -> None:
        key = f"wechat:{len(self.entries)}"
        self.entries.append(
            journal.capture_to_suspense(clearing=CLEARING, suspense_key=key, amount_fen=amount_fen)
        )
        self.suspense[key] = amount_fen

    def bind(self, account_no: str, amount_fen: int) -> None:
        if not self.suspense:
            return
        key, held_fen = self.suspense.popitem()
        self.entries.append(
            journal.suspense_released(suspense_key=key, parts={account_no: held_fen})
        )
        parts = spread(held_fen, self.debts[account_no])
        self.entries.append(journal.transfer_received(account_no=account_no, parts=parts))
        self._take(account_no, parts)

    def refund(self, account_no: str, amount_fen: int) -> None:
        back_fen = min(amount_fen, self.prepaid[account_no])
        if back_fen:
            self.entries.append(
                journal.money_returned(
                    payment_id="p",
                    clearing=CLEARING,
                    account_no=account_no,
                    prepayment_fen=back_fen,
                )
            )
            self.prepaid[account_no] -= back_fen

    def payout(self, account_no: str, amount_fen: int) -> None:
        open_fen = journal.sub_balances(self.entries, "channel_clearing").get(CLEARING, 0)
        fee_fen = amount_fen % 7
        if open_fen or fee_fen:
            self.entries.append(
                journal.payout(
                    clearing=CLEARING, bank="6222", net_fen=open_fen - fee_fen, fee_fen=fee_fen
                )
            )

    def _take(self, account_no: str, parts: Spread) -> None:
        self._settle(account_no, parts)
        self.prepaid[account_no] += parts.prepayment_fen

    def _settle(self, account_no: str, parts: Spread) -> None:
        self.debts[account_no] = list(remaining(self.debts[account_no], parts.allocations))


steps = st.tuples(
    st.sampled_from(["invoice", "pay", "credit", "unknown", "bind", "refund", "payout"]),
    st.sampled_from(["A", "B"]),
    st.integers(1, 10**6),
)


@given(st.lists(steps, max_size=40))
def test_any_history_balances_and_agrees_with_the_sub_ledgers(
    history: list[tuple[str, str, int]],
) -> None:
    books = Books()
    for step, account_no, amount_fen in history:
        getattr(books, step)(account_no, amount_fen)
    rows = {row.ledger_account: row for row in trial_balance(books.entries)}
    assert sum(row.debit_fen for row in rows.values()) == sum(
        row.credit_fen for row in rows.values()
    )
    owed = {
        account_no: sum(debt.open_fen for debt in owing)
        for account_no, owing in books.debts.items()
        if owing
    }
    assert journal.sub_balances(books.entries, "receivable") == owed
    assert journal.sub_balances(books.entries, "prepayment") == dict(+books.prepaid)
    assert journal.sub_balances(books.entries, "suspense") == books.suspense
    assert rows["transit"].balance_fen == 0
    books.payout("A", 1)
    assert journal.sub_balances(books.entries, "channel_clearing") == {}
