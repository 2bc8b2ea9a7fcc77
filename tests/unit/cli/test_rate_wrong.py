"""`gridledger rate`: wrong input of every kind is one line with place, field and fix, status 2."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libs.events.errors import BadInput
from services.billing.contract_file import read_contract
from services.billing.power_factor import power_factor_hundredths
from services.billing.usage_file import reactive_of_factor
from tests.unit.cli.rate_files import (
    Files,
    book,
    contract,
    files,
    usage,
)

__all__ = ["files"]


def test_a_factor_becomes_the_reactive_energy_that_gives_it() -> None:
    for hundredths in range(1, 101):
        for active in (1_000, 999_000, 2_650_000, 10**12):
            found = reactive_of_factor(active, hundredths)
            assert power_factor_hundredths(active, found) == hundredths
    assert reactive_of_factor(0, 90) == 0


P1 = {"point": "P1", "price_list": "list"}
WRONG_USAGES: dict[str, tuple[Any, str]] = {
    "unknown field": (usage(import_kw=1), "u.json points.0.import_kw"),
    "no kWh": (usage(), "points.0.import_kwh: is missing"),
    "below zero": (usage(import_kwh="-5"), "-5 is impossible"),
    "too much": (usage(import_kwh=10**14), "is impossible"),
    "no number": (usage(import_kwh="12 kWh"), "is no decimal number"),
    "too exact": (usage(import_kwh="1.2345"), "more digits"),
    "a truth": (usage(import_kwh=True), "'true' is no decimal number"),
    "no factor": (usage(import_kwh=1, power_factor="1.2"), "is no power factor"),
    "factor and kvarh": (usage(import_kwh=1, power_factor="1", reactive_kvarh=1), "beside"),
    "no month": (usage(period="2026-13", import_kwh=1), "is no month"),
    "no account": (usage("", import_kwh=1), "account"),
    "the future": (usage(period="2099-01", import_kwh=1), "is in the future"),
    "no day": (usage(import_kwh=1) | {"from_on": "2026-1-1"}, "is no day"),
    "long ago": (usage(import_kwh=1) | {"from_on": "1900-01-01"}, "before there were meters"),
    "days turned": (
        usage(import_kwh=1) | {"from_on": "2026-01-09", "until_on": "2026-01-09"},
        "is not after",
    ),
    "not in the cycle": (usage(import_kwh=1) | {"until_on": "2026-02-09"}, "within the cycle"),
    "a cycle of years": (
        usage(import_kwh=1) | {"cycle_from_on": "2020-01-01"},
        "are no billing cycle",
    ),
    "point of other days": (usage(import_kwh=1, until_on="2026-03-01"), "is not within"),
    "another account": (usage("A2", import_kwh=1), "A2 has no contract"),
    "no tiers": (usage(import_kwh=1, used_before_kwh=1), "has no tiers"),
    "no points": (usage() | {"points": []}, "u.json points"),
    "a rate without a number": (
        usage(import_kwh=5, import_kwh_by_rate={"peak": ""}),
        "import_kwh_by_rate.peak: is empty",
    ),
    "reactive without a number": (
        usage(import_kwh=5, reactive_kvarh={"1": ""}),
        "points.0.reactive_kvarh",
    ),
    "a name in two lines": (usage("A1\nA2", import_kwh=1), "account: 'A1\\nA2' is no name"),
    "a name of blanks": (usage(" ", import_kwh=1), "account: ' ' is no name"),
    "not a number": (usage(import_kwh="NaN"), "is no decimal number"),
    "beyond floats": (usage(import_kwh="1e400"), "is no decimal number"),
    "no entry": ([], "u.json: has no entry"),
    "a list": ([[1]], "u.json entry 1 the document"),
}
WRONG_CONTRACTS: dict[str, tuple[Any, str]] = {
    "unknown book": (contract(price_book="other"), "no book other is given"),
    "unknown list": (contract(points=[P1 | {"price_list": "x"}]), "no book has the list x"),
    "unknown mode": (contract(payment_mode="later"), "c.json payment_mode"),
    "unknown period": (contract(points=[P1 | {"rate_periods": {"1": "noon"}}]), "is no period"),
    "no contract demand": (contract(basic_charge="contract_demand"), "contract_demand_kw"),
    "capacity below zero": (
        contract(transformers=[{"id": "T", "capacity_kva": "-1"}]),
        "transformers.0.capacity_kva",
    ),
    "no capacity": (
        contract(transformers=[{"id": "T", "capacity_kva": "0"}]),
        "transformers.0.capacity_kva: 0 is no capacity (give kVA above zero)",
    ),
    "a share above one": (
        contract(transformers=[{"id": "T", "capacity_kva": "1", "share": "1.5"}]),
        "is no share",
    ),
    "sizes not in order": (
        contract(household=[{"from_on": "2026-02-01", "people": 1}] * 2),
        "days do not rise",
    ),
    "days turned": (contract(from_on="2026-02-01", until_on="2026-01-01"), "is not after"),
    "begins later": (contract(from_on="2026-01-09"), "no contract from 2026-01-01"),
    "a price": (
        contract(
            components=[{"code": "c", "name_zh": "", "name_en": "", "unit": "kWh", "price": "x"}]
        ),
        "components.0.price",
    ),
    "no account": ({"points": [P1]}, "c.json account"),
}


def refused(files: Files, agreed: Any, used: Any) -> str:
    arguments = ["--book", files.write("book.yaml", book())]
    arguments += ["--contract", files.write("c.json", agreed)]
    status, said = files.run("rate", *arguments, "--usage", files.write("u.json", used))
    assert status == 2, said
    return said


@pytest.mark.parametrize("name", WRONG_USAGES)
def test_a_wrong_usage_is_refused(name: str, files: Files) -> None:
    used, expected = WRONG_USAGES[name]
    said = refused(files, contract(), used)
    assert expected in said
    assert said.rstrip().endswith(")")  # the fix


@pytest.mark.parametrize("name", WRONG_CONTRACTS)
def test_a_wrong_contract_is_refused(name: str, files: Files) -> None:
    agreed, expected = WRONG_CONTRACTS[name]
    said = refused(files, agreed, usage(import_kwh=1))
    assert expected in said
    assert said.rstrip().endswith(")")


MANY: dict[str, tuple[list[Any], list[Any], str]] = {
    "accounts not sorted": (
        [contract()],
        [usage("A2", import_kwh=1), usage("A1", import_kwh=1)],
        "A2 has no contract",
    ),
    "usages not sorted": (
        [contract("A1"), contract("A2")],
        [usage("A2", import_kwh=1), usage("A1", import_kwh=1)],
        "u.jsonl line 2 account: A1 comes after A2",
    ),
    "contracts not sorted": (
        [contract("A2"), contract("A1")],
        [usage("A3", import_kwh=1)],
        "c.jsonl line 2 account: A1 comes after A2",
    ),
    "months not sorted": (
        [contract()],
        [usage(period="2026-02", import_kwh=1), usage(import_kwh=1)],
        "u.jsonl line 2 period: 2026-01 comes after 2026-02",
    ),
    "a hole between parts": (
        [contract()],
        [
            usage(import_kwh=1) | {"until_on": "2026-01-11"},
            usage(import_kwh=1) | {"from_on": "2026-01-12"},
        ],
        "does not adjoin",
    ),
    "a position in the second part": (
        [contract()],
        [
            usage(import_kwh=1) | {"until_on": "2026-01-11"},
            usage(import_kwh=1, used_before_kwh=3) | {"from_on": "2026-01-11"},
        ],
        "is not of the first part",
    ),
    "two contracts at a time": (
        [contract(until_on="2026-01-11"), contract(from_on="2026-01-10")],
        [usage(import_kwh=1)],
        "c.jsonl line 2 from_on",
    ),
}


@pytest.mark.parametrize("name", MANY)
def test_wrong_files_of_many_are_refused(name: str, files: Files) -> None:
    contracts, usages, expected = MANY[name]
    arguments = ["--book", files.write("book.yaml", book())]
    arguments += ["--contract", files.write("c.jsonl", *contracts)]
    status, said = files.run("rate", *arguments, "--usage", files.write("u.jsonl", *usages))
    assert status == 2
    assert expected in said


FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "blank": (b"\n\n", "is blank"),
    "truncated": (b'{"account": "A1", "period": "2026-0', "line 1: is no JSON object"),
    "truncated later": (
        json.dumps(usage(import_kwh=1)).encode() + b'\n{"account": ',
        "line 2: is no JSON object",
    ),
    "another encoding": ("account: 户".encode("gb18030"), "is not UTF-8"),
    "UTF-16": ("account: 1".encode("utf-16"), "is UTF-16"),
    "no YAML": (b"account: [", "correct the YAML"),
    "no mapping": (b"just words", "the document"),
    "a field twice": (b'{"account": "A1", "account": "A2"}', "names a field twice"),
    "half of a character": (b'{"account": "\\ud800"}', "half of a character"),
    "huge": (b"account: " + b"x" * 4_000_001, "is longer than"),
    "a number in a line": (
        json.dumps(usage(import_kwh=1)).encode() + b"\n5",
        "line 2: is no JSON object",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_wrong_kind_is_refused(name: str, files: Files) -> None:
    content, expected = FILES[name]
    path = files.directory / "u"
    path.write_bytes(content)
    arguments = ["--book", files.write("book.yaml", book())]
    arguments += ["--contract", files.write("c.json", contract())]
    status, said = files.run("rate", *arguments, "--usage", str(path), "--json")
    assert status == 2
    assert expected in said


def test_wrong_options_are_refused(files: Files) -> None:
    whole = ["--book", files.write("book.yaml", book())]
    whole += ["--contract", files.write("c.json", contract())]
    used = files.write("u.json", usage(import_kwh=1))
    for arguments, expected in (
        (whole, "--usage: is missing"),
        ([*whole, "--usage", "nowhere.jsonl"], "No such file"),
        ([*whole, "--usage", used, "--language", "fr"], "'fr' is not known"),
        ([*whole, "--usage", used, "--on", "2026-01-15"], "is in the future"),
        ([*whole, "--usage", used, "--on", "soon"], "--on"),
        ([*whole, "--usage", used, "--book", whole[1]], "test@1 is given twice"),
        (["--book", whole[1], "--contract", "-", "--usage", "-"], "standard input is the usage"),
        (["--schema", "bill"], "'bill' is no file"),
    ):
        status, said = files.run("rate", *arguments)
        assert (status, expected in said) == (2, True), said


def test_a_book_that_is_not_in_force_or_not_the_only_one(files: Files) -> None:
    late = files.write("late.yaml", book(from_on="2026-01-11"))
    other = files.write("other.yaml", book(id="other"))
    used = files.write("u.json", usage(import_kwh=1))
    agreed = files.write("c.json", contract())
    status, said = files.run("rate", "--book", late, "--contract", agreed, "--usage", used)
    assert (status, "is in force from 2026-01-01" in said) == (2, True)
    given = ("--book", late, "--book", other)
    status, said = files.run("rate", *given, "--contract", agreed, "--usage", used)
    assert (status, "2 books have list" in said) == (2, True)


def test_places_are_named() -> None:
    with pytest.raises(BadInput, match=r"c line 7 relations\.0\.until_on: 2026-01-01 is not after"):
        read_contract(
            contract(
                relations=[
                    {
                        "point": "P2",
                        "kind": "deducted",
                        "of": "P1",
                        "from_on": "2026-02-01",
                        "until_on": "2026-01-01",
                    }
                ]
            ),
            "c line 7",
        )
