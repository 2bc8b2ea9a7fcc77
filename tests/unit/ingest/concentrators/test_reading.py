"""Orders for meters behind a concentrator, over real TCP: what is asked of whom, in which order.

The truth comes from the simulator's control port; its journal tells what passed the wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.ingest.concentrators import ConcentratorLine
from services.ingest.events import ProfileRead, ReadFailed, RegistersRead
from services.ingest.line_queue import Priority
from services.ingest.lines import Lines
from services.ingest.reading_qgdw376 import Later, read_behind
from services.local.ports import free_ports
from tests.unit.ingest.concentrators.orders import (
    NOW_AT,
    carry_out,
    line_of,
    lines_with,
    order_of,
)
from tests.unit.simulators_concentrator.running import (
    NAME,
    YESTERDAY,
    Site,
    address_of,
    running_site,
)

pytestmark = pytest.mark.wide

METERS, BAD = 30, 9
MOVED, MOVED_TO, FOREIGN, MISSING = 11, 41, 42, 12
MIDNIGHT = "2026-01-31T16:00:00Z"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    archive = {
        "missing": [MISSING],
        "moved": {str(MOVED): MOVED_TO},
        "foreign": {str(FOREIGN): address_of(500)},
    }
    folder = tmp_path_factory.mktemp("town")
    with running_site(
        folder, METERS, listen_port=0, bad_radio=[address_of(BAD)], archive=archive
    ) as site:
        yield site


@pytest.fixture
def site(town: Site) -> Iterator[Site]:
    yield town
    town.remote.ask("calm")
    for pn in range(1, METERS + 1):
        town.remote.ask("clear", meter=address_of(pn))


@pytest.fixture
def lines() -> Iterator[Lines]:
    found = lines_with(tries=2)
    yield found
    found.close()


def asked(site: Site, since: int) -> list[str]:
    """Whom each request since was for: the concentrator, or a meter behind it."""
    return [entry["meter"] for entry in site.journal()[since:]]


def shown(site: Site, pn: int, at: str = MIDNIGHT) -> int:
    """What the meter behind a point showed of its import: whole 10 Wh."""
    return site.truth(pn, at)["1-0:1.8.0"] // 10 * 10


def test_a_day_of_all_points_takes_few_requests_and_is_24_00(site: Site, lines: Lines) -> None:
    since = len(site.journal())
    points = [pn for pn in range(1, METERS + 1) if pn not in (BAD, MOVED, MISSING)]
    found = carry_out(lines, *(order_of(line_of(site), pn) for pn in points))
    for pn in points:
        (reading,) = found[f"P{pn}/{YESTERDAY}/daily_freeze/1"]
        assert isinstance(reading, RegistersRead)
        assert (reading.source, reading.day_on) == ("qgdw376_freeze", YESTERDAY)
        assert reading.registers["1-0:1.8.0"] == shown(site, pn)
        assert [frame[0] for frame in reading.frames] == [">", "<"]
    assert asked(site, since) == [NAME] * 4, "two of its archive, two of the day"


def test_a_gap_waits_for_what_is_frozen_and_is_then_forwarded(site: Site, lines: Lines) -> None:
    since = len(site.journal())
    carry = [order_of(line_of(site), pn) for pn in (BAD, 1, 2)]
    found = carry_out(lines, *carry)
    later, failed = found[carry[0].order_id]
    assert isinstance(later, Later), "the two that are frozen come first"
    assert isinstance(failed, ReadFailed), "this radio carries every second request only"
    assert failed.cause == "no_reply"
    assert failed.frames[: len(later.frames)] == later.frames
    (again, reading) = carry_out(lines, carry[0])[carry[0].order_id]
    assert isinstance(again, Later), "by now it might have been frozen, so that is asked first"
    assert isinstance(reading, RegistersRead)
    assert reading.source == "qgdw376_forwarded"
    assert reading.registers["1-0:1.8.0"] == shown(site, BAD)
    assert reading.relay == "closed"
    frames = [frame.lstrip("<>f").lstrip("e") for frame in reading.frames[len(again.frames) :]]
    assert any(text.startswith("68090000000070") for text in frames), "the meter's own frames"
    assert any("68880002341204" in text for text in frames), "and those that carried them"
    meters = [name for name in asked(site, since) if name != NAME]
    assert set(meters) == {address_of(BAD)}


@pytest.mark.parametrize("pn", [MOVED, MISSING])
def test_a_point_whose_archive_differs_is_asked_by_its_own_address(
    site: Site, lines: Lines, pn: int
) -> None:
    order = order_of(line_of(site), pn)
    later, reading = carry_out(lines, order)[order.order_id]
    assert isinstance(later, Later)
    assert isinstance(reading, RegistersRead)
    assert (reading.source, reading.registers["1-0:1.8.0"]) == (
        "qgdw376_forwarded",
        shown(site, pn),
    )


def test_a_foreign_meter_at_a_registered_point_never_gives_its_value(
    site: Site, lines: Lines
) -> None:
    """The concentrator reads p3; the register says that another meter hangs there."""
    order = order_of(line_of(site), 3, address=f"{NAME}/3/{address_of(4)}")
    later, reading = carry_out(lines, order)[order.order_id]
    assert isinstance(later, Later)
    assert reading.registers["1-0:1.8.0"] == shown(site, 4) != shown(site, 3)


def test_without_a_check_of_the_archive_a_point_is_believed(site: Site) -> None:
    lines = lines_with(archive_h=0)
    since = len(site.journal())
    (reading,) = carry_out(lines, order_of(line_of(site), 1))[f"P1/{YESTERDAY}/daily_freeze/1"]
    lines.close()
    assert reading.source == "qgdw376_freeze"
    assert asked(site, since) == [NAME]


def test_a_load_profile_is_the_curve_of_the_concentrator(site: Site, lines: Lines) -> None:
    order = order_of(line_of(site), 5, "profile")
    site.remote.ask("fault", meter=address_of(5), kind="silent")
    (profile,) = carry_out(lines, order)[order.order_id]
    assert isinstance(profile, ProfileRead)
    column = profile.snapshots["1-0:1.8.0"]
    assert (profile.source, len(column), None in column) == ("qgdw376_freeze", 97, False)
    assert column[0] == shown(site, 5, "2026-01-30T16:00:00Z")
    assert column[50] == shown(site, 5, "2026-01-31T04:30:00Z")
    assert column[96] == shown(site, 5)


def test_a_profile_that_the_concentrator_lacks_is_forwarded(site: Site, lines: Lines) -> None:
    order = order_of(line_of(site), BAD, "profile")
    found = carry_out(lines, order)[order.order_id] + carry_out(lines, order)[order.order_id]
    assert [type(each) for each in found] == [ReadFailed, ProfileRead]
    assert found[1].source == "qgdw376_forwarded"
    assert found[1].snapshots["1-0:1.8.0"][96] == shown(site, BAD)


def test_a_part_of_a_profile_counts_when_the_meter_has_no_more(site: Site, lines: Lines) -> None:
    """The concentrator has points from midnight to ten o'clock of the day that is not over."""
    today = order_of(line_of(site), 6, "profile", day_on="2026-02-01")
    (profile,) = carry_out(lines, today)[today.order_id]
    column = profile.snapshots["1-0:1.8.0"]
    assert profile.source == "qgdw376_forwarded", "the meter answered, and knows no less"
    assert (column[40] is None, column[41]) == (False, None)
    site.remote.ask("fault", meter=address_of(6), kind="silent")
    (failed,) = carry_out(lines, today)[today.order_id]
    assert (failed.cause, any(each.startswith("<") for each in failed.frames)) == ("no_reply", True)


def test_a_concentrator_that_says_nothing_fails_its_orders_and_rests(site: Site) -> None:
    lines = lines_with(answer_s=0.2, backoff_s=30.0)
    orders = [order_of(line_of(site), pn) for pn in (1, 2, 3)]
    site.remote.ask("misbehave", kind="silent")
    found = [read_behind(order, lines, NOW_AT) for order in orders]
    assert [each.cause for each in found] == ["no_reply", "no_reply", "line_down"]  # type: ignore[union-attr]
    assert "asked again in" in found[2].detail  # type: ignore[union-attr]
    site.remote.ask("calm")
    name = f"{line_of(site)}/{NAME}"
    with lines.taken(name, Priority.RELAY) as turn:
        line = turn.use(lambda line: line)
        assert isinstance(line, ConcentratorLine), "a relay command wakes it"
    (reading,) = carry_out(lines, orders[0])[orders[0].order_id]
    assert isinstance(reading, RegistersRead)
    lines.close()


@pytest.mark.parametrize("kind", ["hang_up", "cut"])
def test_a_connection_that_breaks_is_made_again(site: Site, lines: Lines, kind: str) -> None:
    order = order_of(line_of(site), 2)
    site.remote.ask("misbehave", kind=kind, count=1)
    (failed,) = carry_out(lines, order)[order.order_id]
    assert (failed.cause, "closed by the concentrator" in failed.detail) == ("line_down", True)
    (reading,) = carry_out(lines, order)[order.order_id]
    assert isinstance(reading, RegistersRead)


def test_a_wrong_checksum_is_no_value(site: Site) -> None:
    lines = lines_with(answer_s=0.3)
    site.remote.ask("misbehave", kind="wrong_checksum", count=1)
    order = order_of(line_of(site), 2)
    (failed,) = carry_out(lines, order)[order.order_id]
    lines.close()
    assert (failed.cause, any(each.startswith("?") for each in failed.frames)) == (
        "bad_reply",
        True,
    )


def test_who_dials_in_is_read_after_a_restart_of_ours(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    line = f"listen:127.0.0.1:{port}"
    order = order_of(line, 1)
    with running_site(tmp_path, 2, master_port=port, reconnect_s=0.05):
        for _ in range(2):
            lines = lines_with()
            (reading,) = carry_out(lines, order)[order.order_id]
            assert isinstance(reading, RegistersRead)
            lines.close()
    lines = lines_with(login_s=0.1)
    found = [read_behind(order, lines, NOW_AT) for _ in range(2)]
    assert [each.cause for each in found] == ["line_down"] * 2  # type: ignore[union-attr]
    assert "has not logged in at" in found[0].detail  # type: ignore[union-attr]
    lines.close()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"address": "000000000001"}, "names no meter behind a concentrator"),
        ({"address": f"{NAME}/0/{address_of(1)}"}, "no measurement point"),
        ({"line": "serial:/dev/ttyS1"}, "reaches no concentrator"),
        ({"line": "tcp:127.0.0.1:1/0200-1234"}, "reaches no concentrator"),
        ({"line": "tcp:h"}, "is no line"),
    ],
)
def test_an_order_that_names_no_place_is_refused(
    lines: Lines, changes: dict[str, Any], problem: str
) -> None:
    order = replace(order_of("tcp:127.0.0.1:1", 1), **changes)
    good = order_of("tcp:127.0.0.1:1", 2)
    found = read_behind(order, lines, NOW_AT, None, (), None, lambda: (good,))
    assert isinstance(found, ReadFailed)
    assert (found.cause, problem in found.detail) == ("refused", True)
