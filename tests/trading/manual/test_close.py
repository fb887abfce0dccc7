from __future__ import annotations

import threading
from dataclasses import asdict
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from support.alpaca_orders import partly
from support.alpaca_trading_server import KEY, SECRET, AlpacaTradingServer, status
from support.ledgers import open_sub_account

from crypto_refactor.errors import BrokerError, DataError, UsageError
from crypto_refactor.execution.decisions import Enter, Exit
from crypto_refactor.execution.rules import ExecutionOptions, ExecutionRules
from crypto_refactor.execution.stepper import BarSignal, SubAccountState, new_state, step_bar
from crypto_refactor.execution.sub_account import SubAccount
from crypto_refactor.market.hours import floor_hour, to_iso
from crypto_refactor.market.sources.base import LatestPrice
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers.alpaca import AlpacaBroker
from crypto_refactor.trading.brokers.base import OrderRequest
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.ledger.order_record import OrderRecord, OrderStatus
from crypto_refactor.trading.locks import locked
from crypto_refactor.trading.manual.close import (
    closable,
    close_all,
    close_at_broker,
    close_at_next_open,
    close_immediately,
    close_until_flat,
    require_closable,
)
from crypto_refactor.trading.manual.resume import resume_tickers
from crypto_refactor.transport.session import HttpLimits

BTC, ETH = Ticker("BTC", "USD"), Ticker("ETH", "USD")
NOW = datetime(2024, 6, 10, 12, 20, 7, tzinfo=UTC)
HOUR = floor_hour(NOW)
PAPER = "paper/904837e3-3b76-47ec-b432-046db621571b"
LONG = SubAccount(
    cash=0.0, side=1, quantity=10.0, average_price=100.0, peak_equity=1000.0, entry_hour=400_000
)
SHORT = SubAccount(cash=2000.0, side=-1, quantity=-10.0, average_price=100.0, peak_equity=1000.0)


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def ledger(state):
    return Ledger(state / "ledger.sqlite")


def put(ledger, name, account, *, ticker=BTC, pending=(), at=HOUR, **options):
    """Open a sub-account that stands as `account` after the bar that closed at `at`."""
    about = {"source": "alpaca", "options": asdict(ExecutionOptions(**options))}
    ledger.open_account(name, NOW.isoformat(), about)
    open_sub_account(ledger, name, ticker, new_state(1000.0, at))
    with ledger.transaction(name, ticker) as writer:
        writer.save_state(SubAccountState(account=account, pending=pending, processed_through=at))
        writer.record_decision(at, 1, {"close": 100.0, "reason": "up"})
    return next(row for row in ledger.accounts() if row.name == name)


class Market:
    """A source with one last bar and one latest trade."""

    name = "alpaca"

    def __init__(self, bars, *, price, at=HOUR):
        self._bars, self._price, self._at = bars, price, at

    def now(self, ticker):
        return HOUR

    def bars(self, ticker, start, end):
        return self._bars.between(start, end)

    def latest_price(self, ticker):
        return LatestPrice(price=self._price, at=to_iso(self._at))


class Away:
    def now(self, ticker):
        raise DataError("Nobody answers.", expected="an answer.", remedy="wait.")


@pytest.fixture
def market(random_bars):
    bars = random_bars(30, first=HOUR - 30, source="alpaca")
    return lambda **options: Market(bars, **options)


# Bars that have passed


def test_a_position_on_bars_that_have_passed_is_closed_at_the_next_open(ledger, state, random_bars):
    bars = random_bars(6)
    at = int(bars.closed[1])
    put(ledger, "demo/sample", LONG, at=at)
    (closing,) = close_all(state, "demo/sample", (BTC,), close_at_next_open(ledger, "demo/sample"))
    assert (closing.waiting, closing.error, closing.result.fills) == (True, None, ())
    holding = ledger.state("demo/sample", BTC)
    assert holding.pending == (Exit("close"),)
    assert (holding.account.side, holding.processed_through) == (1, at)

    rules = ExecutionRules()
    seen = []
    for row, signal in ((2, 1), (3, 1), (4, 0), (5, 1)):
        verdict = BarSignal(signal=signal, forecast_side=signal, exceeds_cost=True, decidable=True)
        done = step_bar(holding, bars, row, verdict, rules)
        holding = done.state
        seen.append(([(fill.reason, fill.price) for fill in done.fills], holding.pending))
    sold = [("close", float(bars.open[2]))]
    # Out at the next open, and not in again before the signal has been something else.
    assert seen == [(sold, ()), ([], ()), ([], ()), ([], (Enter(1, 1.0),))]


def test_what_was_pending_gives_way_to_the_close(ledger, state):
    put(ledger, "demo/sample", LONG, pending=(Exit("opposite"), Enter(-1, 1.0)))
    close = close_at_next_open(ledger, "demo/sample")
    first, second = (close_all(state, "demo/sample", (BTC,), close) for _ in range(2))
    assert first == second
    assert ledger.state("demo/sample", BTC).pending == (Exit("close"),)


def test_an_entry_that_waits_is_dropped(ledger, state):
    put(ledger, "demo/sample", SubAccount.open(1000.0), pending=(Enter(-1, 1.0),))
    assert closable(ledger, "demo/sample", None) == (BTC,)
    (closing,) = close_all(state, "demo/sample", (BTC,), close_at_next_open(ledger, "demo/sample"))
    assert not closing.waiting
    holding = ledger.state("demo/sample", BTC)
    assert (holding.pending, holding.account.blocked_side) == ((), -1)


# The demo account in real time


@pytest.mark.parametrize("account", [LONG, SHORT])
def test_the_demo_account_is_closed_at_once_at_the_latest_price(ledger, state, market, account):
    row = put(ledger, "demo/alpaca", account, slippage_bps=100.0, fee=0.01)
    close = close_immediately(ledger, row, market(price=110.0))
    (closing,) = close_all(state, row.name, (BTC,), close)
    side = account.side
    price = 110.0 * (1 - side * 0.01)
    assert [(fill.at, fill.side, fill.price, fill.reason) for fill in closing.result.fills] == [
        (HOUR, -side, pytest.approx(price), "close")
    ]
    after = ledger.state("demo/alpaca", BTC).account
    assert (after.side, after.quantity, after.blocked_side) == (0, 0.0, side)
    assert after.cash == pytest.approx(account.cash + side * 10 * price - 0.01 * 10 * price)
    assert ledger.trades("demo/alpaca", BTC) == closing.result.trades
    assert ledger.fills("demo/alpaca", BTC) == closing.result.fills
    assert closable(ledger, "demo/alpaca", None) == ()


def test_a_trade_older_than_the_last_bar_is_no_price(ledger, state, random_bars, market):
    row = put(ledger, "demo/alpaca", LONG)
    (closing,) = close_all(
        state, row.name, (BTC,), close_immediately(ledger, row, market(price=7.0, at=HOUR - 9))
    )
    assert closing.result.fills[0].price == float(random_bars(30).close[-1])


def test_what_is_too_little_to_sell_stays_and_is_an_error(ledger, state, market):
    row = put(ledger, "demo/alpaca", LONG._replace(quantity=0.001), venue="alpaca")
    (closing,) = close_all(state, row.name, (BTC,), close_immediately(ledger, row, market(price=100.0)))
    assert "0.001 BTC are still held" in closing.error.what
    assert ledger.state("demo/alpaca", BTC).account.side == 1


def test_without_a_price_nothing_is_closed_and_the_next_ticker_goes_on(ledger, state, market):
    for ticker in (BTC, ETH):
        row = put(ledger, "demo/alpaca", LONG, ticker=ticker)
    here, away = close_immediately(ledger, row, market(price=1.0)), close_immediately(ledger, row, Away())
    failed, done = close_all(
        state, row.name, (BTC, ETH), lambda ticker: (away if ticker == BTC else here)(ticker)
    )
    assert failed.error.exit_code == 3
    assert (done.error, len(done.result.fills)) == (None, 1)
    assert ledger.state("demo/alpaca", BTC).account == LONG


def test_a_ticker_that_another_process_acts_on_is_waited_for(ledger, state, market):
    row = put(ledger, "demo/alpaca", LONG)
    close = close_immediately(ledger, row, market(price=1.0))
    with locked(state, row.name, BTC):
        waiting = threading.Thread(target=close_all, args=(state, row.name, (BTC,), close))
        waiting.start()
        waiting.join(0.2)
        assert ledger.state("demo/alpaca", BTC).account == LONG
    waiting.join(10)
    assert ledger.state("demo/alpaca", BTC).account.side == 0


# An account at a broker


@pytest.fixture
def server():
    with AlpacaTradingServer(prices={"BTC/USD": 100, "ETH/USD": 100}, cash=0) as running:
        running.date, running.clock = NOW, lambda: NOW
        yield running


@pytest.fixture
def closing_at_broker(ledger, server, market):
    def make(row, *, source=None):
        broker = AlpacaBroker(
            api_key=SecretStr(KEY),
            secret_key=SecretStr(SECRET),
            paper=True,
            url=server.url,
            limits=HttpLimits(total=10, attempts=2, first_wait=0.01, max_wait=0.01),
            clock=lambda: NOW,
            sleep=lambda _: None,
        )
        return close_at_broker(
            ledger, row, broker, source or market(price=100.0), clock=lambda: NOW, sleep=lambda _: None
        )

    return make


def test_a_position_at_the_broker_is_sold_and_not_entered_again(ledger, state, server, closing_at_broker):
    server.set_position("BTC/USD", 10)
    row = put(ledger, PAPER, LONG)
    (closing,) = close_all(state, PAPER, (BTC,), closing_at_broker(row))
    assert closing.error is None
    assert server.held("BTC/USD") == 0
    (order,) = ledger.orders(PAPER, BTC)
    assert (order.leg, order.stage, order.reason, order.bar) == ("close-1", OrderStatus.FILLED, "close", HOUR)
    after = ledger.state(PAPER, BTC).account
    assert (after.side, after.blocked_side) == (0, 1)
    assert after.cash == pytest.approx(1000 * 0.9975)  # the fee of Alpaca, whatever the run said
    assert closable(ledger, PAPER, None) == ()


def test_no_more_is_sold_than_the_ledger_has_opened(ledger, state, server, closing_at_broker):
    server.set_position("BTC/USD", 25)
    (closing,) = close_all(state, PAPER, (BTC,), closing_at_broker(put(ledger, PAPER, LONG)))
    assert server.held("BTC/USD") == 15
    assert any("did not open: left alone" in note for note in closing.result.notes)


def test_what_a_partial_fill_leaves_is_an_error_and_the_next_close_sells_it(
    ledger, state, server, closing_at_broker
):
    server.set_position("BTC/USD", 10)
    row = put(ledger, PAPER, LONG)
    server.fates.append(partly(0.4))
    (closing,) = close_all(state, PAPER, (BTC,), closing_at_broker(row))
    assert closing.result.fills[0].quantity == 4
    assert "6 BTC are still held" in closing.error.what
    (closing,) = close_all(state, PAPER, closable(ledger, PAPER, None), closing_at_broker(row))
    assert closing.error is None
    assert [order.leg for order in ledger.orders(PAPER, BTC)] == ["close-1", "close-2"]
    assert server.held("BTC/USD") == 0


def test_a_refused_sale_is_an_error_in_the_brokers_words(ledger, state, server, closing_at_broker):
    server.set_position("BTC/USD", 10)
    row = put(ledger, PAPER, LONG)
    server.fail(status(403, '{"code": 40310000, "message": "the market is on holiday"}'))
    (closing,) = close_all(state, PAPER, (BTC,), closing_at_broker(row))
    assert isinstance(closing.error, BrokerError)
    assert "the market is on holiday" in closing.error.what
    assert ledger.state(PAPER, BTC).account.side == 1


def test_an_entry_whose_end_nobody_knew_is_found_and_sold(ledger, state, server, closing_at_broker):
    row = put(ledger, PAPER, SubAccount.open(1000.0))
    waiting = OrderRecord(
        client_order_id="cr-1",
        ticker=BTC,
        bar=HOUR,
        leg="enter",
        side=1,
        notional=500.0,
        quantity=None,
        reason="entry",
        sent_at=NOW.isoformat(),
    )
    with ledger.transaction(PAPER, BTC) as writer:
        writer.add_intent(waiting)
    server.cash = 1000
    request = OrderRequest(client_order_id="cr-1", ticker=BTC, side=1, notional=500.0)
    AlpacaBroker(
        api_key=SecretStr(KEY),
        secret_key=SecretStr(SECRET),
        paper=True,
        url=server.url,
        limits=HttpLimits(),
        clock=lambda: NOW,
        sleep=lambda _: None,
    ).submit(request)
    assert closable(ledger, PAPER, None) == (BTC,)
    (closing,) = close_all(state, PAPER, (BTC,), closing_at_broker(row))
    assert (closing.error, [fill.side for fill in closing.result.fills]) == (None, [1, -1])
    assert server.held("BTC/USD") == pytest.approx(0, abs=1e-8)


def test_positions_are_sold_even_where_nobody_tells_their_price(ledger, state, server, closing_at_broker):
    server.set_position("BTC/USD", 10)
    row = put(ledger, PAPER, LONG)
    (closing,) = close_all(state, PAPER, (BTC,), closing_at_broker(row, source=Away()))
    assert closing.error is None
    assert server.held("BTC/USD") == 0
    assert any("The last close of the ledger, 100.00, stood in" in note for note in closing.result.notes)
    assert closing.result.fills[0].at == HOUR


def test_one_ticker_in_trouble_does_not_hold_up_the_others(ledger, state, server, closing_at_broker):
    for ticker in (BTC, ETH):
        server.set_position(str(ticker), 10)
        row = put(ledger, PAPER, LONG, ticker=ticker)
    server.assets["BTC/USD"]["tradable"] = False
    failed, done = close_all(state, PAPER, (BTC, ETH), closing_at_broker(row))
    assert "does not trade BTC/USD" in failed.error.what
    assert done.error is None
    assert (server.held("BTC/USD"), server.held("ETH/USD")) == (10, 0)


def test_the_keys_of_another_account_sell_nothing(ledger, server, closing_at_broker):
    row = put(ledger, "paper/another", LONG)
    server.set_position("BTC/USD", 10)
    with pytest.raises(BrokerError, match="keys belong to paper/904837e3") as caught:
        closing_at_broker(row)
    assert caught.value.exit_code == 5
    assert server.posted == []


# What can be closed


def test_only_what_holds_or_may_hold_something_is_closed(ledger):
    put(ledger, "demo/sample", LONG, ticker=BTC)
    put(ledger, "demo/sample", SubAccount.open(1.0), ticker=ETH)
    assert closable(ledger, "demo/sample", None) == (BTC,)
    assert closable(ledger, "demo/sample", (ETH, Ticker("SOL", "USD"))) == ()
    with pytest.raises(UsageError, match="is a replay"):
        require_closable("replay/1a2b")
    require_closable("paper/1a2b")


# Resuming after a drawdown


def test_resuming_restarts_the_peak_of_what_was_halted_and_of_nothing_else(ledger, state):
    halted = LONG._replace(halted=True, peak_equity=2000.0)
    put(ledger, "demo/alpaca", halted, ticker=BTC)
    put(ledger, "demo/alpaca", LONG._replace(peak_equity=1500.0), ticker=ETH)
    put(ledger, PAPER, halted)
    assert resume_tickers(ledger, state, "demo/alpaca", (BTC, ETH)) == {BTC: 1000.0}
    holdings = {ticker: holding.account for ticker, holding in ledger.states("demo/alpaca").items()}
    assert holdings == {BTC: LONG, ETH: LONG._replace(peak_equity=1500.0)}
    assert ledger.state(PAPER, BTC).account == halted
    assert resume_tickers(ledger, state, "demo/alpaca", (BTC, ETH)) == {}


def test_dust_that_rounding_leaves_is_no_error(ledger, state, market):
    row = put(ledger, "demo/alpaca", LONG._replace(quantity=10.0000000001), venue="alpaca")
    (closing,) = close_all(state, row.name, (BTC,), close_immediately(ledger, row, market(price=100.0)))
    (fill,) = closing.result.fills
    assert fill.quantity == 10.0
    assert (closing.sub_account.side, closing.sub_account.quantity) == (0, pytest.approx(1e-10, rel=1e-3))


# Until flat


def test_panic_tries_again_until_everything_is_sold_and_says_what_is_new(
    ledger, state, server, closing_at_broker
):
    server.set_position("BTC/USD", 10)
    row = put(ledger, PAPER, LONG)
    server.fates += [partly(0.4), partly(0.5)]
    server.fail(status(503), on="GET /v2/account", times=4)
    waits, reported = [], []
    results = close_until_flat(
        ledger, state, PAPER, lambda: closing_at_broker(row), sleep=waits.append, report=reported.append
    )
    assert server.held("BTC/USD") == 0
    assert [result.error for result in results] == [None]
    assert waits == sorted(waits)
    assert len(waits) >= 3, "one failed answer and two parts"
    assert [bool(result.result.fills) for result in reported] == [False, True, True, True]


def test_panic_has_nothing_to_wait_for_in_an_empty_account(ledger, state, server, closing_at_broker):
    row = put(ledger, PAPER, SubAccount.open(1000.0))
    close = closing_at_broker
    assert close_until_flat(ledger, state, PAPER, lambda: close(row), sleep=None, report=None) == []


def test_panic_leaves_what_waits_for_the_next_open_to_the_next_run(ledger, state):
    put(ledger, "demo/sample", LONG)
    closer = lambda: close_at_next_open(ledger, "demo/sample")  # noqa: E731
    (result,) = close_until_flat(ledger, state, "demo/sample", closer, sleep=None, report=lambda _: None)
    assert result.waiting
