"""What was planted, what was expected of it, and what the topics say happened.

Every expectation is a named function over the bodies of all topics; nothing is taken from the
simulators' own memory but the plan.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from simulators.city import (
    feed_in,
    late_fees,
    lost_callback,
    mass_cut,
    prepaid,
    relations,
    settlement,
    superseded,
    surroundings,
    suspended,
    transfers,
    voltages,
    wrong_class,
)
from simulators.city import report_lab as laboratory
from simulators.city import report_meters as meters
from simulators.city.facts import Check, Expectation, Facts, expect
from simulators.city.people import MONTHS
from simulators.city.plan import COPIES


def late_book(facts: Facts) -> Expectation:
    """Usage without a book waits; it is billed when the book comes."""
    waited = facts.of("billing.price_awaited", "late_book")
    billed = facts.of("billing.invoice_issued", "late_book", month=MONTHS[0])
    found = f"{len(waited)} waited, invoice of {MONTHS[0]}: {len(billed)}"
    holds = len(waited) >= 1 and len(billed) == 1
    return expect("late price book", "awaited, then one invoice", found, holds)


def held_bill(facts: Facts) -> Expectation:
    """A bill on estimates is held until a person releases it."""
    bills = facts.of("billing.bill_calculated", "late_actual", month=MONTHS[0])
    hits = {hit["check"] for body in bills for hit in body["hits"]}
    released = facts.of("billing.bill_released", "late_actual", month=MONTHS[0])
    by = released[0]["released_by"] if released else "nobody"
    found = f"held by {', '.join(sorted(hits)) or '-'}, released by {by}"
    return expect(
        "held bill", "held: estimated; a person", found, "estimated" in hits and by == "clerk"
    )


def late_actual(facts: Facts) -> Expectation:
    """A late actual after the bill: one numbered correction, no second invoice."""
    rounds = facts.of("billing.correction_issued", "late_actual", cause="late_actual")
    invoices = facts.of("billing.invoice_issued", "late_actual", month=MONTHS[0])
    found = f"{len(rounds)} correction, {len(invoices)} invoice"
    return expect(
        "late actual", "corrected, not reissued", found, len(rounds) >= 1 and len(invoices) == 1
    )


def repeated_payment(facts: Facts) -> Expectation:
    """Fifty parallel copies of one callback: one capture."""
    repeats = Counter(
        body["payment_id"] for body in facts.of("payments.notice_repeated", "repeated_payment")
    )
    payment_id, count = next(iter(repeats.most_common(1)), ("", 0))
    captured = facts.of("payments.payment_captured", "repeated_payment", payment_id=payment_id)
    found = f"{len(captured)} capture, {count} repeats"
    holds = len(captured) == 1 and count >= COPIES - 1
    return expect("repeated callback", f"one capture of {COPIES} copies", found, holds)


def forged_payment(facts: Facts) -> Expectation:
    """A forged, old, foreign or unknown callback: evidence, no money; the true one counts."""
    causes = Counter(body["cause"] for body in facts.memory.of("payments.notice_refused"))
    missing = FORGED_CAUSES - causes.keys()
    paid = _is_paid(facts, "forged_payment")
    found = f"refused {sum(causes.values())} x for {len(causes)} causes, true one captured: {paid}"
    if missing:
        found += f"; not seen: {', '.join(sorted(missing))}"
    return expect("forged callbacks", "refused, evidence kept", found, paid and not missing)


FORGED_CAUSES = frozenset(
    {
        "signature_invalid",
        "timestamp_outside_window",
        "serial_unknown",
        "merchant_mismatch",
        "probe",
    }
)


def altered_payment(facts: Facts) -> Expectation:
    """An amount altered after signing: refused; the true one counts."""
    refused = facts.memory.of("payments.notice_refused", channel="alipay")
    paid = _is_paid(facts, "altered_payment")
    found = f"refused {len(refused)} x, true one captured: {paid}"
    return expect("altered amount", "refused, evidence kept", found, bool(refused) and paid)


def _is_paid(facts: Facts, role: str) -> bool:
    """Whether the first month's invoice of a role was paid by a capture."""
    captured = facts.of("payments.payment_captured", role)
    invoices = {a["invoice_no"] for body in captured for a in body["allocations"]}
    return f"{facts.city.cast[role]}-{MONTHS[0]}" in invoices


def late_payment(facts: Facts) -> Expectation:
    """Overdue is told once, then the money settles it."""
    overdue = facts.of("payments.account_overdue", "late_payment")
    balance = facts.of("payments.balance_changed", "late_payment")
    left = balance[-1]["overdue_fen"] if balance else -1
    found = f"{len(overdue)} x overdue, {left} fen overdue now"
    return expect("late payment", "overdue, then settled", found, len(overdue) >= 1 and left == 0)


def orderless(facts: Facts) -> Expectation:
    """Money without an order: suspense, bound once, captured at the account."""
    account_no = facts.city.cast["jump"]
    bound = [
        body
        for body in facts.memory.of("payments.suspense_bound")
        if account_no in {part["account_no"] for part in body["parts"]}
    ]
    keys = {body["suspense_key"] for body in bound}
    suspended = [
        body
        for body in facts.memory.of("payments.payment_suspended")
        if body["suspense_key"] in keys
    ]
    captured = facts.of("payments.payment_captured", "jump", source="transfer")
    found = f"{len(suspended)} suspended, {len(bound)} bound, {len(captured)} captured"
    return expect("payment without order", "suspense, bound once", found,
                   (len(suspended), len(bound), len(captured)) == (1, 1, 1))  # fmt: skip


def journal(facts: Facts) -> Expectation:
    """Debits equal credits over all entries."""
    debit = credit = entries = 0
    for bodies in facts.memory.own.values():
        for body in bodies:
            entry = body.get("journal")
            if entry:
                entries += 1
                debit += sum(line["debit_fen"] for line in entry["lines"])
                credit += sum(line["credit_fen"] for line in entry["lines"])
    found = f"{entries} entries, debits {debit} = credits {credit}"
    return expect("journal", "debits = credits", found, entries > 0 and debit == credit)


def _switched(facts: Facts, role: str, action: str, outcome: str) -> list[dict[str, Any]]:
    return facts.of("control.switching_noted", role, action=action, outcome=outcome)


def cut_off(facts: Facts) -> Expectation:
    """Cut off with every step, back after paying, each read back."""
    opened = _switched(facts, "cut_off", "open", "confirmed")
    closed = _switched(facts, "cut_off", "permit_close", "confirmed")
    approvals = {body["person"] for body in facts.of("control.approval_given", "cut_off")}
    case = facts.of("control.case_opened", "cut_off")
    people = approvals | {body["requested_by"] for body in case}
    served = facts.of("control.notice_served", "cut_off")
    cleared = facts.of("control.clearance_noted", "cut_off", answer="granted")
    found = (
        f"opened {len(opened)}, closed {len(closed)}, {len(people)} people, {len(served)} notices, "
        f"{len(cleared)} clearance"
    )
    holds = (len(opened), len(closed), len(people), len(served)) == (1, 1, 3, 2) and bool(cleared)
    return expect("cut off and back", "1 open, 1 close, 3 people, 2 notices", found, holds)


def race(facts: Facts) -> Expectation:
    """Paid between approval and command: the relay never opens."""
    commands = facts.of("control.command_issued", "race", action="open")
    closed = facts.of("control.case_closed", "race")
    outcome = closed[-1]["outcome"] if closed else "-"
    found = f"{len(commands)} open commands, case {outcome}"
    return expect("paid in time", "no command, cancelled_paid", found,
                   not commands and outcome == "cancelled_paid")  # fmt: skip


def stuck_relay(facts: Facts) -> Expectation:
    """A meter that acknowledges and does not move ends as not confirmed, with a ticket."""
    noted = _switched(facts, "stuck_relay", "open", "not_confirmed")
    sent = facts.of("ingest.attempt_started", "stuck_relay")
    tickets = facts.of("control.field_ticket_opened", "stuck_relay")
    found = f"{len(sent)} attempt, not confirmed {len(noted)}, {len(tickets)} ticket"
    holds = len(sent) == 1 and len(noted) == 1 and bool(tickets)
    return expect("stuck relay", "1 attempt, not confirmed", found, holds)


def works(facts: Facts) -> Expectation:
    """Isolated for works: the payment does not reclose it, the end of the works does."""
    paid = facts.of("payments.payment_captured", "works")
    closes = facts.of("control.command_issued", "works", action="permit_close")
    released = facts.of("control.hold_released", "works", reason="works")
    at = closes[0]["issued_at"] if closes else "-"
    since = released[0]["released_at"] if released else "-"
    found = f"paid {bool(paid)}, works ended {since[:10]}, closed {at[:10]}"
    holds = bool(paid) and len(closes) == 1 and bool(released) and at >= since
    return expect("isolated for works", "closed only after the works", found, holds)


def relay_chain(facts: Facts) -> Expectation:
    """No relay ever opened without its whole chain."""
    broken = []
    started = facts.memory.of("ingest.attempt_started", action="open")
    for attempt in started:
        command = facts.memory.of("control.command_issued", command_id=attempt["command_id"])
        case_id = command[0]["case_id"] if command else ""
        people = {
            body["person"] for body in facts.memory.of("control.approval_given", case_id=case_id)
        } | {
            body["requested_by"] for body in facts.memory.of("control.case_opened", case_id=case_id)
        }
        served = facts.memory.of("control.notice_served", case_id=case_id)
        if facts.memory.of("control.case_opened", case_id=case_id, kind="prepaid_balance"):
            served = facts.of("control.warning_served", prepaid.ROLE)
        granted = facts.memory.of("control.clearance_noted", case_id=case_id, answer="granted")
        judged = facts.memory.of("control.interlocks_judged", case_id=case_id, allowed=True)
        ended = facts.memory.of("ingest.attempt_ended", command_id=attempt["command_id"])
        whole = len(people) >= 3 and len(served) >= 2 and granted and judged and ended
        if not whole:
            broken.append(attempt["command_id"])
    found = f"{len(started)} relays told to open, chain broken: {len(broken)}"
    holds = bool(started) and not broken
    return expect("relay chain", "verdict, 3 people, notices, clearance, read-back", found, holds)


def kills(facts: Facts) -> Expectation:
    """Services that were killed on the way came back."""
    found = ", ".join(facts.plan.killed) or "none"
    wanted = 3 if facts.plan.kills else 0
    holds = len(facts.plan.killed) >= wanted
    return expect("SIGKILLs", f"at least {wanted}, nothing lost", found, holds)


def invoices(facts: Facts) -> Expectation:
    """Every account that can be billed got one invoice a month."""
    count = Counter(
        (body["account_no"], body["month"]) for body in facts.memory.of("billing.invoice_issued")
    )
    wanted = [(account.account_no, month) for account in facts.city.accounts for month in MONTHS]
    missing = [where for where in wanted if count.get(where) != 1]
    found = f"{sum(count.values())} invoices, {len(missing)} missing or doubled"
    if missing:
        found += f" (first {missing[0][0]} {missing[0][1]})"
    return expect("invoices", f"{len(wanted)}, one a month each", found, not missing)


CHECKS: tuple[Check, ...] = (
    invoices,
    meters.registers_add_up,
    meters.silent_meter,
    meters.bad_frames,
    meters.spike,
    meters.rollover,
    meters.exchange,
    late_book,
    held_bill,
    late_actual,
    meters.edited_day,
    repeated_payment,
    forged_payment,
    altered_payment,
    late_payment,
    orderless,
    journal,
    cut_off,
    race,
    stuck_relay,
    works,
    relay_chain,
    laboratory.bench,
    meters.slot_table,
    meters.slot_table_blind,
    laboratory.late_bench,
    laboratory.broken_seal,
    meters.line_loss,
    kills,
    meters.concentrator,
    meters.recovered_profile,
    *voltages.CHECKS,
    *late_fees.CHECKS,
    *mass_cut.CHECKS,
    *lost_callback.CHECKS,
    *settlement.CHECKS,
    *transfers.CHECKS,
    *suspended.CHECKS,
    *relations.CHECKS,
    *feed_in.CHECKS,
    *superseded.CHECKS,
    *wrong_class.CHECKS,
    *surroundings.CHECKS,
    *prepaid.CHECKS,
)
"""In the order of the report; a story with a module of its own gives its `CHECKS` here."""


def expectations(facts: Facts) -> list[Expectation]:
    """All planted cases, checked."""
    return [check(facts) for check in CHECKS]
