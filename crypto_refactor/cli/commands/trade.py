"""`run_trading.py` and `run_multi_ticker.py`: trade the signal, in a demo account or at Alpaca."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from crypto_refactor.cli import options
from crypto_refactor.cli.strategy_options import strategy_options
from crypto_refactor.cli.trading.request import DEFAULT_REPLAY_HOURS, AccountKind, read_request
from crypto_refactor.errors import UsageError

if TYPE_CHECKING:
    from crypto_refactor.market.ticker import Ticker

_trading = options.combined(
    options.flag("--demo", "Trade in the demo account: no keys, no real orders."),
    options.flag("--live", "Trade real money; requires ALPACA_PAPER=false, too."),
    options.option(
        "--initial-balance",
        "Budget, quote currency, split across the tickers.  [default: 100000; required with --live]",
        type=float,
    ),
    options.option(
        "--replay-hours",
        f"Hours to replay, with --demo on files or sample.  [default: {DEFAULT_REPLAY_HOURS}]",
        type=int,
    ),
    options.option(
        "--max-deviation",
        "At Alpaca: an entry lapses where the price is farther from its decision's close.  [default: 0.02]",
        type=float,
        metavar="FRACTION",
    ),
    options.option(
        "--max-daily-loss",
        "Block entries once the account has lost this since 00:00 UTC.",
        type=float,
        metavar="AMOUNT",
    ),
    options.option(
        "--max-loss",
        "Block entries once the account has lost this in all; `resume` does not lift it.",
        type=float,
        metavar="AMOUNT",
    ),
    options.option("--max-positions", "Positions open at the same time.", type=int, metavar="N"),
    options.option(
        "--max-orders-per-day",
        "Orders since 00:00 UTC after which nothing is entered.",
        type=int,
        metavar="N",
    ),
    options.option("--replay-delay", "Seconds to wait after each replayed hour.  [default: 0]", type=float),
    options.flag(
        "--verbose",
        "Show every hour of every ticker, and every column.  [default: hours in which something happens]",
    ),
    options.notify,
    options.file_option(
        "--report",
        "FILE.html",
        "Write a page of the account, and again after each hour of a run that lasts.",
    ),
    options.file_option(
        "--log-file",
        "FILE",
        "Keep a rotating log with UTC times; CRYPTO_LOG_LEVEL says of what.  [default: CRYPTO_LOG_FILE]",
    ),
    strategy_options,
    options.bars,
)


@options.command("trade")
@options.ticker
@options.flag("--once", "Decide once and exit.  [default: until stopped]")
@_trading
def trade(ticker: Ticker, once: bool, **values: Any) -> int:
    """Trade one ticker: at Alpaca (paper), or with --demo in the demo account.

    With --demo on the source files or sample, the last hours are replayed bar by bar, and the result is
    compared with the backtest of the same window.
    """
    from crypto_refactor.cli.trading.run import run_single

    where = AccountKind.DEMO if values["demo"] else AccountKind.ALPACA
    request = read_request(values, (ticker,), where, explicitly_requested=True, once=once, workers=1)
    return run_single(request, values)


@options.command("multi")
@options.option(
    "--mode",
    "sequential, parallel: one pass of signals, traded in the demo account with --demo; demo: until stopped, "
    "or a replay; once: one pass that trades; continuous: trades until stopped.",
    type=click.Choice(["sequential", "parallel", "demo", "once", "continuous"]),
    default="sequential",
)
@options.option("--max-workers", "Tickers processed at the same time.", default=4)
@options.tickers
@_trading
def multi(mode: str, max_workers: int, **values: Any) -> int:
    """Trade many tickers, each in a sub-account of its own with an equal part of the balance."""
    from crypto_refactor.cli.trading.run import run_multi

    if max_workers < 1:
        raise UsageError.invalid("--max-workers", max_workers, "1 or more")
    source = click.get_current_context().get_parameter_source("max_workers")
    if mode == "sequential" and source is ParameterSource.COMMANDLINE:
        raise UsageError(
            "--max-workers was given with --mode sequential.",
            expected="--max-workers with a mode that processes several tickers at a time.",
            remedy="use --mode parallel, or leave out --max-workers.",
        )
    accounts = {"demo": AccountKind.DEMO, "once": AccountKind.ALPACA, "continuous": AccountKind.ALPACA}
    where = accounts.get(mode, AccountKind.NOWHERE)
    request = read_request(
        values,
        options.selected_tickers(values),
        AccountKind.DEMO if values["demo"] else where,
        explicitly_requested=bool(values["tickers"]),
        once=mode not in {"demo", "continuous"},
        workers=1 if mode == "sequential" else max_workers,
    )
    return run_multi(request, mode, values)


COMMANDS = {"trade": trade, "multi": multi}
