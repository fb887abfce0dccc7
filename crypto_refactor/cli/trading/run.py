"""Carry out a trading request: rows on the screen, then an exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from crypto_refactor.cli.data_notes import with_data_notes
from crypto_refactor.cli.output import console
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.trading.account_page import AccountPage
from crypto_refactor.cli.trading.log_file import run_log
from crypto_refactor.cli.trading.realtime_run import RealtimeRun
from crypto_refactor.cli.trading.request import AccountKind, TradingRequest
from crypto_refactor.cli.trading.rows_in_turn import RowsInTurn
from crypto_refactor.cli.trading.run_outcome import RunOutcome
from crypto_refactor.cli.trading.screen import COSTLY_SIGNALS, Screen
from crypto_refactor.cli.trading.service_manager import ServiceManager
from crypto_refactor.config import settings
from crypto_refactor.errors import EXIT_AUDIT_FAILED, EXIT_OK, BrokerError, UnavailableError
from crypto_refactor.market.bars import SAMPLE
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.reproduce import equivalent_backtest
from crypto_refactor.trading.account_names import demo_account, ledger_of
from crypto_refactor.trading.historical.replay import ReplayResult, ReplayStart, run_replay
from crypto_refactor.trading.historical.single_pass import DemoPass, SignalPass, run_single_pass
from crypto_refactor.trading.outcomes import Failure, Unavailable
from crypto_refactor.trading.session import about


def run_single(request: TradingRequest, values: Mapping[str, Any]) -> int:
    """Run ``run_trading.py``."""
    outcome = _carry_out(request, values, failures=request.lasting)
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
    with run_log(values):
        return _show(request, values, failures=failures)


def _show(request: TradingRequest, values: Mapping[str, Any], *, failures: bool) -> RunOutcome:
    notifier = None
    if values["notify"]:
        from crypto_refactor.trading.notifications import Notifier

        notifier = Notifier(values["notify"])
    screen = Screen(
        values["tz"],
        as_json=values["as_json"],
        lines=not request.once,
        failures=failures,
        notifier=notifier,
        lasting=request.lasting,
        every_row=request.once or values["verbose"],
        training=request.session.observer,
    )
    try:
        return _Run(request, values, screen).carry_out()
    finally:
        screen.close()


class _Run:
    """One run; `account` is None until it is known which account is traded, if any."""

    def __init__(self, request: TradingRequest, values: Mapping[str, Any], screen: Screen) -> None:
        self.request, self.session = request, request.session
        self.values, self.screen = values, screen
        self.ledger = ledger_of(self.session.state_dir)
        self.account: str | None = None
        self._realtime: RealtimeRun | None = None
        self._page: AccountPage | None = None
        if request.report is not None:
            self._page = AccountPage(request.report, self.ledger, self.session.state_dir, values["tz"])

    def carry_out(self) -> RunOutcome:
        """Trade as requested; list the open positions when Ctrl-C or SIGTERM stops the run."""
        if self.request.realtime:
            self._name_backtest(720, self.session.tickers)
        if self.request.where is not AccountKind.NOWHERE and not self.session.options.strict:
            self.screen.note(COSTLY_SIGNALS)
        if self.request.lasting:
            manager = ServiceManager()
            request = replace(self.request, session=replace(self.session, sleep=manager.sleep))
            return RealtimeRun(request, self.ledger, self.screen, manager, page=self._page).until_stopped()
        try:
            return self._trade()
        except BaseException as stop:
            account = self.account if self._realtime is None else self._realtime.account
            if not isinstance(stop, Exception) and account is not None:
                self._list_positions(account)
                if self.request.replays:
                    self.screen.how_to_go_on(account)
            raise

    def _name_backtest(self, hours: int, tickers: Sequence[Ticker]) -> None:
        if tickers:
            end, folder = self.request.end, self.values["data_dir"]
            self.screen.command(*equivalent_backtest(self.session, hours, end, folder, tickers=tickers))

    def _list_positions(self, account: str) -> None:
        try:
            holdings = self.ledger.positions(account)
        except BrokerError as error:
            self.screen.note(f"Open positions cannot be listed: {error.what}")
            return
        self.screen.left_open(account, holdings, simulated=self.session.source.name == SAMPLE)

    def _trade(self) -> RunOutcome:
        if self.request.replays:
            return self._replay()
        if self.request.realtime:
            self._realtime = RealtimeRun(self.request, self.ledger, self.screen, page=self._page)
            return self._realtime.once()
        if self.request.where is AccountKind.NOWHERE:
            self.screen.heading(None, self.session.source.name, self.session.tickers)
            mode = SignalPass(self.session, self.ledger if settings().record else None)
        else:
            name = demo_account(self.session.source)
            self._open(name)
            mode = DemoPass(self.session, self.ledger, name)
        if self.values["as_json"]:
            rows = run_single_pass(self.session, mode, self.request.end, self.screen.row)
        else:
            in_turn = RowsInTurn(self.session.tickers, self.screen.row)
            try:
                rows = run_single_pass(self.session, mode, self.request.end, in_turn.take)
            finally:
                in_turn.end()
        left_out = {row.ticker for row in rows if isinstance(row, Unavailable)}
        self._name_backtest(720, [ticker for ticker in self.session.tickers if ticker not in left_out])
        self._write_page()
        return RunOutcome.of(rows)

    def _write_page(self) -> None:
        if self._page is not None and self.account is not None:
            self._page.write(self.account)
            self.screen.note(f"Report: {self.request.report}", as_is=True)

    def _open(self, account: str) -> None:
        self.screen.heading(account, self.session.source.name, self.session.tickers)
        self.ledger.prepare_account(account, self.session.clock().isoformat(), about(self.session))
        self.account = account

    def _replay(self) -> RunOutcome:
        def started(start: ReplayStart) -> None:
            self.account = start.account
            self._name_backtest(self.request.replay_hours, tuple(start.played))
            self.screen.heading(start.account, self.session.source.name, tuple(start.played))
            self.screen.begin_replay(start, self.request.replay_hours)

        result = run_replay(
            self.session,
            self.ledger,
            self.request.replay_hours,
            self.request.end,
            delay=self.request.replay_delay,
            on_row=self.screen.row,
            on_start=started,
            on_hour=self.screen.replayed,
        )
        if result.replayed:
            self._show_result(result)
        elif not any(isinstance(row, Failure) for row in result.rows):
            raise UnavailableError.for_all()
        self._write_page()
        same = all(replayed.same for replayed in result.replayed)
        return RunOutcome(
            rows=result.rows, succeeded=bool(result.replayed), code=EXIT_OK if same else EXIT_AUDIT_FAILED
        )

    def _show_result(self, result: ReplayResult) -> None:
        if self.values["as_json"]:
            from crypto_refactor.report.documents.trading import replay_json

            self.screen.line(with_data_notes(replay_json(result)))
        else:
            from crypto_refactor.report.terminal.accounts.replay import replay_summary
            from crypto_refactor.report.terminal.tables import room_of

            room = room_of(console(), wide=self.values["verbose"])
            self.screen.summary("\n" + replay_summary(result, self.values["tz"], room))
