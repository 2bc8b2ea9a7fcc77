"""The clearing account per channel, merchant and day: zero, or explained to the fen.

Our books debit it with what a channel took for us and credit it with refunds, payouts and fees.
What is left of a day is the sum of its causes, by construction: lines that only one side has or has
otherwise, coupons that are ours to bear, and a payout that is late, missing or of another amount.

Example: 100.00 that we do not have (lost callback), paid out: clearing -100.00 = lost_callback.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.payments.settlement.matching import MATCHED, Match, MatchRules, match_lines
from services.payments.settlement.payouts import PAID, OwedDay, Payout, assign_payouts
from services.payments.settlement.rows import CAPTURE, FEE, PAYOUT, REFUND, SettlementRow

Group = tuple[str, str]
"""Channel and merchant."""
COUPON = "coupon"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearingDay:
    """What is left on the clearing account of one day; the causes add up to it.

    `ours_fen` and `channel_fen`: payments less refunds, as our books and as the channel has them.
    `fee_fen` and `paid_fen` are what the channel kept and what the bank got for this day.
    """

    channel: str
    merchant: str
    day_on: str
    ours_fen: int
    channel_fen: int
    fee_fen: int
    paid_fen: int
    causes: Mapping[str, int]

    @property
    def clearing_fen(self) -> int:
        """What is left on our account."""
        return self.ours_fen - self.fee_fen - self.paid_fen


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Three sides matched: lines, payouts by channel and merchant, and the clearing of each day."""

    matches: tuple[Match, ...]
    payouts: tuple[tuple[Group, Payout], ...]
    days: tuple[ClearingDay, ...]

    @property
    def is_open(self) -> bool:
        """Whether a person must look at anything."""
        return any(match.is_open for match in self.matches) or any(
            payout.is_open for _, payout in self.payouts
        )


@dataclass(slots=True)
class _Day:
    """The sums of one day while they are made."""

    ours_fen: int = 0
    channel_fen: int = 0
    settled_fen: int = 0
    fee_fen: int = 0
    paid_fen: int = 0
    causes: dict[str, int] = field(default_factory=dict)

    def because(self, cause: str, amount_fen: int) -> None:
        if amount_fen:
            self.causes[cause] = self.causes.get(cause, 0) + amount_fen


Days = dict[tuple[str, str, str], _Day]


def settle(
    ours: Iterable[SettlementRow],
    channel: Iterable[SettlementRow],
    bank: Iterable[SettlementRow],
    rules: MatchRules,
    as_of: str,
) -> Settlement:
    """Our books, the channels' files and the bank's statement, matched as of a day.

    What the channel's own fund-flow bill says of payouts is left out: the bank is the witness.
    """
    theirs = tuple(channel)
    matches = match_lines(ours, theirs, rules)
    days: Days = {}
    for match in matches:
        _add_match(days, match)
    for row in theirs:
        if row.kind in (CAPTURE, REFUND, FEE):
            _add_row(_day(days, row), row)
    payouts = _payouts(days, tuple(bank), rules, as_of)
    for (of_channel, merchant), payout in payouts:
        _add_payout(days, of_channel, merchant, payout)
    return Settlement(
        matches=matches,
        payouts=payouts,
        days=tuple(_clearing_day(key, days[key]) for key in sorted(days)),
    )


def _day(days: Days, row: SettlementRow) -> _Day:
    return days.setdefault((row.channel, row.merchant, row.day_on), _Day())


def _add_match(days: Days, match: Match) -> None:
    """Both sides on their own day: a pair that differs in nothing leaves nothing."""
    cause = match.cause or match.outcome
    if match.ours:
        day = _day(days, match.ours)
        day.ours_fen += match.ours_fen
        day.because(cause, match.ours_fen)
    if match.channel:
        _day(days, match.channel).because(cause, -match.channel_fen)


def _add_row(day: _Day, row: SettlementRow) -> None:
    day.fee_fen += row.fee_fen
    if row.kind == FEE:
        day.fee_fen += row.amount_fen
        return
    day.channel_fen += row.net_fen
    day.settled_fen += row.net_settled_fen
    day.because(COUPON, row.net_fen - row.net_settled_fen)


def _payouts(
    days: Days, bank: tuple[SettlementRow, ...], rules: MatchRules, as_of: str
) -> tuple[tuple[Group, Payout], ...]:
    owed: dict[Group, list[OwedDay]] = {}
    for (channel, merchant, day_on), day in days.items():
        found = OwedDay(day_on=day_on, settled_fen=day.settled_fen, fee_fen=day.fee_fen)
        owed.setdefault((channel, merchant), []).append(found)
    paid: dict[Group, list[SettlementRow]] = {}
    for row in bank:
        if row.kind == PAYOUT:
            paid.setdefault((row.channel, row.merchant), []).append(row)
    return tuple(
        (group, payout)
        for group in sorted(owed.keys() | paid.keys())
        for payout in assign_payouts(owed.get(group, ()), paid.get(group, ()), rules, as_of)
    )


def _add_payout(days: Days, channel: str, merchant: str, payout: Payout) -> None:
    parts = payout.paid_by_day()
    for day_on, paid_fen in parts.items():
        days.setdefault((channel, merchant, day_on), _Day()).paid_fen += paid_fen
    if not payout.days:
        days[channel, merchant, payout.due_on].because(payout.outcome, -payout.paid_fen)
    for owed in payout.days:
        left_fen = owed.owed_fen - parts.get(owed.day_on, 0)
        days[channel, merchant, owed.day_on].because(payout.outcome, left_fen)


def _clearing_day(key: tuple[str, str, str], day: _Day) -> ClearingDay:
    causes = {cause: amount_fen for cause, amount_fen in sorted(day.causes.items()) if amount_fen}
    found = ClearingDay(
        channel=key[0],
        merchant=key[1],
        day_on=key[2],
        ours_fen=day.ours_fen,
        channel_fen=day.channel_fen,
        fee_fen=day.fee_fen,
        paid_fen=day.paid_fen,
        causes=causes,
    )
    assert not {PAID, MATCHED} & causes.keys(), f"{key}: it agrees, and something is left"
    assert sum(causes.values()) == found.clearing_fen, f"{key}: {causes} != {found.clearing_fen}"
    return found
