"""What a run was, as pandas has it: one row an hour, a trade, a signal."""

import pandas as pd

from crypto_refactor.backtest.engine import Simulation
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.frames import frame_of, hour_index
from crypto_refactor.sides import Side
from crypto_refactor.signals.conditions import SignalFrame


def equity_frame(window: Bars, runs: dict[str, Simulation]) -> pd.DataFrame:
    """Return the equity of each run at each close of the window, the balance it began with first, in the quote currency."""
    return frame_of(window.closed, {name: run.equity for name, run in runs.items()}, "closed")


def trades_frame(run: Simulation) -> pd.DataFrame:
    """Return the trades of a run in order of exit; prices and money in the quote currency, `net_return` a fraction."""
    rows = [
        {
            "side": Side(trade.direction).label,
            "entry_price": trade.entry_price,
            "exit_price": trade.exit_price,
            "quantity": trade.quantity,
            "fees": trade.fees,
            "net_pnl": trade.net_pnl,
            "net_return": trade.net_return,
            "bars_held": trade.bars_held,
            "exit_reason": trade.exit_reason,
            "closed": trade.closed,
        }
        for trade in run.trades
    ]
    frame = pd.DataFrame(rows, columns=list(_TRADE_COLUMNS))
    for column, name in enumerate(("entry_hour", "exit_hour")):
        hours = pd.Series([getattr(trade, name) for trade in run.trades], dtype="int64").to_numpy()
        frame.insert(column, name.removesuffix("_hour"), hour_index(hours, name))
    return frame


_TRADE_COLUMNS = (
    *("side", "entry_price", "exit_price", "quantity", "fees", "net_pnl", "net_return", "bars_held"),
    *("exit_reason", "closed"),
)


def signals_frame(signals: SignalFrame) -> pd.DataFrame:
    """Return the signals at the closes that were decided, with the conditions that held for the forecast's side.

    `signal` is 1 long, 0 flat, -1 short; `close`, `predicted`, `threshold`, `low` and `high` (the 90 % interval of the next
    close) are prices, `expected_move` is a fraction, `confidence` a probability from 0.5 to 1.
    """
    names = (
        "signal",
        "close",
        "predicted",
        "threshold",
        "low",
        "high",
        "expected_move",
        "confidence",
        "confirmations",
    )
    columns = {name: getattr(signals, name) for name in names}
    met = signals.conditions_met
    columns |= {name: met[:, column] for column, name in enumerate(signals.conditions)}
    return frame_of(signals.decided_at, columns, "decided_at")
