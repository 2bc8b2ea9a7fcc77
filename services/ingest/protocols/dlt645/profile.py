"""What differs between meters of the same standard, as data with documented defaults.

Every field is something that domain.md marks UNCONFIRMED or that makers do differently. A meter
type that deviates gets `Dlt645Profile(name="maker-x", load_record_separators="own")`.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.ingest.protocols.dlt645.identifiers import Item
from services.ingest.protocols.dlt645.status import RELAY_COMMAND_BIT, RELAY_OPEN_BIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Dlt645Profile:
    """How one type of meter speaks.

    zone_minutes: its clock runs in this zone, minutes east of Greenwich (China has no DST).
    lead_bytes: FEH sent before a request to wake the line; 4 is what field frames have.
    extra_items: rows that win over `identifiers.ITEMS`.
    relay_open_bit, relay_command_bit: bits of status word 3 (confirmed by one capture).
    freeze_parts: DI1 of what a daily freeze is read for: import, export, reactive by quadrant,
        import demand (UNCONFIRMED beyond 01 and 02); what the meter refuses is listed as missing.
    load_classes: load-profile classes with energy registers: 4 active, 5 reactive by quadrant.
    load_records_per_request: at most 9 by default, because it is UNCONFIRMED whether the count is
        BCD or binary, and up to 9 they are equal.
    load_record_separators: "all" = one AAH for every class, empty ones too; "own" = only behind
        the class asked for (both occur in the field; UNCONFIRMED which a given meter has).
    load_interval_minutes: how far apart its records are.
    rest_day_bit: what a bit of the weekend word (04000801) is for a day of rest; 0 is rest and 1
        work by default, bit 0 Sunday (UNCONFIRMED).
    """

    name: str = "standard"
    zone_minutes: int = 480
    lead_bytes: int = 4
    extra_items: tuple[Item, ...] = ()
    relay_open_bit: int = RELAY_OPEN_BIT
    relay_command_bit: int = RELAY_COMMAND_BIT
    freeze_parts: tuple[str, ...] = ("01", "02", "05", "06", "07", "08", "09")
    load_classes: tuple[int, ...] = (4, 5)
    load_records_per_request: int = 9
    load_record_separators: str = "all"
    load_interval_minutes: int = 15
    rest_day_bit: int = 0


STANDARD = Dlt645Profile()
