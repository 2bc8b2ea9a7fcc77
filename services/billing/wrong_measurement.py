"""Usage that a meter recorded wrongly, in a usage file: what the registers showed, and the case.

    - {point: P1, import_kwh: "1000", measured_wrongly: {kind: wiring, factor: "3"}}
      one of three current transformers reversed: 1,000 kWh recorded, 3,000 kWh rated
    - {point: P1, import_kwh: "120000", measured_wrongly: {kind: error, error_percent: "3.0"}}
      120,000 kWh at +3.0 %: 116,505 kWh

The rules are those of an approved case of metrology (case_rules.py): all energy registers change
alike, and the maximum demand stays as it was recorded. BadInput names place, field and fix.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import Literal

from libs.events.errors import BadInput
from libs.events.quantities import WH_PER_KWH, format_scaled, parse_scaled
from services.billing.case_rules import E4_PCT, change_wh, problem_of_rule
from services.billing.events import CaseNoted
from services.billing.price_book_models import Strict
from services.billing.usage import PointUsage

FACTOR = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(?:/([0-9]{1,6}))?", re.ASCII)
FACTOR_MOST = 10_000


class WrongMeasurementModel(Strict):
    """By how much a meter measured wrongly: its error, or the factor from recorded to true."""

    kind: Literal["error", "wiring", "ratio"]
    error_percent: str = ""
    factor: str = ""


def true_usage(
    model: WrongMeasurementModel, recorded: PointUsage, place: str
) -> tuple[PointUsage, str]:
    """What the point really used, and a note that says how it came about."""
    case = _case(model, recorded, place)

    def true_of(amounts: dict[str, int]) -> dict[str, int]:
        return {name: amount + change_wh(case, amount) for name, amount in amounts.items()}

    import_wh = recorded.import_wh + change_wh(case, recorded.import_wh)
    shown, true = (format_scaled(wh, WH_PER_KWH) for wh in (recorded.import_wh, import_wh))
    what = f"factor {model.factor}" if model.factor else f"error {model.error_percent} %"
    found = replace(
        recorded,
        import_wh=import_wh,
        import_wh_by_rate=true_of(recorded.import_wh_by_rate),
        export_wh=recorded.export_wh + change_wh(case, recorded.export_wh),
        export_wh_by_rate=true_of(recorded.export_wh_by_rate),
        reactive_varh=true_of(recorded.reactive_varh),
    )
    return found, f"{recorded.point}: {shown} kWh recorded, {true} kWh true ({model.kind}, {what})"


def _case(model: WrongMeasurementModel, recorded: PointUsage, place: str) -> CaseNoted:
    needed, other = "factor", "error_percent"
    if model.kind == "error":
        needed, other = other, needed
    if not getattr(model, needed):
        raise BadInput(f"{place}.{needed}", "is missing", f"a case of {model.kind} has it")
    if getattr(model, other):
        raise BadInput(f"{place}.{other}", f"is of no case of {model.kind}", "leave it out")
    factor = _factor(model.factor, f"{place}.factor") if model.factor else Fraction(1)
    error_e4_pct = 0
    if model.error_percent:
        error_e4_pct = parse_scaled(model.error_percent, E4_PCT // 100, f"{place}.error_percent")
    case = CaseNoted(
        case_id="",
        account_no="",
        usage_point=recorded.point,
        status="approved",
        error_e4_pct=error_e4_pct,
        rule=model.kind,
        from_on=recorded.from_on,
        to_on=recorded.until_on,
        kind=model.kind,
        factor_num=factor.numerator,
        factor_den=factor.denominator,
    )
    if problem := problem_of_rule(case):
        raise BadInput(f"{place}.error_percent", problem, "leave it out")
    return case


def _factor(text: str, place: str) -> Fraction:
    found = FACTOR.fullmatch(text)
    over = int(found[2] or 1) if found else 0
    factor = Fraction(found[1]) / over if found and over else Fraction(0)
    if not 0 < factor <= FACTOR_MOST:
        raise BadInput(place, f"{text!r} is no factor", "write true by recorded: 3, 1.5 or 3/2")
    return factor
