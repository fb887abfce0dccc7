"""A seeded simulation of hourly bars with the known traits of crypto markets.

Returns share a common factor, have fat tails and volatility that comes in clusters; volume follows the
time of day and the size of the move.  Nothing in them can be forecast: with ``drift = 0`` the price is a
martingale (to third order in an hourly return), which also makes them a null for studies.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray
from crypto_refactor.market.bars import SAMPLE, Bars
from crypto_refactor.market.hours import parse_hour

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crypto_refactor.market.ticker import Ticker

FIRST_OPEN: Final = parse_hour("2024-01-01T00:00Z")
LAST_CLOSE: Final = parse_hour("2025-01-01T00:00Z")
BAR_COUNT: Final = LAST_CLOSE - FIRST_OPEN
SEED: Final = 45
"""A year that ends about where it began and in which no ticker's returns lean on the hour before."""

_TAIL_FREEDOM = 5.0  # Student t of hourly shocks: kurtosis 9 before volatility clusters add theirs
_MAX_SHOCK = 8.0  # standard deviations; keeps exp() of a shock within what markets have seen
_STEPS = 12  # five-minute steps inside an hour, from which high and low come
_CLIMATE_LEVEL = 0.22  # subtracted from log volatility, so that a profile's volatility is the overall one
_GAP = 0.04  # of an hour's volatility: how far an open lies from the close before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What tells one simulated ticker from another.

    Attributes
    ----------
    price : float
        First price in the quote currency; decides the decimals, too.
    volatility : float
        Standard deviation of an hourly log return.
    loading : float
        Correlation of the hourly shocks with the common factor, 0 to 1.
    volume : float
        Typical hourly volume in the base currency.
    idle : float
        Share of hours without a trade.
    """

    price: float
    volatility: float
    loading: float
    volume: float
    idle: float = 0.0


PROFILES: Final[Mapping[str, Profile]] = {
    "BTC": Profile(price=42_300, volatility=0.0055, loading=0.88, volume=900),
    "ETH": Profile(price=2_280, volatility=0.0066, loading=0.88, volume=11_000),
    "ADA": Profile(price=0.594, volatility=0.0088, loading=0.80, volume=4.1e6),
    "DOT": Profile(price=8.19, volatility=0.0086, loading=0.80, volume=160_000),
    "LINK": Profile(price=14.94, volatility=0.0090, loading=0.76, volume=130_000),
    "MATIC": Profile(price=0.971, volatility=0.0092, loading=0.78, volume=2.2e6),
    "UNI": Profile(price=7.34, volatility=0.0100, loading=0.70, volume=95_000),
    "AAVE": Profile(price=108.7, volatility=0.0098, loading=0.72, volume=5_200),
    "ATOM": Profile(price=10.6, volatility=0.0085, loading=0.79, volume=98_000),
    "XTZ": Profile(price=1.01, volatility=0.0087, loading=0.70, volume=150_000, idle=0.012),
    "ALGO": Profile(price=0.223, volatility=0.0092, loading=0.76, volume=3.6e6),
    "SOL": Profile(price=101.7, volatility=0.0092, loading=0.78, volume=240_000),
    "AVAX": Profile(price=38.6, volatility=0.0095, loading=0.79, volume=85_000),
}
"""Every ticker of the simulation by its base; levels of early 2024, rounded."""


def simulate_bars(
    ticker: Ticker,
    *,
    count: int = BAR_COUNT,
    seed: int = SEED,
    last_close: int = LAST_CLOSE,
    drift: float | FloatArray = 0.0,
) -> Bars:
    """Simulate `count` bars without holes; the same arguments give the same bars everywhere.

    Equal `seed`, `count` and `last_close` give every ticker the same common factor.

    Parameters
    ----------
    ticker : Ticker
        A pair whose base is in `PROFILES`.
    count : int
        Number of bars, at least 1.
    seed : int
        Chooses the world, not negative.
    last_close : int
        When the last bar closes, hours since 1970.
    drift : float or ndarray of float64, shape (count,)
        Expected return of each hour, a fraction: an array plants a pattern that could be forecast.

    Returns
    -------
    Bars
        Bars of the source ``sample``, marked as simulated.

    Raises
    ------
    KeyError
        If the simulation has no such base.
    """
    profile = PROFILES[ticker.base]
    opened = np.arange(last_close - count, last_close, dtype=np.int64)
    common, own = _stream(seed, "common factor"), _stream(seed, str(ticker))
    climate = 0.75 * _volatility_cycle(common, count) + 0.45 * _volatility_cycle(own, count)
    scale = profile.volatility * np.exp(climate - _CLIMATE_LEVEL) * _by_time_of_day(opened, depth=0.25)
    shock = profile.loading * _shocks(common, count) + np.sqrt(1 - profile.loading**2) * _shocks(own, count)
    returns = drift - scale**2 / 2 + scale * shock
    paths = _paths(own, returns, scale)
    volume = _volumes(own, opened, profile, climate, shock)
    open_, high, low, close = (_rounded_price(profile.price, path) for path in paths)
    return Bars(
        ticker=ticker,
        source=SAMPLE,
        opened=opened,
        open=open_,
        high=np.maximum(high, np.maximum(open_, close)),
        low=np.minimum(low, np.minimum(open_, close)),
        close=close,
        volume=volume,
    )


def _stream(seed: int, name: str) -> np.random.Generator:
    # `hash()` of a text differs from process to process; a checksum does not.
    return np.random.Generator(np.random.PCG64([seed, zlib.crc32(name.encode())]))


def _shocks(rng: np.random.Generator, count: int) -> FloatArray:
    """Return Student-t shocks of unit variance, shape (count,)."""
    unit = math.sqrt((_TAIL_FREEDOM - 2) / _TAIL_FREEDOM)
    return np.clip(rng.standard_t(_TAIL_FREEDOM, count) * unit, -_MAX_SHOCK, _MAX_SHOCK)


def _ar1(rng: np.random.Generator, count: int, memory: float) -> FloatArray:
    """Return a standard normal AR(1) series with lag-1 correlation `memory`, shape (count,)."""
    draws = rng.standard_normal(count)
    draws[1:] *= np.sqrt(1 - memory**2)
    return np.array(list(accumulate(draws.tolist(), lambda level, draw: memory * level + draw)))


def _volatility_cycle(rng: np.random.Generator, count: int) -> FloatArray:
    """Return a log-volatility series, a fast swing of about a day on a slow one of about two weeks."""
    return 0.35 * _ar1(rng, count, 0.96) + 0.35 * _ar1(rng, count, 0.998)


def _by_time_of_day(opened: HourArray, *, depth: float) -> FloatArray:
    """Return a factor that peaks at 15:00 UTC, when Europe and America both trade; geometric mean 1."""
    factor: FloatArray = np.exp(depth * np.cos(2 * np.pi * (opened % 24 - 15) / 24))
    return factor


def _paths(
    rng: np.random.Generator, returns: FloatArray, scale: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return log open, high, low and close of five-minute paths pinned to each hour's open and close."""
    count = len(returns)
    close = np.cumsum(returns)
    open_ = np.concatenate([[0.0], close[:-1]]) + _GAP * scale * rng.standard_normal(count)
    walk = np.cumsum(rng.standard_normal((count, _STEPS)), axis=1) / np.sqrt(_STEPS)
    elapsed = np.arange(1, _STEPS + 1) / _STEPS
    bridge = walk - elapsed * walk[:, -1:]
    inside = open_[:, None] + elapsed * (close - open_)[:, None] + scale[:, None] * bridge
    high = np.maximum(open_, inside.max(axis=1))
    low = np.minimum(open_, inside.min(axis=1))
    return open_, high, low, close


def _rounded_price(first: float, path: FloatArray) -> FloatArray:
    # Rounding also hides the last bit of exp() and log(), which differs from one C library to another.
    decimals = _decimals(first)
    return np.maximum(np.round(first * np.exp(path), decimals), 10.0**-decimals)


def _volumes(
    rng: np.random.Generator, opened: HourArray, profile: Profile, climate: FloatArray, shock: FloatArray
) -> FloatArray:
    """Return volumes that rise with the size of the move, the volatility and the busy hours."""
    mood = 0.45 * _ar1(rng, len(opened), 0.9)
    level = 0.7 * climate + 0.45 * (np.abs(shock) - 0.8) + mood
    volume = profile.volume * np.exp(level) * _by_time_of_day(opened, depth=0.45)
    idle = rng.random(len(opened)) < profile.idle
    return np.where(idle, 0.0, np.round(volume, max(0, _decimals(profile.volume) - 1)))


def _decimals(value: float) -> int:
    """Return how many decimals leave about seven significant digits (42300.12, 14.94213, 0.594312)."""
    return int(np.clip(6 - np.floor(np.log10(value)), 0, 6))
