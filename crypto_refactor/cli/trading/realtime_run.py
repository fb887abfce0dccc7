"""Runs that trade as time passes: one pass, or until stopped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

from crypto_refactor.cli.termination import Terminated
from crypto_refactor.cli.trading.request import AccountKind, TradingRequest
from crypto_refactor.cli.trading.run_outcome import RunOutcome
from crypto_refactor.cli.trading.screen import Screen
from crypto_refactor.cli.trading.service_manager import ServiceManager
from crypto_refactor.errors import (
    EXIT_FAULT,
    EXIT_INTERRUPTED,
    EXIT_OK,
    BrokerError,
    CryptoRefactorError,
)
from crypto_refactor.trading.account_names import LIVE, PAPER, broker_account, demo_account
from crypto_refactor.trading.brokers import UnreachableError
from crypto_refactor.trading.explanations import positions_in_words
from crypto_refactor.trading.interrupts import deferred_interrupts
from crypto_refactor.trading.ledger import LedgerUnavailableError
from crypto_refactor.trading.realtime.accounts import BrokerAccount, DemoAccount, TradingAccount
from crypto_refactor.trading.realtime.patience import Heartbeat, patient_answer
from crypto_refactor.trading.session import about
from crypto_refactor.trading.ticker_pool import as_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from crypto_refactor.cli.trading.account_page import AccountPage
    from crypto_refactor.execution.sub_account import SubAccount
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.brokers import Broker
    from crypto_refactor.trading.ledger import Ledger
    from crypto_refactor.trading.realtime.background_training import BackgroundTrainer
    from crypto_refactor.trading.realtime.loop import TradingLoop

T = TypeVar("T")


class RealtimeRun:
    """One run; `account` is None until it is known which account is traded."""

    def __init__(
        self,
        request: TradingRequest,
        ledger: Ledger,
        screen: Screen,
        manager: ServiceManager | None = None,
        *,
        page: AccountPage | None = None,
    ) -> None:
        self.request, self.session = request, request.session
        self.ledger, self.screen = ledger, screen
        self._manager = ServiceManager({}) if manager is None else manager
        self._page = page
        self.account: str | None = None
        self._broker: Broker | None = None
        self._heartbeat = Heartbeat(self.session.clock)

    def once(self) -> RunOutcome:
        """Act on the bar that closed last."""
        loop = self._loop(self._open(), None)
        rows = loop.once()
        if self._page is not None and self.account is not None:
            self._page.write(self.account)
            self.screen.note(f"Report: {self.request.report}", as_is=True)
        return RunOutcome.of(rows, EXIT_OK if loop.blocked is None else BrokerError.exit_code)

    def until_stopped(self) -> RunOutcome:
        """Trade until a signal comes; whatever ends it, what is open is named, and the end is posted."""
        # Ready before the account is known: a broker that does not answer yet is waited for.
        self._manager.ready(f"trading {', '.join(map(str, self.session.tickers))}")
        try:
            outcome = self._trade()
        except BaseException as stop:
            self._end(*_cause(stop), remedy=stop.remedy if isinstance(stop, CryptoRefactorError) else None)
            if not isinstance(stop, Exception) and self.account is not None:
                self.screen.how_to_go_on(self.account)
            raise
        self._end("no ticker is available", outcome.exit_code)
        return outcome

    def _trade(self) -> RunOutcome:
        from crypto_refactor.trading.realtime.background_training import BackgroundTrainer

        session, workers = self.session, len(self.session.tickers)
        account = self._open()
        holdings = self._answer(lambda: self.ledger.positions(account.name), LedgerUnavailableError)
        tickers = ", ".join(map(str, session.tickers))
        held = _sentence(holdings)
        self.screen.note(f"{account.name}: {held}")  # the heading has named the tickers
        self._announce("start", f"trading {tickers}; {held}", holdings, shown=False)
        if session.cluster is None:  # otherwise these processes only wait for the cluster
            workers = min(os.cpu_count() or 1, workers, session.workers)
        trainer = BackgroundTrainer(session.models, workers=workers)
        loop = self._loop(account, trainer)
        try:
            loop.run()
        finally:
            trainer.stop()
        return RunOutcome.of(
            [*loop.dropped.values()]
        )  # it ends by itself only if no ticker was ever available

    def _open(self) -> TradingAccount:
        session = self.session
        account = self._broker_account() if self.request.where is AccountKind.ALPACA else self._demo_account()
        self.screen.heading(account.name, session.source.name, session.tickers)
        self.ledger.prepare_account(account.name, session.clock().isoformat(), about(session))
        self.account = account.name
        return account

    def _demo_account(self) -> TradingAccount:
        return DemoAccount(self.session, self.ledger, demo_account(self.session.source))

    def _broker_account(self) -> TradingAccount:
        from crypto_refactor.trading.brokers.alpaca import AlpacaBroker

        session, live = self.session, self.request.live
        broker = AlpacaBroker.from_settings(paper=not live, clock=session.clock, sleep=session.sleep)
        self._broker = broker
        snapshot = self._answer(broker.account, UnreachableError)
        name = broker_account(snapshot.account_id, paper=not live)
        return BrokerAccount(session, self.ledger, name, broker, self.screen.note)

    def _answer(self, request: Callable[[], T], temporary: type[CryptoRefactorError]) -> T:
        """Return what `request` returns, with the patience of this run; waiting is announced."""
        endless = not self.request.once

        def note(error: CryptoRefactorError) -> None:
            text = f"{error.what} Nothing is traded; it is asked again."
            if endless:
                self.screen.announce("failure", text, account=self.account)
            else:
                self.screen.note(text)

        return patient_answer(
            request,
            temporary,
            endless=endless,
            clock=self.session.clock,
            sleep=self.session.sleep,
            on_failure=note,
            on_wait=self._beat,
        )

    def _beat(self, error: CryptoRefactorError) -> None:
        if not self.request.once and self._heartbeat.due():
            text = f"alive; nothing has been decided since the start. {error.what} {self._open_in_words()}"
            self.screen.announce("heartbeat", text, account=self.account)

    def _open_in_words(self) -> str:
        """Return what the ledger holds or, where it cannot be read, what the broker shows."""
        try:
            held = {name: self.ledger.positions(name) for name in self._accounts_concerned()}
        except Exception as error:  # noqa: BLE001 - the answer says so
            return self._open_at_broker(as_error(error))
        return (
            " ".join(f"{name}: {_sentence(holdings)}" for name, holdings in held.items()) or "Open: nothing."
        )

    def _loop(self, account: TradingAccount, trainer: BackgroundTrainer | None) -> TradingLoop:
        from crypto_refactor.trading.realtime.hourly_pass import HourlyPass
        from crypto_refactor.trading.realtime.loop import TradingLoop

        return TradingLoop(
            HourlyPass(self.session, self.ledger, account, trainer=trainer, observer=self.screen),
            after_hour=self._rewrite_page,
        )

    def _rewrite_page(self) -> None:
        if self._page is not None and self.account is not None:
            self._page.rewrite(self.account, self.screen.note)

    def _end(self, why: str, code: int, remedy: str | None = None) -> None:
        """Name what is open, and post the end; nothing here may hide what ended the run."""
        self._manager.stopping()
        ended = f"ended: {why.rstrip('.')}"
        details: dict[str, Any] = {"code": code} if remedy is None else {"code": code, "remedy": remedy}
        with deferred_interrupts():
            try:
                for account in self._accounts_concerned():
                    holdings = self.ledger.positions(account)
                    if holdings:  # otherwise the line of the end says so
                        self.screen.left_open(account, holdings, simulated=False)
                    self._announce("stop", f"{ended}; {_sentence(holdings)}", holdings, account, **details)
            except Exception as error:  # noqa: BLE001 - raised from here, it would replace the cause
                text = f"{ended}; {self._open_at_broker(as_error(error))}"
                self.screen.announce("stop", text, account=self.account, **details)
                return
            if self.account is None:
                text = f"{ended}, before its account was known."
                self.screen.announce("stop", text, account=None, **details)

    def _open_at_broker(self, error: CryptoRefactorError) -> str:
        """Return, in place of what the unreadable ledger holds, what the broker shows."""
        unknown = f"what this ledger holds cannot be said: {error.what}"
        if self._broker is None or self.account is None:  # it has not even said whose keys these are
            return unknown
        try:
            positions = self._broker.positions().items()
        except Exception as failure:  # noqa: BLE001 - the answer says so
            return f"{unknown} Nor can the broker be asked: {as_error(failure).what}"
        held = ", ".join(f"{ticker} {position.quantity:.9g} {ticker.base}" for ticker, position in positions)
        return f"{unknown} The account at the broker holds: {held or 'nothing'}."

    def _accounts_concerned(self) -> list[str]:
        """Return the account, or those that hold something and may be it where the broker has not told yet."""
        if self.account is not None:
            return [self.account]
        if not self.ledger.path.exists():
            return []
        kind = LIVE if self.request.live else PAPER
        names = [row.name for row in self.ledger.accounts() if row.name.startswith(kind)]
        return [name for name in names if self.ledger.positions(name)]

    def _announce(
        self,
        kind: str,
        text: str,
        holdings: dict[Ticker, SubAccount],
        account: str | None = None,
        **details: Any,
    ) -> None:
        positions = {str(ticker): held.quantity for ticker, held in holdings.items()}
        self.screen.announce(kind, text, account=account or self.account, positions=positions, **details)


def _sentence(holdings: dict[Ticker, SubAccount]) -> str:
    return f"open: {positions_in_words(holdings) or 'nothing'}."


def _cause(stop: BaseException) -> tuple[str, int]:
    if isinstance(stop, Terminated):
        return "terminated by a signal", stop.exit_code
    if isinstance(stop, KeyboardInterrupt):
        return "interrupted", EXIT_INTERRUPTED
    if isinstance(stop, CryptoRefactorError):
        return stop.what, stop.exit_code
    return f"internal error, {type(stop).__name__}: {stop}", EXIT_FAULT
