"""The file of lines: what people know of a line's wire that its name does not say.

    {"lines": {"tcp:*":                {"latency_ms": 200},
               "tcp:192.0.2.7:6001":   {"baud": 2400, "turnaround_ms": 500},
               "serial:/dev/ttyS1":    {"baud": 9600, "tries": 3},
               "listen:0.0.0.0:5100":  {"login_ms": 60000}},
     "hosts": {"*": 16, "192.0.2.7": 1}}

`GRIDLEDGER_LINES_FILE` names it (JSON). `lines`: a line by its name, or all of a kind (`tcp:*`,
`serial:*`); what neither says keeps its default (`DEFAULTS`). A name is the identity of a line and
stays free of settings, so that two spellings can not become two masters of one wire. `hosts`: how
many lines of one concentrator or terminal server are talked on at the same time. FIELDS has the
fields, their bounds and what they mean. BadInput names the file, the field and the fix.

A concentrator (services/ingest/behind.py) is a line too: `tcp:HOST:PORT/AREA-TERMINAL` is dialled,
`listen:HOST:PORT/AREA-TERMINAL` dials in to us; `listen:HOST:PORT` are all that dial in there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from libs.events.documents import read_json
from libs.events.errors import BadInput
from services.ingest.concentrator_settings import ConcentratorSettings, concentrator_settings
from services.ingest.protocols.drivers import LineSettings
from services.ingest.protocols.ports import Port, SerialPort, TcpPort
from services.ingest.protocols.qgdw376.frame import parse_address

TCP_BAUD = 115_200
"""Of a line behind a terminal nobody told us the bit rate of: its own network is faster still. A
slow line behind one needs its `baud` in the file, or its replies come after the time-out."""
SERIAL_BAUD = 2400
"""DL/T 645-2007: the rate that every meter has when it leaves the factory (domain.md 1.1)."""
DEFAULTS = LineSettings(turnaround_s=0.3, tries=2)
"""UNCONFIRMED: meters answer sooner than the 500 ms that the standard allows them."""
HOST_LINES = 16
"""UNCONFIRMED: how many lines of one host are talked on at once."""
ANY = "*"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a line: what it is in `LineSettings`, in how many units a second, its bounds."""

    name: str
    units: int
    lowest: int
    highest: int
    meaning: str


FIELDS = {
    "baud": Field("baud", 0, 50, 4_000_000, "bits a second on the wire, 11 of them a byte"),
    "turnaround_ms": Field("turnaround_s", 1000, 0, 60_000, "how long a meter may think"),
    "latency_ms": Field("latency_s", 1000, 0, 60_000, "what the network adds, each way"),
    "inter_byte_ms": Field("inter_byte_s", 1000, 1, 60_000, "longest pause inside a frame"),
    "tries": Field("tries", 0, 1, 10, "how often a read is sent"),
    "backoff_ms": Field("backoff_s", 1000, 0, 60_000, "pause before a repetition, then doubled"),
    "reopen_max_ms": Field("reopen_max_s", 1000, 0, 3_600_000, "longest rest of a broken line"),
    "connect_ms": Field("connect_s", 1000, 1, 60_000, "how long a terminal may take to accept"),
}
CONCENTRATOR_FIELDS = {
    "answer_ms": Field("answer_s", 1000, 1, 600_000, "a concentrator's whole answer"),
    "forward_s": Field("forward_s", 0, 1, 127, "what it may wait for a meter, besides"),
    "login_ms": Field("login_s", 1000, 1, 600_000, "until it has logged in, or accepted us"),
    "idle_ms": Field("idle_s", 1000, 1, 86_400_000, "without a sound it counts as gone"),
    "points_per_request": Field("points_per_request", 0, 1, 255, "points of one request"),
    "curve_offset": Field("curve_offset", 0, 0, 1, "intervals from a curve's tag to its first"),
    "archive_h": Field("archive_h", 0, 0, 8784, "hours an archive counts for a day; 0: unread"),
}
"""Of a concentrator's line, besides `tries`, `backoff_ms` and `reopen_max_ms`."""
KINDS = ("tcp", "serial", "listen")


@dataclass(frozen=True, slots=True)
class LineName:
    """A line's name, read: `wire` names the one wire whatever the spelling, `host` its terminal.

    baud: what the name says itself (`serial:PATH:BAUD`), 0 when nothing; concentrator: whose line
    it is (AREA-TERMINAL), "" for that of meters.
    """

    kind: str
    place: str
    port: int = 0
    baud: int = 0
    concentrator: str = ""

    @property
    def base(self) -> str:
        """tcp:HOST:PORT, listen:HOST:PORT or serial:PATH."""
        return f"{self.kind}:{self.place}:{self.port}" if self.port else f"serial:{self.place}"

    @property
    def wire(self) -> str:
        """The one wire, or the one concentrator: `base`, with /AREA-TERMINAL when it is one's."""
        return f"{self.base}/{self.concentrator}" if self.concentrator else self.base

    @property
    def host(self) -> str:
        """Whose lines are counted together; a serial port, and who dials in, is its own host."""
        return self.concentrator if self.kind == "listen" else self.place


def parse_line(name: str) -> LineName:
    """What a line's name means; BadInput when it means nothing.

    >>> parse_line("serial:/dev/ttyS1:9600").wire
    'serial:/dev/ttyS1'
    """
    kind, _, rest = name.partition(":")
    if kind in ("tcp", "listen"):
        place, _, concentrator = rest.partition("/")
        host, _, port = place.rpartition(":")
        if host and port.isdecimal() and 0 < int(port) <= 65_535:
            whose = str(parse_address(concentrator)) if concentrator else ""
            return LineName(kind, host.lower(), int(port), 0, whose)  # hosts know no case
    if kind == "serial" and rest:
        path, _, baud = rest.rpartition(":")
        if path and baud.isdecimal() and int(baud):
            return LineName("serial", path, baud=int(baud))
        if path and not baud.isdecimal():
            return LineName("serial", rest)  # /dev/serial/by-path has colons too
        if ":" not in rest:
            return LineName("serial", rest)
    raise BadInput(
        "line", f"{name!r} is no line", "tcp:HOST:PORT, listen:HOST:PORT or serial:PATH[:BAUD]"
    )


def open_port(line: LineName, settings: LineSettings) -> Port:
    """The port of a line, not opened yet."""
    if line.kind == "tcp":
        return TcpPort(line.place, line.port, settings.connect_s)
    return SerialPort(line.place, settings.baud)


@dataclass(frozen=True, slots=True)
class LineBook:
    """What the file says; an empty one says nothing, and everything has its default."""

    lines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    hosts: Mapping[str, int] = field(default_factory=dict)

    def settings_of(self, line: LineName) -> LineSettings:
        """The settings of a line: its own over those of its kind over the defaults.

        BadInput when the file gives it another bit rate than its name does.
        """
        given = self._given(line)
        stated = self.lines.get(line.wire, {}).get("baud")
        if line.baud and stated not in (None, line.baud):
            problem = (
                f"{line.wire} has {line.baud} baud by its name and {stated} by the file of lines"
            )
            raise BadInput("line", problem, "state it in one place")
        usual = SERIAL_BAUD if line.kind == "serial" else TCP_BAUD
        known = {about.name for about in FIELDS.values()}
        own = {name: given[name] for name in given if name in known}
        return replace(DEFAULTS, **{**own, "baud": line.baud or given.get("baud", usual)})

    def concentrator_of(self, line: LineName) -> ConcentratorSettings:
        """The settings of a concentrator's line: its own, its port's, its kind's, the defaults."""
        return concentrator_settings(self._given(line))

    def listening(self) -> list[LineName]:
        """The ports that the file names for concentrators to dial in to."""
        found = [parse_line(name) for name in self.lines if not name.endswith(f":{ANY}")]
        return [line for line in found if line.kind == "listen"]

    def _given(self, line: LineName) -> dict[str, Any]:
        names = dict.fromkeys((f"{line.kind}:{ANY}", line.base, line.wire))
        return {key: value for name in names for key, value in self.lines.get(name, {}).items()}

    def limit_of(self, host: str) -> int:
        """How many lines of a host are talked on at once."""
        return self.hosts.get(host, self.hosts.get(ANY, HOST_LINES))


def load_lines(file: Path | None) -> LineBook:
    """The file of lines; without one all lines have the defaults."""
    if file is None:
        return LineBook()
    document = read_json(file)
    try:
        sections = _table(document, "", {"lines", "hosts"})
        lines = {
            _known_line(name): _settings(given, f"lines.{name}")
            for name, given in _table(sections.get("lines", {}), "lines").items()
        }
        hosts = {
            name.lower(): _whole(given, f"hosts.{name}", 1, 1000)
            for name, given in _table(sections.get("hosts", {}), "hosts").items()
        }
    except BadInput as wrong:
        raise BadInput(f"{file}: {wrong.field}", wrong.problem, wrong.fix) from None
    return LineBook(lines, hosts)


def _known_line(name: str) -> str:
    if name in {f"{kind}:{ANY}" for kind in KINDS}:
        return name
    try:
        line = parse_line(name)
    except BadInput:
        raise BadInput(
            f"lines.{name}", "is no line", f"tcp:HOST:PORT, serial:PATH, tcp:{ANY} or serial:{ANY}"
        ) from None
    if line.baud:
        raise BadInput(f"lines.{name}", "has a bit rate in its name", f'"{line.wire}" with "baud"')
    return line.wire


def _settings(given: Any, place: str) -> dict[str, Any]:
    """A line's fields as `LineSettings` has them: milliseconds become seconds."""
    found: dict[str, Any] = {}
    of_meters = place.startswith("lines.serial:")
    fields = FIELDS if of_meters else FIELDS | CONCENTRATOR_FIELDS
    for name, value in _table(given, place, fields).items():
        about = fields[name]
        number = _whole(value, f"{place}.{name}", about.lowest, about.highest)
        found[about.name] = number / about.units if about.units else number
    return found


def _whole(given: Any, place: str, lowest: int, highest: int) -> int:
    if type(given) is not int or not lowest <= given <= highest:
        fix = f"give a whole number from {lowest} to {highest}"
        raise BadInput(place, f"{str(given)[:40]!r} is none that fits", fix)
    return given


def _table(given: Any, place: str, known: Iterable[str] = ()) -> dict[str, Any]:
    """A JSON object, of which only the known names may be there when some are."""
    if not isinstance(given, dict):
        raise BadInput(place or "document", "is no object", 'write {"name": value}')
    known = tuple(known)
    for name in given:
        if known and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            fix = f"{hint}there are {', '.join(sorted(known))}"
            raise BadInput(f"{place}.{name}".lstrip("."), "no such field", fix)
    return given
