"""Connections to concentrators: ports that are named, rests, what is kept, what is reported."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from libs.events.errors import Refused
from services.ingest import concentrators
from services.ingest.behind import Behind
from services.ingest.concentrators import ConcentratorLine, Concentrators
from services.ingest.line_file import LineBook, parse_line
from services.ingest.protocols.failures import LineDown
from services.ingest.protocols.qgdw376.archive import ArchiveEntry
from services.ingest.protocols.qgdw376.frame import encode_frame, parse_address
from services.ingest.protocols.qgdw376.requests import LOGIN, archive_query, link_frame
from services.local.ports import free_ports
from tests.unit.ingest.protocols.qgdw376.captures import wire

NAME = "0200-1234"
EVENT = "00000100 11 00 03 05 0e 06 0500010226 ff"
PATIENCE_S = 10.0
DAY_ON = "2026-01-31"


def line_to(name: str, **fields: object) -> ConcentratorLine:
    line = parse_line(f"{name}/{NAME}")
    book = LineBook({"tcp:*": fields, "listen:*": fields})
    return Concentrators(book, b"key").line_of(line, book.settings_of(line))


@contextmanager
def listening() -> Iterator[tuple[Concentrators, int]]:
    """The ports of a file of lines that names one, open from the start."""
    port = free_ports(1)[0]
    found = Concentrators(LineBook({f"listen:127.0.0.1:{port}": {}}), b"key")
    found.listen()
    try:
        yield found, port
    finally:
        found.close()


def report_of(afn: int, body_hex: str) -> bytes:
    """What a terminal sends by itself, wanting no confirmation."""
    user = bytes.fromhex("C4 00 02 34 12 00") + bytes((afn, 0x61)) + bytes.fromhex(body_hex)
    return wire(user)


class Log:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, str]]] = []

    def warning(self, text: str, **fields: str) -> None:
        self.said.append((text, fields))


def test_a_named_port_is_open_before_any_order_and_reports_go_to_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log()
    monkeypatch.setattr(concentrators, "logger", lambda name: log)
    with (
        listening() as (_, port),
        closing(socket.create_connection(("127.0.0.1", port), 5)) as terminal,
    ):
        terminal.sendall(encode_frame(link_frame(parse_address(NAME), LOGIN, 1)))
        assert terminal.recv(100), "its login is acknowledged"
        for afn, body in ((0x0E, EVENT), (0x0E, "00000100 110003"), (0x02, "0000")):
            terminal.sendall(report_of(afn, body))
        deadline = time.monotonic() + PATIENCE_S
        while len(log.said) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert [text for text, _ in log.said] == [
        "a concentrator's event",
        "an event nobody can read",
        "a concentrator reports",
    ]
    assert log.said[0][1] == {
        "concentrator": NAME,
        "name": "terminal power off or on",
        "occurred_at": "2026-01-31T16:05:00Z",
        "raw": "0500010226ff",
    }


def test_a_port_that_is_taken_is_told() -> None:
    with listening() as (_, port):
        again = Concentrators(LineBook({f"listen:127.0.0.1:{port}": {}}), b"key")
        with pytest.raises(Refused, match=f"cannot listen on 127.0.0.1:{port}"):
            again.listen()
        with pytest.raises(LineDown, match="cannot listen"):
            line_to(f"listen:127.0.0.1:{port}", login_s=0.1).ask(archive_query((1,)))


def test_one_that_cannot_be_dialled_rests_longer_and_longer_until_it_is_woken() -> None:
    line = line_to("tcp:127.0.0.1:1", backoff_s=30.0, reopen_max_s=300.0)
    for problem in (r"Connection refused", r"Connection refused", r"dialled again in (29|30)\."):
        with pytest.raises(LineDown, match=problem) as error:
            line.ask(archive_query((1,)))
        assert not error.value.sent
    line.wake()
    with pytest.raises(LineDown, match="Connection refused"):
        line.ask(archive_query((1,)))
    assert (line.counts.asked, line.counts.broken) == (4, 4)
    line.close()


def test_its_archive_is_read_once_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1000.0
    monkeypatch.setattr(concentrators.time, "monotonic", lambda: now_s)
    line = line_to("tcp:127.0.0.1:1", archive_h=1)
    one, two, three = (Behind(NAME, pn, f"meter {pn}") for pn in (1, 2, 3))
    assert line.unread_numbers([one, two], DAY_ON) == (1, 2)
    line.note_entries((1, 2), [ArchiveEntry(number=1, pn=1, address="meter 1")])
    assert line.unread_numbers([three], DAY_ON) == (3,)
    line.note_entries((3,), [ArchiveEntry(number=3, pn=0, address="meter 3")])
    assert line.unread_numbers([one], DAY_ON) == ()
    assert line.distrusted([one, two, three]) == {2, 3}
    assert [pn for _, pn in line.difference().missing] == [2, 3]
    now_s += 3601
    assert line.unread_numbers([one], DAY_ON) == (1, 2, 3)
    assert line.distrusted([one, two, three]) == {1, 2, 3}
    line.note_entries((1, 2, 3), [])
    assert line.unread_numbers([one], "2026-01-30") == ()
    later = line.unread_numbers([one], "2026-02-01")
    assert later == (1, 2, 3), "what was read for a day tells nothing of a later one"
    line.note_entries(later, [])
    assert line.unread_numbers([one], "2026-02-01") == ()


def test_a_point_is_distrusted_while_it_is_not_just_the_registered_meters() -> None:
    line = line_to("tcp:127.0.0.1:1")
    places = [Behind(NAME, pn, f"meter {pn}") for pn in range(1, 6)]
    line.unread_numbers(places, DAY_ON)
    claimed = ((1, "meter 1"), (2, "meter 2"), (2, "meter 9"), (3, "meter 4"), (5, "meter 5"))
    entries = [ArchiveEntry(number=n, pn=pn, address=who) for n, (pn, who) in enumerate(claimed, 1)]
    line.note_entries(range(1, 7), entries)
    assert line.distrusted(places) == {2, 3, 4}
    new = Behind(NAME, 1, "new meter 1")
    assert line.distrusted([new]) == {1}, "until the archive has the meter that came in its place"
    line.unread_numbers([new], DAY_ON)
    line.note_entries((1,), [ArchiveEntry(number=1, pn=1, address="new meter 1")])
    assert line.distrusted([new]) == frozenset()
    assert "meter 1" not in line.registered
    assert line_to("tcp:127.0.0.1:1", archive_h=0).distrusted(places) == frozenset()


def test_only_so_many_answers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concentrators, "ANSWERS_KEPT", 2)
    line = line_to("tcp:127.0.0.1:1")
    for name in ("a", "b", "c"):
        line.keep(name, name)
    assert list(line.answers) == ["b", "c"]
