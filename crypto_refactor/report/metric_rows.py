"""The rows of the table of metrics, worded once for the terminal and the HTML page."""

from collections.abc import Callable
from typing import NamedTuple

from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.correlation import Correlation, Mean
from crypto_refactor.report.formatting import UNDEFINED, money, number, percent


class KeyFigure(NamedTuple):
    """A figure that people ask for first: its label with its unit, and its format without one."""

    label: str  # ``{quote}`` stands for the currency
    show: Callable[[Metrics], str]


class MetricRow(NamedTuple):
    """A metric: its label, what it means where the label does not say it, and its format."""

    label: str
    hint: str
    show: Callable[[Metrics], str]
    is_money: bool = False

    def text(self, metrics: Metrics | None) -> str:
        """Return the metric as text, a dash where there was no run."""
        return UNDEFINED if metrics is None else self.show(metrics)


def sharpe_text(metrics: Metrics) -> str:
    """Return the Sharpe ratio with its standard error."""
    if metrics.sharpe is None:
        return UNDEFINED
    return f"{number(metrics.sharpe)} ± {number(metrics.sharpe_se)}"


def correlation_text(correlation: Correlation) -> str:
    """Return a correlation with its standard error, where it has one."""
    if correlation.value is None:
        return UNDEFINED
    error = "" if correlation.se is None else f" ± {number(correlation.se, 3)}"
    return f"{correlation.value:+.3f}{error}"


def hit_rate_text(share: Mean | None) -> str:
    """Return a share of correct directions with its standard error, in per cent."""
    if share is None:
        return UNDEFINED
    error = "" if share.se is None else f" ± {number(100 * share.se, 1)}"
    return f"{number(100 * share.value, 1)}{error} %"


def _holding_time(metrics: Metrics) -> str:
    hours = metrics.avg_holding_hours
    return UNDEFINED if hours is None else f"{hours:.1f} h"


IN_DAYS = 72
"""Hours from which on a length of time is told in days."""


def hours_text(hours: float, days: str = "days") -> str:
    """Return a length of time in the unit that people would take; `days` is the word for the longer one."""
    return f"{hours / 24:,.0f} {days}" if hours >= IN_DAYS else f"{hours:,.0f} h"


def _share(value: float | None, decimals: int = 0) -> str:
    """Return a fraction in per cent, without its unit; what rounds to 0 has no sign."""
    return UNDEFINED if value is None else number(round(value * 100, decimals) + 0.0, decimals)


def _signed(value: float) -> str:
    return f"{value * 100:+,.2f}"


def _drawdown(metrics: Metrics) -> str:
    """Return the deepest fall, and how long the account was under water."""
    hours, depth = metrics.max_drawdown_hours, _share(metrics.max_drawdown, 2)
    return f"{depth}, {hours_text(hours, 'd')}" if hours else depth


def _won(metrics: Metrics) -> str:
    return f"{metrics.trades:,}, {_share(metrics.win_rate)}" if metrics.trades else "0"


def _held(metrics: Metrics) -> str:
    held, exposed = metrics.avg_holding_hours, f"{_share(metrics.exposure)} %"
    return exposed if held is None else f"{hours_text(held)}, {exposed}"


RETURN_RANGE = "  95 % range"
KEY_FIGURES = (
    KeyFigure("Final balance, {quote}", lambda m: money(m.final_balance)),
    KeyFigure("Return, %", lambda m: _signed(m.total_return)),
    KeyFigure(RETURN_RANGE, lambda _: ""),
    KeyFigure("Max drawdown, %", _drawdown),
    KeyFigure("Sharpe ratio ± SE", sharpe_text),
    KeyFigure("Trades, % won", _won),
    KeyFigure("Average trade, {quote}", lambda m: money(m.expectancy)),
    KeyFigure("Held, in market", _held),
    KeyFigure("Fees, {quote}", lambda m: money(m.fees_paid)),
)
"""What every view of a run shows; `METRIC_ROWS` has the rest."""

METRIC_ROWS = (
    MetricRow("Total return", "after fees", lambda m: percent(m.total_return, signed=True)),
    MetricRow(
        "Final balance", "open position marked at the last close", lambda m: money(m.final_balance), True
    ),
    MetricRow("CAGR", "annual growth, withheld below 90 days", lambda m: percent(m.cagr, signed=True)),
    MetricRow("Annualised volatility", "from hourly returns", lambda m: percent(m.volatility)),
    MetricRow("Sharpe ratio ± SE", "annualised, with its standard error", sharpe_text),
    MetricRow("Sortino ratio", "annualised, downside over all bars", lambda m: number(m.sortino)),
    MetricRow("Max drawdown", "at hourly closes", lambda m: percent(m.max_drawdown)),
    MetricRow(
        "Drawdown duration", "from the peak to recovery or the end", lambda m: f"{m.max_drawdown_hours:,} h"
    ),
    MetricRow("Calmar ratio", "CAGR / max drawdown", lambda m: number(m.calmar)),
    MetricRow("Closed trades", "an open position is not counted", lambda m: f"{m.trades:,}"),
    MetricRow("Win rate", "after fees", lambda m: percent(m.win_rate, 1)),
    MetricRow("Profit factor", "profits / losses, after fees", lambda m: number(m.profit_factor)),
    MetricRow("Expectancy per trade", "after fees", lambda m: money(m.expectancy), True),
    MetricRow("Average holding time", "of closed trades", _holding_time),
    MetricRow("Exposure", "share of closes with a position", lambda m: percent(m.exposure, 1)),
    MetricRow("Turnover", "traded notional / mean equity", lambda m: f"{m.turnover:,.1f} ×"),
    MetricRow("Fees paid", "borrow included", lambda m: money(m.fees_paid), True),
)
