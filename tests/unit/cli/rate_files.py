"""Files for the tests of `gridledger rate` and `tariff`: a small book, a contract, a usage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from services.billing.price_book_file import BOOKS
from services.cli import main as cli

ROUNDING = {
    "amount": "half_up",
    "energy": "half_up",
    "energy_unit_wh": 1000,
    "demand": "half_up",
    "demand_unit_w": 1000,
    "periods": "flat_is_rest",
    "power_factor_base": "rounded_lines",
    "deduction_spread": "proportional",
}
LATE_FEE = {
    "name": "split_at_year_end",
    "residential_permille": 1,
    "same_year_permille": 2,
    "later_year_permille": 3,
    "minimum_fen": 100,
    "source": "test",
}
TWO_PART = {
    "contract_floor_percent": 40,
    "demand_rule": {"name": "sgcc_2016", "within": "contract", "source": "test"},
}


def component(code: str = "energy", price: str = "0.5", unit: str = "kWh", **more: Any) -> Any:
    names = {"name_zh": "电费", "name_en": code.capitalize()}
    return {"code": code, "price": price, "unit": unit, "source": "test", **names, **more}


def tiers(span: str, bounds: list[str], adders: list[str], **more: Any) -> Any:
    steps = [
        {
            "code": f"tier.{number}",
            "name_zh": "加价",
            "name_en": f"Tier {number}",
            "above_kwh": bound,
            "adder": adder,
            "source": "test",
        }
        for number, (bound, adder) in enumerate(zip(bounds, adders, strict=True), 2)
    ]
    return {"span": span, "steps": steps, **more}


def price_list(*components: Any, **more: Any) -> Any:
    return {
        "category": "commercial_industrial",
        "voltage_class": "lt1kv",
        "name_zh": "价目",
        "name_en": "List",
        "components": components or [component()],
        **more,
    }


def book(listed: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "kind": "price_book",
        "id": "test",
        "version": 1,
        "region": "Test",
        "name_zh": "测试",
        "name_en": "Test",
        "from_on": "2000-01-01",
        "until_on": "9999-12-31",
        "day_basis": "thirty",
        "source": "test",
        "rounding": ROUNDING,
        "late_fee": LATE_FEE,
        "price_lists": {"list": listed or price_list()},
        **more,
    }


def power_factor() -> dict[str, Any]:
    return {"table": "power_factor_1983", "reactive_quadrants": ["1", "4"], "active": "metered"}


def contract(account: str = "A1", **more: Any) -> dict[str, Any]:
    return {"account": account, "points": [{"point": "P1", "price_list": "list"}], **more}


def usage(account: str = "A1", period: str = "2026-01", **point: Any) -> dict[str, Any]:
    return {"account": account, "period": period, "points": [{"point": "P1", **point}]}


class Files:
    """A directory with the files of a command, and the command."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory, self.capsys = directory, capsys
        shutil.copy(BOOKS / "power_factor_1983.yaml", directory)

    def write(self, name: str, *documents: Any) -> str:
        """One document as it is; several as JSON lines."""
        path = self.directory / name
        indent = 1 if len(documents) == 1 else None
        texts = [json.dumps(each, ensure_ascii=False, indent=indent) for each in documents]
        path.write_text("".join(f"{text}\n" for text in texts), "utf-8")
        return str(path)

    def run(self, *arguments: str) -> tuple[int, str]:
        """The status, and standard output, or the one line of an error. It is 2027 then."""
        if arguments[0] == "rate" and "--on" not in arguments:
            arguments = (*arguments, "--on", "2027-01-01")
        status = cli.main(list(arguments))
        output = self.capsys.readouterr()
        if status == 2:
            assert output.err.startswith("error: ")
            assert output.err.count("\n") == 1
            return status, output.err
        assert output.err == ""
        return status, output.out

    def rate(
        self, book: Any, contract: Any, *usages: Any, options: tuple[str, ...] = ()
    ) -> list[Any]:
        """The bills as JSON; nothing is withheld."""
        status, printed = self.run(
            *("rate", "--json", "--book", self.write("book.yaml", book)),
            *("--contract", self.write("contract.json", contract)),
            *("--usage", self.write("usage.json", *usages)),
            *options,
        )
        assert status == 0, printed
        return [json.loads(line) for line in printed.splitlines()]


@pytest.fixture
def files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Files:
    return Files(tmp_path, capsys)
