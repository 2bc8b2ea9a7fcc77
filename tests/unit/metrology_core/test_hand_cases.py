"""Cases that a person opens: wrong wiring and wrong ratios, proposed and decided like any other."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from libs.events.errors import BadInput
from services.cli.metrology_case import make_request, read_factor
from services.metrology.events import (
    CaseOpened,
    CaseRejected,
    CorrectionDecided,
    CorrectionProposed,
)
from tests.unit.metrology_core.lab import Lab, decision, fast, meter, use


def opened(**changes: Any) -> CaseOpened:
    values: dict[str, Any] = {
        "request_id": "r1",
        "meter_no": "M1",
        "usage_point": "P1",
        "kind": "wiring",
        "factor_num": 3,
        "factor_den": 1,
        "from_on": "2026-01-01",
        "to_on": "2026-03-01",
        "opened_by": "li",
        "findings": "protocol 17",
        "requested_at": "2026-03-02T02:00:00Z",
        **changes,
    }
    return CaseOpened(**values)


def known() -> Lab:
    made = Lab()
    made.feed(meter(use(to_on="2026-02-01"), use("P2", from_on="2026-02-01")))
    return made


def test_a_case_by_hand_is_proposed_and_decided_with_its_factor() -> None:
    made = Lab()
    made.feed(meter())
    (case,) = made.feed(opened())
    assert made.told == [("A1", case)]  # to billing, by account
    assert (case.case_id, case.account_no, case.run_id) == ("wiring/r1", "A1", "")
    assert (case.kind, case.factor_num, case.factor_den, case.error_e4_pct) == ("wiring", 3, 1, 0)
    assert (case.rule, case.opened_by, case.reason) == (
        "supply-rules-1996-wiring", "li", "protocol 17",
    )  # fmt: skip
    assert made.feed(opened()) == []  # the same request again
    made.feed(decision("wiring/r1"))
    (decided,) = made.of(CorrectionDecided)
    assert (decided.kind, decided.factor_num, decided.factor_den) == ("wiring", 3, 1)
    assert (decided.from_on, decided.to_on) == ("2026-01-01", "2026-03-01")


def test_a_ratio_has_a_rule_of_its_own() -> None:
    made = Lab()
    made.feed(meter())
    made.feed(opened(kind="ratio", factor_num=3, factor_den=2))
    (case,) = made.of(CorrectionProposed)
    assert (case.case_id, case.rule) == ("ratio/r1", "supply-rules-1996-ratio")


def test_a_failed_run_beside_it_stays_a_case_of_its_own() -> None:
    made = Lab()
    made.feed(meter(), opened(), fast())
    assert {each.kind for each in made.of(CorrectionProposed)} == {"wiring", "error"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"kind": "theft"}, "kind: 'theft' is no kind"),
        ({"factor_num": 1}, "factor: 1/1 corrects nothing"),
        ({"factor_den": 0}, "factor: 3/0 corrects nothing"),
        ({"kind": "ratio", "factor_num": -3}, "factor: a ratio is above zero"),
        ({"to_on": "2026-01-01"}, "to_on: is not after 2026-01-01"),
        ({"from_on": "1 Jan"}, "from_on: '1 Jan' is no date"),
        ({"opened_by": " "}, "opened_by: is empty"),
        ({"findings": ""}, "findings: is empty"),
        ({}, "did not serve P1 on all days of 2026-01-01 to 2026-03-01"),
        ({"from_on": "2023-12-31", "to_on": "2024-02-01"}, "did not serve P1"),
        ({"usage_point": "P9"}, "did not serve P9"),
    ],
)
def test_a_case_that_cannot_be_is_rejected(changes: dict[str, Any], problem: str) -> None:
    made = known()
    (rejected,) = made.feed(opened(**changes))
    assert isinstance(rejected, CaseRejected)
    assert problem in rejected.problem
    assert made.feed(opened(to_on="2026-02-01")) != []


def test_a_meter_that_is_not_known_is_told_so_and_may_be_asked_for_again() -> None:
    made = Lab()
    (rejected,) = made.feed(opened())
    assert "did not serve P1" in rejected.problem
    made.feed(meter())
    assert any(isinstance(each, CorrectionProposed) for each in made.feed(opened()))


@pytest.mark.parametrize(
    ("given", "factor"),
    [
        (("3", 0, 3, ("", "")), Fraction(3)),
        (("1.5", 0, 3, ("", "")), Fraction(3, 2)),
        (("-3/2", 0, 3, ("", "")), Fraction(-3, 2)),
        (("", 1, 3, ("", "")), Fraction(3)),
        (("", 2, 3, ("", "")), Fraction(-3)),
        (("", 0, 3, ("20", "30")), Fraction(3, 2)),
    ],
)
def test_a_factor_is_given_in_one_of_three_ways(
    given: tuple[str, int, int, tuple[str, str]], factor: Fraction
) -> None:
    assert read_factor(*given) == factor


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("", 0, 3, ("", "")), "--factor: is not given"),
        (("3", 1, 3, ("", "")), "--factor: is given in two ways"),
        (("3/0", 0, 3, ("", "")), "--factor: 3/0 divides by zero"),
        (("x", 0, 3, ("", "")), "--factor"),
        (("", 5, 3, ("", "")), "--reversed: is 5"),
        (("", 1, 2, ("", "")), "--reversed: is 0"),
        (("", 0, 3, ("20", "")), "--real-ratio: '' is no ratio"),
        (("", 0, 3, ("0", "30")), "--billed-ratio: '0' is no ratio"),
    ],
)
def test_a_wrong_factor_names_its_option(
    given: tuple[str, int, int, tuple[str, str]], said: str
) -> None:
    with pytest.raises(BadInput) as wrong:
        read_factor(*given)
    assert said in str(wrong.value)


def test_a_request_names_the_option_that_is_wrong() -> None:
    days = ("2026-01-01", "2026-03-01")
    made = make_request("M1", "P1", "wiring", Fraction(3), days, "li", "protocol 17")
    assert replace(made, request_id="r1", requested_at="2026-03-02T02:00:00Z") == opened()
    for changed, option in ((("", "p"), "--by"), (("li", ""), "--findings")):
        with pytest.raises(BadInput, match=option):
            make_request("M1", "P1", "wiring", Fraction(3), days, *changed)
    with pytest.raises(BadInput, match="--to-on"):
        make_request("M1", "P1", "wiring", Fraction(3), days[::-1], "li", "p")
