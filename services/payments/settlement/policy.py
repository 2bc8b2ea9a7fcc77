"""What the settlement stage judges by: fees, days of payouts, holidays, how long it remembers.

DEFAULT_POLICY.rules.payout_workdays    1
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from libs.events.errors import BadInput
from libs.events.policy import UNCONFIRMED, Term, check_ranges
from services.payments.settlement.matching import MatchRules
from services.payments.settlement.rows import CHANNELS
from services.payments.settlement.work_days import WorkCalendar

RATE_E6_MOST = 999_999
NOT_JUDGED = -1
PAYING = tuple(name for name in CHANNELS if name != "bank")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementPolicy:
    """What the stage judges by. TERMS says what each value means and where it comes from."""

    fee_rates_e6: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PAYING, NOT_JUDGED))
    fee_tolerance_fen: int = 1
    carry_days: int = 1
    payout_workdays: int = 1
    late_workdays: int = 3
    holidays: tuple[str, ...] = ()
    workdays: tuple[str, ...] = ()
    keep_days: int = 60
    owner: str = "settlement"
    bank: str = "settlement"

    def __post_init__(self) -> None:
        check_ranges(self, TERMS)
        for name in ("holidays", "workdays"):
            for text in getattr(self, name):
                if not is_day(text):
                    raise BadInput(name, f"{text!r} is no day", "write it like 2026-02-16")

    @property
    def rules(self) -> MatchRules:
        """The terms of matching and payouts."""
        return MatchRules(
            fee_rates_e6={name: e6 for name, e6 in self.fee_rates_e6.items() if e6 >= 0},
            fee_tolerance_fen=self.fee_tolerance_fen,
            carry_days=self.carry_days,
            payout_workdays=self.payout_workdays,
            late_workdays=self.late_workdays,
            calendar=WorkCalendar(
                holidays=frozenset(self.holidays), workdays=frozenset(self.workdays)
            ),
        )


def is_day(text: str) -> bool:
    """Whether a text is a day as 2026-01-31."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


TERMS: dict[str, Term] = {
    **{
        f"fee_rates_e6.{channel}": Term(
            f"the fee of {channel} in 1e-6 of the amount (6000 is 0.6 %); -1: fees are not judged",
            f"{UNCONFIRMED}: an agreement with the channel",
            NOT_JUDGED,
            RATE_E6_MOST,
        )
        for channel in PAYING
    },
    "fee_tolerance_fen": Term(
        "a fee may differ from its rate by so many fen", "payments.md 5: +-1 fen", 0, 100
    ),
    "carry_days": Term(
        "how far apart the days of one payment may lie, and how long ours waits for the channel's",
        "payments.md 5: carried once",
        0,
        30,
    ),
    "payout_workdays": Term(
        "working days from a channel's day to its payout", "payments.md 1.4: T+1", 0, 30
    ),
    "late_workdays": Term(
        "working days that a payout may be late before it is missing", f"{UNCONFIRMED}: 3", 0, 30
    ),
    "holidays": Term(
        "days on which banks do not pay, whatever day of the week",
        f"{UNCONFIRMED}: the yearly notice of the State Council",
    ),
    "workdays": Term("Saturdays and Sundays that are worked", f"{UNCONFIRMED}: the same notice"),
    "keep_days": Term(
        "so many days after their payout closed days and bank statements are still known",
        f"{UNCONFIRMED}: longer than any payout may be late",
        31,
        400,
    ),
    "owner": Term("who owns a case that nobody took up", f"{UNCONFIRMED}"),
    "bank": Term("the sub-account of the bank that channels pay to", f"{UNCONFIRMED}"),
}
"""What each value means and where it comes from."""

DEFAULT_POLICY = SettlementPolicy()
