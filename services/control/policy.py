"""What the law and the utility say about cutting a customer off: every number with its source.

The interlocks (interlocks.py) read their thresholds here and nowhere else. A value whose source is
marked UNCONFIRMED is a documented default that a utility must check before it goes live.

Example: a residential notice must be served at least 7 days before the window.

    DEFAULT_POLICY.notice_rule("residential").least_s    604800
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from libs.events.errors import BadInput

CLOSE_ACTIONS = ("permit_close", "close")
MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRule:
    """How long before the cut the notice and the final notice must be served, in seconds."""

    least_s: int
    most_s: int
    final_least_s: int
    final_most_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The thresholds of control. SOURCES says where each comes from.

    - threshold_fen: the noticed debt counts as settled when no more than this is open of it;
      overdue_days: a debt must be overdue for more days than this
    - residential, non_residential: notice periods; categories: those we know, and whether each is
      residential
    - window_s_default, window_s_most: how long a planned window is and may be; plan_ahead_s_most:
      how far ahead it may lie; hours_from, hours_to: between which minutes of the local day;
      weekdays: on which ISO weekdays; no_cut_on: dates on which nobody is cut
    - remote_methods: voltage class -> switching methods that we may use from afar
    - command_s: how long an open command is valid at most, never longer than its clearance;
      close_action, close_s: how a point is closed, and how long that command is valid
    - clearance_retry_s: how long after asking we ask again; withdrawal_s: how long after a grant
      expired its withdrawal still makes an opening a crossed one
    - unresolved_s: how long after a command expired without an outcome somebody is sent to look
    - clock_s: how far a person's watch may be ahead of business time
    - prepaid_release_fen: a prepaid hold ends when more than this is available
    - hold_units: reason -> the unit that owns holds which the utility brought along
    - utc_offset_minutes: the utility's zone
    """

    threshold_fen: int = 0
    overdue_days: int = 30
    residential: NoticeRule = NoticeRule(
        least_s=7 * DAY_S, most_s=15 * DAY_S, final_least_s=30 * MINUTE_S, final_most_s=DAY_S
    )
    non_residential: NoticeRule = NoticeRule(
        least_s=3 * DAY_S, most_s=7 * DAY_S, final_least_s=HOUR_S, final_most_s=DAY_S
    )
    categories: tuple[tuple[str, bool], ...] = (
        ("residential", True),
        ("non_residential", False),
        ("industrial", False),
        ("agricultural", False),
    )
    window_s_default: int = 4 * HOUR_S
    window_s_most: int = 8 * HOUR_S
    plan_ahead_s_most: int = 60 * DAY_S
    hours_from: int = 8 * 60
    hours_to: int = 17 * 60
    weekdays: tuple[int, ...] = (1, 2, 3, 4, 5)
    no_cut_on: tuple[str, ...] = ()
    remote_methods: tuple[tuple[str, tuple[str, ...]], ...] = (("lt1kv", ("meter_relay",)),)
    command_s: int = 5 * MINUTE_S
    close_action: str = "permit_close"
    close_s: int = 30 * MINUTE_S
    clearance_retry_s: int = 5 * MINUTE_S
    withdrawal_s: int = 15 * MINUTE_S
    unresolved_s: int = DAY_S
    clock_s: int = 5 * MINUTE_S
    prepaid_release_fen: int = 0
    hold_units: tuple[tuple[str, str], ...] = (
        ("arrears", "collection"),
        ("prepaid_balance", "collection"),
        ("safety_defect", "safety"),
        ("works", "works"),
        ("vacated", "customer_service"),
        ("theft_case", "inspection"),
        ("customer_request", "customer_service"),
        ("fire_service", "safety"),
    )
    utc_offset_minutes: int = 480

    def __post_init__(self) -> None:
        if self.close_action not in CLOSE_ACTIONS:
            problem = f"{self.close_action!r} does not close a relay"
            raise BadInput("close_action", problem, f"give one of {', '.join(CLOSE_ACTIONS)}")
        for name in ("residential", "non_residential"):
            rule: NoticeRule = getattr(self, name)
            if rule.least_s > rule.most_s or rule.final_least_s > rule.final_most_s:
                problem = "a minimum is greater than its maximum"
                raise BadInput(name, problem, "a stricter minimum needs its own maximum")

    def notice_rule(self, category: str) -> NoticeRule | None:
        """The notice periods of a category; None for one we do not know."""
        residential = dict(self.categories).get(category)
        if residential is None:
            return None
        return self.residential if residential else self.non_residential

    def methods_of(self, voltage_class: str) -> tuple[str, ...]:
        """The remote methods of a voltage class; none where nothing is said."""
        return dict(self.remote_methods).get(voltage_class, ())

    def unit_of(self, reason: str) -> str:
        """The unit that owns a hold of this reason; `unknown` where nothing is said."""
        return dict(self.hold_units).get(reason, "unknown")


DEFAULT_POLICY = Policy()

SOURCES: dict[str, str] = {
    "threshold_fen": "DESIGN 5: money releases when the noticed debt is settled; nothing left",
    "overdue_days": "domain.md 5 (1): older than 30 days after the overdue date, and dunned",
    "residential": "domain.md 5: regional rule >= 7 days, 30 minutes; the maxima UNCONFIRMED",
    "non_residential": "domain.md 5: Art. 67 3-7 days, regional rule 1 hour; final UNCONFIRMED",
    "categories": "customers' agreement categories; only residential has the stricter minimum",
    "window_s_default": "UNCONFIRMED: Art. 67 cuts at the noticed time; a crew's half day",
    "window_s_most": "UNCONFIRMED: Art. 67 cuts at the noticed time; one working day",
    "plan_ahead_s_most": "UNCONFIRMED: a guard against a wrong year or month",
    "hours_from": "UNCONFIRMED: domain.md 5, nobody is cut at night",
    "hours_to": "UNCONFIRMED: domain.md 5, nobody is cut at night",
    "weekdays": "UNCONFIRMED: domain.md 5, nobody is cut when the counter is closed",
    "no_cut_on": "UNCONFIRMED: domain.md 5, holidays and extreme weather; dates of the utility",
    "remote_methods": "DESIGN 5: meter relays at low voltage; 10 kV and above none by default",
    "command_s": "domain.md 1.6: a relay command expires within minutes",
    "close_action": "DESIGN 5: permit-close (1BH) by default",
    "close_s": "domain.md 5 (4): reconnection within 30 minutes, UNCONFIRMED",
    "clearance_retry_s": "UNCONFIRMED: a few validities of a grant (about a minute, DESIGN 4)",
    "withdrawal_s": "UNCONFIRMED: how late payments may tell of money that came after the fence",
    "unresolved_s": "UNCONFIRMED: a day after the command expired somebody goes to look",
    "clock_s": "UNCONFIRMED: live business time is up to a minute behind a person's watch",
    "prepaid_release_fen": "DESIGN 5: money releases the prepaid hold; default any credit",
    "hold_units": "UNCONFIRMED: how the utility is organised; who owns the holds it brought along",
    "utc_offset_minutes": "DESIGN 7: Asia/Shanghai, no daylight-saving time",
}
"""Where each value of the policy comes from (a test keeps this complete)."""


def policy_digest(policy: Policy) -> str:
    """Eight hex digits that differ when any value differs; "" for the default policy."""
    if policy == DEFAULT_POLICY:
        return ""
    return hashlib.sha256(repr(policy).encode()).hexdigest()[:8]
