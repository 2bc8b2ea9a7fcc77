"""What ingest takes from others: the supply of a point, and its own edge's and effect's records."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.ingest.events import (
    AttemptEnded,
    AttemptStarted,
    CommandRefused,
    PlaceNoted,
    ProfileRead,
    ReadFailed,
    RegistersRead,
    SlotTableRead,
    SupplyInstallation,
    SupplyNoted,
    SwitchingReported,
    catalogue,
    effect_catalogue,
)

for _type, _body in (
    ("ingest.registers_read", RegistersRead),
    ("ingest.profile_read", ProfileRead),
    ("ingest.slot_table_read", SlotTableRead),
    ("ingest.read_failed", ReadFailed),
    ("ingest.place_noted", PlaceNoted),
    ("ingest.command_refused", CommandRefused),
    ("ingest.attempt_started", AttemptStarted),
    ("ingest.attempt_ended", AttemptEnded),
):
    catalogue.reads(_type)(_body)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppliedMeter:
    """Which meter a point has from an instant to an instant, and how it is reached."""

    meter_no: str
    from_at: str
    to_at: str
    protocol: str
    line: str
    address: str


@catalogue.reads("customers.supply_published")
@effect_catalogue.reads("customers.supply_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyPublished:
    """The supply of a usage point, as far as reading and switching need it."""

    usage_point: str
    version: int
    account_no: str
    area: str
    switching_method: str
    registers: tuple[str, ...]
    intervals: bool
    supplied_from_on: str
    supplied_to_on: str
    agreement_version: int
    installations: tuple[SuppliedMeter, ...]
    rate_periods: dict[str, str] = field(default_factory=dict)


def supply_noted(supply: SupplyPublished) -> SupplyNoted:
    """The own event that a published supply becomes."""
    return SupplyNoted(
        usage_point=supply.usage_point,
        version=supply.version,
        account_no=supply.account_no,
        area=supply.area,
        switching_method=supply.switching_method,
        registers=supply.registers,
        intervals=supply.intervals,
        supplied_from_on=supply.supplied_from_on,
        supplied_to_on=supply.supplied_to_on,
        agreement_version=supply.agreement_version,
        installations=tuple(
            SupplyInstallation(
                meter_no=meter.meter_no,
                from_at=meter.from_at,
                to_at=meter.to_at,
                protocol=meter.protocol,
                line=meter.line,
                address=meter.address,
            )
            for meter in supply.installations
        ),
        has_rates=bool(supply.rate_periods),
    )


def switching_reported(
    result: AttemptEnded | CommandRefused, reported_at: str
) -> SwitchingReported:
    """What control is told of an outcome."""
    if isinstance(result, CommandRefused):
        outcome, state, reason = "refused", "", f"{result.check}: {result.detail}"
    else:
        outcome, state, reason = result.outcome, result.state, result.detail
    return SwitchingReported(
        command_id=result.command_id,
        seq=result.seq,
        account_no=result.account_no,
        usage_point=result.usage_point,
        meter_no=result.meter_no,
        action=result.action,
        outcome=outcome,
        state=state,
        reason=reason,
        reported_at=reported_at,
    )
