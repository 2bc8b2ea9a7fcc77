"""The opening positions of those who owe: an old debt each, with matching control totals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simulators.city.files import write_rows
from simulators.city.people import City

AS_OF = "2026-01-31"
DEBT_YUAN = "186.40"
DEBT_CENTS = 18_640


def write_openings(city: City, directory: Path, roles: Sequence[str]) -> None:
    """The files of `gridledger customers open` for the accounts that play these roles."""
    points = [city.point_of(role) for role in roles]
    write_rows(
        directory / "opening_accounts.csv",
        (
            {
                "account_no": point.account_no,
                "as_of": AS_OF,
                "tier_year_to_date_kwh": 0,
                "prepayment_yuan": "",
            }
            for point in points
        ),
    )
    write_rows(
        directory / "opening_readings.csv",
        (
            {
                "account_no": point.account_no,
                "usage_point": point.usage_point,
                "register": "1-0:1.8.0",
                "reading_kwh": point.initial_kwh,
                "read_on": AS_OF,
            }
            for point in points
        ),
    )
    write_rows(
        directory / "opening_receivables.csv",
        (
            {
                "account_no": point.account_no,
                "invoice_no": f"OLD-2025-12-{point.account_no[-4:]}",
                "amount_yuan": DEBT_YUAN,
                "issued_on": "2025-12-20",
                "due_on": "2026-01-05",
            }
            for point in points
        ),
    )
    (directory / "opening_holds.csv").write_text(
        "account_no,usage_point,reason,since\n", encoding="utf-8"
    )
    totals = {
        "accounts": len(points),
        "readings": len(points),
        "readings_kwh": sum(point.initial_kwh for point in points),
        "tier_year_to_date_kwh": 0,
        "receivables": len(points),
        "receivables_yuan": f"{DEBT_CENTS * len(points) / 100:.2f}",
        "prepayments_yuan": 0,
        "holds": 0,
    }
    write_rows(
        directory / "opening_totals.csv",
        ({"name": name, "value": value} for name, value in totals.items()),
    )
