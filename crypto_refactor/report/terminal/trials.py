"""The journal of trials in the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from crypto_refactor.backtest.journal.store import JournalRow
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.formatting import UNDEFINED, number, percent
from crypto_refactor.report.terminal.tables import Column, FittedTable, print_table

_COLUMNS = (
    Column("#"),
    Column("ticker", left=True),
    Column("command", left=True, hide=3),
    Column("first run\n(UTC)", left=True, hide=2),
    Column("traded hours\n(UTC)", left=True, hide=5),
    Column("differs in", left=True, wraps=True),
    Column("return", signed=True),
    Column("Sharpe ± SE", hide=6),
    Column("trades", hide=7),
    Column("runs", hide=1),
    Column("verdict", left=True, hide=4),
)


def print_trials(rows: Sequence[JournalRow], console: Console, *, wide: bool = False) -> None:
    """Print trials, in the given order, each with the settings in which not all of them agree."""
    table = FittedTable(*_COLUMNS, all_in="--wide, --csv FILE", gap=1)
    shared = _shared([row.record.settings for row in rows])
    for row in rows:
        record = row.record
        sharpe = (
            UNDEFINED if record.sharpe is None else f"{number(record.sharpe)} ± {number(record.sharpe_se)}"
        )
        own = {name: value for name, value in record.settings.items() if name not in shared}
        table.add(
            str(row.number),
            record.ticker,
            record.command,
            row.first_run_at[:16].replace("T", " "),
            f"{record.last - record.first:,} to {to_iso(record.last)[:13]}{' SIMULATED' * record.simulated}",
            ", ".join(f"{name}={_text(value)}" for name, value in own.items()) or UNDEFINED,
            percent(record.total_return, signed=True),
            sharpe,
            str(record.trades),
            str(row.runs),
            row.verdict or UNDEFINED,
        )
    print_table(console, table, wide=wide)


def _shared(settings: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of the settings that have the same value everywhere."""
    first = settings[0]
    return {name for name in first if all(name in each and each[name] == first[name] for each in settings)}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else f"{value:.12g}" if isinstance(value, float) else str(value)
