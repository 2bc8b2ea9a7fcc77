"""Laws over random histories: balanced books, nothing lost, arrival order that must not matter."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.payments.events import (
    AccountOverdue,
    BalanceChanged,
    CreditTaken,
    NoticeConflicted,
    PaymentCaptured,
    PaymentReversed,
    PrepaymentOpened,
)
from services.payments.journal import sub_balances, trial_balance
from tests.unit.payments_core.world import A, B, C, World, order_of, received

ACCOUNTS = (A, B, C)
TXNS = ("T1", "T2", "T3", "T4")
AMOUNTS = {"T1": 10000, "T2": 2500, "T3": 1, "T4": 7000}
DUE = ("2026-01-20", "2026-03-01", "2026-03-20", "2026-04-20")

accounts = st.sampled_from(ACCOUNTS)
inputs = st.one_of(
    st.tuples(st.just("notice"), st.sampled_from(TXNS), accounts, st.sampled_from((0, 0, 0, 1))),
    st.tuples(st.just("row"), st.sampled_from(TXNS), accounts, st.sampled_from((0, 0, 0, 1))),
    st.tuples(st.just("bind"), st.sampled_from(TXNS), accounts, accounts),
    st.tuples(st.just("invoice"), accounts, st.integers(-4000, 9000), st.sampled_from(DUE)),
    st.tuples(st.just("correction"), accounts, st.integers(-4000, 4000), st.sampled_from(DUE)),
    st.tuples(st.just("opening"), accounts, st.integers(0, 3000), st.sampled_from(DUE)),
    st.tuples(st.just("ask"), accounts, st.integers(0, 2), st.sampled_from((0, 500))),
    st.tuples(st.just("tick"), st.integers(3, 28), st.integers(3, 5), st.just(0)),
)
histories = st.lists(inputs, max_size=25)


def send(world: World, number: int, each: tuple[object, ...]) -> None:
    """Queue one drawn input."""
    match each:
        case "notice", str(txn), str(account_no), int(more):
            order = order_of(account_no)
            world.take(received(txn, AMOUNTS[txn] + more, order, evidence_id=f"ev-{number}"))
        case "row", str(txn), str(), int(more):
            world.take(received(txn, AMOUNTS[txn] + more, evidence_id=f"ev-{number}"))
        case "bind", str(txn), str(first), str(second):
            half = AMOUNTS[txn] // 2
            parts = {first: half, second: AMOUNTS[txn] - half}
            if first == second:
                parts = {first: AMOUNTS[txn]}
            world.bind(f"wechat:{txn}", parts, f"r{number}")
        case "invoice", str(account_no), int(total_fen), str(due_on):
            world.invoice(account_no, f"I{number}", total_fen, due_on)
        case "correction", str(account_no), int(difference_fen), str(due_on):
            world.correction(account_no, f"K{number}", difference_fen, due_on)
        case "opening", str(account_no), int(prepayment_fen), str(due_on):
            world.opening(account_no, [(f"O{account_no}", 800, due_on)], prepayment_fen)
        case "ask", str(account_no), int(invoice), int(threshold):
            world.ask(account_no, f"I{invoice}", name=f"c{number}", threshold=threshold)
        case "tick", int(day), int(month), _:
            world.tick(f"2026-{month:02d}-{day:02d}T02:00:00Z")
        case _:
            raise AssertionError(each)


def play(history: list[tuple[object, ...]], seed: int | None) -> World:
    """Each input is decided before the next (None), or all race (a seed)."""
    world = World()
    for number, each in enumerate(history):
        send(world, number, each)
        if seed is None:
            world.run()
    world.run(random.Random(seed) if seed is not None else None)
    return world


def in_effect(world: World) -> dict[str, dict[str, int]]:
    """By payment, what each account has of it: captured less reversed."""
    found: dict[str, dict[str, int]] = {}
    for captured in world.told(PaymentCaptured):
        shares = found.setdefault(captured.payment_id, {})
        shares[captured.account_no] = shares.get(captured.account_no, 0) + captured.amount_fen
    for reversed_ in world.told(PaymentReversed):
        found[reversed_.payment_id][reversed_.account_no] -= reversed_.amount_fen
    return {
        payment_id: {account_no: amount for account_no, amount in shares.items() if amount}
        for payment_id, shares in found.items()
    }


@settings(max_examples=150, deadline=None)
@given(histories, st.one_of(st.none(), st.integers(0, 99)))
def test_books_balance_and_equal_the_state(
    history: list[tuple[object, ...]], seed: int | None
) -> None:
    world = play(history, seed)
    world.check()
    rows = trial_balance(world.entries())
    assert sum(row.debit_fen for row in rows) == sum(row.credit_fen for row in rows)
    # Nothing stays on its way: what left a suspense arrived, or came back.
    assert sub_balances(world.entries(), "transit") == {}
    for _, body in world.events:
        if isinstance(body, PaymentCaptured | CreditTaken | PrepaymentOpened):
            settled_fen = sum(part.amount_fen for part in body.allocations)
            assert settled_fen + body.prepayment_fen == body.amount_fen
    for back in world.told(PaymentReversed):
        assert back.prepayment_fen + sum(debt.open_fen for debt in back.debts) == back.amount_fen


@settings(max_examples=150, deadline=None)
@given(histories, st.one_of(st.none(), st.integers(0, 99)))
def test_no_transaction_counts_twice(history: list[tuple[object, ...]], seed: int | None) -> None:
    """What the channels owe us is what they took, once for each transaction."""
    world = play(history, seed)
    effect = in_effect(world)
    suspense = sub_balances(world.entries(), "suspense")
    seen = {f"wechat:{each[1]}" for each in history if each[0] in ("notice", "row")}
    for payment_id in seen:
        txn = payment_id.removeprefix("wechat:")
        total_fen = sum(effect.get(payment_id, {}).values()) + suspense.get(payment_id, 0)
        assert total_fen in (AMOUNTS[txn], AMOUNTS[txn] + 1), (payment_id, effect, suspense)
    in_all = sum(sum(shares.values()) for shares in effect.values()) + sum(suspense.values())
    clearing = sub_balances(world.entries(), "channel_clearing")
    assert sum(clearing.values()) == in_all


@settings(max_examples=100, deadline=None)
@given(histories)
def test_the_last_word_on_an_account_is_how_it_stands(history: list[tuple[object, ...]]) -> None:
    world = play(history, None)
    last = {each.account_no: each for each in world.told(BalanceChanged)}
    for account_no, balance in last.items():
        account = world.account(account_no)
        assert balance.debts == account.debts
        assert balance.prepayment_fen == account.prepayment_fen
        assert balance.receivable_fen == account.receivable_fen
    for overdue in world.told(AccountOverdue):
        assert overdue.overdue_fen == sum(
            debt.open_fen for debt in overdue.debts if debt.due_on < overdue.as_of[:10]
        )


BOUND_TO = st.lists(accounts, min_size=1, max_size=3, unique=True)


@settings(max_examples=150, deadline=None)
@given(
    BOUND_TO,
    st.permutations(("callback", "copy", "row", "row", "binding")),
    st.one_of(st.none(), st.integers(0, 99)),
)
def test_arrival_order_gives_one_ledger(to: list[str], order: list[str], seed: int | None) -> None:
    """Callback, copy, row and binding of one transaction, to any accounts, in any order."""

    def ledger(sequence: list[str], race: int | None) -> object:
        world = World(partitions=3)
        for number, account_no in enumerate(ACCOUNTS):
            world.invoice(account_no, f"I{account_no}", 1500 + number, DUE[number])
        world.run()
        for number, each in enumerate(sequence):
            if each == "binding":
                rest = 9000 - 3000 * (len(to) - 1)
                shares = dict.fromkeys(to, 3000) | {to[0]: rest}
                world.bind("wechat:T1", shares, f"r{number}")
            else:
                order_no = "" if each == "row" else order_of(A)
                world.take(received("T1", 9000, order_no, evidence_id=f"ev-{number}"))
            if race is None:
                world.run()
        world.run(random.Random(race) if race is not None else None)
        world.check()
        assert in_effect(world) == {"wechat:T1": {A: 9000}}
        assert world.told(NoticeConflicted) == []
        books = {no: (a.debts, a.prepayment_fen) for no, a in world.accounts().items()}
        return world.ledger(), books

    assert ledger(order, seed) == ledger(["callback", "copy", "row", "row", "binding"], None)


MONEY = st.lists(
    st.one_of(
        st.tuples(st.just("notice"), st.sampled_from(TXNS), st.just(A), st.just(0)),
        st.tuples(st.just("invoice"), st.just(A), st.integers(-4000, 9000), st.sampled_from(DUE)),
        st.tuples(
            st.just("correction"), st.just(A), st.integers(-4000, 4000), st.sampled_from(DUE)
        ),
    ),
    max_size=10,
)


@settings(max_examples=100, deadline=None)
@given(MONEY, st.integers(0, 99))
def test_the_net_position_does_not_depend_on_arrival(
    history: list[tuple[object, ...]], seed: int
) -> None:
    """Between topics nothing is ordered: what an account owes in all is the same."""
    one, other = play(history, None), play(history, seed)
    for world in (one, other):
        world.check()
    net = [
        world.account(A).receivable_fen - world.account(A).prepayment_fen for world in (one, other)
    ]
    assert net[0] == net[1]
