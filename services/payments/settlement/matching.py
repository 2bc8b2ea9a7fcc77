"""Our books against the channel's file, line by line: what agrees, what differs, and why.

A line is found by what both sides know (payments.md 5): the channel's transaction (with the number
of the refund); for ours without one, merchant, order number and amount; for cards, last, the
retrieval reference number. The outcome says how the sides differ, the cause why they probably do:
a lost callback, a late cut-off, a duplicate, the fee, a refund made elsewhere, a wrong account.

The result does not depend on the order of the rows, and every row is in exactly one match: sums of
ours and of the channel's are those of the matches.

Example: the channel has a payment with an order number of ours that we never heard of:
    Match(outcome="channel_only", cause="lost_callback", ours=None, channel=row, ...)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from libs.events.quantities import ROUNDING
from services.payments.order_number import account_of
from services.payments.settlement.rows import CAPTURE, REFUND, SettlementRow
from services.payments.settlement.work_days import WorkCalendar

MATCHED = "matched"
REVERSED = "reversed"
"""A card sale that its terminal took back: it cancels itself out, and no file has either."""
OUTCOMES = (
    MATCHED,
    "date_shifted",
    "amount_diff",
    "account_diff",
    "status_diff",
    "fee_diff",
    "channel_only",
    "ours_only",
    "duplicate_in_file",
    "duplicate_in_ours",
    REVERSED,
)
ACTIONS = {
    "late_cut_off": "none: the other day's file has it",
    "not_in_file_yet": "wait for the next file, then query the channel",
    "lost_callback": "capture it from the file; ask why no callback came",
    "no_order": "suspense: bind it to an account, or refund it",
    REVERSED: "none: the sale and its reversal cancel each other out",
    "duplicate": "one is too many: refund it, or take the second entry back",
    "refund_elsewhere": "book the refund; ask who made it at the channel",
    "refund_not_made": "query the refund; pay by bank transfer when it is abnormal",
    "not_at_channel": "query the order; then reverse ours, or claim it",
    "amount": "book the channel's amount; ask which side is wrong",
    "wrong_account": "bind it again to the account of its order",
    "wrong_merchant": "book it at the channel's merchant",
    "days_apart": "ask the channel why it has the payment on another day",
    "fee": "claim the fee, or correct the rate of --rules",
}
"""By cause; what a person does next."""
CLOSED_CAUSES = ("", "late_cut_off", "not_in_file_yet", REVERSED)
"""Nobody needs to do anything yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRules:
    """Terms of matching and of payouts; all values are agreements with a channel, hence data.

    `fee_rates_e6` by channel in 1e-6 of the amount (6000 is 0.6 %): without one a channel's fees
    are taken as they are. `carry_days`: how far apart the days of one payment may lie, and for how
    long ours waits for the channel's. `payout_workdays`: T+1. `late_workdays`: how long a payout is
    awaited. Defaults: tolerance and carrying as payments.md 5 proposes, the others UNCONFIRMED.
    """

    fee_rates_e6: Mapping[str, int] = field(default_factory=dict)
    fee_rounding: str = "half_up"
    fee_tolerance_fen: int = 1
    carry_days: int = 1
    payout_workdays: int = 1
    late_workdays: int = 3
    calendar: WorkCalendar = field(default_factory=WorkCalendar)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One line of both sides, or of one. `rule` is what found the pair, "" where there is none."""

    outcome: str
    cause: str
    ours: SettlementRow | None
    channel: SettlementRow | None
    rule: str = ""
    expected_fee_fen: int | None = None

    @property
    def row(self) -> SettlementRow:
        """The line as the channel has it, else as we have it."""
        found = self.channel or self.ours
        assert found is not None
        return found

    @property
    def ours_fen(self) -> int:
        """What our books have of it."""
        return self.ours.net_fen if self.ours else 0

    @property
    def channel_fen(self) -> int:
        """What the channel has of it."""
        return self.channel.net_fen if self.channel else 0

    @property
    def is_open(self) -> bool:
        """Whether a person must look at it."""
        return self.cause not in CLOSED_CAUSES


Key = tuple[str | int, ...]
KeyRule = Callable[[SettlementRow], Key | None]
Pair = tuple[SettlementRow, SettlementRow]


def match_lines(
    ours: Iterable[SettlementRow], channel: Iterable[SettlementRow], rules: MatchRules
) -> tuple[Match, ...]:
    """Every row of both sides in one match, by day, channel and number.

    Only captures and refunds are matched; fees and payouts of a fund-flow bill are for the
    clearing. Memory: all rows of both sides.
    """
    theirs = sorted(channel, key=_content)
    left = [row for row in sorted(ours, key=_content) if row.kind in MATCHED_KINDS]
    right = [row for row in theirs if row.kind in MATCHED_KINDS]
    paired: list[tuple[str, Pair]] = []
    for name, key_of in PASSES:
        pairs, left, right = _pair(left, right, key_of)
        paired += [(name, pair) for pair in pairs]
    found = [_judge(name, pair, rules) for name, pair in paired]
    known = _Known.of([pair for _, pair in paired], theirs)
    found += _channel_alone(right, known)
    taken_back, left = _reversed(left)
    found += taken_back
    found += _ours_alone(left, known, rules)
    return tuple(sorted(found, key=lambda match: (_content(match.row), match.outcome)))


def _content(row: SettlementRow) -> Key:
    """Everything but the line: the order of the rows must not matter."""
    return (
        *(row.day_on, row.channel, row.merchant, row.kind, row.transaction, row.order_no),
        *(row.refund_no, row.refund_id, row.rrn, row.account_no, row.at, row.state),
        *(row.amount_fen, row.settled_fen, row.fee_fen),
    )


def _by_transaction(row: SettlementRow) -> Key | None:
    """A payment by its number; a refund only where neither side numbers refunds (cards)."""
    if not row.transaction or _refund_number(row):
        return None
    return row.channel, row.kind, row.transaction


def _refund_number(row: SettlementRow) -> str:
    """Of a refund; a payment may name its refunds, and is none."""
    return (row.refund_no or row.refund_id) if row.kind == REFUND else ""


def _by_refund_no(row: SettlementRow) -> Key | None:
    is_numbered = row.kind == REFUND and row.refund_no
    return (row.channel, row.transaction, row.refund_no) if is_numbered else None


def _by_refund_id(row: SettlementRow) -> Key | None:
    is_numbered = row.kind == REFUND and row.refund_id
    return (row.channel, row.transaction, row.refund_id) if is_numbered else None


def _by_refund_amount(row: SettlementRow) -> Key | None:
    """A refund that one side does not number."""
    if row.kind != REFUND or not row.transaction:
        return None
    return row.channel, row.transaction, row.amount_fen


def _by_order(row: SettlementRow) -> Key | None:
    if not row.order_no:
        return None
    return row.channel, row.merchant, row.kind, row.order_no, row.amount_fen


def _by_rrn(row: SettlementRow) -> Key | None:
    return (row.channel, row.merchant, row.kind, row.rrn) if row.rrn else None


def _and_amount(key_of: KeyRule) -> KeyRule:
    """The same with the amount: of two rows of one number, those that agree belong together."""

    def key(row: SettlementRow) -> Key | None:
        found = key_of(row)
        return None if found is None else (*found, row.amount_fen)

    return key


MATCHED_KINDS = (CAPTURE, REFUND)
PASSES: tuple[tuple[str, KeyRule], ...] = (
    ("transaction", _and_amount(_by_transaction)),
    ("transaction", _by_transaction),
    ("refund_no", _and_amount(_by_refund_no)),
    ("refund_no", _by_refund_no),
    ("refund_id", _and_amount(_by_refund_id)),
    ("refund_id", _by_refund_id),
    ("refund_amount", _by_refund_amount),
    ("order_and_amount", _by_order),
    ("rrn", _by_rrn),
)


def _pair(
    left: list[SettlementRow], right: list[SettlementRow], key_of: KeyRule
) -> tuple[list[Pair], list[SettlementRow], list[SettlementRow]]:
    """Rows of equal keys, first with first, and what is left on both sides."""
    waiting: dict[Key, list[SettlementRow]] = {}
    rest_right = []
    for row in right:
        key = key_of(row)
        if key is None:
            rest_right.append(row)
        else:
            waiting.setdefault(key, []).append(row)
    pairs, rest_left = [], []
    for row in left:
        key = key_of(row)
        partner = next((each for each in waiting.get(key or (), ()) if _can_be(row, each)), None)
        if key is None or partner is None:
            rest_left.append(row)
        else:
            waiting[key].remove(partner)
            pairs.append((row, partner))
    rest_right += [row for rows in waiting.values() for row in rows]
    return pairs, rest_left, sorted(rest_right, key=_content)


def _can_be(ours: SettlementRow, channel: SettlementRow) -> bool:
    """Two different numbers of the channel are two payments, whatever else agrees."""
    return (
        not ours.transaction or not channel.transaction or (ours.transaction == channel.transaction)
    )


def _judge(rule: str, pair: Pair, rules: MatchRules) -> Match:
    """How the two sides of one payment differ; the most telling difference first."""
    ours, channel = pair
    expected_fen = expected_fee_fen(channel, rules)
    outcome, cause = MATCHED, ""
    if ours.amount_fen != channel.amount_fen:
        outcome, cause = "amount_diff", "amount"
    elif ours.merchant != channel.merchant:
        outcome, cause = "account_diff", "wrong_merchant"
    elif _is_wrong_account(ours, channel):
        outcome, cause = "account_diff", "wrong_account"
    elif expected_fen is not None and (
        abs(channel.fee_fen - expected_fen) > rules.fee_tolerance_fen
    ):
        outcome, cause = "fee_diff", "fee"
    elif ours.day_on != channel.day_on:
        is_near = abs(_days_between(ours.day_on, channel.day_on)) <= rules.carry_days
        outcome, cause = "date_shifted", "late_cut_off" if is_near else "days_apart"
    return Match(
        outcome=outcome,
        cause=cause,
        ours=ours,
        channel=channel,
        rule=rule,
        expected_fee_fen=expected_fen,
    )


def expected_fee_fen(row: SettlementRow, rules: MatchRules) -> int | None:
    """The fee of a payment by the channel's rate; None where no rate is agreed, and of refunds."""
    rate_e6 = rules.fee_rates_e6.get(row.channel)
    if rate_e6 is None or row.kind != CAPTURE:
        return None
    return ROUNDING[rules.fee_rounding](row.amount_fen * rate_e6, 10**6)


def _is_wrong_account(ours: SettlementRow, channel: SettlementRow) -> bool:
    """Whether we booked it for another account than its order number carries."""
    ordered = account_of(channel.order_no)
    return bool(ordered and ours.account_no and ours.account_no != ordered)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is paired already, and which days the channel's files have."""

    keys: frozenset[Key]
    orders: frozenset[str]
    captured: frozenset[tuple[str, str]]
    last_on: Mapping[tuple[str, str], str]

    @classmethod
    def of(cls, pairs: Iterable[Pair], channel: Iterable[SettlementRow]) -> _Known:
        last_on: dict[tuple[str, str], str] = {}
        for row in channel:
            group = (row.channel, row.merchant)
            last_on[group] = max(last_on.get(group, ""), row.day_on)
        both = [row for pair in pairs for row in pair]
        captures = [row for row in both if row.kind == CAPTURE]
        return cls(
            keys=frozenset(_identity(row) for row in both),
            orders=frozenset(row.order_no for row in captures if row.order_no),
            captured=frozenset((row.channel, row.transaction) for row in captures),
            last_on=last_on,
        )


def _identity(row: SettlementRow) -> Key:
    """What two rows of one side must not have in common."""
    if not row.transaction:
        return row.channel, row.merchant, row.kind, row.order_no, row.rrn, row.amount_fen, row.at
    return row.channel, row.kind, row.transaction, _refund_number(row)


def _channel_alone(rows: Iterable[SettlementRow], known: _Known) -> Iterator[Match]:
    seen, paid = set(known.keys), set(known.orders)
    for row in sorted(rows, key=lambda each: (each.at, _content(each))):
        outcome, cause = "channel_only", "no_order"
        if _identity(row) in seen:
            outcome, cause = "duplicate_in_file", "duplicate"
        elif row.kind == REFUND:
            is_known = (row.channel, row.transaction) in known.captured
            outcome = "status_diff" if is_known else "channel_only"
            cause = "refund_elsewhere"
        elif row.order_no in paid:
            cause = "duplicate"
        elif account_of(row.order_no):
            cause = "lost_callback"
        seen.add(_identity(row))
        if row.kind == CAPTURE and row.order_no:
            paid.add(row.order_no)
        yield Match(outcome=outcome, cause=cause, ours=None, channel=row)


def _reversed(rows: Iterable[SettlementRow]) -> tuple[list[Match], list[SettlementRow]]:
    """Sales of ours with a reversal of the same transaction and amount, and what is left.

    What has a number as a refund is asked for at the channel, and must be in its file.
    """
    found, rest = [], []
    open_sales: dict[Key, list[SettlementRow]] = {}
    ordered = sorted(rows, key=lambda row: (row.kind, _content(row)))  # captures come first
    for row in ordered:
        key = (row.channel, row.merchant, row.transaction, row.amount_fen)
        if row.kind == CAPTURE:
            open_sales.setdefault(key, []).append(row)
        elif row.transaction and not _refund_number(row) and open_sales.get(key):
            pair = (open_sales[key].pop(0), row)
            found += [Match(outcome=REVERSED, cause=REVERSED, ours=r, channel=None) for r in pair]
        else:
            rest.append(row)
    rest += [row for sales in open_sales.values() for row in sales]
    return found, sorted(rest, key=_content)


def _ours_alone(rows: Iterable[SettlementRow], known: _Known, rules: MatchRules) -> Iterator[Match]:
    seen = set(known.keys)
    for row in rows:
        outcome, cause = "ours_only", "not_at_channel"
        if _identity(row) in seen:
            outcome, cause = "duplicate_in_ours", "duplicate"
        elif _days_after(row, known) < rules.carry_days:
            cause = "not_in_file_yet"
        elif row.kind == REFUND:
            cause = "refund_not_made"
        seen.add(_identity(row))
        yield Match(outcome=outcome, cause=cause, ours=row, channel=None)


def _days_after(row: SettlementRow, known: _Known) -> int:
    """How many days after the row's own the channel's files go; below 0 without any file."""
    last_on = known.last_on.get((row.channel, row.merchant))
    if last_on is None:
        return -1
    return _days_between(row.day_on, last_on)


def _days_between(first_on: str, last_on: str) -> int:
    return (date.fromisoformat(last_on) - date.fromisoformat(first_on)).days
