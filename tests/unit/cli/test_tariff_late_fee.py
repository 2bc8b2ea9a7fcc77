"""`gridledger tariff late-fee` on files: the published examples, pieces of a debt, wrong input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.billing.price_book_file import BOOKS
from services.cli.main import main

HEADER = "debt_no,residential,due_on,paid_on,paid_yuan\n"
DECEMBER = "dec,no,2021-12-15,2022-01-18,2000\n"
Capture = pytest.CaptureFixture[str]


def run(path: Path, text: str, *options: str) -> int:
    file = path / "payments.csv"
    file.write_text(text, encoding="utf-8")
    return main(["tariff", "late-fee", str(file), *options])


def documents(capsys: Capture) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("reading", "fees", "total"),
    [
        ("split_at_year_end", [17_200, 1_800], 19_000),  # b10
        ("whole_debt_by_age", [20_400, 1_800], 22_200),  # b09
    ],
)
def test_both_published_readings(
    tmp_path: Path, capsys: Capture, reading: str, fees: list[int], total: int
) -> None:
    text = HEADER + DECEMBER + "jan,no,2022-01-15,2022-01-18,3000\n"
    assert run(tmp_path, text, "--reading", reading, "--json") == 0
    *debts, summary = documents(capsys)
    assert [each["fee_fen"] for each in debts] == fees
    assert (summary["fee_fen"], summary["rule"], summary["late"]) == (total, reading, 2)
    shares = [(each["days"], each["permille"]) for each in debts[0]["payments"][0]["shares"]]
    assert shares == ([(16, 2), (18, 3)] if total == 19_000 else [(34, 3)])


def test_a_debt_in_pieces_bears_its_minimum_once(tmp_path: Path, capsys: Capture) -> None:
    rows = "p,yes,2026-01-20,2026-01-19,40\np,yes,2026-01-20,2026-01-30,22\n"
    assert run(tmp_path, HEADER + rows) == 0
    found = capsys.readouterr().out
    assert "in time" in found
    assert "minimum" in found
    assert "1 debts, late fees 1.00 yuan, split_at_year_end" in found
    assert run(tmp_path, HEADER + rows, "--json") == 0
    debt, _ = documents(capsys)
    assert (debt["fee_fen"], [each["fee_fen"] for each in debt["payments"]]) == (100, [0, 22])


def test_the_rates_of_a_book_are_shown_as_what_they_are(tmp_path: Path, capsys: Capture) -> None:
    book = str(BOOKS / "cq_commercial.yaml")
    assert run(tmp_path, HEADER + DECEMBER, "--book", book, "--json") == 0
    *_, summary = documents(capsys)
    assert summary["source"]
    assert summary["fee_fen"] in (17_200, 20_400)


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (HEADER + DECEMBER, ("--reading", "x"), "--reading: 'x' is not known (one of"),
        (HEADER, (), "has no payment (give one payment a line"),
        (HEADER + "d,no,2021-12-15,2022-01-18,-5\n", (), "line 2 paid_yuan: is not above zero"),
        (HEADER + "d,no,2021-12-15,2022-01-18,5.001\n", (), "line 2 paid_yuan:"),
        (HEADER + "d,maybe,2021-12-15,2022-01-18,5\n", (), "line 2 residential: 'maybe'"),
        (HEADER + "d,no,15.12.2021,2022-01-18,5\n", (), "line 2 due_on:"),
        (HEADER + "d,no,2021-12-15,2199-01-18,5\n", (), "line 2 paid_on: 2199-01-18 is in the fut"),
        (HEADER + "d,no,0001-01-01,2022-01-18,5\n", (), "line 2 due_on: 0001-01-01 is before"),
        (HEADER + "d,no,2021-12-15,2022-01-18,1e400\n", (), "line 2 paid_yuan:"),
        (HEADER + DECEMBER + "dec,yes,2021-12-15,2022-01-18,5\n", (), "line 3 debt_no: dec stands"),
        (HEADER + DECEMBER, ("--book", "none.yaml"), "none.yaml"),
    ],
)
def test_wrong_input_is_one_line(
    tmp_path: Path, capsys: Capture, text: str, options: tuple[str, ...], said: str
) -> None:
    assert run(tmp_path, text, *options) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
