"""Received bars beside stored ones."""

import numpy as np

from crypto_refactor.market.bars import COLUMNS, Bars
from crypto_refactor.market.sources.alpaca_parser import ParsedBars


def with_known(parsed: ParsedBars, stored: Bars) -> Bars:
    """Return the received bars, with the stored one wherever a defective row came in its place."""
    bars = parsed.bars
    lost = {defect.opened for defect in parsed.defects}.difference(bars.opened.tolist())
    known = stored.take(np.isin(stored.opened, [hour for hour in lost if hour is not None]))
    return joined(bars, known)


def joined(bars: Bars, others: Bars) -> Bars:
    """Return `bars`, and those of `others` for other hours."""
    others = others.take(~np.isin(others.opened, bars.opened))
    if not len(others):
        return bars
    order = np.argsort(np.concatenate([bars.opened, others.opened]))
    columns = {
        name: np.concatenate([getattr(bars, name), getattr(others, name)])[order]
        for name in ("opened", *COLUMNS)
    }
    return Bars(ticker=bars.ticker, source=bars.source, **columns)


def revised(stored: Bars, received: Bars) -> list[str]:
    """Return the stored bars that were not received as they are stored."""
    if not len(stored):
        return []
    again = received.between(int(stored.opened[0]), int(stored.closed[-1]))
    same = set(map(again.row_text, range(len(again))))
    return [text for text in map(stored.row_text, range(len(stored))) if text not in same]
