"""What was planted, what was expected of it, and what the topics say happened.

Every expectation is a named function over the bodies of all topics; nothing is taken from the
simulators' own memory but the plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulators.city import edits, lab, voltages
from simulators.city.behind import SILENT_ON
from simulators.city.memory import Memory
from simulators.city.plan import COPIES, Plan
from simulators.city.population import GATED_AREA, MONTHS, City
from simulators.city.report_basis import (
    ROUNDING_WH,
    billed_wh,
    days_of,
    holder,
    profile_wh,
    sound_points,
    used_by,
)


@dataclass(frozen=True, slots=True)
class Expectation:
    """One planted case: what was expected, what was found, and whether they agree."""

    name: str
    expected: str
    found: str
    holds: bool


Check = Callable[["Facts"], Expectation]


@dataclass(slots=True)
class Facts:
    """What checks look at."""

    city: City
    memory: Memory
    plan: Plan

    def of(self, name: str, role: str = "", **wanted: Any) -> list[dict[str, Any]]:
        """Own events of a type, of the account that plays a role."""
        found = self.memory.of(name, **wanted)
        if not role:
            return found
        point = self.city.point_of(role)
        keys = {point.account_no, point.usage_point, point.meter_no}
        return [body for body in found if body["_key"] in keys]


def _expect(name: str, expected: str, found: object, holds: bool) -> Expectation:
    return Expectation(name, expected, str(found), holds)


def silent_meter(facts: Facts) -> Expectation:
    """Missing days, a field order, a manual reading that closes it, and the estimates redone."""
    missing = facts.of("ingest.reading_missing", "silent")
    ordered = facts.of("ingest.field_reading_ordered", "silent")
    closed = facts.of("ingest.field_reading_closed", "silent")
    superseded = facts.of("validation.estimate_superseded", "silent")
    by = closed[0]["closed_by"] if closed else "nobody"
    found = (
        f"{len(missing)} missing, {len(ordered)} ordered, closed by {by}, "
        f"{len(superseded)} superseded"
    )
    holds = len(missing) >= 5 and len(ordered) >= 1 and by == "zhou" and bool(superseded)
    return _expect("silent meter", "missing, field order, read by hand, re-estimated", found, holds)


def bad_frames(facts: Facts) -> Expectation:
    """Damaged frames are a failed attempt, never a value; the day is read later."""
    failed = facts.of("ingest.reading_failed", "bad_frames", cause="bad_reply")
    day = failed[0]["day_on"] if failed else ""
    later = facts.of("ingest.reading_collected", "bad_frames", day_on=day)
    found = f"{len(failed)} failed, day {day or '-'} collected {len(later)} x"
    return _expect("wrong checksums", "failed, then collected once", found, len(later) == 1)


def spike(facts: Facts) -> Expectation:
    """A register that jumps and comes back is rejected, its day estimated to the register."""
    rejected = facts.of("validation.reading_rejected", "spike")
    rules = {found["rule"] for body in rejected for found in body["findings"]}
    found = f"{len(rejected)} rejected by {', '.join(sorted(rules)) or '-'}"
    return _expect("spike", "rejected by a rule", found, bool(rules & {"spike", "negative"}))


def rollover(facts: Facts) -> Expectation:
    """A register that rolls over counts on."""
    hits = [
        body
        for body in facts.of("validation.reading_accepted", "rollover")
        if any(found["rule"] == "rollover" for found in body["findings"])
    ]
    found = f"{len(hits)} readings with a rollover, accepted"
    return _expect("register rollover", "accepted once", found, len(hits) == 1)


def exchange(facts: Facts) -> Expectation:
    """A meter exchange within a day: final minus previous plus current minus initial."""
    point = facts.city.point_of("exchange")
    usage = [
        body
        for body in facts.of("validation.usage_established", "exchange")
        if body["after_exchange"]
    ]
    energy = [body["energy"]["1-0:1.8.0"] for body in usage]
    whole = _sum_matches(facts, point.usage_point)
    found = f"{len(usage)} day with exchange, {energy} Wh, registers add up: {whole}"
    holds = len(usage) >= 1 and whole and min(energy, default=-1) >= 0
    return _expect("meter exchange", "one day over both meters", found, holds)


def _sum_matches(facts: Facts, usage_point: str) -> bool:
    """Whether the days' latest revisions add up to what the registers moved."""
    latest: dict[str, int] = {}
    changes = 0
    for body in facts.memory.of("validation.usage_established"):
        if body["usage_point"] == usage_point:
            latest[body["day_on"]] = body["energy"].get("1-0:1.8.0", 0)
            changes += body["change"].get("1-0:1.8.0", 0)
    return changes == sum(latest.values())


def registers_add_up(facts: Facts) -> Expectation:
    """Over all points: the sum of changes is the sum of the latest revisions."""
    points = {body["usage_point"] for body in facts.memory.of("validation.usage_established")}
    wrong = sorted(point for point in points if not _sum_matches(facts, point))
    found = f"{len(points)} points, wrong: {', '.join(wrong) or 'none'}"
    return _expect("registers", "days add up to the registers", found, bool(points) and not wrong)


def late_book(facts: Facts) -> Expectation:
    """Usage without a book waits; it is billed when the book comes."""
    waited = facts.of("billing.price_awaited", "late_book")
    billed = facts.of("billing.invoice_issued", "late_book", month=MONTHS[0])
    found = f"{len(waited)} waited, invoice of {MONTHS[0]}: {len(billed)}"
    holds = len(waited) >= 1 and len(billed) == 1
    return _expect("late price book", "awaited, then one invoice", found, holds)


def held_bill(facts: Facts) -> Expectation:
    """A bill on estimates is held until a person releases it."""
    bills = facts.of("billing.bill_calculated", "late_actual", month=MONTHS[0])
    hits = {hit["check"] for body in bills for hit in body["hits"]}
    released = facts.of("billing.bill_released", "late_actual", month=MONTHS[0])
    by = released[0]["released_by"] if released else "nobody"
    found = f"held by {', '.join(sorted(hits)) or '-'}, released by {by}"
    return _expect(
        "held bill", "held: estimated; a person", found, "estimated" in hits and by == "clerk"
    )


def late_actual(facts: Facts) -> Expectation:
    """A late actual after the bill: one numbered correction, no second invoice."""
    rounds = facts.of("billing.correction_issued", "late_actual", cause="late_actual")
    invoices = facts.of("billing.invoice_issued", "late_actual", month=MONTHS[0])
    found = f"{len(rounds)} correction, {len(invoices)} invoice"
    return _expect(
        "late actual", "corrected, not reissued", found, len(rounds) >= 1 and len(invoices) == 1
    )


def edited_day(facts: Facts) -> Expectation:
    """An estimated day edited by a person: an audit entry, and a revision that names the edit; the
    registers that came later leave it or overrule it, and their sums stay whole."""
    taken = facts.of("validation.edit_taken", edits.ROLE)
    named = [
        body
        for body in facts.of("validation.usage_established", edits.ROLE, quality="edited")
        if taken and body["method"] == f"edit {taken[0]['edit_id']}"
    ]
    overruled = facts.of("validation.edit_overruled", edits.ROLE)
    whole = _sum_matches(facts, facts.city.point_of(edits.ROLE).usage_point)
    by = f"{taken[0]['edited_by']}: {taken[0]['reason']}" if taken else "nobody"
    found = f"by {by}; {len(named)} revisions, overruled {len(overruled)} x, adds up: {whole}"
    holds = len(taken) == 1 and taken[0]["reason"] == edits.REASON and bool(named) and whole
    return _expect("edited day", "edited with a reason, registers whole", found, holds)


def not_yet_rated(facts: Facts) -> Expectation:
    """What is not rated yet is withheld and never billed wrongly."""
    roles = ("prepaid", "fixed_ratio")
    withheld = [bool(facts.of("billing.bill_withheld", role)) for role in roles]
    billed = [len(facts.of("billing.invoice_issued", role)) for role in roles]
    found = f"withheld {sum(withheld)} of {len(roles)}, invoices {sum(billed)}"
    return _expect(
        "not yet rated", "withheld, no invoice", found, all(withheld) and not sum(billed)
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
    return _expect("repeated callback", f"one capture of {COPIES} copies", found, holds)


def forged_payment(facts: Facts) -> Expectation:
    """A forged, old, foreign or unknown callback: evidence, no money; the true one counts."""
    causes = Counter(body["cause"] for body in facts.memory.of("payments.notice_refused"))
    missing = FORGED_CAUSES - causes.keys()
    paid = _is_paid(facts, "forged_payment")
    found = f"refused {sum(causes.values())} x for {len(causes)} causes, true one captured: {paid}"
    if missing:
        found += f"; not seen: {', '.join(sorted(missing))}"
    return _expect("forged callbacks", "refused, evidence kept", found, paid and not missing)


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
    return _expect("altered amount", "refused, evidence kept", found, bool(refused) and paid)


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
    return _expect("late payment", "overdue, then settled", found, len(overdue) >= 1 and left == 0)


def orderless(facts: Facts) -> Expectation:
    """Money without an order: suspense, bound once, captured at the account."""
    suspended = facts.memory.of("payments.payment_suspended")
    bound = facts.memory.of("payments.suspense_bound")
    captured = facts.of("payments.payment_captured", "jump", source="transfer")
    found = f"{len(suspended)} suspended, {len(bound)} bound, {len(captured)} captured"
    return _expect("payment without order", "suspense, bound once", found,
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
    return _expect("journal", "debits = credits", found, entries > 0 and debit == credit)


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
    return _expect("cut off and back", "1 open, 1 close, 3 people, 2 notices", found, holds)


def race(facts: Facts) -> Expectation:
    """Paid between approval and command: the relay never opens."""
    commands = facts.of("control.command_issued", "race", action="open")
    closed = facts.of("control.case_closed", "race")
    outcome = closed[-1]["outcome"] if closed else "-"
    found = f"{len(commands)} open commands, case {outcome}"
    return _expect("paid in time", "no command, cancelled_paid", found,
                   not commands and outcome == "cancelled_paid")  # fmt: skip


def stuck_relay(facts: Facts) -> Expectation:
    """A meter that acknowledges and does not move ends as not confirmed, with a ticket."""
    noted = _switched(facts, "stuck_relay", "open", "not_confirmed")
    sent = facts.of("ingest.attempt_started", "stuck_relay")
    tickets = facts.of("control.field_ticket_opened", "stuck_relay")
    found = f"{len(sent)} attempt, not confirmed {len(noted)}, {len(tickets)} ticket"
    holds = len(sent) == 1 and len(noted) == 1 and bool(tickets)
    return _expect("stuck relay", "1 attempt, not confirmed", found, holds)


def works(facts: Facts) -> Expectation:
    """Isolated for works: the payment does not reclose it, the end of the works does."""
    paid = facts.of("payments.payment_captured", "works")
    closes = facts.of("control.command_issued", "works", action="permit_close")
    released = facts.of("control.hold_released", "works", reason="works")
    at = closes[0]["issued_at"] if closes else "-"
    since = released[0]["released_at"] if released else "-"
    found = f"paid {bool(paid)}, works ended {since[:10]}, closed {at[:10]}"
    holds = bool(paid) and len(closes) == 1 and bool(released) and at >= since
    return _expect("isolated for works", "closed only after the works", found, holds)


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
        granted = facts.memory.of("control.clearance_noted", case_id=case_id, answer="granted")
        judged = facts.memory.of("control.interlocks_judged", case_id=case_id, allowed=True)
        ended = facts.memory.of("ingest.attempt_ended", command_id=attempt["command_id"])
        whole = len(people) >= 3 and len(served) >= 2 and granted and judged and ended
        if not whole:
            broken.append(attempt["command_id"])
    found = f"{len(started)} relays told to open, chain broken: {len(broken)}"
    holds = bool(started) and not broken
    return _expect("relay chain", "verdict, 3 people, notices, clearance, read-back", found, holds)


def bench(facts: Facts) -> Expectation:
    """A meter that fails: proposed, approved by a person, corrected."""
    judged = facts.of("metrology.meter_judged", "bench")
    verdicts = {body["judgement"]["verdict"] for body in judged}
    proposed = facts.of("metrology.correction_proposed", "bench")
    rounds = facts.of("billing.correction_issued", "bench", cause="metrology")
    difference = sum(body["difference_fen"] for body in rounds)
    found = (
        f"judged {', '.join(sorted(verdicts)) or '-'}, {len(proposed)} proposed, "
        f"{len(rounds)} correction of {difference} fen"
    )
    holds = "fail" in verdicts and len(proposed) == 1 and len(rounds) == 1 and difference < 0
    return _expect("failed meter", "fail, proposed, approved, refunded", found, holds)


def slot_table(facts: Facts) -> Expectation:
    """A meter that counts by another table: held, released, billed by its load profile."""
    days = days_of(facts, "slot_table")
    billed, counted = billed_wh(facts, "slot_table"), profile_wh(facts, "slot_table", days)
    off = [abs(billed.get(name, 0) - counted.get(name, 0)) for name in {**billed, **counted}]
    by, used = holder(facts, "slot_table"), used_by(days)
    is_moved = any(body["basis"]["measured"] for body in days.values() if body["basis"])
    found = f"{used['load_profile']} days by the profile, released by {by or 'nobody'}"
    holds = used == {"load_profile": 28} and by == "clerk" and is_moved
    holds = holds and max(off, default=ROUNDING_WH * 28) < ROUNDING_WH * 28
    return _expect("slot table", "held; a person; by the profile", found, holds)


def slot_table_blind(facts: Facts) -> Expectation:
    """The same without a profile: held until a person releases what the registers say."""
    by, used = holder(facts, "slot_table_blind"), used_by(days_of(facts, "slot_table_blind"))
    points, blocked = sound_points(facts)
    found = f"{used['']} days held, released by {by or 'nobody'}; others blocked: {len(blocked)}"
    holds = used == {"": 28} and by == "clerk" and points >= 8 and not blocked
    return _expect("slot table, no profile", "held; a person; no other point", found, holds)


def late_bench(facts: Facts) -> Expectation:
    """A bench that is out of date judges nothing and certifies nothing; the proper one does."""
    refused = facts.of("metrology.run_rejected", "bench", rule="bench_standing")
    reasons = [reason for body in refused for reason in body["reasons"]]
    judged = facts.of("metrology.meter_judged", "bench")
    benches = {body["bench_no"] for body in judged}
    issued = facts.of("metrology.certificate_issued", "bench")
    found = (
        f"{'; '.join(reasons) or 'not refused'}; judged by {', '.join(sorted(benches)) or '-'}, "
        f"{len(issued)} certified"
    )
    holds = reasons == [
        f"bench {lab.LATE_BENCH} was due on {lab.LATE_DUE_ON}, measured on 2026-04-08"
    ] and (benches, len(judged), len(issued)) == ({"B1"}, 1, 1)
    return _expect("bench out of date", "refused, then judged by B1", found, holds)


def broken_seal(facts: Facts) -> Expectation:
    """A seal found broken is a case of its meter and account, and is never used again."""
    cases = facts.of("metrology.seal_broken_found", "spike")
    again = facts.memory.of("metrology.seal_rejected", rule="used_again")
    by = cases[0]["broken"]["found_by"] if cases else "nobody"
    account = cases[0]["account_no"] if cases else "-"
    found = f"{len(cases)} case, found by {by}, account {account}; put back: refused {len(again)} x"
    holds = (len(cases), len(again)) == (1, 1) and account == facts.city.cast["spike"]
    return _expect("broken seal", "one case, not used again", found, holds)


def line_loss(facts: Facts) -> Expectation:
    """The area with a gate meter loses what it should, but for the days on which a member bypasses
    its meter: then an alarm names the member."""
    latest = {body["day_on"]: body for body in facts.memory.of("validation.loss_calculated")
              if body["area"] == GATED_AREA}  # fmt: skip
    alarms = {day: body for day, body in latest.items() if body["status"] != "ok"}
    point = facts.city.point_of("bypass").usage_point
    named = [
        day
        for day, body in sorted(alarms.items())
        if body["status"] == "high"
        and (body["causes"][0]["name"], body["causes"][0]["usage_point"]) == ("zero_usage", point)
    ]
    found = f"{len(latest) - len(alarms)} days ok, {len(alarms)} alarms, {len(named)} name {point}"
    expected = {BYPASS_BEGAN, *BYPASSED, BYPASS_ENDED}
    holds = named == list(BYPASSED) and alarms.keys() <= expected
    return _expect("line loss", "alarms name who used nothing", found, holds and len(latest) > 20)


BYPASS_BEGAN, BYPASSED = "2026-02-23", ("2026-02-24", "2026-02-25")
BYPASS_ENDED = "2026-02-26"
"""The day in which the bypass begins, and those on which the meter stood still all day."""


def kills(facts: Facts) -> Expectation:
    """Services that were killed on the way came back."""
    found = ", ".join(facts.plan.killed) or "none"
    wanted = 3 if facts.plan.kills else 0
    holds = len(facts.plan.killed) >= wanted
    return _expect("SIGKILLs", f"at least {wanted}, nothing lost", found, holds)


def invoices(facts: Facts) -> Expectation:
    """Every account that can be billed got one invoice a month."""
    count = Counter(
        (body["account_no"], body["month"]) for body in facts.memory.of("billing.invoice_issued")
    )
    unrated = {facts.city.cast[role] for role in ("prepaid", "fixed_ratio")}
    wanted = [
        (account.account_no, month)
        for account in facts.city.accounts
        if account.account_no not in unrated
        for month in MONTHS
    ]
    missing = [where for where in wanted if count.get(where) != 1]
    found = f"{sum(count.values())} invoices, {len(missing)} missing or doubled"
    if missing:
        found += f" (first {missing[0][0]} {missing[0][1]})"
    return _expect("invoices", f"{len(wanted)}, one a month each", found, not missing)


def concentrator(facts: Facts) -> Expectation:
    """Twenty homes behind a concentrator: days by its freeze, gaps by forwarding."""
    points = {point.usage_point for point in facts.city.points if point.pn}
    collected = [
        body
        for body in facts.memory.of("ingest.reading_collected", kind="daily_freeze")
        if body["usage_point"] in points
    ]
    days = Counter((body["usage_point"], body["day_on"]) for body in collected)
    sources = Counter(body["source"] for body in collected)
    wanted = len(points) * len({day_on for _, day_on in days})
    found = (
        f"{len(points)} points, {len(days)} of {wanted} days: {sources['qgdw376_freeze']} frozen, "
        f"{sources['qgdw376_forwarded']} forwarded"
    )
    gaps = {body["usage_point"] for body in collected if body["source"] == "qgdw376_forwarded"}
    holds = len(points) == 20 and len(days) == wanted and gaps == points
    holds = holds and sources["qgdw376_freeze"] > 9 * sources["qgdw376_forwarded"]
    return _expect("concentrator", "every day; frozen first, gaps forwarded", found, holds)


def recovered_profile(facts: Facts) -> Expectation:
    """The load profile of a day whose meter has fallen silent comes from its concentrator."""
    day_on = SILENT_ON.isoformat()
    profile = facts.of("ingest.reading_collected", "behind", kind="profile", day_on=day_on)
    failed = facts.of("ingest.reading_failed", "behind", cause="no_reply")
    sources = [body["source"] for body in profile]
    days = facts.of("validation.intervals_established", "behind", day_on=day_on)
    whole = [None not in body["energies"] for body in days]
    found = f"{day_on} from {', '.join(sources) or '-'}, whole: {all(whole) and bool(whole)}; "
    found += f"{len(failed)} attempts at the meter failed"
    holds = sources == ["qgdw376_freeze"] and whole == [True] and bool(failed)
    return _expect("recovered profile", "the concentrator's curve", found, holds)


CHECKS: tuple[Check, ...] = (
    invoices,
    registers_add_up,
    silent_meter,
    bad_frames,
    spike,
    rollover,
    exchange,
    late_book,
    held_bill,
    late_actual,
    edited_day,
    not_yet_rated,
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
    bench,
    slot_table,
    slot_table_blind,
    late_bench,
    broken_seal,
    line_loss,
    kills,
    concentrator,
    recovered_profile,
    lambda facts: _expect("over-voltage", *voltages.over_voltage(facts)),
)


def expectations(facts: Facts) -> list[Expectation]:
    """All planted cases, checked."""
    return [check(facts) for check in CHECKS]
