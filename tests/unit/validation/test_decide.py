"""What validation decides about readings, day by day; all values worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.validation.events import (
    EstimateSuperseded,
    IntervalsEstablished,
    QualityFound,
    ReadingAccepted,
    ReadingRejected,
    SupplyAwaited,
    SupplyNoted,
    UsageEstablished,
)
from tests.unit.validation.desk import (
    RATES,
    Desk,
    meter,
    names,
    only,
    opened,
    peak,
    profile,
    reading,
    rules_of,
    supply,
)
from tests.unit.validation.samples import IMPORT, at, day_on


def fed(desk: Desk, *values: int, first: int = 0) -> Desk:
    """Readings of consecutive days from day `first` on."""
    for index, value in enumerate(values):
        desk.take(reading(first + index, value))
    return desk


# -- the first reading ----------------------------------------------------------------------------


def test_the_first_reading_counts_from_the_initial_registers() -> None:
    desk = opened(meter(initial={IMPORT: 2_500}))
    own = desk.take(reading(0, 12_700))
    assert names(own) == ["ReadingAccepted", "UsageEstablished"]
    usage = own[1]
    assert (usage.energy, usage.change) == ({IMPORT: 10_200}, {IMPORT: 10_200})
    assert (usage.revision, usage.quality, usage.method) == (1, "actual", "")
    assert usage.readings == ("initial/M1", "r0")
    assert usage.account_no == "A1"
    assert not usage.after_exchange
    assert usage.rule_set == "default.v1"


def test_without_initial_registers_the_first_reading_only_opens() -> None:
    desk = opened(meter(initial={}))
    assert names(desk.take(reading(0, 12_700))) == ["ReadingAccepted"]
    desk.take(reading(1, 20_000))
    assert desk.energy() == {day_on(1): 7_300}


def test_a_meter_older_than_the_supply_opens_with_the_reading_of_the_day_before() -> None:
    desk = opened(meter(from_at=at(-900), initial={IMPORT: 0}), supplied_from_on=day_on(0))
    assert names(desk.take(reading(-1, 8_000_000))) == ["ReadingAccepted"]
    desk.take(reading(0, 8_010_000))
    assert desk.energy() == {day_on(0): 10_000}
    assert desk.usage()[day_on(0)].readings == ("r-1", "r0")


def test_the_ratio_is_that_of_the_installation() -> None:
    desk = opened(meter(ratio="80", initial={IMPORT: 1_000}, capacity_w=800_000))
    desk.take(reading(0, 1_125, demands=(peak(2_500, 0),)))
    usage = desk.usage()[day_on(0)]
    assert usage.energy == {IMPORT: 10_000}
    assert [(d.register, d.demand_w) for d in usage.demands] == [("1-0:1.6.0", 200_000)]


def test_a_current_reading_is_no_base_for_a_bill() -> None:
    desk = opened()
    assert desk.take(reading(0, 5_000, kind="current")) == []


# -- gaps -----------------------------------------------------------------------------------------


def test_a_gap_is_split_exactly_and_a_late_actual_supersedes_it() -> None:
    desk = fed(opened(), 10_000, 21_000)  # 1 January: 10,000; 2 January: 11,000
    own = desk.take(reading(4, 51_001))  # 3 to 5 January: 30,001 by the average of both days
    assert names(own) == ["ReadingAccepted", *["UsageEstablished"] * 3]
    assert desk.energy() == {
        day_on(0): 10_000,
        day_on(1): 11_000,
        day_on(2): 10_000,
        day_on(3): 10_000,
        day_on(4): 10_001,
    }
    assert [desk.usage()[day_on(d)].quality for d in (2, 3, 4)] == ["estimated"] * 3
    assert desk.usage()[day_on(3)].method == "average_day"
    own = desk.take(reading(2, 33_000))
    assert names(own) == ["ReadingAccepted", "EstimateSuperseded", *["UsageEstablished"] * 3]
    assert only(own, EstimateSuperseded).days_on == (day_on(2), day_on(3), day_on(4))
    assert only(own, EstimateSuperseded).reading_id == "r2"
    changes = [u.change[IMPORT] for u in own if isinstance(u, UsageEstablished)]
    assert changes == [2_000, -1_000, -1_000]  # 12,000; 9,000; 9,001
    assert sum(changes) == 0
    own = desk.take(reading(3, 45_500))
    assert desk.energy()[day_on(3)] == 12_500
    assert desk.energy()[day_on(4)] == 5_501
    assert desk.summed() == desk.energy()
    assert set(desk.quality().values()) == {"actual"}
    assert desk.usage()[day_on(3)].revision == 3


def test_registers_that_stood_still_are_split_evenly() -> None:
    desk = fed(opened(), 10_000)
    desk.take(reading(2, 10_000))
    assert desk.energy() == {day_on(0): 10_000, day_on(1): 0, day_on(2): 0}


def test_rates_add_up_to_the_total_on_every_day_of_a_gap() -> None:
    registers = (IMPORT, *RATES)
    zero = dict.fromkeys(registers, 0)
    desk = opened(meter(initial=zero), registers=registers)
    one = {IMPORT: 10_000, RATES[0]: 4_000, RATES[1]: 6_000}
    four = {IMPORT: 40_003, RATES[0]: 16_001, RATES[1]: 24_002}
    desk.take(reading(0, 0, registers=one))
    desk.take(reading(3, 0, registers=four))
    for day in (1, 2, 3):
        energy = desk.usage()[day_on(day)].energy
        assert energy[RATES[0]] + energy[RATES[1]] == energy[IMPORT]
    assert sum(desk.energy().values()) == 40_003


# -- days nobody read -----------------------------------------------------------------------------


def test_a_day_without_a_reading_is_estimated_a_grace_time_after_its_end() -> None:
    desk = fed(opened(), 10_000, 22_000)
    assert desk.tick(at(3, 7)) == []  # 3 January ended 7 hours ago
    own = desk.tick(at(3, 8))
    usage = only(own, UsageEstablished)
    assert (usage.day_on, usage.energy) == (day_on(2), {IMPORT: 11_000})
    assert (usage.quality, usage.method) == ("estimated", "open_average")
    assert usage.readings == ("r1",)
    assert usage.meter_no == "M1"
    assert desk.tick(at(3, 9)) == []
    assert desk.tick(at(3, 8)) == []


def test_a_tick_that_jumps_estimates_every_day_passed_once() -> None:
    desk = fed(opened(), 10_000, 22_000)
    own = desk.tick(at(6, 12))
    assert [usage.day_on for usage in own] == [day_on(2), day_on(3), day_on(4), day_on(5)]
    assert desk.tick(at(7, 7)) == []
    assert [usage.day_on for usage in desk.tick(at(7, 8))] == [day_on(6)]
    own = desk.take(reading(6, 72_000))  # 50,000 in five days
    assert only(own, EstimateSuperseded).days_on == tuple(day_on(d) for d in range(2, 7))
    assert desk.summed() == desk.energy()
    assert sum(desk.energy().values()) == 72_000


def test_nothing_is_guessed_without_history() -> None:
    desk = opened()
    assert desk.tick(at(30)) == []
    fed(desk, 10_000)
    assert len(desk.tick(at(3, 8))) == 2


def test_the_end_of_supply_ends_the_estimates() -> None:
    desk = fed(opened(supplied_to_on=day_on(3)), 10_000, 20_000)
    own = desk.tick(at(20))
    assert [usage.day_on for usage in own] == [day_on(2), day_on(3)]
    assert desk.tick(at(40)) == []
    assert desk.keys_due(at(400)) == ()


# -- exchange, removal ----------------------------------------------------------------------------

EXCHANGED_AT = at(2, 10)


def exchange(**changes: object) -> tuple[object, ...]:
    return (
        meter(to_at=EXCHANGED_AT, final={IMPORT: 24_000}),
        meter("M2", from_at=EXCHANGED_AT, initial={IMPORT: 500}, **changes),
    )


def test_an_exchange_within_a_day_counts_both_meters() -> None:
    desk = opened(*exchange())  # type: ignore[arg-type]
    fed(desk, 10_000, 20_000)
    own = desk.take(reading(2, 6_500, meter_no="M2"))
    usage = only(own, UsageEstablished)
    assert usage.energy == {IMPORT: 24_000 - 20_000 + 6_500 - 500}
    assert usage.after_exchange
    assert usage.meter_no == "M2"
    assert not desk.usage()[day_on(1)].after_exchange


def test_an_exchange_with_another_ratio() -> None:
    desk = opened(*exchange(ratio="1.5"))  # type: ignore[arg-type]
    fed(desk, 10_000, 20_000)
    desk.take(reading(2, 6_500, meter_no="M2"))
    assert desk.energy()[day_on(2)] == 4_000 + 9_000


def test_a_reading_of_the_new_meter_waits_for_the_exchange() -> None:
    desk = fed(opened(), 10_000, 20_000)
    desk.take(supply(version=2, area="T2"))  # says nothing of an exchange
    own = desk.take(reading(2, 6_500, meter_no="M2"))
    assert only(own, SupplyAwaited).reason == "installation"
    assert desk.take(reading(2, 6_500, meter_no="M2")) == []
    own = desk.take(supply(*exchange(), version=3))  # type: ignore[arg-type]
    assert names(own) == ["SupplyNoted", "ReadingAccepted", "UsageEstablished"]
    assert desk.energy()[day_on(2)] == 10_000
    assert desk.point.held == ()


def test_an_exchange_told_late_says_more_of_a_day_that_was_estimated() -> None:
    desk = fed(opened(), 10_000, 20_000)
    desk.tick(at(3, 8))
    assert desk.quality()[day_on(2)] == "estimated"
    desk.take(reading(2, 6_500, meter_no="M2"))
    own = desk.take(supply(*exchange(), version=2))  # type: ignore[arg-type]
    assert names(own) == [
        "SupplyNoted",
        "ReadingAccepted",
        *["UsageEstablished"][:0],
        "EstimateSuperseded",
        "UsageEstablished",
    ]
    assert desk.quality()[day_on(2)] == "actual"


def test_a_foreign_meter_is_rejected_when_no_exchange_came() -> None:
    desk = fed(opened(), 10_000)
    desk.take(reading(1, 20_000, meter_no="M9"))
    assert desk.tick(at(61)) != []  # estimates, and nothing about M9
    assert [held.meter_no for held in desk.point.held] == ["M9"]
    own = desk.tick(at(64))
    rejected = only(own, ReadingRejected)
    assert rules_of(rejected)["awaited"].text == "its installation did not come within 62 days"
    assert desk.point.held == ()


def test_a_meter_taken_away_closes_the_days_with_its_final_registers() -> None:
    desk = fed(opened(), 10_000, 20_000)
    own = desk.take(supply(meter(to_at=at(3, 6), final={IMPORT: 32_000}), version=2))
    # 3 January has no reading of its own: 12,000 over 3 January and six hours of the 4th.
    assert names(own) == ["SupplyNoted", "UsageEstablished", "UsageEstablished"]
    assert desk.energy()[day_on(2)] + desk.energy()[day_on(3)] == 12_000
    assert desk.usage()[day_on(3)].readings == ("r1", "final/M1")
    desk.take(reading(2, 30_000))
    assert desk.energy()[day_on(2)] == 10_000
    assert desk.energy()[day_on(3)] == 2_000
    assert set(desk.quality().values()) == {"actual"}
    assert desk.tick(at(300)) == []
    assert desk.keys_due(at(400)) == ()


def test_a_meter_taken_away_at_midnight_and_one_that_comes_days_later() -> None:
    first = meter(to_at=at(3), final={IMPORT: 29_000})
    second = meter("M2", from_at=at(5, 12), initial={IMPORT: 0})
    desk = fed(opened(first, second), 10_000, 20_000)
    assert desk.energy()[day_on(2)] == 9_000
    desk.take(reading(5, 4_000, meter_no="M2"))
    desk.take(reading(6, 15_000, meter_no="M2"))
    assert desk.energy() == {
        day_on(0): 10_000,
        day_on(1): 10_000,
        day_on(2): 9_000,
        day_on(5): 4_000,
        day_on(6): 11_000,
    }
    assert desk.point.anchor_on == day_on(6)


def test_final_registers_below_the_last_reading_are_told() -> None:
    desk = fed(opened(), 10_000, 20_000)
    own = desk.take(supply(meter(to_at=at(2, 6), final={IMPORT: 19_000}), version=2))
    remark = only(own, QualityFound)
    assert remark.reading_id == "final/M1"
    assert "negative" in rules_of(remark)
    assert day_on(2) not in desk.energy()
    desk.take(supply(meter(to_at=at(2, 6), final={IMPORT: 21_000}), version=3))
    assert desk.energy()[day_on(2)] == 1_000


def test_estimates_go_on_with_a_new_meter_that_was_never_read() -> None:
    first = meter(to_at=at(2), final={IMPORT: 20_000})
    second = meter("M2", from_at=at(3), initial={})
    desk = fed(opened(first, second), 10_000, 20_000)
    own = desk.tick(at(5, 8))
    assert [(usage.day_on, usage.meter_no, usage.readings) for usage in own] == [
        (day_on(3), "M2", ()),
        (day_on(4), "M2", ()),
    ]


def test_a_meter_that_ended_without_final_registers_is_estimated_to_its_end() -> None:
    desk = fed(opened(meter(to_at=at(3, 6))), 10_000, 20_000)
    own = desk.tick(at(30))
    assert [usage.day_on for usage in own] == [day_on(2), day_on(3)]
    assert desk.keys_due(at(400)) == ()


# -- bad readings ---------------------------------------------------------------------------------


def test_rollover() -> None:
    desk = opened(meter(initial={IMPORT: 999_998_000}))
    own = desk.take(reading(0, 12_000))
    assert rules_of(own[0])["rollover"].severity == "warn"
    assert desk.energy() == {day_on(0): 14_000}


def test_a_register_that_fell_is_rejected() -> None:
    desk = fed(opened(), 10_000, 20_000)
    rejected = only(desk.take(reading(2, 19_000)), ReadingRejected)
    assert rules_of(rejected)["negative"].severity == "fail"
    assert rejected.doubted is None


def test_a_missing_or_bad_register_is_rejected() -> None:
    desk = opened(registers=(IMPORT, RATES[0], "1-0:1.6.0"))
    rejected = only(desk.take(reading(0, 10_000, flaws={RATES[0]: "non_bcd"})), ReadingRejected)
    assert set(rules_of(rejected)) == {"bad_value"}
    rejected = only(desk.take(reading(1, 10_000)), ReadingRejected)
    assert rules_of(rejected)["missing"].numbers["slots"] == RATES[0]


def test_a_spike_is_rejected_and_the_delta_of_two_days_is_split() -> None:
    desk = fed(opened(), 10_000, 20_000, 30_000)
    rejected = only(desk.take(reading(3, 940_000)), ReadingRejected)
    assert rules_of(rejected)["spike"].severity == "fail"
    assert desk.point.doubted is not None
    own = desk.take(reading(4, 50_000))
    assert names(own) == ["ReadingAccepted", "UsageEstablished", "UsageEstablished"]
    assert desk.energy()[day_on(3)] == desk.energy()[day_on(4)] == 10_000
    assert desk.quality()[day_on(3)] == "estimated"
    assert desk.point.doubted is None


def test_usage_that_stays_high_is_believed_with_the_second_reading() -> None:
    desk = fed(opened(), 10_000, 20_000, 30_000)
    assert names(desk.take(reading(3, 120_000))) == ["ReadingRejected"]
    own = desk.take(reading(4, 205_000))
    assert names(own) == [
        "ReadingAccepted",
        "UsageEstablished",
        "ReadingAccepted",
        "UsageEstablished",
    ]
    assert rules_of(own[0])["spike"].text == "stood out, and was confirmed by r4"
    assert rules_of(own[2])["spike"].severity == "warn"
    assert desk.energy()[day_on(3)] == 90_000
    assert desk.energy()[day_on(4)] == 85_000
    assert set(desk.quality().values()) == {"actual"}


def test_the_same_reading_again_confirms_nothing_but_a_persons_does() -> None:
    desk = fed(opened(), 10_000, 20_000, 30_000)
    desk.take(reading(3, 120_000))
    assert names(desk.take(reading(3, 120_000))) == ["ReadingRejected"]
    assert names(desk.take(reading(3, 120_001, reading_id="m", source="manual"))) == [
        "ReadingRejected"
    ]
    desk.take(reading(3, 120_000))
    own = desk.take(reading(3, 120_000, reading_id="m", source="manual", kind="manual"))
    assert names(own) == ["ReadingAccepted", "UsageEstablished"]
    assert own[0].source == "manual"
    assert desk.energy()[day_on(3)] == 90_000


def test_an_earlier_reading_does_not_confirm_a_later_one() -> None:
    desk = fed(opened(), 10_000, 20_000, 30_000)
    desk.take(reading(4, 940_000))
    assert names(desk.take(reading(3, 930_000))) == ["ReadingRejected"]
    assert desk.point.doubted is not None
    assert desk.point.doubted.day_on == day_on(3)


def test_a_doubt_about_another_run_is_no_help() -> None:
    first = meter(to_at=at(4), final={IMPORT: 40_000})
    second = meter("M2", from_at=at(4, 1), initial={IMPORT: 0})
    desk = fed(opened(first, second), 10_000, 20_000, 30_000)
    desk.take(reading(3, 930_000))
    rejected = desk.take(reading(4, 95_000, meter_no="M2"))
    assert names(rejected) == ["ReadingRejected"]


def test_a_late_reading_above_the_next_one_is_rejected_and_destroys_nothing() -> None:
    desk = fed(opened(), 10_000, 20_000)
    desk.take(reading(3, 40_000))
    before = desk.energy()
    rejected = only(desk.take(reading(2, 41_000)), ReadingRejected)
    assert "negative" in rules_of(rejected)
    assert desk.energy() == before


def test_what_cannot_be_calculated_with_is_rejected_and_stops_nobody() -> None:
    desk = opened(meter(initial={IMPORT: 0, "total": 0}))
    rejected = only(desk.take(reading(0, 0, registers={IMPORT: 5, "total": 5})), ReadingRejected)
    assert "is no OBIS code" in rules_of(rejected)["bad_value"].text
    for bad in ("2026-02-30", "soon", "9999-12-31", "1960-01-01"):
        rejected = only(desk.take(reading(1, 5, day_on=bad)), ReadingRejected)
        assert rules_of(rejected)["bad_value"].text.startswith("day_on: ")


def test_a_supply_that_cannot_be_calculated_with_is_told() -> None:
    desk = fed(opened(), 10_000)
    desk.take(reading(2, 30_000))
    own = desk.take(supply(meter(ratio="none"), version=2))
    assert names(own)[0] == "SupplyNoted"
    remark = [event for event in own if isinstance(event, QualityFound)][-1]
    assert "ratio" in rules_of(remark)["bad_value"].text


# -- repeats --------------------------------------------------------------------------------------


def test_duplicates_are_told_and_never_counted() -> None:
    desk = fed(opened(), 10_000, 20_000)
    same = only(desk.take(reading(1, 20_000, reading_id="again")), QualityFound)
    assert rules_of(same)["duplicate"].severity == "warn"
    other = only(desk.take(reading(1, 20_500, reading_id="other")), ReadingRejected)
    assert rules_of(other)["duplicate"].severity == "fail"
    settled = only(desk.take(reading(0, 10_000, reading_id="settled")), QualityFound)
    assert settled.day_on == day_on(0)
    assert desk.energy() == {day_on(0): 10_000, day_on(1): 10_000}


def test_an_older_or_equal_version_of_the_supply_is_silent() -> None:
    desk = opened(version=3)
    assert desk.take(supply(version=3)) == []
    assert desk.take(supply(version=2)) == []
    assert names(desk.take(supply(version=4))) == ["SupplyNoted"]


# -- order of topics ------------------------------------------------------------------------------


def test_readings_before_the_supply_are_held_and_judged_in_order_later() -> None:
    desk = Desk()
    own = desk.take(reading(1, 20_000))
    assert only(own, SupplyAwaited).reason == "supply"
    desk.take(reading(0, 10_000))
    assert desk.take(reading(0, 10_000)) == []
    own = desk.take(supply())
    assert isinstance(own[0], SupplyNoted)
    assert [event.reading_id for event in own if isinstance(event, ReadingAccepted)] == ["r0", "r1"]
    assert desk.energy() == {day_on(0): 10_000, day_on(1): 10_000}
    assert desk.point.held == ()


def test_readings_of_a_point_nobody_ever_named_are_given_up() -> None:
    desk = Desk()
    desk.take(reading(0, 10_000))
    assert desk.tick(at(62)) == []
    rejected = only(desk.tick(at(63)), ReadingRejected)
    assert rules_of(rejected)["awaited"].text.startswith("its supply")


def test_a_reading_of_a_day_to_come_waits_for_it() -> None:
    desk = opened()
    desk.as_of = at(1)
    own = desk.take(reading(3, 40_000))
    assert only(own, SupplyAwaited).reason == "day"
    assert desk.tick(at(1, 23)) == []
    own = desk.tick(at(2, 1))  # business time may lag behind the edge's, by a day
    assert names(own)[0] == "ReadingAccepted"


def test_a_reading_dated_far_ahead_is_rejected_with_the_next_tick() -> None:
    desk = opened()
    desk.as_of = at(1)
    desk.take(reading(80, 40_000))
    rejected = only(desk.tick(at(1, 1)), ReadingRejected)
    assert rules_of(rejected)["awaited"].text.startswith("its day")


def test_who_moves_in_gets_the_days_after_who_moved_out() -> None:
    desk = opened(supplied_to_on=day_on(1), version=10)
    fed(desk, 10_000, 20_000)
    assert only(desk.take(reading(2, 30_000)), SupplyAwaited).reason == "supply"
    desk.take(supply(meter(), account_no="A2", supplied_from_on=day_on(2), version=20))
    assert desk.energy("A1") == {day_on(0): 10_000, day_on(1): 10_000}
    assert desk.energy("A2") == {day_on(2): 10_000}


def test_the_late_reading_of_an_account_that_left_is_its_own() -> None:
    desk = fed(opened(supplied_to_on=day_on(2)), 10_000)
    desk.take(supply(meter(), account_no="A2", supplied_from_on=day_on(3), version=20))
    desk.take(reading(4, 50_000))
    assert desk.energy("A2") == {day_on(3): 10_000, day_on(4): 10_000}
    desk.take(reading(2, 36_000))
    assert desk.summed("A1") == {day_on(0): 10_000, day_on(1): 13_000, day_on(2): 13_000}
    assert desk.summed("A2") == {day_on(3): 7_000, day_on(4): 7_000}


def test_days_nobody_was_supplied_are_nobodys() -> None:
    desk = opened(supplied_to_on=day_on(0))
    fed(desk, 10_000)
    desk.take(supply(meter(), account_no="A2", supplied_from_on=day_on(3), version=20))
    fed(desk, 20_000, 30_000, 40_000, first=1)
    assert desk.energy() == {day_on(0): 10_000, day_on(3): 10_000}


def test_a_supply_that_changes_settled_days_is_told() -> None:
    desk = fed(opened(), 10_000, 20_000, 30_000)
    own = desk.take(supply(supplied_to_on=day_on(0), version=2))
    assert rules_of(only(own, QualityFound))["late_supply"].severity == "warn"
    desk = fed(opened(), 10_000, 20_000, 30_000)
    own = desk.take(supply(meter(to_at=at(1, 5), final={IMPORT: 12_000}), version=2))
    assert "late_supply" in rules_of(
        next(event for event in own if isinstance(event, QualityFound))
    )
    desk = fed(opened(), 10_000, 20_000, 30_000)
    assert (
        names(desk.take(supply(meter(to_at=at(9), final={IMPORT: 95_000}), version=2)))[1]
        == "UsageEstablished"
    )


# -- what does not reject -------------------------------------------------------------------------


def test_voltage_and_clock_are_told_and_reject_nothing() -> None:
    desk = opened()
    desk.as_of = at(2)
    own = desk.take(reading(0, 10_000, voltages={"1-0:32.7.0": 2_500}, clock_offset_s=400))
    assert names(own) == ["ReadingAccepted", "QualityFound", "UsageEstablished", "VoltageFound"]
    found = rules_of(own[1])
    assert found["voltage_band"].severity == "warn"
    assert found["clock_drift"].severity == "fail"
    own = opened(voltage_class="110kv").take(reading(0, 10_000, voltages={"1-0:32.7.0": 2_310}))
    assert names(own) == ["ReadingAccepted", "UsageEstablished"]


def test_the_demand_of_a_day_stays_when_its_usage_is_worked_out_anew() -> None:
    desk = fed(opened(), 10_000)
    desk.take(reading(2, 30_000, demands=(peak(4_200, 2),)))
    desk.take(reading(1, 21_000))
    assert [d.demand_w for d in desk.usage()[day_on(2)].demands] == [4_200]
    assert desk.usage()[day_on(2)].energy == {IMPORT: 9_000}


# -- load profile ---------------------------------------------------------------------------------

STEADY = tuple(1_000 + 100 * index for index in range(97))


def test_a_load_profile_is_told_as_intervals() -> None:
    desk = opened(meter(ratio="10", initial={IMPORT: 0}))
    own = desk.take(profile(0, STEADY))
    block = only(own, IntervalsEstablished)
    assert block.energies == (1_000,) * 96
    assert (block.interval_minutes, block.status, block.reading_id) == (15, "pass", "p0")
    assert desk.take(profile(0, STEADY)) == []
    holed = (*STEADY[:40], None, *STEADY[41:])
    block = only(desk.take(profile(1, holed)), IntervalsEstablished)
    assert block.energies[39] is None
    assert block.flags[39:41] == ("missing", "missing")
    assert block.status == "fail"
    assert {found.rule for found in block.findings} == {"missing"}


def test_a_load_profile_waits_for_its_supply() -> None:
    desk = Desk()
    assert only(desk.take(profile(0, STEADY)), SupplyAwaited).reason == "supply"
    own = desk.take(supply())
    assert names(own) == ["SupplyNoted", "IntervalsEstablished"]
    assert desk.point.held == ()


def test_a_load_profile_without_import_is_nothing_to_us() -> None:
    desk = opened()
    assert desk.take(profile(0, STEADY, snapshots={"1-0:2.8.0": STEADY})) == []


@pytest.mark.parametrize("count", [0, 1, 50])
def test_a_load_profile_of_an_odd_length_is_rejected(count: int) -> None:
    desk = opened()
    rejected = only(desk.take(profile(0, STEADY[:count])), ReadingRejected)
    assert "bad_value" in rules_of(rejected)


def test_an_input_of_no_meaning_is_silent() -> None:
    assert Desk().take(object()) == []


# -- laws -----------------------------------------------------------------------------------------

DAYS = st.lists(st.integers(5_000, 9_000), min_size=3, max_size=24)


@settings(max_examples=100, deadline=None)
@given(used=DAYS, data=st.data())
def test_readings_in_any_order_lead_to_the_same_usage(used: list[int], data: st.DataObject) -> None:
    """Also the estimates of the days that are never read, whatever ticks came in between."""
    values = [sum(used[: index + 1]) for index in range(len(used))]
    read = sorted(data.draw(st.sets(st.integers(0, len(used) - 1), min_size=1)))
    has_initial = data.draw(st.booleans())
    inputs = [reading(day, values[day]) for day in read]
    shuffled = data.draw(st.permutations(inputs))
    made = meter() if has_initial else meter(initial={})
    in_order, mixed = opened(made), Desk()
    in_order.as_of = at(len(used) + 1)
    for each in inputs:
        in_order.take(each)
    mixed.as_of = in_order.as_of
    when = data.draw(st.integers(0, len(shuffled)))
    for index, each in enumerate(shuffled):
        if index == when:
            mixed.take(supply(made))
        mixed.take(each)
        if data.draw(st.booleans()):
            mixed.tick(at(data.draw(st.integers(1, len(used))), 8))
            mixed.as_of = in_order.as_of
    mixed.take(supply(made))
    last = day_on(read[-1])
    assert {day: wh for day, wh in mixed.energy().items() if day <= last} == in_order.energy()
    assert {day: q for day, q in mixed.quality().items() if day <= last} == in_order.quality()
    assert mixed.summed() == mixed.energy()
    mixed.check()
    first = -1 if has_initial else read[0]
    base = 0 if has_initial else values[read[0]]
    assert sum(in_order.energy().values()) == values[read[-1]] - base
    assert len(in_order.energy()) == read[-1] - first


@settings(max_examples=50, deadline=None)
@given(used=DAYS, data=st.data())
def test_arrival_of_supplies_and_readings_over_an_exchange_does_not_matter(
    used: list[int], data: st.DataObject
) -> None:
    changed = data.draw(st.integers(1, len(used) - 1))
    old, new = used[:changed], used[changed:]
    moved_at = at(changed, 12)
    final = sum(old) + 1_000
    meters = (
        meter(to_at=moved_at, final={IMPORT: final}),
        meter("M2", from_at=moved_at, initial={IMPORT: 70_000}),
    )
    inputs: list[object] = [reading(day, sum(old[: day + 1])) for day in range(changed)]
    inputs += [
        reading(changed + index, 70_000 + sum(new[: index + 1]), meter_no="M2")
        for index in range(len(new))
    ]
    inputs += [supply(version=1), supply(*meters, version=2)]
    expected = [*old, *new]
    expected[changed] += 1_000
    desk = Desk()
    desk.as_of = at(len(used) + 1)
    for each in data.draw(st.permutations(inputs)):
        desk.take(each)
    assert desk.energy() == {day_on(day): wh for day, wh in enumerate(expected)}
    assert set(desk.quality().values()) == {"actual"}
    assert desk.summed() == desk.energy()
