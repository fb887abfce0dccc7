"""Commands that give the same figures again, or trade by the same rules."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from crypto_refactor.execution.options import EXECUTION_OPTIONS
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.sources.folder_source import source_option
from crypto_refactor.market.ticker import Ticker

if TYPE_CHECKING:
    from crypto_refactor.trading.session import TradingSession

_NOT_OF_THE_RESULT = frozenset(
    {
        *("as_json", "cluster", "config", "debug", "details", "end", "report", "signals", "source", "trades"),
        *("no_journal", "no_record", "notify", "retrain", "table", "wide"),
    }
)
_OF_ONE_COMMAND = frozenset({"--hours", "--model"})
"""Options that mean something else to the next command, or would keep it from running."""
_GIVEN = frozenset({ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP})  # the latter is a file's
_SCRIPTS = {"signal": "models/app_lstm.py", "backtest": "models/app_backtester.py", "trade": "run_trading.py"}
"""Commands that have a script of their own in a checkout."""


def program(name: str) -> list[str]:
    """Return how the running command calls the command `name`: as itself was called, or by its script in a checkout."""
    from crypto_refactor.config import checkout_root

    context = click.get_current_context(silent=True)
    grouped = context is not None and context.parent is not None
    if grouped or name not in _SCRIPTS or checkout_root() is None:
        return ["crypto-refactor", name]
    return ["python3", _SCRIPTS[name]]


def repeat_command(name: str, source: str, end: int, instead: Mapping[str, str] | None = None) -> list[str]:
    """Return the running command, `name`, as words, in the form that looks at the very same bars again.

    Options are taken as given, except those that only say where results go.  The source and ``--end`` are
    always written out, because their defaults change with the environment and the hour.  `instead` holds options that take
    the place of those given.
    """
    changed = dict(instead or {})
    given = [
        option
        for option in _given()
        if option.name not in _NOT_OF_THE_RESULT and option.opts[0] not in changed
    ]
    words = _command(name, given, source)
    return [*words, *(word for pair in changed.items() for word in pair), "--end", to_iso(end)]


def related_command(
    other: click.Command, source: str, changed: Mapping[str, str | None], *, without: Collection[str] = ()
) -> list[str]:
    """Return another command as words, with the options that it shares with the running one, some of them `changed`.

    An option whose value is None is a flag; those named in `without` are left out.
    """
    shared = {parameter.opts[0] for parameter in other.params} - _OF_ONE_COMMAND - {*changed, *without}
    given = [
        option for option in _given() if option.opts[0] in shared and option.name not in _NOT_OF_THE_RESULT
    ]
    words = _command(other.name or "", given, source)
    return [*words, *(word for pair in changed.items() for word in pair if word is not None)]


def _given() -> list[click.Option]:
    """Return the options of the running command that were given, by the environment too, and the ticker, for the reader."""
    context = click.get_current_context()
    return [
        option
        for option in context.command.params
        if isinstance(option, click.Option)
        and (
            option.name in {"ticker", "plugins"} or context.get_parameter_source(option.name or "") in _GIVEN
        )
    ]


def _command(name: str, given: Iterable[click.Option], source: str) -> list[str]:
    values = click.get_current_context().params
    words = [
        *program(name),
        *(word for option in given for word in _words(option, values[option.name or ""])),
    ]
    source = source_option(source)
    return [*words, "--source", source, *_data_dir(source, words)]


def _words(option: click.Option, value: Any) -> list[str]:
    if option.is_flag:
        return [option.opts[0]] if value else option.secondary_opts[:1]
    return [word for each in (value if option.multiple else [value]) for word in (option.opts[0], str(each))]


def _data_dir(source: str, words: list[str]) -> list[str]:
    """Return the folder of bars where the environment or the configuration file named it."""
    from crypto_refactor.config import settings

    folder = settings().data_dir
    if source != "files" or folder is None or "--data-dir" in words:
        return []
    return ["--data-dir", str(folder)]


def equivalent_backtest(
    session: TradingSession,
    hours: int,
    end: int | None,
    data_dir: Path | None,
    *,
    tickers: Sequence[Ticker],
) -> tuple[str, list[str]]:
    """Return what to call the backtest that trades the first of `tickers` by the very same rules, and its command."""
    words = [*program("backtest"), "--ticker", str(tickers[0]), "--hours", str(hours)]
    words += [
        "--initial-balance",
        f"{session.initial_balance / len(tickers):.2f}".removesuffix(".00"),
        *_changed(session),
    ]
    source = source_option(session.source.name)
    words += ["--source", source]
    words += ["--data-dir", str(data_dir)] if data_dir is not None else _data_dir(source, words)
    if end is not None:
        words += ["--end", to_iso(end)]
    share = f" (for {tickers[0]}, whose share is one of {len(tickers)})" if len(tickers) > 1 else ""
    return f"Backtest these exact rules{share}", words


def _changed(session: TradingSession) -> Iterator[str]:
    """Yield the options that differ from their defaults; fields of settings and signal rules are options."""
    for part in (session.settings, session.signal_rules):
        for field in fields(part):
            value = getattr(part, field.name)
            if field.name == "plugins":
                yield from (word for file in value for word in ("--plugin", str(file.path)))
            elif value != field.default:
                yield from (f"--{field.name.replace('_', '-')}", str(value))
    if session.model is not None:
        yield from ("--model", session.model)
    for name, spec in EXECUTION_OPTIONS.items():
        yield from spec.words(getattr(session.options, name))
    if session.allow_gaps:
        yield "--allow-gaps"
    if session.allow_jumps:
        yield "--allow-jumps"
