"""The limit stage: permits of an area and hour, reserved, refused, used, returned."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from libs.events.core import Emit, Item, Tick
from libs.events.fold import Fold
from services.control import events as control
from services.control import permit_events
from services.control.limits.core import PURE_MODULES, WRITTEN, make_core
from services.control.limits.decide import ANSWERS
from services.control.limits.events import (
    PermitRefused,
    PermitReserved,
    PermitReturned,
    PermitUsed,
)
from services.control.limits.policy import LimitPolicy
from services.control.limits.reactions import PermitAsked, PermitEnded
from services.control.limits.state import Area, Place, evolve

AREA = "A-01"
TEN, ELEVEN = "2026-03-12T02:00:00Z", "2026-03-12T03:00:00Z"
AT, LATER = "2026-03-12T02:10:00Z", "2026-03-12T03:10:00Z"


class Stage:
    """One area at the limit stage; what it answered is in `answers`."""

    def __init__(self, cap: int = 3) -> None:
        self.fold = Fold(make_core("", LimitPolicy(opens_per_hour=cap)), 0)
        self.fold.as_of = AT
        self.answers: list[Emit] = []

    @property
    def area(self) -> Area:
        """The area as it stands."""
        return self.fold.get(AREA) or Area()

    def give(self, body: Any) -> list[Any]:
        """Decide one input; the own events that follow."""
        core = self.fold.core
        item = Item("control.permit_requests", 0, AREA, "", body, self.fold.as_of)
        noted = []
        for emit in core.decide(self.fold, AREA, item):
            if emit.topic:
                self.answers.append(emit)
            else:
                self.fold.apply(AREA, emit.body)
                noted.append(emit.body)
        return noted

    def ask(self, number: int, over_cap_by: str = "") -> Any:
        """The account of a number asks; the answer."""
        (answer,) = self.give(
            PermitAsked(
                permit_id=f"p{number}",
                area=AREA,
                account_no=f"100{number}",
                case_id=f"c{number}",
                over_cap_by=over_cap_by,
            )
        )
        return answer

    def end(self, number: int, how: str) -> list[Any]:
        """It is used, or returned."""
        command = f"cmd{number}" if how == "used" else ""
        return self.give(
            PermitEnded(permit_id=f"p{number}", area=AREA, how=how, command_id=command)
        )


def test_three_are_reserved_and_the_fourth_is_refused_and_everybody_is_told() -> None:
    stage = Stage()
    answers = [stage.ask(number) for number in range(1, 5)]
    assert answers[2] == PermitReserved(
        permit_id="p3",
        area=AREA,
        account_no="1003",
        case_id="c3",
        hour_at=TEN,
        cap=3,
        count=3,
        over_cap_by="",
    )
    assert answers[3] == PermitRefused(
        permit_id="p4", area=AREA, account_no="1004", case_id="c4", hour_at=TEN, cap=3, count=3
    )
    assert stage.answers == [
        Emit(answer, topic=ANSWERS, key=answer.account_no) for answer in answers
    ]


def test_what_is_returned_is_given_to_the_next() -> None:
    stage = Stage(cap=1)
    stage.ask(1)
    assert stage.end(1, "returned") == [PermitReturned(permit_id="p1", area=AREA, hour_at=TEN)]
    assert isinstance(stage.ask(2), PermitReserved)
    assert stage.end(1, "returned") == [], "once"


def test_what_is_used_counts_to_the_end_of_its_hour() -> None:
    stage = Stage(cap=2)
    stage.ask(1)
    used = PermitUsed(permit_id="p1", area=AREA, hour_at=TEN, command_id="cmd1")
    assert stage.end(1, "used") == [used]
    assert stage.end(1, "returned") == [], "it is used for good"
    assert stage.ask(2).count == 2
    assert isinstance(stage.ask(3), PermitRefused)
    stage.end(2, "used")
    assert stage.area == Area(used_hour_at=TEN, used=2)
    stage.fold.as_of = LATER
    assert (stage.ask(3).hour_at, stage.area.count(ELEVEN)) == (ELEVEN, 1)


def test_what_was_refused_has_nothing_to_give_back() -> None:
    stage = Stage(cap=0)
    assert isinstance(stage.ask(1), PermitRefused)
    assert stage.end(1, "returned") == []


def test_a_separate_approval_stands_above_the_cap_only_when_it_is_reached() -> None:
    stage = Stage(cap=1)
    assert stage.ask(1, "sun").over_cap_by == "", "there was a place"
    above = stage.ask(2, "sun")
    assert (above.over_cap_by, above.count) == ("sun", 1)
    stage.end(2, "used")
    assert stage.area.count(TEN) == 1
    stage.end(1, "returned")
    assert stage.ask(3).count == 1, "what was approved takes nobody's place"


def test_one_used_of_an_hour_before_the_last_counts_nowhere() -> None:
    stage = Stage()
    stage.ask(1)
    stage.ask(2)
    stage.fold.as_of = LATER
    stage.ask(3)
    stage.end(3, "used")
    stage.end(1, "used")
    assert stage.area == Area(
        out={"p2": Place(hour_at=TEN, is_counted=True)}, used_hour_at=ELEVEN, used=1
    )


def test_time_alone_decides_nothing() -> None:
    stage = Stage()
    assert stage.give(Tick(at=LATER)) == []
    assert evolve(None, Tick(at=LATER)) is None


def test_the_core_is_put_together() -> None:
    core = make_core("hash")
    assert (core.name, core.own_topic, core.dlq_topic) == (
        "control.limits",
        "control.permits",
        "control.limits.dlq",
    )
    assert core.inputs == ("calendar", "control.permit_requests")
    assert core.decider == "hash"
    assert WRITTEN == (ANSWERS,)
    assert "services.control.limits.decide" in PURE_MODULES


def test_each_reads_what_the_other_writes() -> None:
    stage = make_core().catalogue
    for reader, writer in ((stage, control.catalogue), (control.catalogue, stage)):
        for name in ("permit_asked", "permit_ended", "permit_reserved", "permit_refused"):
            kind = reader.by_name[f"control.{name}"]
            if kind.foreign:
                fields = kind.body.__dataclass_fields__
                assert fields.keys() <= writer.by_name[kind.name].body.__dataclass_fields__.keys()
    assert permit_events.PermitAsked is not PermitAsked


@given(
    st.integers(0, 3),
    st.lists(st.tuples(st.sampled_from("auroh"), st.integers(1, 6)), max_size=40),
)
def test_in_no_order_does_an_hour_get_more_than_its_cap(
    cap: int, steps: list[tuple[str, int]]
) -> None:
    """a: asks, o: asks approved above the cap, u: used, r: returned, h: the next hour. What is used
    in an hour and not approved apart is at most the cap; what is out is what was not ended."""
    stage, asked, hour = Stage(cap), 0, 2
    out: dict[int, PermitReserved] = {}
    used: list[PermitReserved] = []
    for step, number in steps:
        if step in "ao":
            asked += 1
            answer = stage.ask(asked, "sun" if step == "o" else "")
            if isinstance(answer, PermitReserved):
                out[asked] = answer
        elif step == "h":
            hour += 1
            stage.fold.as_of = f"2026-03-{12 + hour // 24:02d}T{hour % 24:02d}:10:00Z"
        else:
            ended = stage.end(number, "used" if step == "u" else "returned")
            permit = out.pop(number, None)
            assert bool(ended) == (permit is not None)
            if permit is not None and step == "u":
                used.append(permit)
        assert stage.area.out.keys() == {f"p{each}" for each in out}
    for permit in used:
        of_hour = [each for each in used if each.hour_at == permit.hour_at]
        assert sum(not each.over_cap_by for each in of_hour) <= cap
