"""A bench judges by our register of standards, whatever its run claims and whenever it comes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrology.events import (
    CertificateIssued,
    MeterJudged,
    RunRejected,
    RunRepeated,
    StandardAdopted,
    StandardAwaited,
    StandardRejected,
)
from services.metrology.policy import Policy
from services.metrology.standards_register import CERTIFICATES_MOST
from services.metrology.state import HELD_MOST, REFUSED_MOST
from tests.unit.metrology_core.lab import STANDARDS, Lab, fast, meter, run, standard

OLD_BENCH = standard(certificate_no="Z-0", from_on="2024-01-01", due_on="2026-02-28")
REFERENCE = STANDARDS[1]


def expired() -> Lab:
    """A lab whose bench was due on the day before the run."""
    made = Lab(bare=True)
    made.feed(meter(verified_on="2020-01-01"), OLD_BENCH, REFERENCE)
    return made


def test_a_bench_out_of_date_judges_nothing_and_certifies_nothing() -> None:
    made = expired()
    (rejected,) = made.feed(fast())
    assert (rejected.run_id, rejected.rule) == ("B1-0001", "bench_standing")
    assert rejected.reasons == ("bench B1 was due on 2026-02-28, measured on 2026-03-01",)
    assert rejected.problem == rejected.reasons[0]
    assert made.of(MeterJudged) == made.of(CertificateIssued) == []
    assert made.told == []
    # The bench repeats what it has no answer for: it is told, and not decided anew.
    assert made.feed(fast()) == [RunRepeated(run_id="B1-0001", meter_no="M1")]
    made.check_folds()


def test_a_run_that_was_refused_is_judged_when_the_certificate_comes() -> None:
    """The new certificate was issued in time and registered late."""
    made = expired()
    made.feed(run())
    adopted, judged, certificate = made.feed(standard(from_on="2026-02-20"))
    assert isinstance(adopted, StandardAdopted)
    assert judged.judgement.verdict == "pass"
    assert certificate.certificate.run_id == "B1-0001"
    assert made.meter.refused == ()
    made.check_folds()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"accuracy_class": "0.5"}, "reference_meter R1 of class 0.5 is weaker than 0.2"),
        ({"due_on": "2026-11-30"}, "the run states reference_meter R1 as class 0.05 due 2026-12"),
    ],
)
def test_the_register_counts_and_not_what_a_run_claims(changes: Any, reason: str) -> None:
    made = Lab(bare=True)
    made.feed(meter(), standard(), standard("reference_meter", "R1", **changes))
    (rejected,) = made.feed(run())
    assert any(each.startswith(reason) for each in rejected.reasons), rejected.reasons


def test_of_a_bench_the_finest_certificate_in_time_counts() -> None:
    made = Lab()
    made.feed(
        meter(accuracy_class="0.5S", connection="ct"),
        standard(certificate_no="Z-2", accuracy_class="0.5", from_on="2026-01-01"),
    )
    (rejected,) = made.feed(run(accuracy_class="2"))[:1]
    assert isinstance(rejected, MeterJudged)  # 0.05 still covers the day; the bench was set wrong
    assert rejected.judgement.reasons[0] == "the bench was set to class 2, not 0.5S"


# -- what is not known yet ------------------------------------------------------------------------


def test_a_run_waits_for_bench_and_reference() -> None:
    made = Lab(bare=True)
    made.feed(meter())
    (awaited,) = made.feed(run())
    assert isinstance(awaited, StandardAwaited)
    assert awaited.missing == ("bench B1", "reference_meter R1")
    assert made.feed(run()) == []  # the bench repeats it: held once
    assert [type(body) for body in made.feed(standard())] == [StandardAdopted]
    found = made.feed(REFERENCE)
    assert [type(body) for body in found] == [StandardAdopted, MeterJudged, CertificateIssued]
    assert made.meter.held == ()
    made.check_folds()


def test_a_run_that_waited_for_its_meter_goes_on_waiting_for_its_bench() -> None:
    made = Lab(bare=True)
    made.feed(run())
    assert len(made.feed(meter())) == 2  # noted, and the register installs it
    assert [each.run_id for each in made.meter.held] == ["B1-0001"]
    made.feed(*STANDARDS)
    assert len(made.of(MeterJudged)) == 1


def test_a_certificate_that_began_after_the_run_does_not_count_for_it() -> None:
    made = Lab(bare=True)
    made.feed(meter(), standard(from_on="2026-03-02"), REFERENCE)
    (awaited,) = made.feed(run())
    assert awaited.missing == ("bench B1",)


def test_only_so_many_runs_wait() -> None:
    made = Lab(bare=True)
    made.feed(meter())
    for number in range(HELD_MOST):
        assert isinstance(made.feed(run(run_id=f"R{number}"))[0], StandardAwaited)
    (rejected,) = made.feed(run(run_id="R-more"))
    assert isinstance(rejected, RunRejected)
    assert rejected.problem.startswith("16 runs of this meter wait already")
    assert len(made.meter.held) == HELD_MOST


def test_only_the_last_refused_runs_are_kept() -> None:
    made = expired()
    for number in range(REFUSED_MOST + 2):
        made.feed(run(run_id=f"R{number}"))
    assert [each.run_id for each in made.meter.refused] == ["R2", "R3", "R4", "R5"]
    # A note of the meter decides about them again, and nothing changed.
    before = made.meter.refused
    assert len(made.feed(meter(verified_on="2020-01-01", version=2))) == 1
    assert made.meter.refused == before


def test_a_held_run_that_is_none_after_all_is_forgotten() -> None:
    made = Lab(policy=Policy(cycle_months={"2": 96}))
    made.feed(run())
    assert len(made.meter.held) == 1
    rejected = made.feed(meter())[1]
    assert rejected.problem.startswith("accuracy_class: '1' has no cycle")
    assert made.meter.held == ()


# -- the register ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_one", "problem"),
    [
        (standard("ruler"), "kind: 'ruler' is unknown"),
        (standard(number=" "), "standard_no: is empty"),
        (standard(certificate_no=""), "certificate_no: is empty"),
        (standard(accuracy_class="fine"), "reference_class: "),
        (standard(from_on="2026-02-30"), "from_on: '2026-02-30' is no date"),
        (standard(due_on="2023-12-31"), "due_on: 2023-12-31 is before 2024-01-01"),
        (standard(by=" "), "registered_by: is empty"),
        (standard(due_on="2030-12-31"), "certificate_no: Z-B1 says something else already"),
    ],
)
def test_what_is_no_certificate_is_rejected(given_one: Any, problem: str) -> None:
    made = Lab()
    before = made.fold.shared
    (rejected,) = made.feed(given_one)
    assert isinstance(rejected, StandardRejected)
    assert rejected.problem.startswith(problem)
    assert made.fold.shared == before


def test_a_known_certificate_is_silent() -> None:
    assert Lab().feed(*STANDARDS) == []


def test_the_oldest_certificates_are_put_away() -> None:
    made = Lab(bare=True)
    for year in range(2000, 2000 + CERTIFICATES_MOST + 3):
        made.feed(standard(certificate_no=f"Z-{year}", from_on=f"{year}-01-01"))
    kept = made.fold.shared.standards["bench B1"]
    assert (len(kept), kept[0].from_on) == (CERTIFICATES_MOST, "2003-01-01")


# -- the law --------------------------------------------------------------------------------------

FACTS = (
    meter(verified_on="2020-01-01"),
    OLD_BENCH,
    standard(certificate_no="Z-3", from_on="2026-03-15"),
    REFERENCE,
    run(run_id="early", measured_at="2026-02-01T02:00:00Z"),
    fast(run_id="between", measured_at="2026-03-05T02:00:00Z"),
    run(run_id="late", measured_at="2026-04-01T02:00:00Z"),
    run(run_id="before", measured_at="2023-06-01T02:00:00Z"),
)


@settings(max_examples=60, deadline=None)
@given(st.permutations([*FACTS, FACTS[4], FACTS[5]]))
def test_what_is_judged_in_the_end_does_not_depend_on_the_order(order: list[Any]) -> None:
    made = Lab(bare=True)
    made.feed(*order)
    made.check_folds()
    judged = sorted(each.judgement.run_id for each in made.of(MeterJudged))
    assert judged == ["early", "late"]
    assert [each.run_id for each in made.meter.refused] == ["between"]
    assert [each.run_id for each in made.meter.held] == ["before"]
    certified = {each.certificate.run_id: each.certificate for each in made.of(CertificateIssued)}
    assert {name: each.issued_on for name, each in certified.items()} == {
        "early": "2026-02-01",
        "late": "2026-04-01",
    }


def test_the_law_can_fail() -> None:
    """Were a refused run forgotten, this order would end without its judgement."""
    made = expired()
    made.feed(run())
    entry = made.fold.get("M1")
    made.fold.put("M1", replace(entry, meter=replace(entry.meter, refused=())))
    made.feed(standard())
    assert made.of(MeterJudged) == []
