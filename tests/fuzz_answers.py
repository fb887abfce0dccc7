"""Answer what the tool asks with hostile JSON and look at what it books: ``make fuzz``.

Each case is one act of an account at a played Alpaca: one answer, or every answer to one kind of request, is changed
in one place.  Then the truth is told again, and two further acts must leave the ledger equal to the exchange.  Exit
code 1 if anything is booked wrongly or doubled, ends in a traceback or takes too long.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from support.alpaca_data_server import AlpacaDataServer
from support.alpaca_orders import filled, growing, late, partly, race
from support.alpaca_trading_server import AlpacaTradingServer
from support.broker_harness import BALANCE, NAME, Desk
from support.hostile_answers import hostile

from crypto_refactor.errors import CryptoRefactorError, DataError
from crypto_refactor.market.hours import to_datetime
from crypto_refactor.market.sources.alpaca import AlpacaSource
from crypto_refactor.trading.ledger.order_record import OrderStatus
from crypto_refactor.trading.orders.account_review import unmanaged_holdings
from crypto_refactor.trading.realtime.prices import current_price
from crypto_refactor.transport.session import HttpLimits

MONEY = 100_000.0
LIMITS = HttpLimits(connect=5, read=5, total=15, attempts=2, first_wait=0.01, max_wait=0.01)
TOO_LONG = 30.0
"""Real seconds for one act, on however busy a machine."""
A_DESK = 25
"""Cases of one ledger; another one begins after them, or after a failure."""
_TOLERANCE = 1e-6
TRADING = {
    "account": "GET /v2/account",
    "assets": "GET /v2/assets",
    "position": "GET /v2/positions/*",
    "positions": "GET /v2/positions",
    "list of orders": "GET /v2/orders",
    "activities": "GET /v2/account/activities",
    "new order": "POST /v2/orders",
    "order": "GET /v2/orders:by_client_order_id",
}
DATA = ("bars", "latest/trades", "latest/quotes")
FATES = (filled, filled, late(), partly(0.6), growing(0.5), race())


class Account(Desk):
    """A desk whose bars and prices come from a data server."""

    def __init__(self, server, data, folder):
        self.data = data
        super().__init__(server, folder, limits=LIMITS)
        self.current_price = current_price(self._source(), self.clock)

    def _source(self):
        return AlpacaSource(
            self.folder / "bars.sqlite", url=self.data.url, limits=LIMITS, clock=self.clock, sleep=self.sleep
        )

    def at(self, hour, price=None, *, seconds=7):
        super().at(hour, price, seconds=seconds)
        symbol, close = str(self.ticker), self.closes[hour]
        for past in range(hour - 90, hour):
            self.closes.setdefault(past, close)
        self.data.offer(super().bars)
        self.tell()
        stamp = f"{to_datetime(hour):%Y-%m-%dT%H:%M}:03Z"
        self.data.trades = {symbol: {"t": stamp, "p": close, "s": 0.1}}
        self.data.quotes = {symbol: {"t": stamp, "bp": close * 0.9999, "ap": close * 1.0001}}
        return self

    def tell(self):
        self.data.date = self.server.date = self.now

    def sleep(self, seconds):
        super().sleep(seconds)
        self.tell()

    @property
    def bars(self):
        bars = self._source().bars(self.ticker, self.hour - 80, self.hour)
        if int(bars.closed[-1]) != self.hour:
            raise DataError("The bar is not there yet.", expected="it.", remedy="wait.")
        return bars

    def act(self, signal):
        unmanaged_holdings(self.broker(), self.ledger, NAME, [self.ticker], self.clock())
        return super().act(signal)

    def differences(self):
        """Return in words where ledger and exchange differ."""
        quantity, held = (self.account.quantity if self.holding else 0.0), self.held()
        found = [] if abs(quantity - held) <= _TOLERANCE else [f"{quantity} coins here, {held} there"]
        gained = self.account.cash - BALANCE if self.holding else 0.0
        spent = float(self.server.cash) - MONEY
        if abs(gained - spent) > _TOLERANCE:
            found.append(f"{gained} earned here, {spent} there")
        here = {order.client_order_id: order for order in self.orders}
        for order in self.server.orders:
            own = here.get(order.client_order_id)
            if own is None and order.client_order_id.startswith("cr-"):
                found.append(f"{order.client_order_id} is not in the ledger")
            elif own is not None and abs(own.filled_quantity - float(order.filled_qty)) > _TOLERANCE:
                found.append(f"{own} has executed {order.filled_qty}")
        found += [f"{name} is unsettled" for name, own in here.items() if own.stage is OrderStatus.UNSETTLED]
        return found

    def doubled(self):
        """Return the bars that were entered twice."""
        entries = Counter(
            order.client_order_id.split("-enter")[0]
            for order in self.server.orders
            if order.side == "buy" and order.filled_qty
        )
        return [name for name, count in entries.items() if count > 1]


class Fuzzer:
    """Runs cases; see the module's text."""

    def __init__(self, folder, seed):
        self.folder, self.rng = folder, random.Random(seed)
        self.counts, self.failures = Counter(), []
        self.server = self.data = self.desk = None

    def run(self, cases):
        """Run so many cases, a few on each ledger."""
        for first in range(0, cases, A_DESK):
            with AlpacaTradingServer() as self.server, AlpacaDataServer() as self.data:
                self.desk = Account(self.server, self.data, self.folder / f"{first}")
                for number in range(first, min(first + A_DESK, cases)):
                    if not self.case(number):
                        break
        return self

    def case(self, number):
        """Run one case; whether the next one may follow on the same ledger."""
        self.counts["cases"] += 1
        where, told = self.rng.choice((*TRADING, *DATA)), []
        signal = self._situation(where)
        self._spoil(where, told)
        self._act(signal, where, told)
        self.server._faults.clear()
        self.server.fates.clear()
        self.data.chance = None
        self.desk.at(self.desk.hour, seconds=400)
        refused = self._act(signal, where, told, truth=True)
        self.desk.later()
        refused = self._act(signal, where, told, truth=True)
        wrong, doubled = self.desk.differences(), self.desk.doubled()
        self.counts["booked wrongly"] += bool(wrong or refused)
        self.counts["doubled"] += bool(doubled)
        if wrong or doubled or refused:
            self._fail(number, where, told, wrong + doubled + [refused or ""])
        return not (wrong or doubled or refused)

    def _situation(self, where):
        """Come to the next hour, in which there is something to ask; return the signal."""
        desk, rng = self.desk, self.rng
        held = desk.held() * desk.closes[desk.hour] > 20  # less may be too little to sell a part of it
        desk.later(round(desk.closes[desk.hour] * rng.choice((0.995, 1.0, 1.005)), 2))
        if held and (where == "activities" or rng.random() < 0.3):
            desk.server.sell_by_hand("BTC/USD", desk.held() * rng.choice((0.3, 0.6, 1)))
        if where == "latest/quotes" or rng.random() < 0.3:
            self.data.trades = {}  # so that a quote is asked for
        self.server.fates.append(rng.choice(FATES))
        return 0 if held and rng.random() < 0.8 else 1

    def _spoil(self, where, told):
        """Change one answer of a kind, or each."""
        rng, times = self.rng, self.rng.choice((1, 1, 60))

        def fault(handler, proceed):
            code, content = proceed()
            if code == 204:
                handler.answer(code, "")
                return
            text, what = hostile(rng, content)
            told.append(what)
            handler.answer(code, text.encode(errors="surrogatepass"))

        if where in DATA:
            left = [times]

            def chance(request):
                left[0] -= request.path.endswith(where)
                return fault if request.path.endswith(where) and left[0] >= 0 else None

            self.data.chance = chance
        else:
            self.server.fail(fault, on=TRADING[where], times=times)
        if where == "activities":  # asked only where the orders explain nothing
            self.server.fail(
                lambda handler, proceed: handler.answer(200, "[]"), on=TRADING["list of orders"], times=60
            )

    def _act(self, signal, where, told, *, truth=False):
        """Act once; return what was refused although the truth was told, None otherwise."""
        began = time.monotonic()
        try:
            self.desk.act(signal)
            outcome = None
        except CryptoRefactorError as error:
            outcome = error.what
        except Exception:  # noqa: BLE001 - what the fuzzer looks for
            self.counts["tracebacks"] += 1
            self._fail(self.counts["cases"], where, told, [traceback.format_exc()])
            outcome = "a traceback"
        if time.monotonic() - began > TOO_LONG:
            self.counts["hangs"] += 1
            self._fail(self.counts["cases"], where, told, ["it took too long"])
        if not truth:
            self.counts["refused" if outcome else "answered"] += 1
            self.counts[f"  {where}"] += bool(told)
        return outcome if truth else None

    def _fail(self, number, where, told, texts):
        self.failures.append("\n  ".join([f"case {number}, {where}: {told[:3]}", *filter(None, texts)]))


def fuzz(folder, seed, cases):
    """Return the fuzzer after so many cases."""
    return Fuzzer(folder, seed).run(cases)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        done = fuzz(Path(folder), given.seed, given.cases)
    for failure in done.failures[:20]:
        print(failure, "\n")
    wanted = ("booked wrongly", "doubled", "tracebacks", "hangs")
    for name, count in sorted(done.counts.items()):
        if name.startswith("  "):
            print(f"{count:>6} with a hostile answer to {name.strip()}")
    print(", ".join(f"{done.counts[name]} {name}" for name in ("cases", "refused", "answered", *wanted)))
    print(f"{time.monotonic() - began:.0f} seconds")
    return 1 if any(done.counts[name] for name in wanted) else 0


if __name__ == "__main__":
    sys.exit(main())
