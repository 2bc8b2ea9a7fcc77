"""What the law and the utility say about cutting a customer off: every number with its source.

The interlocks (interlocks.py) read their thresholds here and nowhere else. A value whose source is
marked UNCONFIRMED is a documented default that a utility must check before it goes live.

Example: a residential notice must be served at least 7 days before the window.

    DEFAULT_POLICY.notice_rule("residential").least_s    604800
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from libs.events.errors import BadInput
from libs.events.policy import Term, check_ranges, digest_of

CLOSE_ACTIONS = ("permit_close", "close")
KEEP_ACTIONS = {"keep_supply": "kept", "keep_supply_off": "not_kept"}
"""Commands that forbid a meter to open its relay, or allow it again, and what is read back then."""
SUPPLY_ACTIONS = (*KEEP_ACTIONS, "limit_load")
"""Commands that leave the relay as it is."""
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
    """The thresholds of control. TERMS says what each means and where it comes from."""

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
    prepaid_warned_s: int = DAY_S
    prepaid_estimate_days: int = 1
    prepaid_unread_days: int = 3
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
    weather_s_most: int = DAY_S
    data_days_most: int = 35
    match_days_most: int = 366
    notice_channels: tuple[str, ...] = ("in_person", "handed_over", "registered_mail")
    final_channels: tuple[str, ...] = (
        *("in_person", "handed_over", "registered_mail"),
        *("phone", "sms", "app"),
    )
    evidence_kinds: tuple[str, ...] = ("photo", "receipt", "signature", "recording")
    authority_copy_voltages: tuple[str, ...] = ("10kv", "35kv", "110kv")
    utc_offset_minutes: int = 480

    def __post_init__(self) -> None:
        check_ranges(self, TERMS)
        if self.close_action not in CLOSE_ACTIONS:
            problem = f"{self.close_action!r} does not close a relay"
            raise BadInput("close_action", problem, f"give one of {', '.join(CLOSE_ACTIONS)}")
        for name in ("residential", "non_residential"):
            rule: NoticeRule = getattr(self, name)
            if rule.least_s > rule.most_s or rule.final_least_s > rule.final_most_s:
                problem = "a minimum is greater than its maximum"
                raise BadInput(name, problem, "a stricter minimum needs its own maximum")
        if self.window_s_default > self.window_s_most:
            problem = f"{self.window_s_default} is more than window_s_most {self.window_s_most}"
            raise BadInput("window_s_default", problem, "give both")
        if self.hours_from >= self.hours_to:
            problem = f"{self.hours_from} is not before hours_to {self.hours_to}"
            raise BadInput("hours_from", problem, "give both")
        for day_on in self.no_cut_on:
            if not _is_day(day_on):
                raise BadInput("no_cut_on", f"{day_on!r} is no day", "write 2026-10-01")

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


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _notice_terms(name: str, people: str, source: str) -> dict[str, Term]:
    """The four periods of one kind of customers."""
    meanings = {
        "least_s": f"{people}: seconds from the notice to the window, at least",
        "most_s": f"{people}: seconds from the notice to the window, at most",
        "final_least_s": f"{people}: seconds from the final notice to the window, at least",
        "final_most_s": f"{people}: seconds from the final notice to the window, at most",
    }
    return {
        f"{name}.{period}": Term(meaning, source, 0, 90 * DAY_S)
        for period, meaning in meanings.items()
    }


TERMS: dict[str, Term] = {
    "threshold_fen": Term(
        "the noticed debt counts as settled when no more than this is open of it; fen",
        "DESIGN 5: money releases when the noticed debt is settled; nothing left",
        0,
        100_000_000,
    ),
    "overdue_days": Term(
        "a debt must be overdue for more days than this",
        "domain.md 5 (1): older than 30 days after the overdue date, and dunned",
        0,
        3_650,
    ),
    **_notice_terms(
        "residential",
        "residential",
        "domain.md 5: regional rule >= 7 days, 30 minutes; the maxima UNCONFIRMED",
    ),
    **_notice_terms(
        "non_residential",
        "all others",
        "domain.md 5: Art. 67 3-7 days, regional rule 1 hour; final UNCONFIRMED",
    ),
    "categories": Term(
        "the categories that we know, and whether each is residential; nobody else is cut",
        "customers' agreement categories; only residential has the stricter minimum",
    ),
    "window_s_default": Term(
        "how long a planned window is when nobody says; seconds",
        "UNCONFIRMED: Art. 67 cuts at the noticed time; a crew's half day",
        MINUTE_S,
        DAY_S,
    ),
    "window_s_most": Term(
        "how long a planned window may be; seconds",
        "UNCONFIRMED: Art. 67 cuts at the noticed time; one working day",
        MINUTE_S,
        DAY_S,
    ),
    "plan_ahead_s_most": Term(
        "how far ahead a window may lie; seconds",
        "UNCONFIRMED: a guard against a wrong year or month",
        DAY_S,
        366 * DAY_S,
    ),
    "hours_from": Term(
        "nobody is cut before this minute of the local day",
        "UNCONFIRMED: domain.md 5, nobody is cut at night",
        0,
        24 * 60,
    ),
    "hours_to": Term(
        "nobody is cut after this minute of the local day",
        "UNCONFIRMED: domain.md 5, nobody is cut at night",
        0,
        24 * 60,
    ),
    "weekdays": Term(
        "the weekdays on which people are cut; 1 is Monday, 7 is Sunday",
        "UNCONFIRMED: domain.md 5, nobody is cut when the counter is closed",
        1,
        7,
    ),
    "no_cut_on": Term(
        "days on which nobody is cut, as 2026-10-01",
        "UNCONFIRMED: domain.md 5, holidays and extreme weather; dates of the utility",
    ),
    "remote_methods": Term(
        "by voltage class: the switching methods that may be used from afar",
        "DESIGN 5: meter relays at low voltage; 10 kV and above none by default",
    ),
    "command_s": Term(
        "how long an open command is valid, never longer than its clearance; seconds",
        "domain.md 1.6: a relay command expires within minutes",
        1,
        HOUR_S,
    ),
    "close_action": Term(
        f"how a point is closed: {' or '.join(CLOSE_ACTIONS)}",
        "DESIGN 5: permit-close (1BH) by default",
    ),
    "close_s": Term(
        "how long a close command is valid; seconds",
        "domain.md 5 (4): reconnection within 30 minutes, UNCONFIRMED",
        1,
        DAY_S,
    ),
    "clearance_retry_s": Term(
        "how long after asking for a clearance we ask again; seconds",
        "UNCONFIRMED: a few validities of a grant (about a minute, DESIGN 4)",
        MINUTE_S,
        DAY_S,
    ),
    "withdrawal_s": Term(
        "so long after a grant expired its withdrawal makes an opening a crossed one; seconds",
        "UNCONFIRMED: how late payments may tell of money that came after the fence",
        0,
        30 * DAY_S,
    ),
    "unresolved_s": Term(
        "so long after a command expired without an outcome somebody goes to look; seconds",
        "UNCONFIRMED: a day after the command expired somebody goes to look",
        MINUTE_S,
        30 * DAY_S,
    ),
    "clock_s": Term(
        "how far a person's watch may be ahead of business time; seconds",
        "UNCONFIRMED: live business time is up to a minute behind a person's watch",
        0,
        DAY_S,
    ),
    "prepaid_release_fen": Term(
        "a prepaid hold ends when more than this is available; fen",
        "DESIGN 5: money releases the prepaid hold; default any credit",
        -100_000_000,
        100_000_000,
    ),
    "prepaid_warned_s": Term(
        "so long before a prepaid cut both warnings must have been served; seconds",
        "UNCONFIRMED: a day to pay after the second warning",
        0,
        30 * DAY_S,
    ),
    "prepaid_estimate_days": Term(
        "how many days the estimate behind a prepaid cut may end before today",
        "UNCONFIRMED: DESIGN 5 estimates daily; before noon the last one is of yesterday",
        0,
        30,
    ),
    "prepaid_unread_days": Term(
        "nobody is cut on an estimate of which so many days were not read",
        "UNCONFIRMED: DESIGN 5 names no figure; three days of readings missed",
        1,
        366,
    ),
    "hold_units": Term(
        "by reason: the unit that owns the holds which the utility brought along",
        "UNCONFIRMED: how the utility is organised; who owns the holds it brought along",
    ),
    "weather_s_most": Term(
        "a statement that no weather alarm is raised may be for so long; seconds",
        "UNCONFIRMED: domain.md 5, nobody is cut in extreme weather; a day's forecast",
        HOUR_S,
        7 * DAY_S,
    ),
    "data_days_most": Term(
        "so many days may the newest reading of the point be old",
        "UNCONFIRMED: a billing month and some days",
        1,
        366,
    ),
    "match_days_most": Term(
        "so many days may the match of meter and household be old",
        "UNCONFIRMED: once a year, and at once when the meter is another",
        1,
        3_660,
    ),
    "notice_channels": Term(
        "how a written notice may be served",
        "UNCONFIRMED: domain.md 5, Art. 67 served; what leaves a trace",
    ),
    "final_channels": Term(
        "how the final notice may be served",
        "UNCONFIRMED: domain.md 5, a second notice; by phone and message, too",
    ),
    "evidence_kinds": Term(
        "with which word the evidence of a served notice begins",
        "UNCONFIRMED: what a utility can show afterwards",
    ),
    "authority_copy_voltages": Term(
        "by voltage class: customers of whose notice the power authority has a copy",
        "domain.md 5: key customers, copy to the power authority; voltages UNCONFIRMED",
    ),
    "utc_offset_minutes": Term(
        "the utility's zone, in minutes east of UTC",
        "DESIGN 7: Asia/Shanghai, no daylight-saving time",
        -12 * 60,
        14 * 60,
    ),
}
"""What each value of the policy means and where it comes from (a test keeps this complete)."""

DEFAULT_POLICY = Policy()


def policy_digest(policy: Policy) -> str:
    """Eight hex digits that differ when any value differs; "" for the default policy."""
    return digest_of(policy, DEFAULT_POLICY)
