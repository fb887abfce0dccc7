"""Options that several commands share, each defined once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crypto_refactor.errors import UsageError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from crypto_refactor.market.sources.base import Source
    from crypto_refactor.market.ticker import Ticker

Command = TypeVar("Command", bound=Callable[..., Any])


def _hour(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        return _hour_since_1970(value)
    except ValueError as error:
        raise UsageError(
            f"--end is {value!r}: {error}.",
            expected="a full hour, ISO-8601, UTC unless it says otherwise: 2024-06-01T00:00Z.",
            remedy="correct --end, or leave it out for now.",
        ) from error


def _hour_since_1970(text: str) -> int:
    from crypto_refactor.market.hours import parse_hour

    hour = parse_hour(text)
    if hour < 0:
        raise ValueError(f"{text!r} lies before 1970")
    return hour


def _zone(context: click.Context, parameter: click.Parameter, value: str) -> ZoneInfo:
    from crypto_refactor.market.hours import zone

    return zone(value)


def _ticker(context: click.Context, parameter: click.Parameter, value: str) -> Ticker:
    from crypto_refactor.config import tickers_file
    from crypto_refactor.market.ticker import supported_ticker

    return supported_ticker(value, tickers_file())


def several_tickers(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[Ticker, ...]:
    """Read a repeatable ``--ticker``; one that is named twice counts once."""
    return tuple(dict.fromkeys(_ticker(context, parameter, value) for value in values))


ticker = click.option(
    "--ticker",
    default="BTC/USD",
    show_default=True,
    callback=_ticker,
    help="Trading pair, one of tickers.txt.",
)
source = click.option(
    "--source",
    metavar="[alpaca|files|sample]",
    help="Where bars come from.  [default: alpaca, or CRYPTO_SOURCE]",
)
data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder of <base>_<quote>_1h.csv files, for --source files.  [default: CRYPTO_DATA_DIR]",
)
state_dir = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    help="Folder of the bar store and the ledger.  [default: state/ of the checkout, or CRYPTO_STATE_DIR]",
)
end = click.option(
    "--end", callback=_hour, metavar="STAMP", help="Look from this full hour (UTC).  [default: now]"
)
tz = click.option(
    "--tz",
    default="UTC",
    show_default=True,
    callback=_zone,
    metavar="ZONE",
    help="Time zone people read, for example America/Denver; JSON stays UTC.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
debug = click.option("--debug", is_flag=True, expose_value=False, help="Log details and show tracebacks.")
seed = click.option("--seed", type=int, help="Seed of the training.  [default: 0]")
network = click.option(
    "--network",
    type=click.Choice(["documented", "small"]),
    default="documented",
    show_default=True,
    help="LSTM 256-128-64, or 32-16-8 for tries and tests.",
)
lookback = click.option(
    "--lookback", type=int, default=60, show_default=True, help="Bars the model looks back on."
)
min_confirmations = click.option(
    "--min-confirmations",
    type=int,
    default=6,
    show_default=True,
    help="How many of the nine conditions beside the forecast must hold.",
)
threshold_scale = click.option(
    "--threshold-scale", type=float, help="Scale of the dynamic threshold.  [default: the model's own]"
)
allow_gaps = click.option("--allow-gaps", is_flag=True, help="Accept more than 5 % missing bars.")

trades = click.option(
    "--trades", type=click.Path(path_type=Path), metavar="FILE.csv", help="Write every trade."
)
report = click.option(
    "--report", type=click.Path(path_type=Path), metavar="FILE.html", help="Write a report with charts."
)


def combined(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return one decorator that adds `options`, in the order they are given."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


bars = combined(source, data_dir, state_dir, end, tz, as_json, debug)
"""What every command takes that reads bars."""


def open_selected_source(name: str | None, folder: Path | None, state: Path | None) -> Source:
    """Open the source asked for, or the environment's."""
    from crypto_refactor.config import settings
    from crypto_refactor.market.sources.factory import open_source

    name = name or settings().source
    if folder is not None and name in {"alpaca", "sample"}:
        raise UsageError(
            f"--data-dir was given with the source {name}.",
            expected="--source files.",
            remedy="add --source files, or leave out --data-dir.",
        )
    return open_source(name, data_dir=folder, state_dir=state)
