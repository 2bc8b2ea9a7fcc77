"""The double-entry journal in integer fen: every fact about money is one balanced entry.

A line names an account of `CHART` by its role and a sub-account; which code a utility's books use
is data of the chart and never stored. An entry that does not balance cannot be made: its
constructor (also when decoded from the log) asserts debits = credits. A fact about zero fen has no
entry: do not ask for one.

Money between two streams goes through `transit`: the suspense stream books one leg, the account's
stream the other, and transit is zero when both have arrived.

Example: WeChat captures 100.00 for an account that owes 80.00, and pays out 99.40 after its fee:
    Dr channel_clearing 100.00 / Cr receivable 80.00, Cr prepayment 20.00
    Dr bank 99.40, Dr channel_fee 0.60 / Cr channel_clearing 100.00
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.payments.allocation import Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerAccount:
    """One account of the chart: role, code and name in the books, and its normal side."""

    role: str
    code: str
    name_zh: str
    debit_normal: bool


CHART: dict[str, LedgerAccount] = {
    role: LedgerAccount(role=role, code=code, name_zh=name_zh, debit_normal=debit_normal)
    for role, code, name_zh, debit_normal in (
        ("bank", "1002", "银行存款", True),
        ("channel_clearing", "1012", "渠道待清算", True),
        ("receivable", "1122", "应收电费", True),
        ("channel_claim", "1221", "应收渠道短款", True),
        ("suspense", "2202", "待查款项(长款)", False),
        ("transit", "2202.9", "转户在途", False),
        ("payable_feed_in", "2202.3", "应付上网电费", False),
        ("prepayment", "2203", "预收电费", False),
        ("refund_payable", "2241", "应付退款", False),
        ("opening", "4104", "期初余额", False),
        ("revenue", "6001", "电费收入", False),
        ("feed_in_cost", "6401", "购电成本(上网)", True),
        ("late_fee", "6301", "违约金收入", False),
        ("collection_fee", "6601", "代收手续费", True),
        ("channel_fee", "6603", "渠道手续费", True),
        ("write_off", "6711", "核销损失", True),
    )
}
"""Default chart. Codes 2202 and 1221 as payments.md 5 has them; the others follow the Chinese
enterprise standard (UNCONFIRMED: a utility maps roles to its own; nothing stored depends on it).
`collection_fee` is what banks and third parties take for collecting (payments.md 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLine:
    """One leg: an account of the chart, its sub-account, and exactly one of debit and credit.

    `sub_account` is an account number, a clearing day (`clearing_of`), a suspense key or a bank.
    """

    ledger_account: str
    sub_account: str
    debit_fen: int
    credit_fen: int

    def __post_init__(self) -> None:
        assert self.ledger_account in CHART, f"{self.ledger_account} is not in the chart"
        lesser_fen, greater_fen = sorted((self.debit_fen, self.credit_fen))
        assert lesser_fen == 0 < greater_fen, "a line has exactly one positive side"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """Legs whose debits equal their credits; `text` is the name of the function that made them."""

    text: str
    lines: tuple[JournalLine, ...]

    def __post_init__(self) -> None:
        debit_fen = sum(line.debit_fen for line in self.lines)
        credit_fen = sum(line.credit_fen for line in self.lines)
        assert debit_fen == credit_fen > 0, f"{self.text}: {debit_fen} != {credit_fen}"


def clearing_of(channel: str, merchant: str, bill_on: str) -> str:
    """The sub-account of a channel's money of one bill day: it must end at zero."""
    return f"{channel}:{merchant}:{bill_on}"


Leg = tuple[str, str, int]
"""Ledger account, sub-account, amount in fen: a debit above zero, a credit below."""


def _entry(text: str, *legs: Leg) -> JournalEntry:
    return JournalEntry(
        text=text,
        lines=tuple(
            JournalLine(
                ledger_account=ledger_account,
                sub_account=sub_account,
                debit_fen=max(amount_fen, 0),
                credit_fen=max(-amount_fen, 0),
            )
            for ledger_account, sub_account, amount_fen in legs
            if amount_fen
        ),
    )


def capture(*, clearing: str, account_no: str, parts: Spread) -> JournalEntry:
    """A channel took money for an account: Dr channel_clearing / Cr receivable, rest prepayment."""
    return _entry(
        "capture",
        ("channel_clearing", clearing, parts.amount_fen),
        ("receivable", account_no, -parts.settled_fen),
        ("prepayment", account_no, -parts.prepayment_fen),
    )


def capture_to_suspense(*, clearing: str, suspense_key: str, amount_fen: int) -> JournalEntry:
    """A channel took money nobody ordered (长款): Dr channel_clearing / Cr suspense."""
    return _entry(
        "capture_to_suspense",
        ("channel_clearing", clearing, amount_fen),
        ("suspense", suspense_key, -amount_fen),
    )


def invoice_issued(
    *, account_no: str, amount_fen: int, prepaid_fen: int = 0, income: str = "revenue"
) -> JournalEntry:
    """An invoice: Dr receivable / Cr revenue; `prepaid_fen` of it is settled from prepayment.

    `income` is late_fee for what a late payment bears. Gross amounts: tax and government funds are
    split where the utility keeps its books.
    """
    assert 0 <= prepaid_fen <= amount_fen
    return _entry(
        "invoice_issued",
        ("receivable", account_no, amount_fen - prepaid_fen),
        ("prepayment", account_no, prepaid_fen),
        (income, account_no, -amount_fen),
    )


def prepayment_applied(*, account_no: str, amount_fen: int) -> JournalEntry:
    """Prepaid money settles debts that were open already: Dr prepayment / Cr receivable."""
    return _entry(
        "prepayment_applied",
        ("prepayment", account_no, amount_fen),
        ("receivable", account_no, -amount_fen),
    )


def credit_note(*, account_no: str, parts: Spread, income: str = "revenue") -> JournalEntry:
    """A correction downwards: Dr revenue / Cr receivable as far as debts are open, rest prepayment.

    `parts` is the credit spread over the open debts: what is paid already becomes a balance.
    """
    return _entry(
        "credit_note",
        (income, account_no, parts.amount_fen),
        ("receivable", account_no, -parts.settled_fen),
        ("prepayment", account_no, -parts.prepayment_fen),
    )


def opening_debt(*, account_no: str, amount_fen: int, prepaid_fen: int = 0) -> JournalEntry:
    """A debt that a running utility brings along: Dr receivable / Cr opening.

    `prepaid_fen` of it is settled from prepayment.
    """
    assert 0 <= prepaid_fen <= amount_fen
    return _entry(
        "opening_debt",
        ("receivable", account_no, amount_fen - prepaid_fen),
        ("prepayment", account_no, prepaid_fen),
        ("opening", account_no, -amount_fen),
    )


def opening_prepayment(*, account_no: str, amount_fen: int, settled_fen: int = 0) -> JournalEntry:
    """A prepayment that a running utility brings along: Dr opening / Cr prepayment.

    `settled_fen` of it settles debts at once.
    """
    assert 0 <= settled_fen <= amount_fen
    return _entry(
        "opening_prepayment",
        ("opening", account_no, amount_fen),
        ("receivable", account_no, -settled_fen),
        ("prepayment", account_no, settled_fen - amount_fen),
    )


def suspense_released(*, suspense_key: str, parts: Mapping[str, int]) -> JournalEntry:
    """First leg of a binding, in the suspense's stream: Dr suspense / Cr transit, per account.

    `parts` gives each account number its amount in fen.
    """
    return _entry(
        "suspense_released",
        ("suspense", suspense_key, sum(parts.values())),
        *(("transit", account_no, -parts[account_no]) for account_no in sorted(parts)),
    )


def transfer_received(*, account_no: str, parts: Spread) -> JournalEntry:
    """Second leg of a binding, in the account's stream: Dr transit / Cr receivable, prepayment."""
    return _entry(
        "transfer_received",
        ("transit", account_no, parts.amount_fen),
        ("receivable", account_no, -parts.settled_fen),
        ("prepayment", account_no, -parts.prepayment_fen),
    )


def suspense_refunded(*, suspense_key: str, bank: str, amount_fen: int) -> JournalEntry:
    """Money that nobody claimed went back to its payer by bank: Dr suspense / Cr bank."""
    return _entry(
        "suspense_refunded", ("suspense", suspense_key, amount_fen), ("bank", bank, -amount_fen)
    )


def suspense_cancelled(
    *,
    clearing: str,
    suspense_key: str,
    amount_fen: int,
    parts: Mapping[str, int],
    returned: Mapping[str, int] | None = None,
) -> JournalEntry:
    """A suspense that an account has captured already: Dr suspense / Cr channel_clearing.

    `parts` is what was bound, by account number: that money comes back through transit. `returned`
    is what went back to the payer, by clearing: the account books it instead, and with it a claim.
    """
    back = dict(returned or {})
    left_fen = amount_fen - min(amount_fen, sum(back.values()))
    assert sum(parts.values()) in (0, left_fen), "all of a suspense is bound, or nothing"
    return _entry(
        "suspense_cancelled",
        *(("transit", account_no, parts[account_no]) for account_no in sorted(parts)),
        ("suspense", suspense_key, 0 if parts else left_fen),
        *(_back_leg(name, suspense_key, back[name]) for name in sorted(back)),
        ("channel_claim", suspense_key, amount_fen - left_fen - sum(back.values())),
        ("channel_clearing", clearing, -amount_fen),
    )


def payment_reversed(
    *,
    account_no: str,
    prepayment_fen: int,
    reopened_fen: int,
    clearing: str = "",
    payment_id: str = "",
    gone_fen: int = 0,
) -> JournalEntry:
    """A capture taken back: Dr prepayment, Dr receivable for the rest / Cr channel_clearing.

    Without `clearing` the money goes to another account through transit. `gone_fen` of the capture
    had gone back to the payer: transit of the payment brings it to whom the payment is now.
    """
    back = ("channel_clearing", clearing) if clearing else ("transit", account_no)
    return _entry(
        "payment_reversed",
        ("prepayment", account_no, prepayment_fen),
        ("receivable", account_no, reopened_fen),
        ("transit", payment_id, gone_fen),
        (*back, -prepayment_fen - reopened_fen - gone_fen),
    )


def money_returned(
    *,
    payment_id: str,
    clearing: str,
    account_no: str = "",
    prepayment_fen: int = 0,
    reopened_fen: int = 0,
    suspense_fen: int = 0,
    parts: Mapping[str, int] | None = None,
    claim_fen: int = 0,
) -> JournalEntry:
    """The channel gave a payment back: Dr who has it, Dr channel_claim / Cr channel_clearing.

    It is an account's, a suspense's, or of accounts that it was bound to (`parts`, by transit).
    `clearing` "": an account gave it before, and the payment's transit has it.
    """
    legs = dict(parts or {})
    total_fen = prepayment_fen + reopened_fen + suspense_fen + sum(legs.values()) + claim_fen
    return _entry(
        "money_returned",
        ("prepayment", account_no, prepayment_fen),
        ("receivable", account_no, reopened_fen),
        ("suspense", payment_id, suspense_fen),
        *(("transit", name, legs[name]) for name in sorted(legs)),
        ("channel_claim", payment_id, claim_fen),
        _back_leg(clearing, payment_id, -total_fen),
    )


def _back_leg(clearing: str, payment_id: str, amount_fen: int) -> Leg:
    if clearing:
        return ("channel_clearing", clearing, amount_fen)
    return ("transit", payment_id, amount_fen)


def rebound(*, from_account: str, parts: Mapping[str, int]) -> JournalEntry:
    """A transfer between accounts, in the payment's stream: transit of the old one to the new."""
    return _entry(
        "rebound",
        ("transit", from_account, sum(parts.values())),
        *(("transit", account_no, -parts[account_no]) for account_no in sorted(parts)),
    )


def refund_approved(
    *, refund_no: str, account_no: str, prepayment_fen: int, reopened_fen: int
) -> JournalEntry:
    """A refund was approved: Dr prepayment, Dr receivable for the rest / Cr refund_payable."""
    return _entry(
        "refund_approved",
        ("prepayment", account_no, prepayment_fen),
        ("receivable", account_no, reopened_fen),
        ("refund_payable", refund_no, -prepayment_fen - reopened_fen),
    )


def refund_paid(
    *, refund_no: str, amount_fen: int, clearing: str = "", bank: str = ""
) -> JournalEntry:
    """A refund reached the payer: Dr refund_payable / Cr channel_clearing of its day, or bank."""
    paid_by = ("channel_clearing", clearing) if clearing else ("bank", bank)
    return _entry(
        "refund_paid",
        ("refund_payable", refund_no, amount_fen),
        (*paid_by, -amount_fen),
    )


def refund_given_up(
    *, refund_no: str, payment_id: str, account_no: str, parts: Spread, claim_fen: int
) -> JournalEntry:
    """A refund will not be paid: Dr refund_payable / Cr receivable, prepayment, channel_claim."""
    return _entry(
        "refund_given_up",
        ("refund_payable", refund_no, parts.amount_fen + claim_fen),
        ("receivable", account_no, -parts.settled_fen),
        ("prepayment", account_no, -parts.prepayment_fen),
        ("channel_claim", payment_id, -claim_fen),
    )


def payout(*, clearing: str, bank: str, net_fen: int, fee_fen: int) -> JournalEntry:
    """A channel settles a day: Dr bank net, Dr channel_fee / Cr channel_clearing gross.

    `net_fen` is negative on a day with more refunds than payments, `fee_fen` where the channel
    gives fees back with refunds.
    """
    return _entry(
        "payout",
        ("bank", bank, net_fen),
        ("channel_fee", clearing, fee_fen),
        ("channel_clearing", clearing, -net_fen - fee_fen),
    )


def channel_fee(*, clearing: str, fee_fen: int) -> JournalEntry:
    """A fee booked by itself, from the bill: Dr channel_fee / Cr channel_clearing; below 0 back."""
    return _entry(
        "channel_fee",
        ("channel_fee", clearing, fee_fen),
        ("channel_clearing", clearing, -fee_fen),
    )


def difference_settled(*, role: str, parts: Mapping[str, int]) -> JournalEntry:
    """What is left on clearing accounts and nobody waits for: Dr write_off or channel_claim / Cr
    channel_clearing; below 0 the other way round. `parts` is fen by clearing sub-account."""
    return _entry(
        "difference_settled",
        *((role, clearing, parts[clearing]) for clearing in sorted(parts)),
        *(("channel_clearing", clearing, -parts[clearing]) for clearing in sorted(parts)),
    )


def feed_in_stated(*, account_no: str, amount_fen: int) -> JournalEntry:
    """A statement of feed-in: Dr feed_in_cost / Cr payable_feed_in."""
    return _entry(
        "feed_in_stated",
        ("feed_in_cost", account_no, amount_fen),
        ("payable_feed_in", account_no, -amount_fen),
    )


def feed_in_lowered(*, account_no: str, amount_fen: int) -> JournalEntry:
    """A correction of a statement downwards: Dr payable_feed_in / Cr feed_in_cost.

    Where it was paid already the payable is below zero, until later statements make up for it.
    """
    return _entry(
        "feed_in_lowered",
        ("payable_feed_in", account_no, amount_fen),
        ("feed_in_cost", account_no, -amount_fen),
    )


def feed_in_paid(*, account_no: str, bank: str, amount_fen: int) -> JournalEntry:
    """Feed-in was paid by a bank transfer: Dr payable_feed_in / Cr bank."""
    return _entry(
        "feed_in_paid",
        ("payable_feed_in", account_no, amount_fen),
        ("bank", bank, -amount_fen),
    )


def feed_in_offset(*, account_no: str, amount_fen: int) -> JournalEntry:
    """Feed-in settles debts of its account: Dr payable_feed_in / Cr receivable."""
    return _entry(
        "feed_in_offset",
        ("payable_feed_in", account_no, amount_fen),
        ("receivable", account_no, -amount_fen),
    )


def reversal(entry: JournalEntry) -> JournalEntry:
    """The same entry with sides swapped (a POS reversal after its sale, a refund that failed)."""
    return _entry(
        "reversal",
        *(
            (line.ledger_account, line.sub_account, line.credit_fen - line.debit_fen)
            for line in entry.lines
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One account of a trial balance; `balance_fen` is positive on the account's normal side."""

    ledger_account: str
    code: str
    debit_fen: int
    credit_fen: int
    balance_fen: int


def trial_balance(entries: Iterable[JournalEntry]) -> tuple[TrialRow, ...]:
    """Debits, credits and balance per account, in the order of the chart; the sums are equal."""
    debits = dict.fromkeys(CHART, 0)
    credits = dict.fromkeys(CHART, 0)
    for entry in entries:
        for line in entry.lines:
            debits[line.ledger_account] += line.debit_fen
            credits[line.ledger_account] += line.credit_fen
    assert sum(debits.values()) == sum(credits.values())
    return tuple(
        TrialRow(
            ledger_account=role,
            code=head.code,
            debit_fen=debits[role],
            credit_fen=credits[role],
            balance_fen=(1 if head.debit_normal else -1) * (debits[role] - credits[role]),
        )
        for role, head in CHART.items()
    )


def sub_balances(entries: Iterable[JournalEntry], ledger_account: str) -> dict[str, int]:
    """Balance per sub-account of one account, on its normal side; those at zero are left out."""
    sign = 1 if CHART[ledger_account].debit_normal else -1
    balances: dict[str, int] = {}
    for entry in entries:
        for line in entry.lines:
            if line.ledger_account == ledger_account:
                change_fen = sign * (line.debit_fen - line.credit_fen)
                balances[line.sub_account] = balances.get(line.sub_account, 0) + change_fen
    return {name: balance_fen for name, balance_fen in sorted(balances.items()) if balance_fen}
