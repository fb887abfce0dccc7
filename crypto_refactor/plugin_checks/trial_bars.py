"""The bars that contracts are tried on: an unbroken stretch, as it is and with hours in which nothing happens."""

from dataclasses import dataclass, replace

import numpy as np

from crypto_refactor.errors import DataError
from crypto_refactor.features.catalogue import WARMUP
from crypto_refactor.market.bars import COLUMNS, PRICES, Bars, segment_starts

COUNT = WARMUP + 400
"""Bars of a stretch: so many that 400 of them have features."""
_SILENT = slice(WARMUP + 60, WARMUP + 110)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialBars:
    """Bars, and what they are in words."""

    name: str
    bars: Bars

    def scaled(self, *, price: float = 1.0, volume: float = 1.0) -> Bars:
        """Return the bars with all prices and all volumes multiplied."""
        columns = {name: getattr(self.bars, name) * price for name in PRICES}
        return replace(self.bars, **columns, volume=self.bars.volume * volume, protection_price=np.zeros(0))


def trial_bars(bars: Bars) -> tuple[TrialBars, TrialBars]:
    """Return the last unbroken stretch of `bars`, as it is and with 50 hours of one price and no volume.

    Raises
    ------
    DataError
        If no stretch is long enough.
    """
    starts = segment_starts(bars).tolist()
    stretches = [(start, stop) for start, stop in zip(starts, [*starts[1:], len(bars)], strict=True)]
    long_enough = [(start, stop) for start, stop in stretches if stop - start >= COUNT]
    if not long_enough:
        raise DataError(
            f"No unbroken stretch of the {len(bars):,} bars of {bars.ticker} from {bars.source} has {COUNT} bars.",
            expected=f"{COUNT} bars in a row.",
            remedy="choose another --ticker or --source.",
        )
    stop = long_enough[-1][1]
    whole = bars.rows(stop - COUNT, stop)
    name = f"{bars.ticker} from {bars.source}{' (SIMULATED)' if bars.simulated else ''}"
    return (
        TrialBars(name=name, bars=whole),
        TrialBars(name=f"{name}, 50 hours silent", bars=_silenced(whole)),
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
