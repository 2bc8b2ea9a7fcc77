"""An executor that froze before the wire and wakes up when another has taken over, on real parts.

The broker, the meter's TCP line and its relay are real, and so is the freeze: SIGSTOP of an
operating-system process between `attempt_started` and the frame, longer than its session. What
must hold: the relay opens at most once for one command, never after that command's outcome was
told, and the process that wakes up ends fenced without a word in the log. tests/simulation has the
same histories by the hundred, with a freeze that is played.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.control.events import CommandIssued
from services.control.events import catalogue as control_catalogue
from services.control.instant import plus
from tests.integration.town import (
    INSTALLED_AT,
    Fact,
    Member,
    Town,
    opened_town,
    own_kafka,
    was_refused,
)

__all__ = ["own_kafka"]
pytestmark = pytest.mark.kafka
EXECUTOR = "ingest.effect"
NUMBERS = itertools.count(1)
VALID_S = 300
READ_BACK_S = VALID_S + 120
"""From when a look is final: the frame's valid-until and the margin of a meter's clock."""


@dataclass
class Scene:
    """One point with one relay, and the commands to it. `began_at`: its own day of the town."""

    town: Town
    address: str
    began_at: str
    account_no: str = "1000000042"
    issued: int = 0

    @property
    def point(self) -> str:
        return f"P{self.address}"

    def issue(self, action: str, now_at: str) -> str:
        """A command as control issues it, that agrees with the supply; its id."""
        self.issued += 1
        command = CommandIssued(
            command_id=f"{self.point}.{self.issued}",
            seq=self.issued,
            case_id="",
            account_no=self.account_no,
            usage_point=self.point,
            meter_no=f"M{self.address}",
            address=self.address,
            installed_from_at=INSTALLED_AT,
            agreement_version=1,
            switching_method="meter_relay",
            action=action,
            clearance_id="granted" if action == "open" else "",
            fence_offset=0,
            approvals=(),
            verdicts=(),
            issued_at=now_at,
            valid_until_at=plus(now_at, VALID_S),
            priority=0,
        )
        topic = "control.commands" if action == "open" else "control.reconnections"
        self.town.write(control_catalogue, topic, self.point, command)
        return command.command_id

    def ended(self, command_id: str, outcome: str) -> list[Fact]:
        """The ends of a command's attempt with this outcome."""
        return self.town.facts(
            "ingest.results", "ingest.attempt_ended", command_id=command_id, outcome=outcome
        )

    def until_ended(self, command_id: str, outcome: str) -> None:
        """Wait for an outcome."""
        self.town.until(f"{command_id} {outcome}", lambda: self.ended(command_id, outcome))

    def story(self, command_id: str) -> list[str]:
        """All that the executor wrote about a command, in order."""
        names = {
            fact.offset: fact.body.get("outcome", fact.name)
            for kind in ("attempt_started", "attempt_ended", "command_refused")
            for fact in self.town.facts("ingest.results", f"ingest.{kind}", command_id=command_id)
        }
        return [names[offset] for offset in sorted(names)]

    def freeze_first(self, place: str) -> tuple[Member, str]:
        """An executor that froze at a place with a command to open, and lost its session."""
        town = self.town
        frozen = town.start(f"tests.integration.freezing:{place}")
        town.tick(self.began_at)
        town.supply(self.account_no, self.point, self.address)
        town.settle(EXECUTOR)  # else the command is refused: no such point, a wrong hour
        command_id = self.issue("open", self.began_at)
        town.until("the freeze", frozen.is_frozen)
        assert self.story(command_id) == ["ingest.attempt_started"]
        town.until("the end of its session", lambda: town.is_deserted(EXECUTOR))
        return frozen, command_id

    def wake_to_its_end(self, frozen: Member, serving: Member) -> None:
        """SIGCONT, and the process ends by itself because it was fenced.

        It may first join the group once more under the name that it had, which Kafka takes for a
        restart and fences who serves: then that one is started again, as its supervisor would.
        """
        serving.may_end = True
        frozen.wake()

        def has_ended() -> bool:
            nonlocal serving
            if serving.has_ended():
                assert_fenced(serving)
                serving = self.town.start("ingest-field")
                serving.may_end = True
            return frozen.has_ended()

        self.town.until("its end", has_ended)
        assert_fenced(frozen)


def assert_fenced(member: Member) -> None:
    """It ended with the one line of an error, which says that another has its place."""
    assert member.child.returncode == 2, member.said()
    reasons = [line for line in member.said().splitlines() if line.startswith("error: ")]
    assert len(reasons) == 1, member.said()
    assert "fenced" in reasons[0].casefold(), reasons


@pytest.fixture
def scene(own_kafka: str, tmp_path: Path) -> Iterator[Scene]:
    """A meter and a day of its own, later than those before: they share the broker's calendar."""
    number = next(NUMBERS)
    address = f"{number:012d}"
    with opened_town(own_kafka, tmp_path, [address]) as town:
        yield Scene(town, address, f"2026-03-{number:02d}T02:00:00Z")


@pytest.mark.parametrize(("place", "late_frames"), [("after_commit", 0), ("before_wire", 1)])
def test_woken_when_all_is_over_it_does_not_open_again(
    scene: Scene, place: str, late_frames: int
) -> None:
    """Its command was given up, a later one opened the relay, money came, the relay was closed."""
    town, address = scene.town, scene.address
    frozen, first = scene.freeze_first(place)
    serving = town.start("ingest-field")
    scene.until_ended(first, "unknown")
    over_at = plus(scene.began_at, READ_BACK_S)
    town.tick(over_at)
    scene.until_ended(first, "not_confirmed")
    second = scene.issue("open", over_at)
    scene.until_ended(second, "confirmed")
    assert town.relay(address) == "open"
    third = scene.issue("permit_close", over_at)
    scene.until_ended(third, "confirmed")
    assert len(town.relay_frames(address)) == 2

    scene.wake_to_its_end(frozen, serving)

    town.tick(plus(over_at, 60))
    town.settle(EXECUTOR)
    late = town.relay_frames(address)[2:]
    assert len(late) == late_frames  # nobody can stop the frame of `before_wire` any more:
    assert all(was_refused(entry) for entry in late)  # it is the meter that refuses its time
    assert town.openings(address) == 1
    assert town.relay(address) == "closed"
    assert scene.story(first) == ["ingest.attempt_started", "unknown", "not_confirmed"]
    assert scene.story(second) == ["ingest.attempt_started", "confirmed"]
    assert scene.story(third) == ["ingest.attempt_started", "confirmed"]


def test_woken_while_its_frame_is_valid_it_opens_once_and_that_is_told(scene: Scene) -> None:
    """Why a look before the frame's valid-until is never final: here it would have been wrong."""
    town, address = scene.town, scene.address
    frozen, command_id = scene.freeze_first("before_wire")
    serving = town.start("ingest-field")
    scene.until_ended(command_id, "unknown")
    assert town.relay(address) == "closed"

    scene.wake_to_its_end(frozen, serving)

    assert town.relay(address) == "open"
    town.tick(plus(scene.began_at, READ_BACK_S))
    scene.until_ended(command_id, "confirmed")
    assert scene.story(command_id) == ["ingest.attempt_started", "unknown", "confirmed"]
    assert len(town.relay_frames(address)) == 1
    assert town.openings(address) == 1
