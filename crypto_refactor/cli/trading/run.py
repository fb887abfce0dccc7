"""From a request to rows on the screen and an exit code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from crypto_refactor.trading.historical.replay import ReplayResult, replay
from crypto_refactor.trading.historical.single_pass import DemoPass, SignalPass, single_pass
from crypto_refactor.trading.ledger.ledger import Ledger
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
    with _screen(request, values, failures=request.realtime and not request.once) as screen:
        outcome = _run(request, values, screen)
    for row in outcome.rows:
        if isinstance(row, Failure):
            raise row.error
    if values["as_json"] and request.once:
        from crypto_refactor.report.documents.trading import row_json

        print_json(row_json(outcome.rows[0]))
    return outcome.code


def run_multi(request: TradingRequest, mode: str, values: Mapping[str, Any]) -> int:
    """Run ``run_multi_ticker.py``."""
    with _screen(request, values, failures=True) as screen:
        outcome = _run(request, values, screen)
    if values["as_json"] and request.once:
        from crypto_refactor.report.documents.trading import multi_json

        order = request.session.tickers.index
        print_json(multi_json(mode, sorted(outcome.rows, key=lambda row: order(row.ticker))))
    return outcome.exit_code


@contextmanager
def _screen(request: TradingRequest, values: Mapping[str, Any], *, failures: bool) -> Iterator[Screen]:
    notifier = None
    if values["notify"] is not None:
        from crypto_refactor.trading.notifications import Notifier

        notifier = Notifier(values["notify"])
    try:
        yield Screen(
            values["tz"],
            as_json=values["as_json"],
            lines=not request.once,
            failures=failures,
            notifier=notifier,
        )
    finally:
        if notifier is not None:
            notifier.close(5.0)


def _run(request: TradingRequest, values: Mapping[str, Any], screen: Screen) -> RunOutcome:
    session = request.session
    hours = request.replay_hours if request.replays else 720
    screen.note(equivalent_backtest(session, hours, request.end, values["data_dir"]))
    if request.replays:
        return _replay(request, values, screen)
    if request.realtime:
        return _trade(request, screen)
    if request.where is AccountKind.NOWHERE:
        screen.heading(None, session.source.name, session.tickers)
        return _of_one_pass(single_pass(session, SignalPass(session), request.end, screen.row))
    ledger, name = ledger_of(session.state_dir), demo_account(session.source)
    screen.heading(name, session.source.name, session.tickers)
    ledger.open_account(name, session.clock().isoformat(), session.snapshot())
    with _positions_named(ledger, lambda: name, screen):
        rows = single_pass(session, DemoPass(session, ledger, name), request.end, screen.row)
    return _of_one_pass(rows)


def _of_one_pass(rows: Sequence[TickerRow], code: int = EXIT_OK) -> RunOutcome:
    if not any(isinstance(row, TickerOutcome | Failure) for row in rows):
        raise UnavailableError.for_all()
    return RunOutcome(rows=rows, succeeded=any(isinstance(row, TickerOutcome) for row in rows), code=code)


def _replay(request: TradingRequest, values: Mapping[str, Any], screen: Screen) -> RunOutcome:
    session = request.session
    ledger = ledger_of(session.state_dir)
    account = ""

    def started(name: str, resumed: bool) -> None:
        nonlocal account
        account = name
        screen.heading(name, session.source.name, session.tickers)
        if resumed:
            screen.note("An earlier run of this replay was interrupted; it resumes there.")

    with _positions_named(ledger, lambda: account, screen):
        result = replay(
            session,
            ledger,
            request.replay_hours,
            request.end,
            delay=request.replay_delay,
            on_row=screen.row,
            on_start=started,
        )
    _show_result(result, values, screen)
    if not result.replayed and not any(isinstance(row, Failure) for row in result.rows):
        raise UnavailableError.for_all()
    same = all(replayed.same for replayed in result.replayed)
    return RunOutcome(
        rows=result.rows, succeeded=bool(result.replayed), code=EXIT_OK if same else EXIT_AUDIT_FAILED
    )


def _show_result(result: ReplayResult, values: Mapping[str, Any], screen: Screen) -> None:
    if not result.replayed:
        return
    if values["as_json"]:
        from crypto_refactor.report.documents.trading import replay_json

        screen.line(replay_json(result))
    else:
        from crypto_refactor.report.terminal.replay import replay_summary

        click.echo()
        click.echo(replay_summary(result, values["tz"]))


def _trade(request: TradingRequest, screen: Screen) -> RunOutcome:
    session = request.session
    ledger = ledger_of(session.state_dir)
    account = _account(request, ledger, screen)
    screen.heading(account.name, session.source.name, session.tickers)
    ledger.open_account(account.name, session.clock().isoformat(), session.snapshot())
    with _positions_named(ledger, lambda: account.name, screen):
        if request.once:
            return _once(request, ledger, account, screen)
        return _until_stopped(request, ledger, account, screen)


def _once(request: TradingRequest, ledger: Ledger, account: TradingAccount, screen: Screen) -> RunOutcome:
    loop = _loop(request, ledger, account, None, screen)
    rows = loop.once()
    return _of_one_pass(rows, EXIT_OK if loop.blocked is None else BrokerError.exit_code)


def _until_stopped(
    request: TradingRequest, ledger: Ledger, account: TradingAccount, screen: Screen
) -> RunOutcome:
    from crypto_refactor.trading.realtime.background_training import BackgroundTrainer

    session = request.session
    workers = len(session.tickers)
    if session.cluster is None:  # otherwise these processes only wait for the cluster
        workers = min(os.cpu_count() or 1, workers, session.workers)
    trainer = BackgroundTrainer(session.model_dir, session.settings, workers=workers, cluster=session.cluster)
    loop = _loop(request, ledger, account, trainer, screen)
    try:
        loop.run()
    finally:
        trainer.stop()
    # The loop ends by itself only if no ticker is left.
    return _of_one_pass(loop.dropped)


def _loop(
    request: TradingRequest,
    ledger: Ledger,
    account: TradingAccount,
    trainer: BackgroundTrainer | None,
    screen: Screen,
) -> TradingLoop:
    from crypto_refactor.trading.realtime.hourly_pass import HourlyPass
    from crypto_refactor.trading.realtime.loop import TradingLoop

    return TradingLoop(HourlyPass(request.session, ledger, account, trainer=trainer, observer=screen))


def _account(request: TradingRequest, ledger: Ledger, screen: Screen) -> TradingAccount:
    session = request.session
    if request.where is AccountKind.DEMO:
        return DemoAccount(session, ledger, demo_account(session.source))
    from crypto_refactor.trading.brokers.alpaca import AlpacaBroker

    broker = AlpacaBroker.from_settings(paper=not request.live, clock=session.clock, sleep=session.sleep)
    name = broker_account(broker.account().account_id, paper=not request.live)
    return BrokerAccount(session, ledger, name, broker, screen.note)


@contextmanager
def _positions_named(ledger: Ledger, account: Callable[[], str], screen: Screen) -> Iterator[None]:
    """List the open positions when Ctrl-C or SIGTERM stops the run."""
    try:
        yield
    except BaseException as stop:
        if not isinstance(stop, Exception) and account():
            _name_positions(ledger, account(), screen)
        raise


def _name_positions(ledger: Ledger, account: str, screen: Screen) -> None:
    try:
        states = ledger.states(account)
    except BrokerError as error:
        screen.note(f"Open positions cannot be listed: {error.what}")
        return
    screen.left_open(account, {t: state.account for t, state in states.items() if state.account.side})
