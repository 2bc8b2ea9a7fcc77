"""Whether meter, transformers and capacity fit each other at a customer: over- and under-sized.

    315 kVA at 10 kV, CT 30/5, meter 1.5(6) A     315 kVA / (sqrt 3 x 10 kV) = 18.186 A, that is
                                                  60.62 % of the CT: fits
    the same with a CT 10/5                       181.86 %: ct_undersized
    the same with a CT 150/5                      12.12 %: ct_oversized

The load is what the transformers can carry, or the stated load where there is one. Currents are
exact up to the square root of three, which is taken once, to the milliampere, rounded down. The
bounds are data (`MatchRules`): DL/T 448-2000 5.4 and table 1, from memory, UNCONFIRMED.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import isqrt

from libs.events.errors import BadInput
from libs.events.quantities import floor_div, format_scaled, half_even_div
from services.metrology.judgement import class_number
from services.metrology.metering_category import CATEGORIES

MILLI = 1_000
HUNDRED_PCT_E2 = 10_000
DIRECT, VIA_CT = "direct", "ct"
CONNECTIONS = (DIRECT, VIA_CT)
POSSIBLE: Mapping[str, int] = {
    "voltage_v": 1_200_000,
    "capacity_va": 10**10,
    "load_va": 10**10,
    "base_ma": 1_000_000,
    "imax_ma": 1_000_000,
    "ct_primary_ma": 100_000_000,
    "ct_secondary_ma": 100_000,
    "vt_primary_v": 1_200_000,
    "vt_secondary_v": 1_000,
}
"""What no customer has more of: a larger number is another unit, or a slip of the pen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRules:
    """The bounds, in hundredths of a per cent (`_e2_pct`) of what is said.

    CT: load current of its rated primary current. Direct meter: load current of Imax, and Imax of
    the load current. Meter behind a CT: Imax of the rated secondary current. Transformer: load of
    capacity. `direct_ma_max`: from where on a CT is wanted. Weakest classes by category.
    """

    id: str
    version: int
    ct_least_e2_pct: int
    ct_most_e2_pct: int
    direct_least_e2_pct: int
    direct_most_e2_pct: int
    meter_imax_least_e2_pct: int
    meter_imax_most_e2_pct: int
    transformer_least_e2_pct: int
    transformer_most_e2_pct: int
    direct_ma_max: int
    meter_class_max: Mapping[str, str]
    ct_class_max: Mapping[str, str]
    vt_class_max: Mapping[str, str]
    sources: Mapping[str, str] = field(default_factory=dict)


DEFAULT_MATCH_RULES = MatchRules(
    id="dlt-448-2000-match",
    version=1,
    ct_least_e2_pct=3_000,
    ct_most_e2_pct=10_000,
    direct_least_e2_pct=500,
    direct_most_e2_pct=10_000,
    meter_imax_least_e2_pct=12_000,
    meter_imax_most_e2_pct=40_000,
    transformer_least_e2_pct=3_000,
    transformer_most_e2_pct=10_000,
    direct_ma_max=60_000,
    meter_class_max={"I": "0.5S", "II": "0.5S", "III": "1", "IV": "2", "V": "2"},
    ct_class_max={"I": "0.2S", "II": "0.2S", "III": "0.5S", "IV": "0.5S", "V": "0.5S"},
    vt_class_max={"I": "0.2", "II": "0.2", "III": "0.5", "IV": "0.5", "V": "0.5"},
    sources={
        "ct": "UNCONFIRMED: DL/T 448-2000 5.4: about 60 %, at least 30 % of the rated current",
        "direct": "UNCONFIRMED: the load within Imax, and not below 5 % of it",
        "meter_imax": "UNCONFIRMED: DL/T 448-2000 5.4: Imax about 120 % of the secondary current",
        "transformer": "UNCONFIRMED: a load of 30 to 100 % of the capacity",
        "direct_ma_max": "UNCONFIRMED: direct metering up to 60 A",
        "class_max": "UNCONFIRMED: DL/T 448-2000 table 1",
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteringSet:
    """What is installed at a point and what it serves.

    voltage_v: nominal, between lines for three phases; capacity_va: sum of the transformers, 0 for
    a customer without one of his own; load_va: stated load, 0 when there is none; rated currents in
    milliamperes; ct_* and vt_* 0 or "" where there is none. Behind a VT the meter measures
    `vt_secondary_v`.
    """

    usage_point: str
    account_no: str = ""
    phases: int
    voltage_v: int
    capacity_va: int
    load_va: int
    connection: str
    meter_class: str
    base_ma: int
    imax_ma: int
    ct_primary_ma: int = 0
    ct_secondary_ma: int = 0
    ct_class: str = ""
    vt_primary_v: int = 0
    vt_secondary_v: int = 0
    vt_class: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchFinding:
    """What does not fit: the rule, the number found, the bound it breaks, and the sum in words."""

    rule: str
    found_e2_pct: int | None
    bound_e2_pct: int | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """All findings of a point, with the current of its load and the rules' id."""

    usage_point: str
    account_no: str
    load_current_ma: int
    ratio: str
    findings: tuple[MatchFinding, ...]
    rules: str


def load_current_ma(load_va: int, voltage_v: int, phases: int) -> int:
    """The current of a load: S / U for one phase, S / (sqrt 3 x U) for three, rounded down."""
    if phases == 1:
        return floor_div(load_va * MILLI, voltage_v)
    # isqrt of the exact square: no binary float, and the same on every machine.
    return isqrt((load_va * MILLI) ** 2 // (3 * voltage_v**2))


def match(metering: MeteringSet, rules: MatchRules = DEFAULT_MATCH_RULES) -> Match:
    """What does not fit at a point; BadInput for what can be no metering set at all."""
    check_set(metering)
    load_va = metering.load_va or metering.capacity_va
    current_ma = load_current_ma(load_va, metering.voltage_v, metering.phases)
    findings = [
        *_transformer(metering, rules),
        *(_behind_ct(metering, current_ma, rules) if metering.connection == VIA_CT else ()),
        *(_direct(metering, current_ma, rules) if metering.connection == DIRECT else ()),
        *_classes(metering, rules),
    ]
    ratio = Fraction(metering.ct_primary_ma or 1, metering.ct_secondary_ma or 1)
    ratio *= Fraction(metering.vt_primary_v or 1, metering.vt_secondary_v or 1)
    return Match(
        usage_point=metering.usage_point,
        account_no=metering.account_no,
        load_current_ma=current_ma,
        ratio=str(ratio),
        findings=tuple(findings),
        rules=f"{rules.id} v{rules.version}",
    )


def check_set(metering: MeteringSet) -> None:
    """BadInput names the first quantity that is impossible or contradicts another."""
    if metering.phases not in (1, 3):
        raise BadInput("phases", f"is {metering.phases}", "use 1 or 3")
    if metering.connection not in CONNECTIONS:
        problem = f"{metering.connection!r} is unknown"
        raise BadInput("connection", problem, f"use {', '.join(CONNECTIONS)}")
    if metering.category and metering.category not in CATEGORIES:
        problem = f"{metering.category!r} is unknown"
        raise BadInput("category", problem, f"use {', '.join(CATEGORIES)}")
    for name, most in POSSIBLE.items():
        if getattr(metering, name) > most:
            problem = f"is {getattr(metering, name)}, impossible"
            raise BadInput(name, problem, f"at most {most}: look at the unit")
    for name in ("voltage_v", "base_ma", "imax_ma"):
        if getattr(metering, name) <= 0:
            raise BadInput(name, f"is {getattr(metering, name)}", "give a number above zero")
    for name in ("capacity_va", "load_va"):
        if getattr(metering, name) < 0:
            raise BadInput(name, f"is {getattr(metering, name)}", "give zero or more")
    if metering.capacity_va == metering.load_va == 0:
        raise BadInput("capacity_va", "is 0 without a load", "give the capacity or the load")
    if metering.imax_ma < metering.base_ma:
        raise BadInput("imax_ma", f"is below the base of {metering.base_ma}", "give Imax")
    for one, other in (("ct_primary_ma", "ct_secondary_ma"), ("vt_primary_v", "vt_secondary_v")):
        if (getattr(metering, one) > 0) != (getattr(metering, other) > 0):
            raise BadInput(one, "stands without its other side", "give both, or neither")
        if min(getattr(metering, one), getattr(metering, other)) < 0:
            raise BadInput(one, "is negative", "give numbers above zero")
    if (metering.connection == VIA_CT) != (metering.ct_primary_ma > 0):
        problem = f"does not fit the connection {metering.connection}"
        raise BadInput(
            "ct_primary_ma", problem, "a CT stands with the connection ct, and only there"
        )


def _transformer(metering: MeteringSet, rules: MatchRules) -> Iterator[MatchFinding]:
    if not (metering.capacity_va and metering.load_va):
        return
    share = _share(metering.load_va, metering.capacity_va)
    text = (
        f"a load of {_kva(metering.load_va)} is {_pct(share)} "
        f"of the capacity of {_kva(metering.capacity_va)}"
    )
    bounds = (rules.transformer_least_e2_pct, rules.transformer_most_e2_pct)
    yield from _outside("transformer", share, bounds, text)


def _behind_ct(metering: MeteringSet, current_ma: int, rules: MatchRules) -> Iterator[MatchFinding]:
    share = _share(current_ma, metering.ct_primary_ma)
    ct = f"{_amperes(metering.ct_primary_ma)}/{_amperes(metering.ct_secondary_ma)} A"
    text = f"{_amperes(current_ma)} A are {_pct(share)} of the CT {ct}"
    yield from _outside("ct", share, (rules.ct_least_e2_pct, rules.ct_most_e2_pct), text)
    share = _share(metering.imax_ma, metering.ct_secondary_ma)
    text = f"Imax {_amperes(metering.imax_ma)} A is {_pct(share)} of the secondary of the CT {ct}"
    if share < rules.meter_imax_least_e2_pct:
        yield _finding("meter_undersized", share, rules.meter_imax_least_e2_pct, text)
    if share > rules.meter_imax_most_e2_pct:
        yield _finding("meter_oversized", share, rules.meter_imax_most_e2_pct, text)
    if metering.vt_primary_v and metering.vt_primary_v != metering.voltage_v:
        text = f"a VT of {metering.vt_primary_v} V at {metering.voltage_v} V"
        yield MatchFinding(rule="vt_mismatch", found_e2_pct=None, bound_e2_pct=None, text=text)


def _direct(metering: MeteringSet, current_ma: int, rules: MatchRules) -> Iterator[MatchFinding]:
    share = _share(current_ma, metering.imax_ma)
    text = f"{_amperes(current_ma)} A are {_pct(share)} of Imax {_amperes(metering.imax_ma)} A"
    bounds = (rules.direct_least_e2_pct, rules.direct_most_e2_pct)
    yield from _outside("meter", share, bounds, text)
    if current_ma > rules.direct_ma_max:
        most = _amperes(rules.direct_ma_max)
        text = f"{_amperes(current_ma)} A are more than {most} A without a CT"
        yield MatchFinding(rule="ct_missing", found_e2_pct=None, bound_e2_pct=None, text=text)


def _classes(metering: MeteringSet, rules: MatchRules) -> Iterator[MatchFinding]:
    """Every device that is coarser than its category allows."""
    for name, found, weakest in (
        ("meter", metering.meter_class, rules.meter_class_max),
        ("ct", metering.ct_class, rules.ct_class_max),
        ("vt", metering.vt_class, rules.vt_class_max),
    ):
        most = weakest.get(metering.category)
        if found and most and is_coarser(found, most):
            text = f"class {found}, category {metering.category} wants {most} or better"
            rule = f"{name}_class_too_coarse"
            yield MatchFinding(rule=rule, found_e2_pct=None, bound_e2_pct=None, text=text)


def is_coarser(accuracy_class: str, than: str) -> bool:
    """Whether a class is worse: a larger number, or no S where the other has one."""
    one, other = class_number(accuracy_class), class_number(than)
    return one > other or (one == other and than.endswith("S") and accuracy_class[-1] != "S")


def _outside(name: str, share: int, bounds: tuple[int, int], text: str) -> Iterator[MatchFinding]:
    """Below the least the device is too large, above the most too small."""
    least, most = bounds
    if share < least:
        yield _finding(f"{name}_oversized", share, least, text)
    if share > most:
        yield _finding(f"{name}_undersized", share, most, text)


def _finding(rule: str, share: int, bound: int, text: str) -> MatchFinding:
    side = "at least" if share < bound else "at most"
    full = f"{text}, {side} {_pct(bound)}"
    return MatchFinding(rule=rule, found_e2_pct=share, bound_e2_pct=bound, text=full)


def _share(part: int, whole: int) -> int:
    """A share in hundredths of a per cent, rounded half even."""
    return half_even_div(part * HUNDRED_PCT_E2, whole)


def _pct(share: int) -> str:
    return f"{format_scaled(share, 100)} %"


def _amperes(value_ma: int) -> str:
    return format_scaled(value_ma, MILLI)


def _kva(value_va: int) -> str:
    return f"{format_scaled(value_va, MILLI)} kVA"
