"""`gridledger payments refund|approve-refund|refund-outcome|rebind|work-items`."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer

from libs.events.codec import Codec, encode, envelope_of
from libs.events.errors import BadInput
from services.cli import payments as command
from services.cli import payments_refund as refunds
from services.cli.payments_work import events_of, items_of
from services.payments.events import BindingPart, edge_catalogue
from services.payments.rebinding_events import RebindingRequested
from services.payments.refund_events import RefundDecided, RefundReported, RefundRequested
from services.payments.suspense_refund_events import SuspenseRefundRequested
from tests.unit.payments_core.edge_process import MemoryPort, producer_over
from tests.unit.payments_core.test_command import MemoryReader
from tests.unit.payments_core.world import A, B, World, order_of, received

T = "wechat:T1"
REFUND = {
    "payment": T,
    "order": order_of(A),
    "merchant": "1900000001",
    "account": "",
    "yuan": "50.00",
    "kind": "channel",
    "by": "wang",
    "reason": "paid twice",
    "refund_no": "RF1",
}
OUTCOME = {
    "account": A,
    "refund_no": "RF1",
    "outcome": "paid",
    "by": "wang",
    "evidence": "slip",
    "bill_on": "",
    "bank": "icbc-1",
}
REBIND = {
    "payment": T,
    "old": A,
    "to": (f"{B}=1.00",),
    "by": "wang",
    "approved_by": "li",
    "reason": "slip",
    "request_id": "r1",
}


def run(*arguments: str) -> Any:
    return typer.main.get_command(command.app).main(list(arguments), standalone_mode=False)


def test_the_account_is_the_orders() -> None:
    request = refunds.refund_request(**REFUND)
    assert (request.account_no, request.refund_fen, request.kind) == (A, 5000, "channel")
    of_balance = {**REFUND, "payment": "", "order": "", "account": B, "kind": "bank"}
    assert refunds.refund_request(**of_balance).account_no == B


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "cash"}, "--kind"),
        ({"payment": "T1"}, "--payment"),
        ({"payment": ""}, "--payment"),
        ({"payment": "", "kind": "bank"}, "--account"),
        ({"order": "PAY-1"}, "--order"),
        ({"account": B}, "--account"),
        ({"merchant": " "}, "--merchant"),
        ({"yuan": "0"}, "--yuan"),
        ({"yuan": "x"}, "--yuan"),
        ({"by": ""}, "--by"),
        ({"reason": ""}, "--reason"),
    ],
)
def test_a_wrong_option_of_a_refund_is_named(changes: dict[str, str], field: str) -> None:
    with pytest.raises(BadInput) as wrong:
        refunds.refund_request(**{**REFUND, **changes})
    assert wrong.value.field == field
    assert wrong.value.fix


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"outcome": "won"}, "--outcome"),
        ({"bill_on": "1.3."}, "--bill-on"),
        ({"bank": ""}, "--bank"),
        ({"account": "1"}, "--account"),
        ({"refund_no": ""}, "--refund-no"),
        ({"evidence": " "}, "--evidence"),
    ],
)
def test_a_wrong_option_of_an_outcome_is_named(changes: dict[str, str], field: str) -> None:
    assert refunds.outcome_report(**{**OUTCOME, "bill_on": "2026-03-01"}).fact == "paid"
    with pytest.raises(BadInput) as wrong:
        refunds.outcome_report(**{**OUTCOME, **changes})
    assert wrong.value.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"payment": ":T1"}, "--payment"),
        ({"old": "x"}, "--from"),
        ({"to": (B,)}, "--to"),
        ({"approved_by": ""}, "--approved-by"),
    ],
)
def test_a_wrong_option_of_a_rebinding_is_named(changes: dict[str, Any], field: str) -> None:
    right: dict[str, Any] = {**REBIND, **changes}
    with pytest.raises(BadInput) as wrong:
        refunds.rebinding_request(**right)
    assert wrong.value.field == field


WRITTEN: list[tuple[list[str], str, Any]] = [
    (
        [
            "refund",
            "--payment",
            T,
            "--order",
            order_of(A),
            "--merchant",
            "1900000001",
            "--yuan",
            "50.00",
            "--by",
            "wang",
            "--reason",
            "paid twice",
            "--refund-no",
            "RF1",
        ],
        A,
        RefundRequested(
            refund_no="RF1",
            account_no=A,
            payment_id=T,
            out_trade_no=order_of(A),
            merchant="1900000001",
            refund_fen=5000,
            kind="channel",
            requested_by="wang",
            reason="paid twice",
        ),
    ),
    (
        ["approve-refund", "--account", A, "--refund-no", "RF1", "--by", "li", "--reason", "ok"],
        A,
        RefundDecided(refund_no="RF1", account_no=A, decision="approved", person="li", reason="ok"),
    ),
    (
        [
            "refund-outcome",
            "--account",
            A,
            "--refund-no",
            "RF1",
            "--outcome",
            "succeeded",
            "--by",
            "wang",
            "--evidence",
            "console",
            "--bill-on",
            "2026-03-02",
        ],
        A,
        RefundReported(
            refund_no="RF1",
            account_no=A,
            fact="succeeded",
            person="wang",
            evidence="console",
            bill_on="2026-03-02",
        ),
    ),
    (
        [
            "rebind",
            "--payment",
            T,
            "--from",
            A,
            "--to",
            f"{B}=1.00",
            "--by",
            "wang",
            "--approved-by",
            "li",
            "--reason",
            "slip",
            "--request-id",
            "r1",
        ],
        T,
        RebindingRequested(
            request_id="r1",
            payment_id=T,
            from_account=A,
            parts=(BindingPart(account_no=B, amount_fen=100),),
            requested_by="wang",
            approved_by="li",
            reason="slip",
        ),
    ),
]


SEND_BACK = [
    *("refund-suspense", "--suspense", T, "--yuan", "1.00", "--bank", "icbc", "--bank-ref", "4711"),
    *("--paid-on", "2026-03-20", "--evidence", "slip", "--by", "wang", "--approved-by", "li"),
    *("--reason", "nobody claimed it", "--request-id", "r1"),
]
WRITTEN.append(
    (
        SEND_BACK,
        T,
        SuspenseRefundRequested(
            request_id="r1",
            suspense_key=T,
            amount_fen=100,
            bank="icbc",
            bank_ref="4711",
            paid_on="2026-03-20",
            evidence="slip",
            requested_by="wang",
            approved_by="li",
            reason="nobody claimed it",
        ),
    )
)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("options", "key", "body"), WRITTEN)
def test_each_writes_one_record_which_the_core_decides(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    key: str,
    body: Any,
    as_json: bool,
) -> None:
    port, world = MemoryPort(), World()
    world.own += [[], []]
    monkeypatch.setattr("services.cli.records.KafkaReader", lambda settings: MemoryReader(world))
    monkeypatch.setattr(
        "services.wiring.open_producer",
        lambda settings, source, catalogue: producer_over(port, source, catalogue),
    )
    run(*options, *(["--json"] if as_json else []))
    (record,) = port.taken
    assert (record.topic, record.key) == ("payments.notices", key.encode())
    assert Codec(edge_catalogue).decode(envelope_of(record.headers).type, record.value) == body
    printed = capsys.readouterr().out
    if as_json:
        assert {k: v for k, v in json.loads(printed).items() if k == "offset"} == {"offset": 0}
    else:
        assert len(printed.splitlines()) == 1
    assert encode(body) == record.value


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--suspense", "T1"),
        ("--yuan", "0"),
        ("--bank", " "),
        ("--bank-ref", ""),
        ("--paid-on", "20.3."),
        ("--paid-on", "20260320"),
        ("--evidence", ""),
        ("--by", ""),
        ("--approved-by", " Wang"),
        ("--reason", " "),
    ],
)
def test_a_wrong_option_of_money_sent_back_is_named(option: str, value: str) -> None:
    given = list(SEND_BACK)
    given[given.index(option) + 1] = value
    with pytest.raises(BadInput) as wrong:
        run(*given)
    assert wrong.value.field == option
    assert wrong.value.fix


def _approved(refund_no: str) -> RefundDecided:
    return RefundDecided(
        refund_no=refund_no, account_no=A, decision="approved", person="li", reason="ok"
    )


def _reported(refund_no: str, fact: str, **more: str) -> RefundReported:
    return RefundReported(
        refund_no=refund_no, account_no=A, fact=fact, person="wang", evidence="slip", **more
    )


def waiting_world() -> World:
    """What waits of six refunds of one payment, and of money that went back."""
    world = World()
    world.own += [[], []]
    world.take(received("T1", 10000, order_of(A)))
    for number, kind in enumerate(("channel", "channel", "channel", "bank", "channel", "bank")):
        request = refunds.refund_request(
            **{**REFUND, "refund_no": f"RF{number}", "kind": kind, "yuan": "10.00"}
        )
        world.feed("payments.notices", A, request)
        if number:
            world.feed("payments.notices", A, _approved(f"RF{number}"))
    for body in (
        _reported("RF2", "abnormal"),
        _reported("RF4", "succeeded", bill_on="2026-03-02"),
        _reported("RF4", "abnormal"),
        _reported("RF5", "closed"),
        _reported("RF5", "rerouted"),
        _reported("RF9", "closed"),
    ):
        world.feed("payments.notices", A, body)
    for number, (original, order) in enumerate((("T7", order_of(B)), ("T8", ""), ("T9", ""))):
        kind = ("reversed", "reversed", "chargeback")[number]
        body = received(f"X{number}", 900, order, kind=kind, original_txn_id=original)
        world.take(body)
    world.take(received("T8", 900, ""))
    world.take(received("X5", 7000, order_of(A), kind="reversed", original_txn_id="T1"))
    world.run()
    return world


def test_what_waits_for_a_person() -> None:
    found = items_of(events_of(MemoryReader(waiting_world()), 2))
    assert sorted((each.kind, each.name, each.amount_fen) for each in found) == [
        ("abnormal", "RF2", 1000),
        ("approve", "RF0", 1000),
        ("awaited", "wechat:T7/reversed/X0", 900),
        ("awaited", "wechat:T9/chargeback/X2", 900),
        ("claim", T, 1000),
        ("outcome", "RF1", 1000),
        ("refused", "RF4", 0),
        ("transfer", "RF3", 1000),
    ]


def test_what_was_done_does_not_wait() -> None:
    world = waiting_world()
    world.feed("payments.notices", A, _reported("RF2", "closed"))
    world.take(received("T7", 900, order_of(B)))
    world.take(received("T9", 900, order_of(B), evidence_id="ev-9"))
    world.run()
    found = items_of(events_of(MemoryReader(world), 2))
    kinds = [each.kind for each in found]
    assert sorted(kinds) == ["approve", "outcome", "refused", "transfer"]


@pytest.mark.parametrize("as_json", [False, True])
def test_the_list_of_work_items(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    world = waiting_world()
    monkeypatch.setattr("services.cli.records.KafkaReader", lambda settings: MemoryReader(world))
    run("work-items", *(["--json"] if as_json else []))
    printed = capsys.readouterr().out
    if as_json:
        assert {row["kind"] for row in json.loads(printed)} >= {"approve", "claim"}
    else:
        assert "RF0" in printed
    world = World()
    world.own += [[], []]
    run("work-items", *(["--json"] if as_json else []))
    printed = capsys.readouterr().out.strip()
    assert printed == ("[]" if as_json else "nothing waits for a person")


def test_a_suspense_is_listed_with_what_is_left_of_it() -> None:
    world = World()
    for txn in ("T1", "T2"):
        world.take(received(txn, 500))
    for number, (txn, amount_fen) in enumerate((("T1", 200), ("T2", 500), ("T1", 0))):
        world.take(received(f"X{number}", amount_fen, kind="reversed", original_txn_id=txn))
    world.take(received("T3", 700, order_of(A)))
    world.take(received("X9", 700, order_of(A), kind="reversed", original_txn_id="T3"))
    world.run()
    (left,) = command.open_suspenses(MemoryReader(world), 2)
    assert (left.suspense_key, left.amount_fen) == ("wechat:T1", 300)
