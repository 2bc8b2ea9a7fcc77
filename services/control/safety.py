"""Weather, meters that answer, disputes, matches and protections: from the input to what is noted.

control.alarms    weather_told     -> weather_noted, and commands that an alarm stops
ingest.switching  contact_changed  -> contact_noted
control.requests  raise_dispute    -> dispute_noted raised, and commands that it stops
                  decide_dispute   -> dispute_noted upheld (open cases end) or dismissed
                  verify_match     -> match_noted
                  protect          -> protection_noted, and commands that it stops
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from libs.events.core import SHARED, Emit, Item, View, own_key
from libs.events.errors import BadInput
from services.control import cases
from services.control.draft import Draft
from services.control.events import RequestMade, catalogue
from services.control.identifiers import identity
from services.control.instant import parse_day
from services.control.safety_events import (
    ContactNoted,
    DisputeNoted,
    MatchNoted,
    ProtectionNoted,
    WeatherNoted,
    WeatherTold,
)
from services.control.safety_facts import Weather
from services.control.safety_state import DISPUTES_MOST, RAISED

DECISIONS = ("upheld", "dismissed")
PROTECTIONS = ("life_support", "hospital", "school", "key_user", "fire_pump", "hardship", "other")
"""Why somebody is protected for a time: the kinds of domain.md 5, and others by name."""


@catalogue.reads("ingest.contact_changed")
@dataclass(frozen=True, slots=True, kw_only=True)
class ContactChanged:
    """Whether a meter answers, when that changed, and now and then."""

    account_no: str
    usage_point: str
    meter_no: str
    reachable: bool
    data_to_on: str
    told_at: str


# -- weather --------------------------------------------------------------------------------------


def concerned(view: View, item: Item) -> Iterable[str]:
    """The weather concerns the partition, and whoever has a command under way."""
    if not isinstance(item.body, WeatherTold):
        return own_key(view, item)
    known = view.keys()
    return [SHARED, *(key for key in known if _is_switched(view, key))]


def _is_switched(view: View, key: str) -> bool:
    return any(point.under_way is not None for point in view.get(key).points.values())


def on_weather(draft: Draft, key: str, told: WeatherTold) -> Sequence[Emit]:
    """The partition notes it; a command of an account that it stops is cancelled."""
    if key != SHARED:
        cases.recheck(draft)
        return draft.emits
    said = Weather(area=told.area, alarm=told.alarm, from_at=told.from_at, until_at=told.until_at)
    if said in draft.weather:
        return []
    noted = WeatherNoted(
        statement_id=told.statement_id,
        area=told.area,
        alarm=told.alarm,
        from_at=told.from_at,
        until_at=told.until_at,
        person=told.person,
        noted_at=draft.at,
    )
    return [Emit(noted)]


# -- the meter ------------------------------------------------------------------------------------


def on_contact(draft: Draft, told: ContactChanged) -> None:
    """The newer word counts."""
    known = draft.point(told.usage_point).contact
    if known is not None and told.told_at <= known.told_at:
        return
    draft.note(
        ContactNoted(
            account_no=draft.key,
            usage_point=told.usage_point,
            meter_no=told.meter_no,
            reachable=told.reachable,
            data_to_on=told.data_to_on,
            told_at=told.told_at,
        )
    )


def verify_match(draft: Draft, request: RequestMade) -> str:
    """Somebody was there (details: meter_no as it stands on the meter, verified_on, evidence)."""
    verified_on = cases.detail(request, "verified_on")
    parse_day(verified_on, "verified_on")
    if verified_on > draft.today_on:
        raise BadInput("verified_on", f"{verified_on} is in the future", "report it when done")
    noted = draft.point(request.usage_point).noted
    meter_no = cases.detail(request, "meter_no")
    if noted is None or noted.meter_no != meter_no:
        installed = noted.meter_no if noted is not None else "nothing"
        problem = f"{meter_no} is seen, {installed} is installed as far as we know"
        raise BadInput("meter_no", problem, "have the records corrected first")
    draft.note(
        MatchNoted(
            account_no=draft.key,
            usage_point=request.usage_point,
            meter_no=meter_no,
            verified_on=verified_on,
            person=request.person,
            evidence=cases.detail(request, "evidence"),
        )
    )
    return ""


# -- disputes and protections ---------------------------------------------------------------------


def raise_dispute(draft: Draft, request: RequestMade) -> str:
    """The customer disputes what is owed (details: reason); nobody is cut until it is decided.

    The dispute has the id of the request.
    """
    if len(draft.account.disputes) >= DISPUTES_MOST:
        problem = f"{DISPUTES_MOST} disputes are open"
        raise BadInput("account_no", problem, "have them decided first")
    _note_dispute(draft, request, request.request_id, RAISED)
    cases.recheck(draft)
    return ""


def decide_dispute(draft: Draft, request: RequestMade) -> str:
    """Another person decides (details: dispute_id, decision, reason); upheld ends open cases."""
    dispute_id = cases.detail(request, "dispute_id")
    decision = cases.detail(request, "decision")
    found = [each for each in draft.account.disputes if each.dispute_id == dispute_id]
    if not found:
        raise BadInput("dispute_id", f"no dispute {dispute_id!r} is open", "take it from the list")
    if decision not in DECISIONS:
        raise BadInput("decision", f"{decision!r} is none", f"give {' or '.join(DECISIONS)}")
    if identity(found[0].raised_by) == identity(request.person):
        raise BadInput("person", "raised the dispute", "have somebody else decide")
    _note_dispute(draft, request, dispute_id, decision)
    if decision == "upheld":
        cases.call_off(draft, f"dispute {dispute_id} upheld")
    return ""


def _note_dispute(draft: Draft, request: RequestMade, dispute_id: str, state: str) -> None:
    draft.note(
        DisputeNoted(
            dispute_id=dispute_id,
            account_no=draft.key,
            state=state,
            person=request.person,
            reason=cases.detail(request, "reason"),
        )
    )


def protect(draft: Draft, request: RequestMade) -> str:
    """Protect a customer for a time (details: kind, until_on, legal_basis); whoever asks approves.

    The last word of a kind counts, so that a protection ends early by an earlier day.
    """
    kind, until_on = cases.detail(request, "kind"), cases.detail(request, "until_on")
    if kind not in PROTECTIONS:
        raise BadInput("kind", f"{kind!r} is none", f"give one of {', '.join(PROTECTIONS)}")
    parse_day(until_on, "until_on")
    draft.note(
        ProtectionNoted(
            account_no=draft.key,
            kind=kind,
            until_on=until_on,
            approved_by=request.person,
            legal_basis=cases.detail(request, "legal_basis"),
        )
    )
    cases.recheck(draft)
    return ""
