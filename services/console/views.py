"""What the status page shows, folded from the topics: hops, counts, latest findings."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from libs.events.codec import decode_as, envelope_of, parse_json
from libs.events.errors import Undecodable
from libs.events.record import Record, TopicPartition
from libs.events.step import EPOCH, STEP, StepTaken
from libs.events.topics import TopicTable
from services.console.ledger import Ledger

FINDINGS = {
    "validation.reading_rejected": "reading rejected",
    "ingest.reading_missing": "reading missing",
    "ingest.field_reading_ordered": "field reading ordered",
    "ingest.relay_found": "relay found otherwise",
    "billing.bill_withheld": "bill withheld",
    "billing.correction_issued": "bill corrected",
    "payments.notice_conflicted": "payment conflicts",
    "payments.payment_suspended": "payment in suspense",
    "payments.notice_refused": "callback refused",
    "control.field_ticket_opened": "field ticket",
    "control.case_closed": "switching case closed",
    "metrology.correction_proposed": "meter failed, correction proposed",
}
"""Types that a person may want to see, with what they are called on the page."""

KEPT = 30


@dataclass(slots=True)
class StatusView:
    """Everything the page shows; `note` takes one record, `document` gives the page's data."""

    table: TopicTable
    ledger: Ledger = field(default_factory=Ledger)
    counts: Counter[str] = field(default_factory=Counter)
    findings: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT))
    verdicts: dict[str, Counter[str]] = field(default_factory=dict)
    business_time: str = EPOCH
    dead_letters: int = 0

    def note(self, record: Record) -> None:
        """Fold one record."""
        place = TopicPartition(record.topic, record.partition)
        self.ledger.note_input(place, record.offset)
        if record.topic.endswith(".dlq"):
            self.dead_letters += any(name == "dlq.reason" for name, _ in record.headers)
            return
        try:
            envelope = envelope_of(record.headers)
        except Undecodable:
            return
        name = envelope.type.rpartition(".v")[0]
        self.counts[name] += 1
        if name == "clock.ticked":
            self.business_time = max(self.business_time, envelope.time)
        elif name.endswith(f".{STEP}"):
            self._note_step(name.removesuffix(f".{STEP}"), record)
        elif name in FINDINGS and envelope.cause:
            self.findings.appendleft(
                {
                    "what": FINDINGS[name],
                    "key": envelope.subject,
                    "at": envelope.time,
                    "detail": _detail(record),
                    "where": f"{record.topic}[{record.partition}]@{record.offset}",
                }
            )

    def _note_step(self, core: str, record: Record) -> None:
        step = decode_as(StepTaken, record.value, "step")
        verdicts = self.verdicts.setdefault(core, Counter())
        for name in ("decided", "silent", "rejected", "dead_lettered"):
            verdicts[name] += getattr(step, name)
        for run in step.runs:
            place = TopicPartition(run.topic, record.partition)
            self.ledger.note_run(core, place, run.first, run.next, run.count)

    def document(self) -> dict[str, Any]:
        """The page's data; stable, also served as JSON."""
        self.ledger.settle()
        hops = self._hops()
        return {
            "business_time": self.business_time,
            "lost": sum(hop["lost"] for hop in hops),
            "doubled": sum(hop["doubled"] for hop in hops),
            "dead_letters": self.dead_letters,
            "hops": hops,
            "cores": {name: dict(found) for name, found in sorted(self.verdicts.items())},
            "events": dict(sorted(self.counts.items())),
            "findings": list(self.findings),
        }

    def _hops(self) -> list[dict[str, Any]]:
        rows = []
        for core in sorted(self.verdicts):
            for topic in self.table.read_by(core):
                places = [TopicPartition(topic, number) for number in range(self.table.count)]
                found = [self.ledger.hops.get((core, place)) for place in places]
                rows.append(
                    {
                        "core": core,
                        "input": topic,
                        "decided": sum(hop.decided for hop in found if hop),
                        "lag": sum(self.ledger.lag(core, place) for place in places),
                        "lost": sum(hop.lost for hop in found if hop),
                        "doubled": sum(hop.doubled for hop in found if hop),
                    }
                )
        return rows


def _detail(record: Record) -> str:
    """A short line out of a body: the fields a person looks for first."""
    try:
        body = parse_json(record.value)
    except Undecodable:
        return ""
    names = ("day_on", "month", "outcome", "cause", "problem", "reason", "reasons", "task")
    parts = [f"{name} {body[name]}" for name in names if body.get(name)]
    rules = [found["rule"] for found in body.get("findings", []) if isinstance(found, dict)]
    return "; ".join(parts + ([f"rules {', '.join(rules)}"] if rules else []))[:160]
