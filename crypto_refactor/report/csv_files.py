"""Trades as rows, the same for a backtest and for an account."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from crypto_refactor.backtest.result import RunResult
from crypto_refactor.execution.sub_account import Trade
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.signals.signal import DIRECTIONS

TRADE_COLUMNS = (
    "ticker",
    "direction",
    "entry_at",
    "entry_price",
    "exit_at",
    "exit_price",
    "quantity",
    "gross_pnl",
    "fees",
    "net_pnl",
    "net_return",
    "bars_held",
    "exit_reason",
)


def trade_row(ticker: Ticker, trade: Trade) -> dict[str, object]:
    """Return a trade by the documented columns, in their order; times are ISO-8601 UTC."""
    values = (
        str(ticker),
        DIRECTIONS[trade.direction],
        to_iso(trade.entered),
        trade.entry_price,
        to_iso(trade.exited),
        trade.exit_price,
        trade.quantity,
        trade.gross_pnl,
        trade.fees,
        trade.net_pnl,
        trade.net_return,
        trade.bars_held,
        trade.exit_reason,
    )
    return dict(zip(TRADE_COLUMNS, values, strict=True))


def trades_csv(told: RunResult) -> str:
    """Return one row per trade of a run; simulated ones carry a further column that says so."""
    return trades_text(
        ((told.ticker, trade) for trade in told.requested.simulation.trades), simulated=told.window.simulated
    )


def trades_text(trades: Iterable[tuple[Ticker, Trade]], *, simulated: bool) -> str:
    """Return trades as CSV; simulated ones carry a further column that says so."""
    rows = [list(trade_row(ticker, trade).values()) for ticker, trade in trades]
    return csv_text(TRADE_COLUMNS, rows, simulated=simulated)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]], *, simulated: bool) -> str:
    """Return rows as CSV; simulated ones carry a further column that says so."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*header, "simulated"] if simulated else header)
    writer.writerows([*row, "SIMULATED"] if simulated else row for row in rows)
    return text.getvalue()
