"""The customers edge: records of an import or of opening positions go to `customers.requests`.

    found = read_import(directory, submitted_by="wang")
    submit(found.requests, producer.append)          # returns when the broker has all of them

What the core makes of them: services/customers/answers.py. Opening positions of a utility go there
together or not at all, see services/customers/takeover.py.

Nothing is kept here. A record that was sent twice changes nothing the second time, so after a
failure the whole directory is simply sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from libs.events.errors import Unavailable
from services.customers.events import OpeningSubmitted, RowsSubmitted

REQUESTS = "customers.requests"


class Append(Protocol):
    """Writes one record and returns its offset after the broker's ack; raises Unavailable."""

    def __call__(self, topic: str, key: str, body: object, /) -> int: ...


def submit(requests: Sequence[RowsSubmitted | OpeningSubmitted], append: Append) -> list[int]:
    """Send the requests, each by its account; their offsets, in the order of the requests.

    Raises Unavailable, which says how far it came, when the broker does not answer.
    """
    offsets: list[int] = []
    for number, request in enumerate(requests):
        try:
            offsets.append(append(REQUESTS, request.account_no, request))
        except Unavailable as reason:
            raise Unavailable(
                f"{reason}: {number} of {len(requests)} records were sent; run the command again, "
                "what is known already changes nothing"
            ) from None
    return offsets
