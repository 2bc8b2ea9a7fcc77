"""Payments and control together: money that a gateway was told is safe, and nobody there to see it.

The payments workers are away from before the ack until after the second approval (clearance.py).
Clearance is granted by a fence only, so the payer's relay never opens. The late payer's command is
cancelled, or crossed and undone. The neighbour, who differs in nothing but the money, is cut in
every seed: so each of these histories leads to an open relay when nothing stops it. The mutants
take one answer out each and must be missed.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from libs.events.errors import Refused
from libs.events.testing.laws import check
from services.control import cases
from services.control import decide as control_decisions
from services.control import events as control
from services.control.draft import Draft as ControlDraft
from services.control.instant import plus
from services.control.reactions import AccountOverdue, BalanceChanged
from services.payments import clearance as clearances
from services.payments import events as payments
from services.payments.draft import Draft as PaymentsDraft
from services.payments.events import ClearanceGranted, ClearanceOpened, FenceSet
from services.payments.reactions import ClearanceAsked
from tests.simulation.clearance import RETRY_S, SEEN, WRITTEN, Town
from tests.unit.control.relay_law import RelayLaw

SEEDS = 100
SEEDS_SEEN: set[int] = set()


# -- what must hold -------------------------------------------------------------------------------


def check_all(town: Town) -> None:
    """The laws of the runtime for both cores, the law of the relay, and each account's end."""
    check(town.sim, WRITTEN)
    for account in town.accounts:
        law = RelayLaw()
        law.feed(town.weather_noted(account))
        for event in town.written("control", "control.events", account):
            law.feed(event)
    the_payer_was_never_cut(town)
    the_neighbour_was_cut(town)
    the_late_payer_is_on(town)


def ending(town: Town, account: str) -> str:
    """How the case of an account ended."""
    closed = town.decided("control", account, control.CaseClosed)
    assert len(closed) == 1, f"seed {town.sim.seed}: {closed}"
    return str(closed[0].outcome)


def the_payer_was_never_cut(town: Town) -> None:
    """No open command, no grant; every clearance was refused by a fence behind the payment."""
    seed, payer = town.sim.seed, town.payer
    assert town.commands(payer) == [], f"seed {seed}: paid at {town.paid_offset}, and commanded"
    assert payer not in town.openings
    captured = town.decided("payments", payer, payments.PaymentCaptured)
    assert len(captured) == 1, f"seed {seed}: {captured}"
    assert town.decided("payments", payer, ClearanceGranted) == []
    asked = town.decided("payments", payer, ClearanceOpened)
    refused = town.decided("payments", payer, payments.ClearanceRefused)
    assert [each.clearance_id for each in refused] == [each.clearance_id for each in asked]
    assert all(each.fence_offset > town.paid_offset for each in refused), f"seed {seed}: {refused}"
    assert ending(town, payer) == "cancelled_paid", f"seed {seed}"
    SEEN["clearance of the payer refused" if refused else "never asked for the payer"] += 1


def the_neighbour_was_cut(town: Town) -> None:
    """The same case without a payment leads to an open relay: this history can fail."""
    seed, neighbour = town.sim.seed, town.neighbour
    granted = town.decided("payments", neighbour, ClearanceGranted)
    commanded = [command.clearance_id for command in town.commands(neighbour)]
    assert len(commanded) == 1, f"seed {seed}: {commanded}"
    assert commanded[0] in {each.clearance_id for each in granted}
    assert town.openings.count(neighbour) == 1, f"seed {seed}: the neighbour was not cut"
    assert ending(town, neighbour) == "disconnected"


def the_late_payer_is_on(town: Town) -> None:
    """Money after the fence withdraws the grant: the command is cancelled, or crossed, undone."""
    seed, late = town.sim.seed, town.late
    opens = [command for command in town.commands(late) if command.action == "open"]
    assert len(opens) == 1, f"seed {seed}: {opens}"
    withdrawn = town.decided("payments", late, payments.ClearanceWithdrawn)
    granted = {each.clearance_id for each in town.decided("payments", late, ClearanceGranted)}
    taken_back = {each.clearance_id for each in withdrawn}
    assert opens[0].clearance_id in taken_back, f"seed {seed}: {withdrawn}"
    assert taken_back <= granted, f"seed {seed}: {withdrawn}"
    assert town.relays[late] == "closed", f"seed {seed}: paid, and still off"
    closed = [each.outcome for each in town.decided("control", late, control.CaseClosed)]
    if late in town.openings:
        noted = town.decided("control", late, control.SwitchingNoted)
        assert "crossed" in {each.outcome for each in noted}, f"seed {seed}: {noted}"
        assert closed[0] in ("crossed", "disconnected"), f"seed {seed}: {closed}"
        assert closed[-1] == "reconnected", f"seed {seed}: {closed}"
    else:
        assert closed == ["cancelled_paid"], f"seed {seed}: {closed}"
        assert town.is_cancelled(opens[0])
    SEEN[f"late: {closed[0]}"] += 1


def run_history(seed: int) -> None:
    """One history, and all that must hold after it."""
    town = Town(seed)
    town.live()
    check_all(town)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_money_acknowledged_before_the_second_approval_is_never_cut(seed: int) -> None:
    run_history(seed)
    SEEDS_SEEN.add(seed)


def test_the_histories_reach_every_way_to_be_away_and_every_end() -> None:
    """Over all seeds: what never happens is not tested."""
    for seed in sorted(set(range(SEEDS)) - SEEDS_SEEN):  # when this test runs alone
        run_history(seed)
    wanted = {
        *("killed", "frozen", "asleep", "replaced"),
        *(f"gone for {steps}" for steps in range(1, 6)),
        *("never asked for the payer", "clearance of the payer refused"),
        *("late: cancelled_paid", "late: crossed", "late: disconnected"),
    }
    assert wanted <= SEEN.keys(), wanted - SEEN.keys()


# -- without an answer the laws must notice -------------------------------------------------------


def deaf_to_money(patch: pytest.MonkeyPatch) -> None:
    """Control hears of money only by the answers to its clearances: the last barrier alone."""
    original = control_decisions._on_arrears

    def on_arrears(draft: ControlDraft, body: AccountOverdue | BalanceChanged) -> None:
        if body.debts:
            original(draft, body)

    patch.setattr(control_decisions, "_on_arrears", on_arrears)
    patch.setattr(cases, "on_captured", lambda draft: None)


def granted_without_its_fence(patch: pytest.MonkeyPatch) -> None:
    """Payments answer at once, from what they have decided so far, and name a fence that is none:
    so not the number betrays them, but what they grant."""
    original = clearances.on_asked

    def on_asked(draft: PaymentsDraft, asked: ClearanceAsked) -> None:
        is_new = draft.taken("clearance", asked.clearance_id) is None
        original(draft, asked)
        if is_new:
            fence = FenceSet(account_no=draft.key, clearance_id=asked.clearance_id)
            clearances.on_fence(draft, fence, 1 << 40)

    patch.setattr(clearances, "on_asked", on_asked)


def approvals_count_although_refused(patch: pytest.MonkeyPatch) -> None:
    """Control takes a refusal for a grant. It must be deaf, too: the balance that refused stands
    before the refusal on the same topic, and ends the case of a control that hears it."""
    deaf_to_money(patch)

    def on_refused(draft: ControlDraft, clearance_id: str, fence: int, open_fen: int) -> None:
        cases.on_granted(draft, clearance_id, fence, plus(draft.at, RETRY_S))

    patch.setattr(cases, "on_refused", on_refused)


def withdrawal_unheard(patch: pytest.MonkeyPatch) -> None:
    """A grant that was withdrawn still counts."""
    deaf_to_money(patch)
    patch.setattr(cases, "on_withdrawn", lambda draft, clearance_id: None)


MUTANTS = (granted_without_its_fence, approvals_count_although_refused, withdrawal_unheard)


@pytest.mark.parametrize("seed", range(20))
def test_the_clearance_alone_keeps_the_payer_on(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other barriers would stop is stopped without them."""
    deaf_to_money(monkeypatch)
    run_history(seed)


def is_noticed(seed: int) -> bool:
    """Whether a history under the mutant breaks a law, or ends in a refusal to run."""
    try:
        run_history(seed)
    except (AssertionError, Refused):
        return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_without_its_answer_a_barrier_is_missed(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    assert any(is_noticed(seed) for seed in range(SEEDS)), f"{mutant.__name__} went unnoticed"
