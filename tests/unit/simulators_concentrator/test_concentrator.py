"""The driver against a concentrator that misbehaves, over real TCP.

Goal: what is not the answer never becomes one, is counted with its reason, and the next request
works. Method: the simulator runs as its own process; its control port turns misbehaviour on.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from libs.events.errors import BadInput, Refused
from services.ingest.protocols.dlt645.frame import TIME_SYNC, Frame
from services.ingest.protocols.dlt645.requests import Credentials
from services.ingest.protocols.failures import BadReply, LineDown, NoReply
from services.ingest.protocols.qgdw376.archive import ArchiveEntry
from services.ingest.protocols.qgdw376.concentrator import (
    Concentrator,
    LinkSettings,
    MasterServer,
    dial_out,
)
from services.ingest.protocols.qgdw376.forward_line import ForwardLine
from services.ingest.protocols.qgdw376.frame import parse_address
from services.ingest.protocols.qgdw376.layout_file import load_layouts
from services.ingest.protocols.qgdw376.profile import STANDARD
from services.ingest.protocols.qgdw376.replies import (
    decode_acknowledgement,
    decode_data,
    decode_events,
)
from services.ingest.protocols.qgdw376.requests import (
    Request,
    archive_setting,
    clock_request,
    current_request,
    curve_request,
    event_request,
    permit_close_request,
    trip_request,
)
from services.ingest.protocols.session import MeterSession, PasswordSecurity
from simulators.concentrator.__main__ import main
from simulators.concentrator.config import parse_concentrator
from tests.unit.ingest.protocols.qgdw376.captures import CAPTURES as OUTER
from tests.unit.simulators_concentrator.running import (
    NAME,
    START_AT,
    YESTERDAY,
    Site,
    address_of,
    command,
    document,
    read_archive,
    read_day_freezes,
    running_site,
)

METERS = 20


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with running_site(folder, METERS, heartbeat_s=0.2, bad_radio=[address_of(9)]) as site:
        yield site


@pytest.fixture
def site(town: Site) -> Iterator[Site]:
    town.concentrator().take_exchanges()
    yield town
    town.remote.ask("calm")
    for pn in range(1, METERS + 1):
        town.remote.ask("clear", meter=address_of(pn))


def read_one(concentrator: Concentrator, pn: int = 1) -> int:
    """The import register of one point, in 0.1 Wh."""
    (unit,) = read_day_freezes(concentrator, (pn,), (161,), YESTERDAY).units
    assert (unit.pn, unit.fn, unit.day_on) == (pn, 161, YESTERDAY)
    value = unit.quantities[0].value
    assert value is not None
    return value


def test_a_freeze_is_what_the_meter_had_at_24_00(site: Site) -> None:
    truth = site.truth(3, "2026-01-31T16:00:00Z")["1-0:1.8.0"]
    assert read_one(site.concentrator(), 3) == truth // 10 * 100


def test_heartbeats_are_acknowledged_while_nobody_asks(site: Site) -> None:
    before = site.remote.ask("concentrator")
    time.sleep(0.7)
    after = site.remote.ask("concentrator")
    assert after["heartbeats"] >= before["heartbeats"] + 2
    assert after["acknowledged"] >= before["acknowledged"] + 2
    assert site.server.names() == [NAME]


def test_a_point_without_a_freeze_is_absent_and_not_zero(site: Site) -> None:
    got = read_day_freezes(site.concentrator(), (8, 9, 10, 99), (161, 163), YESTERDAY)
    assert got.absent == ((9, 161), (9, 163), (99, 161), (99, 163))
    assert {(unit.pn, unit.fn) for unit in got.units} == {
        (8, 161), (8, 163), (10, 161), (10, 163),
    }  # fmt: skip


def test_a_day_nobody_froze_is_absent_for_all(site: Site) -> None:
    got = read_day_freezes(site.concentrator(), (1, 2), (161,), "2026-03-05")
    assert got.units == ()
    assert got.absent == ((1, 161), (2, 161))


@pytest.mark.parametrize(
    ("kind", "reason"), [("wrong_number", "wrong_number"), ("wrong_checksum", "checksum")]
)
def test_a_read_is_asked_again_after_a_spoiled_answer(site: Site, kind: str, reason: str) -> None:
    site.remote.ask("misbehave", kind=kind, count=1)
    concentrator = site.concentrator()
    got = read_day_freezes(concentrator, (2,), (161,), YESTERDAY)
    assert len(got.units) == 1
    assert got.exchanges[0].attempts == 2
    assert got.exchanges[0].skipped == {reason: 1}


def test_an_answer_that_always_has_a_wrong_number_is_none(site: Site) -> None:
    site.remote.ask("misbehave", kind="wrong_number", count=2)
    with pytest.raises(BadReply, match="2 x wrong_number") as error:
        read_day_freezes(site.concentrator(), (2,), (161,), YESTERDAY)
    assert error.value.exchange is not None
    assert error.value.exchange.attempts == 2
    assert read_one(site.concentrator()) > 0


def test_a_repeated_answer_counts_once(site: Site) -> None:
    site.remote.ask("misbehave", kind="repeat_answer", count=1)
    concentrator = site.concentrator()
    got = read_day_freezes(concentrator, (1,), (161,), YESTERDAY)
    assert len(got.units) == 1
    time.sleep(0.1)
    assert (
        concentrator.link.skipped["duplicate"] + got.exchanges[0].skipped.get("duplicate", 0) == 1
    )


def test_a_late_answer_is_never_the_next_ones(site: Site) -> None:
    site.remote.ask("misbehave", kind="slow", count=1, seconds=1.4)
    concentrator = site.concentrator()
    got = read_day_freezes(concentrator, (4,), (161,), YESTERDAY)  # answered at the second try
    assert got.exchanges[0].attempts == 2
    other = read_one(concentrator, 5)
    assert other == site.truth(5, "2026-01-31T16:00:00Z")["1-0:1.8.0"] // 10 * 100
    time.sleep(0.6)
    assert concentrator.link.skipped["late"] == 1


def test_silence_is_no_reply_and_the_next_request_works(site: Site) -> None:
    site.remote.ask("misbehave", kind="silent", count=2)
    with pytest.raises(NoReply, match="no answer"):
        site.concentrator().request(current_request((1,), (129,)))
    assert read_one(site.concentrator()) > 0


def test_a_command_is_sent_once_and_may_have_arrived(site: Site) -> None:
    site.remote.ask("misbehave", kind="silent", count=1)
    with pytest.raises(NoReply) as error:
        command(site.concentrator(), trip_request(2))
    assert error.value.sent
    assert error.value.exchange is not None
    assert error.value.exchange.attempts == 1
    assert site.remote.ask("concentrator")["rounds"]["2"] == "closed"


def test_a_broken_connection_is_line_down_and_it_dials_in_again(site: Site) -> None:
    first = site.concentrator()
    site.remote.ask("misbehave", kind="drop_login", count=1)
    site.remote.ask("misbehave", kind="hang_up", count=1)
    with pytest.raises(LineDown, match="closed by the concentrator"):
        read_day_freezes(first, (1,), (161,), YESTERDAY)
    assert not first.is_up
    # The login was dropped: the connection stands, heartbeats come, and nobody is logged in yet.
    with pytest.raises(NoReply, match="no login within"):
        site.server.wait_for(NAME, 0.6)
    site.remote.ask("calm")
    for concentrator in site.server._open:
        concentrator.close()
    assert read_one(site.concentrator()) > 0


def test_rounds_are_tripped_and_permitted(site: Site) -> None:
    concentrator = site.concentrator()
    command(concentrator, trip_request(3, alarm_minutes=2))
    assert site.remote.ask("concentrator")["rounds"]["3"] == "open"
    command(concentrator, permit_close_request(3))
    assert site.remote.ask("concentrator")["rounds"]["3"] == "close_permitted"
    command(concentrator, clock_request(START_AT))


def test_what_it_denies_is_a_bad_reply(site: Site) -> None:
    answer = site.concentrator().request(current_request((1,), (25,)))
    assert answer.is_acknowledgement
    assert not decode_acknowledgement(answer.frames[0]).accepted


def test_events_are_read(site: Site) -> None:
    answer = site.concentrator().request(event_request(1, 0, 4))
    body = decode_events(answer.frames[0])
    assert (body.important, body.general, body.first, body.last) == (0, 0, 0, 4)


def test_an_archive_entry_is_written_read_and_taken_out(site: Site) -> None:
    concentrator = site.concentrator()
    entry = ArchiveEntry(number=21, pn=21, address="000000004711", password=b"secret")
    command(concentrator, archive_setting([entry]))
    assert read_archive(concentrator, [20, 21, 22])[1] == entry
    sent = concentrator.take_exchanges()[0].sent_hex
    assert b"secret".hex() not in sent
    command(concentrator, archive_setting([ArchiveEntry(number=21, pn=0, address="000000004711")]))
    assert [each.number for each in read_archive(concentrator, [20, 21])] == [20]


def test_a_meter_session_works_through_it(site: Site) -> None:
    session = MeterSession(ForwardLine(site.concentrator()), address_of(7))
    read = session.read("0001FF00")
    assert read.quantities[0].value == site.truth(7, START_AT)["1-0:1.8.0"] // 10 * 10
    assert read.exchanges[0].attempts == 1
    outer = read.exchanges[0].carried
    assert len(outer) == 1
    assert read.exchanges[0].sent_hex[8:] in outer[0].sent_hex


def test_a_relay_behind_it_is_switched_once_and_read_back(site: Site) -> None:
    session = MeterSession(ForwardLine(site.concentrator()), address_of(6))
    security = PasswordSecurity(credentials=Credentials(password="000000"))
    tripped = session.send_relay_command("trip", "2026-02-01T02:10:00Z", security)
    assert tripped.accepted
    assert session.read_relay_status().state == "open"
    assert "xx" in tripped.exchanges[0].carried[0].sent_hex
    assert session.send_relay_command("close", "2026-02-01T02:10:00Z", security).accepted


def test_a_bad_radio_answers_at_the_second_try_and_no_relay_is_tried_twice(site: Site) -> None:
    session = MeterSession(ForwardLine(site.concentrator()), address_of(9))
    assert session.read("00010000").exchanges[0].attempts == 2
    security = PasswordSecurity(credentials=Credentials(password="000000"))
    with pytest.raises(NoReply) as error:
        session.send_relay_command("trip", "2026-02-01T02:10:00Z", security)
    assert error.value.sent
    assert session.read_relay_status().state == "closed"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("wrong_checksum", "checksum"), ("echo", "echo"), ("wrong_address", "other_address")],
)
def test_what_else_comes_from_a_meter_is_counted(site: Site, fault: str, reason: str) -> None:
    site.remote.ask("fault", meter=address_of(11), kind=fault, count=1)
    read = MeterSession(ForwardLine(site.concentrator()), address_of(11)).read("00010000")
    assert read.exchanges[0].skipped == {reason: 1}


def test_a_meter_that_only_talks_nonsense_is_a_bad_reply(site: Site) -> None:
    site.remote.ask("fault", meter=address_of(12), kind="wrong_address")
    with pytest.raises(BadReply, match="2 x other_address"):
        MeterSession(ForwardLine(site.concentrator()), address_of(12)).read("00010000")


def test_a_concentrator_that_says_nothing_leaves_the_meter_unknown(site: Site) -> None:
    line = ForwardLine(site.concentrator())
    session = MeterSession(
        line,
        address_of(13),
    )
    site.remote.ask("misbehave", kind="silent", count=2)
    quick = replace(STANDARD.forwarding, timeout_ms=100)
    concentrator = site.concentrator()
    usual, concentrator.link.profile = (
        concentrator.link.profile,
        replace(STANDARD, forwarding=quick),
    )
    with pytest.raises(NoReply, match=address_of(13)):
        session.read("00010000")
    concentrator.link.profile = usual


def test_a_broken_connection_ends_a_forwarding(site: Site) -> None:
    session = MeterSession(ForwardLine(site.concentrator()), address_of(14))
    site.remote.ask("misbehave", kind="hang_up", count=1)
    with pytest.raises(LineDown) as error:
        session.read("00010000")
    assert error.value.sent
    assert read_one(site.concentrator()) > 0


def test_a_command_may_be_denied(site: Site) -> None:
    wrong = Request(0x05, bytes.fromhex("00004000"), commands=True)
    answer = site.concentrator().request(wrong)
    assert not decode_acknowledgement(answer.frames[0]).accepted


def test_a_broadcast_is_not_forwarded(site: Site) -> None:
    with pytest.raises(BadInput, match="broadcast"):
        ForwardLine(site.concentrator()).send(Frame("999999999999", TIME_SYNC, b""))


def test_threads_that_share_a_concentrator_wait_for_each_other(site: Site) -> None:
    concentrator = site.concentrator()
    found: dict[int, int] = {}

    def read(pn: int) -> None:
        found[pn] = read_one(concentrator, pn)

    threads = [threading.Thread(target=read, args=(pn,)) for pn in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pn in (1, 2, 3, 4):
        assert found[pn] == site.truth(pn, "2026-01-31T16:00:00Z")["1-0:1.8.0"] // 10 * 100


def test_long_answers_come_in_several_frames(tmp_path: Path) -> None:
    with running_site(tmp_path, 24, max_body_bytes=100, omit_absent=True) as site:
        got = read_day_freezes(site.concentrator(), range(1, 25), (161,), YESTERDAY)
        assert len(got.exchanges) == 1
        assert len(got.exchanges[0].received_hex) == 12
        assert [unit.pn for unit in got.units] == list(range(1, 25))


def test_a_master_can_dial_out(tmp_path: Path) -> None:
    with running_site(tmp_path, 2, listen_port=0) as site:
        place = site.ready["listen"]
        concentrator = dial_out(
            place["host"], place["port"], parse_address(NAME), settings=LinkSettings(answer_s=5)
        )
        try:
            assert read_one(concentrator, 2) > 0
        finally:
            concentrator.close()
        assert not concentrator.is_up


def test_who_never_logs_in_or_falls_silent_is_put_off() -> None:
    settings = LinkSettings(login_s=0.2, idle_s=0.2)
    with MasterServer("127.0.0.1", 0, settings=settings) as server:
        with socket.create_connection(server.address) as mute:
            mute.settimeout(5)
            assert mute.recv(10) == b""
        with socket.create_connection(server.address) as once:
            once.settimeout(5)
            once.sendall(OUTER["c01"] + OUTER["c03"][:9])
            assert once.recv(100) == OUTER["c02"]
            found = server.wait_for(NAME, 5)
            assert once.recv(10) == b""
            assert not found.is_up
            assert found.link.skipped == {"incomplete": 1}
            with pytest.raises(LineDown, match="silent for too long"):
                found.request(current_request((1,), (129,)))


def test_a_newer_login_replaces_the_older_and_there_is_a_limit() -> None:
    with MasterServer("127.0.0.1", 0, most=2) as server:
        first = socket.create_connection(server.address)
        first.sendall(OUTER["c01"])
        assert first.recv(100) == OUTER["c02"]
        older = server.wait_for(NAME, 5)
        second = socket.create_connection(server.address)
        third = socket.create_connection(server.address)
        third.settimeout(5)
        assert third.recv(10) == b""  # the third is one too many
        second.sendall(OUTER["c01"])
        first.settimeout(5)
        assert first.recv(10) == b""
        assert server.wait_for(NAME, 5) is not older
        for connection in (first, second, third):
            connection.close()


def test_a_port_that_nobody_opened_is_line_down() -> None:
    with MasterServer("127.0.0.1", 0) as server:
        port = server.address[1]
        with pytest.raises(Refused, match="use port 0"):
            MasterServer("127.0.0.1", port)
    with pytest.raises(LineDown, match=NAME):
        dial_out("127.0.0.1", port, parse_address(NAME))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"address": "0200-FFFF"}, "address"),
        ({"address": "nowhere"}, "address"),
        ({"meters": []}, "meters"),
        ({"listen_port": 0}, "master_port"),
        ({"bad_radio": ["000000000001"]}, "bad_radio"),
        ({"archive": {"missing": [3]}}, "archive"),
        ({"archive": {"moved": {"1": 9999}}}, "archive"),
        ({"archive": {"moved": {"x": 1}}}, "archive.moved"),
        ({"archive": {"foreign": {"4": "12"}}}, "archive.foreign"),
        ({"speed": 1}, "speed"),
        ({"meters": [{"address": "12"}]}, "lines."),
    ],
)
def test_a_wrong_configuration_is_refused(
    change: dict[str, object], field: str, tmp_path: Path
) -> None:
    right = document(tmp_path, 2, master_port=5100)
    assert len(parse_concentrator(right).meters) == 2
    with pytest.raises(BadInput) as error:
        parse_concentrator({**right, **change})
    assert error.value.field.startswith(field)


def test_the_command_names_a_missing_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 2
    assert main([str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "count"), [("bites", 1), ("silent", 0), ("silent", "many")])
def test_a_misbehaviour_nobody_knows_is_refused(site: Site, kind: str, count: object) -> None:
    with pytest.raises(BadInput, match="misbehave"):
        site.remote.ask("misbehave", kind=kind, count=count)


def test_nothing_is_frozen_of_a_silent_meter_or_of_a_midnight_that_was_skipped(
    tmp_path: Path,
) -> None:
    """Simulated days: p1 is silent over one midnight, over the next one nothing is frozen."""
    with running_site(tmp_path, 2) as site:
        site.remote.ask("fault", meter=address_of(1), kind="silent")
        site.remote.ask("time", at="2026-02-01T20:00:00Z")
        site.remote.ask("clear", meter=address_of(1))
        site.remote.ask("misbehave", kind="no_freeze", count=1)
        site.remote.ask("time", at="2026-02-02T20:00:00Z")
        site.remote.ask("time", at="2026-02-03T20:00:00Z")
        concentrator = site.concentrator()
        absent = {
            day: read_day_freezes(concentrator, (1, 2), (161,), day).absent
            for day in ("2026-01-31", "2026-02-01", "2026-02-02", "2026-02-03")
        }
        assert list(absent.values()) == [(), ((1, 161),), ((1, 161), (2, 161)), ()]
        curve = curve_request((1,), (101,), "2026-02-01T01:45:00Z", 1, 96)
        answer = concentrator.request(curve)
        (unit,) = decode_data(answer.frames[0], load_layouts()).units
        values = [quantity.value for quantity in unit.quantities]
        assert None not in values[:2], "up to ten o'clock it spoke"
        assert set(values[2:74]) == {None}, "until four in the morning it did not"
        assert None not in values[74:]


def test_a_connection_cut_in_the_middle_of_an_answer_is_down(site: Site) -> None:
    site.remote.ask("misbehave", kind="cut", count=1)
    with pytest.raises(LineDown, match="closed by the concentrator") as error:
        read_day_freezes(site.concentrator(), (1, 2), (161,), YESTERDAY)
    assert error.value.exchange is not None
    assert error.value.exchange.received_hex == ()
    assert read_one(site.concentrator()) > 0
