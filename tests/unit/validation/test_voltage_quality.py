"""Voltage quality: exact fractions, both sides, events and what ends them, and laws."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.validation.voltage_quality import (
    QualityRules,
    VoltageQuality,
    VoltageSample,
    VoltageSupply,
    month_of,
    month_span,
    voltage_quality,
)

START = datetime(2026, 1, 31, 16, tzinfo=UTC)  # 2026-02-01 00:00 in the utility's zone
SIX_HOURS = QualityRules(interval_s=21_600)
SLOTS = 112  # 28 days of four samples
ONE = VoltageSupply(phases=1)


def at(slot: int, interval_s: int = 21_600) -> str:
    return (START + timedelta(seconds=slot * interval_s)).strftime("%Y-%m-%dT%H:%M:%SZ")


def samples(changed: dict[int, object] | None = None) -> list[VoltageSample]:
    """A month of 220 V; `changed` by slot from 1: 0.1 V, a dict by phase, or None for a gap."""
    found = []
    for slot in range(1, SLOTS + 1):
        value = (changed or {}).get(slot, 2200)
        if value is not None:
            voltages = value if isinstance(value, dict) else {"l1": value}
            found.append(VoltageSample(at=at(slot), voltages_dv=voltages))
    return found


def judged(
    changed: dict[int, object], supply: VoltageSupply = ONE, rules: QualityRules = SIX_HOURS
) -> VoltageQuality:
    return voltage_quality("P", "2026-02", samples(changed), supply, rules)


def events(found: VoltageQuality) -> list[tuple[str, str, str, int, int, str]]:
    return [
        (each.side, each.start_at, each.end_at, each.samples, each.extreme_dv, each.ended_by)
        for each in found.events
    ]


def test_a_month_is_that_of_the_utilitys_zone() -> None:
    assert month_span("2026-02") == ("2026-01-31T16:00:00Z", "2026-02-28T16:00:00Z")
    assert month_of("2026-01-31T16:00:00Z") == "2026-01"
    assert month_of("2026-01-31T16:00:01Z") == "2026-02"
    with pytest.raises(BadInput, match="is no month"):
        month_span("2026-13")


def test_the_limits_are_inside() -> None:
    found = judged({1: 1980, 2: 2354, 3: 1979, 4: 2355})
    assert (found.expected_samples, found.missing_samples) == (SLOTS, 0)
    assert (found.inside_s, found.over_s, found.under_s) == (110 * 21_600, 21_600, 21_600)
    assert found.rate_e2_pct == 9_821  # 110/112 = 98.214 %
    assert found.status == "qualified"
    assert events(found) == [
        ("under", at(2), at(3), 1, 1979, "other_side"),
        ("over", at(3), at(4), 1, 2355, "inside"),
    ]


@pytest.mark.wide
def test_a_rate_of_100_means_every_sample_unless_told_otherwise() -> None:
    fine = QualityRules(interval_s=60)
    grid = [VoltageSample(at=at(slot, 60), voltages_dv={"l1": 2400 if slot == 9 else 2200})
            for slot in range(1, 28 * 1440 + 1)]  # fmt: skip
    found = voltage_quality("P", "2026-02", grid, ONE, fine)
    assert (found.rate_e2_pct, found.over_s) == (9_999, 60)  # 99.9975 %
    nearest = QualityRules(interval_s=60, rounding="half_up")
    assert voltage_quality("P", "2026-02", grid, ONE, nearest).rate_e2_pct == 10_000


def test_events_end_by_a_gap_an_outage_and_the_month() -> None:
    found = judged({5: 2400, 6: 2420, 7: None, 8: 2401, 20: 1900, 21: 1890, 22: 0, 112: 2500})
    assert events(found) == [
        ("over", at(4), at(6), 2, 2420, "gap"),
        ("over", at(7), at(8), 1, 2401, "inside"),
        ("under", at(19), at(21), 2, 1890, "outage"),
        ("over", at(111), at(112), 1, 2500, "month_end"),
    ]
    assert (found.missing_samples, found.outage_s) == (1, 21_600)
    assert found.events[0].extreme_deviation_pct == "10"
    cut = judged({111: 2500, 112: None})
    assert events(cut) == [("over", at(110), at(111), 1, 2500, "gap")]


def test_an_outage_is_no_voltage_quality() -> None:
    found = judged({1: 0, 2: 219})
    assert (found.outage_s, found.rate_e2_pct) == (2 * 21_600, 10_000)
    assert judged({1: 220}).under_s == 21_600


def test_missing_samples_are_gated() -> None:
    gone = dict.fromkeys(range(1, 13))  # 100 of 112: 89.28 %
    found = judged(gone)  # type: ignore[arg-type]
    assert (found.status, found.rate_e2_pct, found.reason) == (
        "not_comparable",
        None,
        "100 of 112 samples",
    )
    enough = QualityRules(interval_s=21_600, complete_least_e2_pct=8_928)
    assert judged(gone, rules=enough).rate_e2_pct == 10_000  # type: ignore[arg-type]


def test_nothing_measured_is_said() -> None:
    lax = QualityRules(interval_s=21_600, complete_least_e2_pct=0)
    assert voltage_quality("P", "2026-02", [], ONE, lax).reason == "no voltage was measured"
    assert judged(dict.fromkeys(range(1, 113), 0)).reason == "no voltage was measured"


def test_below_the_target_fails() -> None:
    assert judged({1: 2400, 2: 2400}).status == "qualified"  # 98.21 %
    assert judged({1: 2400, 2: 2400, 3: 2400}).status == "unqualified"  # 97.32 %


THREE = {"l1": 2200, "l2": 2200, "l3": 2200}
EACH_SLOT: dict[int, object] = dict.fromkeys(range(1, SLOTS + 1), THREE)


def test_three_phases_together_or_the_worst_alone() -> None:
    changed = EACH_SLOT | {
        1: THREE | {"l1": 2360},
        2: THREE | {"l2": 2040},
        3: THREE | {"l2": 2400},
    }
    supply = VoltageSupply()
    together = judged(changed, supply)
    assert (together.phase, together.rate_e2_pct, together.inside_s) == ("", 9_732, 109 * 21_600)
    alone = judged(changed, supply, QualityRules(interval_s=21_600, phase_rule="worst_phase"))
    assert (alone.phase, alone.rate_e2_pct, alone.over_s) == ("l2", 9_821, 21_600)


@pytest.mark.parametrize(
    ("low_dv", "high_dv", "side"),
    [(2000, 2400, "over"), (2000, 2200, "under"), (1900, 2400, "under")],
)
def test_both_sides_at_once_counts_as_the_farther_one(low_dv: int, high_dv: int, side: str) -> None:
    found = judged(EACH_SLOT | {1: THREE | {"l1": low_dv, "l2": high_dv}}, VoltageSupply())
    assert found.events[0].side == side


@pytest.mark.parametrize(
    ("low_dv", "high_dv", "side"),
    [(540, 607, "under"), (547, 611, "over"), (519, 580, "under"), (580, 640, "over")],
)
def test_high_voltage_counts_the_spread(low_dv: int, high_dv: int, side: str) -> None:
    supply = VoltageSupply(voltage_class="110kv", nominal_dv=577)
    slots: dict[int, object] = {slot: {"l1": 577} for slot in range(1, SLOTS + 1)}
    found = judged(slots | {1: {"l1": low_dv, "l2": high_dv}}, supply)
    assert [event.side for event in found.events] == [side]


def test_what_contradicts_itself_is_refused() -> None:
    good = samples()
    for wrong, said in (
        ([VoltageSample(at=at(0), voltages_dv={"l1": 1})], "is outside the month"),
        ([VoltageSample(at=at(113), voltages_dv={"l1": 1})], "is outside the month"),
        ([good[1], good[0]], "is not after"),
        ([good[0], good[0]], "is not after"),
        ([VoltageSample(at="2026-02-01T00:00:01Z", voltages_dv={"l1": 1})], "multiple of 21600"),
        ([VoltageSample(at=at(1), voltages_dv={})], "there are none"),
    ):
        with pytest.raises(BadInput, match=said):
            voltage_quality("P", "2026-02", wrong, ONE, SIX_HOURS)
    for values in ({"voltage_class": "5kv"}, {"nominal_dv": 0}, {"phases": 2}):
        with pytest.raises(BadInput):
            VoltageSupply(**values)  # type: ignore[arg-type]
    for rules in ({"interval_s": 7}, {"interval_s": 0}, {"phase_rule": "x"}, {"rounding": "x"}):
        with pytest.raises(BadInput):
            QualityRules(**rules)  # type: ignore[arg-type]


def test_a_level_without_a_band_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "services.validation.voltage_quality.LEVEL_DV", {"lt1kv": 3_800, "30kv": 300_000}
    )
    found = judged({}, VoltageSupply(voltage_class="30kv"))
    assert (found.status, found.reason) == (
        "not_comparable",
        "no band is stated for this voltage",
    )


@given(st.dictionaries(st.integers(1, SLOTS), st.one_of(st.none(), st.integers(0, 4000))))
def test_all_time_is_counted_once(changed: dict[int, object]) -> None:
    lax = QualityRules(interval_s=21_600, complete_least_e2_pct=0)
    found = judged(changed, rules=lax)
    counted = found.inside_s + found.over_s + found.under_s + found.outage_s
    assert counted == found.found_samples * 21_600
    outside = sum(event.samples for event in found.events) * 21_600
    assert outside == found.over_s + found.under_s
    assert found.rate_e2_pct is None or 0 <= found.rate_e2_pct <= 10_000
    assert (found.rate_e2_pct == 10_000) == (not found.events and found.rate_e2_pct is not None)


def test_one_dead_phase_is_no_outage_when_each_phase_is_judged_by_itself() -> None:
    rules = QualityRules(interval_s=21_600, phase_rule="worst_phase")
    lost = {"l1": 2200, "l2": 0, "l3": 2200}
    full = dict.fromkeys(range(1, SLOTS + 1), dict.fromkeys(("l1", "l2", "l3"), 2200))
    found = judged({**full, 5: lost}, VoltageSupply(), rules)
    assert (found.phase, found.under_s, found.outage_s) == ("l2", 21_600, 0)
    dark = judged({**full, 5: dict.fromkeys(("l1", "l2", "l3"), 0)}, VoltageSupply(), rules)
    assert (dark.under_s, dark.outage_s, dark.rate_e2_pct) == (0, 21_600, 10_000)


def test_the_limit_of_an_outage_is_exact() -> None:
    # A tenth of 57.7 V is 5.77 V: 5.7 V is below it, 5.8 V is not.
    supply = VoltageSupply(voltage_class="10kv", nominal_dv=577)
    full = dict.fromkeys(range(1, SLOTS + 1), 577)
    assert judged({**full, 5: 57}, supply).outage_s == 21_600
    assert judged({**full, 5: 58}, supply).outage_s == 0
