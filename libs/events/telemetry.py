"""What a process tells about itself: metrics, structured logs and traces, all names in one module.

The attribute names of OpenTelemetry's messaging conventions are still in development; they are
used here and nowhere else. Metrics are Prometheus text on `/metrics` (health.py); OTLP traces are
sent only when an endpoint is configured. Replay makes no telemetry.

A trace begins where the world is met: an edge gives every record it writes a `traceparent`, the
events decided from it carry the same one on, and log lines written meanwhile name its `trace_id`.

    with tracing.span("append payments.notices", SEND, "payments.notices") as traceparent:
        ...                       # "" when nothing is sent: then the caller begins a trace itself
"""

from __future__ import annotations

import atexit
import logging
import secrets
import sys
import threading
import time
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from libs.events.batch import Batch
    from libs.events.loop import Loop
    from libs.events.record import Headers, Outgoing, Record

SEND, DECIDE = "send", "process"
"""What a span is about, as the messaging conventions call it (`messaging.operation.type`)."""

LINKS_MAX = 128
"""Of how many inputs a span names the trace; OpenTelemetry drops what is above."""

_EXPORT_S = 3.0
"""How long one attempt to send spans may take: a process that is told to end must not wait."""

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
            _name_trace,
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


def traceparent_of(headers: Headers) -> str:
    """The trace that a record belongs to; "" when it has none."""
    for name, value in headers:
        if name == "traceparent":
            return value.decode("ascii", "replace")
    return ""


def trace_id_of(traceparent: str) -> str:
    """The trace's own id, by which log lines and traces are found; "" when there is none."""
    parts = traceparent.split("-")
    return parts[1] if len(parts) == 4 else ""


# The headers, not the id: looking for it costs something, and few records write a line.
_followed: ContextVar[Headers] = ContextVar("followed", default=())


def follow(headers: Headers) -> None:
    """From here on log lines of this thread (or task) name the trace of this record; () ends it."""
    _followed.set(headers)


def begin_trace() -> str:
    """A new trace that log lines of this thread (or task) name from here on."""
    traceparent = new_traceparent()
    follow((("traceparent", traceparent.encode()),))
    return traceparent


@contextmanager
def following(headers: Headers) -> Iterator[None]:
    """Log lines written in this block name the trace of this record."""
    before = _followed.set(headers)
    try:
        yield
    finally:
        _followed.reset(before)


def _name_trace(
    _logger: Any, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    trace_id = trace_id_of(traceparent_of(_followed.get()))
    if trace_id and "trace_id" not in line:
        line["trace_id"] = trace_id
    return line


class Telemetry:
    """Metrics and log lines of one core or edge. One instance per process part."""

    def __init__(
        self,
        name: str,
        registry: CollectorRegistry | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.name = name
        self.tracing = tracing or NO_TRACING
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
        # Every turn sets these: to look one up by its labels costs more than to set it.
        self._lag, self._keys = self._lag.labels(name), self._keys.labels(name)
        self._remaining = self._remaining.labels(name)
        self._ready = self._partitions.labels(name, "ready")
        self._recovering = self._partitions.labels(name, "recovering")

    def turn(self, loop: Loop) -> None:
        """Note that the loop turned: the heartbeat that liveness looks at."""
        self.heartbeat = time.monotonic()
        self._ready.set(len(loop.ready))
        self._recovering.set(len(loop.recovering))
        self._keys.set(sum(len(fold.states) for fold in loop.folds.values()))
        remaining = sum(recovery.remaining for recovery in loop.recovering.values())
        self._remaining.set(remaining)

    def took(self, records: Sequence[Record]) -> None:
        """Lag by time: how old the newest input was when it was decided, 0 when there is none."""
        if not records:
            self.lag_s = 0.0
        else:
            newest_ms = max(record.timestamp_ms for record in records)
            self.lag_s = round(max(0.0, time.time() - newest_ms / 1000), 3)
        self.is_idle = not records
        self._lag.set(self.lag_s)

    def committed(self, batch: Batch, took_s: float) -> None:
        """Count a committed transaction; a long turn of many of them is alive."""
        self.heartbeat = time.monotonic()
        self._commit.labels(self.name).observe(took_s)
        self._events.labels(self.name).inc(len(batch.outgoing))
        for verdict, count in batch.verdicts().items():
            if count:
                self.counts[verdict] += count
                self._inputs.labels(self.name, verdict).inc(count)

    def aborted(self, reason: Exception, outgoing: Sequence[Outgoing] = ()) -> None:
        """Count a transaction that was rolled back; its line names the trace, when it has one."""
        self._aborts.labels(self.name).inc()
        traces = {trace_id_of(traceparent_of(record.headers)) for record in outgoing} - {""}
        named = {"trace_id": min(traces)} if len(traces) == 1 else {}
        self.log.info("transaction rolled back", reason=str(reason), **named)

    def unavailable(self, reason: Exception) -> None:
        """Note that the broker did not answer; the loop tries again, so it is alive."""
        self.heartbeat = time.monotonic()
        self.log.warning("the broker does not answer", reason=str(reason))

    def checkpoint_failed(self, reason: Exception) -> None:
        """Count a checkpoint that could not be written; the fold goes on without it."""
        self._checkpoint_failures.labels(self.name).inc()
        self.log.warning("checkpoint not written", reason=str(reason))


class EdgeTelemetry:
    """Metrics of one edge: what it wrote, and what it could not write. `tracing`: its spans."""

    def __init__(self, source: str, tracing: Tracing | None = None) -> None:
        self.source = source
        self.tracing = tracing or NO_TRACING
        self.registry = CollectorRegistry()
        self._appended = Counter(
            "gridledger_appended_total",
            "Records that an edge wrote, and those not acknowledged",
            ["edge", "topic", "outcome"],
            registry=self.registry,
        )

    def appended(self, records: Sequence[Outgoing], outcome: str) -> None:
        """Count records as "written" or "failed"."""
        for record in records:
            self._appended.labels(self.source, record.topic, outcome).inc()


class Tracing:
    """Spans through OpenTelemetry, only when an OTLP endpoint is configured; else nothing.

    `endpoint` is a collector's address (`http://127.0.0.1:4318`), or the full one of its traces.
    """

    def __init__(self, service: str, endpoint: str = "") -> None:
        self._tracer: Any = None
        self._provider: Any = None
        if endpoint:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            _speak_for("opentelemetry")
            whole = _traces_address(endpoint)
            named = Resource.create({"service.name": service})
            self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
            self._provider.add_span_processor(
                BatchSpanProcessor(OTLPSpanExporter(endpoint=whole, timeout=_EXPORT_S))
            )
            self._tracer = self._provider.get_tracer("gridledger")
            atexit.register(self.close)

    @property
    def is_on(self) -> bool:
        """Whether spans are sent; callers that must be cheap look here first."""
        return self._tracer is not None

    @contextmanager
    def span(
        self,
        name: str,
        operation: str,
        destination: str = "",
        *,
        parent: str = "",
        links: Iterable[str] = (),
        **counts: int,
    ) -> Iterator[str]:
        """A span of the block and its traceparent ("" when nothing is sent).

        `operation` is SEND or DECIDE, `destination` a topic; `parent` is the traceparent that it
        continues, `links` are those it only names: a batch of inputs belongs to many traces.
        An error that leaves the block marks the span.
        """
        if self._tracer is None:
            yield ""
            return
        from opentelemetry.trace import Link, SpanKind

        attributes: dict[str, Any] = {
            "messaging.system": "kafka",
            "messaging.operation.name": name.partition(" ")[0],
            "messaging.operation.type": operation,
        }
        if destination:
            attributes["messaging.destination.name"] = destination
        attributes |= {f"messaging.batch.{what}": count for what, count in counts.items()}
        named = [link for link in dict.fromkeys(links) if trace_id_of(link)][:LINKS_MAX]
        with self._tracer.start_as_current_span(
            name,
            context=_context_of(parent)[0],
            kind=SpanKind.PRODUCER if operation == SEND else SpanKind.CONSUMER,
            attributes=attributes,
            links=[Link(_context_of(link)[1]) for link in named],
        ) as span:
            own = span.get_span_context()
            yield f"00-{own.trace_id:032x}-{own.span_id:016x}-{int(own.trace_flags):02x}"

    def close(self) -> None:
        """Send what waits, as far as the collector answers in time; no spans are sent after it."""
        if self._tracer is None:
            return
        self._tracer = None
        # In a thread, because it waits for every batch; nobody who is told to end waits so long.
        ending = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        try:
            ending.start()
        except RuntimeError:  # the interpreter ends already, as after a command
            self._provider.shutdown()
            return
        ending.join(_EXPORT_S)


NO_TRACING = Tracing("")


def _context_of(traceparent: str) -> tuple[Any, Any]:
    """A traceparent as OpenTelemetry's context and as its span context."""
    from opentelemetry.context import Context
    from opentelemetry.trace import get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {"traceparent": traceparent} if traceparent else {}
    # An empty context: what this thread happens to be in is no parent of ours.
    context = TraceContextTextMapPropagator().extract(carrier, Context())
    return context, get_current_span(context).get_span_context()


def _traces_address(endpoint: str) -> str:
    """Where a collector takes traces: its address alone means the standard path."""
    is_bare = urlsplit(endpoint).path in ("", "/")
    return endpoint.rstrip("/") + "/v1/traces" if is_bare else endpoint


class _Spoken(logging.Handler):
    """Passes lines of a library that logs by the standard module on to ours."""

    def emit(self, record: logging.LogRecord) -> None:
        log = logger(record.name.partition(".")[0])
        log.log(record.levelno, record.getMessage().partition("\n")[0])


def _speak_for(library: str) -> None:
    """Warnings of a library become lines as ours are, once, however many parts ask for it."""
    theirs = logging.getLogger(library)
    if not any(isinstance(known, _Spoken) for known in theirs.handlers):
        theirs.addHandler(_Spoken(logging.WARNING))
        theirs.propagate = False
