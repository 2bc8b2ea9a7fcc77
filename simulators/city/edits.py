"""A person edits a day that was estimated: what they look at, and what must become of it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from libs.events.errors import BadInput
from services.control.accounts import Accounts
from services.validation.api import EditWanted, Staff, submit_edit
from services.validation.edit_events import edge_catalogue
from simulators.city.stage import insist

if TYPE_CHECKING:
    from simulators.city.acts import Acts
    from simulators.city.memory import Memory

ROLE = "late_actual"
"""Its meter is silent from 26 February to 7 March."""

REASON = "the family was away, as the neighbour says"
IMPORT = "1-0:1.8.0"


def edit_estimate(acts: Acts, memory: Memory, usage_point: str, day: date, password: str) -> None:
    """Three days later somebody signs in and halves what was estimated for a day."""
    day_on = (day - timedelta(days=3)).isoformat()
    memory.follow()
    seen = latest_usage(memory, usage_point, day_on)
    assert seen["quality"] == "estimated", seen
    file = acts.settings.operators_file
    assert file is not None, "the demo has operators"
    staff = Accounts(file).authenticate("luo", password)
    if staff is None:
        raise BadInput("luo", "is not known with this password", "see write_operators")
    wanted = EditWanted(
        usage_point=usage_point,
        day_on=day_on,
        based_on=seen["revision"],
        after=halved(seen["energy"]),
        reason_code="field_evidence",
        reason=REASON,
    )
    producer = acts.producer("validation.edge", edge_catalogue)
    insist(lambda: submit_edit(producer, Staff(staff.person, staff.role), wanted))


def halved(energy: dict[str, int]) -> dict[str, int]:
    """Half of the import by rate, and the total that the rates then add up to."""
    rates = {
        name: wh // 2
        for name, wh in energy.items()
        if name.startswith("1-0:1.8.") and name != IMPORT
    }
    return {**rates, IMPORT: sum(rates.values()) if rates else energy[IMPORT] // 2}


def latest_usage(memory: Memory, usage_point: str, day_on: str) -> dict[str, Any]:
    """The latest revision of a day."""
    return memory.of("validation.usage_established", usage_point=usage_point, day_on=day_on)[-1]
