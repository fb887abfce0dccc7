"""The journal of trials in the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from crypto_refactor.backtest.journal.store import JournalRow
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.formatting import UNDEFINED, number, percent
from crypto_refactor.report.terminal.tables import plain_table

_LEFT = ("ticker", "command", "first run", "traded hours", "differs in", "verdict")


def print_trials(rows: Sequence[JournalRow], console: Console) -> None:
    """Print trials, in the given order, each with the settings in which not all of them agree."""
    figures = ("return", "Sharpe ± SE", "trades", "runs")
    table = plain_table(
        "#", *_LEFT[:-1], *figures, "verdict", left=_LEFT, wrap=("traded hours", "differs in"), gap=1
    )
    shared = _shared([row.record.settings for row in rows])
    for row in rows:
        record = row.record
        sharpe = (
            UNDEFINED if record.sharpe is None else f"{number(record.sharpe)} ± {number(record.sharpe_se)}"
        )
        own = {name: value for name, value in record.settings.items() if name not in shared}
        table.add_row(
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
    console.print(table, highlight=False, markup=False)


def _shared(settings: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of the settings that have the same value everywhere."""
    first = settings[0]
    return {name for name in first if all(name in each and each[name] == first[name] for each in settings)}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else f"{value:.12g}" if isinstance(value, float) else str(value)
