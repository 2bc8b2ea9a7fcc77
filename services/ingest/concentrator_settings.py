"""What people know of a concentrator that its line's name does not say: fields of the line file.

    {"lines": {"tcp:*":                       {"answer_ms": 20000},
               "listen:0.0.0.0:5100":         {"login_ms": 60000},
               "tcp:192.0.2.9:5100/0200-1234": {"forward_ms": 30000, "points_per_request": 8}}}

Every one is UNCONFIRMED: no source settles what a given concentrator needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.ingest.protocols.qgdw376.concentrator import LinkSettings
from services.ingest.protocols.qgdw376.profile import STANDARD, ConcentratorProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcentratorSettings:
    """One concentrator. Seconds; `CONCENTRATOR_FIELDS` of the line file says what each means."""

    answer_s: float = 20.0
    forward_s: float = 60.0
    login_s: float = 30.0
    idle_s: float = 1800.0
    points_per_request: int = 24
    curve_offset: int = 0
    archive_h: int = 24

    def link(self, tries: int, digest_key: bytes) -> LinkSettings:
        """The time-outs of its connection."""
        return LinkSettings(
            answer_s=self.answer_s,
            tries=tries,
            login_s=self.login_s,
            idle_s=self.idle_s,
            digest_key=digest_key,
        )

    def profile(self) -> ConcentratorProfile:
        """How it is spoken to."""
        forwarding = replace(STANDARD.forwarding, timeout_ms=round(self.forward_s * 1000))
        return replace(
            STANDARD,
            points_per_request=self.points_per_request,
            first_point_offset=self.curve_offset,
            forwarding=forwarding,
        )


def concentrator_settings(given: Mapping[str, Any]) -> ConcentratorSettings:
    """Those among the fields of a line that are a concentrator's, over the defaults."""
    known = ConcentratorSettings.__dataclass_fields__
    return ConcentratorSettings(**{name: given[name] for name in given if name in known})
