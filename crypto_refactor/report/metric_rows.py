"""The rows of the table of metrics, worded once for the terminal and the HTML page."""

from collections.abc import Callable
from typing import NamedTuple

from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.correlation import Correlation, Mean
from crypto_refactor.report.formatting import UNDEFINED, money, number, percent


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
    """Return a correlation with its standard error."""
    if correlation.value is None:
        return UNDEFINED
    return f"{correlation.value:+.3f} ± {number(correlation.se, 3)}"


def hit_rate_text(share: Mean | None) -> str:
    """Return a share of correct directions with its standard error, in per cent."""
    if share is None:
        return UNDEFINED
    error = "" if share.se is None else f" ± {number(100 * share.se, 1)}"
    return f"{number(100 * share.value, 1)}{error} %"


def _holding_time(metrics: Metrics) -> str:
    hours = metrics.avg_holding_hours
    return UNDEFINED if hours is None else f"{hours:.1f} h"


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
