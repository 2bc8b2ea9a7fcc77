"""Orders for meters behind the simulated concentrator, and lines that reach it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.ingest.events import ReadingOrdered
from services.ingest.line_file import LineBook
from services.ingest.lines import Lines
from services.ingest.reading_qgdw376 import Later, read_behind
from tests.unit.simulators_concentrator.running import NAME, YESTERDAY, Site, address_of

NOW_AT = "2026-02-01T02:00:00Z"
QUICK: dict[str, Any] = {"answer_s": 1.0, "login_s": 2.0, "tries": 1, "backoff_s": 0.05}


def line_of(site: Site) -> str:
    """The line of a concentrator that is dialled."""
    return f"tcp:127.0.0.1:{site.ready['listen']['port']}"


def order_of(line: str, pn: int, kind: str = "daily_freeze", **changes: Any) -> ReadingOrdered:
    """An order to read the meter behind a point."""
    whole = ReadingOrdered(
        order_id=f"P{pn}/{YESTERDAY}/{kind}/1",
        usage_point=f"P{pn}",
        meter_no=f"M{pn}",
        protocol="qgdw376",
        line=line,
        address=f"{NAME}/{pn}/{address_of(pn)}",
        kind=kind,
        day_on=YESTERDAY,
        attempt=1,
        registers=("1-0:1.8.0",),
        retry_at="",
    )
    return replace(whole, **changes)


def lines_with(**fields: Any) -> Lines:
    """Lines whose concentrators answer soon, or not at all."""
    given = {**QUICK, **fields}
    return Lines(b"key", LineBook({"tcp:*": given, "listen:*": given}))


def carry_out(lines: Lines, *orders: ReadingOrdered) -> dict[str, list[Any]]:
    """Every order in turn, as the poller does it: what is put off goes behind the others."""
    found: dict[str, list[Any]] = {order.order_id: [] for order in orders}
    waiting = [(order, tuple[str, ...]()) for order in orders]
    while waiting:
        order, before = waiting.pop(0)
        rest = tuple(other for other, _ in waiting)
        outcome = read_behind(order, lines, NOW_AT, None, before, None, lambda rest=rest: rest)  # type: ignore[misc]
        found[order.order_id].append(outcome)
        if isinstance(outcome, Later):
            waiting.append((order, outcome.frames))
    return found
