"""Rows: cells together, what they must say together, natural keys, and the tables of README.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.customers import import_files
from services.customers.columns import FILES, RowText, natural_key, read_row
from services.customers.import_files import read_import
from services.customers.rows import AccountRow, AgreementRow, ExchangeRow, InstallationRow
from tests.unit.customers.samples import (
    account,
    agreement,
    exchange,
    installation,
    meter,
    point,
    relation,
    removal,
    row,
    transformer,
)
from tests.unit.customers.tables import all_tables

PLACE = "0200-1234/17/000000000161"
README = Path(import_files.__file__).parent / "README.md"


def problems(given: object) -> list[str]:
    """What is wrong with a sample row, as `column: problem`."""
    read = read_row(
        RowText(given.file, given.valid_from_on, given.kind, given.values)  # type: ignore[attr-defined]
    )
    assert (read.record is None) == bool(read.problems)
    return [f"{each.field}: {each.problem}" for each in read.problems]


def test_empty_cells_have_their_defaults() -> None:
    read = read_row(RowText("accounts", "2026-01-01", "", {"account_no": "1000000001"}))
    assert read.record == AccountRow(
        valid_from_on="2026-01-01",
        account_no="1000000001",
        language="zh",
        household_size=0,
        protected="",
        moved_out_on="",
    )


def test_units_of_the_file_become_ours() -> None:
    given = agreement(demand_mode="contract", contract_demand_kw="400.5", pf_standard="0.90")
    read = read_row(RowText("agreements", "2026-01-01", "", given.values)).record
    assert isinstance(read, AgreementRow)
    assert read.contract_demand_w == 400_500
    assert read.payment_mode == "postpaid"


def test_an_installation_without_a_time_is_at_the_beginning_of_its_day() -> None:
    given = installation("2026-02-01")
    read = read_row(RowText("installations", "2026-02-01", "", given.values)).record
    assert isinstance(read, InstallationRow)
    assert read.happened_at == "2026-01-31T16:00:00Z"


def test_natural_keys() -> None:
    keys = [
        each.natural_key
        for each in (
            account(),
            agreement(),
            transformer(),
            point(),
            relation(usage_point="P1", relation="main"),
            meter(),
            installation("2025-06-01"),
            exchange("2026-02-10"),
        )
    ]
    assert keys == [
        "1000000001",
        "1000000001",
        "1000000002/T1",
        "1000000001/P1",
        "1000000001/P1",
        "M1",
        "P1@2025-06-01",
        "P1@2026-02-10",
    ]


def test_every_bad_cell_of_a_row_is_named() -> None:
    given = row("accounts", "2026-13-01", "new", account_no="12", language="fr", colour="red")
    assert problems(given) == [
        "valid_from: '2026-13-01' is no day",
        "kind: 'new' is not known",
        "account_no: '12' is no account number",
        "language: 'fr' is not known",
        "colour: is no column of this file",
    ]
    assert problems(row("acounts", "2026-01-01")) == ["file: 'acounts' is no import file"]
    assert problems(row("accounts", "2026-01-01")) == ["account_no: is empty"]


def test_the_day_that_was_wrong_belongs_to_a_correction() -> None:
    assert problems(account(valid_from_was="2026-01-02")) == [
        "valid_from_was: is given without kind correction"
    ]
    assert problems(account(kind="correction", valid_from_was="tomorrow")) == [
        "valid_from_was: 'tomorrow' is no day"
    ]
    assert problems(account(kind="correction", valid_from_was="2026-01-02")) == []


def test_what_happened_once_cannot_change() -> None:
    assert problems(exchange(kind="change")) == ["kind: what happened once cannot change"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (account(moved_out_on="2025-12-31"), "moved_out_on: 2025-12-31 is before valid_from"),
        (agreement(demand_mode="contract"), "contract_demand_kw: is missing"),
        (
            agreement(demand_mode="measured", contract_demand_kw="400"),
            "contract_demand_kw: is given with demand_mode measured",
        ),
        (transformer(valid_to="2025-12-31"), "valid_to: 2025-12-31 is before valid_from"),
        (point(valid_to="2025-12-31"), "valid_to: 2025-12-31 is before valid_from"),
        (relation(usage_point="P2", relation="deducted"), "parent_point: is missing"),
        (
            relation(usage_point="P2", relation="main", parent_point="P1"),
            "parent_point: is given for a main point",
        ),
        (
            relation(usage_point="P2", relation="check", parent_point="P2"),
            "parent_point: is the point itself",
        ),
        (
            relation(usage_point="P2", relation="fixed_ratio", parent_point="P1"),
            "share: is missing",
        ),
        (
            relation(usage_point="P2", relation="deducted", parent_point="P1", share="0.5"),
            "share: is given with relation deducted",
        ),
        (
            relation(usage_point="P2", relation="fixed_quantity", parent_point="P1"),
            "quantity_kwh: is missing",
        ),
        (
            relation(usage_point="P2", relation="main", quantity_kwh="5"),
            "quantity_kwh: is given with relation main",
        ),
        (
            installation("2026-01-10", installed_at="2026-01-11 00:00"),
            "installed_at: 2026-01-10T16:00:00Z (UTC) is not on the day valid_from 2026-01-10",
        ),
        (installation(line="", address=""), "line: is missing"),
        (installation(address=""), "address: is missing"),
        (
            installation(protocol="qgdw376"),
            "address: '000000000001' names no meter behind a concentrator",
        ),
        (installation(address=PLACE), f"address: {PLACE!r} is one of protocol qgdw376"),
        (
            installation(line="listen:0.0.0.0:5100"),
            "line: 'listen:0.0.0.0:5100' is one of protocol qgdw376",
        ),
        (
            installation(protocol="qgdw376", line="serial:/dev/ttyS1", address=PLACE),
            "line: 'serial:/dev/ttyS1' reaches no concentrator",
        ),
        (
            exchange("2026-02-10", exchanged_at="2026-02-09 23:59"),
            "exchanged_at: 2026-02-09T15:59:00Z (UTC) is not on the day",
        ),
        (exchange(new_ratio=""), "new_ratio: is missing"),
        (removal("2026-02-10", new_ratio="1"), "new_ratio: is given without new_meter_no"),
        (removal("2026-02-10", capacity_kw="8"), "capacity_kw: is given without new_meter_no"),
    ],
)
def test_cells_must_agree_with_each_other(given: object, problem: str) -> None:
    (found,) = problems(given)
    assert found.startswith(problem)


def test_cells_that_agree() -> None:
    for given in (
        agreement(demand_mode="contract", contract_demand_kw="400"),
        installation(protocol="manual", line="", address=""),
        installation(protocol="qgdw376", line="listen:0.0.0.0:5100", address=PLACE),
        installation(protocol="qgdw376", address=PLACE),
        removal("2026-02-10"),
        relation(usage_point="P2", relation="fixed_ratio", parent_point="P1", share="0.15"),
        relation(usage_point="P2", relation="check"),
        relation(usage_point="P2", relation="feed_in"),
    ):
        assert problems(given) == []


def test_an_exchange_has_an_instant() -> None:
    read = read_row(RowText("exchanges", "2026-02-10", "", exchange("2026-02-10").values)).record
    assert isinstance(read, ExchangeRow)
    assert read.happened_at == "2026-02-10T02:30:00Z"
    assert natural_key("exchanges", read) == "P1@2026-02-10"


def test_readme_has_the_table_of_every_file() -> None:
    text = README.read_text(encoding="utf-8")
    for name, table in all_tables().items():
        assert f"### {name}.csv" in text
        assert table in text, f"{name}: python -m tests.unit.customers.tables prints the tables"
    assert list(FILES) == [line[4:-4] for line in text.splitlines() if line[:4] == "### "][:10]
    assert read_import(README.parent / "example", "wang").import_id in text
