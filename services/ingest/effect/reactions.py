"""What the executor takes from others: commands of control, and the supply of its points."""

from __future__ import annotations

from dataclasses import dataclass

from services.ingest.days import add_minutes
from services.ingest.events import PlaceNoted, SupplyInstallation, effect_catalogue
from services.ingest.reactions import SupplyPublished, supply_noted


@effect_catalogue.reads("control.command_issued")
@dataclass(frozen=True, slots=True, kw_only=True)
class CommandIssued:
    """A relay command with all that it must still agree with when it is sent."""

    command_id: str
    seq: int
    case_id: str
    account_no: str
    usage_point: str
    meter_no: str
    address: str
    installed_from_at: str
    agreement_version: int
    switching_method: str
    action: str
    clearance_id: str
    issued_at: str
    valid_until_at: str


@effect_catalogue.reads("control.command_cancelled")
@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCancelled:
    """A command that must not be sent any more."""

    command_id: str
    seq: int
    usage_point: str
    reason: str


def place_noted(supply: SupplyPublished) -> PlaceNoted:
    """What a command is compared with, of a published supply."""
    return PlaceNoted(
        usage_point=supply.usage_point,
        account_no=supply.account_no,
        agreement_version=supply.agreement_version,
        switching_method=supply.switching_method,
        supply_version=supply.version,
        installations=supply_noted(supply).installations,
    )


def meter_at(noted: PlaceNoted, at: str) -> SupplyInstallation | None:
    """The meter installed at an instant, None when none is."""
    for meter in reversed(noted.installations):
        if meter.from_at <= at and (not meter.to_at or at < meter.to_at):
            return meter
    return None


def read_back_after(valid_until_at: str, margin_min: int) -> str:
    """When a read-back is final: the frame can no longer be taken, by any clock within margin."""
    return add_minutes(valid_until_at, margin_min)
