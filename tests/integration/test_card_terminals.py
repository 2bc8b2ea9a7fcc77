"""Card terminals on a real Kafka: what they were told is safe is on the log, whatever dies.

A simulated terminal speaks to the listener over TCP; listener and payments core are processes that
are killed. The account's order number stands in the message, so each sale is the account's payment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.payments.order_number import make_order_number
from services.payments.transactions import page_of
from simulators.gateways.keys import generate_keys, load_keys
from simulators.gateways.terminal import Terminal
from tests.integration.town import Member, Town, opened_town, own_kafka

__all__ = ["own_kafka"]
pytestmark = pytest.mark.kafka
ACCOUNT = "1000000042"
CARD = "6228480402564890018"
TODAY = "2026-03-02T01:00:00Z"


@dataclass
class Counter:
    """A counter with one terminal, whose listener and ledger may die."""

    town: Town
    mac_key: bytes
    listener: Member

    def terminal(self) -> Terminal:
        """The terminal, dialling the listener that runs now."""
        port = self.town.until_ready("pos-edge-0")["port"]
        return Terminal("127.0.0.1", port, mac_key=self.mac_key)

    def restart(self) -> None:
        """SIGKILL for the listener; another member takes its place."""
        self.listener.kill()
        (self.town.settings.data_dir / "run" / "pos-edge-0.json").unlink()
        self.listener = self.town.start("pos-edge")

    def kinds(self, key: str) -> list[str]:
        """What stands on the log under a key, as it was said, in order."""
        found = self.town.facts("payments.notices", "payments.notice_received", key=key)
        return [fact.body["notice"]["kind"] for fact in found]

    def decided(self, name: str, **fields: object) -> int:
        """How many own events of payments there are."""
        return len(self.town.facts("payments.events", f"payments.{name}", **fields))


@pytest.fixture(scope="module")
def counter(own_kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    folder: Path = tmp_path_factory.mktemp("counter")
    keys = generate_keys(folder / "keys")
    mac_key = load_keys(keys.parent).pos_mac_key
    with opened_town(own_kafka, folder, [], payment_profiles_file=keys, pos_port=0) as town:
        town.tick(TODAY)
        yield Counter(town, mac_key, town.start("pos-edge"))


def test_sale_is_captured_once(counter: Counter) -> None:
    """Acknowledged, then listener and ledger are killed; repeated to those that come after."""
    town = counter.town
    ledger = town.start("payments")
    with counter.terminal() as terminal:
        terminal.sign_on()
        sale = terminal.sale(12345, order_no=make_order_number(ACCOUNT, "1"), card=CARD)
    town.settle("payments")
    ledger.kill()
    town.start("payments")
    counter.restart()
    with counter.terminal() as terminal:
        for _ in range(2):
            assert terminal.ask(sale).fields[39] == "00"
    assert counter.kinds(ACCOUNT) == ["captured"] * 3
    town.settle("payments")
    payment = {"payment_id": payment_of(counter, ACCOUNT)}
    assert counter.decided("payment_captured", amount_fen=12345, **payment) == 1
    assert counter.decided("notice_repeated", **payment) == 2
    written = [fact.body for fact in town.facts("payments.notices", "payments.notice_received")]
    assert CARD not in str(written)


def test_reversal_before_its_sale_is_where_the_sale_goes(counter: Counter) -> None:
    """With an order number at the account, without one on the page of the transaction."""
    town = counter.town
    with counter.terminal() as terminal:
        terminal.drawer.batch = "000002"
        named = terminal.sale_of(700, order_no=make_order_number(ACCOUNT, "2"))
        nameless = terminal.sale_of(800)
        for sale in (named, nameless):
            assert terminal.reverse(sale).fields[39] == "00"
            assert terminal.ask(sale).fields[39] == "00"
            assert terminal.reverse(sale).fields[39] == "00"
    transaction = f"pos_8583:{terminal.merchant}-{terminal.terminal}-000002-{nameless.fields[11]}"
    assert counter.kinds(ACCOUNT)[-3:] == ["reversed", "captured", "reversed"]
    assert counter.kinds(transaction) == ["reversed", "captured", "reversed"]
    town.settle("payments")
    assert counter.decided("payment_captured", amount_fen=700) == 1
    suspended = town.facts("payments.events", "payments.payment_suspended", amount_fen=800)
    assert [(fact.key, fact.body["payment_id"]) for fact in suspended] == [
        (page_of(transaction), transaction)
    ]


def payment_of(counter: Counter, key: str) -> str:
    """The payment that the first notice of a key is about."""
    found = counter.town.facts("payments.notices", "payments.notice_received", key=key)
    return f"pos_8583:{found[0].body['notice']['channel_txn_id']}"
