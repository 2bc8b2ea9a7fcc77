"""What the lines of the field process did, for /metrics: requests by outcome, seconds by use.

    registry.register(LineMetrics(lines.counts))

    gridledger_line_requests_total{line="tcp:192.0.2.7:6001",outcome="answered"}
    gridledger_line_seconds_total{line="tcp:192.0.2.7:6001",use="busy"}

rate(busy) / rate(held) is how well a line is used while somebody has it: `LineCounts` says what
counts as busy, lost and held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from services.ingest.protocols.drivers import LineCounts


class LineMetrics(Collector):
    """Reads the counts when it is asked; between two questions it costs nothing."""

    def __init__(self, counts: Callable[[], Mapping[str, LineCounts]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        """One family for requests, one for seconds."""
        requests = CounterMetricFamily(
            "gridledger_line_requests", "Requests on a meter line", labels=["line", "outcome"]
        )
        seconds = CounterMetricFamily(
            "gridledger_line_seconds", "How a meter line spent its time", labels=["line", "use"]
        )
        for line, counts in sorted(self._counts().items()):
            for outcome in ("asked", "answered", "retried", "broken"):
                requests.add_metric([line, outcome], getattr(counts, outcome))
            for use in ("busy", "lost", "held"):
                seconds.add_metric([line, use], getattr(counts, f"{use}_s"))
        yield requests
        yield seconds
