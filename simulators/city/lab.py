"""What the laboratory of the demo registers, and the trail of the seal that somebody breaks.

Bench B2 was due on 31 March and still says that its reference is in time: its run of April must be
refused, and B1 judges the meter then. A seal is applied in April, found broken by the crew six days
later, and put back on the meter, which no seal may be.
"""

from __future__ import annotations

from datetime import date

from services.metrology.seal_custody import SealEvent
from services.metrology.standards_register import CertifiedStandard

REFERENCE, REFERENCE_DUE_ON = "R-77", "2027-03-01"
LATE_BENCH, LATE_DUE_ON = "B2", "2026-03-31"
SEAL = "F-20260401"
SEALED_ON = date(2026, 4, 1)
BROKEN_ON = date(2026, 4, 7)


def standards() -> tuple[CertifiedStandard, ...]:
    """The register: two benches, of which one is out of date since the end of March."""
    return (
        _standard("bench", "B1", "2025-03-01", "2027-02-28"),
        _standard("bench", LATE_BENCH, "2024-04-01", LATE_DUE_ON),
        _standard("reference_meter", REFERENCE, "2025-03-02", REFERENCE_DUE_ON),
    )


def _standard(kind: str, number: str, from_on: str, due_on: str) -> CertifiedStandard:
    return CertifiedStandard(
        kind=kind,
        standard_no=number,
        certificate_no=f"Z-{number}-{from_on[:4]}",
        accuracy_class="0.05",
        from_on=from_on,
        due_on=due_on,
    )


def sealing(meter_no: str, at: str) -> tuple[SealEvent, ...]:
    """A seal is issued to zhou, who applies it."""
    return (
        SealEvent(
            seal_no=SEAL, action="issue", by="store", at=at, kind="installation", holder="zhou"
        ),
        SealEvent(
            seal_no=SEAL,
            action="apply",
            by="zhou",
            at=at,
            device_no=meter_no,
            location="terminal cover",
        ),
    )


def breaking(meter_no: str, at: str) -> tuple[SealEvent, ...]:
    """The crew finds it broken, and one of them puts it back."""
    return (
        SealEvent(
            seal_no=SEAL,
            action="break",
            by="crew 7",
            at=at,
            device_no=meter_no,
            reason="cut through",
            photo="IMG-0407.jpg",
        ),
        SealEvent(
            seal_no=SEAL,
            action="apply",
            by="crew 7",
            at=at,
            device_no=meter_no,
            location="terminal cover",
        ),
    )
