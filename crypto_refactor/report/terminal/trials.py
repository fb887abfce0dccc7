"""The journal of trials in the terminal."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from crypto_refactor.backtest.journal.store import JournalRow
from crypto_refactor.backtest.significance.verdict import VERDICT_WORDS
from crypto_refactor.execution.options import EXECUTION_OPTIONS
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.formatting import UNDEFINED, number, percent
from crypto_refactor.report.terminal.tables import Column, FittedTable, print_table

_COLUMNS = (
    Column("#"),
    Column("ticker", left=True),
    Column("command", left=True, hide=3),
    Column("first run\n(UTC)", left=True, hide=2),
    Column("traded hours\n(UTC)", left=True, hide=4),
    Column("differs in", left=True, wraps=True),
    Column("return", signed=True),
    Column("Sharpe ± SE", hide=5),
    Column("trades", hide=6),
    Column("runs", hide=1),
    Column("verdict", left=True),
)


def print_trials(rows: Sequence[JournalRow], console: Console, *, wide: bool = False) -> None:
    """Print trials, in the given order, each with the settings in which not all trials with such settings agree.

    Evaluations, pinned models and models that are trained have different settings.
    """
    table = FittedTable(*_COLUMNS, all_in="--wide, --csv FILE", gap=1)
    alike: dict[frozenset[str], list[Mapping[str, Any]]] = {}
    for row in rows:
        alike.setdefault(frozenset(row.record.settings), []).append(row.record.settings)
    shared = {names: _shared(settings) for names, settings in alike.items()}
    hashed = {names: _share_names(settings) for names, settings in alike.items()}
    for row in rows:
        record = row.record
        sharpe = (
            UNDEFINED if record.sharpe is None else f"{number(record.sharpe)} ± {number(record.sharpe_se)}"
        )
        kind = frozenset(record.settings)
        own = {name: value for name, value in record.settings.items() if name not in shared[kind]}
        table.add(
            str(row.number),
            record.ticker,
            record.command,
            row.first_run_at[:16].replace("T", " "),
            f"{record.last - record.first:,} to {to_iso(record.last)[:13]}{' SIMULATED' * record.simulated}",
            ", ".join(
                _plugins(value, hashed=hashed[kind])
                if name == "plugins"
                else f"{_option(name)}={_text(value)}"
                for name, value in own.items()
            )
            or UNDEFINED,
            percent(record.total_return, signed=True),
            sharpe,
            str(record.trades),
            str(row.runs),
            UNDEFINED if row.verdict is None else VERDICT_WORDS.get(row.verdict, row.verdict),
        )
    print_table(console, table, wide=wide)


def _shared(settings: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of the settings that have the same value everywhere."""
    first = settings[0]
    return {name for name in first if all(name in each and each[name] == first[name] for each in settings)}


def _option(field: str) -> str:
    """Return the option behind a setting, as people type it."""
    spec = EXECUTION_OPTIONS.get(field)
    return field.replace("_", "-") if spec is None else spec.name


def _share_names(settings: Sequence[Mapping[str, Any]]) -> bool:
    """Whether different plug-ins have the same names."""
    given = [each.get("plugins") for each in settings]
    return len(set(map(json.dumps, given))) > len({_plugins(files, hashed=False) for files in given})


def _plugins(files: Sequence[Mapping[str, str]] | None, *, hashed: bool) -> str:
    """Name plug-ins, with the beginning of their hashes where names alone do not tell them apart."""
    names = [f"{file['name']} {file['hash'][:6]}" if hashed else file["name"] for file in files or ()]
    return f"plugin {' and '.join(names)}" if names else "no plugin"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else f"{value:.12g}" if isinstance(value, float) else str(value)
