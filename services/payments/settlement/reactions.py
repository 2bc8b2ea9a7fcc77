"""What the settlement stage takes from payments.postings: bookings, sheets, decisions."""

from __future__ import annotations

from services.payments.bookings import BookingNoted
from services.payments.settlement.events import BookingTaken, FileQuarantined, catalogue
from services.payments.settlement.requests import DiscrepancyDecided, FileRefused, RowsSubmitted

catalogue.reads("payments.booking_noted")(BookingNoted)
catalogue.reads("payments.settlement_rows_submitted")(RowsSubmitted)
catalogue.reads("payments.settlement_file_refused")(FileRefused)
catalogue.reads("payments.discrepancy_decided")(DiscrepancyDecided)


def booking_taken(told: BookingNoted) -> BookingTaken:
    """The own event that a booking becomes."""
    return BookingTaken(booking_id=told.booking_id, row=told.row, is_taken_back=told.is_taken_back)


def quarantined(told: FileRefused) -> FileQuarantined:
    """The own event that a bad file becomes."""
    return FileQuarantined(
        file_sha256=told.file_sha256,
        name=told.name,
        channel=told.channel,
        merchant=told.merchant,
        cause=told.cause,
        line=told.line,
        field=told.field,
        problem=told.problem,
        submitted_by=told.submitted_by,
    )
