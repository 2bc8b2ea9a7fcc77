"""What the limit stage decides: whether one relay more of an area may be told to open this hour.

    control.permit_requests -> permit_reserved, permit_refused (also to the account)
                               permit_used, permit_returned

A permit is for the hour of the clock in which it is reserved, and a command goes out in that hour
or not at all. A used permit is never given back, whatever became of the command: an outcome that is
unknown, or told wrongly, frees no place. So in every history

    open commands of an area in an hour <= cap + separate approvals of that hour
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.events.core import Emit, Item, View
from services.control.instant import hour_of
from services.control.limits.events import (
    PermitRefused,
    PermitReserved,
    PermitReturned,
    PermitUsed,
)
from services.control.limits.policy import LimitPolicy
from services.control.limits.reactions import PermitAsked, PermitEnded
from services.control.limits.state import Area

ANSWERS = "control.permit_answers"


def decide(view: View, key: str, item: Item, policy: LimitPolicy) -> Sequence[Emit]:
    """Dispatch by what came in."""
    area: Area = view.get(key) or Area()
    match item.body:
        case PermitAsked():
            answer = _answer(area, key, item.body, hour_of(item.at), policy.opens_per_hour)
            return [Emit(answer), Emit(answer, topic=ANSWERS, key=item.body.account_no)]
        case PermitEnded():
            return _on_ended(area, key, item.body)
    return []


def _answer(
    area: Area, key: str, asked: PermitAsked, hour_at: str, cap: int
) -> PermitReserved | PermitRefused:
    """A place of the cap while there is one; then one of its own for who is approved above it."""
    count = area.count(hour_at)
    is_free = count < cap
    if not is_free and not asked.over_cap_by:
        return PermitRefused(
            permit_id=asked.permit_id,
            area=key,
            account_no=asked.account_no,
            case_id=asked.case_id,
            hour_at=hour_at,
            cap=cap,
            count=count,
        )
    return PermitReserved(
        permit_id=asked.permit_id,
        area=key,
        account_no=asked.account_no,
        case_id=asked.case_id,
        hour_at=hour_at,
        cap=cap,
        count=count + is_free,
        over_cap_by="" if is_free else asked.over_cap_by,
    )


def _on_ended(area: Area, key: str, ended: PermitEnded) -> Sequence[Emit]:
    """A permit that was refused, or is back already, has nothing to give back."""
    place = area.out.get(ended.permit_id)
    if place is None:
        return []
    if ended.how == "used":
        used = PermitUsed(
            permit_id=ended.permit_id,
            area=key,
            hour_at=place.hour_at,
            command_id=ended.command_id,
        )
        return [Emit(used)]
    return [Emit(PermitReturned(permit_id=ended.permit_id, area=key, hour_at=place.hour_at))]
