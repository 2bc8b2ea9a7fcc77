"""What a process tells about itself: metrics, structured logs and traces, all names in one module.

The attribute names of OpenTelemetry's messaging conventions are still in development; they are
used here and nowhere else. Metrics are Prometheus text on `/metrics` (health.py); OTLP traces are
sent only when an endpoint is configured. Replay makes no telemetry.
"""

from __future__ import annotations

import logging
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from libs.events.batch import Batch
    from libs.events.loop import Loop
    from libs.events.record import Record

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def configure_logs(level: str = "info", form: str = "json") -> None:
    """Structured logs on standard error, JSON for machines or plain lines for people."""
    render: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            getattr(logging, level.upper(), logging.INFO)
        ),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def logger(name: str) -> Any:
    """A logger whose lines carry the name of the part that speaks."""
    return structlog.get_logger().bind(part=name)


def new_traceparent() -> str:
    """A W3C trace context for work that begins here (an HTTP request, a meter reading)."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


class Telemetry:
    """Metrics and log lines of one core or edge. One instance per process part."""

    def __init__(self, name: str, registry: CollectorRegistry | None = None) -> None:
        self.name = name
        self.registry = registry or CollectorRegistry()
        self.log = logger(name)
        self.heartbeat = time.monotonic()
        self.lag_s = 0.0
        self.is_idle = True
        self.counts = {"decided": 0, "silent": 0, "rejected": 0, "dead_lettered": 0}
        labels = ["core"]
        self._inputs = Counter(
            "gridledger_inputs_total", "Inputs closed", [*labels, "verdict"], registry=self.registry
        )
        self._events = Counter(
            "gridledger_events_total", "Records written", labels, registry=self.registry
        )
        self._commit = Histogram(
            "gridledger_commit_seconds",
            "Duration of a transaction's commit",
            labels,
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._aborts = Counter(
            "gridledger_aborts_total", "Transactions rolled back", labels, registry=self.registry
        )
        self._checkpoint_failures = Counter(
            "gridledger_checkpoint_failures_total",
            "Checkpoints not written",
            labels,
            registry=self.registry,
        )
        self._partitions = Gauge(
            "gridledger_partitions", "Partitions", [*labels, "state"], registry=self.registry
        )
        self._keys = Gauge(
            "gridledger_state_keys", "Keys held in memory", labels, registry=self.registry
        )
        self._lag = Gauge(
            "gridledger_lag_seconds",
            "Age of the newest input when it was decided",
            labels,
            registry=self.registry,
        )
        self._remaining = Gauge(
            "gridledger_recovery_remaining",
            "Own records still to be folded",
            labels,
            registry=self.registry,
        )

    def turn(self, loop: Loop) -> None:
        """Note that the loop turned: the heartbeat that liveness looks at."""
        self.heartbeat = time.monotonic()
        self._partitions.labels(self.name, "ready").set(len(loop.ready))
        self._partitions.labels(self.name, "recovering").set(len(loop.recovering))
        self._keys.labels(self.name).set(sum(len(fold.states) for fold in loop.folds.values()))
        remaining = sum(recovery.remaining for recovery in loop.recovering.values())
        self._remaining.labels(self.name).set(remaining)

    def took(self, records: Sequence[Record]) -> None:
        """Lag by time: how old the newest input was when it was decided, 0 when there is none."""
        if not records:
            self.lag_s = 0.0
        else:
            newest_ms = max(record.timestamp_ms for record in records)
            self.lag_s = round(max(0.0, time.time() - newest_ms / 1000), 3)
        self.is_idle = not records
        self._lag.labels(self.name).set(self.lag_s)

    def committed(self, batch: Batch, took_s: float) -> None:
        """Count a committed transaction; a long turn of many of them is alive."""
        self.heartbeat = time.monotonic()
        self._commit.labels(self.name).observe(took_s)
        self._events.labels(self.name).inc(len(batch.outgoing))
        for verdict, count in batch.verdicts().items():
            if count:
                self.counts[verdict] += count
                self._inputs.labels(self.name, verdict).inc(count)

    def aborted(self, reason: Exception) -> None:
        """Count a transaction that was rolled back."""
        self._aborts.labels(self.name).inc()
        self.log.info("transaction rolled back", reason=str(reason))

    def unavailable(self, reason: Exception) -> None:
        """Note that the broker did not answer; the loop tries again."""
        self.log.warning("the broker does not answer", reason=str(reason))

    def checkpoint_failed(self, reason: Exception) -> None:
        """Count a checkpoint that could not be written; the fold goes on without it."""
        self._checkpoint_failures.labels(self.name).inc()
        self.log.warning("checkpoint not written", reason=str(reason))


class Tracing:
    """Spans through OpenTelemetry, only when an OTLP endpoint is configured; else nothing."""

    def __init__(self, service: str, endpoint: str = "") -> None:
        self._tracer: Any = None
        if endpoint:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            provider = TracerProvider(resource=Resource.create({"service.name": service}))
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
            self._tracer = provider.get_tracer("gridledger")

    @contextmanager
    def span(self, name: str, traceparent: str = "", **attributes: Any) -> Iterator[None]:
        """A span that continues `traceparent`; attributes without the `messaging.` prefix."""
        if self._tracer is None:
            yield
            return
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract({"traceparent": traceparent})
        named = {f"messaging.{key}": value for key, value in attributes.items()}
        named["messaging.system"] = "kafka"
        with self._tracer.start_as_current_span(name, context=context, attributes=named):
            yield
