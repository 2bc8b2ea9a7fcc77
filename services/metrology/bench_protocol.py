"""The bench protocol: how a verification bench tells the metrology edge what it measured.

JSON lines over TCP, one object per line, UTF-8, at most 4096 bytes; the bench connects. A run is
one meter on one place of the bench:

    run_started     run, protocol ("gridledger-bench/1"), bench_no, reference_meter_no,
                    reference_class, reference_due_on, meter_no, accuracy_class, measured_at,
                    operator
    point_measured  run, current, power_factor, load, error_e4_pct
    test_done       run, test, result (pass, fail, not_done)
    run_ended       run, points, tests (how many of each were sent)

Every line has `type`, `seq` (1 for run_started, then +1) and `crc32`: eight hex digits over the
line's other members as JSON with sorted keys, no spaces, and non-ASCII escaped. The edge answers a
whole run with one line, after it stored it:

    {"crc32": "...", "run": "B1-0007", "type": "run_accepted"}
    {"crc32": "...", "field": "...", "fix": "...", "problem": "...", "run": "", "type":
     "run_refused"}

After a refusal the edge closes the connection. The bench repeats a run, under the same id and on a
new connection, until it is answered; so a run may arrive twice, and its id tells.

The parser is sans-I/O: `feed` takes bytes as they come and returns runs, and at most one typed
error, after which it is `failed` and takes nothing more. Nothing is guessed: a run with a gap, a
wrong count or a damaged line is no run.

    parser = BenchParser()
    for outcome in parser.feed(received):    # ReceivedRun | BenchError
        ...
    parser.close()                           # the peer closed: a run left open is an error
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from libs.events.errors import BadInput
from services.metrology.error_limits import MeasuredPoint
from services.metrology.judgement import BenchRun, local_day
from services.metrology.verification_cycle import parse_day

PROTOCOL = "gridledger-bench/1"
LINE_BYTES_MAX = 4096
LINES_MAX = 1000
"""No run is longer: an endless one is an error, not a full memory."""

RESULTS = ("pass", "fail", "not_done")
ERROR_E4_PCT_MAX = 100 * 10_000

_CLASS = re.compile(r"\d(\.\d{1,4})?S?")

Fields = Mapping[str, type]
_RUN: Fields = {"type": str, "run": str, "seq": int, "crc32": str}
MESSAGES: Mapping[str, Fields] = {
    "run_started": {
        **_RUN,
        "protocol": str,
        "bench_no": str,
        "reference_meter_no": str,
        "reference_class": str,
        "reference_due_on": str,
        "meter_no": str,
        "accuracy_class": str,
        "measured_at": str,
        "operator": str,
    },
    "point_measured": {
        **_RUN,
        "current": str,
        "power_factor": str,
        "load": str,
        "error_e4_pct": int,
    },
    "test_done": {**_RUN, "test": str, "result": str},
    "run_ended": {**_RUN, "points": int, "tests": int},
}
"""The members of every message of a bench, by type."""

_REPLY: Fields = {"type": str, "run": str, "crc32": str}
REPLIES: Mapping[str, Fields] = {
    "run_accepted": _REPLY,
    "run_refused": {**_REPLY, "field": str, "problem": str, "fix": str},
}
"""The members of every answer of the edge, by type."""

MAY_BE_EMPTY = frozenset({"run", "fix"})
"""A refusal has no run when the damaged line did not tell it."""


class BenchError(BadInput):
    """What a bench sent is no run. `run` and `meter_no` are empty when they are not known; `line`
    is the line as it came."""

    def __init__(
        self, problem: BadInput, run: str = "", meter_no: str = "", line: str = ""
    ) -> None:
        super().__init__(problem.field, problem.problem, problem.fix)
        self.run = run
        self.meter_no = meter_no
        self.line = line


class GarbledLine(BenchError):
    """A line that is damaged: no UTF-8, no JSON object, too long, or a wrong checksum."""


class WrongMessage(BenchError):
    """A sound line with a wrong content: unknown type, or a member missing, unknown or wrong."""


class BrokenRun(BenchError):
    """Sound messages that are no run: a gap, another run in between, a wrong count, a closed
    line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRun:
    """A whole run, with its lines as they came: the raw evidence."""

    run: BenchRun
    lines: tuple[str, ...]


Outcome = ReceivedRun | BenchError
Message = dict[str, Any]


def checksum(message: Mapping[str, object]) -> str:
    """The CRC-32 of a message without its `crc32` member, as eight hex digits."""
    body = {name: value for name, value in message.items() if name != "crc32"}
    return f"{crc32(_canonical(body)):08x}"


def _canonical(message: Mapping[str, object]) -> bytes:
    return json.dumps(message, sort_keys=True, separators=(",", ":")).encode()


def encode_message(message: Mapping[str, object]) -> bytes:
    """One line with its checksum, ready to be sent."""
    return _canonical({**message, "crc32": checksum(message)}) + b"\n"


def encode_run(run: BenchRun) -> tuple[bytes, ...]:
    """All lines of a run."""
    started: dict[str, object] = {
        "type": "run_started",
        "protocol": PROTOCOL,
        "bench_no": run.bench_no,
        "reference_meter_no": run.reference_meter_no,
        "reference_class": run.reference_class,
        "reference_due_on": run.reference_due_on,
        "meter_no": run.meter_no,
        "accuracy_class": run.accuracy_class,
        "measured_at": run.measured_at,
        "operator": run.operator,
    }
    points: list[dict[str, object]] = [
        {
            "type": "point_measured",
            "current": point.current,
            "power_factor": point.power_factor,
            "load": point.load,
            "error_e4_pct": point.error_e4_pct,
        }
        for point in run.points
    ]
    tests: list[dict[str, object]] = [
        {"type": "test_done", "test": test, "result": result} for test, result in run.tests.items()
    ]
    ended: dict[str, object] = {"type": "run_ended", "points": len(points), "tests": len(tests)}
    return tuple(
        encode_message({**message, "run": run.run_id, "seq": seq})
        for seq, message in enumerate((started, *points, *tests, ended), start=1)
    )


def encode_accepted(run_id: str) -> bytes:
    """The edge's answer: the run is stored."""
    return encode_message({"type": "run_accepted", "run": run_id})


def encode_refused(error: BenchError) -> bytes:
    """The edge's answer: what was sent is no run; it names the field and the fix."""
    return encode_message(
        {
            "type": "run_refused",
            "run": error.run,
            "field": error.field,
            "problem": error.problem,
            "fix": error.fix,
        }
    )


def parse_reply(line: bytes) -> Message:
    """An answer of the edge, for the bench; GarbledLine or WrongMessage when it is none."""
    message = parse_line(line)
    check_members(message, REPLIES)
    return message


def parse_line(line: bytes) -> Message:
    """The object of one line with a right checksum; GarbledLine otherwise."""
    text = line.decode(errors="replace")
    try:
        message = json.loads(line.decode())
    except (ValueError, RecursionError):
        problem = BadInput("line", "is no JSON", "send one JSON object per line in UTF-8")
        raise GarbledLine(problem, line=text) from None
    if not isinstance(message, dict):
        problem = BadInput("line", "is no JSON object", "send one JSON object per line")
        raise GarbledLine(problem, line=text)
    if message.get("crc32") != checksum(message):
        problem = BadInput("crc32", "does not match the line", "send the line again")
        raise GarbledLine(problem, line=text)
    return message


def check_members(message: Message, known: Mapping[str, Fields]) -> None:
    """The type is known and its members are all there, of the right kind, and no others."""
    members = known.get(str(message.get("type")))
    if members is None:
        fix = f"use {', '.join(known)}"
        raise _wrong(message, "type", f"is {message.get('type')!r}", fix)
    for name in sorted(set(members) ^ set(message)):
        problem, fix = ("is missing", "add it") if name in members else ("is unknown", "remove it")
        raise _wrong(message, name, problem, fix)
    for name, kind in members.items():
        value = message[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise _wrong(message, name, f"is {value!r}", f"give a {kind.__name__}")
        if isinstance(value, str) and not value.isprintable():
            raise _wrong(message, name, f"is {value!r}", "give printable text")
        if value == "" and name not in MAY_BE_EMPTY:
            raise _wrong(message, name, "is empty", "fill it in")


def _wrong(message: Message, name: str, problem: str, fix: str) -> WrongMessage:
    """The error of a message whose names and values may be anything that JSON can say.

    JSON can say half a surrogate pair, which no answer and no record can hold: a run so named stays
    unknown, and a member so named (or not at all) is shown escaped.
    """
    line = _canonical(message).decode()
    run = str(message.get("run", ""))
    shown = name if name and name.isprintable() else ascii(name)
    return WrongMessage(
        BadInput(shown, problem, fix), run=run if run.isprintable() else "", line=line
    )


@dataclass(slots=True)
class BenchParser:
    """Turns the bytes of one connection into runs and at most one error.

    It does no I/O and never raises for what the peer sent. Once `failed`, answer and close.
    """

    failed: bool = False
    _buffer: bytearray = field(default_factory=bytearray)
    _messages: list[Message] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)

    def feed(self, received: bytes) -> tuple[Outcome, ...]:
        """The outcomes that these bytes complete, in their order."""
        self._buffer += received
        outcomes: list[Outcome] = []
        while not self.failed and (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
            outcomes += self._take(line)
        if not self.failed and len(self._buffer) > LINE_BYTES_MAX:
            outcomes += self._take(bytes(self._buffer))
        if self.failed:
            self._buffer.clear()
        return tuple(outcomes)

    def close(self) -> tuple[Outcome, ...]:
        """The peer closed the connection: a run that was not ended is an error, half a line too."""
        if self.failed or not (self._messages or self._buffer):
            return ()
        problem = BadInput("run_ended", "the connection was closed before it", "repeat the run")
        return self._fail(BrokenRun(problem, line=self._buffer.decode(errors="replace")))

    def _take(self, line: bytes) -> tuple[Outcome, ...]:
        """The outcome of one line: mostly none, a run when it ends one, else an error."""
        try:
            if len(line) > LINE_BYTES_MAX:
                text = line.decode(errors="replace")
                problem = f"is longer than {LINE_BYTES_MAX} bytes"
                raise GarbledLine(BadInput("line", problem, "send shorter lines"), line=text)
            message = parse_line(line)
            check_members(message, MESSAGES)
            _check_order(message, self._messages)
            _check_content(message, self._messages)
        except BenchError as error:
            return self._fail(error)
        self._messages.append(message)
        self._lines.append(line.decode())
        if message["type"] != "run_ended":
            return ()
        received = ReceivedRun(run=_run(self._messages), lines=tuple(self._lines))
        self._messages, self._lines = [], []
        return (received,)

    def _fail(self, error: BenchError) -> tuple[Outcome, ...]:
        """The one error of a connection; it names the run that it ended."""
        if self._messages:
            error.run = self._messages[0]["run"]
            error.meter_no = self._messages[0]["meter_no"]
        self.failed = True
        return (error,)


def _check_order(message: Message, earlier: list[Message]) -> None:
    """The message is the next one of its run."""
    if message["type"] == "run_started" and earlier:
        raise _broken(message, "run_ended", "another run began before it", "end a run first")
    if message["type"] != "run_started" and not earlier:
        raise _broken(message, "run_started", "did not come before", "start the run first")
    if earlier and message["run"] != earlier[0]["run"]:
        problem = f"is {message['run']}, open is {earlier[0]['run']}"
        raise _broken(message, "run", problem, "end a run first")
    if message["seq"] != len(earlier) + 1:
        problem = f"is {message['seq']}, not {len(earlier) + 1}"
        raise _broken(message, "seq", problem, "repeat the run")
    if message["seq"] > LINES_MAX:
        raise _broken(message, "run", f"has more than {LINES_MAX} lines", "split the run")


def _broken(message: Message, name: str, problem: str, fix: str) -> BrokenRun:
    line = _canonical(message).decode()
    return BrokenRun(BadInput(name, problem, fix), run=message["run"], line=line)


def _check_content(message: Message, earlier: list[Message]) -> None:
    """The members have values that a run can have."""
    match message["type"]:
        case "run_started":
            _check_start(message)
        case "point_measured":
            if abs(message["error_e4_pct"]) > ERROR_E4_PCT_MAX:
                problem = f"is {message['error_e4_pct']}, more than 100 %"
                raise _wrong(message, "error_e4_pct", problem, "give 1e-4 per cent")
        case "test_done":
            if message["result"] not in RESULTS:
                fix = f"use {', '.join(RESULTS)}"
                raise _wrong(message, "result", f"is {message['result']!r}", fix)
            if any(each.get("test") == message["test"] for each in earlier):
                problem = f"{message['test']!r} came before"
                raise _wrong(message, "test", problem, "send each test once")
        case _:
            for name, kind in (("points", "point_measured"), ("tests", "test_done")):
                count = sum(each["type"] == kind for each in earlier)
                if message[name] != count:
                    problem = f"is {message[name]}, came {count}"
                    raise _broken(message, name, problem, "repeat the run")


def _check_start(message: Message) -> None:
    if message["protocol"] != PROTOCOL:
        raise _wrong(message, "protocol", f"is {message['protocol']!r}", f"use {PROTOCOL}")
    if not _CLASS.fullmatch(message["reference_class"]):
        problem = f"is {message['reference_class']!r}"
        raise _wrong(message, "reference_class", problem, "write it like 0.05 or 0.05S")
    try:
        parse_day(message["reference_due_on"], "reference_due_on")
        local_day(message["measured_at"], 0)
    except BadInput as error:
        raise _wrong(message, error.field, error.problem, error.fix) from None


def _run(messages: list[Message]) -> BenchRun:
    first = messages[0]
    return BenchRun(
        run_id=first["run"],
        meter_no=first["meter_no"],
        accuracy_class=first["accuracy_class"],
        bench_no=first["bench_no"],
        reference_meter_no=first["reference_meter_no"],
        reference_class=first["reference_class"],
        reference_due_on=first["reference_due_on"],
        measured_at=first["measured_at"],
        operator=first["operator"],
        points=tuple(
            MeasuredPoint(
                current=each["current"],
                power_factor=each["power_factor"],
                load=each["load"],
                error_e4_pct=each["error_e4_pct"],
            )
            for each in messages
            if each["type"] == "point_measured"
        ),
        tests={each["test"]: each["result"] for each in messages if each["type"] == "test_done"},
    )
