"""Amounts that another one settled, billed as its document says them 外部结算.

What the trading centre or another retailer settled of a month is a line of that month's bill with
its document, charged once whatever the parts of the month, and no base of anything.

    document T-2026-01, market settlement, -123.45 yuan      ->  one line of -123.45
"""

from __future__ import annotations

from services.billing.agreement import ExternalLine
from services.billing.bill import BillLine, Charge, Finding
from services.billing.stage import Rating


def external_line_stage(rating: Rating) -> None:
    """The amounts of the month, in the first part; a document's line given twice is a finding."""
    if not any(part.terms.external_lines for part in rating.parts):
        return
    usage = rating.parts[0].usage
    given: dict[tuple[str, str], ExternalLine] = {}
    for part in rating.parts:
        for each in part.terms.external_lines:
            key = (each.document_no, each.code)
            if each.month != usage.period:
                continue
            if given.setdefault(key, each) != each:
                text = f"{each.code} of {each.document_no} has two amounts"
                rating.findings.append(Finding(rule="external_line_twice", point="", text=text))
    rating.charges[0] += [
        _charge(each, usage.cycle_from_on, usage.cycle_until_on)
        for _, each in sorted(given.items())
    ]


def _charge(external: ExternalLine, from_on: str, until_on: str) -> Charge:
    """The line of the whole cycle: where a month is cut later, it stays the same line."""
    line = BillLine(
        code=f"external.{external.document_no}.{external.code}",
        name_zh=external.name_zh,
        name_en=external.name_en,
        point="",
        from_on=from_on,
        until_on=until_on,
        quantity=external.amount_fen,
        unit="fen",
        price="100",
        price_unit="%",
        amount_fen=external.amount_fen,
        rule=f"external/{external.document_no}",
        basis={"settled_by": external.settled_by},
    )
    return Charge(line, False, (external.amount_fen, 1))
