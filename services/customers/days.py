"""Days and instants of the utility, without a clock.

A day begins at 00:00 in the utility's zone. China has one zone and no daylight-saving time, so the
zone is an offset.

    day_start_at("2026-02-01") == "2026-01-31T16:00:00Z"
    day_of("2026-01-31T16:00:00Z") == "2026-02-01"
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

from libs.events.errors import BadInput

UTC_OFFSET_MINUTES = 480
"""Asia/Shanghai."""

_ZONE = timezone(timedelta(minutes=UTC_OFFSET_MINUTES))
_YEAR = r"(19|2\d)\d\d"  # an account older than 1900 is a slip of the pen
_DAY = re.compile(_YEAR + r"-\d{2}-\d{2}", re.ASCII)
_LOCAL = re.compile(_YEAR + r"-\d{2}-\d{2} \d{2}:\d{2}(:\d{2})?", re.ASCII)
_INSTANT = re.compile(_YEAR + r"-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)


def read_day(text: str, column: str) -> str:
    """A day such as `2026-01-31`; BadInput names the column when it is none."""
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            pass
    raise BadInput(column, f"{text!r} is no day", "write it like 2026-01-31")


def read_instant(text: str, column: str) -> str:
    """An instant in UTC: from `2026-01-31 10:30` in the utility's zone, or from UTC with a Z."""
    try:
        if _LOCAL.fullmatch(text):
            return _format(datetime.fromisoformat(text).replace(tzinfo=_ZONE))
        if _INSTANT.fullmatch(text):
            return _format(datetime.fromisoformat(text))
    except ValueError:
        pass
    fix = "write it like 2026-01-31 10:30 (the utility's zone) or 2026-01-31T02:30:00Z"
    raise BadInput(column, f"{text!r} is no instant", fix)


def day_start_at(day_on: str) -> str:
    """00:00 of a day as an instant in UTC."""
    return _format(datetime.fromisoformat(day_on).replace(tzinfo=_ZONE))


def day_of(at: str) -> str:
    """The day in which an instant lies."""
    return datetime.fromisoformat(at).astimezone(_ZONE).date().isoformat()


def next_day(day_on: str) -> str:
    """The day after a day."""
    return (date.fromisoformat(day_on) + timedelta(days=1)).isoformat()


def day_before(day_on: str) -> str:
    """The day before a day."""
    return (date.fromisoformat(day_on) - timedelta(days=1)).isoformat()


def _format(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
