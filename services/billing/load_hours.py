"""The demand price by how well the capacity is used: 2023 rule of the demand tariff.

Who uses as many kWh per kVA in a month as the rule says pays a percentage of the demand price
(260 kWh and 90 %, UNCONFIRMED). What is counted is the energy of all the account's points over the
month, without what was transferred to others.

    1,000 kVA and 260,000 kWh   ->  90 % of the price;   259,999 kWh   ->  all of it
"""

from __future__ import annotations

from services.billing.price_book import DemandRule

WHOLE = 100


def price_percent(rule: DemandRule, energy_wh: int, capacity_va: int) -> int:
    """How many per cent of its price a demand is charged at; Wh per VA are kWh per kVA."""
    needed_wh = rule.load_hours_kwh_per_kva * capacity_va
    if needed_wh == 0 or energy_wh < needed_wh:
        return WHOLE
    return rule.price_percent_above
