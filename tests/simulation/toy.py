"""A small core with every trait the runtime must bear: counting, deadlines, silence, refusal,
re-keyed output, reference data and long decisions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from libs.events.core import SHARED, Core, Emit, Item, Tick, View
from libs.events.registry import Catalogue

edge = Catalogue("edge")
catalogue = Catalogue("toy")


@edge.event("edge.coin_dropped")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoinDropped:
    amount_fen: int


@edge.event("edge.sweep_ordered")
@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOrdered:
    """A decision about every key of the partition."""

    sweep: int


edge.event("clock.ticked")(Tick)
for _name in ("edge.coin_dropped", "edge.sweep_ordered", "clock.ticked"):
    catalogue.reads(_name)(edge.by_name[_name].body)


@catalogue.event("toy.coin_counted")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoinCounted:
    amount_fen: int
    total_fen: int
    at: str


@catalogue.event("toy.coin_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoinRejected:
    amount_fen: int


@catalogue.event("toy.box_emptied")
@dataclass(frozen=True, slots=True, kw_only=True)
class BoxEmptied:
    sweep: int
    amount_fen: int
    rank: int


@catalogue.event("toy.sweep_begun")
@dataclass(frozen=True, slots=True, kw_only=True)
class SweepBegun:
    sweep: int


@catalogue.event("toy.reminder_sent")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReminderSent:
    total_fen: int
    at: str


@catalogue.event("toy.total_told")
@dataclass(frozen=True, slots=True, kw_only=True)
class TotalTold:
    total_fen: int


@dataclass(frozen=True, slots=True)
class Shared:
    sweep: int = 0


@dataclass(frozen=True, slots=True)
class Box:
    total_fen: int = 0
    coins: int = 0
    emptied: int = 0
    last_at: str = ""
    reminded: bool = False


def evolve(state: Any, event: Any) -> Any:
    match event:
        case SweepBegun():
            return Shared(event.sweep)
        case CoinCounted():
            box = state or Box()
            return replace(
                box,
                total_fen=event.total_fen,
                coins=box.coins + 1,
                last_at=event.at,
                reminded=False,
            )
        case BoxEmptied():
            return replace(state, total_fen=0, emptied=state.emptied + 1, reminded=True)
        case ReminderSent():
            return replace(state, reminded=True)
        case _:
            return state


def concerned(view: View, item: Item) -> Iterable[str]:
    match item.body:
        case SweepOrdered():
            return [SHARED, *view.keys()]
        case Tick():
            return view.keys_due(item.body.at)
        case _:
            return [item.key]


def decide(view: View, key: str, item: Item) -> Sequence[Emit]:
    match item.body:
        case CoinDropped(amount_fen=0):
            return []
        case CoinDropped() if item.body.amount_fen < 0:
            return [Emit(CoinRejected(amount_fen=item.body.amount_fen))]
        case CoinDropped():
            box = view.get(key) or Box()
            total = box.total_fen + item.body.amount_fen
            return [
                Emit(CoinCounted(amount_fen=item.body.amount_fen, total_fen=total, at=item.at)),
                Emit(TotalTold(total_fen=total), topic="toy.totals", key=f"told-{key}"),
            ]
        case SweepOrdered() if key == SHARED:
            return [Emit(SweepBegun(sweep=item.body.sweep))]
        case SweepOrdered():
            box = view.get(key)
            return [
                Emit(BoxEmptied(sweep=view.shared.sweep, amount_fen=box.total_fen, rank=box.coins))
            ]
        case Tick():
            return [Emit(ReminderSent(total_fen=view.get(key).total_fen, at=item.at))]
    raise AssertionError(item)


def due(state: Any) -> str:
    if state.reminded or not state.last_at:
        return ""
    return state.last_at[:17] + "59Z"


def make_core(**changes: Any) -> Core:
    made = Core(
        name="toy",
        own_topic="toy.events",
        dlq_topic="toy.dlq",
        inputs=("edge.coins", "calendar"),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Box),
        decide=decide,
        evolve=evolve,
        concerned=concerned,
        due=due,
        decider="toy-1",
        keyed=frozenset({"edge.coins"}),
    )
    return replace(made, **changes)


WRITTEN: dict[str, tuple[str, ...]] = {"toy": ("toy.totals",)}
