"""What a fact does to a refund of ours: one table, asked by every decision about one.

    requested -> approved -> processing -> succeeded | abnormal -> rerouted -> succeeded | closed

A refund by bank transfer begins at `rerouted`: a transfer is ordered, and a person says that it
was paid or came back. `declined` ends a request. What the channel says about a refund that ended
otherwise is a work item for a person, and money that went all the same is booked as a refund made
elsewhere (payments.md 7).

Example:
    REFUND["processing", "abnormal"]    Step(state="abnormal", action="note")
"""

from __future__ import annotations

from services.payments.payment_table import Step

OPEN = ("requested", "approved", "processing", "abnormal", "rerouted")
ENDED = ("succeeded", "closed", "declined")
STATES = (*OPEN, *ENDED)
UNDER_WAY = ("approved", "processing", "abnormal", "rerouted")
"""Its money stands on `refund_payable`."""

OF_PEOPLE = ("approved", "approved_bank", "declined", "rerouted", "paid")
OF_CHANNEL = ("accepted", "succeeded", "abnormal", "closed")
"""Facts of the channel; a person may tell them, too, with evidence."""

FACTS = (*OF_PEOPLE, *OF_CHANNEL)

ACTIONS = (
    "approve",
    "decline",
    "note",
    "pay",
    "pay_bank",
    "give_up",
    "repeat",
    "work_item",
    "book",
)
"""pay: by the channel; give_up: the money is the account's again; book: as made elsewhere."""

_WAYS = {
    ("requested", "approved"): Step("approved", "approve"),
    ("requested", "approved_bank"): Step("rerouted", "approve"),
    ("requested", "declined"): Step("declined", "decline"),
    ("requested", "succeeded"): Step("declined", "book"),
    ("closed", "succeeded"): Step("closed", "book"),
    ("closed", "closed"): Step("closed", "repeat"),
    ("declined", "succeeded"): Step("declined", "book"),
    ("declined", "declined"): Step("declined", "repeat"),
    ("succeeded", "succeeded"): Step("succeeded", "repeat"),
    ("succeeded", "accepted"): Step("succeeded", "repeat"),
    ("abnormal", "abnormal"): Step("abnormal", "repeat"),
    ("abnormal", "accepted"): Step("abnormal", "repeat"),
    ("abnormal", "succeeded"): Step("succeeded", "pay"),
    ("abnormal", "rerouted"): Step("rerouted", "note"),
    ("abnormal", "closed"): Step("closed", "give_up"),
    ("rerouted", "paid"): Step("succeeded", "pay_bank"),
    ("rerouted", "closed"): Step("closed", "give_up"),
    ("rerouted", "abnormal"): Step("rerouted", "repeat"),
    ("approved", "accepted"): Step("processing", "note"),
    ("processing", "accepted"): Step("processing", "repeat"),
    **{
        (state, fact): step
        for state in ("approved", "processing")
        for fact, step in (
            ("succeeded", Step("succeeded", "pay")),
            ("abnormal", Step("abnormal", "note")),
            ("closed", Step("closed", "give_up")),
        )
    },
}

REFUND: dict[tuple[str, str], Step] = {
    (state, fact): _WAYS.get((state, fact), Step(state, "work_item"))
    for state in STATES
    for fact in FACTS
}
"""Every state with every fact: what has no way on is a work item and changes nothing."""
