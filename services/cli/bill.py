"""`gridledger bill`: list held bills, decide about them, explain one down to its raw frames."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from libs.events.audit import Reader
from libs.events.codec import Codec, to_document
from libs.events.errors import BadInput
from libs.events.quantities import WH_PER_KWH, format_scaled, format_yuan
from libs.events.record import partition_of
from libs.events.registry import Catalogue
from services.billing.api import SOURCE, decide_release
from services.billing.events import (
    BillCalculated,
    BillReleased,
    BillWithheld,
    CorrectionIssued,
    InvoiceIssued,
    LateFeeCharged,
    PriceAwaited,
    edge_catalogue,
)
from services.billing.explanation import (
    LANGUAGES,
    explain,
    explain_correction,
    explain_late_fee,
)
from services.cli.bill_statement import statement
from services.cli.records import known_bodies, named, open_cluster, open_records
from services.ingest.events import RegistersRead
from services.settings import load_settings
from services.wiring import open_producer

app = typer.Typer(help="Bills: which are held, who releases them, and why they are what they are.")
app.command(epilog="Example: gridledger bill statement 1000000001-F2026-01 --language en")(
    statement
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FromFiles = Annotated[
    Path | None, typer.Option("--from-files", help="Read an export.", metavar="DIR")
]
CALCULATIONS_MAX = 1_000_000
BILL_ID = re.compile(r"([0-9]{1,20})-[0-9]{4}-(?:0[1-9]|1[0-2])")

reader_catalogue = Catalogue("bill.reader")
for _name, _body in (
    ("billing.bill_calculated", BillCalculated),
    ("billing.bill_released", BillReleased),
    ("billing.bill_withheld", BillWithheld),
    ("billing.price_awaited", PriceAwaited),
    ("billing.invoice_issued", InvoiceIssued),
    ("billing.correction_issued", CorrectionIssued),
    ("billing.late_fee_charged", LateFeeCharged),
    ("ingest.registers_read", RegistersRead),
):
    reader_catalogue.reads(_name)(_body)


def bodies(reader: Reader, topic: str, partition: int) -> Iterator[Any]:
    """The bodies of the types we know, in order."""
    yield from known_bodies(reader, Codec(reader_catalogue), topic, partition)


def held_bills(reader: Reader, partitions: int) -> list[BillCalculated]:
    """Bills that a check holds and nobody released, as they were last calculated."""
    held: dict[str, BillCalculated] = {}
    for partition in range(partitions):
        for body in bodies(reader, "billing.events", partition):
            if isinstance(body, BillCalculated):
                held[body.bill_id] = body
            elif isinstance(body, BillReleased):
                held.pop(body.bill_id, None)
            elif isinstance(body, (BillWithheld, PriceAwaited)):
                held.pop(f"{body.account_no}-{body.month}", None)  # its draft is withdrawn
    return [bill for bill in held.values() if bill.hits]


@app.command(epilog="Example: gridledger bill held --json")
def held(from_files: FromFiles = None, as_json: AsJson = False) -> None:
    """List the bills that wait for a person, and why."""
    found = held_bills(*open_records(from_files))
    if as_json:
        rows = [
            {
                "bill_id": bill.bill_id,
                "account_no": bill.account_no,
                "month": bill.month,
                "calculation": bill.calculation,
                "total_fen": bill.total_fen,
                "hits": [to_document(hit) for hit in bill.hits],
            }
            for bill in found
        ]
        print(json.dumps(rows, indent=1))
        return
    table = Table("bill", "month", "calculation", "yuan", "why")
    for bill in found:
        why = ", ".join(hit.check for hit in bill.hits)
        amount = format_yuan(bill.total_fen)
        table.add_row(bill.bill_id, bill.month, str(bill.calculation), amount, why)
    Console().print(table)


@app.command(epilog="Example: gridledger bill release 1000000001-2026-01 --by li --reason checked")
def release(
    bill_id: Annotated[str, typer.Argument(help="The bill, ACCOUNT-MONTH.", metavar="BILL")],
    by: Annotated[str, typer.Option(help="Who decides.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    calculation: Annotated[
        int,
        typer.Option(
            help="The calculation you looked at; default: whichever stands.",
            min=0,
            max=CALCULATIONS_MAX,
        ),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Release a held bill; it is issued at once, unless something new came for it meanwhile."""
    account_no = account_of(bill_id)
    by = named("--by", by, "say who decides")
    reason = named("--reason", reason, "say why")
    settings = load_settings().settings
    require_calculated(open_cluster(settings), settings.partitions, bill_id)
    with closing(open_producer(settings, SOURCE, edge_catalogue)) as producer:
        request_id = decide_release(
            producer, account_no, bill_id, "release", by, reason, calculation
        )
    if as_json:
        print(json.dumps({"bill_id": bill_id, "request_id": request_id, "by": by}))
        return
    print(f"{bill_id}: release by {by} recorded as {request_id}; billing decides")


def require_calculated(reader: Reader, partitions: int, bill_id: str) -> None:
    """BadInput when there is no such bill. Whether it still waits is for billing to decide."""
    partition = partition_of(account_of(bill_id), partitions)
    for body in bodies(reader, "billing.events", partition):
        if isinstance(body, BillCalculated) and body.bill_id == bill_id:
            return
    raise BadInput("BILL", f"there is no bill {bill_id!r}", "see `gridledger bill held`")


def account_of(bill_id: str) -> str:
    """The account of a bill; BadInput when it is no bill's id."""
    found = BILL_ID.fullmatch(bill_id)
    if found is None:
        raise BadInput("BILL", f"{bill_id!r} is no bill", "ACCOUNT-MONTH, 1000000001-2026-01")
    return found.group(1)


@app.command(
    "explain", epilog="Example: gridledger bill explain 1000000001-2026-01 --language en --frames"
)
def explain_command(
    invoice_no: Annotated[str, typer.Argument(help="The invoice.", metavar="INVOICE")],
    language: Annotated[str, typer.Option(help="zh or en.")] = "zh",
    frames: Annotated[bool, typer.Option(help="Show the raw frames behind the readings.")] = False,
    from_files: FromFiles = None,
    as_json: AsJson = False,
) -> None:
    """Tell an invoice line by line: quantity, price, rule, readings, and the frames behind them."""
    if language not in LANGUAGES:
        raise BadInput("--language", f"{language!r} is not known", "zh or en")
    reader, count = open_records(from_files)
    invoice, corrections = find_invoice(reader, count, invoice_no)
    lines = explain(invoice.bill, (language,))
    readings = find_readings(reader, count, invoice, corrections)
    fees = find_late_fees(reader, count, invoice, corrections)
    if as_json:
        document = {
            "invoice": to_document(invoice),
            "corrections": [to_document(found) for found in corrections],
            "late_fees": [to_document(fee) for fee in fees],
            "explanation": lines,
            "readings": [to_document(found) for found in readings],
        }
        print(json.dumps(document, ensure_ascii=False, indent=1))
        return
    for text in lines:
        print(text)
    for found in corrections:
        of_bill = sum(
            each.total_fen for each in found.correction.bills if each.bill_id == invoice_no
        )
        print(explain_correction(found.correction_no, found.cause, of_bill, language))
    for fee in fees:
        print(explain_late_fee(fee, language))
    for reading in readings:
        shown = " ".join(
            f"{name}={format_scaled(value, WH_PER_KWH)}"
            for name, value in reading.registers.items()
        )
        print(f"{reading.reading_id}  {reading.source}  {shown}")
        if frames:
            for frame in reading.frames:
                print(f"    {frame}")


def find_invoice(
    reader: Reader, partitions: int, invoice_no: str
) -> tuple[InvoiceIssued, list[CorrectionIssued]]:
    """An invoice and the rounds that corrected it; BadInput when there is none."""
    account_no = invoice_no.partition("-")[0]
    invoice: InvoiceIssued | None = None
    corrections: list[CorrectionIssued] = []
    for body in bodies(reader, "billing.events", partition_of(account_no, partitions)):
        if isinstance(body, InvoiceIssued) and body.invoice_no == invoice_no:
            invoice = body
        elif isinstance(body, CorrectionIssued) and any(
            each.bill_id == invoice_no for each in body.correction.bills
        ):
            corrections.append(body)
    if invoice is None:
        raise BadInput(
            "INVOICE",
            f"{invoice_no!r} was not issued",
            "give the number of an invoice, ACCOUNT-MONTH",
        )
    return invoice, corrections


def find_late_fees(
    reader: Reader,
    partitions: int,
    invoice: InvoiceIssued,
    corrections: Sequence[CorrectionIssued] = (),
) -> list[LateFeeCharged]:
    """What late payments of the invoice and of its rounds bear, given back or not."""
    numbers = {invoice.invoice_no, *(found.correction_no for found in corrections)}
    partition = partition_of(invoice.account_no, partitions)
    return [
        body
        for body in bodies(reader, "billing.events", partition)
        if isinstance(body, LateFeeCharged) and body.invoice_no in numbers
    ]


def find_readings(
    reader: Reader,
    partitions: int,
    invoice: InvoiceIssued,
    corrections: Sequence[CorrectionIssued] = (),
) -> list[RegistersRead]:
    """The readings that the lines of the invoice and its corrections name, with their frames."""
    lines = list(invoice.bill.lines)
    for found_one in corrections:
        for each in found_one.correction.bills:
            if each.bill_id == invoice.invoice_no:
                lines += [line.line for line in each.lines]
    wanted = {name for line in lines for name in line.reading_ids}
    points = {line.point for line in lines if line.point}
    found: dict[str, RegistersRead] = {}
    for partition in sorted({partition_of(point, partitions) for point in points}):
        for body in bodies(reader, "ingest.readings", partition):
            if isinstance(body, RegistersRead) and body.reading_id in wanted:
                found[body.reading_id] = body
    return [found[name] for name in sorted(found)]
