"""Metrology cases: noted, approved once, and what they make of the energy of their days."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.billing.case_rules import change_wh, excess_wh, problem_of_rule
from services.billing.events import (
    BillCalculated,
    CaseEstimate,
    CaseNoted,
    CorrectionIssued,
    InvoiceIssued,
    UsageAdjusted,
)
from services.billing.meter_correction import adjustment
from services.billing.months import PointMonth, energy_in, noted
from services.billing.reactions import usage_noted
from tests.unit.billing_core.office import (
    AS_SHOP,
    HOME,
    IMPORT,
    Office,
    agreement,
    billed_office,
    decided,
    differences,
    first_bill,
    month_of_usage,
    names,
    office,
    only,
    point,
    proposed,
    published,
    release,
    terms,
    three_months,
    usage,
)

MONTHS_OF_2025 = [f"2025-{number:02d}" for number in range(1, 13)]


def test_the_excess_of_a_fast_meter_and_the_lack_of_a_slow_one() -> None:
    assert excess_wh(103_000, 30_000) == 3_000
    assert excess_wh(120_000_000, 30_000) == 3_495_146  # domain.md 3.6: 3,495 kWh
    assert excess_wh(97_000, -30_000) == -3_000
    assert excess_wh(0, 30_000) == 0


def test_a_year_at_three_percent_gives_3495_kwh_back() -> None:
    """240,000 kWh in two years, half of it in the months that are corrected: domain.md 3.6."""
    made = Office()
    row = terms("2025-01-01", category="non_residential")
    made.feed(published(HOME), agreement(point(from_on="2025-01-01", **AS_SHOP), rows=[row]))
    for month in MONTHS_OF_2025:
        days = 31 - 3 * (month == "2025-02") - (month[5:] in ("04", "06", "09", "11"))
        daily = [10_000_000 // days] * days
        daily[-1] += 10_000_000 - sum(daily)
        for number, wh in enumerate(daily, start=1):
            made.feed(usage(f"{month}-{number:02d}", wh))
    made.tick("2026-01-02")
    made.feed(release("A1-2025-01"))
    made.tick("2026-01-02")
    assert len(made.of(InvoiceIssued)) == 12
    period = {"from_on": "2025-01-01", "to_on": "2026-01-01"}
    (told,) = made.feed(proposed(**period))
    made.feed(decided(**period))
    adjusted = made.of(UsageAdjusted)
    # 10,000 kWh a month: 291.262136 kWh each, rounded to the Wh
    assert [each.change for each in adjusted] == [{IMPORT: -291_262}] * 12
    found = only(made.tick("2026-01-03"), CorrectionIssued)
    assert (found.cause, found.reference) == ("metrology", "c1")
    # 10,000 - 291 = 9,709 kWh a month: 12 times 291 kWh at 0.80
    assert found.difference_fen == -12 * 291 * 80
    assert told.estimate == CaseEstimate(
        energy_wh=-12 * 291_262, amount_fen=-12 * 291 * 80, months=tuple(MONTHS_OF_2025)
    )
    made.check_folds()


def test_a_proposal_changes_nothing_until_a_person_approves() -> None:
    made = three_months()
    (noted_case,) = made.feed(proposed())
    assert (noted_case.status, noted_case.problem) == ("proposed", "")
    assert made.feed(proposed()) == []
    assert made.tick("2026-04-05") == []
    assert names(made.feed(decided())) == ["CaseNoted", "UsageAdjusted"]
    found = only(made.tick("2026-04-05"), CorrectionIssued)
    # 310 kWh x 3/103 = 9.029 kWh: 301 kWh are left
    assert differences(found)[0] == ("A1-2026-01", -450)


def test_a_proposal_says_what_its_approval_would_change() -> None:
    """The estimate is the round that follows, with the tiers of later bills; nothing else moves."""
    made = three_months()
    before = made.account
    (told,) = made.feed(proposed())
    assert replace(made.account, cases={}) == before
    made.feed(decided())
    found = only(made.tick("2026-04-05"), CorrectionIssued)
    assert found.difference_fen < 0
    assert told.estimate == CaseEstimate(
        energy_wh=-9_029,  # 310 kWh x 3/103
        amount_fen=found.difference_fen,
        months=("2026-01",),
    )


def test_what_else_is_to_be_corrected_is_no_part_of_the_estimate() -> None:
    """A late actual takes 10 kWh of one day; the case would be the same round less that one."""
    late = usage("2026-01-05", 0, revision=2)
    alone = three_months()
    alone.feed(late)
    (of_late,) = [only(alone.tick("2026-04-05"), CorrectionIssued)]
    made = three_months()
    made.feed(late)
    assert made.account.to_correct
    (told,) = made.feed(proposed())
    made.feed(decided())
    both = only(made.tick("2026-04-05"), CorrectionIssued)
    assert of_late.difference_fen < 0
    assert told.estimate.amount_fen == both.difference_fen - of_late.difference_fen


def test_an_estimate_says_what_it_does_not_know() -> None:
    """Days without usage, a meter that stood still, a month that was not billed yet."""
    made = three_months()
    (told,) = made.feed(proposed(from_on="2025-11-29"))
    assert told.estimate.problem.startswith("no usage is known of 2 of 64 days")
    (told,) = made.feed(proposed("c2", error_e4_pct=-1_000_000))
    assert (told.estimate.energy_wh, told.estimate.amount_fen) == (0, 0)
    assert told.estimate.problem.startswith("the meter stood still")
    fresh = office()
    fresh.feed(*month_of_usage("2026-01", 103_000))
    (told,) = fresh.feed(proposed())
    assert (told.estimate.energy_wh, told.estimate.amount_fen) == (-93_000, 0)


def test_no_money_is_estimated_where_a_bill_cannot_be_rated() -> None:
    made = three_months()
    rows = [replace(terms(), valid_from_on="2025-12-01")]
    unpriced = point(from_on="2025-12-01", price_list="unknown")
    made.feed(agreement(unpriced, rows=rows, version=2))
    (told,) = made.feed(proposed())
    assert (told.estimate.energy_wh, told.estimate.amount_fen) == (-9_029, None)


def test_a_refused_case_changes_nothing() -> None:
    made = three_months()
    made.feed(proposed())
    assert names(made.feed(decided(decision="refused"))) == ["CaseNoted"]
    assert made.feed(decided(), proposed()) == []  # decided once
    assert made.tick("2026-04-05") == []
    assert made.account.cases["c1"].status == "refused"


def test_an_approved_case_counts_once() -> None:
    made = three_months()
    made.feed(decided())  # its proposal comes after it, or never
    assert made.feed(decided(), proposed(), decided(decision="refused")) == []
    made.tick("2026-04-05")
    assert made.tick("2026-04-06") == []
    assert len(made.of(CorrectionIssued)) == 1


def test_a_proposal_that_changed_is_noted_again() -> None:
    made = three_months()
    made.feed(proposed())
    assert names(made.feed(proposed(to_on="2026-01-20"))) == ["CaseNoted"]


def test_only_the_days_of_the_case_are_corrected() -> None:
    """16 to 31 January of 103 kWh a day, and nothing of the first half."""
    made = billed_office(*month_of_usage("2026-01", 103_000))
    made.tick("2026-02-02")
    made.feed(release())
    made.feed(decided(from_on="2026-01-16", to_on="2026-02-01"))
    (change,) = [each.change for each in made.of(UsageAdjusted)]
    assert change == {IMPORT: -16 * 3_000}


def test_the_month_that_is_running_bears_its_own_days() -> None:
    """Ten days of January are there when the case is approved, the rest comes later."""
    made = billed_office(*month_of_usage("2026-01", 103_000)[:10])
    made.feed(decided(from_on="2026-01-06", to_on="2026-01-13"))
    assert [each.change for each in made.of(UsageAdjusted)] == [{IMPORT: -15_000}]
    assert made.of(CaseNoted)[0].problem == (
        "no usage is known of 2 of 7 days: correct them by hand"
    )
    made.feed(*month_of_usage("2026-01", 103_000)[10:])
    # The 11th and the 12th are of the case as well: what is late is corrected too.
    assert [each.change[IMPORT] for each in made.of(UsageAdjusted)] == [-15_000, -3_000, -3_000]
    bill = only(made.tick("2026-02-02"), BillCalculated).bill
    assert bill.lines[0].quantity == 31 * 103_000 - 21_000


def test_a_late_actual_in_a_corrected_month_is_corrected_as_well() -> None:
    made = three_months()
    made.feed(decided())
    made.tick("2026-04-05")
    found = made.feed(usage("2026-01-10", 113_000, revision=2))
    assert names(found) == ["UsageNoted", "UsageAdjusted"]
    (issued,) = made.tick("2026-04-06")
    # 413 kWh x 3/103 = 12.029: 400.971 kWh are 401, and were 301
    assert differences(issued)[0] == ("A1-2026-01", 5_000)
    made.check_folds()


def test_another_points_usage_and_case_are_left_alone() -> None:
    made = three_months()
    made.feed(decided(usage_point="P7"))
    assert made.of(UsageAdjusted) == []
    assert made.of(CaseNoted)[0].problem == (
        "no usage is known of 31 of 31 days: correct them by hand"
    )
    assert names(made.feed(usage("2026-01-10", 12_000, revision=2))) == ["UsageNoted"]
    assert only(made.tick("2026-04-05"), CorrectionIssued).difference_fen == 100


def test_a_meter_that_stood_still_is_left_to_a_person() -> None:
    made = three_months()
    (case,) = made.feed(decided(error_e4_pct=-1_000_000))
    assert case.problem.startswith("the meter stood still")
    assert made.tick("2026-04-05") == []
    assert names(made.feed(usage("2026-01-10", 12_000, revision=2))) == ["UsageNoted"]


def test_two_cases_add_up() -> None:
    made = three_months()
    made.feed(decided(to_on="2026-01-16"), decided("c2", from_on="2026-01-16"))
    changes = [each.change[IMPORT] for each in made.of(UsageAdjusted)]
    assert changes == [-4_369, -4_660]  # 150 and 160 kWh
    found = only(made.tick("2026-04-05"), CorrectionIssued)
    assert differences(found)[0] == ("A1-2026-01", -450)
    assert found.reference == "c1"


def test_a_case_in_a_month_that_is_not_billed_yet() -> None:
    made = office(*month_of_usage("2026-01", 103_000))
    first_bill(made)
    made.feed(decided())
    assert names(made.feed(release())) == ["ReleaseRejected"]
    assert first_bill(made, "2026-02-03").bill.lines[0].quantity == 3_100_000


def test_a_case_without_days_has_none_to_miss() -> None:
    made = three_months()
    (case,) = made.feed(decided(from_on="2026-02-01", to_on="2026-01-01"))
    assert (case.problem, made.of(UsageAdjusted)) == ("", [])


@given(
    st.lists(st.integers(-5_000, 100_000), min_size=31, max_size=31),
    st.integers(-900_000, 900_000),
    st.lists(st.integers(1, 31), max_size=4),
)
def test_parts_of_a_month_add_up_to_it(daily: list[int], error: int, cuts: list[int]) -> None:
    known = PointMonth()
    for number, wh in enumerate(daily, start=1):
        body: Any = usage(f"2026-01-{number:02d}", wh)
        known = noted(known, usage_noted(body))
    made = Office()
    made.feed(decided(error_e4_pct=error, from_on="2026-01-04", to_on="2026-01-29"))
    case = made.account.cases["c1"]
    whole = adjustment(known, case, "2026-01", "2026-01-01", "2026-02-01")
    recorded = energy_in(known, "2026-01-04", "2026-01-29")[IMPORT]
    assert whole == {IMPORT: -excess_wh(recorded, error)}
    ends = [*sorted({f"2026-01-{cut:02d}" for cut in cuts} | {"2026-01-01"}), "2026-02-01"]
    parts = [
        adjustment(known, case, "2026-01", start, end)[IMPORT] for start, end in pairwise(ends)
    ]
    assert sum(parts) == whole[IMPORT]


def test_rates_alone_are_added_up_in_an_estimate() -> None:
    fresh = office()
    rates = {"1-0:1.8.1": 51_500, "1-0:1.8.2": 51_500}
    fresh.feed(*month_of_usage("2026-01", energy=rates))
    (told,) = fresh.feed(proposed())
    assert told.estimate.energy_wh == -93_000


# -- wrong wiring and wrong ratios ----------------------------------------------------------------


def a_case(**changes: Any) -> CaseNoted:
    values: dict[str, Any] = {
        "case_id": "c1",
        "account_no": "A1",
        "usage_point": "P1",
        "status": "approved",
        "error_e4_pct": 0,
        "rule": "supply-rules-1996-wiring",
        "from_on": "2026-01-01",
        "to_on": "2026-02-01",
        **changes,
    }
    return CaseNoted(**values)


def test_the_rule_of_a_case_is_that_of_its_kind() -> None:
    """One of three current transformers reversed: K = 3, +200 %; billed by 20 instead of 30."""
    wiring = a_case(kind="wiring", factor_num=3)
    assert change_wh(wiring, 100_000) == 200_000
    assert change_wh(a_case(kind="wiring", factor_num=-1), -5_000) == 10_000  # it ran backwards
    assert change_wh(a_case(kind="ratio", factor_num=3, factor_den=2), 1_001) == 501
    assert change_wh(a_case(kind="ratio", factor_num=2, factor_den=3), 1_000) == -333
    assert change_wh(a_case(error_e4_pct=30_000), 120_000_000) == -3_495_146


def test_a_case_without_a_rule_is_a_problem_and_corrects_nothing() -> None:
    for case, problem in (
        (a_case(kind="theft"), "'theft' is no kind of case"),
        (a_case(kind="ratio", factor_den=0), "the factor 1/0 is none"),
        (a_case(error_e4_pct=-1_000_000), "the meter stood still"),
    ):
        assert problem_of_rule(case).startswith(problem)
        month = noted(PointMonth(), usage_noted(usage("2026-01-01")))
        assert adjustment(month, case, "2026-01", "2026-01-01", "2026-02-01") == {}
    assert problem_of_rule(a_case(kind="wiring", factor_num=3, error_e4_pct=-1_000_000)) == ""


def test_an_approved_case_of_wrong_wiring_is_a_round() -> None:
    """310 kWh recorded in January, 930 kWh used: 620 kWh more, 530 of them above the 1,000."""
    made = three_months()
    case = {"kind": "wiring", "factor_num": 3, "error_e4_pct": 0}
    (told,) = made.feed(proposed(**case))
    assert (told.kind, told.factor_num, told.factor_den) == ("wiring", 3, 1)
    assert (told.estimate.energy_wh, told.estimate.months) == (620_000, ("2026-01",))
    _, adjusted = made.feed(decided(**case))
    assert adjusted.change == {IMPORT: 620_000}
    found = only(made.tick("2026-04-05"), CorrectionIssued)
    assert found.difference_fen == told.estimate.amount_fen == 31_000 + 2_100 + 3_100
    assert differences(found)[0] == ("A1-2026-01", 31_000)
    late = usage("2026-01-10", 13_000, revision=2)
    assert made.feed(late)[-1].change == {IMPORT: 6_000}
    made.check_folds()
