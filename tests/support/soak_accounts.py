"""What a soak left behind: the ledger held against the exchange, with everything counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from support.alpaca_trading_server import ORDERS
from support.crash_test_world import MONEY
from support.soak_trader import BALANCE

from crypto_refactor.trading.account_names import ledger_of
from crypto_refactor.trading.ledger.order_record import OrderStatus

TOLERANCE = 1e-6


@dataclass
class Reckoning:
    """What fits and what does not.

    Attributes
    ----------
    counts : Counter
        Orders, fills, trades, decisions, exits that were sent while nothing could be recorded.
    lost, doubled, disowned, misbooked : list of str
        Orders that the ledger does not know; entries of one bar that were made twice; coins or orders in the account
        that the ledger has no part in; whatever else differs.
    """

    counts: Counter = field(default_factory=Counter)
    lost: list = field(default_factory=list)
    doubled: list = field(default_factory=list)
    disowned: list = field(default_factory=list)
    misbooked: list = field(default_factory=list)

    @property
    def faults(self):
        return [*self.lost, *self.doubled, *self.disowned, *self.misbooked]


def reckon(world):
    """Hold the ledger of `world` against its exchange."""
    ledger = ledger_of(world.folder / "state")
    (account,) = (row.name for row in ledger.accounts())
    found = Reckoning()
    for ticker in world.tickers:
        _reckon_ticker(found, world.exchange, ledger, account, ticker)
    states = ledger.states(account)
    opened = sum(ledger.opening(account, ticker).balance for ticker in states)
    gained = sum(state.account.cash for state in states.values()) - opened
    spent = float(world.exchange.cash) - MONEY
    if abs(gained - spent) > TOLERANCE:
        found.misbooked.append(f"{gained} was earned by the ledger, {spent} at the exchange")
    if len(states) == len(world.tickers) and abs(opened - BALANCE) > TOLERANCE:
        found.misbooked.append(f"{opened} was allotted, {BALANCE} was meant")
    arrived = sum(request.line == ORDERS for request in world.exchange.requests)
    found.counts["orders refused or sent again under their id"] = arrived - len(world.exchange.orders)
    found.counts["orders at the exchange"] = len(world.exchange.orders)
    return found


def _reckon_ticker(found, exchange, ledger, account, ticker):
    here = {order.client_order_id: order for order in ledger.orders(account, ticker)}
    there = {order.client_order_id: order for order in exchange.orders if order.symbol == str(ticker)}
    found.counts["decisions"] += len(ledger.decisions(account, ticker))
    found.counts["fills"] += len(ledger.fills(account, ticker))
    found.counts["trades"] += len(ledger.trades(account, ticker))
    for name, order in here.items():
        _reckon_order(found, order, there.get(name))
    external = ledger.booked_external_sales(account)
    for name in there.keys() - here.keys():
        _reckon_unrecorded(found, there[name], external, ledger.order_suffix(account))
    entries = Counter(
        order.client_order_id.split("-enter")[0]
        for order in there.values()
        if order.side == "buy" and order.filled_qty
    )
    found.doubled += [f"{name} was entered {count} times" for name, count in entries.items() if count > 1]
    state = ledger.state(account, ticker)
    quantity, held = (state.account.quantity if state else 0.0), exchange.held(str(ticker))
    if abs(quantity - held) > TOLERANCE:
        found.disowned.append(f"{quantity} {ticker} in the ledger, {held} at the exchange")


def _reckon_order(found, order, there):
    filled = 0.0 if there is None else float(there.filled_qty)
    if order.stage is OrderStatus.UNSETTLED:
        found.misbooked.append(f"{order.client_order_id} is unsettled")
    elif abs(order.filled_quantity - filled) > TOLERANCE:
        found.misbooked.append(
            f"{order.client_order_id} is {order.stage} with {order.filled_quantity}, at the exchange {filled}"
        )
    found.counts[f"orders {order.stage.value}"] += 1


def _reckon_unrecorded(found, there, external, suffix):
    name, filled = there.client_order_id, float(there.filled_qty)
    if there.side == "buy" or not name.endswith(suffix):
        found.lost.append(f"{name} is not in the ledger")
    elif abs(external.get(there.id, 0.0) - filled) > TOLERANCE:
        found.lost.append(f"{name} sold {filled}, of which {external.get(there.id, 0.0)} is booked")
    else:
        found.counts["exits sent while nothing could be recorded"] += 1
