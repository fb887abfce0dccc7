"""Hourly bars of one ticker from one source."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from crypto_refactor.arrays import BoolArray, FloatArray, HourArray
from crypto_refactor.errors import DataError
from crypto_refactor.market.hours import Hour, to_iso
from crypto_refactor.market.ticker import Ticker

if TYPE_CHECKING:
    import pandas as pd

PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume")
MAX_FILLED_GAP_HOURS = 72
"""The longest gap that is forward-filled with synthetic bars; a longer one splits the series."""
FRAME = "frame"
"""The name of bars that came as a DataFrame."""
SAMPLE = "sample"
"""The name of the simulated source: its bars are marked SIMULATED wherever they go."""


def _no_synthetic() -> BoolArray:
    return np.zeros(0, dtype=np.bool_)


def _no_price() -> FloatArray:
    return np.zeros(0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bars:
    """Closed hourly bars, strictly increasing in time; gaps between them stay visible.

    A bar covers ``[opened, opened + 1)``.  Arrays are read-only.

    Attributes
    ----------
    ticker : Ticker
        The pair.
    source : str
        The source the bars came from.
    opened : ndarray of int64, shape (n,)
        When each bar opened, hours since 1970-01-01T00:00Z.
    open, high, low, close : ndarray of float64, shape (n,)
        Prices in the quote currency, positive, ``low <= open, close <= high``.
    volume : ndarray of float64, shape (n,)
        Traded amount in the base currency, not negative.
    synthetic : ndarray of bool, shape (n,)
        Forward-filled bars (see `fill_gaps`); nothing is decided or filled on them.
    protection_price : ndarray of float64, shape (n,)
        What protections act on: the close, except on the bars of a jump (see `plausibility.trusted`), NaN where they
        wait for the next bar.

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
    protection_price: FloatArray = field(default_factory=_no_price)

    def __post_init__(self) -> None:
        size = len(self.opened)
        if not len(self.synthetic):
            object.__setattr__(self, "synthetic", np.zeros(size, dtype=np.bool_))
        if size and np.asarray(self.opened).dtype.kind not in "iu":
            raise ValueError("opened must hold whole hours as integers: a cast would cut off the minutes")
        if not len(self.protection_price):
            object.__setattr__(self, "protection_price", self.close)
        dtypes: dict[str, type[np.generic]] = {"opened": np.int64, "synthetic": np.bool_}
        for name, dtype in (dtypes | dict.fromkeys((*COLUMNS, "protection_price"), np.float64)).items():
            column: npt.NDArray[np.generic] = np.asarray(getattr(self, name), dtype=dtype)
            if column.shape != (size,):
                raise ValueError(f"{name} has shape {column.shape}, not ({size},)")
            if column.flags.writeable:
                column = column.copy()
                column.flags.writeable = False
            object.__setattr__(self, name, column)
        self._validate()

    def _validate(self) -> None:
        rules = price_rules({name: getattr(self, name) for name in COLUMNS})
        rules["strictly increasing time stamps"] = np.diff(self.opened, prepend=self.opened[:1] - 1) > 0
        broken = first_broken(rules)
        if broken:
            row, rule = broken
            raise DataError(
                f"Row {row + 1} of {len(self)} {self.ticker} bars from {self.source} is not a bar: "
                f"{self.row_text(row)}.",
                expected=f"{rule}.",
                remedy="correct or remove that row at its source; nothing was computed from these bars.",
            )

    def __len__(self) -> int:
        return len(self.opened)

    def __repr__(self) -> str:
        """Say what the bars are of, and from when: a prompt that prints arrays shows nothing."""
        span = f", {to_iso(int(self.opened[0]))} to {to_iso(int(self.closed[-1]))}" if len(self) else ""
        return f"<Bars of {self.ticker} from {self.source}: {len(self):,} hours{span}>"

    @property
    def closed(self) -> HourArray:
        """When each bar closed, hours since 1970, shape (n,)."""
        return self.opened + 1

    @property
    def held(self) -> BoolArray:
        """Whether nothing is decided on a bar because its close jumps, shape (n,)."""
        return np.asarray(self.protection_price != self.close)

    @property
    def simulated(self) -> bool:
        """Whether these bars come from the bundled simulation."""
        return self.source == SAMPLE

    @classmethod
    def from_frame(cls, frame: "pd.DataFrame", ticker: Ticker | str, *, source: str | None = None) -> Self:
        """Return the bars of a DataFrame.

        Parameters
        ----------
        frame : DataFrame
            One row a bar, columns `open`, `high`, `low`, `close` and `volume` in any case and order; `synthetic`, where it
            holds True and False, marks forward-filled bars; others are ignored.  Its index, or a column `timestamp`,
            holds when each bar opened, with a time zone.
        ticker : Ticker or str
            For example ``BTC/USD``.
        source : str, optional
            The name of the source: part of what identifies a model.  By default ``frame``; bars of the simulation that
            `to_frame` returned stay marked as such.

        Raises
        ------
        UsageError
            If `frame` is no DataFrame, or `ticker` no ticker.
        DataError
            If a column is missing, a time stamp has no zone or lies between two hours, or a row is not a bar.
        """
        from crypto_refactor.market.frames import columns_of_frame, is_simulated

        pair = Ticker.of(ticker)
        columns = columns_of_frame(frame, pair)
        if source is None:
            source = SAMPLE if is_simulated(frame) else FRAME
        return cls(ticker=pair, source=source, **columns)

    def to_frame(self) -> "pd.DataFrame":
        """Return a DataFrame: open, high, low, close, volume and synthetic, indexed by the time (UTC) each bar opened."""
        from crypto_refactor.market.frames import OPENED, frame_of, mark_simulated

        frame = frame_of(self.opened, {name: getattr(self, name) for name in (*COLUMNS, "synthetic")}, OPENED)
        return mark_simulated(frame) if self.simulated else frame

    def sealed(self) -> Self:
        """Return a copy whose arrays cannot be made writable, and lead to no other bars."""
        names = ("opened", *COLUMNS, "synthetic", "protection_price")
        columns: dict[str, Any] = {}
        for name in names:
            column = getattr(self, name)
            columns[name] = np.frombuffer(column.tobytes(), dtype=column.dtype)
        return type(self)(ticker=self.ticker, source=self.source, **columns)

    def row_text(self, row: int) -> str:
        """Return one bar as it would stand in a file."""
        values = ", ".join(f"{name} {float(getattr(self, name)[row])!r}" for name in COLUMNS)
        return f"{to_iso(int(self.opened[row]))}: {values}"

    def take(self, rows: slice | BoolArray) -> Self:
        """Return some of the bars."""
        columns = {
            name: getattr(self, name)[rows] for name in ("opened", *COLUMNS, "synthetic", "protection_price")
        }
        return type(self)(ticker=self.ticker, source=self.source, **columns)

    def rows(self, start: int, stop: int) -> Self:
        """Return the bars at positions ``start … stop - 1``."""
        return self.take(slice(start, stop))

    def prefix(self, count: int) -> Self:
        """Return the first `count` bars: what was known when bar ``count - 1`` closed."""
        return self.rows(0, count)

    def between(self, start: Hour, end: Hour) -> Self:
        """Return the bars that opened at `start` or later and had closed by `end`."""
        first, stop = np.searchsorted(self.opened, [start, end])
        return self.rows(int(first), int(stop))

    def without_synthetic(self) -> Self:
        """Return the real bars."""
        return self.take(~self.synthetic) if self.synthetic.any() else self

    def fingerprint(self) -> str:
        """Return a hash of every value, equal for equal bars wherever they were read from."""
        digest = hashlib.sha256(f"{self.ticker} {self.source}".encode())
        for name in ("opened", *COLUMNS):
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return digest.hexdigest()[:16]


def price_rules(columns: Mapping[str, FloatArray]) -> dict[str, BoolArray]:
    """Return what makes a row of prices and volume a bar, and which rows satisfy it, shape (n,) each."""
    open_, high, low, close, volume = (columns[name] for name in COLUMNS)
    prices = np.stack([open_, high, low, close])
    with np.errstate(invalid="ignore"):
        return {
            "every value finite": np.isfinite(prices).all(axis=0) & np.isfinite(volume),
            "prices above 0": (prices > 0).all(axis=0),
            "volume not below 0": volume >= 0,
            "low <= open, close <= high": (low <= prices.min(axis=0)) & (prices.max(axis=0) <= high),
        }


def first_broken(rules: Mapping[str, BoolArray]) -> tuple[int, str] | None:
    """Return the first row that breaks one of `rules`, and that rule; None where every row satisfies all."""
    broken = [(int(np.argmin(rows)), rule) for rule, rows in rules.items() if not rows.all()]
    return min(broken, key=lambda item: item[0], default=None)


def fill_gaps(bars: Bars) -> Bars:
    """Forward-fill every gap of up to 72 h between two bars with synthetic bars.

    A synthetic bar has open = high = low = close = the last real close and volume 0.  Longer gaps stay open
    and split the series (see `segment_starts`); nothing is filled backward or past the last bar.

    Parameters
    ----------
    bars : Bars
        Real bars.

    Returns
    -------
    Bars
        The same bars with the synthetic ones between them; `bars` itself where there is no such gap.
    """
    steps = np.diff(bars.opened)
    filled = (steps > 1) & (steps - 1 <= MAX_FILLED_GAP_HOURS)
    if not filled.any():
        return bars
    counts = np.ones(len(bars), dtype=np.int64)
    counts[:-1][filled] = steps[filled]
    origin = np.repeat(np.arange(len(bars)), counts)
    offset = np.arange(len(origin)) - np.repeat(np.cumsum(counts) - counts, counts)
    synthetic = offset > 0
    prices = {name: np.where(synthetic, bars.close[origin], getattr(bars, name)[origin]) for name in PRICES}
    return Bars(
        ticker=bars.ticker,
        source=bars.source,
        opened=bars.opened[origin] + offset,
        synthetic=synthetic | bars.synthetic[origin],
        volume=np.where(synthetic, 0.0, bars.volume[origin]),
        protection_price=np.where(synthetic, bars.close[origin], bars.protection_price[origin]),
        **prices,
    )


def segment_starts(bars: Bars) -> HourArray:
    """Return the positions at which an unbroken stretch of hours begins, the first one included."""
    if not len(bars):
        return np.zeros(0, dtype=np.int64)
    return np.concatenate([[0], np.flatnonzero(np.diff(bars.opened) != 1) + 1]).astype(np.int64)
