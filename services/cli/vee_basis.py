"""`gridledger vee basis`: may rate registers be billed, or must the load profile stand in?

TABLE is the slot table as it was read from the meter, CSV or JSON lines, one row an entry:

    kind    zone (from this day of the year on), slot (from this time of the day on),
            special_day (that day alone), rest_day (that weekday, Monday is 0)
    table   number of the day table that the entry belongs to, or names
    at      01-01, 07:00, 2026-05-01 or 6, by kind
    rate    of a slot: the number of the rate register

A file that ends in .json is one document instead, as ingest.slot_table_read has it: zones
("01-01=1"), day_tables ({"1": ["07:00=3"]}), special_days, rest_weekdays, rest_table.

What the book says comes from --book and --price-list, or from --slots for all days alike. `--json`
prints one object:

    {"stated", "used" (rate_registers, load_profile, "" for neither), "release_blocked",
     "days", "differences": [{"day_on", "from", "to", "meter_rate", "meter_period" ("" for a rate
     without a period), "book_period"}], "findings": [{"rule", "severity", "text", "numbers"}]}

Status 1 when the bill must wait for a person.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.documents import read_json
from libs.events.errors import BadInput
from libs.tou_calendar import PERIODS, SLOTS_PER_DAY, book_on, day_periods, slot_of
from services.billing.price_book_file import load_book
from services.cli.row_file import Row, read_rows
from services.cli.row_values import between, fixed_line
from services.validation.instant import parse_day
from services.validation.policy import DEFAULT_POLICY
from services.validation.slot_texts import slot_table
from services.validation.tou_basis import (
    BASES,
    RATE_REGISTERS,
    BasisVerdict,
    SlotDifference,
    SlotTable,
    judge_basis,
)

KINDS = ("zone", "slot", "special_day", "rest_day")
DOCUMENT = ("zones", "day_tables", "special_days", "rest_weekdays", "rest_table")
RATES = "1=sharp;2=peak;3=flat;4=valley"
DAYS_MOST = 3_660
WIDTHS = (24, 13, 16, 16)
HEADER = ("days", "time", "meter", "book")
CLOCK_LIMIT_S = DEFAULT_POLICY.rule_book.rules["clock_drift"].parameters["fail_s"]


def basis(
    table: Annotated[
        str, typer.Argument(help="The meter's slot table, CSV, JSON lines or .json; -: input.")
    ],
    from_on: Annotated[str, typer.Option("--from", help="The first day.", metavar="DAY")],
    to_on: Annotated[str, typer.Option("--to", help="The last day.", metavar="DAY")],
    book: Annotated[Path | None, typer.Option(help="Price book (YAML).", metavar="FILE")] = None,
    price_list: Annotated[str, typer.Option(help="A list of the book with periods.")] = "",
    slots: Annotated[str, typer.Option(help='"00:00=valley;08:00=peak", every day.')] = "",
    rates: Annotated[str, typer.Option(help="The period of each rate number.")] = RATES,
    stated: Annotated[str, typer.Option(help=f"{' or '.join(BASES)}.")] = RATE_REGISTERS,
    clock_offset_s: Annotated[
        int | None, typer.Option(help="Meter time minus ours, seconds; not read unless given.")
    ] = None,
    clock_limit_s: Annotated[int, typer.Option(help="Off by more is bad; s.")] = CLOCK_LIMIT_S,
    profile_expected: Annotated[int, typer.Option(help="Intervals that there should be.")] = 0,
    profile_found: Annotated[int, typer.Option(help="Intervals that there are.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object.")] = False,
) -> int:
    """Compare a meter's slot table with the calendar of a price book, day by day.

    Its rate registers may be billed where both say the same and its clock is
    right; else the load profile stands in where it is complete, and the bill
    waits for a person: status 1.
    """
    days = _days(from_on, to_on)
    verdict = judge_basis(
        stated,
        table=_table(table),
        book=_periods(days, book, price_list, slots),
        rates={int(rate): period for rate, period in _pairs("--rates", rates).items()},
        clock_offset_s=clock_offset_s,
        clock_limit_s=clock_limit_s,
        profile_expected=profile_expected,
        profile_found=profile_found,
    )
    if as_json:
        print(json.dumps(_document(verdict, len(days)), ensure_ascii=False))
    else:
        _show(verdict, len(days))
    return 1 if verdict.release_blocked else 0


# -- what is given --------------------------------------------------------------------------------


def _days(from_on: str, to_on: str) -> list[str]:
    first, last = parse_day(from_on, "--from"), parse_day(to_on, "--to")
    count = (last - first).days + 1
    if not 1 <= count <= DAYS_MOST:
        problem = f"{to_on} makes {count} days from {from_on} on"
        raise BadInput("--to", problem, f"give a day of the next {DAYS_MOST}")
    return [(first + timedelta(days=number)).isoformat() for number in range(count)]


def _pairs(option: str, text: str) -> dict[str, str]:
    """`1=peak;2=valley` as a dictionary; periods are checked, and rates are numbers."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, _, period = part.strip().partition("=")
        is_name = name.isdecimal() and len(name) <= 2 if option == "--rates" else ":" in name
        if not is_name or period not in PERIODS or name in found:
            example = RATES if option == "--rates" else "00:00=valley;08:00=peak"
            raise BadInput(option, f"{part.strip()!r} is wrong", f'write it like "{example}"')
        found[name] = period
    return found


def _periods(
    days: Iterable[str], path: Path | None, price_list: str, slots: str
) -> dict[str, tuple[str, ...]]:
    """What the book says of every day, in half hours."""
    if (path is None) == (not slots):
        raise BadInput("--book", "is needed, or --slots", "give one of the two")
    if path is None:
        return dict.fromkeys(days, _same_every_day(slots))
    book = load_book(path)
    tou = [code for code, each in book.price_lists.items() if each.calendar]
    if price_list not in tou:
        problem = f"{price_list!r} is no list with periods in {path.name}"
        raise BadInput("--price-list", problem, f"use {', '.join(tou) or 'another book'}")
    calendar = book.calendars[book.price_lists[price_list].calendar]
    found = {}
    for on in days:
        if book_on((book,), (price_list,), on) is None:
            problem = f"{on} is not within {book.from_on} to before {book.until_on}"
            raise BadInput("--book", problem, "give the book that is in force then")
        found[on] = day_periods(calendar, on, frozenset(book.holidays_on))
    return found


def _same_every_day(slots: str) -> tuple[str, ...]:
    begins = {slot_of(time, "--slots"): period for time, period in _pairs("--slots", slots).items()}
    if min(begins) != 0:
        raise BadInput("--slots", "do not begin at 00:00", 'like "00:00=valley;08:00=peak"')
    periods: list[str] = []
    for slot in range(SLOTS_PER_DAY):
        periods.append(begins.get(slot, periods[-1] if periods else ""))
    return tuple(periods)


def _table(path: str) -> SlotTable:
    if path.endswith(".json"):
        return _of_document(path, read_json(Path(path)))
    zones, special, tables = [], [], dict[str, list[str]]()
    rest: set[int] = set()
    rest_table = 0
    row: Row | None = None
    for row in read_rows(path, ("kind", "table", "at"), ("rate",)):
        kind, number, at = row.one_of("kind", KINDS), between(row, "table", 1, 99), row.text("at")
        if kind == "zone":
            zones.append(f"{at}={number}")
        elif kind == "slot":
            tables.setdefault(str(number), []).append(f"{at}={between(row, 'rate', 1, 63)}")
        elif kind == "special_day":
            special.append(f"{at}={number}")
        else:
            rest.add(between(row, "at", 0, 6))
            rest_table = number
        try:  # each text by itself, so that its line is named
            slot_table(zones[-1:], {key: own[-1:] for key, own in tables.items()}, special[-1:])
        except BadInput as wrong:
            raise row.wrong("at", wrong.problem, wrong.fix) from None
    if row is None:
        raise BadInput(path, "has no rows", "give the zones and slots of the meter")
    return slot_table(zones, tables, special, rest, rest_table)


def _of_document(path: str, document: Any) -> SlotTable:
    """One document as the event has it; its other fields are passed over."""
    if not isinstance(document, dict):
        raise BadInput(path, "is no JSON object", f"give one with {', '.join(DOCUMENT)}")
    zones, tables, special, rest, rest_table = (document.get(name) for name in DOCUMENT)
    texts = [("zones", zones), ("special_days", special or [])]
    if not isinstance(tables, dict):
        raise BadInput(f"{path} day_tables", "are missing", 'write {"1": ["00:00=4"]}')
    texts += [(f"day_tables.{number}", slots) for number, slots in tables.items()]
    for name, found in texts:
        if not isinstance(found, list) or any(not isinstance(text, str) for text in found):
            raise BadInput(f"{path} {name}", "is no list of texts", 'write ["01-01=1"]')
    numbers = [*(rest or ()), rest_table or 0] if isinstance(rest or [], list) else [None]
    if any(type(number) is not int for number in numbers):
        raise BadInput(f"{path} rest_weekdays", "are no whole numbers", "Monday is 0")
    try:
        return slot_table(zones or (), tables, special or (), rest or (), rest_table or 0)
    except BadInput as wrong:
        raise BadInput(f"{path} {wrong.field}", wrong.problem, wrong.fix) from None


# -- what is told ---------------------------------------------------------------------------------


def _document(verdict: BasisVerdict, days: int) -> Mapping[str, Any]:
    return {
        "stated": verdict.stated,
        "used": verdict.used,
        "release_blocked": verdict.release_blocked,
        "days": days,
        "differences": [
            {
                "day_on": found.day_on,
                "from": _clock(found.from_minute),
                "to": _clock(found.to_minute),
                "meter_rate": found.meter_rate,
                "meter_period": found.meter_period,
                "book_period": found.book_period,
            }
            for found in verdict.differences
        ],
        "findings": [
            {
                "rule": found.rule,
                "severity": found.severity,
                "text": found.text,
                "numbers": found.numbers,
            }
            for found in verdict.findings
        ],
    }


def _show(verdict: BasisVerdict, days: int) -> None:
    if verdict.differences:
        print(fixed_line(HEADER, WIDTHS))
    for first, last, found in _runs(verdict.differences):
        cells = (
            first if first == last else f"{first} to {last}",
            f"{_clock(found.from_minute)}-{_clock(found.to_minute)}",
            f"rate {found.meter_rate} {found.meter_period or '(no period)'}",
            found.book_period,
        )
        print(fixed_line(cells, WIDTHS))
    for each in verdict.findings:
        print(f"{each.severity.upper()} {each.rule}: {each.text}")
    used = verdict.used.replace("_", " ") or "neither registers nor profile"
    wait = "the bill waits for a person" if verdict.release_blocked else "nothing holds the bill"
    print(f"{days} days, stated {verdict.stated.replace('_', ' ')}, used {used}: {wait}")


def _runs(differences: Iterable[SlotDifference]) -> list[tuple[str, str, SlotDifference]]:
    """The same difference on days that follow each other as one: first day, last day, what."""
    runs: dict[tuple[object, ...], list[tuple[str, str, SlotDifference]]] = {}
    for found in differences:
        same = (found.from_minute, found.to_minute, found.meter_rate, found.book_period)
        own = runs.setdefault(same, [])
        if own and date.fromisoformat(own[-1][1]) + timedelta(days=1) == parse_day(found.day_on):
            own[-1] = (own[-1][0], found.day_on, found)
        else:
            own.append((found.day_on, found.day_on, found))
    every = [run for own in runs.values() for run in own]
    return sorted(every, key=lambda run: (run[0], run[2].from_minute))


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
