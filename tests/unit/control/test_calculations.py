"""Instants, ids and the policy: values by hand."""

from __future__ import annotations

import pytest

from libs.events.errors import BadInput
from libs.events.policy import values_of
from services.control import core
from services.control.identifiers import (
    account_of,
    case_id_of,
    clearance_id_of,
    command_id_of,
    identity,
    ticket_id_of,
)
from services.control.instant import (
    days_between,
    epoch_seconds,
    local_day,
    local_time,
    parse_day,
    parse_instant,
    plus,
    seconds_between,
)
from services.control.policy import (
    DEFAULT_POLICY,
    TERMS,
    NoticeRule,
    Policy,
    policy_digest,
)


def test_instants_by_hand() -> None:
    assert plus("2026-01-31T16:00:00Z", 1800) == "2026-01-31T16:30:00Z"
    assert plus("2026-03-01T00:00:00Z", -1) == "2026-02-28T23:59:59Z"
    assert seconds_between("2026-01-31T16:00:00Z", "2026-02-01T16:00:01Z") == 86_401
    assert seconds_between("2026-02-01T16:00:01Z", "2026-01-31T16:00:00Z") == -86_401
    assert local_day("2026-01-31T16:00:00Z", 480) == "2026-02-01"
    assert local_day("2026-01-31T15:59:59Z", 480) == "2026-01-31"
    assert local_time("2026-01-31T16:30:00Z", 480).strftime("%H:%M") == "00:30"
    assert epoch_seconds("1970-01-02T00:00:01Z") == 86_401
    assert days_between("2026-02-28", "2026-03-01") == 1
    assert days_between("2026-03-01", "2026-02-28") == -1


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-01-31", "2026-01-31 16:00:00Z", "2026-13-31T16:00:00Z"),
        *("2026-01-31T16:00:00+08:00", "0999-12-31T23:59:59Z", "3000-01-01T00:00:00Z"),
    ],
)
def test_no_instant(text: str) -> None:
    with pytest.raises(BadInput, match=r"served_at: .* is no instant"):
        parse_instant(text, "served_at")


@pytest.mark.parametrize("text", ["", "2026-1-31", "2026-02-30", "20260131"])
def test_no_date(text: str) -> None:
    with pytest.raises(BadInput, match=r"due_on: .* is no date"):
        parse_day(text, "due_on")


def test_ids_follow_from_what_they_name() -> None:
    assert case_id_of("1000000042", "ab12") == "1000000042.ab12"
    assert account_of("1000000042.ab12") == "1000000042"
    assert command_id_of("1000000042.ab12", "P1", 7) == "1000000042.ab12.7"
    assert command_id_of("", "P1", 7) == "P1.7"
    assert clearance_id_of("1000000042.ab12", 2) == "1000000042.ab12.clearance2"
    assert ticket_id_of("1000000042", 3) == "1000000042.ticket3"
    assert identity(" Wang ") == identity("wang")


@pytest.mark.parametrize("text", ["", "1000000042", "1000000042.", ".ab", "10 0.ab", "1.a/b"])
def test_no_case_id(text: str) -> None:
    with pytest.raises(BadInput, match="case_id"):
        account_of(text)


def test_every_value_of_the_policy_names_its_source() -> None:
    assert set(TERMS) == {path for path, _ in values_of(DEFAULT_POLICY)}
    assert all(term.source and term.meaning for term in TERMS.values())


def test_statutory_defaults() -> None:
    policy = DEFAULT_POLICY
    assert policy.overdue_days == 30
    assert policy.notice_rule("residential") == NoticeRule(
        least_s=604_800, most_s=1_296_000, final_least_s=1_800, final_most_s=86_400
    )
    for category in ("non_residential", "industrial", "agricultural"):
        rule = policy.notice_rule(category)
        assert rule is not None
        assert (rule.least_s, rule.most_s, rule.final_least_s) == (259_200, 604_800, 3_600)
    assert policy.notice_rule("") is None
    assert policy.notice_rule("spaceport") is None
    assert policy.methods_of("lt1kv") == ("meter_relay",)
    assert policy.methods_of("10kv") == ()
    assert policy.unit_of("works") == "works"
    assert policy.unit_of("witchcraft") == "unknown"


def test_a_policy_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(BadInput, match="close_action: 'open' does not close a relay"):
        Policy(close_action="open")
    rule = NoticeRule(least_s=8, most_s=7, final_least_s=1, final_most_s=2)
    with pytest.raises(BadInput, match="residential: a minimum is greater than its maximum"):
        Policy(residential=rule)
    rule = NoticeRule(least_s=7, most_s=7, final_least_s=3, final_most_s=2)
    with pytest.raises(BadInput, match="non_residential: a minimum"):
        Policy(non_residential=rule)


def test_another_policy_is_another_decider() -> None:
    stricter = Policy(overdue_days=60)
    assert policy_digest(DEFAULT_POLICY) == ""
    assert core.make_core("abc").decider == "abc"
    assert core.make_core("abc", stricter).decider == f"abc+{policy_digest(stricter)}"
    assert len(policy_digest(stricter)) == 8
