"""What metrology takes from others: meters, and where they were used."""

from __future__ import annotations

from dataclasses import dataclass

from services.metrology.events import MeterNoted, UseNoted, catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterUse:
    """Where a meter served an account, and when it was taken away from there ("" not yet)."""

    usage_point: str
    account_no: str
    from_at: str
    to_at: str
    removed_at: str = ""


@catalogue.reads("customers.meter_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPublished:
    """A meter and its uses by one account; the highest version of (meter, account) counts."""

    meter_no: str
    version: int
    account_no: str
    accuracy_class: str
    connection: str
    verified_on: str
    uses: tuple[MeterUse, ...]
    capacity_va: int = 0
    voltage_class: str = ""


def meter_noted(meter: MeterPublished) -> MeterNoted:
    """The own event of a published meter."""
    return MeterNoted(
        meter_no=meter.meter_no,
        account_no=meter.account_no,
        version=meter.version,
        accuracy_class=meter.accuracy_class,
        connection=meter.connection,
        verified_on=meter.verified_on,
        uses=tuple(
            UseNoted(
                usage_point=use.usage_point,
                account_no=use.account_no,
                from_at=use.from_at,
                to_at=use.to_at,
                removed_at=use.removed_at,
            )
            for use in meter.uses
        ),
        capacity_va=meter.capacity_va,
        voltage_class=meter.voltage_class,
    )
