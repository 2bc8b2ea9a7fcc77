"""`gridledger tariff audit` and `whatif`: from files and a log, tables, schemas, wrong input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from libs.events.codec import encode
from libs.events.record import Envelope, envelope_headers
from libs.events.testing.simbroker import SimBroker
from libs.events.testing.simlog import SimReader
from services.audit.files import export_topics
from services.billing.events import BookAdopted
from services.billing.price_book_file import BOOKS
from tests.unit.billing_core.office import Office, month_of_usage, usage
from tests.unit.billing_core.test_tariff_questions import agreed, hotel_office
from tests.unit.cli.rate_files import Files, book, component, contract, files, price_list
from tests.unit.cli.rate_files import usage as usage_entry

__all__ = ["files"]

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "tariffs"
CLASSES = (
    *("--usage", str(EXAMPLES / "classes.usages.jsonl")),
    *("--contract", str(EXAMPLES / "classes.contracts.jsonl")),
)
SHIPPED = ("cq_commercial", "cq_residential", "cq_industry_10kv", "cq_industry_110kv")


def books(option: str) -> list[str]:
    return [part for name in SHIPPED for part in (option, str(BOOKS / f"{name}.yaml"))]


def export(directory: Path, made: Office, *, without: type | None = None) -> str:
    """What an office decided as an export of one partition."""
    broker = SimBroker({"billing.events": 1})
    for number, (key, body) in enumerate(made.log):
        if without is None or not isinstance(body, without):
            kind = made.core.catalogue.type_of(body).full_name
            envelope = Envelope(f"b/{number}", kind, "billing", "2026-03-05T00:00:00Z", key)
            headers = envelope_headers(envelope)
            broker.append("billing.events", 0, key.encode(), encode(body), headers)
    export_topics(SimReader(broker), lambda _: 1, ["billing.events"], directory, {})
    return str(directory)


# -- the audit ------------------------------------------------------------------------------------


def test_files_are_audited_as_json(files: Files) -> None:
    status, printed = files.run("tariff", "audit", *CLASSES, *books("--book"), "--json")
    found = json.loads(printed)
    assert (status, found["rules"], found["bills"]) == (1, "default", 6)
    rows = {each["account_no"]: each for each in found["findings"]}
    assert {name: each["rule"] for name, each in rows.items()} == {
        "6000000001": "two_part_from_315",
        "6000000002": "household_on_dedicated_line",
        "6000000003": "power_factor_090",
        "6000000004": "loss_of_low_side",
    }
    assert rows["6000000001"]["months"] == ["2025-03", "2025-04"]
    assert rows["6000000001"]["at_stake_fen"] == -1_084_991 - 1_015_921
    assert rows["6000000004"]["months"] == []
    assert rows["6000000004"]["problem"].startswith("loss_table_missing")
    assert found["at_stake_fen"] == sum(each["at_stake_fen"] for each in rows.values())
    assert set(rows["6000000003"]) == {
        "account_no", "point", "rule", "meaning", "stands", "expected", "months", "at_stake_fen",
        "problem", "source", "unconfirmed",
    }  # fmt: skip


def test_the_tables_fit_a_terminal(files: Files) -> None:
    status, printed = files.run("tariff", "audit", *CLASSES, *books("--book"))
    assert status == 1
    assert "6000000004     SMELTER        loss_of_low_side" in printed
    arguments = ("--book", str(EXAMPLES / "cq_residential_2.yaml"))
    shown = files.run("whatif", *CLASSES, *books("--billed-by"), *arguments)[1]
    for line in (printed + shown).splitlines():
        assert cell_len(line) <= 80, line


def test_sound_accounts_are_no_finding(files: Files) -> None:
    arguments = [
        "--book",
        files.write("b.yaml", book()),
        "--contract",
        files.write("c", contract()),
    ]
    arguments += ["--usage", files.write("u", usage_entry(import_kwh=100))]
    status, printed = files.run("tariff", "audit", *arguments)
    assert (status, printed) == (0, "1 bills by rules default: 0 findings, 0.00 yuan at stake\n")


def test_what_was_put_right_is_no_finding_any_more(files: Files) -> None:
    """In January the list was for another voltage; the contract of February has its own."""
    wrong = {**contract(until_on="2026-02-01"), "from_on": "2026-01-01"}
    wrong["points"] = [{"point": "P1", "price_list": "list", "voltage_class": "1_10kv",
                        "metering_side": "high"}]  # fmt: skip
    right = contract(from_on="2026-02-01")
    months = [usage_entry(period=f"2026-0{number}", import_kwh=100) for number in (1, 2)]
    arguments = ["--book", files.write("b.yaml", book()), "--on", "2027-01-01", "--json"]
    arguments += ["--contract", files.write("c", wrong, right)]
    status, printed = files.run("tariff", "audit", *arguments, "--usage", files.write("u", *months))
    assert (status, json.loads(printed)["findings"]) == (0, [])
    only = files.write("u", months[0])
    status, printed = files.run("tariff", "audit", *arguments, "--usage", only)
    assert [each["rule"] for each in json.loads(printed)["findings"]] == ["voltage_of_list"]


def test_a_withheld_bill_has_no_amount_to_compare_with(files: Files) -> None:
    """The class would be rated, as it stands it is not: the list has no price in its calendar."""
    signed = {"agreement_no": "1", "signed_on": "2026-01-01", "credit_limit_yuan": "5"}
    agreed_on = contract(prepaid=signed)
    agreed_on["points"][0] |= {"voltage_class": "1_10kv", "metering_side": "high"}
    two = book(version=1)
    two["price_lists"]["high"] = price_list(voltage_class="1_10kv")
    arguments = ["--book", files.write("b.yaml", two), "--contract", files.write("c", agreed_on)]
    arguments += ["--usage", files.write("u", usage_entry(import_kwh=100)), "--json"]
    _, printed = files.run("tariff", "audit", *arguments)
    (found,) = json.loads(printed)["findings"]
    assert found["problem"] == "prepaid_terms: a postpaid account has terms of a prepaid one"


def test_other_rules_come_from_a_policy_file(files: Files) -> None:
    rules = {"id": "ours", "rules": {"two_part_from_315": {"capacity_from_kva": 401}}}
    policy = files.write("policy.yaml", {"billing": {"audit": rules}})
    found = files.run("tariff", "audit", *CLASSES, *books("--book"), "--policy", policy, "--json")[
        1
    ]
    rows = {each["account_no"]: each["rule"] for each in json.loads(found)["findings"]}
    assert json.loads(found)["rules"] == "ours"
    assert rows["6000000001"] == "voltage_of_list"


def test_a_log_is_audited_with_its_corrections(files: Files, tmp_path: Path) -> None:
    """What billing asked about is what the audit of its log finds."""
    made = hotel_office()
    made.feed(usage("2026-01-31", 110_000, revision=2))
    made.tick("2026-02-20")
    log = export(tmp_path / "export", made)
    status, printed = files.run("tariff", "audit", "--from-files", log, "--json")
    (found,) = json.loads(printed)["findings"]
    assert (status, found["account_no"], found["months"]) == (1, "A1", ["2026-01"])
    assert found["at_stake_fen"] == 20_500 + 40_000 - 41_000
    asked = made.account.questions["two_part_from_315/P1"].asked
    assert asked.at_stake_fen == found["at_stake_fen"]


def test_an_invoice_that_was_taken_back_whole_is_no_bill(files: Files, tmp_path: Path) -> None:
    made = hotel_office()
    made.feed(agreed(2, moved_out_on="2026-01-01"))
    made.tick("2026-02-20")
    log = export(tmp_path / "export", made)
    status, printed = files.run("tariff", "audit", "--from-files", log, "--json")
    assert (status, json.loads(printed)["bills"]) == (0, 0)


def test_a_log_without_its_book_is_refused(files: Files, tmp_path: Path) -> None:
    log = export(tmp_path / "export", hotel_office(), without=BookAdopted)
    said = files.run("tariff", "audit", "--from-files", log)
    assert said == (
        2,
        "error: invoice A1-2026-01: the log has no book test@1 (export billing.events whole)\n",
    )


# -- what if --------------------------------------------------------------------------------------


def priced(price: str, **changes: Any) -> dict[str, Any]:
    single = price_list(component(price=price), voltage_class="1_10kv")
    return book(None, price_lists={"single": single}, **changes)


def test_a_log_is_rated_by_another_book(files: Files, tmp_path: Path) -> None:
    """410 and 280 kWh at 1 yuan, at 0.90 instead; the new book may begin whenever it likes."""
    made = hotel_office()
    made.feed(usage("2026-01-31", 110_000, revision=2), *month_of_usage("2026-02"))
    made.tick("2026-03-05")
    log = export(tmp_path / "export", made)
    new = files.write("new.yaml", priced("0.90", version=2, from_on="2030-01-01"))
    status, printed = files.run("whatif", "--from-files", log, "--book", new, "--json")
    found = json.loads(printed)
    assert (status, found["books"], found["bills"], found["unconcerned"]) == (0, ["test@2"], 2, 0)
    assert found["all"] == {
        "bills": 2,
        "lower": 2,
        "higher": 0,
        "same": 0,
        "before_fen": 69_000,
        "after_fen": 62_100,
        "change_fen": -6_900,
        "won_fen": 6_900,
        "lost_fen": 0,
        "deciles_fen": [-4_100] * 6 + [-2_800] * 5,
    }
    assert found["by_category"] == {"commercial_industrial": found["all"]}


def test_files_are_rated_by_another_book(files: Files) -> None:
    arguments = ["whatif", *CLASSES, *books("--billed-by"), "--json", "--book"]
    status, printed = files.run(*arguments, str(EXAMPLES / "cq_residential_2.yaml"))
    found = json.loads(printed)
    assert (status, found["bills"], found["unconcerned"]) == (0, 6, 4)
    assert found["all"]["change_fen"] == 930 + 121_000
    status, printed = files.run(*arguments, str(BOOKS / "cq_industry_110kv.yaml"))
    found = json.loads(printed)
    assert (status, found["unrated"]) == (1, {"loss_table_missing": 1})
    assert found["all"]["deciles_fen"] == []
    status, printed = files.run(*[each for each in arguments if each != "--json"],
                                str(BOOKS / "cq_industry_110kv.yaml"))  # fmt: skip
    assert (status, printed.splitlines()[-1]) == (1, "not rated: 1 for loss_table_missing")


# -- wrong input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tariff", "audit", "--usage", "u"], "--contract: is missing"),
        (["tariff", "audit", "--contract", "c"], "--usage: is missing"),
        (["tariff", "audit", "--usage", "-", "--contract", "-"], "standard input is the usage"),
        (["tariff", "audit", "--usage", "u", "--contract", "c"], "--book: is missing"),
        (["tariff", "audit", "--usage", "u", "--contract", "c", "--from-files", "d"], "--from-fi"),
        (["tariff", "audit", *CLASSES, *books("--book"), "--on", "soon"], "--on: "),
        (["tariff", "audit", *CLASSES, *books("--book"), "--on", "2025-03-02"], "is in the future"),
        (["tariff", "audit", *CLASSES, "--book", "nowhere.yaml"], "nowhere.yaml"),
        (["tariff", "audit", "--from-files", "nowhere"], "nowhere"),
        (["tariff", "audit", "--policy", "nowhere.yaml"], "nowhere.yaml"),
        (["tariff", "accept", "1-T", "--by", "li", "--reason", "x"], "'1-T' is no question"),
        (["tariff", "accept", "1-2026-01", "--by", "li", "--reason", "x"], "is no question"),
        (["tariff", "accept", "1-T001", "--by", " ", "--reason", "x"], "--by: is empty"),
        (["tariff", "accept", "1-T001", "--by", "li", "--reason", " "], "--reason: is empty"),
        (["whatif", "--from-files", "nowhere"], "--book: is missing"),
        (["whatif", *books("--book")[:2] * 2], "is given twice"),
        (["whatif", "--book", "nowhere.yaml"], "nowhere.yaml"),
        (["whatif", *books("--book")[:2], *CLASSES], "--book: is missing"),
        (["whatif", *books("--book")[:2], "--from-files", "nowhere"], "nowhere"),
    ],
)
def test_wrong_input_is_one_line(arguments: list[str], said: str, files: Files) -> None:
    status, printed = files.run(*arguments)
    assert status == 2
    assert said in printed


def test_two_versions_to_compare_with_are_refused(files: Files) -> None:
    one, two = files.write("1.yaml", book()), files.write("2.yaml", book(version=2))
    status, printed = files.run("whatif", "--book", one, "--book", two)
    assert (status, "two versions of one book" in printed) == (2, True)


@pytest.mark.parametrize("text", ["", "not json", '{"account": "1"}', '{"account": '])
def test_files_of_any_kind_are_refused_by_name(text: str, files: Files, tmp_path: Path) -> None:
    path = tmp_path / "u.jsonl"
    path.write_text(text, "utf-8")
    arguments = ["--usage", str(path), *CLASSES[2:], *books("--book")]
    assert str(path) in files.run("tariff", "audit", *arguments)[1]
    path.write_bytes("张三".encode("gbk"))
    assert str(path) in files.run("tariff", "audit", *arguments)[1]
