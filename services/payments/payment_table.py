"""What a fact does to a payment: one table, asked by every decision about one (payments.md 7).

Before money: created, pending, unknown, closing, closed, expired, failed. After it: captured,
partially_refunded, refunded, reversed; refunds under way count as given. Money never goes back to
a state without money. After money every fact moves a payment only forward in the order of MONEY,
so facts that come in another order lead to the same state:

    reversal, then its sale     awaited; captured and reversed when the sale comes
    closed, then captured       captured: money is money (late)
    captured, then closed       noted, nothing changes

Example:
    PAYMENT["captured", "refund_part"]    Step(state="partially_refunded", action="return")
"""

from __future__ import annotations

from dataclasses import dataclass

NO_MONEY = ("created", "pending", "unknown", "closing", "closed", "expired", "failed")
MONEY = ("captured", "partially_refunded", "refunded", "reversed")
STATES = (*NO_MONEY, *MONEY)

WITHOUT_MONEY = ("pending", "unknown", "closing", "closed", "expired", "failed")
"""Facts that say how an order stands, by the state that they lead to."""

TAKES_BACK = ("refund_part", "refund_rest", "reversed", "chargeback")
"""Facts that give money back; refund_rest: nothing is left of the payment then."""

FACTS = ("captured", *WITHOUT_MONEY, *TAKES_BACK)

ACTIONS = ("capture", "repeat", "note", "await", "return")
"""book it, it is known, it moves no money, its payment has not come yet, give money back."""


@dataclass(frozen=True, slots=True)
class Step:
    """The state that follows, and what is to be done."""

    state: str
    action: str


_LEADS_TO = {
    "refund_part": "partially_refunded",
    "refund_rest": "refunded",
    "reversed": "reversed",
    "chargeback": "reversed",
}
_FINAL = ("closed", "expired", "failed")


def _step(state: str, fact: str) -> Step:
    if fact == "captured":
        return Step(state, "repeat") if state in MONEY else Step("captured", "capture")
    if fact in WITHOUT_MONEY:
        stays = state in (*MONEY, *_FINAL) or (state == "closing" and fact not in _FINAL)
        return Step(state if stays else fact, "note")
    if state in NO_MONEY:
        return Step(state, "await")
    return Step(max(state, _LEADS_TO[fact], key=MONEY.index), "return")


PAYMENT: dict[tuple[str, str], Step] = {
    (state, fact): _step(state, fact) for state in STATES for fact in FACTS
}
"""Every state with every fact: there is no gap to fall through."""


def state_of(captured_fen: int | None, gone_fen: int, is_reversed: bool) -> str:
    """The state of a payment by its money; None: nobody captured it, so it is `created` here."""
    if captured_fen is None:
        return "created"
    if is_reversed:
        return "reversed"
    if gone_fen >= captured_fen:
        return "refunded"
    return "partially_refunded" if gone_fen else "captured"


def fact_of(kind: str, captured_fen: int | None, gone_fen: int, amount_fen: int) -> str:
    """A kind of MONEY_BACK over `amount_fen` as a fact of the table, after `gone_fen` went."""
    if kind != "refund":
        return kind
    is_rest = captured_fen is not None and gone_fen + amount_fen >= captured_fen
    return "refund_rest" if is_rest else "refund_part"
