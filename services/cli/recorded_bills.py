"""Bills with what they were rated from, one at a time: out of files, an export or the cluster.

From a log come the issued invoices as their corrections left them, each in the place of its
invoice. What is held meanwhile are the price books and the bills that were corrected, so memory
stays flat over a long log. From files come the bills that `gridledger rate` makes of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from libs.events.codec import Codec
from libs.events.errors import BadInput
from libs.events.registry import Catalogue
from services.billing.bill import Bill, RatingPart
from services.billing.correction import IssuedBill
from services.billing.events import BookAdopted, CorrectionIssued, InvoiceIssued
from services.billing.price_book import PriceBook, book_key
from services.cli.rate import contracts_in, usages_in
from services.cli.rate_inputs import rated_bills
from services.cli.records import known_bodies, open_records

reader_catalogue = Catalogue("recorded_bills.reader")
for _name, _body in (
    ("billing.book_adopted", BookAdopted),
    ("billing.invoice_issued", InvoiceIssued),
    ("billing.correction_issued", CorrectionIssued),
):
    reader_catalogue.reads(_name)(_body)


@dataclass(frozen=True, slots=True)
class RecordedBill:
    """A bill and the parts it was rated from."""

    parts: tuple[RatingPart, ...]
    bill: Bill


@dataclass(slots=True)
class RecordedBills:
    """Where bills come from; `books` has every price book that was met until then."""

    usage: str
    contract: str
    given: Sequence[PriceBook]
    from_files: Path | None
    today_on: str
    books: dict[str, PriceBook] = field(default_factory=dict)

    def __iter__(self) -> Iterator[RecordedBill]:
        if self.usage or self.contract:
            yield from self._of_files()
        else:
            yield from self._of_log()

    def _of_files(self) -> Iterator[RecordedBill]:
        """What `rate` makes of usages and contracts, withheld bills as well."""
        for option, given in (("--usage", self.usage), ("--contract", self.contract)):
            if not given:
                fix = "give --usage and --contract, or --from-files, or none of them"
                raise BadInput(option, "is missing", fix)
        if self.from_files is not None:
            fix = "give either --usage and --contract or --from-files"
            raise BadInput("--from-files", "stands beside --usage", fix)
        if self.usage == self.contract == "-":
            raise BadInput("--contract", "standard input is the usage already", "name a file")
        if not self.given:
            raise BadInput("--book", "is missing", "give the books that --usage is billed by")
        self.books = {book_key(book): book for book in self.given}
        usages, contracts = usages_in(self.usage, self.today_on), contracts_in(self.contract)
        for rated in rated_bills(usages, contracts, self.given):
            yield RecordedBill(rated.parts, rated.bill)

    def _of_log(self) -> Iterator[RecordedBill]:
        reader, partitions = open_records(self.from_files)
        codec = Codec(reader_catalogue)
        for partition in range(partitions):
            corrected: dict[str, IssuedBill] = {}
            for body in known_bodies(reader, codec, "billing.events", partition):
                if isinstance(body, BookAdopted):
                    self.books[book_key(body.book)] = body.book
                elif isinstance(body, CorrectionIssued):
                    corrected |= {e.bill_id: e.corrected for e in body.correction.bills}
            for body in known_bodies(reader, codec, "billing.events", partition):
                if isinstance(body, InvoiceIssued):
                    yield from self._issued(body, corrected.get(body.invoice_no))

    def _issued(
        self, invoice: InvoiceIssued, corrected: IssuedBill | None
    ) -> Iterator[RecordedBill]:
        """The invoice as its last round left it; nothing where that took all of it back."""
        of = invoice if corrected is None else corrected
        parts = tuple(
            RatingPart(each.usage, self._book(invoice.invoice_no, each.book), each.terms)
            for each in of.inputs
        )
        if parts:
            yield RecordedBill(parts, of.bill)

    def _book(self, invoice_no: str, key: str) -> PriceBook:
        if key not in self.books:
            problem = f"the log has no book {key}"
            raise BadInput(f"invoice {invoice_no}", problem, "export billing.events whole")
        return self.books[key]
