"""Two weeks of one account at the played exchange, with whatever a test plants in them, and its reconciliation.

with AccountLife(tmp_path, slippage=12, missed=(40, 41, 90)) as life:
    life.trade()
    found = life.reconcile()
    life.worth()           # of the account at the exchange, which knows nothing of causes
"""

from __future__ import annotations

from decimal import Decimal

from pydantic import SecretStr
from support.alpaca_orders import filled, partly
from support.alpaca_trading_server import KEY, SECRET, AlpacaTradingServer
from support.crash_test_world import FIRST, PRICES, wavy_bars
from support.fake_clock_loop import LIMITS, PassingHours
from support.stub_models import BTC, planted_model

from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.hours import to_datetime
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.signals.conditions import SignalRules
from crypto_refactor.trading import kill_switch
from crypto_refactor.trading.account_names import REALTIME_DEMO
from crypto_refactor.trading.brokers.alpaca import AlpacaBroker
from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.realtime.accounts import BrokerAccount, DemoAccount
from crypto_refactor.trading.realtime.hourly_pass import HourlyPass
from crypto_refactor.trading.reconciliation.reconcile import Means, reconcile_account
from crypto_refactor.trading.session import about

HOURS = 14 * 24
NAME = "paper/904837e3-3b76-47ec-b432-046db621571b"
SETTINGS = ModelSettings(lookback=12, train_hours=240, refit_every=24, network="small")
SIGNALS = SignalRules(min_confirmations=0)
BALANCE = 10_000.0
MONEY = Decimal(100_000)


def fits(jobs, settings, on_progress, *, workers=None, cluster=None):
    """Train models that disagree: each one follows the trend or fades it, by its cut-off."""
    for position, job in enumerate(jobs):
        follows = job.trained_through // settings.refit_every % 3 == 0
        yield position, planted_model(job, settings, gain=20.0 if follows else -20.0)


class NeverTrained:
    """A trainer that does not come to an end."""

    def begin(self, key, job):
        """Begin, and never end."""

    def failure(self, key):
        return None


class _Fates(list):
    """Decides what becomes of each order when it arrives."""

    def __init__(self, choose):
        super().__init__([None])
        self._choose = choose

    def pop(self, index=0):
        return self._choose


class AccountLife(PassingHours):
    """See the module's text; hours count from the first one that is traded.

    Parameters
    ----------
    late_model : collection of int
        Hours in which no new model is trained.
    revised : dict of int to float
        How far off the close of a bar was, as a fraction, before it was revised two hours later.
    missed : collection of int
        Hours in which no process runs.
    halted : collection of int
        Hours in which entries are halted.
    sold : dict of int to float
        Part of the position that a person sells at Alpaca's own page half an hour later.
    partial : dict of int to float
        Part of the orders of an hour that is filled.
    delayed : collection of int
        Hours whose decision is made twelve minutes late, at a price 30 bp higher.
    slippage : float
        Basis points against the trader.
    fee : str
        What the exchange charges; 0.25 % is assumed.
    withheld : collection of int
        Hours whose bar comes an hour late, so that nothing but a protection can act.
    rules : mapping
        Execution options beside those of the exchange.
    demo : dict or None
        Execution options of a demo account in place of the one at the exchange.
    """

    def __init__(
        self,
        folder,
        *,
        hours=HOURS,
        late_model=(),
        revised=None,
        missed=(),
        halted=(),
        sold=None,
        partial=None,
        delayed=(),
        slippage=0.0,
        fee="0.0025",
        demo=None,
        withheld=(),
        **rules,
    ):
        super().__init__({BTC: wavy_bars(BTC, 0, PRICES["BTC"], hours + 2)}, folder)
        self.hours, self.late_model, self.missed, self.halted = hours, late_model, missed, halted
        self.revised, self.sold, self.partial = revised or {}, sold or {}, partial or {}
        self.delayed, self.slippage, self.demo = delayed, slippage, demo
        self.withheld, self.rules = withheld, rules
        self.late = {(BTC, FIRST + hour): 3600.0 for hour in withheld}
        self._process = None
        self.exchange = AlpacaTradingServer(cash=MONEY, fee=Decimal(fee))
        self.exchange.clock = lambda: self.now
        self.exchange.fates = _Fates(self._fate)
        self.exchange.prices["BTC/USD"] = 0

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        super().__enter__()
        self.exchange.__enter__()
        return self

    def __exit__(self, *details):
        self.exchange.__exit__(*details)
        super().__exit__(*details)

    def _show(self, instant):
        super()._show(instant)
        self.exchange.date = instant
        if hasattr(self, "exchange") and BTC in self._all:
            price = self.server.trades["BTC/USD"]["p"]
            self.exchange.prices["BTC/USD"] = Decimal(repr(price * (1.003 if self.now.minute == 12 else 1)))

    def _fate(self, exchange, order):
        price = exchange.prices["BTC/USD"]
        own = order.client_order_id.startswith("cr-")
        if own and self.slippage:
            side = 1 if order.side == "buy" else -1
            exchange.prices["BTC/USD"] = price * (1 + side * Decimal(str(self.slippage)) / 10_000)
        hour = int((self.now - to_datetime(FIRST)).total_seconds() // 3600)
        part = self.partial.get(hour) if own else None
        (filled if part is None else partly(part))(exchange, order)
        exchange.prices["BTC/USD"] = price

    def broker(self):
        return AlpacaBroker(
            api_key=SecretStr(KEY),
            secret_key=SecretStr(SECRET),
            paper=True,
            url=self.exchange.url,
            limits=LIMITS,
            clock=self.clock,
            sleep=self.sleep,
        )

    def trade(self):
        """Trade every hour, each as what was planted in it allows."""
        for hour in range(self.hours):
            close = FIRST + hour
            self._plant_bars(hour)
            self.start(close, seconds=720 if hour in self.delayed else 7)
            if hour in self.halted and hour - 1 not in self.halted:
                kill_switch.halt(self.folder / "state", at="2024-03-01T00:00:00Z", why="planted")
            elif hour not in self.halted and hour - 1 in self.halted:
                kill_switch.lift_halt(self.folder / "state")
            if hour not in self.missed:
                self._pass(hour, close)
            if hour in self.sold:
                self.start(close, seconds=1800)
                held = self.exchange.held("BTC/USD")
                if held:
                    self.exchange.sell_by_hand("BTC/USD", held * self.sold[hour])

    def _plant_bars(self, hour):
        for at, off in self.revised.items():
            closed = FIRST + at
            row = next(row for close, row in self._all[BTC] if close == closed)
            if hour == at:
                self._true = dict(row)
                close = row["c"] * (1 + off)
                row.update(c=close, h=max(row["h"], close), l=min(row["l"], close))
            elif hour == at + 2:
                row.update(self._true)
                self._process = None

    def _pass(self, hour, close):
        self._worth = self._value(close)
        late = hour in self.late_model
        if self._process is None or late or hour - 1 in self.late_model:
            self._process = self._started(NeverTrained() if late else None)
        done = self._process.run((BTC,), close)
        assert bool(done.errors) == (hour in self.withheld), done.errors

    def _started(self, trainer):
        """Return what a process is that has just been started."""
        ledger, session = self.ledger, self.life_session()
        account = (
            BrokerAccount(session, ledger, NAME, self.broker(), self.notes.append)
            if self.demo is None
            else DemoAccount(session, ledger, REALTIME_DEMO)
        )
        ledger.prepare_account(account.name, self.now.isoformat(), about(session))
        return HourlyPass(session, ledger, account, trainer=trainer, observer=self)

    def life_session(self):
        # Without the store, revised bars are read anew, as they are from one that is a day older.
        for name in ("bars.sqlite", "bars.sqlite-wal", "bars.sqlite-shm"):
            (self.folder / name).unlink(missing_ok=True)
        return self.session(
            settings=SETTINGS,
            signal_rules=SIGNALS,
            options=ExecutionOptions(
                **({"venue": "alpaca", "max_drawdown": 1.0} | self.rules if self.demo is None else self.demo)
            ),
            initial_balance=BALANCE,
        )

    def reconcile(self, *, stored=None, **options):
        self.start(FIRST + self.hours, seconds=1)
        (row,) = self.ledger.accounts()
        means = Means(
            source=lambda segment: self.life_session().source,
            models=lambda segment: ModelProvider(folder=self.folder / "models", settings=segment.settings),
            broker=self.broker() if self.demo is None else None,
            now=self.now,
            stored=None if stored is None else lambda _: stored,
        )
        return reconcile_account(Ledger(self.folder / "state" / "ledger.sqlite"), row, means, **options)

    def worth(self):
        """Return what the account has become, by the exchange alone, at the last close, before what was decided there."""
        return self._worth

    def _value(self, close):
        price = next(row["c"] for closed, row in self._all[BTC] if closed == close)
        return float(self.exchange.cash - MONEY) + BALANCE + self.exchange.held("BTC/USD") * price
