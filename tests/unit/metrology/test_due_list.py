"""Due lists: each duty counted from the right day, and a coverage that only 100 % calls whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.events.errors import BadInput
from services.metrology.due_list import (
    DEFAULT_PERIODS,
    Obligation,
    TrackedDevice,
    coverage,
    obligations,
)
from services.metrology.verification_cycle import later_by_months

METER = TrackedDevice(
    device_no="M1",
    kind="meter",
    accuracy_class="0.5S",
    category="I",
    voltage_v=10_000,
    installed_on="2026-01-10",
    verified_on="2025-12-20",
    checked_on="2026-02-01",
)


def seen(device: TrackedDevice, on: str = "2026-03-31") -> list[tuple[str, str, str]]:
    return [(each.duty, each.due_on, each.status) for each in obligations(device, on)]


def test_a_meter_of_category_one() -> None:
    assert obligations(METER, "2026-03-31") == (
        Obligation(
            device_no="M1",
            kind="meter",
            duty="verification",
            last_on="2025-12-20",
            due_on="2031-12-20",
            status="done",
            days_left=2_090,
            rule="jjg-596-cycles: 72 months for class 0.5S",
        ),
        Obligation(
            device_no="M1",
            kind="meter",
            duty="rotation",
            last_on="2026-01-10",
            due_on="2030-01-10",
            status="done",
            days_left=1_381,
            rule="dlt-448-2000-periods: 48 months, category I",
        ),
        Obligation(
            device_no="M1",
            kind="meter",
            duty="on_site_check",
            last_on="2026-02-01",
            due_on="2026-05-01",
            status="done",
            days_left=31,
            rule="dlt-448-2000-periods: 3 months, category I",
        ),
    )


@pytest.mark.parametrize(
    ("on", "status"),
    [
        ("2026-04-30", "due_soon"),
        ("2026-05-01", "due_soon"),
        ("2026-05-02", "overdue"),
        ("2026-04-01", "due_soon"),
        ("2026-03-31", "done"),
    ],
)
def test_the_due_date_itself_is_in_time_and_notice_is_thirty_days(on: str, status: str) -> None:
    assert seen(METER, on)[2] == ("on_site_check", "2026-05-01", status)


def test_the_first_check_comes_before_the_periodic_ones() -> None:
    unchecked = replace(METER, checked_on="")
    assert seen(unchecked)[2] == ("first_check", "2026-02-10", "overdue")
    assert len(seen(unchecked)) == 3
    before = replace(METER, checked_on="2026-01-09")
    assert seen(before)[2][0] == "first_check"
    assert seen(replace(METER, checked_on="2026-01-10"))[2][:2] == ("on_site_check", "2026-04-10")
    low = replace(unchecked, voltage_v=400, category="III")
    assert seen(low)[2] == ("on_site_check", "2027-01-10", "done")
    assert [duty for duty, *_ in seen(replace(low, category="V"))] == ["verification"]
    high = replace(unchecked, category="IV")
    assert [duty for duty, *_ in seen(high)] == ["verification", "first_check"]


def test_what_has_no_day_is_untracked_and_what_a_certificate_names_is_believed() -> None:
    bare = TrackedDevice(device_no="M2", kind="meter", accuracy_class="2", category="II")
    assert seen(bare) == [
        ("verification", "", "untracked"),
        ("rotation", "", "untracked"),
        ("on_site_check", "", "untracked"),
    ]
    assert obligations(bare, "2026-03-31")[0].days_left is None
    named = replace(bare, category="", due_on="2026-03-30")
    assert seen(named) == [("verification", "2026-03-30", "overdue")]


def test_transformers() -> None:
    ct = TrackedDevice(device_no="T1", kind="ct", voltage_v=10_000, verified_on="2016-03-31")
    assert seen(ct) == [("verification", "2026-03-31", "due_soon")]
    assert seen(replace(ct, voltage_v=400)) == []
    assert seen(replace(ct, voltage_v=400, due_on="2026-03-01")) == [
        ("verification", "2026-03-01", "overdue")
    ]
    vt = replace(ct, kind="vt", voltage_v=35_000, drop_measured_on="2024-03-30")
    assert seen(vt)[1] == ("voltage_drop", "2026-03-30", "overdue")
    new = replace(vt, drop_measured_on="", installed_on="2025-01-31")
    assert seen(new)[1] == ("voltage_drop", "2027-01-31", "done")
    assert len(seen(replace(vt, voltage_v=34_999))) == 1


def test_standards() -> None:
    bench = TrackedDevice(device_no="B1", kind="bench", verified_on="2024-03-31")
    assert seen(bench) == [("verification", "2026-03-31", "due_soon")]
    assert seen(replace(bench, kind="reference_meter")) == [
        ("verification", "2025-03-31", "overdue")
    ]
    site = replace(bench, kind="site_standard", due_on="2026-12-31", compared_on="2025-12-30")
    assert seen(site) == [
        ("verification", "2026-12-31", "done"),
        ("comparison", "2026-03-30", "overdue"),
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "clock"}, "kind"),
        ({"category": "VI"}, "category"),
        ({"voltage_v": -1}, "voltage_v"),
        ({"verified_on": "2026-04-01"}, "verified_on"),
        ({"installed_on": "2026-02-30"}, "installed_on"),
        ({"due_on": "soon"}, "due_on"),
        ({"accuracy_class": "5"}, "accuracy_class"),
    ],
)
def test_wrong_devices_are_named(changes: dict[str, object], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        obligations(replace(METER, **changes), "2026-03-31")  # type: ignore[arg-type]
    assert caught.value.field == field


def test_coverage_counts_overdue_and_untracked_against_it() -> None:
    found = coverage(
        [
            ("rotation", "done", 1_999),
            ("rotation", "overdue", 1),
            ("verification", "due_soon", 3),
            ("drop", "untracked", 2),
            ("drop", "done", 1),
            ("nothing", "done", 0),
        ]
    )
    assert [(each.duty, each.total, each.coverage_pct) for each in found] == [
        ("drop", 3, "33.33"),
        ("nothing", 0, "100"),
        ("rotation", 2_000, "99.95"),
        ("verification", 3, "100"),
    ]
    assert found[2].counts == {"overdue": 1, "untracked": 0, "due_soon": 0, "done": 1_999}
    # 99.999 % is not whole.
    assert coverage([("a", "done", 99_999), ("a", "overdue", 1)])[0].coverage_pct == "99.99"


def test_periods_and_months() -> None:
    assert later_by_months("2026-01-31", 1) == "2026-02-28"
    assert later_by_months("2026-12-31", 12) == "2027-12-31"
    with pytest.raises(BadInput, match="too late to count from"):
        later_by_months("9999-12-31", 1)
    assert all(DEFAULT_PERIODS.sources.values())
