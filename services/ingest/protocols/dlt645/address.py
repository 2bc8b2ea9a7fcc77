"""The address of one meter: a type of its own, so that control cannot name more than one.

`MeterAddress("AAAAAAAAAAAA")` and `MeterAddress("999999999999")` do not exist.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.frame import BROADCAST, is_meter_address, is_wildcard


@dataclass(frozen=True, slots=True)
class MeterAddress:
    """12 digits that name exactly one meter; BadInput for wildcard, broadcast and anything else."""

    digits: str

    def __post_init__(self) -> None:
        if is_meter_address(self.digits):
            return
        if self.digits == BROADCAST or is_wildcard(self.digits):
            raise BadInput(
                "address",
                f"{self.digits} names more than one meter",
                "give the 12 digits of the one meter",
            )
        raise BadInput("address", f"{self.digits!r} is no meter address", "give 12 digits")

    def __str__(self) -> str:
        return self.digits


def parse_address(text: str) -> MeterAddress:
    """A meter number as people write it: 1 to 12 digits, padded with zeros on the left."""
    return MeterAddress(text.strip().rjust(12, "0") if text.strip() else text)
