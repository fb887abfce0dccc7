"""A result as a notebook shows it: a fragment of HTML with a small chart, which loads nothing and styles only itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.backtest.comparison.runner import Comparison
from crypto_refactor.backtest.result import RunResult
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report.formatting import money
from crypto_refactor.report.html.charts import equity_curves
from crypto_refactor.report.html.templating import environment
from crypto_refactor.report.short_tables import TRIALS_SHOWN, account_table, trial_table
from crypto_refactor.report.terminal.signal import condition_values, signal_summary
from crypto_refactor.report.verdict_lines import comparison_title, comparison_verdict, run_title, run_verdict
from crypto_refactor.signals.signal import Signal

_WIDTH, _HEIGHT, _POINTS = 640, 150, 320
# Notebooks are light or dark, and do not say which: these are seen on both.
_COLOURS = ("#2f81c7", "#a968c4", "#808a94", "#c98a1b", "#3a9d6e")


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of the chart: its name, colour and points, as SVG writes them."""

    name: str
    colour: str
    points: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Equity over the hours of a window, with the ends of both axes in words."""

    width: int
    height: int
    curves: tuple[Curve, ...]
    low: str
    high: str
    first: str
    last: str


def run_fragment(result: RunResult, tz: ZoneInfo) -> str:
    """Return a run: the verdict, the key figures of its accounts, and their equity."""
    closed = result.window.closed
    return _render(
        verdict=run_verdict(result),
        title=run_title(result, tz),
        table=account_table(result),
        chart=equity_chart(equity_curves(result), int(closed[0]), int(closed[-1]), tz),
    )


def comparison_fragment(comparison: Comparison, tz: ZoneInfo) -> str:
    """Return a comparison: what is left of the best trial, the first trials, and the portfolios of the first settings."""
    end, hours = comparison.end, comparison.request.hours
    shown = comparison.portfolios[: len(_COLOURS)]
    curves = {portfolio.parameter_set.label: portfolio.equity for portfolio in shown}
    hidden = len(comparison.trials) - TRIALS_SHOWN
    notes = [f"… and {hidden} more trials in .table"] if hidden > 0 else []
    if len(comparison.portfolios) > len(shown):
        notes.append(f"The chart shows the portfolios of the first {len(shown)} settings; .equity has all.")
    notes += [f"Failed: {failed.ticker}: {failed.error.what}" for failed in comparison.failed]
    return _render(
        verdict=comparison_verdict(comparison),
        title=comparison_title(comparison, tz),
        table=trial_table(comparison) if comparison.trials else None,
        chart=None if end is None or not curves else equity_chart(curves, end - hours, end, tz),
        notes=notes,
    )


def signal_fragment(signal: Signal, tz: ZoneInfo) -> str:
    """Return a signal: what it is and what it is worth, and its conditions."""
    head, *lines = signal_summary(signal, tz).splitlines()
    values = condition_values(signal, signal.forecast_side or 1)
    conditions = [(name, "yes" if holds else "no", values[name]) for name, holds in signal.conditions.items()]
    return _render(verdict=head, lines=lines, conditions=conditions)


def equity_chart(curves: Mapping[str, FloatArray], first: int, last: int, tz: ZoneInfo) -> Chart:
    """Draw curves of equal length over the hours from `first` to `last`."""
    values = np.concatenate(list(curves.values()))
    low, high = float(values.min()), float(values.max())
    return Chart(
        width=_WIDTH,
        height=_HEIGHT,
        curves=tuple(
            Curve(name, colour, _points(curve, low, high))
            for (name, curve), colour in zip(curves.items(), _COLOURS, strict=False)
        ),
        low=money(low),
        high=money(high),
        first=to_local_text(first, tz),
        last=to_local_text(last, tz),
    )


def _points(curve: FloatArray, low: float, high: float) -> str:
    """Return at most `_POINTS` evenly spread points of a curve, its ends among them."""
    at = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), _POINTS)).round().astype(np.int64))
    across = at / max(len(curve) - 1, 1) * _WIDTH
    up = (curve[at] - low) / (high - low) if high > low else np.full(len(at), 0.5)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, (1 - up) * _HEIGHT, strict=True))


def _render(*, verdict: str, notes: Iterable[str] = (), **parts: object) -> str:
    given = dict.fromkeys(("title", "table", "chart", "lines", "conditions")) | parts
    return (
        environment().get_template("fragment.html.jinja").render(verdict=verdict, notes=list(notes), **given)
    )
