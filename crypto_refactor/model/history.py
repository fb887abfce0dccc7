"""The bars of a window and the history that its models need."""

import math

from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import MAX_FILLED_GAP_HOURS, Bars, fill_gaps
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.plausibility import require_plausible
from crypto_refactor.market.quality import QualityReport, quality_report, require_complete, require_recent
from crypto_refactor.market.sources.base import Source, require_reached
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.schedule import hours_needed
from crypto_refactor.model.settings import ModelSettings


def bars_with_history(
    source: Source,
    ticker: Ticker,
    hours: int,
    end: int,
    settings: ModelSettings,
    *,
    allow_gaps: bool,
    allow_jumps: bool,
    allow_ticks: bool = False,
    option: str | None = "--hours",
) -> tuple[Bars, QualityReport]:
    """Return the bars up to `end` that decisions in the last `hours` hours need, as quoted, and their quality.

    `option` is the command-line option that sets `hours`, if there is one; an error names it.

    Raises
    ------
    DataError
        If there are too few bars, the last one is too old, too many are missing, or prices jump.
    """
    needed = hours_needed(hours, settings)
    # The first hour needed may lie in a gap: only a bar before it shows that.
    bars = source.bars(ticker, end - needed - MAX_FILLED_GAP_HOURS, end)
    available = end - int(bars.opened[0]) if len(bars) else 0
    if available < needed:
        require_reached(source, ticker, end)
        overhead = needed - hours
        raise DataError(
            f"Not enough history of {ticker}: {needed:,} hours up to {to_iso(end)} are needed, {available:,} were found.",
            expected=f"{hours:,} of the window and {overhead:,} before it ({settings.train_hours:,} to train, "
            f"{settings.refit_every} between refits, {settings.lookback} lookback, 500 warm-up).",
            remedy=f"{_shorter(available, overhead, option)}, add {math.ceil((needed - available) / 24):,} days of bars, "
            "or choose another window or source.",
        )
    require_recent(bars, end)
    quality = quality_report(fill_gaps(bars), end - needed, end)
    require_complete(quality, allow_gaps=allow_gaps)
    require_plausible(quality.jumps, bars, allow_jumps=allow_jumps, allow_ticks=allow_ticks)
    return bars, quality


def window_of(bars: Bars, hours: int, end: int) -> Bars:
    """Return the bars of a window, gaps filled: the one of the first decision, then those of its hours.

    Raises
    ------
    DataError
        If the first of them lies in a gap too long to be filled.
    """
    filled, first = fill_gaps(bars), end - hours
    window = filled.between(first - 1, end)
    if not len(window) or int(window.closed[0]) != first:
        before, after = filled.closed[filled.closed < first], filled.opened[filled.opened >= first]
        gap = (
            f" from {to_iso(int(before[-1]))} to {to_iso(int(after[0]))}"
            if len(before) and len(after)
            else ""
        )
        shorter = (
            f"use --hours {end - int(after[0]) - 1} at most" if len(after) else "choose an earlier --end"
        )
        raise DataError(
            f"The first bar of the window, which closes at {to_iso(first)}, lies in a long gap{gap}.",
            expected="a bar for the first decision.",
            remedy=f"{shorter}, or choose another --end.",
        )
    return window


def _shorter(available: int, overhead: int, option: str | None) -> str:
    if not available:
        return "choose a later --end"
    if available > overhead and option is not None:
        return f"use {option} {available - overhead} at most"
    return "use a shorter --train-hours"
