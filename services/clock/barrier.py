"""The barrier of simulated time: is everything decided that was ever written?

The system is at rest when every group has committed past the last record of each of its inputs, no
transaction is open, and no topic grew while that was looked at. Control records take offsets too,
so the end of a partition says nothing: the barrier follows the topics itself and knows the last
record of each. A commit is answered before all of it can be seen, offsets sometimes before records:
what is written and not visible yet counts as an open transaction.
"""

from __future__ import annotations

import time

from libs.events.kafka import KafkaAdmin, KafkaSettings, KafkaTail
from libs.events.record import TopicPartition
from libs.events.topics import TopicTable

NOT_AWAITED = frozenset({"console", "dlq"})
"""Readers that keep no group: they follow the topics at their own pace."""

OPEN_TRANSACTIONS = "open transactions"
"""What `behind` calls partitions with records that nobody may see yet."""


class Barrier:
    """Looks at all topics and groups of an installation."""

    def __init__(self, settings: KafkaSettings, table: TopicTable) -> None:
        self.places = table.places()
        self.inputs = {
            reader: [
                TopicPartition(name, number)
                for name in table.read_by(reader)
                for number in range(table.count)
            ]
            for topic in table.topics.values()
            for reader in topic.readers
            if reader not in NOT_AWAITED
        }
        self.admin = KafkaAdmin(settings)
        self.tail = KafkaTail(settings, self.places)
        self._awaited = ""

    def behind(self) -> dict[str, int]:
        """Groups that have not decided everything, with the number of partitions they lag on, and
        how many partitions have open transactions."""
        hidden = self._follow()
        found = {OPEN_TRANSACTIONS: hidden} if hidden else {}
        for group in self.inputs:
            if late := self._lag(group):
                found[group] = late
        return found

    def is_at_rest(self) -> bool:
        """Whether nothing is left to decide, and nothing was written while we looked.

        Asked again and again while a tick takes its way: who was behind is looked at first, and as
        long as it lags on what was known then, nobody else is asked.
        """
        if self._awaited and self._lag(self._awaited):
            return False
        self._awaited = ""
        if self._follow():
            return False
        for group in self.inputs:
            if self._lag(group):
                self._awaited = group
                return False
        before = dict(self.tail.following)
        return self._follow() == 0 and before == self.tail.following

    def wait(self, timeout_s: float) -> dict[str, int]:
        """Wait for rest; {} when it came, else who is behind."""
        deadline = time.monotonic() + timeout_s
        while not self.is_at_rest():
            if time.monotonic() > deadline:
                return self.behind() or {"unsettled": 1}
            time.sleep(0.01)
        return {}

    def _lag(self, group: str) -> int:
        """On how many partitions a group has not committed what was followed so far."""
        committed = self.admin.committed(group)
        return sum(
            committed.get(place, 0) < self.tail.following[place] for place in self.inputs[group]
        )

    def _follow(self) -> int:
        """Read all that is visible; how many partitions hold more than that."""
        written = self.admin.end_offsets(self.places, stable=False)
        visible = self.admin.end_offsets(self.places)
        self.tail.follow_to(visible, 30.0)
        return sum(visible[place] < end for place, end in written.items())

    def close(self) -> None:
        """Give the connections back."""
        self.tail.close()
