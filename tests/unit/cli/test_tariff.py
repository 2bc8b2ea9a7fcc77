"""`gridledger tariff check` and `diff`: every finding at once, statuses, and wrong input."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.cells import cell_len

from services.billing.price_book_file import BOOKS
from tests.unit.cli.rate_files import Files, book, component, files, price_list, tiers

__all__ = ["files"]

SHIPPED = [str(path) for path in sorted(BOOKS.glob("*.yaml")) if "power_factor" not in path.name]


def calendar(*slots: tuple[str, str, str], months: Any = tuple(range(1, 13))) -> dict[str, Any]:
    ranges = [{"start": start, "end": end, "period": period} for start, end, period in slots]
    patterns = [{"name": "all", "months": list(months), "slots": ranges}]
    return {"times": {"source": "test", "patterns": patterns}}


def floating(**prices: str) -> dict[str, Any]:
    energy = component(price="", tou_applies=True, period_prices=prices)
    return price_list(energy, calendar="times")


def findings(files: Files, *books: Any) -> list[tuple[str, str, str, str]]:
    paths = [files.write(f"{number}.yaml", each) for number, each in enumerate(books)]
    status, printed = files.run("tariff", "check", "--json", *paths)
    found = json.loads(printed)["findings"]
    assert status == int(bool(found))
    return [(each["kind"], each["book"], each["field"], each["problem"]) for each in found]


def test_the_shipped_books_have_no_finding_and_show_what_is_unconfirmed(files: Files) -> None:
    status, printed = files.run("tariff", "check", *SHIPPED)
    assert status == 0
    assert "7 books, 0 findings, 63 unconfirmed" in printed
    assert "unconfirmed: price_lists.residential.tiers.steps.tier.3" in printed
    assert max(map(cell_len, printed.splitlines())) <= 80
    status, printed = files.run("tariff", "check", "--json", *SHIPPED)
    found = json.loads(printed)
    assert (status, found["findings"], len(found["unconfirmed"])) == (0, [], 63)
    assert all(each["source"] for each in found["unconfirmed"])


def test_all_defects_are_told_at_once(files: Files) -> None:
    times = calendar(("00:00", "08:00", "valley"), ("07:00", "22:00", "peak"))
    wrong = book(
        floating(peak="0.8"),
        calendars=times,
        day_basis="lunar",
        from_on="2026-02-30",
    )
    assert findings(files, wrong) == [
        ("defect", "test@1", "from_on", "'2026-02-30' is no date"),
        ("defect", "test@1", "day_basis", "'lunar' is unknown"),
        (
            "defect",
            "test@1",
            "calendars.times",
            "07:00 to 08:00 of workday, weekend, holiday in months 1-12 has 2 periods",
        ),
        (
            "defect",
            "test@1",
            "calendars.times",
            "22:00 to 24:00 of workday, weekend, holiday in months 1-12 has no period",
        ),
        (
            "defect",
            "test@1",
            "price_lists.list.components.energy.period_prices",
            "the calendar has the period valley, the component no price for it",
        ),
    ]


def test_orders_and_versions_are_compared(files: Files) -> None:
    day = calendar(("22:00", "08:00", "valley"), ("08:00", "22:00", "peak"))
    lists = {
        "list": floating(peak="0.3", valley="0.4"),
        "high": price_list(component(price="0.6"), voltage_class="35kv", category="home"),
        "low": price_list(category="home"),
        "tiered": price_list(tiers=tiers("month", ["1", "2"], ["0.3", "0.1"])),
    }
    first = book(calendars=day, price_lists=lists, until_on="2026-01-01")
    second = book(version=2, from_on="2026-02-01")
    assert findings(files, second, first) == [
        (
            "order",
            "test@1",
            "price_lists.list.components.energy.period_prices",
            "valley 0.4 is above peak 0.3",
        ),
        (
            "order",
            "test@1",
            "price_lists.tiered.tiers.steps.tier.3.adder",
            "0.1 is below 0.3 of tier.2",
        ),
        ("order", "test@1", "price_lists.high", "kWh 0.6 at 35kv is above 0.5 at lt1kv (low)"),
        (
            "versions",
            "test@2",
            "from_on",
            "no version is in force from 2026-01-01 to before 2026-02-01",
        ),
    ]
    paths = [str(files.directory / name) for name in ("0.yaml", "1.yaml")]
    status, printed = files.run("tariff", "check", *paths)
    assert status == 1
    assert "versions: from_on: no version is in force" in printed
    assert "2 books, 4 findings, 4 unconfirmed" in printed


def test_what_changes_for_whom(files: Files) -> None:
    old = files.write("old.yaml", book(price_list(component(price="0.52"))))
    new = book(price_list(component(price="0.5")), version=2)
    new["price_lists"]["added"] = price_list()
    status, printed = files.run("tariff", "diff", old, files.write("new.yaml", new))
    assert (status, printed.splitlines()) == (
        0,
        [
            "test@1 -> test@2: 3 differences",
            "for all accounts of the book",
            "  version: 1 -> 2",
            "for list: List / 价目 (commercial_industrial, lt1kv)",
            "  components.energy.price: 0.52 -> 0.5 (-3.85 %)",
            "for added: List / 价目 (commercial_industrial, lt1kv)",
            "  price_list: none -> List",
        ],
    )
    dearer = files.write("dearer.yaml", book(price_list(component(price="0.53"))))
    assert "(+1.92 %)" in files.run("tariff", "diff", old, dearer)[1]
    status, printed = files.run("tariff", "diff", old, str(files.directory / "new.yaml"), "--json")
    found = json.loads(printed)
    assert (status, found["a"], found["b"]) == (0, "test@1", "test@2")
    assert [each["change_pct"] for each in found["differences"]] == [None, "-3.85", None]
    assert found["differences"][1] == {
        "price_list": "list",
        "category": "commercial_industrial",
        "voltage_class": "lt1kv",
        "name_zh": "价目",
        "name_en": "List",
        "field": "components.energy.price",
        "before": "0.52",
        "after": "0.5",
        "change_pct": "-3.85",
    }


def test_books_that_are_the_same(files: Files) -> None:
    assert files.run("tariff", "diff", SHIPPED[0], SHIPPED[0]) == (
        0,
        "cq-commercial@1 -> cq-commercial@1: 0 differences\n",
    )


WRONG: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it holds no mapping"),
    "truncated": (b"kind: price_book\nid: [", "correct the YAML"),
    "another encoding": ("kind: 电价".encode("gb18030"), "is not UTF-8 text"),
    "another kind": (b"kind: cake", "kind: Input should be 'price_book'"),
    "unknown field": (json.dumps(book(colour="red")).encode(), "colour: Extra inputs"),
    "a price as a word": (
        json.dumps(book(price_list(component(price="0.5", period_ratios={"peak": "x"})))).encode(),
        "period_ratios.peak: 'x' is no decimal number",
    ),
    "unknown table": (
        json.dumps(
            book(power_factor={"table": "none", "reactive_quadrants": ["1"], "active": "billed"})
        ).encode(),
        "No such file",
    ),
    "huge": (b"#" * 4_000_001, "has over 4000000 bytes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_book_is_refused(name: str, files: Files) -> None:
    content, expected = WRONG[name]
    path = files.directory / "wrong.yaml"
    path.write_bytes(content)
    for arguments in (["check", str(path)], ["diff", SHIPPED[0], str(path)]):
        status, said = files.run("tariff", *arguments)
        assert status == 2
        assert expected in said


def test_a_book_with_defects_is_not_compared(files: Files) -> None:
    wrong = files.write("wrong.yaml", book(day_basis="lunar"))
    status, said = files.run("tariff", "diff", SHIPPED[0], wrong)
    assert (status, "wrong.yaml: day_basis: 'lunar' is unknown" in said) == (2, True)
    assert files.run("tariff", "check", wrong)[0] == 1


def test_one_version_twice_is_refused(files: Files) -> None:
    status, said = files.run("tariff", "check", SHIPPED[0], SHIPPED[0])
    assert (status, "cq-commercial@1 is given twice" in said) == (2, True)
    assert files.run("tariff", "check", "nowhere.yaml")[0] == 2
