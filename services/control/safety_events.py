"""What control notes of weather, meters, disputes, matches and protections.

A statement about the weather comes from control's edge on every partition (control.alarms) and is
noted once for the partition, not for an account.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.control.events import catalogue, edge_catalogue


@edge_catalogue.event("control.weather_told")
@dataclass(frozen=True, slots=True, kw_only=True)
class WeatherTold:
    """Somebody states the weather of an area ("" everywhere) for a time (control.alarms, every
    partition). alarm: what is raised, "" when nothing is."""

    statement_id: str
    area: str
    alarm: str
    from_at: str
    until_at: str
    person: str


catalogue.reads("control.weather_told")(WeatherTold)


@catalogue.event("control.weather_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class WeatherNoted:
    """The statement that counts for its area from now on; the one before does not any more."""

    statement_id: str
    area: str
    alarm: str
    from_at: str
    until_at: str
    person: str
    noted_at: str


@catalogue.event("control.contact_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class ContactNoted:
    """Whether a point's meter answers from afar, and up to which day its readings are in."""

    account_no: str
    usage_point: str
    meter_no: str
    reachable: bool
    data_to_on: str
    told_at: str


@catalogue.event("control.dispute_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeNoted:
    """state: raised, upheld (the customer is right), dismissed; person: who raised or decided."""

    dispute_id: str
    account_no: str
    state: str
    person: str
    reason: str


@catalogue.event("control.match_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class MatchNoted:
    """Somebody saw on site that the meter of the point measures the customer's household."""

    account_no: str
    usage_point: str
    meter_no: str
    verified_on: str
    person: str
    evidence: str


@catalogue.event("control.protection_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionNoted:
    """Nobody cuts the customer up to and including until_on; the last word of a kind counts."""

    account_no: str
    kind: str
    until_on: str
    approved_by: str
    legal_basis: str
