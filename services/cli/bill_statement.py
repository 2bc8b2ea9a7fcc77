"""`gridledger bill statement`: a statement of feed-in with its corrections and how it was paid."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.audit import Reader
from libs.events.codec import Codec, to_document
from libs.events.errors import BadInput
from libs.events.quantities import format_yuan
from libs.events.record import partition_of
from libs.events.registry import Catalogue
from services.billing.events import FeedInCorrected, FeedInStated
from services.billing.explanation import LANGUAGES, explain_correction
from services.cli.feed_in import show
from services.cli.records import known_bodies, open_records
from services.payments.payable_events import PayableSettled

STATEMENT = re.compile(r"([0-9]{1,20})-F[0-9]{4}-(?:0[1-9]|1[0-2])")

reader_catalogue = Catalogue("statement.reader")
for _name, _body in (
    ("billing.feed_in_stated", FeedInStated),
    ("billing.feed_in_corrected", FeedInCorrected),
    ("payments.payable_settled", PayableSettled),
):
    reader_catalogue.reads(_name)(_body)


def statement(
    statement_no: Annotated[
        str, typer.Argument(help="The statement, ACCOUNT-FMONTH.", metavar="STATEMENT")
    ],
    language: Annotated[str, typer.Option(help="Of the lines: zh or en.")] = "zh",
    from_files: Annotated[
        Path | None, typer.Option("--from-files", help="Read an export.", metavar="DIR")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell a statement of feed-in: its lines, its corrections, and what was paid for it."""
    if language not in LANGUAGES:
        raise BadInput("--language", f"{language!r} is not known", "zh or en")
    account_no = account_of(statement_no)
    reader, count = open_records(from_files)
    partition = partition_of(account_no, count)
    stated, corrections = find_statement(reader, partition, statement_no)
    numbers = {statement_no, *(each.correction_no for each in corrections)}
    settled = [
        body
        for body in _bodies(reader, "payments.events", partition)
        if isinstance(body, PayableSettled) and body.statement_no in numbers
    ]
    if as_json:
        found = {
            "statement": to_document(stated),
            "corrections": [to_document(each) for each in corrections],
            "settled": [to_document(each) for each in settled],
        }
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return
    print(f"{statement_no}, issued {stated.issued_on}, to be paid until {stated.due_on}")
    show(stated.statement, language)
    for found_one in corrections:
        difference_fen = found_one.difference_fen
        number = found_one.correction_no
        print(explain_correction(number, found_one.cause, difference_fen, language))
    for each in settled:
        print(f"{each.kind} {format_yuan(each.amount_fen)} CNY {each.paid_on} {each.bank_ref}")


def account_of(statement_no: str) -> str:
    """The account of a statement; BadInput when it is no statement's number."""
    found = STATEMENT.fullmatch(statement_no)
    if found is None:
        fix = "ACCOUNT-FMONTH, 1000000001-F2026-01"
        raise BadInput("STATEMENT", f"{statement_no!r} is no statement", fix)
    return found.group(1)


def find_statement(
    reader: Reader, partition: int, statement_no: str
) -> tuple[FeedInStated, list[FeedInCorrected]]:
    """A statement and its corrections; BadInput when there is none."""
    stated: FeedInStated | None = None
    corrections: list[FeedInCorrected] = []
    for body in _bodies(reader, "billing.events", partition):
        if body.statement_no != statement_no:
            continue
        if isinstance(body, FeedInStated):
            stated = body
        else:
            corrections.append(body)
    if stated is None:
        fix = "give the number of a statement, ACCOUNT-FMONTH"
        raise BadInput("STATEMENT", f"{statement_no!r} was not made", fix)
    return stated, corrections


def _bodies(reader: Reader, topic: str, partition: int) -> Any:
    return known_bodies(reader, Codec(reader_catalogue), topic, partition)
