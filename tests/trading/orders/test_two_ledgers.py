"""Two ledgers on one account, at once or one after the other: neither books, sells or disowns what is the other's."""

from __future__ import annotations

import pytest
from support.alpaca_trading_server import AlpacaTradingServer
from support.broker_harness import BTC, NAME, Desk
from support.fixed_decisions import decided

from crypto_refactor.errors import BrokerError
from crypto_refactor.trading.ledger import AccountRow
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.manual.reconcile import Adoption, accept_broker, adopt
from crypto_refactor.trading.orders.account_review import SecondLedgerError, unmanaged_holdings

from .test_unwritable_state import freeze


@pytest.fixture
def server():
    with AlpacaTradingServer(prices={"BTC/USD": 50_000}) as running:
        yield running


@pytest.fixture
def first(server, tmp_path):
    return Desk(server, tmp_path / "first")


def second(first, tmp_path, balance=1000.0):
    """Return a desk with a ledger of its own; the exchange follows the clock of whoever is ahead."""
    made = Desk(first.server, tmp_path / "second", balance=balance)
    first.server.clock = lambda: max(first.now, made.now)
    return made


def accept(desk):
    """Do what `reconcile --accept` does, in an account that this ledger may not know yet."""
    rows = desk.ledger.accounts() or (AccountRow(name=NAME, opened_at="", traded_at="", about={}),)
    return accept_broker(desk.ledger, desk.folder, rows[0], desk.broker(), None, desk.clock())


def refused(desk, signal):
    sent = desk.sent()
    with pytest.raises(SecondLedgerError):
        desk.act(signal)
    assert desk.sent() == sent


def own(server, desk):
    """Return what the orders of a ledger have bought and not sold, by its ids."""
    suffix = desk.ledger.order_suffix(NAME)
    return sum(
        float(order.filled_qty) * (0.9975 if order.side == "buy" else -1)
        for order in server.orders
        if order.client_order_id.endswith(suffix)
    )


@pytest.mark.parametrize("balance", [1000.0, 2500.0, 300.0])
@pytest.mark.parametrize("signal", [1, 0])
def test_a_second_ledger_sends_nothing_whatever_its_budget(server, first, tmp_path, balance, signal):
    first.act(1)
    other = second(first, tmp_path, balance)
    for _ in range(3):
        refused(other, signal)
        first.later().act(1)
        other.later()
    first.later().act(0)
    first.agrees()
    refused(other.later(), signal)
    assert other.ledger.states(NAME) == {}


@pytest.mark.parametrize("balance", [1000.0, 2500.0])
def test_two_ledgers_that_begin_at_the_same_moment_both_stop_and_keep_apart(server, first, tmp_path, balance):
    other = second(first, tmp_path, balance)

    def decide():  # the first has looked at the account, and nothing has been sent
        other.act(1)
        return decided(1, close=50_000, hour=first.hour)

    first.act(1, decide=decide)
    assert len(server.orders) == 2
    for desk in (first, other):
        desk.later()
        refused(desk, 0)
        assert (desk.trades, desk.account.quantity) == ((), pytest.approx(own(server, desk), abs=2e-9))
    assert first.held() == pytest.approx(first.account.quantity + other.account.quantity, abs=4e-9)


def both_hold(first, tmp_path):
    """Let a second ledger buy beside the first one, each accepted by the other; return it."""
    first.act(1)
    other = second(first, tmp_path)
    accept(other)
    other.sleep(60)
    other.act(1)
    accept(first.later())
    first.sleep(60)
    return other


def test_the_exit_of_one_is_not_booked_by_the_other(server, first, tmp_path):
    other = both_hold(first, tmp_path)
    before = other.account
    first.act(0)
    other.later().sleep(120)
    refused(other, 0)
    assert (other.account, other.trades) == (before, ())
    accept(other)
    other.sleep(60)
    other.act(0)
    assert other.account.cash - 1000 == pytest.approx(other.trades[0].net_pnl, abs=1e-4)
    assert other.held() == pytest.approx(0, abs=4e-9)


def test_an_exit_that_one_could_not_record_is_not_booked_by_the_other(server, first, tmp_path):
    other = both_hold(first, tmp_path)
    before = other.account
    first.open = lambda: None
    freeze(first.folder)
    with pytest.raises(BrokerError, match="was sent all the same"):
        first.act(0)
    other.later().sleep(120)
    refused(other, 0)
    assert (other.account, other.trades) == (before, ())


def delete(desk):
    for path in desk.folder.glob("ledger.sqlite*"):
        path.unlink()


@pytest.mark.parametrize("balance", [1000.0, 2500.0])
@pytest.mark.parametrize("signal", [1, 0])
def test_a_ledger_begun_anew_within_the_hour_sends_nothing_until_a_person_accepts(
    server, first, tmp_path, balance, signal
):
    first.act(1)
    held = first.held()
    delete(first)
    anew = Desk(server, first.folder, balance=balance)
    for _ in range(2):
        refused(anew, signal)
    anew.later()
    refused(anew, signal)
    accept(anew)
    anew.sleep(60)
    anew.act(0)
    assert anew.held() == held, "coins of the lost ledger are not sold"
    notes = unmanaged_holdings(anew.broker(), anew.ledger, NAME, (BTC,), anew.clock())
    assert "did not open: left alone" in notes[BTC]


@pytest.mark.parametrize("opened", [True, False])
def test_coins_of_a_lost_ledger_are_adopted_and_leave_by_the_next_exit(server, first, opened):
    first.act(1)
    delete(first)
    anew = Desk(server, first.folder)
    accept(anew)
    anew.sleep(60)
    if opened:
        anew.act(0)
    anew.later()
    rows = anew.ledger.accounts() or (AccountRow(name=NAME, opened_at="", traded_at="", about={}),)
    adopt(anew.ledger, anew.folder, rows[0], anew.broker(), Adoption(ticker=BTC, cost=50_000), anew.clock)
    assert unmanaged_holdings(anew.broker(), anew.ledger, NAME, (BTC,), anew.clock()) == {}
    anew.later(51_000).act(0)
    assert anew.held() == pytest.approx(0, abs=2e-9)
    (trade,) = anew.trades
    assert (trade.entry_price, trade.exit_price) == (50_000, 51_000)
    sold = float(server.orders[-1].filled_qty)
    assert sold == pytest.approx(0.01995, abs=2e-9)


def test_a_ledger_deleted_under_a_process_knows_its_account_again(tmp_path):
    from crypto_refactor.execution.stepper import new_state

    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.prepare_account(NAME, "2024-06-10T12:00:00Z", {"source": "alpaca"})
    for _ in range(2):
        with ledger.transaction(NAME, BTC) as writer:
            writer.open(new_state(1000.0, 1))
        assert [row.name for row in ledger.accounts()] == [NAME]
        for path in tmp_path.glob("ledger.sqlite*"):
            path.unlink()
