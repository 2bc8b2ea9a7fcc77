"""What billing says a proposed correction would change, for `gridledger metrology cases`.

Billing estimates each case when it is proposed (services/billing/case_estimate.py). A case that it
has not read yet, or an export without its events, has no estimate.
"""

from __future__ import annotations

from libs.events.audit import Reader
from libs.events.codec import Codec
from libs.events.quantities import format_yuan
from services.audit.files import FileReader
from services.audit.manifest import file_name
from services.billing.events import CaseEstimate, CaseNoted, catalogue
from services.cli.records import known_bodies

EVENTS = "billing.events"
UNKNOWN = "-"


def case_estimates(reader: Reader, partitions: int) -> dict[str, CaseEstimate]:
    """The latest estimate of every case that has one."""
    found: dict[str, CaseEstimate] = {}
    for partition in range(partitions):
        name = file_name(EVENTS, partition)
        if isinstance(reader, FileReader) and name not in reader.manifest.files:
            continue
        for body in known_bodies(reader, Codec(catalogue), EVENTS, partition):
            if isinstance(body, CaseNoted) and body.estimate is not None:
                found[body.case_id] = body.estimate
    return found


def energy_cell(estimate: CaseEstimate | None) -> str:
    """Kilowatt-hours to charge (+) or to give back, `-` without an estimate."""
    if estimate is None:
        return UNKNOWN
    sign = "-" if estimate.energy_wh < 0 else "+"
    whole, rest = divmod(abs(estimate.energy_wh), 1000)
    return f"{sign}{whole}.{rest:03}"


def money_cell(estimate: CaseEstimate | None) -> str:
    """Yuan on the bills that were issued, `-` where they cannot be rated."""
    if estimate is None or estimate.amount_fen is None:
        return UNKNOWN
    return format_yuan(estimate.amount_fen)
