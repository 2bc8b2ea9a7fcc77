"""The master's side of one connection to a concentrator, without input or output.

    link = MasterLink(profile)
    to_send = link.receive(data)             # acknowledgements of login, heartbeat and reports
    to_send = link.begin(request)            # one at a time
    link.answer                              # None until it is whole

An answer is of the terminal asked, is no starter, carries the AFN asked (or 00H) and our number.
Frames of a long answer may repeat the number or count on from it: the sources do not settle which,
so both are taken. What is not the answer is counted with its reason: late (of an exchange given
up), duplicate, wrong_number, wrong_function, other_terminal, echo, and what was no frame at all.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.masking import kept_text
from services.ingest.protocols.framing import Skipped
from services.ingest.protocols.qgdw376.frame import (
    ACK,
    LINK,
    Address,
    Frame,
    FrameReader,
    TimeTag,
    encode_frame,
)
from services.ingest.protocols.qgdw376.masking import carries_secret, kept
from services.ingest.protocols.qgdw376.points import decode_identifier
from services.ingest.protocols.qgdw376.profile import STANDARD, ConcentratorProfile
from services.ingest.protocols.qgdw376.requests import (
    ALL_DENIED,
    LOGIN,
    LOGOUT,
    Request,
    acknowledgement,
    frame_of,
)

NUMBERS = 16
MAX_ANSWER_FRAMES = 256
MAX_REPORTS = 64
MAX_KEPT_NOISE = 32
MAX_KEPT_FRAMES = 64
"""What is kept of frames that answer nothing, besides those of the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: its frames in order (one, unless it was long)."""

    request: Request
    frames: tuple[Frame, ...]

    @property
    def is_acknowledgement(self) -> bool:
        """Whether the terminal only accepted or denied."""
        return self.frames[0].afn == ACK


@dataclass(slots=True)
class _Outstanding:
    """The exchange that runs."""

    request: Request
    number: int
    raw: bytes
    frames: list[Frame] = field(default_factory=list)


class MasterLink:
    """State of one connection: who is there, what was asked, what came.

    address: of the concentrator; None until it logs in. reports: what it sent by itself besides
    login and heartbeat, the newest `MAX_REPORTS`. skipped, received, noise: evidence of the running
    exchange, taken with `take_evidence`. events_waiting: EC1 and EC2 of its last frame with ACD.
    """

    def __init__(
        self,
        profile: ConcentratorProfile = STANDARD,
        address: Address | None = None,
        digest_key: bytes = b"",
    ) -> None:
        self.profile = profile
        self.address = address
        self.logged_in = address is not None
        self.answer: Answer | None = None
        self.reports: deque[Frame] = deque(maxlen=MAX_REPORTS)
        self.skipped: Counter[str] = Counter()
        self.received: list[str] = []
        self.noise: list[str] = []
        self.sent = ""
        self.links_seen = 0
        self.events_waiting: tuple[int, int] | None = None
        self._digest_key = digest_key
        self._reader = FrameReader()
        self._outstanding: _Outstanding | None = None
        self._given_up: deque[int] = deque(maxlen=NUMBERS // 2)
        self._finished: int | None = None
        self._next = 0
        self._hides_noise = self._had_secret = False

    # What we ask

    def begin(self, request: Request, civil: datetime, password: bytes = bytes(16)) -> bytes:
        """The bytes of a request; BadInput while another is unanswered or nobody logged in.

        civil: our clock in the terminal's zone, for the time tag; password: PW.
        """
        if self._outstanding is not None:
            raise BadInput("request", "another is unanswered", "wait for it, or give it up")
        if self.address is None:
            raise BadInput("request", "no concentrator has logged in", "wait for its login")
        number = self._next
        self._next = (number + 1) % NUMBERS
        if number in self._given_up:
            self._given_up.remove(number)
        tag = TimeTag(number, civil.strftime("%d %H:%M:%S"), self.profile.delay_minutes)
        target = self.address
        address = Address(target.area, target.terminal, self.profile.master)
        frame = frame_of(
            request,
            address,
            number,
            self.profile.function,
            tag if self.profile.time_tag else None,
        )
        raw = encode_frame(frame, password)
        self.answer = None
        self._outstanding = _Outstanding(request, number, raw)
        (sent,) = FrameReader().feed(raw)
        assert isinstance(sent, Frame), "a frame of ours is one"
        self.sent = kept(sent, self._digest_key)
        # what a meter sends now may hold an echo of this command, or of the one before
        secret = carries_secret(sent)
        self._hides_noise, self._had_secret = secret or self._had_secret, secret
        return raw

    def give_up(self) -> None:
        """The answer did not come in time; when it comes it is late, and never the next one's."""
        if self._outstanding is not None:
            self._given_up.append(self._outstanding.number)
            self._outstanding = None

    # What comes

    def receive(self, data: bytes) -> bytes:
        """Take what came; the bytes to send back at once."""
        return self._take(self._reader.feed(data))

    def quiet(self) -> bytes:
        """The line is silent: what is incomplete stays so, and what lies behind it is looked at."""
        return self._take(self._reader.finish())

    @property
    def pending(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return self._reader.pending

    def take_evidence(self) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, int]]:
        """Frames, noise and counts since the last call, and forget them."""
        taken = tuple(self.received), tuple(self.noise), dict(self.skipped)
        self.received, self.noise = [], []
        self.skipped = Counter()
        return taken

    def _take(self, found: list[Frame | Skipped]) -> bytes:
        reply = b""
        for item in found:
            if isinstance(item, Skipped):
                self.skipped[item.reason] += 1
                if len(self.noise) < MAX_KEPT_NOISE:  # may be the rest of a password's echo
                    self.noise.append(kept_text("xx" * len(item.raw), item.raw, self._digest_key))
                continue
            reply += self._hear(item)
        return reply

    def _hear(self, frame: Frame) -> bytes:
        if not frame.from_terminal:
            self.skipped["echo"] += 1
            return b""
        if not self._is_ours(frame):
            self.skipped["other_terminal"] += 1
            return encode_frame(acknowledgement(frame, ALL_DENIED)) if frame.starter else b""
        if frame.events is not None:
            self.events_waiting = frame.events
        if frame.starter:
            return self._hear_starter(frame)
        reason = self._judge(frame)
        if not reason or len(self.received) < MAX_KEPT_FRAMES:
            self.received.append(kept(frame, self._digest_key, hide_noise=self._hides_noise))
        if reason:
            self.skipped[reason] += 1
            return b""
        return encode_frame(acknowledgement(frame)) if frame.sequence.confirm else b""

    def _is_ours(self, frame: Frame) -> bool:
        """Whether it is of the terminal of this connection; the first login decides who that is."""
        if not frame.address.names_one:
            return False
        if self.address is None:
            found = decode_identifier(frame.body)
            return frame.afn == LINK and found is not None and found.fns == (LOGIN,)
        ours, theirs = self.address, frame.address
        return (ours.area, ours.terminal) == (theirs.area, theirs.terminal)

    def _hear_starter(self, frame: Frame) -> bytes:
        """Login, logout, heartbeat, or a report."""
        found = decode_identifier(frame.body)
        if frame.afn == LINK and found is not None:
            self.links_seen += 1
            if found.fns == (LOGIN,):
                self.address, self.logged_in = frame.address, True
            elif found.fns == (LOGOUT,):
                self.logged_in = False
        else:
            self.reports.append(frame)
        return encode_frame(acknowledgement(frame)) if frame.sequence.confirm else b""

    def _judge(self, frame: Frame) -> str:
        """Take a frame into the answer, or say why it is none of it."""
        waiting, number = self._outstanding, frame.sequence.number
        if waiting is None:
            if number in self._given_up:
                return "late"
            return "duplicate" if number == self._finished else "unexpected"
        if any(known.raw == frame.raw for known in waiting.frames):
            return "duplicate"
        place = len(waiting.frames)
        if number not in (waiting.number, (waiting.number + place) % NUMBERS):
            if number in self._given_up:
                return "late"
            return "duplicate" if number == self._finished else "wrong_number"
        if frame.afn not in (waiting.request.afn, ACK):
            return "wrong_function"
        if frame.sequence.first != (place == 0):
            return "out_of_order"
        if place >= MAX_ANSWER_FRAMES:
            return "too_long"
        waiting.frames.append(frame)
        if frame.sequence.final:
            self.answer = Answer(waiting.request, tuple(waiting.frames))
            self._finished = waiting.number
            self._outstanding = None
        return ""
