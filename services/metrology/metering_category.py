"""The category of a metering point, I to V: how important it is, and so how often it is checked.

    2000: 6 GWh a month, or 12 MVA              I        2016: 220 kV and above       I
          1.2 GWh, or 2 MVA                     II             66 and 110 kV          II
          100 MWh, or 315 kVA                   III            10 to 35 kV            III
          below 315 kVA                         IV             380 V                  IV
          one phase                             V              220 V                  V

DL/T 448-2000 as in domain.md §4.3 is the default; the keys of the 2016 edition are UNCONFIRMED and
another named rule set. `classify` gives the highest category that any of its rules gives.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.errors import BadInput

CATEGORIES = ("I", "II", "III", "IV", "V")
KVA = 1_000
KV = 1_000
MWH = 1_000_000
GWH = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteringPoint:
    """What a category depends on; a quantity that nobody stated is None."""

    phases: int
    monthly_energy_wh: int | None = None
    capacity_va: int | None = None
    voltage_v: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRule:
    """From which energy, capacity or voltage on a point is of a category (None: no such key)."""

    category: str
    monthly_energy_wh: int | None = None
    capacity_va: int | None = None
    voltage_v: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRules:
    """One edition. `needs` names the quantities of which one must be stated; a point of
    `single_phase_phases` phases is of the last category, whatever it uses, when that is not 0."""

    id: str
    version: int
    rules: tuple[CategoryRule, ...]
    needs: tuple[str, ...]
    single_phase_phases: int
    otherwise: str
    source: str


EDITION_2000 = CategoryRules(
    id="dlt-448-2000",
    version=1,
    rules=(
        CategoryRule(category="I", monthly_energy_wh=5 * GWH, capacity_va=10_000 * KVA),
        CategoryRule(category="II", monthly_energy_wh=GWH, capacity_va=2_000 * KVA),
        CategoryRule(category="III", monthly_energy_wh=100 * MWH, capacity_va=315 * KVA),
    ),
    needs=("monthly_energy_wh", "capacity_va"),
    single_phase_phases=1,
    otherwise="IV",
    source="DL/T 448-2000 (domain.md §4.3)",
)
EDITION_2016 = CategoryRules(
    id="dlt-448-2016",
    version=1,
    rules=(
        CategoryRule(category="I", voltage_v=220 * KV),
        CategoryRule(category="II", voltage_v=66 * KV),
        CategoryRule(category="III", voltage_v=10 * KV),
        CategoryRule(category="IV", voltage_v=380),
    ),
    needs=("voltage_v",),
    single_phase_phases=0,
    otherwise="V",
    source="UNCONFIRMED: DL/T 448-2016, by voltage (domain.md §4.3)",
)
EDITIONS = {rules.id: rules for rules in (EDITION_2000, EDITION_2016)}


def classify(point: MeteringPoint, rules: CategoryRules = EDITION_2000) -> str:
    """The category of a point; BadInput when it lacks what the edition needs, or is impossible."""
    if point.phases not in (1, 3):
        raise BadInput("phases", f"is {point.phases}", "use 1 or 3")
    for name in ("monthly_energy_wh", "capacity_va", "voltage_v"):
        value = getattr(point, name)
        if value is not None and value < 0:
            raise BadInput(name, f"is {value}", "give a quantity of zero or more")
    if point.phases == rules.single_phase_phases:
        return CATEGORIES[-1]
    if all(getattr(point, name) is None for name in rules.needs):
        raise BadInput(
            rules.needs[0], "is not known", f"{rules.id} needs {' or '.join(rules.needs)}"
        )
    for rule in rules.rules:
        for name in rules.needs:
            value, least = getattr(point, name), getattr(rule, name)
            if value is not None and value >= least:
                return rule.category
    return rules.otherwise
