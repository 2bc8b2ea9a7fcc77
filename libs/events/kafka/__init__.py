"""The log port over Apache Kafka: the only package that knows a Kafka client library.

`KafkaLog` is one member of one consumer group (consume, decide, one transaction); `KafkaReader`
reads any topic without a group; `KafkaProducerPort` writes for edges; `TransactionalWriter` writes
several partitions at once; `KafkaAdmin` looks at topics and groups. Every wait has an end, every
error is one of `libs.events.errors`. Why each setting is as it is: docs/adr (exactly-once).

Example:

    settings = KafkaSettings(bootstrap_servers="127.0.0.1:9092")
    log = KafkaLog(settings, "billing", "billing-0", ("calendar",))
    while not log.assigned():
        log.poll(0, 0.2)
"""

from libs.events.kafka.admin import KafkaAdmin, TopicSpec
from libs.events.kafka.client import KafkaSettings
from libs.events.kafka.edge import Ack, KafkaProducerPort
from libs.events.kafka.member import KafkaLog
from libs.events.kafka.reader import KafkaReader
from libs.events.kafka.tail import KafkaTail
from libs.events.kafka.transactions import TransactionalWriter

__all__ = [
    "Ack",
    "KafkaAdmin",
    "KafkaLog",
    "KafkaProducerPort",
    "KafkaReader",
    "KafkaSettings",
    "KafkaTail",
    "TopicSpec",
    "TransactionalWriter",
]
