"""`gridledger rate`: what is joined and cut, the table, the story, memory, the schemas."""

from __future__ import annotations

import gc
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from rich.cells import cell_len

from libs.events.documents import parse_yaml
from libs.events.quantities import format_yuan
from services.billing.agreement import AgreementTerms
from services.billing.book_schema import SCHEMAS, schema_of
from services.billing.contract_file import ContractModel, read_contract
from services.billing.price_book import PriceBook
from services.billing.price_book_file import BOOKS, read_book
from services.billing.usage_file import read_usage
from services.cli.rate_inputs import RatedBill, rated_bills
from services.cli.wrapped_text import wrapped
from tests.unit.billing.builders import example
from tests.unit.cli.rate_files import (
    Files,
    book,
    component,
    contract,
    files,
    price_list,
    tiers,
    usage,
)

__all__ = ["files"]

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "tariffs"
FACTORY = (
    *("--book", str(BOOKS / "cq_industry_10kv.yaml")),
    *("--contract", str(EXAMPLES / "factory.contract.yaml")),
    *("--usage", str(EXAMPLES / "factory.usage.yaml")),
)
YEARLY = tiers("year", ["1000", "2000"], ["0.05", "0.30"])


# -- what is joined and cut -----------------------------------------------------------------------


def test_tiers_run_on_from_bill_to_bill(files: Files) -> None:
    tariff = book(price_list(tiers=YEARLY))
    months = [usage(period=f"2026-0{month}", import_kwh=600) for month in (1, 2, 3, 4)]
    bills = files.rate(tariff, contract(), *months)
    assert [bill["tiers_after"]["P1"]["used_wh"] for bill in bills] == [
        600_000,
        1_200_000,
        1_800_000,
        2_400_000,
    ]
    assert [bill["total_fen"] for bill in bills] == [30_000, 31_000, 33_000, 43_000]


def test_a_new_version_of_the_book_cuts_the_month(files: Files) -> None:
    """10 days at 0.5 and 20 of 30 at 0.8: 300 kWh by days."""
    first, second = (
        files.write("one.yaml", book()),
        files.write(
            "two.yaml", book(price_list(component(price="0.8")), version=2, from_on="2026-04-11")
        ),
    )
    arguments = ["--contract", files.write("c.json", contract())]
    arguments += ["--usage", files.write("u.json", usage(period="2026-04", import_kwh=300))]
    status, printed = files.run("rate", "--json", "--book", first, "--book", second, *arguments)
    bill = json.loads(printed)
    assert (status, bill["total_fen"]) == (0, 5_000 + 16_000)
    assert [each["version"] for each in bill["books"]] == [1, 2]
    assert [line["basis"] for line in bill["lines"]] == [{"prorated": "by_days"}] * 2


def test_another_contract_and_a_relation_cut_the_month(files: Files) -> None:
    """The class changes on the 16th, the sub-meter is deducted from the 21st on."""
    lists = {"list": price_list(), "dear": price_list(component(price="1"))}
    tariff = book(price_lists=lists)
    both = [{"point": "P1", "price_list": "list"}, {"point": "P2", "price_list": "list"}]
    later = [{"point": "P1", "price_list": "dear"}, {"point": "P2", "price_list": "list"}]
    deducted = {"point": "P2", "kind": "deducted", "of": "P1", "from_on": "2026-04-21"}
    contracts = files.write(
        "c.jsonl",
        contract(points=later, relations=[deducted], from_on="2026-04-16"),
        contract(points=both, until_on="2026-04-16"),
    )
    points = [{"point": "P1", "import_kwh": "300"}, {"point": "P2", "import_kwh": "30"}]
    arguments = ["--book", files.write("book.yaml", tariff), "--contract", contracts]
    used = files.write("u.json", usage(period="2026-04") | {"points": points})
    status, printed = files.run("rate", "--json", *arguments, "--usage", used)
    bill = json.loads(printed)
    found = [(each["from_on"][8:], each["point"], each["quantity"]) for each in bill["lines"]]
    assert status == 0
    assert found == [
        ("01", "P1", 150_000),
        ("01", "P2", 15_000),
        ("16", "P1", 50_000),
        ("16", "P2", 5_000),
        ("21", "P1", 90_000),
        ("21", "P2", 10_000),
    ]


def test_parts_that_were_read_are_taken_as_they_are(files: Files) -> None:
    prices = price_list(component(), component("fee", "30", "month"))
    parts = [
        usage(period="2026-04", import_kwh=10) | {"until_on": "2026-04-11"},
        usage(period="2026-04", import_kwh=20) | {"from_on": "2026-04-11"},
    ]
    (bill,) = files.rate(book(prices), contract(), *parts)
    assert [(line["code"], line["amount_fen"]) for line in bill["lines"]] == [
        ("energy", 500),
        ("fee", 1_000),
        ("energy", 1_000),
        ("fee", 2_000),
    ]


def test_a_withheld_bill_is_said_and_fails(files: Files) -> None:
    tariff = files.write("book.yaml", book(price_list(tiers=YEARLY)))
    wrong = usage() | {"points": [{"point": "P9", "import_kwh": "1"}]}
    used = files.write("u.jsonl", wrong, usage(period="2026-02", import_kwh=600))
    arguments = ["--book", tariff, "--contract", files.write("c.json", contract())]
    status, printed = files.run("rate", *arguments, "--usage", used, "--language", "en")
    assert status == 1
    assert "withheld: P1 usage_missing" in printed
    assert "withheld: P9 point_unknown" in printed
    assert "note: the tiers begin without the energy of 2026-01" in printed
    status, printed = files.run("rate", *arguments, "--usage", used, "--explain")
    assert status == 1
    assert "本期账单暂不出具" in printed
    assert "The reason: P9" in printed
    told = usage(period="2026-02", import_kwh=600, used_before_kwh=5)
    used = files.write("u.jsonl", wrong, told)
    status, printed = files.run("rate", "--json", *arguments, "--usage", used)
    assert [json.loads(line)["notes"] for line in printed.splitlines()] == [[], []]


def test_what_is_not_rated_yet_is_said(files: Files) -> None:
    signed = {"agreement_no": "1", "signed_on": "2026-01-01", "credit_limit_yuan": "5"}
    agreed = contract(prepaid=signed)
    arguments = ["--book", files.write("book.yaml", book())]
    arguments += ["--contract", files.write("c.json", agreed)]
    arguments += ["--usage", files.write("u.json", usage(import_kwh=1))]
    status, printed = files.run("rate", *arguments)
    assert status == 1
    assert "not yet rated: prepaid_terms" in printed


def test_the_book_is_found_by_its_lists_its_id_or_its_region(files: Files) -> None:
    other = {"other": price_list(component(price="2"))}
    arguments = ["--book", files.write("b.yaml", book())]
    arguments += ["--book", files.write("o.yaml", book(id="other", price_lists=other))]
    used = files.write("u.json", usage(import_kwh=10))
    for name in ({}, {"price_book": "test"}, {"price_book": "Test"}):
        agreed = files.write("c.json", contract(**name))
        status, printed = files.run(
            "rate", "--json", *arguments, "--contract", agreed, "--usage", used
        )
        assert (status, json.loads(printed)["total_fen"]) == (0, 500)


def test_one_account_is_held_at_a_time() -> None:
    """Bills come while the files are read, which are one account ahead at most; nothing is kept."""
    read: list[str] = []

    def names(what: str) -> Iterator[str]:
        for number in range(20):
            read.append(what)
            yield f"{number:08d}"

    point = {"point": "P1", "price_list": "residential"}
    contracts = (read_contract(contract(name, points=[point]), "c") for name in names("c"))
    usages = (read_usage(usage(name, import_kwh="9"), "u", "2026-03-01") for name in names("u"))
    found = rated_bills(usages, contracts, [example("cq_residential")])
    for number, rated in enumerate(found, 1):
        assert rated.bill.total_fen == 468
        assert max(read.count("c"), read.count("u")) <= number + 1
    gc.collect()
    assert number == 20
    assert sum(isinstance(each, RatedBill) for each in gc.get_objects()) <= 1


# -- what is printed ------------------------------------------------------------------------------


def test_the_table_and_the_story_fit_a_terminal(files: Files) -> None:
    for option in ((), ("--language", "en"), ("--explain",)):
        status, printed = files.run("rate", *FACTORY, *option)
        assert status == 0
        assert max(map(cell_len, printed.splitlines())) <= 80


def test_the_story_has_every_amount_in_both_languages(files: Files) -> None:
    _, printed = files.run("rate", "--json", "--explain", *FACTORY)
    bill = json.loads(printed)
    for language in ("zh", "en"):
        told = " ".join(each[language] for each in bill["story"])
        for line in bill["lines"]:
            assert format_yuan(abs(line["amount_fen"])) in told
        assert format_yuan(bill["total_fen"]) in told


def test_unconfirmed_prices_are_marked(files: Files) -> None:
    _, printed = files.run("rate", *FACTORY)
    assert "?：价格或规则未经核实" in printed
    assert sum(line.endswith(" ?") for line in printed.splitlines()) == 10


def test_standard_input(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = files.run("rate", *FACTORY)
    text = (EXAMPLES / "factory.usage.yaml").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert files.run("rate", *FACTORY[:-1], "-") == expected


def test_text_is_wrapped_by_its_columns() -> None:
    assert wrapped("功率因数 0.71，标准 0.90", 14) == ["功率因数", "0.71，标准", "0.90"]
    assert wrapped("", 10) == []
    assert wrapped("a" * 25 + " b", 10) == ["a" * 10, "a" * 10, "aaaaa b"]


# -- the schemas ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_schema_of_a_file_is_published(kind: str, files: Files) -> None:
    status, printed = files.run("rate", "--schema", kind)
    assert status == 0
    assert (EXAMPLES / f"{kind}.schema.json").read_text("utf-8") == printed
    Draft202012Validator.check_schema(json.loads(printed))


def test_examples_and_books_are_what_the_schemas_say() -> None:
    for kind in ("usage", "contract"):
        validator = Draft202012Validator(schema_of(kind))
        found = sorted(EXAMPLES.glob(f"*.{kind}.yaml"))
        assert found
        for path in found:
            document = parse_yaml(path.read_text("utf-8"), path.name, "")
            for each in document if isinstance(document, list) else [document]:
                assert list(validator.iter_errors(each)) == []
    assert list(Draft202012Validator(schema_of("book")).iter_errors(book())) == []
    assert not Draft202012Validator(schema_of("usage")).is_valid(usage(power_factor=True))


# -- a whole contract ---------------------------------------------------------------------------

P1 = {"point": "P1", "price_list": "list"}

WHOLE = {
    "kind": "contract",
    "account": "A1",
    "price_book": "test",
    "from_on": "2026-01-01",
    "until_on": "2027-01-01",
    "points": [
        P1
        | {
            "category": "home",
            "voltage_class": "35kv",
            "line_loss": {"kind": "percent", "percent": "1.5"},
            "loss_table": "S11",
            "feeder": "F1",
        },
    ],
    "relations": [{"point": "P3", "kind": "fixed_quantity", "of": "P1", "quantity_kwh": "20.5"}],
    "contract_demand_kw": "100",
    "transformers": [
        {
            "id": "T1",
            "capacity_kva": "315",
            "state": "suspended",
            "share": "0.4",
            "shared_with": "A2",
        }
    ],
    "components": [
        {"code": "c", "name_zh": "费", "name_en": "Fee", "unit": "kWh", "price": "-0.01"}
    ],
    "external_lines": [
        {
            "document_no": "D1",
            "month": "2026-01",
            "code": "x",
            "name_zh": "费",
            "name_en": "Fee",
            "amount_yuan": "-12.34",
            "settled_by": "trading centre",
        }
    ],
    "prepaid": {"agreement_no": "1", "signed_on": "2026-01-01", "credit_limit_yuan": "5"},
    "free_allowance": True,
}


def test_a_contract_has_every_field_of_an_agreement() -> None:
    terms = read_contract(WHOLE, "c").terms
    assert terms.relations[0].quantity_wh == 20_500
    assert (terms.contract_demand_w, terms.transformers[0].capacity_va) == (100_000, 315_000)
    assert terms.external_lines[0].amount_fen == -1_234
    assert terms.prepaid is not None
    assert (terms.prepaid.credit_limit_fen, terms.prepaid.warn1_fen) == (500, 0)
    assert terms.points[0].line_loss is not None
    agreed_fields = {each.name for each in fields(AgreementTerms)}
    assert agreed_fields <= {*ContractModel.model_fields, "contract_demand_w"}


def test_an_external_line_is_of_its_month() -> None:
    agreed = read_contract(WHOLE | {"from_on": ""}, "c")
    months = [
        read_usage(usage(period=period, import_kwh="1"), "u", "2027-01-01")
        for period in ("2026-01", "2026-02")
    ]
    found = rated_bills(months, [agreed], [load_books_of(book())])
    lines = [each.parts[0].terms.external_lines for each in found]
    assert [len(each) for each in lines] == [1, 0]


def load_books_of(document: Any) -> PriceBook:
    return read_book(json.dumps(document), "book.yaml", str)


def test_a_contract_that_ended_a_check_meter_and_a_fee(files: Files) -> None:
    """A check point needs no price list; rates of other names than periods need rate_periods."""
    ended = contract(points=[P1], until_on="2025-01-01")
    check = {"point": "P2", "price_list": "none", "category": "", "voltage_class": ""}
    agreed = contract(
        points=[P1 | {"category": "residential"}, check],
        relations=[{"point": "P2", "kind": "check", "of": "P1"}],
        from_on="2025-01-01",
    )
    points = [{"point": "P1", "import_kwh": "10"}, {"point": "P2", "import_kwh": "9"}]
    tariff = book(price_list(component(), component("fee", "6", "month")))
    arguments = ["--book", files.write("b.yaml", tariff)]
    arguments += ["--contract", files.write("c.jsonl", ended, agreed)]
    arguments += ["--usage", files.write("u.json", usage() | {"points": points})]
    status, printed = files.run("rate", *arguments, "--language", "en")
    assert status == 0
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert lines[2] == "energy Energy 10 kWh 0.5 5.00"
    assert lines[4:7] == [
        "fee Fee 1 month 6 6.00",
        "P1; rule test@1/list/fee; days charged 30/30",
        "total 10 kWh 11.00",
    ]
    assert lines[7].startswith("warning: P1 class_mismatch")


def test_rates_without_a_period_withhold_the_bill(files: Files) -> None:
    point = {"point": "P1", "price_list": "commercial_tou"}
    arguments = ["--book", str(BOOKS / "cq_commercial.yaml")]
    arguments += ["--contract", files.write("c.json", contract(points=[point]))]
    used = usage(import_kwh=10, import_kwh_by_rate={"1": 10})
    status, printed = files.run("rate", *arguments, "--usage", files.write("u.json", used))
    assert (status, "periods_missing" in printed) == (1, True)
