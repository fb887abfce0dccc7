"""The bars a window needs, its history included, or the reason why there are too few."""

from __future__ import annotations

from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import MAX_FILLED_GAP_HOURS, Bars, fill_gaps
from crypto_refactor.market.hours import to_iso
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
    option: str | None = "--hours",
) -> tuple[Bars, QualityReport]:
    """Return the real bars up to `end` that decisions in the last `hours` hours need.

    Parameters
    ----------
    source : Source
        Where they come from.
    ticker : Ticker
        Whose.
    hours : int
        Length of the window.
    end : int
        Its end, hours since 1970.
    settings : ModelSettings
        Say how much history the models need.
    allow_gaps : bool
        Accept more than 5 % missing bars.
    option : str or None
        What sets the length of the window; None where nothing does.

    Raises
    ------
    DataError
        If there are too few, the last one is too old, or too many are missing.
    """
    needed = hours_needed(hours, settings)
    # A hole may lie across the first hour that is needed; a bar before it shows that it is one.
    bars = source.bars(ticker, end - needed - MAX_FILLED_GAP_HOURS, end)
    found = end - int(bars.opened[0]) if len(bars) else 0
    if found < needed:
        require_reached(source, ticker, end)
        raise _too_few(ticker, hours, needed, found, end, settings, option)
    require_recent(bars, end)
    quality = quality_report(fill_gaps(bars), end - needed, end)
    require_complete(quality, allow_gaps=allow_gaps)
    return bars, quality


def window_of(bars: Bars, hours: int, end: int) -> Bars:
    """Return the carried bars of a window: the one that makes the first decision, then those of its hours.

    Raises
    ------
    DataError
        If the first of them lies in a hole too long to be carried.
    """
    window = fill_gaps(bars).between(end - hours - 1, end)
    if not len(window) or int(window.closed[0]) != end - hours:
        raise DataError(
            f"The first bar of the window, which closes at {to_iso(end - hours)}, lies in a long hole.",
            expected="a bar to make the first decision on.",
            remedy="choose another length or --end of the window.",
        )
    return window


def _too_few(
    ticker: Ticker,
    hours: int,
    needed: int,
    found: int,
    end: int,
    settings: ModelSettings,
    option: str | None,
) -> DataError:
    overhead = needed - hours
    largest = found - overhead
    best = "choose a later --end"
    if found:
        shorter = largest >= 1 and option is not None
        best = f"use {option} {largest} at most" if shorter else "use a shorter --train-hours"
    return DataError(
        f"{needed} hours of {ticker} up to {to_iso(end)} are needed, {found} were found.",
        expected=f"{hours} of the window and {overhead} before it ({settings.train_hours} to train, "
        f"{settings.refit_every} between refits, {settings.lookback} lookback, 500 warm-up).",
        remedy=f"{best}, or choose another window or source.",
    )
