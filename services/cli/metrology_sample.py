"""`gridledger metrology sample`: whether delivered batches are accepted by their samples.

Reads one verified device a line: batch_no, batch (devices delivered), device_no, verdict (pass,
fail, not_judged; what was not judged does not count as verified). `--plans` names a file with
batch, n, c, the smallest batch first: up to `batch` devices n are verified, at most c may fail.
With --json one object a line:

    batch     batch_no, batch, n, c, verified, failed, verdict (accepted, rejected, incomplete),
              reason, failed_devices
    summary   batches, verdicts (verdict -> count), plans
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from libs.events.errors import BadInput
from services.cli.metrology_trails import AsJson, tell
from services.cli.row_file import Row, read_rows
from services.cli.watched import watched
from services.metrology.judgement import FAILED, NOT_JUDGED, VERDICTS
from services.metrology.sample_plan import (
    DEFAULT_PLANS,
    REJECTED,
    SamplePlan,
    SamplePlans,
    accept,
    plan_for,
)

COLUMNS = ("batch_no", "batch", "device_no", "verdict")


@dataclass(slots=True)
class Sample:
    """What was verified of a batch so far."""

    batch: int
    verified: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)


def sample(
    file: Annotated[str, typer.Argument(help="Verified devices, - for standard input.")],
    plans: Annotated[str, typer.Option(help="Sampling plans.", metavar="FILE")] = "",
    as_json: AsJson = False,
) -> int:
    """Accept or reject delivered batches by their samples.

    Status 1 when a batch is rejected. Keeps the numbers of the devices verified.
    """
    known = read_plans(plans) if plans else DEFAULT_PLANS
    samples: dict[str, Sample] = {}
    for row in watched(read_rows(file, COLUMNS), "devices"):
        _take(samples, row, known)
    if not samples:
        name = "standard input" if file == "-" else file
        raise BadInput(name, "has no device", "give one device a line after the header")
    found = [_document(name, each, known) for name, each in samples.items()]
    verdicts = Counter(each["verdict"] for each in found)
    sums = {"batches": len(found), "verdicts": dict(sorted(verdicts.items())), "plans": known.id}
    if as_json:
        for each in found:
            tell({"type": "batch", **each})
        tell({"type": "summary", **sums})
    else:
        _show(found, known)
    return 1 if verdicts[REJECTED] else 0


def read_plans(path: str) -> SamplePlans:
    """The plans of a file; BadInput for one that contradicts the one before it."""
    plans: list[SamplePlan] = []
    for row in read_rows(path, ("batch", "n", "c")):
        plan = SamplePlan(batch=row.whole("batch"), n=row.whole("n"), c=row.whole("c"))
        if plan.batch <= (plans[-1].batch if plans else 0):
            raise row.wrong("batch", f"is {plan.batch}", "give the smallest batch first")
        if not 0 <= plan.c < plan.n:
            raise row.wrong("c", f"is {plan.c} of n = {plan.n}", "fewer than n may fail")
        plans.append(plan)
    if not plans:
        raise BadInput(path, "has no plan", "give batch,n,c a line after the header")
    return SamplePlans(id=path, version=1, plans=tuple(plans), source=path)


def _take(samples: dict[str, Sample], row: Row, plans: SamplePlans) -> None:
    batch_no, batch = row.text("batch_no"), row.whole("batch")
    device_no, verdict = row.text("device_no"), row.one_of("verdict", VERDICTS)
    try:
        plan_for(batch, plans)
    except BadInput as wrong:
        raise row.wrong("batch", wrong.problem, wrong.fix) from None
    known = samples.setdefault(batch_no, Sample(batch))
    if known.batch != batch:
        problem = f"is {batch}, a line above says {known.batch}"
        raise row.wrong("batch", problem, "a batch has one size")
    if device_no in known.verified:
        raise row.wrong("device_no", f"{device_no} stands there twice", "give each device once")
    if verdict == NOT_JUDGED:
        return
    known.verified.add(device_no)
    if len(known.verified) > batch:
        raise row.wrong("device_no", f"more than {batch} devices", "correct the batch")
    if verdict == FAILED:
        known.failed.append(device_no)


def _document(batch_no: str, found: Sample, plans: SamplePlans) -> dict[str, Any]:
    acceptance = accept(plan_for(found.batch, plans), len(found.verified), len(found.failed))
    return {
        "batch_no": batch_no,
        "batch": found.batch,
        "n": acceptance.plan.n,
        "c": acceptance.plan.c,
        "verified": acceptance.verified,
        "failed": acceptance.failed,
        "verdict": acceptance.verdict,
        "reason": acceptance.reason,
        "failed_devices": found.failed,
    }


def _show(found: list[dict[str, Any]], plans: SamplePlans) -> None:
    table = Table("batch", "devices", "n", "c", "verified", "failed", "verdict", "why")
    for each in found:
        names = ("batch_no", "batch", "n", "c", "verified", "failed", "verdict", "reason")
        table.add_row(*(str(each[name]) for name in names))
    Console().print(table)
    print(f"{len(found)} batches, plans {plans.id}")
