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
from services.console.field_view import FieldView
from services.console.ledger import Ledger

FINDINGS = {
    "validation.reading_rejected": {"zh": "读数被判不用", "en": "reading rejected"},
    "ingest.reading_missing": {"zh": "缺少读数", "en": "reading missing"},
    "ingest.field_reading_ordered": {"zh": "派工现场抄表", "en": "field reading ordered"},
    "ingest.relay_found": {"zh": "继电器状态与记录不符", "en": "relay found otherwise"},
    "customers.row_rejected": {"zh": "导入行被拒", "en": "import row rejected"},
    "customers.opening_rejected": {"zh": "期初数据被拒", "en": "opening position rejected"},
    "billing.bill_withheld": {"zh": "账单暂不能出", "en": "bill withheld"},
    "billing.correction_issued": {"zh": "账单已更正", "en": "bill corrected"},
    "billing.tariff_class_questioned": {"zh": "电价类别存疑", "en": "tariff class questioned"},
    "billing.release_rejected": {"zh": "账单放行被拒", "en": "release of a bill rejected"},
    "payments.notice_conflicted": {"zh": "付款通知相互矛盾", "en": "payment conflicts"},
    "payments.payment_suspended": {"zh": "款项待认领", "en": "payment in suspense"},
    "payments.notice_refused": {"zh": "回调被拒", "en": "callback refused"},
    "payments.binding_rejected": {"zh": "款项认领被拒", "en": "binding of money rejected"},
    "control.field_ticket_opened": {"zh": "现场工单", "en": "field ticket"},
    "control.case_closed": {"zh": "停复电事项结束", "en": "switching case closed"},
    "metrology.correction_proposed": {
        "zh": "电表不合格，建议退补",
        "en": "meter failed, correction proposed",
    },
}
"""Types that a person may want to see, with what they are called on the page, by language."""

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
    of_field: FieldView = field(default_factory=FieldView)

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
        self.of_field.note(envelope, record.value)
        if name == "clock.ticked":
            self.business_time = max(self.business_time, envelope.time)
        elif name.endswith(f".{STEP}"):
            self._note_step(name.removesuffix(f".{STEP}"), record)
        elif name in FINDINGS and record.topic.endswith(".events"):
            self.findings.appendleft(
                {
                    "type": name,
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
    names: tuple[str, ...] = (
        "day_on",
        "month",
        "outcome",
        "cause",
        "field",
        "problem",
        "reason",
        "reasons",
        "task",
    )
    names += ("stands", "expected")
    row = body.get("row")  # of an import: whoever has the file finds it there
    parts = [f"{row.get('file')}.csv line {row.get('line')}"] if isinstance(row, dict) else []
    parts += [f"{name} {body[name]}" for name in names if body.get(name)]
    rules = [found["rule"] for found in body.get("findings", []) if isinstance(found, dict)]
    return "; ".join(parts + ([f"rules {', '.join(rules)}"] if rules else []))[:160]
