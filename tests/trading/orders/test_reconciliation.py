"""What the account at a broker holds is held against the ledger, and nothing that others did is undone."""

from __future__ import annotations

from decimal import Decimal

import pytest
from support.alpaca_orders import Order, partly, race, unfilled
from support.alpaca_trading_server import AlpacaTradingServer, accept_then, reset, status
from support.broker_harness import BALANCE, BTC, FIRST, NAME, Desk

from crypto_refactor.errors import BrokerError
from crypto_refactor.trading.brokers.base import UnknownOutcomeError
from crypto_refactor.trading.ledger.order_record import OrderStatus, client_order_id
from crypto_refactor.trading.ledger.transaction import LedgerTransaction
from crypto_refactor.trading.orders.account_review import SecondLedgerError, unmanaged_holdings

POSITION, ALL_POSITIONS = "GET /v2/positions/BTCUSD", "GET /v2/positions"
NONE_THERE = status(404, '{"code": 40410000, "message": "position does not exist"}')
BOUGHT = 0.01995
"""Coins that 1000 USD buy at 50,000, less the fee of 0.25 %."""


@pytest.fixture
def server():
    with AlpacaTradingServer(prices={"BTC/USD": 50_000}) as running:
        yield running


@pytest.fixture
def desk(server, tmp_path):
    return Desk(server, tmp_path)


def rest_open(server, side, own_id="somebody-else", **amount):
    """Put an open order into the book, as another program does."""
    server.orders.append(
        Order(
            id=f"id-of-{own_id}",
            client_order_id=own_id,
            symbol="BTC/USD",
            side=side,
            qty=amount.get("qty"),
            notional=amount.get("notional"),
            time_in_force="gtc",
            created=server.clock(),
            updated=server.clock(),
        )
    )


def gains(desk):
    """Return what all trades have brought, and check that the ledger's cash says the same."""
    assert desk.account.quantity == pytest.approx(0, abs=1e-12)
    gain = sum(trade.net_pnl for trade in desk.trades)
    assert desk.account.cash == pytest.approx(BALANCE + gain, abs=1e-6)
    return gain


# Partial fills and dust


def test_the_rest_of_a_partly_filled_buy_is_not_bought_later_while_the_signal_lasts(desk, server):
    server.fates.append(partly(0.4))
    desk.act(1)
    assert desk.account.cash == pytest.approx(600)
    entry = desk.later().act(1)
    assert (entry.orders, entry.sub_account.side) == ((), 1)
    desk.later().act(0)
    assert [order.filled_quantity for order in desk.orders] == pytest.approx([0.008, 0.00798])
    gains(desk)
    desk.agrees()


def test_the_rest_of_a_partly_filled_sale_is_sold_within_the_hour_or_decided_afresh(desk, server):
    desk.act(1)
    server.fates += [partly(0.25), unfilled, unfilled, unfilled]
    entry = desk.later(52_000).act(0)
    assert entry.orders[0].stage is OrderStatus.PARTLY_FILLED
    assert desk.waits == [5, 15, 45]
    assert (entry.sub_account.side, entry.sub_account.average_price) == (1, 50_000)
    assert entry.sub_account.quantity == pytest.approx(0.75 * BOUGHT)
    desk.later(54_000).act(0)
    assert [trade.exit_price for trade in desk.trades] == [52_000, 54_000]
    assert [trade.quantity for trade in desk.trades] == pytest.approx([0.25 * BOUGHT, 0.75 * BOUGHT])
    gains(desk)
    desk.agrees()


def test_so_little_bought_that_it_cannot_be_sold_is_dust_and_joins_the_next_position(desk, server):
    server.fates.append(partly(0.0005))  # 0.50 USD
    entry = desk.act(1)
    assert [fill.quantity for fill in entry.fills] == pytest.approx([0.00001])
    assert (entry.sub_account.side, entry.sub_account.quantity) == (0, pytest.approx(0.000009975))
    entry = desk.later().act(1)
    assert [order.leg for order in entry.orders] == ["enter"]
    assert entry.sub_account.side == 1
    desk.agrees()
    desk.later().act(0)
    assert desk.held() == 0
    desk.agrees()
    assert gains(desk) == pytest.approx(-2 * 0.0025 * 1000, rel=0.01)


def test_so_little_left_that_it_cannot_be_sold_is_dust_and_counts_as_flat(desk, server):
    desk.act(1)
    server.fates.append(partly(0.9995))
    entry = desk.later().act(0)
    assert (entry.orders[0].stage, entry.sub_account.side) == (OrderStatus.PARTLY_FILLED, 0)
    assert 0 < entry.sub_account.quantity * 50_000 < 1
    assert desk.later().act(0).orders == ()
    desk.later().act(1)
    desk.later().act(0)
    assert desk.held() == 0
    gains(desk)
    desk.agrees()


def test_what_is_too_small_to_be_sold_stays_and_says_so(desk, server):
    desk.act(1)
    server.assets["BTC/USD"]["min_order_size"] = "0.5"
    entry = desk.later().act(0)
    assert entry.orders == ()
    assert any("below the minimum order size" in note for note in entry.notes)
    assert (desk.account.side, desk.sent()) == (1, 1)
    server.assets["BTC/USD"]["min_order_size"] = "0.0001"
    desk.later().act(0)
    assert desk.held() == 0


@pytest.mark.parametrize(("cap", "sent"), [(1.01, 0), (9.99, 0), (9.999, 0), (10.0, 1)])
def test_what_could_not_be_sold_again_is_not_bought(server, tmp_path, cap, sent):
    desk = Desk(server, tmp_path, max_notional=cap)
    entry = desk.act(1)
    assert desk.sent() == sent
    assert any("too small to buy BTC/USD and sell it again" in note for note in entry.notes) != sent


def test_quantities_are_multiples_of_the_increment(desk, server):
    server.assets["BTC/USD"]["min_trade_increment"] = "0.001"
    desk.act(1)
    desk.later().act(0)
    assert server.orders[-1].qty == Decimal("0.019")
    assert desk.account.quantity == pytest.approx(0.00095)
    desk.agrees()


def test_a_cancelled_order_that_filled_first_is_a_fill(desk, server):
    server.fates.append(race(0.5))
    assert desk.act(1).orders[0].stage is OrderStatus.PARTLY_FILLED
    server.fates.append(race())
    assert desk.later().act(0).orders[0].stage is OrderStatus.FILLED
    assert desk.held() == 0
    desk.agrees()


# What others did


def unmanaged(desk):
    return unmanaged_holdings(desk.broker(), desk.ledger, NAME, (BTC,), desk.clock())


def test_a_position_opened_outside_is_left_alone_and_reported(desk, server):
    server.set_position("BTC/USD", "0.5")
    entry = desk.act(1)
    assert not any("did not open" in note for note in entry.notes), "said once, by the look at the account"
    assert "0.5 BTC that this ledger did not open: left alone" in unmanaged(desk)[BTC]
    desk.agrees(foreign=0.5)
    desk.later().act(0)
    assert "0.5 BTC that this ledger did not open" in unmanaged(desk)[BTC]
    assert server.orders[-1].qty <= Decimal(str(BOUGHT))
    assert desk.held() == pytest.approx(0.5, abs=2e-9)
    entry = desk.later().act(0)
    assert (entry.orders, entry.sub_account.quantity) == ((), pytest.approx(0, abs=1e-12))


def test_a_position_of_others_is_no_reason_to_sell_while_flat(desk, server):
    server.set_position("BTC/USD", "0.5")
    assert desk.act(0).orders == ()
    assert desk.sent() == 0


def test_coins_of_others_worth_less_than_a_dollar_are_not_talked_about(desk, server):
    server.set_position("BTC/USD", "0.00001")
    assert desk.act(0).notes == ()


def test_a_position_reduced_outside_is_booked_and_only_the_rest_is_sold(desk, server):
    desk.act(1)
    desk.later(52_000)
    server.sell_by_hand("BTC/USD", BOUGHT - 0.005)
    entry = desk.act(1)
    (trade,) = entry.trades
    assert (trade.exit_reason, trade.exit_price, trade.fees) == (
        "external",
        52_000,
        pytest.approx((2.5 / BOUGHT + 0.0025 * 52_000) * (BOUGHT - 0.005)),
    )
    assert trade.quantity == pytest.approx(BOUGHT - 0.005)
    assert (entry.sub_account.quantity, entry.sub_account.side) == (pytest.approx(0.005), 1)
    assert any("outside this ledger" in note for note in entry.notes)
    desk.later(53_000).act(0)
    assert float(server.orders[-1].qty) == pytest.approx(0.005, abs=2e-9)
    assert desk.held() == 0
    gains(desk)


def test_a_position_removed_outside_is_flat_and_not_bought_back_at_once(desk, server):
    desk.act(1)
    server.sell_by_hand("BTC/USD", desk.held())
    for _ in range(3):
        entry = desk.later().act(1)
        assert (entry.sub_account.side, entry.sub_account.quantity, desk.sent()) == (0, 0, 1)
    assert [trade.exit_reason for trade in desk.trades] == ["external"]
    desk.later().act(0)
    desk.later().act(1)
    assert desk.sent() == 2


def test_a_position_removed_outside_is_booked_once_even_if_the_bar_was_acted_on(desk, server):
    desk.act(1)
    server.sell_by_hand("BTC/USD", desk.held())
    first, second = desk.act(1), desk.act(1)
    assert ([len(first.trades), len(second.trades)], len(desk.trades)) == ([1, 0], 1)


def test_dust_that_others_took_away_is_gone_without_a_trade(desk, server):
    server.fates.append(partly(0.0005))
    desk.act(1)
    server.set_position("BTC/USD", 0)
    entry = desk.later().act(0)
    assert (entry.trades, entry.sub_account.quantity, entry.sub_account.open_fees) == ((), 0, 0)
    entry = desk.later().act(1)
    assert entry.sub_account.average_price == 50_000


def test_a_position_that_is_missing_for_a_moment_is_not_booked_as_sold(desk, server):
    desk.act(1)
    desk.later()
    server.fail(NONE_THERE, on=POSITION)
    server.fail(status(200, "[]"), on=ALL_POSITIONS)
    entry = desk.act(1)
    assert (entry.trades, entry.sub_account.side) == ((), 1)
    assert 2.0 in desk.waits
    desk.agrees()


def test_a_fill_found_late_is_not_taken_for_missing_while_positions_lag(desk, server):
    server.fail(accept_then(reset()))
    server.fail(status(503), on="GET /v2/orders:by_client_order_id", times=2)
    with pytest.raises(BrokerError):
        desk.act(1)
    server.fail(NONE_THERE, on=POSITION, times=2)
    server.fail(status(200, "[]"), on=ALL_POSITIONS, times=2)
    entry = desk.act(1)
    assert [fill.reason for fill in entry.fills] == ["entry"]
    assert (entry.trades, entry.sub_account.side) == ((), 1)
    assert desk.act(1).fills == ()
    desk.agrees()


@pytest.mark.parametrize("fee", ["0.006", "0.0025", "0.001", "0"])
def test_another_fee_than_reckoned_is_absorbed(desk, server, fee):
    server.fee = Decimal(fee)
    desk.act(1)
    for price in (51_000, 52_000):
        entry = desk.later(price).act(1)
        assert (entry.trades, entry.fills, entry.notes) == ((), (), ())
    desk.later().act(0)
    (trade,) = desk.trades
    assert trade.exit_reason == "neutral"
    # What was not charged is still there; the tool sells what its ledger says and no more.
    assert desk.held() == pytest.approx(0.02 * max(0.0025 - float(fee), 0), abs=2e-9)
    bought = min(BOUGHT, 0.02 * (1 - float(fee)))
    assert float(server.orders[-1].filled_qty) == pytest.approx(bought, abs=2e-9)
    gains(desk)


def test_coins_that_an_order_of_others_locks_are_not_sold(desk, server):
    desk.act(1)
    rest_open(server, "sell", qty=Decimal("0.015"))
    entry = desk.later().act(0)
    (order,) = entry.orders
    assert (order.stage, order.quantity) == (OrderStatus.FILLED, pytest.approx(BOUGHT - 0.015, abs=2e-9))
    assert entry.sub_account.side == 1
    assert any("id-of-somebody-else" in note and "left alone" in note for note in entry.notes)
    assert server.orders[-2].open
    server.end(server.orders[-2], "canceled")
    desk.later().act(0)
    assert desk.held() == 0
    gains(desk)


def test_nothing_is_sold_while_everything_is_locked(desk, server):
    desk.act(1)
    rest_open(server, "sell", qty=server.holdings["BTC/USD"].qty)
    entry = desk.later().act(0)
    assert (entry.orders, desk.sent()) == ((), 1)
    assert any("0 BTC can be sold" in note for note in entry.notes)


@pytest.mark.parametrize("ended", [False, True], ids=["open", "ended"])
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_an_order_of_another_ledger_stops_this_one_until_a_person_accepts_it(desk, server, side, ended):
    desk.act(1)
    unknown = client_order_id(BTC, FIRST, "exit", "0a0a0a0a")
    rest_open(server, side, unknown, qty=Decimal("0.001"))
    if ended:
        server.end(server.orders[-1], "canceled")
    for _ in range(3):
        desk.later()
        with pytest.raises(SecondLedgerError, match=unknown):
            desk.act(0)
    assert (desk.sent(), len(desk.decisions)) == (1, 1)
    server.orders[-1].status = "canceled"
    desk.ledger.record_review(NAME, desk.clock(), accepted=True)
    desk.later().act(0)
    assert desk.held() == 0


# The account as a whole


@pytest.mark.parametrize("flag", ["account_blocked", "trading_blocked", "trade_suspended_by_user"])
def test_a_blocked_account_enters_nothing_and_exits_go(desk, server, flag):
    server.account = {flag: True}
    assert "accepts no orders" in desk.act(1).reason
    assert (desk.sent(), desk.holding) == (0, None)
    server.account = {}
    desk.later().act(1)
    server.account = {flag: True}
    desk.later().act(0)
    assert desk.held() == 0
    desk.agrees()


def test_too_little_buying_power_blocks_entries_and_no_exits(desk, server):
    server.account = {"non_marginable_buying_power": "989.99"}
    entry = desk.act(1)
    assert "buying power of 989.99 is more than 1 % below the 1,000.00" in entry.reason
    assert desk.sent() == 0
    server.account = {}
    desk.later().act(1)
    server.account = {"non_marginable_buying_power": "-5"}
    desk.later().act(0)
    assert desk.held() == 0
    desk.agrees()


def test_a_little_too_little_buying_power_makes_the_order_smaller(desk, server):
    server.account = {"non_marginable_buying_power": "995.127"}
    desk.act(1)
    assert server.orders[0].notional == Decimal("995.12")
    assert desk.account.cash == pytest.approx(4.88)


def test_more_buying_power_than_the_budget_is_not_touched(desk, server):
    desk.act(1)
    assert server.orders[0].notional == 1000


# Closing by hand


def test_close_sells_what_the_ledger_opened_and_nothing_else(desk, server):
    server.set_position("BTC/USD", "0.5")
    desk.act(1)
    done = desk.close()
    assert [(order.leg, order.stage) for order in done.orders] == [("close-1", OrderStatus.FILLED)]
    assert [trade.exit_reason for trade in done.trades] == ["close"]
    assert desk.held() == pytest.approx(0.5, abs=2e-9)
    assert desk.close().orders == ()
    assert desk.sent() == 2


def test_what_was_closed_by_hand_is_not_bought_back_before_the_target_has_changed(desk):
    desk.act(1)
    desk.close()
    assert desk.later().act(1).orders == ()
    desk.later().act(0)
    assert desk.later().act(1).orders[0].stage is OrderStatus.FILLED


def test_each_close_is_an_order_of_its_own(desk, server):
    desk.act(1)
    server.fates.append(partly(0.5))
    desk.close()
    desk.close()
    assert [order.leg for order in desk.orders] == ["enter", "close-1", "close-2"]
    assert desk.held() == 0
    gains(desk)
    desk.agrees()


def test_a_close_whose_answer_was_lost_is_found_and_not_repeated(desk, server):
    desk.act(1)
    server.fail(accept_then(reset()))
    server.fail(status(503), on="GET /v2/orders:by_client_order_id", times=2)
    with pytest.raises(BrokerError):
        desk.close()
    done = desk.close()
    assert [order.leg for order in done.orders] == ["close-1"]
    assert (desk.sent(), desk.held()) == (2, 0)
    desk.agrees()


def test_a_close_that_never_left_is_given_up_and_the_next_one_sells(desk, monkeypatch):
    class Death(BaseException):
        pass

    def dies(*_):
        raise Death

    desk.act(1)
    with monkeypatch.context() as patch:
        patch.setattr(LedgerTransaction, "update_order", dies)
        with pytest.raises(Death):
            desk.close()
    with pytest.raises(UnknownOutcomeError):
        desk.close()
    desk.sleep(130)
    desk.close()
    assert [order.stage for order in desk.orders] == [
        OrderStatus.FILLED,
        OrderStatus.EXPIRED,
        OrderStatus.FILLED,
    ]
    assert (desk.sent(), desk.held()) == (2, 0)
    desk.agrees()


def test_an_account_that_was_never_opened_has_nothing_to_close(desk):
    assert desk.close().orders == ()
    assert desk.ledger.states(NAME) == {}
