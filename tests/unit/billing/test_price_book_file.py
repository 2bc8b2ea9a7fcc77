"""The border: what a YAML file becomes, and what is refused with file, field and fix."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest

from libs.events.errors import BadInput
from services.billing.price_book import LARGE_HOUSEHOLD, LossRow, LossRule
from services.billing.price_book_file import BOOKS, BYTES_MAX, load_book, load_books, read_book

BOOK = """\
kind: price_book
id: small
version: 1
region: Here
name_zh: 小
name_en: Small
from_on: 2026-01-01
until_on: 2027-01-01
day_basis: actual
source: made up
rounding:
  amount: half_up
  energy: half_up
  energy_unit_wh: 1000
  demand: half_up
  demand_unit_w: 1000
  periods: flat_is_rest
  power_factor_base: rounded_lines
  deduction_spread: proportional
late_fee:
  name: split_at_year_end
  residential_permille: 1
  same_year_permille: 2
  later_year_permille: 3
  minimum_fen: 100
  source: made up
calendars:
  times:
    source: made up
    patterns:
      - name: all
        months: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
        slots:
          - {start: "08:00", end: "20:00", period: peak}
          - {start: "20:00", end: "08:00", period: valley}
price_lists:
  home:
    category: residential
    voltage_class: lt1kv
    name_zh: 居民
    name_en: Residential
    calendar: times
    free_allowance_kwh: 10
    components:
      - code: energy
        name_zh: 电费
        name_en: Energy
        unit: kWh
        price: 0.5283
        tou_applies: true
        period_ratios: {peak: 1.605, valley: 0.4}
        source: made up
        unconfirmed: true
    tiers:
      span: month
      steps:
        - code: tier.2
          name_zh: 二档
          name_en: Tier 2
          above_kwh: 200.5
          adder: 0.05
          source: made up
      allowances_kwh_per_month: {large: [100]}
"""
FACTOR = """\
power_factor:
  table: small_table
  reactive_quadrants: [1, 4]
  active: metered
"""
TABLE = """\
kind: power_factor_table
name: small_table
standards: ["0.90", "0.85"]
step_below: "2.00"
source: made up
rows:
  - ["1.00", "-0.75", "-1.10", seen]
  - ["0.99", "+0.50", "0", rule]
"""


def no_table(name: str) -> str:
    raise AssertionError(f"nobody asked for {name}")


def read(text: str) -> str:
    """The one line a user sees for a wrong book."""
    with pytest.raises(BadInput) as wrong:
        read_book(text, "small.yaml", lambda name: TABLE)
    assert "\n" not in str(wrong.value)
    return str(wrong.value)


def test_a_file_becomes_a_book() -> None:
    book = read_book(BOOK, "small.yaml", no_table)
    assert (book.id, book.version, book.from_on, book.until_on) == (
        "small",
        1,
        "2026-01-01",
        "2027-01-01",
    )
    assert (book.currency, book.correction_price_basis) == ("CNY", "usage_month")
    assert (book.late_fee.minimum_fen, book.rounding.energy_unit_wh) == (100, 1000)
    assert (book.unconfirmed, book.power_factor) == (False, None)
    home = book.price_lists["home"]
    assert (home.code, home.free_allowance_wh, home.two_part) == ("home", 10_000, None)
    assert home.tiers is not None
    assert home.tiers.steps[0].above_wh == 200_500
    assert home.tiers.allowances == {"large": (100_000,)}
    assert book.calendars["times"].patterns[0].day_types == ("workday", "weekend", "holiday")
    assert len(book.content_hash) == 64


RULES = """\
household_rules:
  - {allowance: large, people_from: 7, source: made up, unconfirmed: true}
loss_tables:
  S11-50:
    rows: [{above_kwh: 0, loss_kwh: 304}, {above_kwh: 5000, loss_kwh: 400.5, loss_kvarh: 9}]
    source: exam tables
loss_rule:
  name: active_squared
  copper_factor: 1.05
  nominal_v: {6kv: 6000}
  source: made up
"""


def test_rules_of_households_and_losses_are_data_of_the_file() -> None:
    assert read_book(BOOK, "small.yaml", no_table).household_rules == (LARGE_HOUSEHOLD,)
    assert LARGE_HOUSEHOLD.unconfirmed
    none = read_book(BOOK + "household_rules: []\n", "small.yaml", no_table)
    assert none.household_rules == ()
    book = read_book(BOOK + RULES, "small.yaml", no_table)
    (rule,) = book.household_rules
    assert (rule.allowance, rule.people_from, rule.category) == ("large", 7, "residential")
    table = book.loss_tables["S11-50"]
    assert table.rows == (
        LossRow(above_wh=0, loss_wh=304_000),
        LossRow(above_wh=5_000_000, loss_wh=400_500, loss_varh=9_000),
    )
    assert (table.source, table.unconfirmed) == ("exam tables", False)
    losses = book.loss_rule
    assert (losses.name, losses.copper_factor, losses.unconfirmed) == (
        "active_squared",
        "1.05",
        False,
    )
    assert (losses.nominal_v["6kv"], losses.nominal_v["1_10kv"]) == (6_000, 10_000)
    assert none.loss_rule == LossRule()
    wrong = RULES.replace("loss_kwh: 304", "loss_kwh: much")
    assert "loss_tables.S11-50.row 1.loss_kwh" in read(BOOK + wrong)


def test_the_rules_of_a_two_part_list() -> None:
    rules = """\
    two_part:
      contract_floor_percent: 40
      state_percents: {hot_standby: 0}
      demand_rule:
        name: sgcc_2023
        within: contract
        load_hours_kwh_per_kva: 260
        price_percent_above: 90
        within_feeder: highest
        transferred_kwh_per_kw: {residential: 180}
        source: made up
    minimum_per: kVA
"""
    priced = BOOK[: BOOK.index("    tiers:\n")]
    priced += "      - {code: kva, name_zh: x, name_en: x, unit: kVA, price: 10, source: x}\n"
    home = read_book(priced + rules, "small.yaml", no_table).price_lists["home"]
    assert (home.kind, home.minimum_per) == ("", "kVA")
    assert home.two_part is not None
    assert home.two_part.state_percents == {
        "in_use": 100,
        "suspended": 0,
        "cold_sealed": 0,
        "hot_standby": 0,
    }
    rule = home.two_part.demand_rule
    assert (rule.load_hours_kwh_per_kva, rule.price_percent_above) == (260, 90)
    assert (rule.within_feeder, rule.transferred_kwh_per_kw) == ("highest", {"residential": 180})


def test_prices_are_the_text_of_the_file_and_ratios_become_prices() -> None:
    """0.5283 x 1.605 = 0.8479215 and x 0.4 = 0.21132, rounded to four decimals."""
    energy = read_book(BOOK, "small.yaml", no_table).price_lists["home"].components[0]
    assert energy.price == "0.5283"
    assert energy.period_prices == {"peak": "0.8479", "valley": "0.2113"}
    assert energy.unconfirmed
    exact = BOOK.replace("period_ratios", "period_decimals: 6\n        period_ratios")
    energy = read_book(exact, "small.yaml", no_table).price_lists["home"].components[0]
    assert energy.period_prices == {"peak": "0.847922", "valley": "0.21132"}


def test_a_power_factor_table_is_read_beside_the_book() -> None:
    book = read_book(BOOK + FACTOR, "small.yaml", {"small_table": TABLE}.__getitem__)
    assert book.power_factor is not None
    assert book.power_factor.percents == {"0.90": ("-0.75", "+0.50"), "0.85": ("-1.10", "0")}
    assert (book.power_factor.reactive_quadrants, book.power_factor.step_below) == (
        ("1", "4"),
        "2.00",
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE.replace('"0.99", ', ""), "small_table.yaml: rows: row 2 is"),
        (TABLE.replace('"0.99"', '"0.98"'), "small_table.yaml: rows: row 2 is 0.98"),
        (TABLE.replace('  - ["1.00"', '  - ["1.01"'), "give 1.00, one percentage per standard"),
        (TABLE.replace('step_below: "2.00"\n', ""), "small_table.yaml: step_below: Field req"),
        (TABLE.replace("+0.50", "x"), "small.yaml: power_factor.0.90.row 2: 'x' is no decimal"),
    ],
)
def test_a_wrong_table_is_refused(table: str, message: str) -> None:
    with pytest.raises(BadInput) as wrong:
        read_book(BOOK + FACTOR, "small.yaml", lambda name: table)
    assert message in str(wrong.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: price_book", "kind: cake", "small.yaml: kind: Input should be 'price_book'"),
        ("region: Here\n", "", "small.yaml: region: Field required"),
        ("region: Here", "region: Here\nregoin: x", "small.yaml: regoin: Extra inputs"),
        ("version: 1", "version: one", "small.yaml: version: Input should be a valid integer"),
        ("version: 1", "version: 0", "small.yaml: version: Input should be greater"),
        ("version: 1", "version: 1\nversion: 2", "small.yaml: 'version' is given twice"),
        ("id: small", "id: Small Book", "small.yaml: id: String should match"),
        ("price: 0.5283", "price: 0.5283x", "price_lists.home.components.energy.price: '0.5283x'"),
        ("peak: 1.605", "peak: x", "period_ratios.peak: 'x' is no decimal"),
        (
            "above_kwh: 200.5",
            "above_kwh: 0.0001",
            "tiers.steps.tier.2.above_kwh: '0.0001' has more",
        ),
        ("{large: [100]}", "{large: [x]}", "tiers.allowances_kwh_per_month.large: 'x' is no"),
        ("free_allowance_kwh: 10", "free_allowance_kwh: x", "price_lists.home.free_allowance_kwh"),
        ("[100]", "[100, 100]", "small.yaml: price_lists.home.tiers.allowances.large: 2 figures"),
        ("unit: kWh", "unit: MWh", "components.energy.unit: 'MWh' is unknown; "),
        ("months: [1", "months: [x", "small.yaml: calendars.times.patterns.0.months.0: Input"),
        ("period_ratios: {", "period_prices: {peak: 1}\n        period_ratios: {", "and a ratio"),
        ("source: made up\nrounding", "source: *x\nrounding", "aliases are not used here"),
        ("late_fee:", "late_fee: {", "small.yaml: "),
        ("region: Here", "? [a]\n: Here", "small.yaml: "),
        ("region: Here", "region: \x07", "small.yaml: "),
    ],
)
def test_what_is_wrong_with_a_file_is_named(old: str, new: str, message: str) -> None:
    assert old in BOOK
    assert message in read(BOOK.replace(old, new, 1))


@pytest.mark.parametrize("text", ["", "just words", "- a\n- list", "~"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    assert read(text) == "small.yaml: it holds no mapping of fields (start with `kind: price_book`)"


def test_deep_nesting_is_refused() -> None:
    assert "nested too deeply" in read("kind: " + "[" * 600)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"No such file .*that you may read"):
        load_book(tmp_path / "none.yaml")
    with pytest.raises(BadInput, match="Is a directory"):
        load_book(tmp_path)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_bytes(BOOK.encode("gb18030"))
    with pytest.raises(BadInput, match="not UTF-8 text"):
        load_book(wrong)
    wrong.write_bytes(b" " * (BYTES_MAX + 1))
    with pytest.raises(BadInput, match=r"has over 4000000 bytes"):
        load_book(wrong)
    wrong.write_text(BOOK + FACTOR)
    with pytest.raises(BadInput, match=r"small_table.yaml: No such file"):
        load_book(wrong)
    wrong.write_text(BOOK + FACTOR.replace("small_table", "../small_table"))
    with pytest.raises(BadInput, match=r"power_factor.table: String should match"):
        load_book(wrong)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    marked = tmp_path / "marked.yaml"
    marked.write_bytes(b"\xef\xbb\xbf" + BOOK.encode())
    assert load_book(marked) == read_book(BOOK, "", no_table)


def test_a_directory_of_books(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no price book"):
        load_books(tmp_path)
    (tmp_path / "b.yaml").write_text(BOOK + FACTOR)
    (tmp_path / "a.yaml").write_text(BOOK.replace("version: 1", "version: 2"))
    (tmp_path / "small_table.yaml").write_text(TABLE)
    assert [each.version for each in load_books(tmp_path)] == [1, 2]
    (tmp_path / "c.yaml").write_text(BOOK)
    with pytest.raises(BadInput, match=r"c.yaml: version: small@1 is in two files"):
        load_books(tmp_path)
    (tmp_path / "c.yaml").write_text("kind: cake")
    with pytest.raises(BadInput, match=r"c.yaml: kind"):
        load_books(tmp_path)


def test_the_example_books() -> None:
    assert [each.id for each in load_books(BOOKS)] == [
        "cq-commercial",
        "cq-feed-in",
        "cq-industry-10kv",
        "cq-industry-110kv",
        "cq-residential",
        "zj-feed-in",
        "zj-residential",
    ]
    for book in load_books(BOOKS):
        assert book.source
        for listed in book.price_lists.values():
            assert all(each.source for each in listed.components)


def test_the_shipped_table_is_the_golden_one() -> None:
    golden = Path(__file__).parents[2] / "golden" / "pf_adjustment.csv"
    with golden.open() as lines:
        rows = list(csv.DictReader(lines))
    rule = load_book(BOOKS / "cq_industry_10kv.yaml").power_factor
    assert rule is not None
    assert rule.percents.keys() == {"0.90", "0.85", "0.80"}
    for standard, percents in rule.percents.items():
        expected = [Decimal(row[f"adj_pct_std_{standard}"]) for row in rows]
        assert [Decimal(percent) for percent in percents] == expected
