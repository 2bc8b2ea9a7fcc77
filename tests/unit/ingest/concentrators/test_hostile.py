"""A concentrator that says what it likes, over real TCP: no harm, no other's value, no password."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime

import pytest

from services.ingest.concentrators import Concentrators
from services.ingest.events import ProfileRead, ReadFailed, RegistersRead
from services.ingest.line_file import LineBook, parse_line
from services.ingest.protocols.dlt645.address import MeterAddress
from services.ingest.protocols.dlt645.frame import encode_frame as meter_bytes
from services.ingest.protocols.dlt645.replies import data_reply
from services.ingest.protocols.dlt645.requests import (
    Credentials,
    RelayOrder,
    read_request,
    relay_request,
)
from services.ingest.protocols.failures import Exchange, LineDown
from services.ingest.protocols.qgdw376 import concentrator as driver
from services.ingest.protocols.qgdw376.archive import ArchiveEntry, encode_entries
from services.ingest.protocols.qgdw376.concentrator import MasterServer
from services.ingest.protocols.qgdw376.forward_line import ForwardLine
from services.ingest.protocols.qgdw376.forwarding import Forwarding, encode_forwarded
from services.ingest.protocols.qgdw376.frame import (
    FROZEN,
    QUERY,
    Frame,
    FrameReader,
    Sequence,
    encode_frame,
    parse_address,
)
from services.ingest.protocols.qgdw376.link import MAX_KEPT_FRAMES, MasterLink
from services.ingest.protocols.qgdw376.points import encode_identifier
from services.ingest.protocols.qgdw376.requests import (
    LOGIN,
    LOGOUT,
    archive_query,
    forward_request,
    link_frame,
)
from services.ingest.reading_qgdw376 import Later, read_behind
from tests.unit.ingest.concentrators.orders import NOW_AT, carry_out, lines_with, order_of
from tests.unit.simulators_concentrator.running import NAME, address_of

pytestmark = pytest.mark.wide

HERE = parse_address(NAME)
NOON = datetime(2026, 1, 31, 12)  # noqa: DTZ001 (civil)
METER = MeterAddress(address_of(1))
PASSWORD = "314159"
ON_WIRE = bytes(byte + 0x33 for byte in bytes.fromhex(PASSWORD)[::-1]).hex()
TRIP = meter_bytes(
    relay_request(
        RelayOrder(address=METER, command="trip", valid_until_at="2026-02-01T02:10:00Z"),
        Credentials(password=PASSWORD),
        480,
    )
)
ARCHIVE = encode_entries([ArchiveEntry(number=1, pn=1, address=address_of(1))])
Says = Callable[[Frame], bytes]


def answer(asked: Frame, body: bytes, number: int | None = None) -> bytes:
    """A whole answer to a request."""
    return encode_frame(
        Frame(
            address=HERE,
            afn=asked.afn,
            sequence=Sequence(asked.sequence.number if number is None else number),
            body=body,
            function=8,
            from_terminal=True,
            starter=False,
        )
    )


def frozen(asked: Frame, body: bytes) -> bytes:
    """What the archive says truly, and of what was frozen this."""
    if asked.afn == QUERY:
        return answer(asked, encode_identifier((0,), (10,)) + ARCHIVE)
    if asked.afn == FROZEN:
        return answer(asked, body)
    return answer(asked, encode_identifier((0,), (1,)) + encode_forwarded(31, b""))


@contextmanager
def saying(says: Says) -> Iterator[tuple[str, list[socket.socket]]]:
    """A line to a concentrator that answers so, and its connections."""
    came: list[socket.socket] = []

    def talk(connection: socket.socket) -> None:
        reader = FrameReader()
        with suppress(OSError):
            while data := connection.recv(4096):
                for found in reader.feed(data):
                    if isinstance(found, Frame) and found.starter:
                        connection.sendall(says(found))

    def accept(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                came.append(server.accept()[0])
                threading.Thread(target=talk, args=(came[-1],), daemon=True).start()

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        threading.Thread(target=accept, args=(server,), daemon=True).start()
        yield f"tcp:127.0.0.1:{server.getsockname()[1]}", came
        server.shutdown(socket.SHUT_RDWR)
    for connection in came:
        connection.close()


def outcomes(kind: str, body: bytes) -> list[object]:
    """What becomes of one order when this was frozen."""
    with saying(lambda asked: frozen(asked, body)) as (line, _):
        lines = lines_with(answer_s=0.3, forward_s=1)
        try:
            asked = order_of(line, 1, kind)
            return carry_out(lines, asked)[asked.order_id]
        finally:
            lines.close()


# -- values ---------------------------------------------------------------------------------------

DAY = bytes.fromhex("310126")
FREEZE = encode_identifier((1,), (161,)) + DAY


def freeze_read_at(stamp: str) -> bytes:
    """A freeze of 31 January, 1234.56 kWh without rates, and when the terminal read it."""
    return FREEZE + bytes.fromhex(stamp) + b"\x00" + bytes.fromhex("0056341200")


def test_a_freeze_that_was_taken_before_the_day_was_over_is_none_of_it() -> None:
    (good,) = outcomes("daily_freeze", freeze_read_at("0000010226"))
    assert isinstance(good, RegistersRead)
    assert good.registers == {"1-0:1.8.0": 1_234_560}
    early = outcomes("daily_freeze", freeze_read_at("5923310126"))
    assert [type(each) for each in early] == [Later, ReadFailed]


@pytest.mark.parametrize("nibbles", ["ee" * 5, "ff" * 5, "0056ee1200", "00563412ee", "0056341f00"])
def test_a_value_that_is_none_is_a_gap_and_never_zero(nibbles: str) -> None:
    body = FREEZE + bytes.fromhex("0500010226") + b"\x00" + bytes.fromhex(nibbles)
    assert [type(each) for each in outcomes("daily_freeze", body)] == [Later, ReadFailed]


def curve(tag: str, *values: str) -> bytes:
    """A curve of p1 from a tag on, every 15 minutes."""
    head = encode_identifier((1,), (101,)) + bytes.fromhex(tag) + bytes((1, len(values)))
    return head + b"".join(map(bytes.fromhex, values))


def test_a_curve_without_a_time_tells_nothing() -> None:
    """It ended the process that reads all meters, and again after every start."""
    (found,) = outcomes("profile", curve("eeeeeeeeee", "56341200"))
    assert isinstance(found, ReadFailed)
    assert found.cause == "no_reply", "the meter was asked then, and said nothing"


def test_two_curves_of_a_point_that_differ_are_none() -> None:
    twice = curve("0000310126", "56341200") + curve("0000310126", "57341200")
    (found,) = outcomes("profile", twice)
    assert isinstance(found, ReadFailed)
    assert (found.cause, found.detail) == ("bad_reply", "two curves of p1 that differ")
    same = curve("0000310126", "56341200") * 2
    (same_found,) = outcomes("profile", same)
    assert not isinstance(same_found, ProfileRead), "one of 97 values, and the meter is silent"
    assert isinstance(same_found, ReadFailed)
    assert same_found.cause == "no_reply"


def test_one_order_asks_for_no_more_points_than_go_into_a_request() -> None:
    """However many wait: it must not take so long that its line counts as hung."""
    asked: list[Frame] = []

    def says(frame: Frame) -> bytes:
        asked.append(frame)
        return frozen(frame, freeze_read_at("0500010226"))

    with saying(says) as (line, _):
        lines = lines_with(points_per_request=8, archive_h=0)
        first, *others = (order_of(line, pn) for pn in range(1, 41))
        try:
            read_behind(first, lines, NOW_AT, waiting=lambda: tuple(others))
        finally:
            lines.close()
    (request,) = asked
    assert len(request.body) == 8 * (len(FREEZE))


# -- passwords ------------------------------------------------------------------------------------


class Echoing:
    """A concentrator whose line gives back the rest of what was sent, broken, and the answer."""

    name = NAME

    def __init__(self, rest: bytes) -> None:
        self.rest = rest

    def forward(self, content: bytes) -> bytes:
        """The rest of an echo, then what was asked for."""
        return self.rest + meter_bytes(data_reply(str(METER), "04000503", b"\0\0"))

    def take_exchanges(self) -> tuple[Exchange, ...]:
        """None."""
        return ()


STATUS = read_request(str(METER), "04000503")
RESTS = [TRIP[8:], TRIP[14:], TRIP[:-1], TRIP[:-2] + b"\x00\x16"]


@pytest.mark.parametrize("rest", RESTS)
def test_what_is_left_of_a_command_is_hidden_in_the_answer_after_it(rest: bytes) -> None:
    line = ForwardLine(Echoing(rest))
    command = relay_request(
        RelayOrder(address=METER, command="trip", valid_until_at="2026-02-01T02:10:00Z"),
        Credentials(password=PASSWORD),
        480,
    )
    with suppress(Exception):
        line.exchange(command, lambda _: False, tries=1)
    found = line.exchange(STATUS, lambda frame: frame.from_meter).exchange
    assert ON_WIRE in TRIP.hex()
    assert not any(ON_WIRE in text for text in found.noise_hex + found.received_hex)


@pytest.mark.parametrize("rest", RESTS)
def test_the_frame_around_it_hides_it_too(rest: bytes) -> None:
    link = MasterLink(address=HERE)
    body = encode_identifier((0,), (1,)) + encode_forwarded(31, rest)
    for content in (TRIP, meter_bytes(STATUS)):
        raw = link.begin(forward_request(Forwarding(), content), NOON)
        (asked,) = FrameReader().feed(raw)
        assert isinstance(asked, Frame)
        link.receive(answer(asked, body))
        assert link.answer is not None
        received, _, _ = link.take_evidence()
        assert received
        assert not any(ON_WIRE in text for text in (*received, link.sent))
    link.begin(forward_request(Forwarding(), meter_bytes(STATUS)), NOON)


# -- connections ----------------------------------------------------------------------------------


def test_frames_that_nobody_asked_for_are_counted_and_not_all_kept() -> None:
    link = MasterLink(address=HERE)
    (asked,) = FrameReader().feed(link.begin(forward_request(Forwarding(), TRIP), NOON))
    assert isinstance(asked, Frame)
    for number in range(3 * MAX_KEPT_FRAMES):
        link.receive(answer(asked, b"", number=(asked.sequence.number + 1 + number % 8) % 16))
    assert len(link.received) == MAX_KEPT_FRAMES
    link.receive(answer(asked, encode_identifier((0,), (1,)) + encode_forwarded(31, b"")))
    assert link.answer is not None
    assert len(link.received) == MAX_KEPT_FRAMES + 1, "the answer is evidence whatever came before"
    assert link.skipped["wrong_number"] == 3 * MAX_KEPT_FRAMES


def test_who_logs_out_is_dialled_again_and_the_first_connection_ends() -> None:
    def says(asked: Frame) -> bytes:
        archive = encode_identifier((0,), (10,)) + ARCHIVE
        return answer(asked, archive) + encode_frame(link_frame(HERE, LOGOUT, 1))

    with saying(says) as (line, came):
        name = parse_line(f"{line}/{NAME}")
        book = LineBook({"tcp:*": {"answer_s": 1.0}})
        reached = Concentrators(book, b"key").line_of(name, book.settings_of(name)).reached
        first = reached.connected()
        first.request(archive_query((1,)))
        patience_s = time.monotonic() + 5
        while first.is_up and time.monotonic() < patience_s:
            time.sleep(0.01)
        second = reached.connected()
        assert second is not first
        with pytest.raises(LineDown, match="closed by us"):
            first.request(archive_query((1,)))
        assert len(came) == 2
        second.close()


def test_a_moment_without_file_handles_does_not_end_listening(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(driver, "ACCEPT_AGAIN_S", 0.01)
    login = encode_frame(link_frame(HERE, LOGIN, 1))
    with MasterServer("127.0.0.1", 0) as server:
        usual, failures = server._socket, [OSError(24, "Too many open files")]

        class Exhausted:
            """Fails once."""

            def accept(self) -> tuple[socket.socket, object]:
                """As a socket does when no file may be opened."""
                if failures:
                    raise failures.pop()
                return usual.accept()

            def close(self) -> None:
                """As a socket's."""
                usual.close()

        server._socket = Exhausted()  # type: ignore[assignment]
        with socket.create_connection(server.address):
            pass
        patience_s = time.monotonic() + 5
        while failures and time.monotonic() < patience_s:
            time.sleep(0.01)
        with socket.create_connection(server.address) as late:
            late.sendall(login)
            assert server.wait_for(NAME, 5).is_up


def test_names_that_came_and_went_are_forgotten() -> None:
    with MasterServer("127.0.0.1", 0) as server:
        for number in range(1, 6):
            address = parse_address(f"0200-{number:04X}")
            with socket.create_connection(server.address) as caller:
                caller.sendall(encode_frame(link_frame(address, LOGIN, 1)))
                found = server.wait_for(str(address), 5)
            patience_s = time.monotonic() + 5
            while found.is_up and time.monotonic() < patience_s:
                time.sleep(0.01)
        assert len(server._by_name) == 1


def test_a_connection_whose_thread_ends_is_down() -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a bug in what takes reports")

    quiet = threading.excepthook
    threading.excepthook = lambda _: None
    try:
        with (
            MasterServer("127.0.0.1", 0, on_report=fails) as server,
            socket.create_connection(server.address) as caller,
        ):
            caller.sendall(encode_frame(link_frame(HERE, LOGIN, 1)))
            found = server.wait_for(NAME, 5)
            caller.sendall(answer_of_nothing())
            patience_s = time.monotonic() + 5
            while found.is_up and time.monotonic() < patience_s:
                time.sleep(0.01)
            assert not found.is_up
    finally:
        threading.excepthook = quiet


def answer_of_nothing() -> bytes:
    """A report: the terminal begins."""
    return encode_frame(
        Frame(
            address=HERE,
            afn=0x0E,
            sequence=Sequence(3),
            body=encode_identifier((0,), (1,)),
            function=4,
            from_terminal=True,
        )
    )
