"""Bars with closes that cannot be prices, planted in real or simulated ones."""

from __future__ import annotations

import numpy as np

from crypto_refactor.market.bars import PRICES, Bars


def changed(bars, *, volume=None, **prices):
    """The same bars with other prices, high and low around them."""
    columns = {name: prices.get(name, getattr(bars, name)) for name in PRICES}
    columns["high"] = np.maximum.reduce([columns["high"], columns["open"], columns["close"]])
    columns["low"] = np.minimum.reduce([columns["low"], columns["open"], columns["close"]])
    return Bars(
        ticker=bars.ticker,
        source=bars.source,
        opened=bars.opened,
        volume=bars.volume if volume is None else volume,
        **columns,
    )


def with_closes(bars, factors, *, opens=True):
    """`bars` with the closes at some rows multiplied, and the opens after them."""
    close, open_ = bars.close.copy(), bars.open.copy()
    for row, factor in factors.items():
        close[row] *= factor
        if opens and row + 1 < len(open_):
            open_[row + 1] *= factor
    return changed(bars, open=open_, close=close)


def shifted(bars, row, factor, *, from_open=True):
    """`bars` with every price from `row` on in another unit."""
    prices = {name: getattr(bars, name).copy() for name in PRICES}
    for name, values in prices.items():
        values[row:] *= factor
        if name == "open" and not from_open:
            values[row] /= factor
    volume = bars.volume.copy()
    volume[row:] /= factor
    return changed(bars, volume=volume, **prices)


def planted(bars, row):
    """Return `bars` with each kind of jump at `row`, by its name."""
    return {
        "bad tick": with_closes(bars, {row: 0.55}),
        "bad tick of two bars": with_closes(bars, {row: 1.8, row + 1: 1.8}),
        "decimal point": with_closes(bars, {row: 10.0}),
        "crash": shifted(bars, row, 0.6, from_open=False),
        "redenomination": shifted(bars, row, 10.0),
    }
