"""`gridledger vee basis` on files: verdicts by hand, the document, every kind of wrong input."""

from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace

import pytest

from services.billing.price_book_file import BOOKS
from tests.unit.cli.vee_desk import Desk, desk

__all__ = ["desk"]

RIGHT = "kind,table,at,rate\nzone,1,01-01,\nslot,1,00:00,2\nslot,1,08:00,1\nslot,1,22:00,2\n"
SLOTS = ["--slots", "00:00=valley;08:00=peak;22:00=valley", "--rates", "1=peak;2=valley"]
DAYS = ["--from", "2026-02-01", "--to", "2026-02-03"]
CLOCK = ["--clock-offset-s", "0"]
BOOK = ["--book", str(BOOKS / "cq_commercial.yaml"), "--price-list", "commercial_tou"]


def test_an_equal_table_with_a_right_clock_may_be_billed(desk: Desk) -> None:
    (found,) = desk.documents(["basis", desk.put("t.csv", RIGHT), *SLOTS, *DAYS, *CLOCK])
    assert found == {
        "stated": "rate_registers",
        "used": "rate_registers",
        "release_blocked": False,
        "days": 3,
        "differences": [],
        "findings": [],
    }


def test_rest_days_and_special_days_are_of_their_own(desk: Desk) -> None:
    """1 February 2026 is a Sunday, and the 2nd is special: both count in rate 2 all day."""
    more = "slot,2,00:00,2\nrest_day,2,6,\nspecial_day,2,2026-02-02,\n"
    call = ["basis", desk.put("t.csv", RIGHT + more), *SLOTS, *DAYS, *CLOCK]
    (found,) = desk.documents(call, status=1)
    assert [(each["day_on"], each["from"], each["to"]) for each in found["differences"]] == [
        ("2026-02-01", "08:00", "22:00"),
        ("2026-02-02", "08:00", "22:00"),
    ]
    assert (found["used"], found["release_blocked"]) == ("", True)
    table = desk.call(call, status=1)
    assert "2026-02-01 to 2026-02-02 08:00-22:00   rate 2 valley    peak" in table
    assert "used neither registers nor profile: the bill waits for a person" in table


def test_days_that_do_not_follow_each_other_are_shown_apart(desk: Desk) -> None:
    more = "slot,2,00:00,3\nspecial_day,2,2026-02-01,\nspecial_day,2,2026-02-03,\n"
    table = desk.call(["basis", desk.put("t.csv", RIGHT + more), *SLOTS, *DAYS, *CLOCK], status=1)
    lines = [line.split()[:2] for line in table.splitlines() if "rate 3" in line]
    assert lines[0] == ["2026-02-01", "00:00-08:00"]
    assert ["2026-02-03", "00:00-08:00"] in lines
    assert "rate 3 (no perio" in table


def test_the_document_of_the_event_and_the_book_of_the_project(desk: Desk) -> None:
    """Four hours of January are sharp or not; February is as the book has it."""
    document = {
        "meter_no": "M1",
        "zones": ["01-01=1"],
        "day_tables": {
            "1": ["00:00=4", "07:00=3", "11:00=2", "17:00=3", "20:00=2", "22:00=3", "23:00=4"]
        },
    }
    path = desk.put("t.json", json.dumps(document))
    assert desk.call(["basis", path, *BOOK, *DAYS, *CLOCK]).startswith("3 days")
    days = ["--from", "2026-01-31", "--to", "2026-02-01"]
    profile = ["--profile-expected", "192", "--profile-found", "192"]
    (found,) = desk.documents(["basis", path, *BOOK, *days, *profile], status=1)
    assert [each["book_period"] for each in found["differences"]] == ["sharp"]
    assert found["used"] == "load_profile"
    assert [each["rule"] for each in found["findings"]] == ["tou_slot_table", "tou_clock"]


def test_a_table_may_come_from_standard_input(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = SimpleNamespace(buffer=io.BytesIO(RIGHT.encode()), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", lines)
    assert "nothing holds the bill" in desk.call(["basis", "-", *SLOTS, *DAYS, *CLOCK])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "t.csv"),
        ("kind,table,at,rate\n", "t.csv: has no rows"),
        ("kind,at\nzone,01-01\n", "table"),
        (RIGHT + "slot,1,25:00,1\n", "t.csv line 6 at: '25:00=1' is no slot"),
        (RIGHT + "slot,1,09:00,\n", "t.csv line 6 rate"),
        (RIGHT + "slot,0,09:00,1\n", "t.csv line 6 table"),
        (RIGHT + "zone,1,13-01,\n", "t.csv line 6 at: '13-01=1' is no zone"),
        (RIGHT + "special_day,1,2026-02-30,\n", "t.csv line 6 at: '2026-02-30' is no date"),
        (RIGHT + "special_day,1,1 May,\n", "t.csv line 6 at: '1 May=1' is no day with its table"),
        (RIGHT + "rest_day,1,7,\n", "t.csv line 6 at"),
        (RIGHT + "holiday,1,2026-05-01,\n", "t.csv line 6 kind"),
        (RIGHT + "slot,1,08:00,2\n", "day_tables.1: has two rates at one time"),
        ("kind,table,at,rate\nzone,2,01-01,\n", "day_tables: day table 2 of 2026-02-01 is not"),
        ("kind,table,at,rate\nslot,1,00:00,1\n", "zones: there are none"),
        ("名称".encode("gbk").decode("latin-1"), "t.csv"),
    ],
)
def test_a_wrong_table_is_named_with_line_and_field(desk: Desk, table: str, said: str) -> None:
    line = desk.refused(["basis", desk.put("t.csv", table), *SLOTS, *DAYS])
    assert said in line
    assert line.endswith(")")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("[1]", "t.json: is no JSON object"),
        ("{", "t.json: is no JSON at line 1"),
        ("{}", "t.json day_tables: are missing"),
        ('{"day_tables": {}}', "t.json zones: is no list of texts"),
        ('{"zones": [1], "day_tables": {}}', "t.json zones: is no list of texts"),
        ('{"zones": [], "day_tables": {"1": "x"}}', "t.json day_tables.1: is no list of texts"),
        ('{"zones": [], "day_tables": {"x": []}}', "t.json day_tables.x: 'x' is no number"),
        ('{"zones": [], "day_tables": {}, "rest_weekdays": ["6"]}', "rest_weekdays: are no whole"),
        ('{"zones": [], "day_tables": {}, "rest_weekdays": 6}', "rest_weekdays: are no whole"),
        ('{"zones": [], "day_tables": {}, "rest_weekdays": [7]}', "[7] are no weekdays"),
    ],
)
def test_a_wrong_document_is_named_with_its_field(desk: Desk, document: str, said: str) -> None:
    assert said in desk.refused(["basis", desk.put("t.json", document), *SLOTS, *DAYS])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (DAYS, "--book: is needed, or --slots"),
        ([*SLOTS, *BOOK, *DAYS], "--book: is needed, or --slots"),
        ([*BOOK[:2], *DAYS], "--price-list: '' is no list with periods in cq_commercial.yaml"),
        ([*BOOK, "--from", "2020-01-01", "--to", "2020-01-02"], "--book: 2020-01-01 is not within"),
        (["--book", "no.yaml", *DAYS], "no.yaml"),
        ([*SLOTS, "--from", "2026-02-03", "--to", "2026-02-01"], "--to: 2026-02-01 makes -1 days"),
        ([*SLOTS, "--from", "1900-01-01", "--to", "2026-02-01"], "--to"),
        ([*SLOTS, "--from", "soon", "--to", "2026-02-01"], "--from: 'soon' is no date"),
        (["--slots", "08:00=peak", *DAYS], "--slots: do not begin at 00:00"),
        (["--slots", "00:00=noon", *DAYS], "--slots: '00:00=noon' is wrong"),
        (["--slots", "00:10=peak", *DAYS], "--slots: '00:10' is no half hour"),
        ([*SLOTS[:2], "--rates", "x=peak", *DAYS], "--rates: 'x=peak' is wrong"),
        ([*SLOTS, "--stated", "guess", *DAYS], "basis: 'guess' is unknown"),
    ],
)
def test_a_wrong_option_is_named_with_the_fix(desk: Desk, options: list[str], said: str) -> None:
    assert said in desk.refused(["basis", desk.put("t.csv", RIGHT), *options])
