"""Billable usage of an account, as validation hands it over, and its split by days.

`from_on` is the first day, `until_on` the day after the last one. A part of a month (after a change
of book, or from moving in) has the same billing cycle and fewer days.

    january = AccountUsage(account="3100012345", period="2026-01",
                           cycle_from_on="2026-01-01", cycle_until_on="2026-02-01",
                           from_on="2026-01-01", until_on="2026-02-01",
                           points=(PointUsage(point="P1", import_wh=523_000, ...),))
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from services.billing.calendar import days_between

QUALITIES = ("actual", "estimated")


@dataclass(frozen=True, slots=True, kw_only=True)
class PointUsage:
    """What one usage point used; by rate number of its meter, reactive by quadrant.

    `demand_w` is the maximum demand of the cycle, None where the meter has no such register.
    `exchanged` says that a meter exchange lies within the days, `prorated` that the energy was
    split by days. `reading_ids` are the readings behind the figures. On `blocked_days` of the days
    a person must look at what the energy by rate rests on.
    """

    point: str
    from_on: str
    until_on: str
    import_wh: int
    import_wh_by_rate: dict[str, int] = field(default_factory=dict)
    export_wh: int = 0
    export_wh_by_rate: dict[str, int] = field(default_factory=dict)
    reactive_varh: dict[str, int] = field(default_factory=dict)
    demand_w: int | None = None
    demand_at: str = ""
    quality: str = "actual"
    exchanged: bool = False
    prorated: bool = False
    reading_ids: tuple[str, ...] = ()
    blocked_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUsage:
    """The usage of all points of an account in days of one billing cycle."""

    account: str
    period: str
    cycle_from_on: str
    cycle_until_on: str
    from_on: str
    until_on: str
    points: tuple[PointUsage, ...]


def split_usage(usage: AccountUsage, on: str) -> tuple[AccountUsage, AccountUsage]:
    """The usage before and from a day, in proportion to days; nothing is lost, to the Wh.

    For a change of book or class where no reading of that day exists. A point that was read at the
    change should be handed over as two usages instead. The maximum demand is one of the whole cycle
    and stays in both parts.
    """
    assert usage.from_on < on < usage.until_on, f"{on} is not between the usage's days"
    before: list[PointUsage] = []
    after: list[PointUsage] = []
    for each in usage.points:
        if each.until_on <= on:
            before.append(each)
        elif each.from_on >= on:
            after.append(each)
        else:
            first, rest = _split_point(each, on)
            before.append(first)
            after.append(rest)
    return (
        replace(usage, until_on=on, points=tuple(before)),
        replace(usage, from_on=on, points=tuple(after)),
    )


def _split_point(usage: PointUsage, on: str) -> tuple[PointUsage, PointUsage]:
    days = days_between(usage.from_on, on)
    all_days = days_between(usage.from_on, usage.until_on)

    def shares(amounts: dict[str, int]) -> dict[str, int]:
        return {key: amount * days // all_days for key, amount in amounts.items()}

    first = replace(
        usage,
        until_on=on,
        import_wh=usage.import_wh * days // all_days,
        import_wh_by_rate=shares(usage.import_wh_by_rate),
        export_wh=usage.export_wh * days // all_days,
        export_wh_by_rate=shares(usage.export_wh_by_rate),
        reactive_varh=shares(usage.reactive_varh),
        prorated=True,
        blocked_days=min(usage.blocked_days, days),
    )
    rest = replace(
        usage,
        from_on=on,
        import_wh=usage.import_wh - first.import_wh,
        import_wh_by_rate=_less(usage.import_wh_by_rate, first.import_wh_by_rate),
        export_wh=usage.export_wh - first.export_wh,
        export_wh_by_rate=_less(usage.export_wh_by_rate, first.export_wh_by_rate),
        reactive_varh=_less(usage.reactive_varh, first.reactive_varh),
        prorated=True,
        blocked_days=usage.blocked_days - first.blocked_days,
    )
    return first, rest


def _less(amounts: dict[str, int], parts: dict[str, int]) -> dict[str, int]:
    return {key: amount - parts[key] for key, amount in amounts.items()}
