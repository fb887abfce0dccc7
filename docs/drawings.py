"""Draw the examples of docs/backtests.md from the engine and the schedule themselves: `make docs`.

`tests/test_generated_docs.py` holds the table of the page against `example_rows`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from crypto_refactor.backtest.engine import Simulation, simulate
from crypto_refactor.execution.decisions import SignalPlan
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import parse_hour, to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.schedule import cutoff_for
from crypto_refactor.model.settings import ModelSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "svg.fonttype": "path",  # the same on every machine
    "svg.hashsalt": "crypto_refactor",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
PICTURES = Path(__file__).parent / "pictures"
LONG, FALL, RISE, LINE = "#2962ff", "#c62828", "#2e7d32", "#607d8b"

FIRST = 476_000  # the open of the first bar: 2024-04-20 08:00 UTC
BALANCE = 10_000.0
RULES = ExecutionRules(fee=0.001, stop_loss=0.03)
#        open, high, low, close, signal
BARS = (
    (100.0, 100.6, 99.4, 100.2, 0),
    (100.2, 101.4, 100.0, 101.2, 1),
    (101.4, 102.8, 101.1, 102.6, 1),
    (102.5, 103.6, 102.2, 103.4, 1),
    (103.4, 103.9, 102.6, 102.9, 0),
    (102.7, 103.0, 101.8, 102.0, 0),
    (102.0, 103.1, 101.9, 103.0, 1),
    (103.2, 103.4, 100.9, 101.1, 1),
    (101.0, 101.2, 98.6, 99.0, 1),
    (98.7, 99.6, 98.2, 99.3, 1),
    (99.3, 99.9, 98.9, 99.7, 1),
)
WHY = {"entry": "entered", "neutral": "signal ended", "stop_loss": "stop-loss"}


def example() -> tuple[Bars, Simulation]:
    """Return the bars of the example, and what the engine does on them."""
    columns = np.array(BARS).T
    bars = Bars(
        ticker=Ticker("BTC", "USD"),
        source="files",
        opened=FIRST + np.arange(len(BARS)),
        volume=np.ones(len(BARS)),
        **dict(zip(("open", "high", "low", "close"), columns, strict=False)),
    )
    signal = columns[4].astype(np.int8)
    always = np.ones(len(BARS), dtype=bool)
    plan = SignalPlan(signal=signal, forecast_side=signal, exceeds_cost=always, decidable=always)
    return bars, simulate(bars, plan, RULES, initial_balance=BALANCE)


def example_rows() -> list[str]:
    """Return the hours at which something happens, as rows of a table in Markdown."""
    bars, result = example()
    fills = {fill.at: fill for fill in result.fills}
    rows = []
    for place, closed in enumerate(bars.closed.tolist()):
        fill = fills.get(closed)
        done = (
            ""
            if fill is None
            else f"{'buy' if fill.side == 1 else 'sell'} {fill.quantity:.4f} at {fill.price:.2f}, "
            f"fee {fill.fee:.2f} ({WHY[fill.reason]})"
        )
        signal = ("flat", "long")[BARS[place][4]]
        rows.append(
            f"| {_clock(closed)} | {BARS[place][3]:.2f} | {signal} | {done} | {result.equity[place]:,.2f} |"
        )
    return rows


def _clock(hour: int) -> str:
    return to_iso(hour)[11:16]


def draw_fills() -> None:
    """Draw the bars of the example, its decisions and its fills."""
    bars, result = example()
    figure, (prices, equity) = plt.subplots(
        2, 1, figsize=(9, 5.4), height_ratios=(4, 1), sharex=True, layout="constrained"
    )
    _candles(prices, bars)
    for fill in result.fills:
        place = fill.at - FIRST
        buy = fill.side == 1
        prices.plot(place + 0.19, fill.price, "^" if buy else "v", color=LONG, markersize=10, zorder=6)
        text = f"{'bought' if buy else 'sold'} at the open\n{fill.price:.2f}, fee {fill.fee:.2f}\n{WHY[fill.reason]}"
        prices.annotate(
            text, (place + 0.19, fill.price), (place + 0.1, 96.6 if buy else 105.2), ha="center", va="center", fontsize=8.5,
            arrowprops={"arrowstyle": "-", "color": LONG, "lw": 0.8},
        )  # fmt: skip
    _decisions(prices, result)
    for trade in result.trades:
        level = trade.entry_price * (1 - RULES.stop_loss)
        left, right = trade.entry_hour - FIRST, trade.exit_hour - FIRST
        prices.plot((left, right), (level, level), "--", color=FALL, lw=1)
        prices.annotate(
            "stop-loss 3 %", (left, level), (2, 3), textcoords="offset points", fontsize=8, color=FALL
        )
    prices.set_ylim(95.2, 106.4)
    prices.set_ylabel("price, USD")
    prices.set_title(
        "A decision at a close fills at the next open; a stop is checked at closes, too", loc="left"
    )
    equity.plot(np.arange(1, len(BARS) + 1), result.equity, color=LINE, drawstyle="default", marker=".")
    equity.set_ylabel("equity, USD")
    equity.set_xticks(range(len(BARS) + 1), [_clock(FIRST + hour) for hour in range(len(BARS) + 1)])
    equity.set_xlabel("UTC")
    _write(figure, "fills.svg")


def _candles(axes: Axes, bars: Bars) -> None:
    for place in range(len(bars)):
        open_, close = bars.open[place], bars.close[place]
        colour = RISE if close >= open_ else FALL
        middle = place + 0.5
        axes.plot((middle, middle), (bars.low[place], bars.high[place]), color=colour, lw=1, zorder=1)
        axes.bar(middle, close - open_, 0.62, bottom=open_, color=colour, zorder=2)


def _decisions(axes: Axes, result: Simulation) -> None:
    """Mark each close at which the target changed, and what it was decided to be."""
    before = 0
    for place, target in enumerate(result.target.tolist()):
        if target != before:
            axes.plot(place + 1, BARS[place][3], "o", mfc="white", mec="black", markersize=7, zorder=5)
            text = "decided: long" if target else "decided: flat"
            axes.annotate(
                text, (place + 1, BARS[place][3]), (-4, 12 if target else -16), textcoords="offset points", ha="right",
                fontsize=8.5,
            )  # fmt: skip
        before = target


def draw_cutoffs() -> None:
    """Draw which hours each model of a 90-day backtest learns from and decides."""
    settings = ModelSettings()
    end = parse_hour("2024-09-06T04:00Z")
    first = end - 2160
    cutoffs = sorted({cutoff_for(hour, settings) for hour in range(first, end + 1)})
    figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
    for row, cutoff in enumerate(cutoffs):
        decided = max(first, cutoff + 1), min(end, cutoff + settings.refit_every)
        axes.barh(row, settings.train_hours, left=cutoff - settings.train_hours, height=0.5, color="#cfd8dc")
        axes.barh(row, decided[1] - decided[0], left=decided[0], height=0.5, color=LONG)
        axes.text(cutoff - settings.train_hours + 30, row, "learns from 90 days", va="center", fontsize=8.5)
        axes.plot((cutoff, cutoff), (row - 0.4, row + 0.4), color="black", lw=1.5)
        axes.text(cutoff, row + 0.47, f"cut-off {to_iso(cutoff)[:10]}", ha="center", va="top", fontsize=7.5)
    axes.axvspan(first, end, color=LONG, alpha=0.06)
    axes.text((first + end) / 2, -0.72, "the 90 days of the backtest", ha="center", color=LONG)
    axes.set_ylim(len(cutoffs) - 0.1, -1.0)
    axes.set_yticks(range(len(cutoffs)), [f"model {row + 1}" for row in range(len(cutoffs))])
    ticks = [
        hour for hour in range(cutoffs[0] - settings.train_hours, end + 1) if to_iso(hour)[8:13] == "01T00"
    ]
    axes.set_xticks(ticks, [to_iso(hour)[:7] for hour in ticks])
    axes.set_title(
        "Each hour is decided by a model that has learnt from hours before its cut-off only", loc="left"
    )
    _write(figure, "cutoffs.svg")


def _write(figure: plt.Figure, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    figure.savefig(PICTURES / name, metadata={"Date": None, "Creator": None})
    plt.close(figure)
    print(f"docs/pictures/{name}")


def main() -> int:
    with plt.rc_context(STYLE):
        draw_fills()
        draw_cutoffs()
    return 0


if __name__ == "__main__":
    sys.exit(main())
