"""Recovery of one partition: checkpoint, then the tail of the own topic; never a new decision.

The order matters (docs/adr/0003). The group's stable offsets are fetched first: after that no
older member can move them. Then the tail is read past any dead member's open transaction, up to
the high watermark seen then; only there can the fold's positions be compared with the offsets.
It runs in slices, so that a long rebuild neither loses the membership nor looks dead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from libs.events.checkpoint import CheckpointStore, Place
from libs.events.codec import Codec, encode_state, envelope_of, state_decoder
from libs.events.core import SHARED, Core
from libs.events.errors import Refused, Unavailable
from libs.events.fold import Fold
from libs.events.log import Log
from libs.events.step import StepTaken

READ_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Patience:
    """How long recovery waits for a dead member's transaction: its time-out and the clean-up."""

    open_transaction_s: float = 60.0


class Recovery:
    """Brings one partition's fold to the end of its own topic. Call `advance` until it is True."""

    def __init__(
        self,
        core: Core,
        log: Log,
        codec: Codec,
        store: CheckpointStore | None,
        place: Place,
        fold: Fold | None,
        now: Callable[[], float],
        patience: Patience,
    ) -> None:
        self.core, self.log, self.codec = core, log, codec
        self.store, self.place = store, place
        self.fold = fold if fold is not None else Fold(core, place.partition)
        self.fresh = fold is None
        self.now = now
        self.deadline = now() + patience.open_transaction_s
        self.stable: dict[str, int | None] | None = None
        self.target = -1
        self.low = 0

    @property
    def remaining(self) -> int:
        """Own records still to be read, as far as known."""
        return max(0, self.target - self.fold.own_next)

    def advance(self, until: float) -> bool:
        """Work until the monotonic time `until` at most; True when the fold is complete."""
        if self.stable is None and not self._prepare():
            return False
        while True:
            before = self.fold.own_next
            complete = self._read_on()
            if complete and self._agrees():
                self._settle()
                return True
            if complete and self.now() > self.deadline:
                self._refuse()
            # An open transaction hides the rest: to read again at once would only be to wait.
            if complete or self.fold.own_next == before or self.now() >= until:
                return False

    def _prepare(self) -> bool:
        """Fetch what the fold must reach; False while a transaction on the offsets is pending."""
        try:
            stable = self.log.stable_offsets(self.place.partition)
        except Unavailable:
            return False
        bounds = self.log.bounds(self.core.own_topic, self.place.partition)
        self.target, self.low = bounds.high, bounds.low
        if self.fresh:
            self._load(bounds.high)
        elif self.store is not None:
            stored = self._stored_position()
            if stored is None or self.fold.saved is None or stored < self.fold.saved:
                self.fold.touch_all()
            self.fold.saved = stored
        self.stable = stable
        if self.fold.own_next < self.low:
            raise Refused(
                f"{self.core.own_topic}[{self.place.partition}]: begins at {self.low}, but the "
                f"state is known only up to {self.fold.own_next}; the topic must keep everything "
                "(retention.ms=-1)"
            )
        return True

    def _load(self, high: int) -> None:
        if self.store is None:
            return
        shared_type, key_type = self.core.state_types
        decode_shared, decode_key = state_decoder(shared_type), state_decoder(key_type)
        try:
            loaded = self.store.load(
                self.place, lambda key: decode_shared if key == SHARED else decode_key
            )
        except Unavailable:
            return  # a checkpoint is a cache: rebuild without it
        if loaded is None:
            return
        standing, states = loaded
        if standing.own_next > high:
            raise Refused(
                f"the checkpoint of {self.place.core}[{self.place.partition}] is at "
                f"{standing.own_next}, but {self.core.own_topic} ends at {high}; the topic was "
                "recreated or restored: delete the checkpoint database and start again"
            )
        for key, state in states:
            self.fold.put(key, state)
        self.fold.stand(standing)
        self.fold.saved = standing.own_next

    def _stored_position(self) -> int | None:
        assert self.store is not None
        try:
            return self.store.position(self.place)
        except Unavailable:
            return None

    def _read_on(self) -> bool:
        """Fold one slice; True at the end, when the end is past the target."""
        piece = self.log.read(
            self.core.own_topic, self.place.partition, self.fold.own_next, READ_LIMIT
        )
        self.fold.begin()
        for record in piece.records:
            envelope = envelope_of(record.headers)
            body = self.codec.decode(envelope.type, record.value)
            if isinstance(body, StepTaken):
                self.fold.apply_step(body)
            else:
                self.fold.apply(record.key.decode() if record.key else SHARED, body)
        self.fold.own_next = piece.next_offset
        return not piece.records and piece.next_offset >= self.target

    def _agrees(self) -> bool:
        """Whether the fold's positions are the group's stable offsets."""
        assert self.stable is not None
        for topic, offset in self.stable.items():
            if offset is not None and offset != self.fold.positions.get(topic, 0):
                return False
        return True

    def _settle(self) -> None:
        """A partition never seen starts at 0, if it still begins there (engine.md 1.2 a)."""
        assert self.stable is not None
        for topic in self.core.inputs:
            position = self.fold.positions.setdefault(topic, 0)
            low = self.log.bounds(topic, self.place.partition).low
            if position < low:
                raise Refused(
                    f"{topic}[{self.place.partition}]: begins at {low}, but {self.core.name} has "
                    f"decided only up to {position}; records were lost to retention"
                )

    def _refuse(self) -> None:
        if self.fold.own_next < self.target:
            raise Refused(
                f"{self.core.own_topic}[{self.place.partition}]: an open transaction hides "
                f"offsets from {self.fold.own_next} to {self.target}; it did not end in time"
            )
        raise Refused(
            f"{self.core.name}[{self.place.partition}]: the fold stands at {self.fold.positions}, "
            f"the group's offsets at {self.stable}; they must be equal. Was the group's offset "
            "or the topic changed by hand?"
        )


def changed_rows(fold: Fold) -> dict[str, bytes | None]:
    """The states changed since the last checkpoint, encoded; None for a key that ended."""
    return {
        key: encode_state(fold.states[key]) if key in fold.states else None
        for key in sorted(fold.dirty)
    }


def state_digest(fold: Fold) -> dict[str, Any]:
    """A fold as comparable data: every state encoded, and its standing without offsets."""
    return {
        "states": {key: encode_state(state) for key, state in sorted(fold.states.items())},
        "positions": {topic: at for topic, at in sorted(fold.positions.items()) if at},
        "as_of": fold.as_of,
        "pending": fold.pending,
    }
