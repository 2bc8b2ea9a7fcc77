"""What only one account is charged or agreed to: its rows, and what is published of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.customers.admission import Refusal, judge_row
from services.customers.columns import RowText, read_row
from services.customers.events import (
    AgreementPublished,
    Component,
    ExternalLine,
    PrepaidTerms,
    Row,
)
from services.customers.import_files import read_import
from services.customers.publication import agreement_of
from services.customers.state import Account
from tests.unit.customers.samples import (
    ANNA,
    MILL,
    account,
    agreement,
    known,
    point,
    row,
    transformer,
)

SIGNED = {
    "payment_mode": "prepaid_remote",
    "prepaid_agreement_no": "Y-1",
    "prepaid_signed_on": "2026-01-01",
}


def component(on: str = "2026-01-01", kind: str = "", **values: str) -> Row:
    terms = {
        "account_no": ANNA,
        "code": "market",
        "name_zh": "价差",
        "name_en": "difference",
        "unit": "kWh",
        "price": "-0.0123",
        "source": "contract 7",
    }
    return row("account_components", on, kind, **(terms | values))


def settled(on: str = "2026-04-01", kind: str = "", **values: str) -> Row:
    terms = {
        "account_no": ANNA,
        "document_no": "TC-1",
        "code": "settlement",
        "name_zh": "结算",
        "name_en": "settlement",
        "amount_yuan": "-120.50",
        "settled_by": "trading centre",
    }
    return row("external_lines", on, kind, **(terms | values))


def problem(given: Row) -> str:
    read = read_row(RowText(given.file, given.valid_from_on, given.kind, given.values))
    (found,) = read.problems
    return f"{found.field}: {found.problem} ({found.fix})"


def published(*rows: Row, no: str = ANNA) -> AgreementPublished:
    found = agreement_of(known(rows, no), no, "2026-01-05")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            agreement(prepaid_warn1_yuan="50"),
            "prepaid_warn1_yuan: is given with payment_mode postpaid "
            "(leave it empty, or state payment_mode prepaid_remote or prepaid_local)",
        ),
        (
            agreement(payment_mode="prepaid_remote", prepaid_warn1_yuan="50"),
            "prepaid_agreement_no: is missing (give it with prepaid_warn1_yuan)",
        ),
        (
            agreement(payment_mode="prepaid_local", prepaid_agreement_no="Y-1"),
            "prepaid_signed_on: is missing (give it with prepaid_agreement_no)",
        ),
        (
            agreement(**SIGNED, prepaid_warn1_yuan="20", prepaid_warn2_yuan="50"),
            "prepaid_warn2_yuan: is above prepaid_warn1_yuan "
            "(give the first warning the higher balance)",
        ),
        (
            transformer(share="0.5", shared_with=MILL),
            "shared_with: is the account itself (name who bears the rest)",
        ),
        (
            transformer(shared_with=ANNA),
            "share: is the whole, and 1000000001 bears the rest "
            "(give the part that this account bears, below 1)",
        ),
        (transformer(share="1.5"), "share: 1.5 is more than the whole (give a share up to 1)"),
        (
            point(line_loss_percent="1.5", line_resistance_mohm="250"),
            "line_resistance_mohm: is given with line_loss_percent "
            "(give the one that the contract has)",
        ),
        (
            component(unit="litre"),
            "unit: 'litre' is not known (one of kWh, kVA, kW, month)",
        ),
        (
            component(valid_to="2025-12-01"),
            "valid_to: 2025-12-01 is before valid_from 2026-01-01 (give a later day)",
        ),
        (
            settled(kind="change"),
            "kind: what happened once cannot change "
            "(leave it empty for another one on its day, or write correction)",
        ),
    ],
)
def test_a_cell_that_does_not_fit_is_named_with_its_fix(given: Row, expected: str) -> None:
    assert problem(given) == expected


@pytest.mark.parametrize(
    "given",
    [
        agreement(payment_mode="prepaid_remote"),
        agreement(**SIGNED, prepaid_warn1_yuan="50", prepaid_warn2_yuan="50"),
        transformer(share="0.4"),
        transformer(share="0.4", shared_with=ANNA),
        point(line_loss_percent="1.5"),
        point(line_resistance_mohm="250"),
    ],
)
def test_cells_that_fit(given: Row) -> None:
    assert read_row(RowText(given.file, given.valid_from_on, given.kind, given.values)).record


def test_the_natural_key_is_the_charge_or_the_document_on_its_day() -> None:
    assert component().natural_key == "1000000001/market"
    assert settled().natural_key == "1000000001/TC-1/settlement@2026-04-01"


def refused(state: Account, given: Row) -> Refusal:
    verdict = judge_row(state, ANNA, given)
    assert isinstance(verdict, Refusal)
    return verdict


@pytest.mark.parametrize("given", [component(), settled("2026-01-01")])
def test_a_charge_needs_its_account(given: Row) -> None:
    assert refused(Account(), given).field == "account_no"
    late = known([account("2026-02-01")])
    assert refused(late, given).field == "valid_from"
    state = known([account(), given])
    moved = account("2026-02-01", "correction", valid_from_was="2026-01-01")
    assert "2026-02-01 is after 1000000001/" in refused(state, moved).problem
    gone = known([account(moved_out_on="2026-01-01")])
    assert "the customer moved out" in refused(gone, given).problem


def test_a_component_of_a_point_needs_the_point() -> None:
    of_point = component(usage_point="P1")
    state = known([account(), agreement()])
    assert refused(state, of_point) == Refusal(
        "usage_point",
        "usage point P1 of account 1000000001 is not known; "
        "give its row in points.csv, or leave it empty",
    )
    known([account(), point(), of_point])


def test_a_component_holds_until_it_ends_or_changes() -> None:
    rows = [
        component(usage_point="P1"),
        component("2026-03-01", "change", price="0.02", valid_to="2026-05-01"),
        component(code="over", valid_to="2026-01-01"),
    ]
    found = published(account(), agreement(), point(), *rows)
    first = Component(
        code="market",
        name_zh="价差",
        name_en="difference",
        unit="kWh",
        price="-0.0123",
        usage_point="P1",
        source="contract 7",
        from_on="2026-01-01",
        to_on="2026-03-01",
    )
    assert found.components[0] == first
    assert [(each.price, each.usage_point, each.to_on) for each in found.components[1:]] == [
        ("0.02", "", "2026-05-01")
    ]


def test_an_amount_of_another_one_is_of_the_month_of_its_day() -> None:
    rows = [
        settled(),
        settled("2026-05-01", amount_yuan="3"),
        settled("2026-05-01", "correction", amount_yuan="4"),
    ]
    state = known([account(), agreement(), *rows[:2]])
    found = agreement_of(known(rows[2:], state=state), ANNA, "2026-01-05")
    assert found is not None
    assert found.external_lines[0] == ExternalLine(
        document_no="TC-1",
        month="2026-04",
        code="settlement",
        name_zh="结算",
        name_en="settlement",
        amount_fen=-12_050,
        settled_by="trading centre",
    )
    assert [(each.month, each.amount_fen) for each in found.external_lines] == [
        ("2026-04", -12_050),
        ("2026-05", 400),
    ]


def test_terms_of_an_agreement_are_published() -> None:
    given = agreement(
        low_income="yes",
        feed_in_price_list="sold",
        **SIGNED,
        prepaid_credit_limit_yuan="20",
        prepaid_warn1_yuan="50",
        prepaid_warn2_yuan="20.50",
    )
    (terms,) = published(account(), given).terms
    assert (terms.low_income, terms.feed_in_price_list) == (True, "sold")
    assert terms.prepaid == PrepaidTerms(
        agreement_no="Y-1",
        signed_on="2026-01-01",
        credit_limit_fen=2_000,
        warn1_fen=5_000,
        warn2_fen=2_050,
    )
    (plain,) = published(account(), agreement()).terms
    assert (plain.low_income, plain.feed_in_price_list, plain.prepaid) == (False, "", None)


def test_losses_and_shares_are_published() -> None:
    no = {"no": MILL}
    shared: dict[str, Any] = {"share": "0.40", "shared_with": ANNA}
    found = published(
        account(**no),
        agreement(**no),
        transformer(**shared, iron_loss_kw="0.81", copper_loss_kw="6.2"),
        point(**no, feeder="F1", loss_table="S11", line_loss_percent="1.50"),
        point(**no, name="P2", line_resistance_mohm="250"),
        no=MILL,
    )
    (transformed,) = found.transformers
    assert (transformed.share, transformed.shared_with) == ("0.4", ANNA)
    assert (transformed.iron_loss_w, transformed.copper_loss_w) == (810, 6_200)
    first, second = found.points
    assert (first.feeder, first.loss_table, first.line_loss_percent) == ("F1", "S11", "1.5")
    assert (second.feeder, second.loss_table, second.line_resistance_mohm) == ("", "", 250)


def test_a_bad_row_of_a_directory_is_named_with_file_line_column_and_fix(tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text("account_no,valid_from\n1000000001,2026-01-01\n")
    (tmp_path / "account_components.csv").write_text(
        "account_no,valid_from,code,name_zh,name_en,unit,price,source,usage_point\n"
        "1000000001,2026-01-01,a,甲,a,kWh,cheap,contract,\n"
        "1000000001,2026-01-01,b,乙,b,kWh,0.1,contract,P-9\n",
        encoding="utf-8",
    )
    (tmp_path / "external_lines.csv").write_text(
        "account_no,valid_from,document_no,code,name_zh,name_en,amount_yuan,settled_by\n"
        "1000000001,2026-01-01,D1,a,甲,a,,centre\n",
        encoding="utf-8",
    )
    assert [str(each) for each in read_import(tmp_path, "wang").defects] == [
        "account_components.csv line 2 price: 'cheap' is no number "
        "(write it like 1234.5, without separators)",
        "account_components.csv line 3 usage_point: usage point P-9 of account 1000000001 is not "
        "known; give its row in points.csv, or leave it empty",
        "external_lines.csv line 2 amount_yuan: is empty "
        "(amount, below zero for a credit, such as -120.50)",
    ]
