"""Manual readings: what a person read at the meter becomes a reading with a source of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from libs.events.edge import EdgeProducer
from libs.events.errors import BadInput
from services.ingest.days import day_end
from services.ingest.events import RegistersRead

READINGS = "ingest.readings"


def enter_reading(
    producer: EdgeProducer,
    *,
    usage_point: str,
    meter_no: str,
    day_on: str,
    registers: Mapping[str, int],
    entered_by: str,
) -> str:
    """Write what somebody read as of 24:00 of a day (Wh or varh as the meter shows); its id."""
    if not registers:
        raise BadInput("registers", "there are none", "give at least one, 1-0:1.8.0=12345.67")
    if not entered_by.strip():
        raise BadInput("by", "nobody is named", "say who read the meter")
    text = f"{usage_point}|{meter_no}|{day_on}|{sorted(registers.items())}|{entered_by}"
    reading_id = f"{usage_point}/{day_on}/manual/{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    body = RegistersRead(
        reading_id=reading_id,
        usage_point=usage_point,
        meter_no=meter_no,
        kind="manual",
        source="manual",
        day_on=day_on,
        read_at=day_end(day_on),
        order_id="",
        registers=dict(registers),
        entered_by=entered_by,
    )
    producer.append(READINGS, usage_point, body)
    return reading_id
