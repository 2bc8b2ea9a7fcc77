"""Which capacity is charged: states, shares, days."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.agreement import AgreementTerms, Transformer
from services.billing.bill import Bill
from services.billing.capacity import CapacitySpan, capacity_spans
from services.billing.rating import rate
from tests.unit.billing.builders import (
    JANUARY,
    book,
    component,
    month_usage,
    point_terms,
    point_usage,
    price_list,
    terms,
    two_part,
    usage,
)

RULE = two_part(floor_percent=40)
LISTED = price_list(
    component(),
    component("capacity", "16", unit="kVA"),
    component("demand", "40", unit="kW"),
    two_part=RULE,
)


def transformer(name: str, kva: int, *days: str, **changes: Any) -> Transformer:
    from_on, until_on = (*days, "", "")[:2]
    fields = {"from_on": from_on, "until_on": until_on, **changes}
    return Transformer(id=name, capacity_va=kva * 1000, **fields)


def spans(*transformers: Transformer, **percents: int) -> list[tuple[str, str, int]]:
    states = {**RULE.state_percents, **percents}
    found = capacity_spans(terms(transformers=transformers), *JANUARY, states)
    assert found[0].from_on == JANUARY[0]
    assert found[-1].until_on == JANUARY[1]
    return [(span.from_on[-2:], span.until_on[-2:], span.capacity_va // 1000) for span in found]


def test_spans_are_cut_where_the_sum_changes() -> None:
    assert spans(transformer("T1", 315)) == [("01", "01", 315)]
    assert spans(transformer("T1", 315), transformer("T2", 400, "2026-01-11")) == [
        ("01", "11", 315),
        ("11", "01", 715),
    ]
    assert spans(
        transformer("T1", 315, "2026-01-05", "2026-01-20"),
        transformer("T2", 315, "2026-01-20", "2026-01-25"),
    ) == [("01", "05", 0), ("05", "25", 315), ("25", "01", 0)]
    assert spans(transformer("T1", 315, "2025-01-01", "2026-01-01")) == [("01", "01", 0)]
    nothing = capacity_spans(terms(), *JANUARY, RULE.state_percents)
    assert nothing == [CapacitySpan(*JANUARY, 0)]


@pytest.mark.parametrize(
    ("state", "kva"), [("in_use", 715), ("suspended", 315), ("cold_sealed", 315),
                       ("hot_standby", 715)]
)  # fmt: skip
def test_a_state_counts_as_the_book_says(state: str, kva: int) -> None:
    pair = transformer("T1", 315), transformer("T2", 400, state=state)
    assert spans(*pair) == [("01", "01", kva)]


def test_the_percentage_of_a_state_is_data() -> None:
    pair = transformer("T1", 315), transformer("T2", 400, state="hot_standby")
    assert spans(*pair, hot_standby=50) == [("01", "01", 515)]


def charged(agreed: AgreementTerms, **changes: Any) -> Bill:
    taken = point_usage(import_wh=0, demand_w=changes.pop("demand_w", 0))
    bill = rate(changes.pop("month", usage(taken)), book(LISTED), agreed)
    assert not bill.withheld, bill.findings
    return bill


def test_a_suspended_transformer_is_charged_for_the_days_before() -> None:
    """630 + 315 kVA, the second suspended from the 11th: 945 x 16 x 10/30 + 630 x 16 x 20/30."""
    suspended = (
        transformer("T1", 630),
        transformer("T2", 315, "", "2026-03-11"),
        transformer("T2", 315, "2026-03-11", state="suspended"),
    )
    agreed = terms(basic_charge="capacity", transformers=suspended)
    month = month_usage("2026-03", "2026-04", point_usage(import_wh=0))
    bill = charged(agreed, month=month)
    assert [(line.quantity, line.basis["days"], line.amount_fen) for line in bill.lines] == [
        (945_000, "10/30", 504_000),
        (630_000, "20/30", 672_000),
    ]
    assert bill.total_fen == 1_176_000
    whole = charged(replace(agreed, transformers=(*suspended[:1], transformer("T2", 315))))
    assert whole.total_fen == 1_512_000


def test_with_everything_suspended_there_is_no_capacity_to_charge() -> None:
    agreed = terms(
        basic_charge="capacity", transformers=(transformer("T1", 630, state="suspended"),)
    )
    assert charged(agreed).lines == ()


def test_a_shared_transformer_is_charged_to_each_by_its_share() -> None:
    """630 kVA at 16: 0.4 are 252 kVA and 4,032.00, 0.6 are 378 kVA and 6,048.00; 10,080.00."""
    totals = []
    for share, kva in (("0.4", 252_000), ("0.6", 378_000)):
        part = transformer("T1", 630, share=share, shared_with="1000000009")
        bill = charged(terms(basic_charge="capacity", transformers=(part,)))
        assert [line.quantity for line in bill.lines] == [kva]
        totals.append(bill.total_fen)
    assert totals == [403_200, 604_800]


def test_a_share_from_a_day_on() -> None:
    """Whole to the 16th of 31 days, then a half: 15/30 of 400 kVA and 15/30 of 200 kVA."""
    halved = (
        transformer("T1", 400, "", "2026-01-16"),
        transformer("T1", 400, "2026-01-16", share="0.5"),
    )
    bill = charged(terms(basic_charge="capacity", transformers=halved))
    assert [line.amount_fen for line in bill.lines] == [320_000, 160_000]


def test_the_floor_of_a_contract_rests_on_the_capacity_that_is_charged() -> None:
    """Contract 100 kW: 40 % of 1,000 kVA are 400 kW, of the half that is shared 200 kW."""
    for share, kw in (("1", 400), ("0.5", 200)):
        agreed = terms(
            basic_charge="contract_demand",
            contract_demand_w=100_000,
            transformers=(transformer("T1", 1000, share=share),),
        )
        assert charged(agreed).lines[0].basis["contract_w"] == str(kw * 1000)


KVA = st.integers(1, 10_000)


@settings(max_examples=100, deadline=None)
@given(KVA, st.lists(st.integers(1, 900), min_size=1, max_size=3), st.integers(2, 31))
def test_what_the_sharers_are_charged_is_the_transformer(
    kva: int, parts: list[int], day: int
) -> None:
    """Whatever the shares and the days: the capacities of all sharers are those of the whole."""
    permille = [each * 999 // sum(parts) or 1 for each in parts]
    permille.append(1000 - sum(permille))
    on = f"2026-01-{day:02d}"
    whole = capacity_spans(
        terms(transformers=(transformer("T1", kva, on),)), *JANUARY, RULE.state_percents
    )
    shared: dict[tuple[str, str], int] = {}
    for each in permille:
        part = transformer("T1", kva, on, share=f"0.{each:03d}", shared_with="x")
        found = capacity_spans(terms(transformers=(part,)), *JANUARY, RULE.state_percents)
        for from_on, until_on, capacity_va in found:
            key = (from_on, until_on)
            shared[key] = shared.get(key, 0) + capacity_va
    assert [CapacitySpan(*days, va) for days, va in shared.items()] == whole


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(KVA, st.integers(1, 31), st.sampled_from(list(RULE.state_percents)))),
    st.integers(2, 31),
)
def test_spans_of_parts_add_up_to_those_of_the_month(
    rows: list[tuple[int, int, str]], day: int
) -> None:
    """kVA and days, summed, do not depend on where the month is cut."""
    agreed = terms(
        transformers=tuple(
            transformer(f"T{place}", kva, f"2026-01-{on:02d}", state=state)
            for place, (kva, on, state) in enumerate(rows)
        )
    )
    cut = f"2026-01-{day:02d}"

    def kva_days(from_on: str, until_on: str) -> int:
        spans = capacity_spans(agreed, from_on, until_on, RULE.state_percents)
        day_of = {"2026-02-01": 32}
        return sum(
            each.capacity_va * (day_of.get(each.until_on) or int(each.until_on[-2:]))
            - each.capacity_va * int(each.from_on[-2:])
            for each in spans
        )

    assert kva_days(JANUARY[0], cut) + kva_days(cut, JANUARY[1]) == kva_days(*JANUARY)


def test_the_state_of_a_single_part_account_does_not_matter() -> None:
    agreed = terms(point_terms(), transformers=(transformer("T1", 1, state="lent"),))
    bill = rate(usage(), book(), agreed)
    assert (bill.withheld, bill.total_fen) == (False, 5_000)
