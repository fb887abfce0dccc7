"""What every indicator must keep, as functions of a catalogue and bars.

A registered indicator is tested by calling each of them with a catalogue that holds it.  All of them raise
`AssertionError` naming the columns that break the contract.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from crypto_refactor.features.catalogue import WARMUP
from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.bars import COLUMNS, PRICES, Bars, segment_starts
from crypto_refactor.market.ticker import Ticker

EXTRAS = ("bollinger_upper", "bollinger_lower", "bollinger_width", "volatility_mean")


def read_real_bars(folder, slug="btc_usd", *, start=0, count=None, ticks=False):
    """Return real bars; with `ticks` in whole units of 1e-8, in which sums and differences are exact."""
    table = pd.read_csv(folder / f"{slug}_1h.csv")
    stop = len(table) if count is None else start + count
    table = table.iloc[start:stop]
    opened = pd.to_datetime(table["timestamp"], utc=True).astype("datetime64[ns, UTC]").astype("int64")
    prices = {name: table[name].to_numpy(dtype=float) for name in PRICES}
    if ticks:
        prices = {name: np.rint(column * 1e8) for name, column in prices.items()}
    return Bars(
        ticker=Ticker(*slug.upper().split("_")),
        source="files",
        opened=opened.to_numpy() // 3_600_000_000_000,
        volume=table["volume"].to_numpy(dtype=float),
        **prices,
    )


def replaced(bars, **columns):
    """Return the bars with some columns replaced."""
    parts = {name: getattr(bars, name) for name in (*COLUMNS, "opened", "synthetic")} | columns
    return Bars(ticker=bars.ticker, source=bars.source, **parts)


def scaled(bars, *, price=1.0, volume=1.0):
    """Return the bars with all prices and all volumes multiplied."""
    columns = {name: getattr(bars, name) * price for name in PRICES}
    return replaced(bars, volume=bars.volume * volume, **columns)


def flat_between(bars, start, stop, *, silent=True):
    """Return the bars with a span at the close before it, without volume if `silent`."""
    columns = {name: getattr(bars, name).copy() for name in COLUMNS}
    for name in PRICES:
        columns[name][start:stop] = bars.close[start - 1]
    if silent:
        columns["volume"][start:stop] = 0.0
    columns["open"][stop : stop + 1] = np.clip(bars.close[start - 1], bars.low[stop], bars.high[stop])
    return replaced(bars, **columns)


def assert_prefix_invariant(catalogue, bars, counts=None):
    """The features of the first k bars are, bit for bit, the first k rows of those of all bars."""
    full = compute_features(bars, catalogue=catalogue)
    counts = range(WARMUP, len(bars) + 1) if counts is None else counts
    for count in counts:
        part = compute_features(bars.prefix(count), catalogue=catalogue)
        _assert_same_bits(part, full, slice(0, count), f"with the first {count} bars only")


def assert_split_independent(catalogue, bars):
    """Each unbroken segment has, bit for bit, the features it has when nothing lies before or behind it."""
    full = compute_features(bars, catalogue=catalogue)
    starts = [*segment_starts(bars).tolist(), len(bars)]
    assert len(starts) > 2, "these bars are not split"
    for start, stop in pairwise(starts):
        part = compute_features(bars.rows(start, stop), catalogue=catalogue)
        _assert_same_bits(part, full, slice(start, stop), f"without the bars beyond {start} … {stop}")


def assert_start_invariant(catalogue, bars, starts):
    """Beyond the warm-up it makes no difference where the series begins: at most 1e-6 of a column's IQR."""
    full = compute_features(bars, catalogue=catalogue)
    for start in starts:
        part = compute_features(bars.rows(start, len(bars)), catalogue=catalogue)
        for kind in ("values", "inputs"):
            ours, theirs = getattr(part, kind)[part.ready], getattr(full, kind)[start:][part.ready]
            assert len(ours), "no row is ready"
            allowed = 1e-6 * _iqr(getattr(full, kind)[full.ready])
            _assert_columns(catalogue, np.abs(ours - theirs) <= allowed, f"{kind} from bar {start} on")


def assert_price_scale_free(catalogue, bars, factors=(1e-6, 0.3, 1e5)):
    """Model inputs do not depend on the unit of the price: at most 1e-9 of a column's IQR."""
    for factor in factors:
        _assert_inputs_unmoved(catalogue, bars, scaled(bars, price=factor), f"prices times {factor:g}")


def assert_volume_scale_free(catalogue, bars, factors=(1e-6, 0.3, 1e5)):
    """Model inputs do not depend on the unit of the volume: at most 1e-9 of a column's IQR."""
    for factor in factors:
        _assert_inputs_unmoved(catalogue, bars, scaled(bars, volume=factor), f"volumes times {factor:g}")


def assert_cut_then_finite(catalogue, bars):
    """Equal length; NaN exactly where a row is not ready; finite, and no larger than is sane, elsewhere."""
    frame = compute_features(bars, catalogue=catalogue)
    shape = (len(bars), len(catalogue))
    assert frame.ready.shape == frame.position.shape == shape[:1]
    np.testing.assert_array_equal(frame.ready, frame.position >= WARMUP)
    for kind in ("values", "inputs"):
        matrix = getattr(frame, kind)
        assert matrix.shape == shape
        assert matrix.dtype == np.float64
        _assert_columns(catalogue, np.isfinite(matrix) == frame.ready[:, None], f"finite {kind}")
        _assert_columns(catalogue, np.isnan(matrix) != frame.ready[:, None], f"cut {kind}")
    _assert_columns(catalogue, np.abs(frame.inputs[frame.ready]) < 1e3, "inputs of a sane size")
    for name in EXTRAS:
        np.testing.assert_array_equal(np.isfinite(getattr(frame.extras, name)), frame.ready)


def assert_input_untouched(catalogue, bars):
    """Computing changes no bar."""
    before = {name: getattr(bars, name).copy() for name in (*COLUMNS, "opened", "synthetic")}
    compute_features(bars, catalogue=catalogue)
    for name, column in before.items():
        np.testing.assert_array_equal(getattr(bars, name), column, err_msg=name)


def _iqr(matrix):
    low, high = np.percentile(matrix, [25, 75], axis=0)
    return high - low


def _assert_columns(catalogue, holds, what):
    broken = [spec.name for spec, column in zip(catalogue, holds.T, strict=True) if not column.all()]
    assert not broken, f"{what}: broken by {', '.join(broken)}"


def _assert_same_bits(part, full, rows, what):
    for kind in ("values", "inputs"):
        for index, name in enumerate(full.names):
            ours, theirs = getattr(part, kind)[:, index], getattr(full, kind)[rows, index]
            assert ours.tobytes() == theirs.tobytes(), f"{kind} of {name} differ {what}"
    for name in EXTRAS:
        ours, theirs = getattr(part.extras, name), getattr(full.extras, name)[rows]
        assert ours.tobytes() == theirs.tobytes(), f"{name} differs {what}"
    np.testing.assert_array_equal(part.ready, full.ready[rows])


def _assert_inputs_unmoved(catalogue, bars, others, what):
    ours = compute_features(bars, catalogue=catalogue)
    theirs = compute_features(others, catalogue=catalogue)
    moved = np.abs(ours.inputs - theirs.inputs)[ours.ready]
    _assert_columns(catalogue, moved <= 1e-9 * _iqr(ours.inputs[ours.ready]), what)
