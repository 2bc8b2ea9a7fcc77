"""An interlock depends on nothing but the fields and values that it declares, and on all of these.

Goal: what an interlock can depend on is known without reading it, so that the walk over all inputs
(test_corners.py) may take its verdicts apart field by field. Method: perturbation. Two sets of
facts that agree in the declared fields get the same verdict, whatever else differs; and for each
declared field there is a change of it alone that the verdict shows. The same for the policy.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.control.facts import Facts, Interlock
from services.control.policy import DAY_S, DEFAULT_POLICY, TERMS, Policy
from services.control.safety_facts import Dispute
from services.control.state import Debt
from tests.unit.control.test_interlocks import (
    ANSWERS,
    DEBT,
    FINE,
    FORM,
    GOOD,
    GRANT,
    LEFT,
    NAMED,
    NOW,
    PERMIT,
    PLACE,
    SCHOOL,
    SEEN,
    SIGNED,
    WARNED,
)

INTERLOCKS = sorted(NAMED.values(), key=lambda each: each.name)
VALUES: dict[str, tuple[Any, ...]] = {
    "now_at": (NOW, "2026-03-05T01:00:00Z", "2026-03-12T06:00:00Z", "2026-04-30T02:00:00Z", "?"),
    "category": ("residential", "industrial", "spaceport", ""),
    "protected": ("", "school", "unknown"),
    "moved_out_on": ("", "2026-03-12", "2026-03-13"),
    "version": (3, 0, 4),
    "arrears_known": (True, False),
    "debts": (
        (DEBT,),
        (),
        (replace(DEBT, open_fen=0),),
        (replace(DEBT, due_on="2026-02-10"),),
        (DEBT, Debt(invoice_no="INV2", open_fen=1, due_on="2026-01-02")),
    ),
    "invoice_nos": (("INV1",), (), ("INV1", "INV2"), ("INV9",)),
    "noticed": (("INV1",), (), ("INV1", "INV2")),
    "noticed_fen": (12_000, 11_999, 0),
    "window_from_at": ("2026-03-12T02:00:00Z", "2026-03-14T02:00:00Z", "", "?"),
    "window_to_at": ("2026-03-12T06:00:00Z", "2026-03-12T02:05:00Z", "2026-03-12T12:00:00Z", ""),
    "expires_at": ("2026-03-12T06:00:00Z", NOW, ""),
    "served_at": ("2026-03-03T01:00:00Z", "2026-03-11T01:00:00Z", "2026-03-12T02:12:00Z", ""),
    "final_served_at": ("2026-03-12T01:00:00Z", "2026-03-12T02:00:00Z", "2026-03-01T00:00:00Z", ""),
    "requester": ("wang", "", "li"),
    "reviewer": ("li", "", "Wang"),
    "unit_head": ("zhao", "", "LI"),
    "point": (
        PLACE,
        None,
        replace(PLACE, meter_no="M2"),
        replace(PLACE, voltage_class="10kv"),
        replace(PLACE, agreement_version=2),
        replace(PLACE, to_on="2026-03-12"),
        replace(PLACE, area=""),
        replace(PLACE, voltage_class=""),
    ),
    "case_meter_no": ("M1", "M0", ""),
    "case_installed_at": ("2025-01-01T00:00:00Z", "2024-01-01T00:00:00Z", ""),
    "other_case": ("", "c9", "unknown"),
    "cut": (False, True),
    "holds": ((), ("works of works",)),
    "locks": ((), ("wu",)),
    "under_way": ("", "c9.1"),
    "clearance": (
        GRANT,
        None,
        replace(GRANT, answer="withdrawn"),
        replace(GRANT, fence_offset=-1),
        replace(GRANT, invoice_nos=("INV9",)),
        replace(GRANT, valid_until_at=NOW),
    ),
    "permit": (
        PERMIT,
        None,
        replace(PERMIT, answer="refused", reason="cap"),
        replace(PERMIT, area="A2"),
        replace(PERMIT, area=""),
        replace(PERMIT, hour_at="2026-03-12T01:00:00Z"),
    ),
    "corrections": ((), ("r1/P1",), ("unknown",)),
    "open_orders": ((), ("10000000421A7",), ("unknown",)),
    "disputes": ((), (Dispute(dispute_id="r1", raised_by="chen"),)),
    "protections": (
        (),
        (SCHOOL,),
        (replace(SCHOOL, until_on="2026-03-12"),),
        (replace(SCHOOL, until_on=""),),
        (replace(SCHOOL, until_on="?"),),
    ),
    "weather": (
        (FINE,),
        (),
        (FINE, replace(FINE, area="A1", alarm="storm orange")),
        (replace(FINE, until_at="2026-03-14T16:00:00Z"),),
        (replace(FINE, until_at=NOW),),
        (replace(FINE, from_at="2026-03-12T02:10:01Z"),),
        (replace(FINE, from_at="?"),),
    ),
    "contact": (
        ANSWERS,
        None,
        replace(ANSWERS, meter_no="M2"),
        replace(ANSWERS, is_reachable=False),
        replace(ANSWERS, data_to_on="2026-02-01"),
        replace(ANSWERS, data_to_on="2026-03-13"),
        replace(ANSWERS, data_to_on=""),
    ),
    "matched": (
        SEEN,
        None,
        replace(SEEN, meter_no="M2"),
        replace(SEEN, verified_on="2025-03-10"),
        replace(SEEN, verified_on="2026-03-13"),
    ),
    "notice_form": (
        FORM,
        None,
        replace(FORM, channel="hearsay"),
        replace(FORM, recipient=" "),
        replace(FORM, evidence="none"),
        replace(FORM, authority_copy_at="2026-03-04T01:00:00Z"),
        replace(FORM, authority_copy_at="2026-03-12T02:16:00Z"),
        replace(FORM, authority_copy_at="?"),
    ),
    "final_form": (
        FORM,
        None,
        replace(FORM, channel="hearsay"),
        replace(FORM, recipient=""),
        replace(FORM, evidence=""),
    ),
    "kept": ("", "P1.7", "unknown"),
    "prepaid": (
        SIGNED,
        None,
        replace(SIGNED, agreement_no=""),
        replace(SIGNED, signed_on=""),
        replace(SIGNED, signed_on="2026-03-13"),
        replace(SIGNED, signed_on="2026-03-12"),
        replace(SIGNED, credit_limit_fen=1_001),
    ),
    "available": (
        LEFT,
        None,
        replace(LEFT, available_fen=-1_000),
        replace(LEFT, estimate_until_on="2026-03-10"),
        replace(LEFT, estimate_until_on="2026-03-13"),
        replace(LEFT, estimate_until_on=""),
        replace(LEFT, missing_days=2, estimated_days=1),
    ),
    "warnings": (
        WARNED,
        (),
        WARNED[:1],
        (WARNED[0], replace(WARNED[1], served_at="")),
        (WARNED[0], replace(WARNED[1], served_at="2026-03-11T02:11:00Z")),
        (WARNED[0], replace(WARNED[1], served_at="?")),
    ),
}
"""Values of each field that are right, wrong in every way that is told apart, and unreadable."""

OTHER: dict[str, tuple[Any, ...]] = {
    "residential.least_s": (0, 10 * DAY_S),
    "residential.most_s": (8 * DAY_S, 90 * DAY_S),
    "residential.final_least_s": (0, 7200),
    "residential.final_most_s": (1800, 90 * DAY_S),
    "non_residential.least_s": (0, 5 * DAY_S),
    "non_residential.most_s": (4 * DAY_S, 90 * DAY_S),
    "non_residential.final_least_s": (0, 7200),
    "non_residential.final_most_s": (3600, 90 * DAY_S),
    "threshold_fen": (12_000, 1),
    "overdue_days": (60, 0),
    "categories": ((("residential", False), ("industrial", True)), (("spaceport", True),)),
    "window_s_default": (3600,),
    "window_s_most": (86_400,),
    "plan_ahead_s_most": (DAY_S,),
    "hours_from": (11 * 60,),
    "hours_to": (13 * 60,),
    "weekdays": ((1,), (4, 6)),
    "no_cut_on": (("2026-03-12",),),
    "remote_methods": ((("10kv", ("meter_relay",)),),),
    "command_s": (60,),
    "close_action": ("close",),
    "close_s": (60,),
    "clearance_retry_s": (60,),
    "withdrawal_s": (60,),
    "unresolved_s": (3600,),
    "clock_s": (0, DAY_S),
    "prepaid_release_fen": (1,),
    "prepaid_warned_s": (2 * DAY_S,),
    "prepaid_estimate_days": (0, 2),
    "prepaid_unread_days": (1, 4),
    "hold_units": ((("arrears", "other"),),),
    "weather_s_most": (3600,),
    "data_days_most": (1, 366),
    "match_days_most": (1, 3660),
    "notice_channels": (("sms",),),
    "final_channels": (("sms",),),
    "evidence_kinds": (("seal",),),
    "authority_copy_voltages": (("lt1kv",),),
    "utc_offset_minutes": (-480,),
}
"""Other values of each value of the policy."""

facts_of_any_kind = st.builds(
    Facts, **{name: st.sampled_from(values) for name, values in VALUES.items()}
)


def with_value(path: str, value: Any) -> Policy:
    """The default policy with another value at one path."""
    name, _, inner = path.partition(".")
    if inner:
        value = replace(getattr(DEFAULT_POLICY, name), **{inner: value})
    return replace(DEFAULT_POLICY, **{name: value})


POLICIES = {path: [with_value(path, value) for value in values] for path, values in OTHER.items()}


def with_field(facts: Facts, name: str, value: Any) -> Facts:
    changes: dict[str, Any] = {name: value}
    return replace(facts, **changes)


SHOP = replace(GOOD, category="industrial", served_at="2026-03-09T02:00:00Z")
COPIED = replace(FORM, authority_copy_at=NOW)
HIGH = replace(GOOD, point=replace(PLACE, voltage_class="10kv"), notice_form=COPIED)
LATER = replace(HIGH, notice_form=replace(FORM, authority_copy_at="2026-03-12T02:16:00Z"))
BASES = [
    with_field(good, name, value)
    for good in (GOOD, SHOP, HIGH, LATER)
    for name, values in VALUES.items()
    for value in values
]
"""What is right, for a home, a shop and at 10 kV, with one field changed."""


def test_every_field_and_every_value_is_varied() -> None:
    assert list(VALUES) == [field.name for field in fields(Facts)]
    assert sorted(OTHER) == sorted(TERMS)
    assert all(values[0] == getattr(GOOD, name) for name, values in VALUES.items())


@pytest.mark.parametrize("interlock", INTERLOCKS, ids=lambda each: each.name)
def test_it_declares_what_there_is_once(interlock: Interlock) -> None:
    assert set(interlock.reads) <= set(VALUES)
    assert set(interlock.terms) <= set(TERMS)
    assert len(set(interlock.reads)) == len(interlock.reads) > 0
    assert len(set(interlock.terms)) == len(interlock.terms)
    assert interlock.source
    assert interlock.zh
    assert interlock.en


@settings(max_examples=300)
@given(facts_of_any_kind, facts_of_any_kind)
def test_it_reads_no_other_field(some: Facts, others: Facts) -> None:
    for interlock in INTERLOCKS:
        same = replace(others, **{name: getattr(some, name) for name in interlock.reads})
        assert interlock.verdict(same, DEFAULT_POLICY) == interlock.verdict(some, DEFAULT_POLICY)


@pytest.mark.parametrize("interlock", INTERLOCKS, ids=lambda each: each.name)
def test_it_reads_every_field_that_it_declares(interlock: Interlock) -> None:
    for name in interlock.reads:
        assert any(
            interlock.verdict(with_field(base, name, value), DEFAULT_POLICY)
            != interlock.verdict(base, DEFAULT_POLICY)
            for base in BASES
            for value in VALUES[name]
        ), name


@settings(max_examples=60)
@given(facts_of_any_kind)
def test_it_reads_no_other_value_of_the_policy(facts: Facts) -> None:
    for interlock in INTERLOCKS:
        plain = interlock.verdict(facts, DEFAULT_POLICY)
        for path, policies in POLICIES.items():
            if path not in interlock.terms:
                for policy in policies:
                    assert interlock.verdict(facts, policy) == plain, (interlock.name, path)


@pytest.mark.parametrize("interlock", INTERLOCKS, ids=lambda each: each.name)
def test_it_reads_every_value_that_it_declares(interlock: Interlock) -> None:
    for path in interlock.terms:
        assert any(
            interlock.verdict(facts, policy) != interlock.verdict(facts, DEFAULT_POLICY)
            for policy in POLICIES[path]
            for facts in BASES
        ), path
