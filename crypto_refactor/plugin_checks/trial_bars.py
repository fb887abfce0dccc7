"""The bars that contracts are tried on: an unbroken stretch, as it is and with hours in which nothing happens."""

from dataclasses import dataclass, replace

import numpy as np

from crypto_refactor.errors import DataError
from crypto_refactor.features.catalogue import WARMUP
from crypto_refactor.market.bars import COLUMNS, PRICES, Bars, segment_starts

MIN_BARS = WARMUP + 400
"""Fewer leave fewer than 400 bars with features."""
MAX_BARS = 3440
"""As many as the longest series of a default run: warm-up, lookback, training span and the hours up to the next model."""
_SILENT = slice(WARMUP + 60, WARMUP + 110)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialBars:
    """Bars, and what they are in words."""

    name: str
    bars: Bars

    def __len__(self) -> int:
        return len(self.bars)

    def first(self, count: int) -> Bars:
        """Return the first `count` bars, with no way to those behind them."""
        return self.bars.prefix(count).sealed()

    def scaled(self, *, price: float = 1.0, volume: float = 1.0) -> Bars:
        """Return the bars with all prices and all volumes multiplied."""
        columns = {name: getattr(self.bars, name) * price for name in PRICES}
        scaled = replace(self.bars, **columns, volume=self.bars.volume * volume, protection_price=np.zeros(0))
        return scaled.sealed()


def trial_bars(bars: Bars) -> tuple[TrialBars, TrialBars]:
    """Return the last unbroken stretch of `bars`, and its end with 50 hours of one price and no volume.

    Raises
    ------
    DataError
        If no stretch is long enough.
    """
    starts = segment_starts(bars).tolist()
    stretches = zip(starts, [*starts[1:], len(bars)], strict=True)
    long_enough = [(start, stop) for start, stop in stretches if stop - start >= MIN_BARS]
    if not long_enough:
        raise DataError(
            f"No unbroken stretch of the {len(bars):,} bars of {bars.ticker} from {bars.source} has {MIN_BARS} bars.",
            expected=f"{MIN_BARS} bars in a row.",
            remedy="choose another --ticker or --source.",
        )
    start, stop = long_enough[-1]
    whole = bars.rows(max(start, stop - MAX_BARS), stop).sealed()
    silent = _silenced(bars.rows(stop - MIN_BARS, stop)).sealed()
    mark = " (SIMULATED)" if bars.simulated else ""
    name = f"{bars.ticker} from {bars.source}{mark}"
    return (
        TrialBars(name=f"{name}, {len(whole):,} bars", bars=whole),
        TrialBars(name=f"{name}, {len(silent):,} bars, 50 hours silent", bars=silent),
    )


def _silenced(bars: Bars) -> Bars:
    columns = {name: getattr(bars, name).copy() for name in COLUMNS}
    price = bars.close[_SILENT.start - 1]
    for name in PRICES:
        columns[name][_SILENT] = price
    columns["volume"][_SILENT] = 0.0
    after = _SILENT.stop
    columns["open"][after] = np.clip(price, bars.low[after], bars.high[after])
    return replace(bars, **columns, protection_price=np.zeros(0))
