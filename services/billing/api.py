"""The billing edge as functions: publish price books, decide about held bills."""

from __future__ import annotations

import secrets

from libs.events.edge import EdgeProducer, WriterPort, broadcast
from services.billing.events import (
    BookPublished,
    ReleaseDecided,
    TariffClassAccepted,
    edge_catalogue,
)
from services.billing.price_book import PriceBook, content_hash

TARIFFS = "tariffs"
REQUESTS = "billing.requests"
SOURCE = "billing.edge"


def publish_book(writer: WriterPort, book: PriceBook, published_by: str, partitions: int) -> str:
    """Write a book to every partition in one transaction; its content hash."""
    digest = content_hash(book)
    body = BookPublished(book=book, content_hash=digest, published_by=published_by)
    broadcast(writer, SOURCE, edge_catalogue, TARIFFS, body, partitions)
    return digest


def decide_release(
    producer: EdgeProducer,
    account_no: str,
    bill_id: str,
    decision: str,
    person: str,
    reason: str,
    calculation: int = 0,
) -> str:
    """Write a person's decision about a held bill; the request's id.

    calculation: the one the person saw, 0 for whichever stands when it is decided.
    """
    request_id = f"release/{secrets.token_hex(8)}"
    body = ReleaseDecided(
        request_id=request_id,
        account_no=account_no,
        bill_id=bill_id,
        decision=decision,
        decided_by=person,
        reason=reason,
        calculation=calculation,
    )
    producer.append(REQUESTS, account_no, body)
    return request_id


def accept_class(
    producer: EdgeProducer, account_no: str, audit_id: str, person: str, reason: str
) -> str:
    """Write that a person accepts the class a question is about; the request's id."""
    request_id = f"acceptance/{secrets.token_hex(8)}"
    body = TariffClassAccepted(
        request_id=request_id,
        account_no=account_no,
        audit_id=audit_id,
        decided_by=person,
        reason=reason,
    )
    producer.append(REQUESTS, account_no, body)
    return request_id
