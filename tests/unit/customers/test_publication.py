"""What is published: agreements, supply and meters as whole timelines, as of a day."""

from __future__ import annotations

from services.customers.events import (
    AgreementPublished,
    AreaPlace,
    MeterUse,
    PointTariff,
    PointTerms,
    SwitchPoint,
    Terms,
    Transformer,
)
from services.customers.meter_chain import points_of
from services.customers.publication import agreement_of, meter_of, supply_of, version_after
from services.customers.state import Account
from tests.unit.customers.samples import (
    ANNA,
    MILL,
    account,
    agreement,
    exchange,
    household,
    installation,
    known,
    meter,
    point,
    relation,
    removal,
    transformer,
)


def agreed(state: Account, no: str = ANNA, on: str = "2026-01-05") -> AgreementPublished:
    found = agreement_of(state, no, on)
    assert found is not None
    return found


def test_a_household() -> None:
    found = agreed(known([account(household_size="3"), *household()[1:]]))
    assert found == AgreementPublished(
        account_no=ANNA,
        version=0,
        terms=(
            Terms(
                valid_from_on="2026-01-01",
                category="residential",
                region="500000",
                price_list="residential",
                voltage_class="lt1kv",
                metering_side="low",
                demand_mode="none",
                contract_demand_w=0,
                pf_standard="",
                payment_mode="postpaid",
                household_size=3,
                language="zh",
                protected="",
                moved_out_on="",
            ),
        ),
        transformers=(),
        points=(
            PointTerms(
                usage_point="P1",
                relation="main",
                parent_point="",
                share="",
                quantity_wh=0,
                price_list="residential",
                category="residential",
                voltage_class="lt1kv",
                metering_side="low",
                rate_periods={},
                from_on="2026-01-01",
                to_on="",
            ),
        ),
        switch_points=(
            SwitchPoint(
                usage_point="P1",
                meter_no="M1",
                address="000000000001",
                installed_from_at="2025-05-31T16:00:00Z",
                switching_method="none",
                voltage_class="lt1kv",
                area="A1",
            ),
        ),
    )
    assert agreement_of(known([account(), point()]), ANNA, "2026-01-05") is None


def test_terms_change_with_the_account_and_with_the_agreement() -> None:
    state = known(
        [
            *household(),
            account("2026-02-01", "change", household_size="5"),
            agreement("2026-03-01", "change", payment_mode="prepaid_remote"),
            # From here on nothing is different: no new terms.
            account("2026-04-01", "change", household_size="5"),
        ]
    )
    terms = agreed(state).terms
    assert [(each.valid_from_on, each.household_size, each.payment_mode) for each in terms] == [
        ("2026-01-01", 0, "postpaid"),
        ("2026-02-01", 5, "postpaid"),
        ("2026-03-01", 5, "prepaid_remote"),
    ]


def test_terms_begin_with_the_agreement() -> None:
    state = known([account("2025-01-01"), account("2025-06-01", "change", language="en")])
    state = known([agreement("2026-01-01")], state=state)
    assert [each.valid_from_on for each in agreed(state).terms] == ["2026-01-01"]
    assert agreed(state).terms[0].language == "en"


def test_moving_out_ends_everything() -> None:
    state = known(
        [
            *household(),
            agreement("2026-05-01", "change", price_list="x"),
            transformer(no=ANNA),
        ]
    )
    state = known([account("2026-03-10", "change", moved_out_on="2026-03-16")], state=state)
    found = agreed(state)
    assert [(each.valid_from_on, each.moved_out_on) for each in found.terms] == [
        ("2026-01-01", "2026-03-16")
    ]
    assert found.points[0].to_on == "2026-03-16"
    assert found.transformers[0].to_on == "2026-03-16"
    supply = supply_of(state, points_of(state)[0], 1, "2026-03-12")
    assert (supply.supplied_from_on, supply.supplied_to_on) == ("2026-01-01", "2026-03-15")


def test_a_customer_who_never_came_has_no_terms() -> None:
    state = known(household())
    state = known([account(kind="correction", moved_out_on="2026-01-01")], state=state)
    found = agreed(state)
    assert (found.terms, found.points) == ((), ())
    supply = supply_of(state, points_of(state)[0], 1, "2026-01-05")
    assert (supply.supplied_from_on, supply.supplied_to_on) == ("2026-01-01", "2025-12-31")


def test_transformers_have_one_state_at_a_time() -> None:
    state = known(
        [
            account(no=MILL),
            agreement(no=MILL, category="industrial", voltage_class="10kv", metering_side="high"),
            transformer(model="S11-M-630/10"),
            transformer("2026-03-13", "change", state="suspended", valid_to="2026-05-01"),
            transformer(transformer_no="T2", kva="315", valid_to="2026-01-01"),
        ],
        no=MILL,
    )
    assert agreed(state, MILL).transformers == (
        Transformer(
            transformer_no="T1",
            kva=630,
            model="S11-M-630/10",
            state="in_use",
            from_on="2026-01-01",
            to_on="2026-03-13",
        ),
        Transformer(
            transformer_no="T1",
            kva=630,
            model="",
            state="suspended",
            from_on="2026-03-13",
            to_on="2026-05-01",
        ),
    )


def test_point_terms_change_with_point_relation_and_agreement() -> None:
    state = known(
        [
            *household(),
            point(name="P2", price_list="shared", rate_periods="2=peak;4=valley"),
            relation("2026-02-01", usage_point="P2", relation="deducted", parent_point="P1"),
            relation(
                "2026-03-01",
                "change",
                usage_point="P2",
                relation="fixed_ratio",
                parent_point="P1",
                share="0.150",
            ),
            relation(
                "2026-04-01",
                "change",
                usage_point="P2",
                relation="fixed_quantity",
                parent_point="P1",
                quantity_kwh="300",
            ),
            agreement("2026-05-01", "change", category="agricultural", price_list="farm"),
        ]
    )
    found = [each for each in agreed(state).points if each.usage_point == "P2"]
    assert [
        (each.from_on, each.to_on, each.relation, each.parent_point, each.share, each.quantity_wh)
        for each in found
    ] == [
        ("2026-01-01", "2026-02-01", "main", "", "", 0),
        ("2026-02-01", "2026-03-01", "deducted", "P1", "", 0),
        ("2026-03-01", "2026-04-01", "fixed_ratio", "P1", "0.15", 0),
        ("2026-04-01", "2026-05-01", "fixed_quantity", "P1", "", 300_000),
        ("2026-05-01", "", "fixed_quantity", "P1", "", 300_000),
    ]
    assert {each.price_list for each in found} == {"shared"}
    assert [each.category for each in found] == ["residential"] * 4 + ["agricultural"]
    main = [each for each in agreed(state).points if each.usage_point == "P1"]
    assert [(each.from_on, each.to_on, each.price_list) for each in main] == [
        ("2026-01-01", "2026-05-01", "residential"),
        ("2026-05-01", "", "farm"),
    ]


def test_supply_stands_as_of_a_day() -> None:
    state = known(
        [
            *household(),
            point(
                "2026-03-01",
                "change",
                area="A2",
                switching_method="meter_relay",
                registers="1-0:1.8.0;1-0:1.8.2",
                rate_periods="2=peak",
                intervals="yes",
            ),
            agreement("2026-04-01", "change", voltage_class="10kv"),
        ]
    )
    (points,) = points_of(state)
    early = supply_of(state, points, 3, "2025-12-01")
    late = supply_of(state, points, 3, "2026-04-01")
    assert (early.area, early.switching_method, early.registers) == ("A1", "none", ("1-0:1.8.0",))
    assert (early.intervals, early.rate_periods, early.voltage_class) == (False, {}, "lt1kv")
    assert (late.area, late.switching_method) == ("A2", "meter_relay")
    assert (late.intervals, late.rate_periods, late.voltage_class) == (True, {"2": "peak"}, "10kv")
    assert late.registers == ("1-0:1.8.0", "1-0:1.8.2")
    assert late.agreement_version == 3
    assert late.supplied_to_on == ""
    own = known([account(), point(voltage_class="35kv")])
    assert supply_of(own, points_of(own)[0], 0, "2026-01-05").voltage_class == "35kv"
    none = known([account(), point()])
    assert supply_of(none, points_of(none)[0], 0, "2026-01-05").voltage_class == ""


def test_places_in_areas_change_with_the_point_and_its_relation() -> None:
    rows = [
        account(),
        agreement(),
        point(area="A1", feeder="10kV-1"),
        point("2026-02-01", "change", area="A1", feeder="10kV-1", registers="1-0:2.8.0"),
        point("2026-03-01", "change", area="A2", feeder="10kV-1"),
        point("2026-05-01", "change", area="10kV-2", feeder="10kV-2", valid_to="2026-06-01"),
        point(name="P9"),
        relation("2026-04-01", usage_point="P1", relation="deducted", parent_point="P9"),
        relation("2026-05-01", "change", usage_point="P1", relation="feed_in"),
    ]
    state = known(rows)

    def place(area: str, feeder: str, role: str, from_on: str, to_on: str) -> AreaPlace:
        return AreaPlace(area=area, feeder=feeder, role=role, from_on=from_on, to_on=to_on)

    found = {points[0].usage_point: points for points in points_of(state)}
    assert supply_of(state, found["P1"], 1, "2026-01-05").places == (
        place("A1", "10kV-1", "member", "2026-01-01", "2026-03-01"),
        place("A2", "10kV-1", "member", "2026-03-01", "2026-04-01"),
        place("A2", "10kV-1", "none", "2026-04-01", "2026-05-01"),
        place("", "10kV-2", "member", "2026-05-01", "2026-06-01"),
    )
    assert supply_of(state, found["P9"], 1, "2026-01-05").places == (
        place("A1", "", "member", "2026-01-01", ""),
    )


def test_a_gate_meter_is_one_by_its_row_and_needs_no_agreement() -> None:
    state = known([account(), point(loss_role="gate", voltage_class="lt1kv")])
    supply = supply_of(state, points_of(state)[0], 0, "2026-01-05")
    assert [place.role for place in supply.places] == ["gate"]
    assert agreement_of(state, ANNA, "2026-01-05") is None


def test_a_point_that_was_never_supplied_has_no_places() -> None:
    gone = account(kind="correction", moved_out_on="2026-01-01")
    state = known([gone], state=known([account(), agreement(), point()]))
    assert all(supply_of(state, each, 0, "2026-01-05").places == () for each in points_of(state))


def test_switch_points_name_the_meter_that_is_there_at_the_end_of_the_day() -> None:
    rows = [*household(), meter("M2"), exchange(), removal("2026-03-01", old="M2")]
    state = known(rows)
    found = {
        on: [(each.meter_no, each.installed_from_at) for each in agreed(state, on=on).switch_points]
        for on in ("2025-05-31", "2026-02-09", "2026-02-10", "2026-03-01")
    }
    assert found == {
        "2025-05-31": [],
        "2026-02-09": [("M1", "2025-05-31T16:00:00Z")],
        "2026-02-10": [("M2", "2026-02-10T02:30:00Z")],
        "2026-03-01": [],
    }


def test_a_meter_and_where_it_served_the_account() -> None:
    state = known(
        [
            *household(),
            point(name="P2"),
            meter("M1", "2026-03-01", "change", verified_on="2026-02-20"),
            removal("2026-01-20"),
            installation("2026-02-01", at="P2"),
        ]
    )
    found = meter_of(state, ANNA, "M1", "2026-02-15")
    assert found.uses == (
        MeterUse(
            usage_point="P1",
            account_no=ANNA,
            from_at="2025-12-31T16:00:00Z",
            to_at="2026-01-20T02:30:00Z",
            removed_at="2026-01-20T02:30:00Z",
        ),
        MeterUse(usage_point="P2", account_no=ANNA, from_at="2026-01-31T16:00:00Z", to_at=""),
    )
    assert found.account_no == ANNA
    assert (found.verified_on, found.capacity_va, found.voltage_class) == ("", 0, "lt1kv")
    assert meter_of(state, ANNA, "M1", "2026-03-01").verified_on == "2026-02-20"


def test_a_meter_bears_what_the_transformers_in_use_can_carry() -> None:
    rows = [
        *household(),
        transformer(no=ANNA),
        transformer("2026-02-01", "change", no=ANNA, state="suspended"),
        transformer("2026-01-10", no=ANNA, transformer_no="T2", kva="400"),
    ]
    found = [
        meter_of(known(rows), ANNA, "M1", on).capacity_va
        for on in ("2025-12-31", "2026-01-05", "2026-01-15", "2026-02-15")
    ]
    assert found == [0, 630_000, 1_030_000, 400_000]


def test_a_meter_that_is_nowhere_has_no_voltage() -> None:
    rows = [*household(), meter("M7", "2026-01-01")]
    assert meter_of(known(rows), ANNA, "M7", "2026-01-15").voltage_class == ""


def test_versions_rise_and_begin_with_the_day() -> None:
    assert version_after(0, "2026-01-01") == 202601010001
    assert version_after(202601010001, "2026-01-01") == 202601010002
    assert version_after(202603160004, "2026-01-01") == 202603160005
    assert version_after(202601010007, "2026-03-16") == 202603160001


def test_the_supply_says_by_which_prices_and_periods_from_each_day_on() -> None:
    """A list of the point's own outranks the agreement's; what says nothing new is left out."""
    state = known(
        [
            *household(),
            point("2026-03-01", "change", rate_periods="2=peak", intervals="yes"),
            agreement("2026-04-01", "change", voltage_class="10kv"),
            agreement("2026-05-01", "change", price_list="tou"),
            point("2026-06-01", "change", price_list="own", tou_basis="load_profile"),
        ]
    )
    (points,) = points_of(state)
    first, second, third, last = supply_of(state, points, 1, "2026-01-05").tariffs
    assert first == PointTariff(
        from_on="2026-01-01",
        region="500000",
        price_list="residential",
        rate_periods={},
        tou_basis="rate_registers",
    )
    assert (second.from_on, second.rate_periods) == ("2026-03-01", {"2": "peak"})
    assert (third.from_on, third.price_list, third.rate_periods) == (
        "2026-05-01",
        "tou",
        {"2": "peak"},
    )
    assert (last.from_on, last.price_list, last.tou_basis) == ("2026-06-01", "own", "load_profile")
    assert supply_of(state, points, 1, "2026-12-01").tariffs == (first, second, third, last)
    bare = known([account(), point()])
    assert supply_of(bare, points_of(bare)[0], 0, "2026-01-05").tariffs == ()
