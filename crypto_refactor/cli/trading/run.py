"""From a request to rows on the screen and an exit code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.trading.request import AccountKind, Passes, TradingRequest
from crypto_refactor.cli.trading.screen import Screen
from crypto_refactor.errors import (
    EXIT_AUDIT_FAILED,
    EXIT_OK,
    EXIT_TICKERS_DIFFER,
    BrokerError,
    UnavailableError,
)
from crypto_refactor.report.equivalent_backtest import backtest_command
from crypto_refactor.trading.account_names import broker_account, demo_account, ledger_of
from crypto_refactor.trading.historical.replay import ReplayResult, run_replay
from crypto_refactor.trading.historical.single_pass import DemoPass, SignalPass, run_single_pass
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.outcomes import Failure, TickerOutcome, TickerRow
from crypto_refactor.trading.realtime.accounts import BrokerAccount, DemoAccount, TradingAccount

if TYPE_CHECKING:
    from crypto_refactor.trading.realtime.background_training import BackgroundTrainer
    from crypto_refactor.trading.realtime.loop import TradingLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What a run came to.

    Attributes
    ----------
    rows : sequence of TickerRow
        One for each ticker, as far as it is known what became of it.
    fine : bool
        Whether at least one ticker ended well.
    code : int
        What the run as a whole ended with.
    """

    rows: Sequence[TickerRow]
    fine: bool
    code: int = EXIT_OK


def run_single(request: TradingRequest, values: Mapping[str, Any]) -> int:
    """Run ``run_trading.py``."""
    with _screen(
        request, values, failures=request.realtime and request.passes is Passes.UNTIL_STOPPED
    ) as screen:
        outcome = _run(request, values, screen)
    for row in outcome.rows:
        if isinstance(row, Failure):
            raise row.error
    if values["as_json"] and request.passes is Passes.ONE:
        from crypto_refactor.report.documents.trading import row_json

        print_json(row_json(outcome.rows[0]))
    return outcome.code


def run_multi(request: TradingRequest, mode: str, values: Mapping[str, Any]) -> int:
    """Run ``run_multi_ticker.py``."""
    with _screen(request, values, failures=True) as screen:
        outcome = _run(request, values, screen)
    if values["as_json"] and request.passes is Passes.ONE:
        from crypto_refactor.report.documents.trading import multi_json

        order = {ticker: place for place, ticker in enumerate(request.setup.tickers)}
        print_json(multi_json(mode, sorted(outcome.rows, key=lambda row: order[row.ticker])))
    return outcome.code or _exit_code(outcome)


@contextmanager
def _screen(request: TradingRequest, values: Mapping[str, Any], *, failures: bool) -> Iterator[Screen]:
    notifier = None
    if values["notify"] is not None:
        from crypto_refactor.trading.notifications import Notifier

        notifier = Notifier(values["notify"])
    lines = request.passes is Passes.UNTIL_STOPPED
    try:
        yield Screen(
            values["tz"], as_json=values["as_json"], lines=lines, failures=failures, notifier=notifier
        )
    finally:
        if notifier is not None:
            notifier.close(5.0)


def _run(request: TradingRequest, values: Mapping[str, Any], screen: Screen) -> RunOutcome:
    setup = request.setup
    hours = request.replay_hours if request.replays else 720
    screen.note(backtest_command(setup, hours, request.end, values["data_dir"]))
    if request.replays:
        return _replay(request, values, screen)
    if request.realtime:
        return _trade(request, screen)
    if request.where is AccountKind.NOWHERE:
        screen.heading(None, setup.source.name, setup.tickers)
        return _of_one_pass(run_single_pass(setup, SignalPass(setup), request.end, screen.row))
    ledger, name = ledger_of(setup.state_dir), demo_account(setup.source)
    screen.heading(name, setup.source.name, setup.tickers)
    ledger.open_account(name, setup.clock().isoformat(), setup.snapshot())
    with _positions_named(ledger, lambda: name, screen):
        rows = run_single_pass(setup, DemoPass(setup, ledger, name), request.end, screen.row)
    return _of_one_pass(rows)


def _of_one_pass(rows: Sequence[TickerRow], code: int = EXIT_OK) -> RunOutcome:
    if not any(isinstance(row, TickerOutcome | Failure) for row in rows):
        raise _none_offered()
    return RunOutcome(rows=rows, fine=any(isinstance(row, TickerOutcome) for row in rows), code=code)


def _none_offered() -> UnavailableError:
    return UnavailableError(
        "None of the tickers is offered.",
        expected="at least one that the source has bars of.",
        remedy="choose another --source or --ticker.",
    )


def _replay(request: TradingRequest, values: Mapping[str, Any], screen: Screen) -> RunOutcome:
    setup = request.setup
    ledger = ledger_of(setup.state_dir)
    account = ""

    def started(name: str, resumed: bool) -> None:
        nonlocal account
        account = name
        screen.heading(name, setup.source.name, setup.tickers)
        if resumed:
            screen.note("An earlier run of this replay was stopped; it goes on where it was.")

    with _positions_named(ledger, lambda: account, screen):
        result = run_replay(
            setup,
            ledger,
            request.replay_hours,
            request.end,
            delay=request.replay_delay,
            on_row=screen.row,
            on_start=started,
        )
    _show_result(result, values, screen)
    if not result.replayed and not any(isinstance(row, Failure) for row in result.rows):
        raise _none_offered()
    same = all(replayed.same for replayed in result.replayed)
    return RunOutcome(
        rows=result.rows, fine=bool(result.replayed), code=EXIT_OK if same else EXIT_AUDIT_FAILED
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
    setup = request.setup
    ledger = ledger_of(setup.state_dir)
    account = _account(request, ledger, screen)
    screen.heading(account.name, setup.source.name, setup.tickers)
    ledger.open_account(account.name, setup.clock().isoformat(), setup.snapshot())
    with _positions_named(ledger, lambda: account.name, screen):
        if request.passes is Passes.ONE:
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

    setup = request.setup
    workers = len(setup.tickers)
    if setup.cluster is None:  # otherwise these processes only wait for the cluster
        workers = min(os.cpu_count() or 1, workers, setup.workers)
    refits = BackgroundTrainer(setup.models, workers=workers)
    loop = _loop(request, ledger, account, refits, screen)
    try:
        loop.run()
    finally:
        refits.stop()
    # The loop ends by itself only where no ticker is left.
    return _of_one_pass(loop.dropped)


def _loop(
    request: TradingRequest,
    ledger: Ledger,
    account: TradingAccount,
    refits: BackgroundTrainer | None,
    screen: Screen,
) -> TradingLoop:
    from crypto_refactor.trading.realtime.hourly_pass import HourlyPass
    from crypto_refactor.trading.realtime.loop import TradingLoop

    return TradingLoop(HourlyPass(request.setup, ledger, account, trainer=refits, observer=screen))


def _account(request: TradingRequest, ledger: Ledger, screen: Screen) -> TradingAccount:
    setup = request.setup
    if request.where is AccountKind.DEMO:
        return DemoAccount(setup, ledger, demo_account(setup.source))
    from crypto_refactor.trading.brokers.alpaca import AlpacaBroker

    broker = AlpacaBroker.from_settings(paper=not request.live, clock=setup.clock, sleep=setup.sleep)
    name = broker_account(broker.account().account_id, paper=not request.live)
    return BrokerAccount(setup, ledger, name, broker, screen.note)


@contextmanager
def _positions_named(ledger: Ledger, account: Callable[[], str], screen: Screen) -> Iterator[None]:
    """Name every position left open where the run is stopped by Ctrl-C or SIGTERM."""
    try:
        yield
    except BaseException as stop:
        if not isinstance(stop, Exception) and account():
            _name_positions(ledger, account(), screen)
        raise


def _name_positions(ledger: Ledger, account: str, screen: Screen) -> None:
    try:
        holdings = ledger.states(account)
    except BrokerError as error:
        screen.note(f"What is open cannot be named: {error.what}")
        return
    screen.left_open(account, {t: held.account for t, held in holdings.items() if held.account.side})


def _exit_code(outcome: RunOutcome) -> int:
    """Return 0, the one code that every ticker failed with, or 1 where tickers ended differently."""
    codes = {row.error.exit_code for row in outcome.rows if isinstance(row, Failure)}
    if not codes:
        return EXIT_OK
    return EXIT_TICKERS_DIFFER if outcome.fine or len(codes) > 1 else codes.pop()
