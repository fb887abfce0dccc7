"""A comparison for people: one ranked table, the portfolios, and what luck alone would have shown."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from crypto_refactor.backtest.comparison.runner import Comparison, FailedTicker
from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.backtest.significance.selection_bias import SelectionBias
from crypto_refactor.backtest.significance.verdict import MIN_TRADES
from crypto_refactor.market.bars import SAMPLE
from crypto_refactor.market.hours import to_iso, to_local_text
from crypto_refactor.report.formatting import UNDEFINED, money, number, source_name
from crypto_refactor.report.rules_summary import rules_text

_FIGURES = (
    "return %",
    "Alpaca %",
    "hold %",
    "Sharpe ± SE",
    "max DD %",
    "trades",
    "win %",
    "fees",
    "exposed %",
)
_NARROW, _FIRST_FIGURES = 100, 6
"""On a terminal narrower than this only the first figures are shown: none is ever cut off."""


def print_comparison(found: Comparison, tz: ZoneInfo, console: Console) -> None:
    """Print the human view, times in `tz`."""
    parts = _headline(found, tz)
    if found.trials:
        parts += [_table(found, console.width), "", *_notes(found)]
    parts += [f"Not offered: {each.ticker}{_where(each.where)}: {each.why}" for each in found.not_offered]
    parts += [_failed(each) for each in found.failed]
    if found.end is not None:
        parts.append(f"Repeat with --end {to_iso(found.end)}.")
    console.print(Group(*parts), highlight=False, markup=False)


def _headline(found: Comparison, tz: ZoneInfo) -> list[RenderableType]:
    request = found.request
    mark = "   SIMULATED" if request.source.name == SAMPLE else ""
    tickers, settings = len(request.tickers), len(request.settings)
    lines: list[RenderableType] = [
        Text(
            f"Comparison of {tickers} ticker{'s' * (tickers > 1)} with {settings} setting{'s' * (settings > 1)}{mark}",
            style="bold",
        )
    ]
    if found.end is not None:
        first, last = to_local_text(found.end - request.hours, tz), to_local_text(found.end, tz)
        lines.append(f"{first} to {last}: {request.hours:,} hours from {source_name(request.source.name)}")
    if found.trials:
        lines += _what_traded(found)
    return [*lines, ""]


def _what_traded(found: Comparison) -> list[RenderableType]:
    request = found.request
    first = request.settings[0]
    trial = next((trial for trial in found.trials if trial.setting is first), found.trials[0])
    changed = " Settings change what they name." if len(request.settings) > 1 else ""
    models, seed = first.settings, first.settings.seed
    spans = f"{models.train_hours:,} h to learn, refitted every {models.refit_every:,} h"
    if request.model is not None:
        spans = f"pinned, {request.model}"
    trained = "nothing was trained" if not found.trained else f"{found.trained} trained for this"
    return [
        rules_text(trial.scenarios.requested.rules) + changed,
        (
            f"Models: {models.network} network, lookback {models.lookback}, seed {seed}, {spans}; "
            f"{first.signal_rules.min_confirmations} of 9 confirmations; {trained}."
        ),
    ]


def _table(found: Comparison, width: int) -> Table:
    figures = _FIGURES if width >= _NARROW else _FIGURES[:_FIRST_FIGURES]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("ticker", no_wrap=True)
    table.add_column("setting", overflow="fold")
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    for rank, trial in enumerate(found.trials, start=1):
        cells = _cells(*trial.scenarios.metrics)
        table.add_row(str(rank), str(trial.ticker), trial.setting.label, *cells[: len(figures)])
    table.add_row()
    for portfolio in found.portfolios:
        cells = _cells(portfolio.metrics, portfolio.alpaca_metrics, portfolio.hold_metrics)
        name = f"sum of {len(portfolio.tickers)}"
        table.add_row("", name, portfolio.setting.label, *cells[: len(figures)])
    return table


def _cells(metrics: Metrics, at_alpaca: Metrics | None, hold: Metrics) -> list[str]:
    sharpe = (
        UNDEFINED if metrics.sharpe is None else f"{number(metrics.sharpe)} ± {number(metrics.sharpe_se)}"
    )
    return [
        _hundredths(metrics.total_return),
        _hundredths(None if at_alpaca is None else at_alpaca.total_return),
        _hundredths(hold.total_return),
        sharpe,
        f"{metrics.max_drawdown * 100:.2f}",
        str(metrics.trades),
        UNDEFINED if metrics.win_rate is None else f"{metrics.win_rate * 100:.0f}",
        money(metrics.fees_paid),
        f"{metrics.exposure * 100:.0f}",
    ]


def _hundredths(value: float | None) -> str:
    """Return a fraction in per cent; the heading says so."""
    return UNDEFINED if value is None else f"{value * 100:+,.2f}"


def _notes(found: Comparison) -> list[RenderableType]:
    share = found.portfolios[0].share
    notes: list[RenderableType] = [
        *_luck(found),
        (
            f"A sum is a portfolio of equal sub-accounts that never lend to each other ({money(share)} each with "
            f"{found.portfolios[0].setting.label}): what run_multi_ticker.py would have traded."
        ),
    ]
    few = sum(trial.scenarios.requested.metrics.trades < MIN_TRADES for trial in found.trials)
    if few:
        notes.append(
            f"{few} of {len(found.trials)} trials closed fewer than {MIN_TRADES} trades: too few to tell skill from luck."
        )
    return notes


def _luck(found: Comparison) -> list[RenderableType]:
    luck = found.luck
    if luck is None:
        return ["No trial held anything, so there is nothing to rank."]
    best = found.trials[0]
    name = f"{best.ticker} ({best.setting.label})"
    if luck.tried == 1:
        return [
            (
                f"One trial: nothing was chosen among others. The probability that the true Sharpe ratio of {name} "
                f"is above 0 is {number(luck.deflated_sharpe)}."
            )
        ]
    return [Text(luck_text(luck, name), style="bold"), "What was tried before this command is not counted."]


def luck_text(luck: SelectionBias, best: str) -> str:
    """Return what was tried, what luck alone would show, and what is left of the best."""
    idle = luck.tried - luck.counted
    never = f", {idle} of which never held anything" if idle else ""
    return (
        f"{luck.tried} trials were made{never}. By luck alone, the best of so many would be expected to show a "
        f"Sharpe ratio of {number(luck.expected_best_sharpe)}; the best here, {best}, shows "
        f"{number(luck.best_sharpe)}. Deflated Sharpe ratio: {number(luck.deflated_sharpe)}, the probability that "
        "its true Sharpe ratio exceeds what luck gives (0.95 is the least one should ask for)."
    )


def _where(where: str) -> str:
    return f" ({where})" if where else ""


def _failed(failed: FailedTicker) -> str:
    error = failed.error
    return (
        f"Failed: {failed.ticker}{_where(failed.where)}: {error.what}\n"
        f"  Expected: {error.expected}\n  Remedy: {error.remedy}"
    )
