"""`run_trading.py` and `run_multi_ticker.py`: trade the signal, in a demo account or at Alpaca."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from crypto_refactor.cli import options
from crypto_refactor.cli.options import combined
from crypto_refactor.cli.strategy_options import strategy_options
from crypto_refactor.cli.trading.request import DEFAULT_REPLAY_HOURS, AccountKind, Passes, read_request

if TYPE_CHECKING:
    from crypto_refactor.market.ticker import Ticker

_trading = combined(
    click.option("--demo", is_flag=True, help="Trade in the demo account: no keys, no real orders."),
    click.option("--live", is_flag=True, help="Trade real money; needs ALPACA_PAPER=false too."),
    click.option(
        "--initial-balance",
        type=float,
        help="Budget, quote currency, shared out among the tickers.  [default: 100000; with --live required]",
    ),
    click.option(
        "--replay-hours",
        type=int,
        help=f"Hours replayed with --demo on files or sample.  [default: {DEFAULT_REPLAY_HOURS}]",
    ),
    click.option(
        "--replay-delay", type=float, help="Seconds to wait after each replayed hour.  [default: 0]"
    ),
    click.option("--notify", metavar="URL", help="Post fills, halts and unknown outcomes there as JSON."),
    strategy_options,
    options.bars,
)


@click.command("trade")
@options.ticker
@click.option("--once", is_flag=True, help="Decide once and exit.  [default: until stopped]")
@_trading
def trade(ticker: Ticker, once: bool, **values: object) -> int:
    """Trade one ticker: at Alpaca (paper), or with --demo in the demo account.

    With --demo on the source files or sample the last hours are replayed bar by bar, and the result is held
    against the backtest of the same window.
    """
    from crypto_refactor.cli.trading.run import run_single

    request = read_request(
        values,
        tickers=(ticker,),
        asked=True,
        passes=Passes.ONE if once else Passes.UNTIL_STOPPED,
        where=AccountKind.DEMO if values["demo"] else AccountKind.ALPACA,
        workers=1,
    )
    return run_single(request, values)


@click.command("multi")
@click.option(
    "--mode",
    type=click.Choice(["sequential", "parallel", "demo", "once"]),
    default="sequential",
    show_default=True,
    help="One pass of signals, one ticker after the other or several at a time (with --demo acted on in the "
    "demo account); demo: until stopped, or a replay; once: one pass that acts.",
)
@click.option("--max-workers", type=int, default=4, show_default=True, help="Tickers at the same time.")
@click.option(
    "--ticker",
    "tickers",
    multiple=True,
    callback=options.several_tickers,
    help="Only this one; may be repeated.  [default: all of tickers.txt]",
)
@_trading
def multi(mode: str, max_workers: int, tickers: tuple[Ticker, ...], **values: object) -> int:
    """Trade many tickers: each in a sub-account of its own, with an equal part of the balance."""
    from crypto_refactor.cli.trading.run import run_multi
    from crypto_refactor.config import tickers_file
    from crypto_refactor.errors import UsageError
    from crypto_refactor.market.ticker import read_tickers

    if max_workers < 1:
        raise UsageError(
            f"--max-workers is {max_workers}.", expected="1 or more.", remedy="correct --max-workers."
        )
    given = click.get_current_context().get_parameter_source("max_workers")
    if mode == "sequential" and given is ParameterSource.COMMANDLINE:
        raise UsageError(
            "--max-workers was given with --mode sequential.",
            expected="--max-workers with a mode that works on several tickers at a time.",
            remedy="use --mode parallel, or leave out --max-workers.",
        )
    acts = {"demo": AccountKind.DEMO, "once": AccountKind.ALPACA}.get(mode, AccountKind.NOWHERE)
    request = read_request(
        values,
        tickers=tickers or read_tickers(tickers_file()),
        asked=bool(tickers),
        passes=Passes.UNTIL_STOPPED if mode == "demo" else Passes.ONE,
        where=AccountKind.DEMO if values["demo"] else acts,
        workers=1 if mode == "sequential" else max_workers,
    )
    return run_multi(request, mode, values)


COMMANDS = {"trade": trade, "multi": multi}
