"""From settings to a running member: the composition root that every `main.py` calls.

def run(settings: Settings, ordinal: int) -> int:
    return run_core(make_core(decider_hash(PURE_MODULES)), settings, ordinal)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from libs.events.checkpoint import CheckpointStore, open_engine
from libs.events.core import Core
from libs.events.edge import EdgeProducer
from libs.events.effects import EffectCore, EffectLoop, Perform
from libs.events.errors import BadInput
from libs.events.host import Runtime, run_loop, running
from libs.events.kafka import KafkaLog, KafkaProducerPort
from libs.events.loop import Loop
from libs.events.registry import Catalogue
from libs.events.telemetry import Telemetry, Tracing, configure_logs
from libs.events.topics import load_topics
from services.settings import PREFIX, Settings


def runtime_of(settings: Settings, service: str) -> Runtime:
    """What a process of this service is told."""
    configure_logs(settings.log_level, settings.log_format)
    return Runtime(
        kafka=settings.kafka(),
        database_url=settings.database_url_of(service),
        partitions=settings.partitions,
        release=settings.release_id,
        run_dir=settings.data_dir / "run",
        health_host=settings.http_host,
        health_port=settings.health_port,
    )


def tracing_of(settings: Settings, part: str) -> Tracing:
    """The spans of one part of this process; the one place that knows where they go."""
    return Tracing(part, settings.otlp_endpoint)


def on_table(core: Core, partitions: int) -> Core:
    """The core with what the topic table says of its inputs: types it does not read, and keys."""
    table = load_topics(partitions)
    ignored = table.carried(core.inputs) - core.catalogue.by_name.keys()
    return replace(core, ignored_types=ignored, keyed=table.keyed(core.inputs))


def _make_loop(
    kind: Callable[..., Loop], core: Core, runtime: Runtime, member: str, tracing: Tracing
) -> Any:
    table = load_topics(runtime.partitions)
    core = on_table(core, runtime.partitions)
    store = CheckpointStore(open_engine(runtime.database_url))
    log = KafkaLog(runtime.kafka, core.name, member, core.inputs)
    return kind(
        core,
        log,
        store,
        table.partitions,
        cluster_id=log.cluster_id(),
        release=runtime.release,
        telemetry=Telemetry(core.name, tracing=tracing),
    )


def run_core(
    core: Core, settings: Settings, ordinal: int, beside: Sequence[Core | Loop] = ()
) -> int:
    """Run one member of a core until it is told to stop; those `beside` it in threads of their own,
    for cores with little to do. They have their own groups and checkpoints, and no health port. An
    effect core comes as the loop that its owner gave a `perform`."""
    runtime = runtime_of(settings, core.name)
    loop = _member_of(core, settings, ordinal)
    companions = [
        other if isinstance(other, Loop) else _member_of(other, settings, ordinal)
        for other in beside
    ]
    with running(companions):
        heartbeats = [partial(_heartbeat, other) for other in companions]
        return run_loop(loop, runtime, _name(core, ordinal), *heartbeats)


def _name(core: Core, ordinal: int) -> str:
    return f"{core.name.replace('.', '-')}-{ordinal}"


def _member_of(core: Core, settings: Settings, ordinal: int) -> Loop:
    tracing = tracing_of(settings, core.name)
    runtime = runtime_of(settings, core.name)
    loop: Loop = _make_loop(Loop, core, runtime, _name(core, ordinal), tracing)
    return loop


def _heartbeat(loop: Loop) -> float:
    return loop.telemetry.heartbeat


def make_effect_loop(
    core: EffectCore, settings: Settings, ordinal: int, perform: Perform
) -> EffectLoop:
    """The loop of an effect core, for a process that has more to do than run it."""
    runtime = runtime_of(settings, core.name)
    tracing = tracing_of(settings, core.name)
    loop: EffectLoop = _make_loop(EffectLoop, core, runtime, f"{core.name}-{ordinal}", tracing)
    loop.perform = perform
    return loop


def open_producer(settings: Settings, source: str, catalogue: Catalogue) -> EdgeProducer:
    """A producer for an edge or a command: `append(topic, key, body)` waits for the ack."""
    table = load_topics(settings.partitions)
    port = KafkaProducerPort(settings.kafka())

    def partitions(topic: str) -> int:
        # With another count a key lies in another partition, where its core does not look.
        require_partitions(topic, table.partitions(topic), port.partitions(topic))
        return table.partitions(topic)

    tracing = tracing_of(settings, source)
    return EdgeProducer(source, catalogue, port, partitions, tracing=tracing)


def require_partitions(topic: str, wanted: int, found: int) -> None:
    """BadInput when the settings say another number of partitions than the cluster has."""
    if wanted != found:
        problem = f"{wanted} is set, {topic} has {found} in the cluster"
        raise BadInput(PREFIX + "PARTITIONS", problem, f"set {found}")
