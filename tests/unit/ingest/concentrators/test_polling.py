"""The poller with a concentrator: one lane, one request for all, and a kill in the middle.

Orders lie in a simulated topic, the concentrator is a process behind real TCP.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from libs.events.codec import Codec, encode, envelope_of
from libs.events.edge import EdgeProducer
from libs.events.record import Envelope, TopicPartition, envelope_headers
from libs.events.testing.simbroker import SimBroker
from libs.events.testing.simlog import SimAdmin, SimLog, SimProducerPort
from services.ingest.events import ReadingOrdered, RegistersRead, catalogue, edge_catalogue
from services.ingest.lines import Lines
from services.ingest.poller import GROUP, ORDERS, READINGS, Poller
from services.ingest.reading_qgdw376 import read_behind
from tests.unit.ingest.concentrators.orders import NOW_AT, line_of, lines_with, order_of
from tests.unit.simulators_concentrator.running import NAME, address_of, running_site

pytestmark = pytest.mark.wide

METERS = 60
BAD = (7, 31)
PATIENCE_S = 20.0


def give(broker: SimBroker, order: ReadingOrdered) -> None:
    kind = catalogue.type_of(order)
    envelope = Envelope(order.order_id, kind.full_name, "ingest", NOW_AT, order.usage_point)
    broker.append(ORDERS, 0, b"P", encode(order), envelope_headers(envelope))


def started(broker: SimBroker, lines: Lines, **limits: Any) -> Poller:
    """A poller of the one member; the next one takes its place over."""
    return Poller(
        SimLog(broker, GROUP, f"{GROUP}-0", (ORDERS,)),
        EdgeProducer(GROUP, edge_catalogue, SimProducerPort(broker), lambda topic: 1),
        lambda order, at, before, waiting: read_behind(
            order, lines, at, None, before, None, waiting
        ),
        4,
        lane_of=lines.lane_of,
        **limits,
    )


def readings(broker: SimBroker) -> list[RegistersRead]:
    codec = Codec(edge_catalogue)
    records = broker.read(READINGS, 0, 0, 10_000).records
    found: list[Any] = [codec.decode(envelope_of(r.headers).type, r.value) for r in records]
    return found


def until(poller: Poller, holds: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it never held"
        poller.step()


def test_a_kill_in_the_middle_loses_nothing_and_changes_no_value(tmp_path: Path) -> None:
    broker = SimBroker({ORDERS: 1, READINGS: 1}, session_timeout_ms=9000, max_poll_interval_ms=9000)
    bad = [address_of(pn) for pn in BAD]
    with running_site(tmp_path, METERS, listen_port=0, bad_radio=bad) as site:
        for pn in range(1, METERS + 1):
            give(broker, order_of(line_of(site), pn))
        first = lines_with(tries=2)
        killed = started(broker, first, piece_s=0.0, window=25)
        until(killed, lambda: len(readings(broker)) > 10)
        killed._stopping = True  # nothing it has in hand is written any more
        killed.pool.shutdown(wait=True, cancel_futures=True)
        first.close()
        before = Counter(each.order_id for each in readings(broker))
        assert 10 < len(before) < METERS

        lines = lines_with(tries=2)
        poller = started(broker, lines, piece_s=0.0)
        place = TopicPartition(ORDERS, 0)
        until(poller, lambda: SimAdmin(broker).committed(GROUP).get(place, 0) == METERS)
        poller.close()
        lines.close()
        found = readings(broker)
        truth = {pn: site.truth(pn, "2026-01-31T16:00:00Z")["1-0:1.8.0"] for pn in (1, *BAD)}
        journal = site.journal()
    times = Counter(each.order_id for each in found)
    assert len(times) == METERS, "every order has its reading"
    assert set(times.values()) <= {1, 2}, "once more at most, after the restart"
    by_point = {
        pn: {r.registers["1-0:1.8.0"] for r in found if r.usage_point == f"P{pn}"}
        for pn in range(1, METERS + 1)
    }
    assert all(len(values) == 1 for values in by_point.values()), "the same value both times"
    assert all(by_point[pn] == {value // 10 * 10} for pn, value in truth.items())
    sources = {r.usage_point: r.source for r in found}
    forwarded = {name for name, source in sources.items() if source == "qgdw376_forwarded"}
    assert forwarded == {f"P{pn}" for pn in BAD}
    asked = Counter(entry["meter"] for entry in journal)
    assert set(asked) == {NAME, *bad}
