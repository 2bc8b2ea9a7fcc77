"""How busy the poller keeps a line of prompt meters: a pseudo-terminal paced at 2,400 and 9,600.

Everything above the wire is real: orders come from a (simulated, in-memory) log, the poller's
thread reads them on the line, one daily freeze with clock, relay and voltages a meter. Busy is what
simulators/meters/paced.py counts: bits at the line's rate and the meter's turnaround, over the
time from the first bit to the last.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from libs.events.codec import encode, envelope_of
from libs.events.edge import EdgeProducer
from libs.events.record import Envelope, envelope_headers
from libs.events.testing.simbroker import SimBroker
from libs.events.testing.simlog import SimLog, SimProducerPort
from services.ingest.events import ReadingOrdered, catalogue, edge_catalogue
from services.ingest.lines import Lines
from services.ingest.poller import GROUP, ORDERS, READINGS, Poller
from services.ingest.reading import read_order

RATES = (2400, 9600)
LEAST_RATIO = 0.95
ROUNDS, METERS, TURNAROUND_MS = 3, 10, 20
ORDERED_AT = "2026-01-15T02:00:00Z"
DAY_ON = "2026-01-14"
REGISTERS = tuple(f"1-0:1.8.{rate}" for rate in range(5))


def order_of(number: int, line: str) -> ReadingOrdered:
    """Yesterday's freeze of meter `number`."""
    return ReadingOrdered(
        order_id=f"O{number}",
        usage_point=f"P{number}",
        meter_no=f"M{number}",
        protocol="dlt645_2007",
        line=line,
        address=f"{number:012d}",
        kind="daily_freeze",
        day_on=DAY_ON,
        attempt=1,
        registers=REGISTERS,
        retry_at="",
    )


def give(broker: SimBroker, order: ReadingOrdered) -> None:
    """Write an order as ingest does."""
    kind = catalogue.type_of(order)
    envelope = Envelope(order.order_id, kind.full_name, "ingest", ORDERED_AT, order.usage_point)
    broker.append(ORDERS, 0, b"P", encode(order), envelope_headers(envelope))


def poll(line: str, meters: int, lines: Lines) -> int:
    """Have every meter of a line read; how many readings came of it."""
    broker = SimBroker({ORDERS: 1, READINGS: 1})
    for number in range(1, meters + 1):
        give(broker, order_of(number, line))
    producer = EdgeProducer(GROUP, edge_catalogue, SimProducerPort(broker), lambda topic: 1)
    poller = Poller(
        SimLog(broker, GROUP, f"{GROUP}-0", (ORDERS,)),
        producer,
        lambda order, at, before, _: read_order(order, lines, at, None, before),
        threads=4,
        lane_of=lines.lane_of,
    )

    def outcomes() -> list[str]:
        records = broker.read(READINGS, 0, 0, meters + 1).records
        return [envelope_of(record.headers).type for record in records]

    patience = time.monotonic() + 600
    while len(outcomes()) < meters:
        assert time.monotonic() < patience, "the meters were not read"
        poller.step()
    poller.close()
    return outcomes().count("ingest.registers_read.v1")


def measure(baud: int, meters: int, turnaround_ms: int) -> dict[str, Any]:
    """One round: what the paced line says of itself."""
    command = [sys.executable, "-m", "simulators.meters.paced", "--baud", str(baud)]
    command += ["--meters", str(meters), "--turnaround-ms", str(turnaround_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        path = json.loads(child.stdout.readline())["path"]
        lines = Lines(b"bench")
        count = poll(f"serial:{path}:{baud}", meters, lines)
        lines.close()
        child.stdin.close()
        report: dict[str, Any] = json.loads(child.stdout.readline())
    assert count == meters, f"{count} of {meters} meters were read"
    return report | {"ratio": report["busy_s"] / report["span_s"]}


def told_lines() -> Iterator[str]:
    """A line for each rate."""
    for baud in RATES:
        rounds = [measure(baud, METERS, TURNAROUND_MS) for _ in range(ROUNDS)]
        gaps = [gap for each in rounds for gap in each["gaps_ms"]]
        ratio = statistics.median(each["ratio"] for each in rounds)
        requests = statistics.median(each["requests"] / each["span_s"] for each in rounds)
        yield (
            f"{baud} baud: busy {ratio:.2%} (aim {LEAST_RATIO:.0%}), {requests:.1f} requests/s, "
            f"gap {statistics.median(gaps):.2f} ms, longest {max(gaps):.2f} ms; "
            f"median of {ROUNDS} rounds, {METERS} meters, {TURNAROUND_MS} ms turnaround"
        )
