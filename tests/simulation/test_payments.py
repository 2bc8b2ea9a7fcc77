"""Payments under seeded faults: crashes, zombies, unknown commits, lost checkpoints, poison.

Few accounts and few transactions, so that copies, rows without an order, bindings and claims of two
accounts meet often; clearances are asked while money comes. Whatever happens, the laws of the
runtime hold, the books balance and equal the folds, and no transaction counts twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from libs.events.audit import scan
from libs.events.codec import Codec, encode, envelope_of
from libs.events.comparison import difference
from libs.events.core import Tick
from libs.events.record import (
    Envelope,
    Headers,
    Outgoing,
    Record,
    envelope_headers,
    partition_of,
)
from libs.events.registry import Catalogue
from libs.events.replay import replay
from libs.events.testing.driver import Simulation
from libs.events.testing.laws import check, rebuild
from libs.events.testing.simlog import SimReader
from services.cli.journal import exported, in_order
from services.payments import events as payments
from services.payments import payable_events as payables
from services.payments.core import WRITTEN, make_core
from services.payments.effect.core import make_core as make_effect
from services.payments.journal import JournalEntry, sub_balances, trial_balance
from services.payments.ledger_chain import ExportedEntry, chained
from services.payments.order_number import account_of
from services.payments.reactions import (
    AccountOpened,
    ClearanceAsked,
    CorrectionIssued,
    FeedInCorrected,
    FeedInStated,
    InvoiceIssued,
    LateFeeCharged,
    Opening,
    OpeningReceivable,
)
from services.payments.transactions import page_of
from services.wiring import on_table
from tests.simulation import money_back, prepaid
from tests.simulation.channels import Channels, open_order, told_by_channels
from tests.unit.payments_core.world import A, B, C, order_of, received

SEEDS = 200
INPUTS = 70
PARTITIONS, ACCOUNTS = 2, (A, B, C)
AMOUNTS = {"T1": 10000, "T2": 2500, "T3": 40, "T4": 7000, "T5": 3000}
OLD = "T0"  # older than the horizon
DUE = ("2026-01-20", "2026-03-01", "2026-03-03")
FOREIGN = {
    "billing.invoice_issued": InvoiceIssued,
    "billing.correction_issued": CorrectionIssued,
    "billing.feed_in_stated": FeedInStated,
    "billing.feed_in_corrected": FeedInCorrected,
    "billing.late_fee_charged": LateFeeCharged,
    "customers.account_opened": AccountOpened,
    "control.clearance_asked": ClearanceAsked,
    **prepaid.FOREIGN,
}
outside = Catalogue("outside")
for _name, _body in FOREIGN.items():
    outside.event(_name)(_body)


MONEY = (payments.PaymentCaptured, payments.CreditTaken, payables.PayableSettled)
TYPES_SEEN: set[str] = set()
SEEDS_SEEN: set[int] = set()


class Town:
    """Everybody outside: gateways, people, billing, customers, control, the clock."""

    def __init__(self, seed: int) -> None:
        self.core = on_table(make_core("test"), PARTITIONS)
        self.effect = on_table(make_effect("test"), PARTITIONS)
        self.channels = Channels(self)
        self.amounts = AMOUNTS
        # In every third town channels can be asked: one process more costs half as much again.
        self.cores = (self.core, self.effect) if seed % 3 == 0 else (self.core,)
        self.sim = Simulation(
            seed,
            self.cores,
            partitions=PARTITIONS,
            topics=(*WRITTEN[2:], "payments.results"),
            loop_type=self.channels.loop,
        )
        self.random = self.sim.random
        self.number = 0
        self.minute = 0
        self.told: set[str] = set()
        self.paid: list[tuple[str, str]] = []
        self.refunds: list[tuple[str, str, str]] = []

    def act(self) -> None:
        """One random input."""
        self.number += 1
        acts = (
            *(self.notice,) * 6,
            *(self.row,) * 4,
            *(lambda: money_back.taken_back(self, tuple(AMOUNTS)),) * 3,
            *(lambda: money_back.refund(self, tuple(AMOUNTS)),) * 10,
            *(lambda: money_back.rebind(self, AMOUNTS),) * 2,
            lambda: money_back.send_back(self, AMOUNTS),
            *(self.bind,) * 4,
            *(lambda: open_order(self, ACCOUNTS),) * 4,
            *(self.invoice,) * 3,
            self.correct,
            *(self.feed_in,) * 2,
            self.pay_out,
            self.charge_late_fee,
            self.open_account,
            *(self.ask,) * 2,
            *(self.tick,) * 3,
            self.poison,
            self.publish,
            *(lambda: prepaid.pay_ahead(self, outside, ACCOUNTS),) * 6,
        )
        self.random.choice(acts)()

    def write(self, catalogue: Any, topic: str, key: str, body: object) -> None:
        self.sim.feed(catalogue, topic, key, body, self.number)

    def write_notice(self, key: str, body: object) -> None:
        self.write(payments.edge_catalogue, "payments.notices", key, body)

    def notice(self) -> None:
        txn = self.random.choice((*AMOUNTS, OLD, ""))
        kind = self.random.choice(("captured",) * 9 + ("refund", "closed"))
        verdict = self.random.choice(("accepted",) * 9 + ("refused",))
        # Mostly the transaction's own account; now and then another one claims it.
        own = ACCOUNTS[len(txn) + ord(txn[-1]) & 1] if txn else A
        account_no = self.random.choice((own,) * 9 + ACCOUNTS)
        if txn in AMOUNTS:
            self.paid.append((txn, account_no))
        self._send(txn, order_of(account_no), kind, verdict)

    def row(self) -> None:
        self._send(self.random.choice((*AMOUNTS, OLD)), "", "captured", "accepted")

    def _send(self, txn: str, order: str, kind: str, verdict: str) -> None:
        more = self.random.choice((0,) * 12 + (1,))
        body = received(
            txn,
            AMOUNTS.get(txn, 900) + more,
            order,
            evidence_id=f"ev-{self.number}",
            kind=kind,
            verdict=verdict,
            cause="" if verdict == "accepted" else "signature_invalid",
            occurred_at="2024-01-01T00:00:00Z" if txn == OLD else "2026-03-01T02:00:00Z",
        )
        if verdict == "accepted" and kind == "captured" and txn in AMOUNTS:
            self.told.add(f"wechat:{txn}")
        self.write(payments.edge_catalogue, "payments.notices", body.key, body)

    def bind(self) -> None:
        txn = self.random.choice(tuple(AMOUNTS))
        to = self.random.sample(ACCOUNTS, self.random.choice((1, 1, 2)))
        amounts = [AMOUNTS[txn] - 10 * (len(to) - 1), *(10 for _ in to[1:])]
        request = payments.BindingRequested(
            request_id=f"r{self.number // 2}",
            suspense_key=f"wechat:{txn}",
            parts=tuple(
                payments.BindingPart(account_no=account_no, amount_fen=amount_fen)
                for account_no, amount_fen in zip(to, amounts, strict=True)
            ),
            requested_by="wang",
            reason="called",
        )
        self.write(payments.edge_catalogue, "payments.notices", request.suspense_key, request)

    def invoice(self) -> None:
        account_no = self.random.choice(ACCOUNTS)
        body = InvoiceIssued(
            invoice_no=f"I{self.random.randrange(12)}-{account_no}",
            account_no=account_no,
            total_fen=self.random.choice((0, -700, 500, 1500, 4000)),
            due_on=self.random.choice(DUE),
        )
        self.write(outside, "billing.events", account_no, body)

    def correct(self) -> None:
        account_no = self.random.choice(ACCOUNTS)
        body = CorrectionIssued(
            correction_no=f"K{self.number}",
            account_no=account_no,
            difference_fen=self.random.choice((-900, 900)),
            due_on=self.random.choice(DUE),
        )
        self.write(outside, "billing.events", account_no, body)

    def feed_in(self) -> None:
        account_no = self.random.choice(ACCOUNTS)
        name = self.random.randrange(6)
        netting = ("none", "offset")[name % 2]
        body: Any = FeedInStated(
            statement_no=f"F{name}-{account_no}",
            account_no=account_no,
            amount_fen=300 + 100 * name,
            netting=netting,
            due_on=DUE[2],
        )
        if self.random.random() < 0.4:
            body = FeedInCorrected(
                correction_no=f"FK{name}-{account_no}",
                account_no=account_no,
                difference_fen=(-350, -20, 0, 20)[name % 4],
                netting=netting,
                due_on=DUE[2],
            )
        self.write(outside, "billing.events", account_no, body)

    def pay_out(self) -> None:
        account_no = self.random.choice(ACCOUNTS)
        name = self.random.randrange(6)
        body = payables.PayoutRecorded(
            request_id=f"p{self.number // 3}",
            account_no=account_no,
            statement_no=f"F{name}-{account_no}",
            kind=self.random.choice(("transfer", "offset")),
            amount_fen=self.random.choice((100, 300 + 100 * name)),
            recorded_by="wang",
            reason="",
            bank="icbc",
            bank_ref=f"B{self.number}",
            paid_on="2026-03-01",
            evidence="slip",
        )
        self.write(payments.edge_catalogue, "payments.notices", account_no, body)

    def charge_late_fee(self) -> None:
        """A fee, or one that is given back with its payment; either may come twice."""
        account_no = self.random.choice(ACCOUNTS)
        number = self.random.randrange(8)
        body = LateFeeCharged(
            fee_no=f"L{number}-{account_no}",
            account_no=account_no,
            amount_fen=(-120, 0, 100, 250)[number % 4],
            due_on=self.random.choice(DUE),
        )
        self.write(outside, "billing.events", account_no, body)

    def open_account(self) -> None:
        account_no = self.random.choice(ACCOUNTS)
        debt = OpeningReceivable(invoice_no=f"O-{account_no}", amount_fen=800, due_on=DUE[0])
        opening = Opening(
            opening_id=f"open-{account_no}",
            account_no=account_no,
            receivables=(debt,),
            prepayment_fen=300,
        )
        body = AccountOpened(opening=opening)
        self.write(outside, "customers.agreements", account_no, body)

    def publish(self) -> None:
        """A type that means nothing to payments."""
        self.write(outside, "billing.events", A, prepaid.UsageNoted(usage_point="P1"))

    def ask(self) -> None:
        account_no = self.random.choice(ACCOUNTS)
        numbers = self.random.sample(range(12), 4)
        body = ClearanceAsked(
            clearance_id=f"c{self.number // 3}-{account_no}",
            account_no=account_no,
            invoice_nos=tuple(f"I{number}-{account_no}" for number in numbers),
            threshold_fen=self.random.choice((0, 0, 500)),
            kind=self.random.choice(("arrears", "arrears", "prepaid_balance")),
        )
        self.write(outside, "control.clearances", account_no, body)

    def tick(self) -> None:
        self.minute += self.random.choice((1, 3, 600))
        day, minute = divmod(self.minute, 1440)
        at = f"2026-03-{2 + day:02d}T{minute // 60:02d}:{minute % 60:02d}:00Z"
        for partition in range(PARTITIONS):
            envelope = Envelope(f"tick/{self.number}", "clock.ticked.v1", "clock", at, "")
            self.sim.append(
                "calendar", partition, None, encode(Tick(at=at)), envelope_headers(envelope)
            )

    def poison(self) -> None:
        """Bytes that are no event: without an envelope, or with one that promises another body."""
        partition = self.random.randrange(PARTITIONS)
        self.sim.append("billing.events", partition, A.encode(), b"\xff no json", ())
        name = "payments.notice_received.v1"
        envelope = Envelope(f"bad/{self.number}", name, "payments.edge", "", A)
        headers = envelope_headers(envelope)
        self.sim.append("payments.notices", partition, A.encode(), b'{"verdict": 1}', headers)


def run_history(seed: int) -> Town:
    town = Town(seed)
    town.tick()
    for _ in range(INPUTS):
        if not town.sim.broker.down:
            town.act()
        town.sim.run(town.random.randrange(1, 5))
    town.sim.finish()
    return town


def written(town: Town) -> list[tuple[str, Any]]:
    """Topic and body of everything that payments wrote, steps left out, partition by partition."""
    reader, codec = SimReader(town.sim.broker), Codec(town.core.catalogue)
    found = []
    for topic in ("payments.events", *WRITTEN):
        for partition in range(PARTITIONS):
            for record in scan(reader, topic, partition):
                envelope = envelope_of(record.headers)
                if envelope.source == "payments" and envelope.cause:
                    body = codec.decode(envelope.type, record.value)
                    found.append((topic, body))
                    TYPES_SEEN.add(envelope.type.rpartition(".v")[0])
    return found


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_history_keeps_the_laws(seed: int) -> None:
    town = run_history(seed)
    check(town.sim, dict.fromkeys((core.name for core in town.cores), ()) | {"payments": WRITTEN})
    told = written(town)
    own = [body for topic, body in told if topic == "payments.events"]
    SEEDS_SEEN.add(seed)
    books_balance(town, own)
    what_is_fed_in_counts_once(own)
    no_transaction_counts_twice(town, own)
    money_back.bookings_are_what_the_clearing_has(own, [body for _, body in told])
    no_grant_outlives_its_debt(own)
    each_debt_is_told_once(own)
    prepaid.what_is_left_adds_up(own)
    what_goes_back_is_where_its_payment_is(town)


@pytest.mark.parametrize("seed", [3, 4])
def test_deciding_the_whole_log_again_gives_the_same_journal(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Number, day, text and legs of every entry, chained: one hash stands for the journal."""
    town = run_history(seed)
    reader, made = SimReader(town.sim.broker), list[Outgoing]()

    def noting(decided: Outgoing, key: bytes | None, value: bytes, headers: Headers) -> str:
        made.append(decided)
        return difference(decided, key, value, headers)

    monkeypatch.setattr("libs.events.replay.difference", noting)
    assert replay(reader, town.core, lambda topic: PARTITIONS, WRITTEN).is_identical
    recorded = [
        record
        for partition in range(PARTITIONS)
        for record in scan(reader, "payments.events", partition)
    ]
    decided = [each for each in made if each.topic == "payments.events"]
    journal = chained_journal(town, recorded)
    assert len(journal) > 10
    assert chained_journal(town, decided)[-1].hash == journal[-1].hash


def chained_journal(
    town: Town, records: Sequence[Record] | Sequence[Outgoing]
) -> list[ExportedEntry]:
    """The journal of own events as `gridledger journal export` writes it."""
    codec, found = Codec(town.core.catalogue), []
    for record in records:
        envelope = envelope_of(record.headers)
        body = codec.decode(envelope.type, record.value) if codec.knows(envelope.type) else None
        entry = getattr(body, "journal", None)
        if isinstance(entry, JournalEntry):
            found.append(exported(envelope, entry))
    return list(chained(in_order(found)))


def what_goes_back_is_where_its_payment_is(town: Town) -> None:
    """Money without an order and what takes it back have one key in the core (docs/adr/0014)."""
    reader, codec = SimReader(town.sim.broker), Codec(town.core.catalogue)
    for partition in range(PARTITIONS):
        for record in scan(reader, "payments.events", partition):
            body = codec.decode(envelope_of(record.headers).type, record.value)
            key = record.key.decode() if record.key else ""
            if isinstance(body, payments.PaymentSuspended):
                assert key == page_of(body.payment_id)
            elif isinstance(body, payments.NoticeNoted) and body.original_txn_id:
                original = f"{body.channel}:{body.original_txn_id}"
                assert key == (account_of(body.out_trade_no) or page_of(original))
                TYPES_SEEN.add("money goes back")


def books_balance(town: Town, own: list[Any]) -> None:
    entries = [body.journal for body in own if hasattr(body, "journal")]
    rows = trial_balance(entries)
    assert sum(row.debit_fen for row in rows) == sum(row.credit_fen for row in rows)
    assert sub_balances(entries, "transit") == {}
    receivable = sub_balances(entries, "receivable")
    prepayment = sub_balances(entries, "prepayment")
    payable = sub_balances(entries, "payable_feed_in")
    for account_no in ACCOUNTS:
        fold = rebuild(town.sim, town.core, partition_of(account_no, PARTITIONS), None)
        entry = fold.get(account_no)
        if entry is not None:
            assert entry.account.receivable_fen == receivable.get(account_no, 0)
            assert entry.account.prepayment_fen == prepayment.get(account_no, 0)
            assert entry.account.payable_fen == payable.get(account_no, 0)
            assert not (entry.account.debts and entry.account.prepayment_fen)


def what_is_fed_in_counts_once(own: list[Any]) -> None:
    """A statement and a correction are booked once, a payout settles once."""
    booked = [body.statement_no for body in own if isinstance(body, payables.PayableOpened)]
    booked += [body.correction_no for body in own if isinstance(body, payables.PayableLowered)]
    assert len(booked) == len(set(booked))
    answers = payables.PayableSettled | payables.PayoutRejected
    told = [(body.account_no, body.request_id) for body in own if isinstance(body, answers)]
    assert len(told) == len(set(told))


def no_transaction_counts_twice(town: Town, own: list[Any]) -> None:
    told_by_all = town.told | told_by_channels(town)
    told = {name: AMOUNTS[name.removeprefix("wechat:")] for name in told_by_all}
    money_back.no_more_goes_back_than_came(told, own)
    money_back.nothing_stays_on_its_way(own)


def no_grant_outlives_its_debt(own: list[Any]) -> None:
    """A grant stands with a debt behind it, or was withdrawn before the very next balance."""
    asked = {body.clearance_id: body for body in own if isinstance(body, payments.ClearanceOpened)}
    for index, body in enumerate(own):
        if not isinstance(body, payments.ClearanceGranted):
            continue
        question = asked[body.clearance_id]
        if question.kind != "arrears":
            continue
        assert body.open_fen > question.threshold_fen
        for number, later in enumerate(own[index + 1 :], index + 1):
            at = getattr(later, "captured_at", getattr(later, "taken_at", ""))
            at = at or getattr(later, "settled_at", "")
            if at > body.valid_until_at and later.account_no == body.account_no:
                break
            if getattr(later, "clearance_id", "") == body.clearance_id:
                break  # withdrawn, by an opening prepayment perhaps
            if (
                isinstance(later, payments.BalanceChanged)
                and later.account_no == body.account_no
                and sum(d.open_fen for d in later.debts if d.invoice_no in question.invoice_nos)
                <= question.threshold_fen
                and (moved := money_before(own, number))
            ):
                ids = [
                    each.clearance_id
                    for each in own[moved:number]
                    if isinstance(each, payments.ClearanceWithdrawn)
                ]
                assert body.clearance_id in ids, (body, later)
                break


def money_before(own: list[Any], number: int) -> int:
    """Where the money came that a balance tells of, withdrawals between them; 0 for no money."""
    number -= 1
    while number > 0 and isinstance(own[number], payments.ClearanceWithdrawn):
        number -= 1
    return number if isinstance(own[number], MONEY) else 0


def each_debt_is_told_once(own: list[Any]) -> None:
    """Unless it was settled and opened again in between."""
    told: set[str] = set()
    for body in own:
        if isinstance(body, payments.BalanceChanged):
            open_nos = {debt.invoice_no for debt in body.debts}
            told -= {n for n in told if n.endswith(body.account_no) and n not in open_nos}
        elif isinstance(body, payments.AccountOverdue):
            assert not told & set(body.invoice_nos)
            told |= {n for n in body.invoice_nos if n.endswith(body.account_no)}


def test_every_event_type_occurred() -> None:
    if len(SEEDS_SEEN) < SEEDS:
        pytest.skip("needs all seeds of this module")
    wanted = {
        name
        for name, kind in make_core().catalogue.by_name.items()
        if not kind.foreign and not name.endswith("step_taken")
    }
    assert {*wanted, "money goes back"} - TYPES_SEEN == set()
