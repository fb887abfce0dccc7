"""Carry out a trading request: rows on the screen, then an exit code."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.trading.request import AccountKind, TradingRequest
from crypto_refactor.cli.trading.screen import Screen
from crypto_refactor.errors import (
    EXIT_AUDIT_FAILED,
    EXIT_OK,
    BrokerError,
    UnavailableError,
    combined_exit_code,
)
from crypto_refactor.report.reproduce import equivalent_backtest
from crypto_refactor.trading.account_names import broker_account, demo_account, ledger_of
from crypto_refactor.trading.historical.replay import ReplayResult, run_replay
from crypto_refactor.trading.historical.single_pass import DemoPass, SignalPass, run_single_pass
from crypto_refactor.trading.outcomes import Failure, TickerOutcome, TickerRow
from crypto_refactor.trading.realtime.accounts import BrokerAccount, DemoAccount, TradingAccount

if TYPE_CHECKING:
    from crypto_refactor.trading.realtime.background_training import BackgroundTrainer
    from crypto_refactor.trading.realtime.loop import TradingLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended: a row per ticker, whether at least one succeeded, and the exit code of the whole."""

    rows: Sequence[TickerRow]
    succeeded: bool
    code: int = EXIT_OK

    @property
    def exit_code(self) -> int:
        """The code of the run as a whole, or else the one that its tickers combine to."""
        codes = [row.error.exit_code for row in self.rows if isinstance(row, Failure)]
        return self.code or combined_exit_code([*codes, EXIT_OK] if self.succeeded else codes)


def run_single(request: TradingRequest, values: Mapping[str, Any]) -> int:
    """Run ``run_trading.py``."""
    outcome = _carry_out(request, values, failures=request.realtime and not request.once)
    for row in outcome.rows:
        if isinstance(row, Failure):
            raise row.error
    if values["as_json"] and request.once:
        from crypto_refactor.report.documents.trading import row_json

        print_json(row_json(outcome.rows[0]))
    return outcome.code


def run_multi(request: TradingRequest, mode: str, values: Mapping[str, Any]) -> int:
    """Run ``run_multi_ticker.py``."""
    outcome = _carry_out(request, values, failures=True)
    if values["as_json"] and request.once:
        from crypto_refactor.report.documents.trading import multi_json

        order = request.session.tickers.index
        print_json(multi_json(mode, sorted(outcome.rows, key=lambda row: order(row.ticker))))
    return outcome.exit_code


def _carry_out(request: TradingRequest, values: Mapping[str, Any], *, failures: bool) -> RunOutcome:
    notifier, as_json = None, values["as_json"]
    if values["notify"] is not None:
        from crypto_refactor.trading.notifications import Notifier

        notifier = Notifier(values["notify"])
    lines = not request.once
    screen = Screen(values["tz"], as_json=as_json, lines=lines, failures=failures, notifier=notifier)
    try:
        return _Run(request, values, screen).carry_out()
    finally:
        if notifier is not None:
            notifier.close(5.0)


class _Run:
    """One run; `account` is None until it is known which account is traded, if any."""

    def __init__(self, request: TradingRequest, values: Mapping[str, Any], screen: Screen) -> None:
        self.request, self.session = request, request.session
        self.values, self.screen = values, screen
        self.ledger = ledger_of(self.session.state_dir)
        self.account: str | None = None

    def carry_out(self) -> RunOutcome:
        """Trade as requested; list the open positions when Ctrl-C or SIGTERM stops the run."""
        hours = self.request.replay_hours if self.request.replays else 720
        self.screen.note(equivalent_backtest(self.session, hours, self.request.end, self.values["data_dir"]))
        try:
            return self._trade()
        except BaseException as stop:
            if not isinstance(stop, Exception) and self.account is not None:
                self._list_positions(self.account)
            raise

    def _list_positions(self, account: str) -> None:
        try:
            states = self.ledger.states(account)
        except BrokerError as error:
            self.screen.note(f"Open positions cannot be listed: {error.what}")
            return
        self.screen.left_open(
            account, {t: state.account for t, state in states.items() if state.account.side}
        )

    def _trade(self) -> RunOutcome:
        if self.request.replays:
            return self._replay()
        if self.request.realtime:
            account = self._realtime_account()
            self._open(account.name)
            return self._once(account) if self.request.once else self._until_stopped(account)
        if self.request.where is AccountKind.NOWHERE:
            self.screen.heading(None, self.session.source.name, self.session.tickers)
            mode = SignalPass(self.session)
        else:
            name = demo_account(self.session.source)
            self._open(name)
            mode = DemoPass(self.session, self.ledger, name)
        return _outcome(run_single_pass(self.session, mode, self.request.end, self.screen.row))

    def _open(self, account: str) -> None:
        self.screen.heading(account, self.session.source.name, self.session.tickers)
        self.ledger.open_account(account, self.session.clock().isoformat(), self.session.snapshot())
        self.account = account

    def _replay(self) -> RunOutcome:
        def started(account: str, resumed: bool) -> None:
            self.account = account
            self.screen.heading(account, self.session.source.name, self.session.tickers)
            if resumed:
                self.screen.note("An earlier run of this replay was interrupted; it resumes there.")

        result = run_replay(
            self.session,
            self.ledger,
            self.request.replay_hours,
            self.request.end,
            delay=self.request.replay_delay,
            on_row=self.screen.row,
            on_start=started,
        )
        if result.replayed:
            self._show_result(result)
        elif not any(isinstance(row, Failure) for row in result.rows):
            raise UnavailableError.for_all()
        same = all(replayed.same for replayed in result.replayed)
        return RunOutcome(
            rows=result.rows, succeeded=bool(result.replayed), code=EXIT_OK if same else EXIT_AUDIT_FAILED
        )

    def _show_result(self, result: ReplayResult) -> None:
        if self.values["as_json"]:
            from crypto_refactor.report.documents.trading import replay_json

            self.screen.line(replay_json(result))
        else:
            from crypto_refactor.report.terminal.replay import replay_summary

            click.echo()
            click.echo(replay_summary(result, self.values["tz"]))

    def _realtime_account(self) -> TradingAccount:
        session, live = self.session, self.request.live
        if self.request.where is AccountKind.DEMO:
            return DemoAccount(session, self.ledger, demo_account(session.source))
        from crypto_refactor.trading.brokers.alpaca import AlpacaBroker

        broker = AlpacaBroker.from_settings(paper=not live, clock=session.clock, sleep=session.sleep)
        name = broker_account(broker.account().account_id, paper=not live)
        return BrokerAccount(session, self.ledger, name, broker, self.screen.note)

    def _once(self, account: TradingAccount) -> RunOutcome:
        loop = self._loop(account, None)
        rows = loop.once()
        return _outcome(rows, EXIT_OK if loop.blocked is None else BrokerError.exit_code)

    def _until_stopped(self, account: TradingAccount) -> RunOutcome:
        from crypto_refactor.trading.realtime.background_training import BackgroundTrainer

        session, workers = self.session, len(self.session.tickers)
        if session.cluster is None:  # otherwise these processes only wait for the cluster
            workers = min(os.cpu_count() or 1, workers, session.workers)
        trainer = BackgroundTrainer(session.models, workers=workers)
        loop = self._loop(account, trainer)
        try:
            loop.run()
        finally:
            trainer.stop()
        return _outcome(loop.dropped)  # the loop ends by itself only if no ticker is left

    def _loop(self, account: TradingAccount, trainer: BackgroundTrainer | None) -> TradingLoop:
        from crypto_refactor.trading.realtime.hourly_pass import HourlyPass
        from crypto_refactor.trading.realtime.loop import TradingLoop

        return TradingLoop(
            HourlyPass(self.session, self.ledger, account, trainer=trainer, observer=self.screen)
        )


def _outcome(rows: Sequence[TickerRow], code: int = EXIT_OK) -> RunOutcome:
    if not any(isinstance(row, TickerOutcome | Failure) for row in rows):
        raise UnavailableError.for_all()
    return RunOutcome(rows=rows, succeeded=any(isinstance(row, TickerOutcome) for row in rows), code=code)
