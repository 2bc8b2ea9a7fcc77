"""How what control notes of weather, meters, disputes, matches and protections changes the state.

A partition keeps one statement of the weather per area (0.1 kB), and none that is over. An account
keeps 0.1 kB per point for its meter's contact and match, its open disputes (at most
`DISPUTES_MOST`) and one protection of each kind.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from services.control.events import NoticeServed
from services.control.safety_events import (
    ContactNoted,
    DisputeNoted,
    MatchNoted,
    ProtectionNoted,
    WeatherNoted,
)
from services.control.safety_facts import Contact, Dispute, Match, Protection, Service, Weather

if TYPE_CHECKING:
    from services.control.state import Account, Point, Shared

SafetyNoted = ContactNoted | DisputeNoted | MatchNoted | ProtectionNoted
DISPUTES_MOST = 8
RAISED = "raised"


def note_weather(shared: Shared, event: WeatherNoted) -> Shared:
    """The statement replaces that of its area; those that are over go."""
    others = (
        each
        for each in shared.weather
        if each.area != event.area and each.until_at > event.noted_at
    )
    told = Weather(
        area=event.area, alarm=event.alarm, from_at=event.from_at, until_at=event.until_at
    )
    weather = sorted((*others, told), key=lambda each: each.area)
    return replace(shared, weather=tuple(weather))


def note_safety(account: Account, event: SafetyNoted) -> Account:
    """Contact and match are of a point; disputes and protections of the account."""
    match event:
        case ContactNoted():
            contact = Contact(
                meter_no=event.meter_no,
                is_reachable=event.reachable,
                data_to_on=event.data_to_on,
                told_at=event.told_at,
            )
            return _with(account, replace(account.point(event.usage_point), contact=contact))
        case MatchNoted():
            matched = Match(
                meter_no=event.meter_no, verified_on=event.verified_on, person=event.person
            )
            return _with(account, replace(account.point(event.usage_point), matched=matched))
        case DisputeNoted():
            open_ones = tuple(
                each for each in account.disputes if each.dispute_id != event.dispute_id
            )
            if event.state == RAISED:
                raised = Dispute(dispute_id=event.dispute_id, raised_by=event.person)
                open_ones = (*open_ones, raised)
            return replace(account, disputes=open_ones)
        case _:
            others = (each for each in account.protections if each.kind != event.kind)
            known = Protection(
                kind=event.kind,
                until_on=event.until_on,
                approved_by=event.approved_by,
                legal_basis=event.legal_basis,
            )
            protections = sorted((*others, known), key=lambda each: each.kind)
            return replace(account, protections=tuple(protections))


def _with(account: Account, point: Point) -> Account:
    return replace(account, points={**account.points, point.usage_point: point})


def form_of(event: NoticeServed) -> Service:
    """In which form a notice was served."""
    return Service(
        channel=event.channel,
        recipient=event.recipient,
        evidence=event.evidence,
        authority_copy_at=event.authority_copy_at,
    )
