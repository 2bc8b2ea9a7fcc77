"""Runs judged, corrections proposed for the places where the meter counted, decided once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrology.events import (
    CaseRejected,
    CertificateIssued,
    CorrectionDecided,
    CorrectionProposed,
    DeviceMoved,
    MeterAwaited,
    MeterJudged,
    MeterNoted,
    RunRejected,
    RunRepeated,
)
from tests.unit.metrology.samples import PLAN, TESTS, measured
from tests.unit.metrology_core.lab import (
    FAST,
    SLOW,
    a_tick,
    decision,
    fast,
    garbled,
    meter,
    run,
    use,
)
from tests.unit.metrology_core.lab import (
    Lab as WholeLab,
)


class Lab(WholeLab):
    """The lab without what its own tests look at: certificates and moves of devices."""

    def feed(self, *bodies: Any, key: str = "M1") -> list[Any]:
        found = super().feed(*bodies, key=key)
        return [body for body in found if not isinstance(body, CertificateIssued | DeviceMoved)]


def names(bodies: list[Any]) -> list[str]:
    return [type(body).__name__ for body in bodies]


def places(made: Lab) -> list[tuple[str, str, str, str]]:
    return [
        (each.account_no, each.usage_point, each.from_on, each.to_on)
        for each in made.of(CorrectionProposed)
    ]


def known_lab(*uses: Any, **changes: Any) -> Lab:
    made = Lab()
    made.feed(meter(*uses, **changes))
    return made


# -- judgement ------------------------------------------------------------------------------------


def test_a_meter_that_passes_is_due_again_in_eight_years() -> None:
    made = known_lab()
    (judged,) = made.feed(run())
    assert judged.judgement.verdict == "pass"
    assert len(judged.judgement.points) == 6
    # (1 x -1000 + 3 x 2000 + 1 x 3000) / 5, in 1e-4 %
    assert (judged.representative_e4_pct, judged.representative_text) == (
        1_600,
        "(1 x -1000 + 3 x 2000 + 1 x 3000) / 5",
    )
    assert (judged.measured_on, judged.next_due_on) == ("2026-03-01", "2034-03-01")
    assert made.of(CorrectionProposed) == []
    assert made.meter.passed_on == ("2026-03-01",)
    made.check_folds()


def test_a_fast_meter_fails_and_proposes_a_correction() -> None:
    made = known_lab()
    judged, proposed = made.feed(fast())
    assert (judged.judgement.verdict, judged.next_due_on) == ("fail", "")
    assert proposed == CorrectionProposed(
        case_id="B1-0001/P1/2024-01-01",
        meter_no="M1",
        run_id="B1-0001",
        account_no="A1",
        usage_point="P1",
        error_e4_pct=30_000,
        rule="supply-rules-1996-art-80-1",
        from_on="2025-01-30",  # the later half of 790 days
        to_on="2026-03-01",
    )
    assert made.told == [("A1", proposed)]
    made.check_folds()


def test_a_slow_meter_proposes_a_correction_to_the_other_side() -> None:
    made = known_lab()
    assert made.feed(run(points=SLOW))[1].error_e4_pct == -30_000


def test_what_the_bench_was_not_entitled_to_is_not_judged_and_proposes_nothing() -> None:
    made = known_lab()
    (judged,) = made.feed(fast(accuracy_class="2"))
    assert judged.judgement.verdict == "not_judged"
    (rejected,) = made.feed(fast(run_id="B1-0002", reference_due_on="2026-02-28"))
    assert rejected.rule == "bench_standing"
    (judged,) = made.feed(run(run_id="B1-0003", points=PLAN[:5]))
    assert judged.judgement.verdict == "not_judged"
    assert made.meter.failures == ()
    assert made.told == []


def test_a_failed_test_alone_corrects_no_energy() -> None:
    """A meter that creeps is bad, but its error is within the limits."""
    made = known_lab()
    (judged,) = made.feed(run(tests={**TESTS, "creep": "fail"}))
    assert (judged.judgement.verdict, judged.representative_e4_pct) == ("fail", 1_600)
    assert made.meter.failures == ()


@pytest.mark.parametrize(
    ("points", "error"),
    [
        ((*FAST[:3], *FAST[4:]), None),  # Imax was not measured: no representative error
        (tuple(replace(point, error_e4_pct=-1_000_000) for point in PLAN), -1_000_000),
        (
            (
                measured("0.05Ib", 30_000),
                *(replace(point, error_e4_pct=0) for point in PLAN[1:4]),
                *PLAN[4:],
            ),
            0,
        ),
    ],
)
def test_without_an_error_to_correct_by_nothing_is_proposed(points: Any, error: Any) -> None:
    made = known_lab()
    (judged,) = made.feed(run(points=points))
    assert (judged.judgement.verdict, judged.representative_e4_pct) == ("fail", error)
    assert made.meter.failures == ()


def test_the_newest_note_says_what_the_meter_is() -> None:
    made = known_lab(version=5)
    made.feed(meter(account="A2", accuracy_class="2", version=4))
    assert made.feed(run())[0].judgement.accuracy_class == "1"
    made.feed(meter(account="A2", accuracy_class="2", version=6))
    assert made.feed(run(run_id="B1-0002"))[0].judgement.verdict == "not_judged"


def test_a_run_that_cannot_be_judged_is_rejected() -> None:
    made = known_lab(connection="odd")
    (rejected,) = made.feed(run())
    assert isinstance(rejected, RunRejected)
    assert rejected.run_id == "B1-0001"
    assert rejected.problem.startswith("connection: 'odd'")
    # The register is put right, and the bench repeats the run.
    made.feed(meter(version=2))
    assert names(made.feed(run())) == ["MeterJudged"]


def test_a_repeated_run_is_told_and_judged_once() -> None:
    made = known_lab()
    made.feed(fast())
    (repeated,) = made.feed(fast())
    assert repeated == RunRepeated(run_id="B1-0001", meter_no="M1")
    assert (len(made.of(MeterJudged)), len(made.told)) == (1, 1)


def test_a_garbled_run_is_rejected_with_its_problem() -> None:
    made = known_lab()
    before = made.meter
    assert made.feed(garbled()) == [
        RunRejected(run_id="B1-0009", meter_no="M1", problem="line: is no JSON")
    ]
    assert made.meter == before


def test_a_tick_changes_nothing_of_a_meter_that_is_tracked() -> None:
    made = known_lab(verified_on="2025-01-01")
    assert made.feed(a_tick()) == []


# -- a run before the meter is known --------------------------------------------------------------


def test_a_run_waits_for_its_meter() -> None:
    made = Lab()
    assert names(made.feed(fast())) == ["MeterAwaited"]
    assert made.feed(fast()) == []  # the bench repeats it: held once
    assert names(made.feed(meter())) == ["MeterNoted", "MeterJudged", "CorrectionProposed"]
    assert made.meter.held == ()
    assert names(made.feed(fast())) == ["RunRepeated"]
    made.check_folds()


def test_runs_that_waited_are_judged_in_order_each_with_what_came_before() -> None:
    """It passed in February and failed in March: the correction begins in February."""
    made = Lab()
    made.feed(run(run_id="B1-0001", measured_at="2026-02-01T02:00:00Z"))
    made.feed(fast(run_id="B1-0002"))
    found = made.feed(meter())
    assert names(found) == ["MeterNoted", "MeterJudged", "MeterJudged", "CorrectionProposed"]
    assert places(made) == [("A1", "P1", "2026-02-15", "2026-03-01")]


def test_a_known_meter_is_silent() -> None:
    made = known_lab(version=3)
    assert made.feed(meter(version=3), meter(version=2)) == []
    assert names(made.feed(meter(version=4))) == ["MeterNoted"]
    assert names(made.feed(meter(account="A2"))) == ["MeterNoted"]
    assert len(made.of(MeterNoted)) == 3


# -- where it counted -----------------------------------------------------------------------------


def test_a_case_for_every_place_where_the_meter_counted() -> None:
    """P1 of A1 to the end of 2024, then P2 of A2 for 100 days until it was taken away."""
    made = known_lab(use(to_on="2025-01-01"))
    made.feed(meter(use("P2", "A2", "2025-06-01", "2025-09-09"), account="A2"))
    made.feed(fast())
    # 366 days of 2024: the later 183; 100 days: the later 50
    assert places(made) == [
        ("A1", "P1", "2024-07-02", "2025-01-01"),
        ("A2", "P2", "2025-07-21", "2025-09-09"),
    ]
    assert [key for key, _ in made.told] == ["A1", "A2"]
    assert len({each.case_id for each in made.of(CorrectionProposed)}) == 2


def test_two_accounts_at_one_point_are_two_cases() -> None:
    made = known_lab(use(to_on="2025-01-01"))
    made.feed(meter(use("P1", "A2", "2025-01-01"), account="A2"), fast())
    ids = [each.case_id for each in made.of(CorrectionProposed)]
    assert ids == ["B1-0001/P1/2024-01-01", "B1-0001/P1/2025-01-01"]
    assert len(made.meter.cases) == 2


def test_the_same_account_and_point_twice_are_two_cases() -> None:
    made = known_lab(use(to_on="2024-07-01"), use(from_on="2025-01-01"))
    made.feed(fast())
    assert [place[2:] for place in places(made)] == [
        ("2024-04-01", "2024-07-01"),
        ("2025-08-01", "2026-03-01"),
    ]


def test_a_place_that_becomes_known_after_the_run_gets_its_case() -> None:
    made = known_lab()
    made.feed(fast())
    found = made.feed(meter(use("P2", "A2", "2023-01-01", "2023-12-27"), account="A2"))
    assert names(found) == ["MeterNoted", "CorrectionProposed"]
    assert places(made)[1] == ("A2", "P2", "2023-06-30", "2023-12-27")
    made.check_folds()


def test_a_use_that_ended_earlier_than_known_is_proposed_again() -> None:
    made = known_lab()
    made.feed(fast())
    found = made.feed(meter(use(to_on="2024-01-11"), version=2))
    assert names(found) == ["MeterNoted", "CorrectionProposed"]
    assert places(made)[1] == ("A1", "P1", "2024-01-06", "2024-01-11")
    assert found[1].case_id == "B1-0001/P1/2024-01-01"
    # Decided, it stays as it was decided.
    made.feed(decision())
    assert names(made.feed(meter(use(to_on="2024-01-21"), version=3))) == ["MeterNoted"]


def test_a_meter_that_came_after_the_run_or_for_a_day_has_no_case() -> None:
    made = known_lab(use(from_on="2026-03-01"))
    made.feed(fast())
    assert places(made) == []
    made = known_lab(use(from_on="2024-01-01", to_on="2024-01-02"))
    made.feed(fast())
    assert places(made) == []  # the later half of one day is no day


def test_a_meter_verified_after_it_was_taken_away_has_no_case() -> None:
    made = known_lab(use(to_on="2026-01-01"), verified_on="2026-02-01")
    assert names(made.feed(fast())) == ["MeterJudged"]
    assert made.told == []


def test_the_time_counts_from_the_last_verification_before_the_run() -> None:
    made = known_lab(verified_on="2025-09-01")
    made.feed(fast())
    assert places(made) == [("A1", "P1", "2025-12-01", "2026-03-01")]  # half of 181 days
    # One after it says nothing about the time before.
    made = known_lab(verified_on="2026-03-10")
    made.feed(fast())
    assert places(made) == [("A1", "P1", "2025-01-30", "2026-03-01")]


def test_a_pass_that_is_told_late_shortens_the_undecided_case() -> None:
    made = known_lab()
    made.feed(fast(run_id="B1-0002"))
    made.feed(run(run_id="B1-0001", measured_at="2026-02-01T02:00:00Z"))
    assert [place[2] for place in places(made)] == ["2025-01-30", "2026-02-15"]
    assert len(made.meter.cases) == 1


# -- decisions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["approved", "refused"])
def test_a_person_decides_a_case_once(word: str) -> None:
    made = known_lab()
    made.feed(fast())
    (decided,) = made.feed(decision(word=word))
    assert decided == CorrectionDecided(
        case_id="B1-0001/P1/2024-01-01",
        meter_no="M1",
        account_no="A1",
        usage_point="P1",
        error_e4_pct=30_000,
        rule="supply-rules-1996-art-80-1",
        from_on="2025-01-30",
        to_on="2026-03-01",
        decision=word,
        decided_by="head",
        reason="certificate",
    )
    assert made.told[-1] == ("A1", decided)
    (rejected,) = made.feed(decision(word="refused"))
    assert rejected.problem == f"it was {word} already"
    assert len(made.told) == 2
    made.check_folds()


@pytest.mark.parametrize(
    ("given_one", "problem"),
    [
        (decision("B1-0001/P7/2024-01-01"), "no such case about this meter"),
        (decision(word="maybe"), "'maybe' is no decision: approved or refused"),
        (decision(by=" "), "nobody is named who decided"),
    ],
)
def test_a_decision_that_does_not_fit_is_rejected(given_one: Any, problem: str) -> None:
    made = known_lab()
    made.feed(fast())
    (rejected,) = made.feed(given_one)
    assert rejected == CaseRejected(case_id=given_one.case_id, meter_no="M1", problem=problem)
    assert made.meter.decided == {}
    assert len(made.told) == 1


def test_a_decision_about_a_meter_that_nobody_knows_is_rejected() -> None:
    made = Lab()
    assert names(made.feed(decision())) == ["CaseRejected"]
    assert made.of(MeterAwaited) == []


# -- laws -----------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    st.permutations(
        [
            meter(use(to_on="2025-01-01"), version=2),
            meter(use("P2", "A2", "2025-01-01", "2025-11-01"), account="A2"),
            meter(use("P3", "A3", "2025-11-01"), account="A3", verified_on="2024-03-01"),
            run(run_id="B1-0001", measured_at="2024-06-01T02:00:00Z"),
            fast(run_id="B1-0002", measured_at="2026-03-01T02:00:00Z"),
            fast(run_id="B1-0002", measured_at="2026-03-01T02:00:00Z"),
            run(run_id="B1-0003", points=SLOW, measured_at="2026-04-01T02:00:00Z"),
        ]
    )
)
def test_what_stands_in_the_end_does_not_depend_on_the_order(order: list[Any]) -> None:
    made = Lab()
    made.feed(*order)
    made.check_folds()
    told: dict[str, Any] = {body.case_id: body for _, body in made.told}
    assert told == made.meter.cases
    assert sorted(
        (each.run_id, each.account_no, each.from_on, each.to_on) for each in told.values()
    ) == [
        # A1: half of the 214 days since it passed; A2: of 304 days; A3: of 120 and of 151 days
        ("B1-0002", "A1", "2024-09-16", "2025-01-01"),
        ("B1-0002", "A2", "2025-06-02", "2025-11-01"),
        ("B1-0002", "A3", "2025-12-31", "2026-03-01"),
        ("B1-0003", "A1", "2024-09-16", "2025-01-01"),
        ("B1-0003", "A2", "2025-06-02", "2025-11-01"),
        ("B1-0003", "A3", "2026-01-16", "2026-04-01"),
    ]
    assert sorted(made.meter.run_ids) == ["B1-0001", "B1-0002", "B1-0003"]
