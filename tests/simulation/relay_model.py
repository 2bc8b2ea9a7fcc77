"""A meter's relay as the simulation has it, with ways to misbehave."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.ingest.effect.decide import SendCommand

KEEPING = {"keep_supply": "kept", "keep_supply_off": "not_kept"}
WANTED = {"open": "open", "permit_close": "closed", "close": "closed", **KEEPING}


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class Relay:
    """A meter's relay. mode: normal, stuck (acknowledges and does not move), silent (does what it
    is told and answers nothing), button (waits for the customer), slow (moves some time later)."""

    state: str = "closed"
    mode: str = "normal"
    clock_off_s: int = 0
    pending: tuple[datetime, str, str] | None = None
    openings: list[tuple[str, datetime]] = field(default_factory=list)
    kept: str = "not_kept"

    def take(self, command: SendCommand, valid_until_at: str, now: datetime) -> bool | None:
        """A frame arrives; the acknowledgement, None for no reply."""
        self._settle(now)
        meters_now = text(now + timedelta(seconds=self.clock_off_s))
        if meters_now >= valid_until_at:
            return None if self.mode == "silent" else False
        if command.action == "open" and self.kept == "kept":
            return None if self.mode == "silent" else False
        if command.action in KEEPING:  # which moves nothing, so that a slow relay is no slower
            self.kept = self.kept if self.mode == "stuck" else KEEPING[command.action]
            return None if self.mode == "silent" else True
        self.pending = None  # the newer command counts
        if self.mode == "slow":
            self.pending = (now + timedelta(seconds=75), command.action, command.command_id)
        elif self.mode != "stuck":
            self._move(command.action, command.command_id, now)
        return None if self.mode == "silent" else True

    def look(self, now: datetime, action: str = "") -> str:
        """What the status word says, "" for no answer."""
        self._settle(now)
        shown = self.kept if action in KEEPING else self.state
        return "" if self.mode == "silent" else shown

    def _settle(self, now: datetime) -> None:
        """What a slow relay was told takes effect."""
        if self.pending is not None and self.pending[0] <= now:
            moment, action, command_id = self.pending
            self.pending = None
            self._move(action, command_id, moment)

    def _move(self, action: str, command_id: str, now: datetime) -> None:
        if action == "open":
            if self.state != "open":
                self.openings.append((command_id, now))
            self.state = "open"
        elif action == "permit_close" and self.mode == "button":
            self.state = "close_permitted" if self.state == "open" else self.state
        else:
            self.state = "closed"
