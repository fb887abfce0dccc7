"""The figures of a backtest, side by side."""

from __future__ import annotations

from collections.abc import Callable

from rich.table import Table

from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.backtest.result import RunResult
from crypto_refactor.backtest.significance.forecast_skill import Skill
from crypto_refactor.backtest.significance.summary import Significance
from crypto_refactor.report.formatting import UNDEFINED, money, number, percent

_ROWS: tuple[tuple[str, Callable[[Metrics], str]], ...] = (
    ("Final balance", lambda m: money(m.final_balance)),
    ("Total return", lambda m: percent(m.total_return, signed=True)),
    ("CAGR", lambda m: percent(m.cagr, signed=True)),
    ("Volatility a year", lambda m: percent(m.volatility)),
    (
        "Sharpe ± standard error",
        lambda m: UNDEFINED if m.sharpe is None else f"{number(m.sharpe)} ± {number(m.sharpe_se)}",
    ),
    ("Sortino", lambda m: number(m.sortino)),
    ("Max drawdown", lambda m: percent(m.max_drawdown)),
    ("  its length", lambda m: f"{m.max_drawdown_hours} h"),
    ("Calmar", lambda m: number(m.calmar)),
    ("Trades closed", lambda m: str(m.trades)),
    ("Win rate", lambda m: percent(m.win_rate, 1)),
    ("Profit factor", lambda m: number(m.profit_factor)),
    ("Expectancy a trade", lambda m: money(m.expectancy)),
    (
        "Average holding",
        lambda m: UNDEFINED if m.avg_holding_hours is None else f"{m.avg_holding_hours:.1f} h",
    ),
    ("Exposure", lambda m: percent(m.exposure, 1)),
    ("Turnover", lambda m: f"{m.turnover:.1f} x"),
    ("Fees paid", lambda m: money(m.fees_paid)),
)


def metrics_table(told: RunResult) -> Table:
    """Return the figures of this run, of Alpaca and of buying and holding, and what tells the run from luck."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    for name in ("This run", "At Alpaca", "Buy and hold"):
        table.add_column(name, justify="right", no_wrap=True)
    for label, show in _ROWS:
        table.add_row(
            label, *(UNDEFINED if column is None else show(column) for column in told.scenarios.metrics)
        )
    if told.significance is not None:
        for label, text in _luck_rows(told.significance):
            table.add_row(label, text, "", "")
    return table


def _luck_rows(found: Significance) -> list[tuple[str, str]]:
    """Return the figures that carry the verdict: three, and a fourth where there were forecasts."""
    interval, entry = found.intervals.total_return, found.random_entry
    span = UNDEFINED
    if interval is not None:
        span = " to ".join(percent(end, 1, signed=True) for end in interval)
    rows = [
        ("Return, 95 % interval", span),
        ("Random entry, p", number(None if entry is None else entry.p, 3)),
        ("Break-even fee", percent(found.break_even.fee, 3)),
    ]
    return rows if found.skill is None else [*rows, ("Rank IC ± error", _rank_ic(found.skill))]


def _rank_ic(skill: Skill) -> str:
    found = skill.model.spearman
    return UNDEFINED if found.value is None else f"{found.value:+.3f} ± {number(found.se, 3)}"
