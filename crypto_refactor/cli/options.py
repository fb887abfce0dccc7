"""Options that several commands share, each defined once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import completion
from crypto_refactor.cli.configuration.applied import apply_config
from crypto_refactor.cli.data_notes import remember
from crypto_refactor.errors import UsageError
from crypto_refactor.version import __version__

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from crypto_refactor.market.sources.base import Source
    from crypto_refactor.market.ticker import Ticker

Option = Callable[[Any], Any]
"""A decorator that adds one or more options to a command."""


def option(name: str, help_text: str, *parameter: str, **more: Any) -> Option:
    """Return an option whose default, if it has one, stands in its help."""
    return click.option(name, *parameter, help=help_text, show_default="default" in more, **more)


def flag(name: str, help_text: str, *parameter: str, **more: Any) -> Option:
    """Return an option that is off by default."""
    return click.option(name, *parameter, help=help_text, is_flag=True, **more)


def file_option(name: str, metavar: str, help_text: str, *parameter: str, **more: Any) -> Option:
    """Return an option that names a file."""
    return option(name, help_text, *parameter, type=click.Path(path_type=Path), metavar=metavar, **more)


def combined(*options: Option) -> Option:
    """Return one decorator that adds `options`, in the order they are given."""

    def decorate(command: Any) -> Any:
        for added in reversed(options):
            command = added(command)
        return command

    return decorate


def names(added: Option) -> list[str]:
    """Return the names of the options that a decorator adds, without their dashes."""
    parameters = click.command()(added(lambda: None)).params
    return [parameter.opts[0].removeprefix("--") for parameter in parameters]


def parse_hour(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Read a full hour, where one was given."""
    try:
        return None if value is None else _hour_since_1970(value)
    except ValueError as error:
        raise UsageError(
            f"{parameter.opts[0]}: {error}.",
            expected="a full hour, ISO-8601, UTC unless it names an offset: 2024-06-01T00:00Z.",
            remedy=f"correct {parameter.opts[0]}, or leave it out.",
        ) from error


def _hour_since_1970(text: str) -> int:
    from crypto_refactor.market import hours

    hour = hours.parse_hour(text)
    if hour < 0:
        raise ValueError(f"{text!r} lies before 1970")
    return hour


def _parse_zone(context: click.Context, parameter: click.Parameter, value: str) -> ZoneInfo:
    from crypto_refactor.market.hours import zone

    return zone(value)


def _parse_ticker(context: click.Context, parameter: click.Parameter, value: str) -> Ticker:
    from crypto_refactor.market.ticker import Ticker

    return Ticker.parse(value)


def parse_optional_ticker(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> Ticker | None:
    """Read a pair, where one was given."""
    return None if value is None else _parse_ticker(context, parameter, value)


def parse_tickers(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[Ticker, ...]:
    """Return each ticker once."""
    return tuple(dict.fromkeys(_parse_ticker(context, parameter, value) for value in values))


def _selected_plugins(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    from crypto_refactor.config import settings

    return values or settings().plugin_names


def _parse_report(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a name that promises another format."""
    if value is not None and value.suffix.lower() not in {"", ".html", ".htm"}:
        raise UsageError(
            f"--report names {value}, but a report is a page in HTML.",
            expected="a file whose name ends in .html.",
            remedy=f"write --report {value.with_suffix('.html')}; a browser prints it as PDF.",
        )
    return value


def _use_config(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    apply_config(context, value)


def _parse_venue(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    from crypto_refactor.market.sources.folder_source import validate_venue

    return None if value is None else validate_venue(value)


def _receivers(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    from crypto_refactor.config import settings

    return values or settings().notify_urls


BAR_HOURS = click.IntRange(1, 1_000_000)
"""How many hours of bars can be asked for."""

ticker = option(
    "--ticker",
    "Trading pair that the source offers.",
    default="BTC/USD",
    callback=_parse_ticker,
    shell_complete=completion.tickers,
)
required_ticker = option(
    "--ticker", "Trading pair.", required=True, callback=_parse_ticker, shell_complete=completion.tickers
)
tickers = option(
    "--ticker",
    "Trading pair; repeat for several.  [default: all of tickers.txt, or of CRYPTO_TICKERS]",
    "tickers",
    multiple=True,
    callback=parse_tickers,
    shell_complete=completion.tickers,
)
hours_to_trade = option("--hours", "Hours to trade.", default=720)
initial_balance = option("--initial-balance", "Starting capital, quote currency.", default=100_000.0)
source = option(
    "--source",
    "Source of the bars.  [default: alpaca, or CRYPTO_SOURCE]",
    metavar="[alpaca|files|sample]",
    shell_complete=completion.sources,
)
data_dir = option(
    "--data-dir",
    "Folder of <base>_<quote>_1h.csv files, for --source files.  [default: CRYPTO_DATA_DIR]",
    type=click.Path(path_type=Path),
)
venue = option(
    "--from",
    "Name of the exchange that the bars are from, such as kraken; their folder then holds no others.",
    "venue",
    metavar="VENUE",
    callback=_parse_venue,
)
state_dir = option(
    "--state-dir",
    "Folder of the bar store and the ledger.  [default: state/ of the checkout or of the user's data folder, or CRYPTO_STATE_DIR]",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
)
end = option(
    "--end", "Use bars up to this full hour (UTC).  [default: now]", callback=parse_hour, metavar="STAMP"
)
tz = option(
    "--tz",
    "Time zone of the text, for example America/Denver; JSON stays UTC.",
    default="UTC",
    callback=_parse_zone,
    metavar="ZONE",
)
as_json = flag("--json", "Print one JSON document and nothing else.", "as_json")
wide = flag("--wide", "Print every column of a table, however narrow the terminal is.")
debug = combined(
    click.version_option(__version__, message="%(prog)s %(version)s"),
    file_option(
        "--config",
        "FILE.toml",
        "Options and settings, below the command line and the environment.  [default: CRYPTO_CONFIG]",
        is_eager=True,
        expose_value=False,
        callback=_use_config,
    ),
    flag("--debug", "Log details and show tracebacks.", expose_value=False),
)
seed = option("--seed", "Seed of the training.  [default: 0]", type=int)
network = option(
    "--network",
    "documented: an LSTM of 256-128-64 units on a linear skip; small: one of 32-16-8, for a quick try; linear: the skip "
    "alone, which fits in milliseconds; or one of a plug-in.",
    metavar="[documented|small|linear|NAME]",
    default="documented",
)
plugins = option(
    "--plugin",
    "Python file, or name of an installed plug-in, that adds indicators, conditions, networks or exits; repeat for "
    "several.  [default: CRYPTO_PLUGINS]",
    "plugins",
    multiple=True,
    metavar="FILE.py",
    callback=_selected_plugins,
)
notify = option(
    "--notify",
    "Send notices to this URL: as JSON where it is http or https, else by a service of apprise; repeat for several.  "
    "[default: CRYPTO_NOTIFY]",
    multiple=True,
    metavar="URL",
    callback=_receivers,
)
residual = option(
    "--residual",
    "Whether the network's forecast is added to that of the linear skip: auto (where it clearly helps), always or never.",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
)
lookback = option("--lookback", "Bars in one window of the model.", default=60)
min_confirmations = option(
    "--min-confirmations",
    "How many of the conditions beside the forecast (nine, and plug-ins' own) must hold.",
    default=6,
)
threshold_scale = option(
    "--threshold-scale", "Scale of the dynamic threshold.  [default: the model's own]", type=float
)
allow_gaps = flag("--allow-gaps", "Accept more than 5 % missing bars.")
allow_jumps = flag("--allow-jumps", "Accept closes that cannot be prices, and count none of them as a move.")
trades = file_option("--trades", "FILE.csv", "Write every trade.")
report = file_option("--report", "FILE.html", "Write a report with charts.", callback=_parse_report)
details = flag("--details", "Show everything behind the answer.")
state = combined(state_dir, as_json, debug)
bars = combined(source, data_dir, state_dir, end, tz, as_json, debug)
"""What every command takes that reads bars."""


def check_data_dir(source_name: str, folder: Path | None) -> None:
    """Refuse a folder of bars for a source that reads none."""
    if folder is not None and source_name in {"alpaca", "sample"}:
        raise UsageError(
            f"--data-dir was given with the source {source_name}.",
            expected="--source files.",
            remedy="add --source files, or leave out --data-dir.",
        )


def open_selected_source(values: Mapping[str, Any]) -> Source:
    """Open the source that the options, or else the environment, select."""
    from crypto_refactor.config import settings
    from crypto_refactor.market.sources.factory import open_source

    name = values["source"] or settings().source
    check_data_dir(name, values["data_dir"])
    source = open_source(name, data_dir=values["data_dir"], state_dir=values["state_dir"])
    remember(source)
    return source


def selected_tickers(values: Mapping[str, Any]) -> tuple[Ticker, ...]:
    """Return the tickers that were named, or else every one of the list."""
    from crypto_refactor.config import packaged_tickers, tickers_file
    from crypto_refactor.market.ticker import read_tickers

    return values["tickers"] or read_tickers(tickers_file(), packaged_tickers())
