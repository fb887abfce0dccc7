"""Hourly bars of one ticker from one source."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from crypto_refactor.arrays import BoolArray, FloatArray, HourArray
from crypto_refactor.errors import DataError
from crypto_refactor.market.hours import to_iso

if TYPE_CHECKING:
    from crypto_refactor.market.ticker import Ticker


PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume")
MAX_FILLED_GAP_HOURS = 72
"""The longest hole that is carried as synthetic bars; a longer one splits the series."""
SAMPLE = "sample"
"""The name of the simulated source: its bars are marked SIMULATED wherever they go."""


def _no_synthetic() -> BoolArray:
    return np.zeros(0, dtype=np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bars:
    """Closed hourly bars, strictly increasing in time; holes between them are allowed and visible.

    A bar covers ``[opened, opened + 1)`` in hours since 1970-01-01T00:00Z.  Arrays are read-only.

    Attributes
    ----------
    ticker : Ticker
        The pair.
    source : str
        The source the bars came from.
    opened : ndarray of int64, shape (n,)
        When each bar opened.
    open, high, low, close : ndarray of float64, shape (n,)
        Prices in the quote currency, positive, ``low <= open, close <= high``.
    volume : ndarray of float64, shape (n,)
        Traded amount in the base currency, not negative.
    synthetic : ndarray of bool, shape (n,)
        Bars carried through a hole at the last close (see `fill_gaps`); never decided or filled on.

    Raises
    ------
    DataError
        At construction, if any bar breaks these rules; the first offending row is shown.
    """

    ticker: Ticker
    source: str
    opened: HourArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    synthetic: BoolArray = field(default_factory=_no_synthetic)

    def __post_init__(self) -> None:
        size = len(self.opened)
        if not len(self.synthetic):
            object.__setattr__(self, "synthetic", np.zeros(size, dtype=np.bool_))
        if size and np.asarray(self.opened).dtype.kind not in "iu":
            raise ValueError("opened must hold whole hours as integers: a cast would cut off the minutes")
        kinds: dict[str, type[np.generic]] = {"opened": np.int64, "synthetic": np.bool_}
        for name, kind in (kinds | dict.fromkeys(COLUMNS, np.float64)).items():
            column: npt.NDArray[np.generic] = np.asarray(getattr(self, name), dtype=kind)
            if column.shape != (size,):
                raise ValueError(f"{name} has shape {column.shape}, not ({size},)")
            if column.flags.writeable:
                column = column.copy()
                column.flags.writeable = False
            object.__setattr__(self, name, column)
        self._check()

    def _check(self) -> None:
        prices = np.stack([getattr(self, name) for name in PRICES])
        finite = np.isfinite(prices).all(axis=0) & np.isfinite(self.volume)
        ordered = np.ones(len(self), dtype=np.bool_)
        ordered[1:] = np.diff(self.opened) > 0
        with np.errstate(invalid="ignore"):
            rules = {
                "every value finite": finite,
                "strictly increasing time stamps": ordered,
                "prices above 0": (prices > 0).all(axis=0),
                "volume not below 0": self.volume >= 0,
                "low <= open, close <= high": (self.low <= np.minimum(self.open, self.close))
                & (np.maximum(self.open, self.close) <= self.high),
            }
        broken = [(int(np.argmin(holds)), rule) for rule, holds in rules.items() if not holds.all()]
        if broken:
            row, rule = min(broken, key=lambda item: item[0])
            raise DataError(
                f"Row {row + 1} of {len(self)} {self.ticker} bars from {self.source} is not a bar: "
                f"{self.row_text(row)}.",
                expected=f"{rule}.",
                remedy="correct or remove that row at its source; nothing was computed from these bars.",
            )

    def __len__(self) -> int:
        return len(self.opened)

    @property
    def closed(self) -> HourArray:
        """When each bar closed, hours since 1970, shape (n,)."""
        return self.opened + 1

    @property
    def simulated(self) -> bool:
        """Whether these bars come from the bundled simulation."""
        return self.source == SAMPLE

    def row_text(self, row: int) -> str:
        """Return one bar as it would stand in a file."""
        values = ", ".join(f"{name} {float(getattr(self, name)[row])!r}" for name in COLUMNS)
        return f"{to_iso(int(self.opened[row]))}: {values}"

    def rows(self, start: int, stop: int) -> Self:
        """Return the bars at positions ``start … stop - 1``."""
        part = slice(start, stop)
        return type(self)(
            ticker=self.ticker,
            source=self.source,
            opened=self.opened[part],
            synthetic=self.synthetic[part],
            **{name: getattr(self, name)[part] for name in COLUMNS},
        )

    def prefix(self, count: int) -> Self:
        """Return the first `count` bars: what was known when bar ``count - 1`` closed."""
        return self.rows(0, count)

    def between(self, start: int, end: int) -> Self:
        """Return the bars that opened at `start` or later and had closed by `end`."""
        first, stop = np.searchsorted(self.opened, [start, end])
        return self.rows(int(first), int(stop))

    def only_real(self) -> Self:
        """Return the bars without the synthetic ones."""
        if not self.synthetic.any():
            return self
        real = ~self.synthetic
        columns = {name: getattr(self, name)[real] for name in COLUMNS}
        return type(self)(ticker=self.ticker, source=self.source, opened=self.opened[real], **columns)

    def fingerprint(self) -> str:
        """Return a hash of every value, equal for equal bars wherever they were read from."""
        digest = hashlib.sha256(f"{self.ticker} {self.source}".encode())
        for name in ("opened", *COLUMNS):
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return digest.hexdigest()[:16]


def empty_bars(ticker: Ticker, source: str) -> Bars:
    """Return no bars at all, for a range in which the source has none."""
    hours, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
    return Bars(
        ticker=ticker,
        source=source,
        opened=hours,
        open=nothing,
        high=nothing,
        low=nothing,
        close=nothing,
        volume=nothing,
    )


def fill_gaps(bars: Bars) -> Bars:
    """Carry every hole of up to 72 h that later bars have closed as flat synthetic bars.

    A synthetic bar has open = high = low = close = the last real close and volume 0.  Longer holes stay
    open and split the series (see `segment_starts`); nothing is ever filled backward or past the last bar.

    Parameters
    ----------
    bars : Bars
        Real bars.

    Returns
    -------
    Bars
        The same bars with the synthetic ones between them; `bars` itself where it has no such hole.
    """
    gaps = np.diff(bars.opened)
    carried = (gaps > 1) & (gaps - 1 <= MAX_FILLED_GAP_HOURS)
    if not carried.any():
        return bars
    counts = np.ones(len(bars), dtype=np.int64)
    counts[:-1][carried] = gaps[carried]
    origin = np.repeat(np.arange(len(bars)), counts)
    offset = np.arange(len(origin)) - np.repeat(np.cumsum(counts) - counts, counts)
    synthetic = offset > 0
    close = bars.close[origin]
    prices = {name: np.where(synthetic, close, getattr(bars, name)[origin]) for name in PRICES}
    return Bars(
        ticker=bars.ticker,
        source=bars.source,
        opened=bars.opened[origin] + offset,
        synthetic=synthetic | bars.synthetic[origin],
        volume=np.where(synthetic, 0.0, bars.volume[origin]),
        **prices,
    )


def segment_starts(bars: Bars) -> HourArray:
    """Return the positions at which an unbroken stretch of hours begins, the first one included."""
    if not len(bars):
        return np.zeros(0, dtype=np.int64)
    return np.concatenate([[0], np.flatnonzero(np.diff(bars.opened) != 1) + 1]).astype(np.int64)
