"""The columns of what only one account is charged: its own components, amounts settled by others.

A component holds from a day on, like a transformer. An amount is of the month in which the day of
its row lies; another amount of the same document is a correction of that day.
"""

from __future__ import annotations

from services.customers import rows
from services.customers.cells import read_code, read_price, read_signed_yuan, read_text
from services.customers.column_kinds import (
    FileColumns,
    account_no,
    choices,
    column,
    names,
    until,
    yuan,
)

ACCOUNT_COMPONENTS = FileColumns(
    name="account_components",
    record=rows.ComponentRow,
    columns=(
        account_no(),
        column("code", read_code, "charge; another one than those of the book", "market_energy"),
        *names("市场化电量", "market energy"),
        choices("unit", rows.PRICE_UNITS, "what the price is per; kVA and kW are per month"),
        column("price", read_price, "price, below zero for a rebate", "0.0123", unit="yuan"),
        column(
            "usage_point",
            read_code,
            "point whose energy it is for; empty: the whole account",
            "P-1004",
            empty="",
        ),
        column("source", read_text, "document that says so", "contract 2026-17"),
        until("first day on which it no longer counts; empty while it does"),
    ),
)

EXTERNAL_LINES = FileColumns(
    name="external_lines",
    record=rows.ExternalLineRow,
    happens=True,
    columns=(
        account_no(),
        column("document_no", read_code, "document of who settled it", "TC-2026-03-17"),
        column("code", read_code, "charge", "market_settlement"),
        *names("市场化交易结算", "market settlement"),
        yuan("amount_yuan", read_signed_yuan, "amount, below zero for a credit", "-120.50"),
        column("settled_by", read_text, "who settled it", "Chongqing trading centre"),
    ),
)
