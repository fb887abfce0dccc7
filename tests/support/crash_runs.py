"""Runs that are killed again and again, and what they came to, held against one that was left alone."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import asdict, dataclass, field

from support.alpaca_trading_server import ORDERS
from support.crash_test_trader import BALANCE, POINTS, UNSETTLED
from support.crash_test_world import FIRST, HOURS, MONEY, TICKERS, TradingWorld

from crypto_refactor.trading.account_names import ledger_of
from crypto_refactor.trading.ledger.order_record import OrderStatus

ANY_MOMENT = "any moment"
"""A kill from outside, after a random delay."""
AT_RECOVERY = ("looking", "found")
_ORDER = ("client_order_id", "symbol", "side", "notional", "qty", "filled_qty", "filled_avg_price", "status")
_STARTING_SECONDS = 1.5
_HOUR_SECONDS = 0.1


@dataclass(kw_only=True)
class Result:
    """What a run left behind at the exchange and in the ledger.

    Attributes
    ----------
    orders : list of dict
        The exchange's, in order of arrival.
    ledger : dict of str to dict
        By ticker, without what depends on the second something was done in.
    faults : list of str
        What does not fit together within this run.
    kills : Counter
        How often the run was killed at each point.
    sent_again : int
        Orders that arrived once more under an id that was used before, and were refused.
    """

    orders: list
    ledger: dict
    faults: list
    kills: Counter = field(default_factory=Counter)
    sent_again: int = 0


def plan(rng, kills):
    """Return the points of so many deaths, every point among them if there are enough."""
    chains = [[point] for point in (*POINTS, ANY_MOMENT, ANY_MOMENT) if point not in AT_RECOVERY]
    chains += [[rng.choice(UNSETTLED), point] for point in AT_RECOVERY]
    single = [chain for chain in chains if len(chain) == 1]
    while sum(map(len, chains)) < kills:
        chains.append(rng.choice(single))
    rng.shuffle(chains)
    return [point for chain in chains for point in chain][:kills]


def killed_run(folder, seed, kills, reference):
    """Trade all hours with so many kills in between."""
    rng = random.Random(seed)
    counted = Counter()
    with TradingWorld(folder) as world:
        points = plan(rng, kills)
        for position, point in enumerate(points):
            to_come = len(reference.orders) - len(world.exchange.orders)
            # A death uses up to `most` orders, or hours of two orders each: enough are left for the others.
            most = max(1, to_come // (2 * (len(points) - position)))
            if _die(world, point, most, rng):
                counted[point] += 1
        assert world.run() == 0
        return _result(world, counted)


def _die(world, point, most, rng):
    """Start a process, kill it at `point`; whether it died before the last hour was over."""
    if point == ANY_MOMENT:
        return _die_at_any_moment(world, rng.randrange(most), rng)
    passages = 1 if point in AT_RECOVERY else rng.randint(1, most)
    return world.run(f"{point}:{passages}") != 0


def _die_at_any_moment(world, ahead, rng):
    last = min(world.hour + ahead, FIRST + HOURS - 2)  # in its last hour a process may end before it dies
    seconds = rng.uniform(0, _HOUR_SECONDS if ahead else _STARTING_SECONDS)
    world.hold(last)
    trader = world.trader()
    trader.start()
    world.wait_for(last)
    time.sleep(seconds)
    trader.kill()
    code = trader.wait()
    world.hold(None)
    return code != 0


def undisturbed_run(folder, *, processes=1):
    """Trade all hours with so many processes at once, and let them live."""
    return run_at_once(folder, [None] * processes)


def run_at_once(folder, deaths):
    """Trade all hours with a process for each of `deaths`, ``point:n`` or None, all at once."""
    with TradingWorld(folder) as world:
        traders = [world.trader(death) for death in deaths]
        for trader in traders:
            trader.start()
        codes = [trader.wait() for trader in traders]
        if all(codes):
            assert world.run() == 0
        died = (death.partition(":")[0] for death, code in zip(deaths, codes, strict=True) if code)
        return _result(world, Counter(died))


def lost(result, reference):
    """Return the ids of the orders that the reference sent and the run did not."""
    return sorted((_ids(reference) - _ids(result)).elements())


def beyond(result, reference):
    """Return the ids of the orders that the run sent beyond those of the reference."""
    return sorted((_ids(result) - _ids(reference)).elements())


def differences(result, reference):
    """Return in words what a run came to that the reference did not, and what is wrong in itself."""
    found = list(result.faults)
    found += [f"order {own_id} was lost" for own_id in lost(result, reference)]
    found += [f"order {own_id} was never meant" for own_id in beyond(result, reference)]
    if result.orders != reference.orders:
        found.append(f"orders differ: {_first(result.orders, reference.orders)}")
    for ticker, tables in reference.ledger.items():
        for name, rows in tables.items():
            got = result.ledger[ticker][name]
            if got != rows:
                found.append(f"{name} of {ticker} differ: {_first(got, rows)}")
    return found


def _ids(result):
    return Counter(order["client_order_id"] for order in result.orders)


def _first(got, wanted):
    pairs = ((row, other) for row, other in zip(got, wanted, strict=False) if row != other)
    row, other = next(pairs, (f"{len(got)} rows", f"{len(wanted)} rows"))
    return f"{row}, not {other}"


def _result(world, kills):
    # Whoever comes after the end finds nothing to do, but to take over how the exchange rounded its last fee.
    assert world.run() == 0
    ledger = ledger_of(world.folder / "state")
    (account,) = (row.name for row in ledger.accounts())
    orders = [_order(order) for order in world.exchange.orders]
    arrived = sum(request.line == ORDERS for request in world.exchange.requests)
    tables = {str(ticker): _tables(ledger, account, ticker) for ticker in TICKERS}
    return Result(
        orders=orders,
        ledger=tables,
        faults=_faults(world, ledger, account),
        kills=kills,
        sent_again=arrived - len(orders),
    )


def _leg(own_id):
    """Return an order's id without the token of its ledger, which no other ledger has."""
    return own_id.rpartition("-")[0]


def _order(order):
    return {name: getattr(order, name) for name in _ORDER} | {"client_order_id": _leg(order.client_order_id)}


def _tables(ledger, account, ticker):
    orders = [
        {**asdict(order), "client_order_id": _leg(order.client_order_id), "decided_at": None, "sent_at": None}
        for order in ledger.orders(account, ticker)
    ]
    return {
        "decisions": ledger.decisions(account, ticker),
        "orders": orders,
        "fills": list(ledger.fills(account, ticker)),
        "trades": list(ledger.trades(account, ticker)),
        "equity": ledger.equity(account, ticker),
        "models": sorted(ledger.models(account, ticker).items()),
        "holding": [ledger.state(account, ticker)],
    }


def _faults(world, ledger, account):
    """Hold the ledger against the exchange."""
    found = [fault for ticker in TICKERS for fault in _ticker_faults(world.exchange, ledger, account, ticker)]
    cash = sum(holding.account.cash for holding in ledger.states(account).values())
    spent = float(world.exchange.cash) - MONEY
    if abs(cash - BALANCE - spent) > 1e-6:
        found.append(f"{cash - BALANCE} was earned by the ledger, {spent} at the exchange")
    return found


def _ticker_faults(exchange, ledger, account, ticker):
    orders = ledger.orders(account, ticker)
    arrived = [order for order in exchange.orders if order.symbol == str(ticker)]
    found = [
        f"order {row.client_order_id} is unsettled" for row in orders if row.stage is OrderStatus.UNSETTLED
    ]
    ids, there = ([order.client_order_id for order in each] for each in (orders, arrived))
    if ids != there:
        found.append(f"orders of {ticker} are not the exchange's: {_first(ids, there)}")
    fills = [(fill.side, fill.quantity, fill.price) for fill in ledger.fills(account, ticker)]
    executed = [
        (1 if order.side == "buy" else -1, float(order.filled_qty), float(order.filled_avg_price))
        for order in arrived
        if order.filled_qty
    ]
    if fills != executed:
        found.append(f"fills of {ticker} are not the exchange's: {_first(fills, executed)}")
    quantity, held = ledger.state(account, ticker).account.quantity, exchange.held(str(ticker))
    if abs(quantity - held) > 1e-9:  # the exchange rounds what it pays out down to nine decimals
        found.append(f"{quantity} {ticker} in the ledger, {held} at the exchange")
    decided = [row["bar"] for row in ledger.decisions(account, ticker)]
    if decided != list(range(FIRST, FIRST + HOURS)):
        found.append(f"{ticker} was decided at {len(decided)} bars of {HOURS}")
    return found
