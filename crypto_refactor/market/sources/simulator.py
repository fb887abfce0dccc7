"""A seeded simulation of hourly bars with the known properties of crypto markets.

Returns share a common factor and have fat tails and volatility clusters; volume follows the time of day and
the size of the move.  Nothing in them can be forecast: with ``drift = 0`` the price is a martingale (to third
order in an hourly return), so the bars also serve as a null hypothesis.
"""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray
from crypto_refactor.market.bars import SAMPLE, Bars
from crypto_refactor.market.hours import Hour, parse_hour
from crypto_refactor.market.ticker import Ticker

FIRST_OPEN: Final = parse_hour("2024-01-01T00:00Z")
LAST_CLOSE: Final = parse_hour("2025-01-01T00:00Z")
BAR_COUNT: Final = LAST_CLOSE - FIRST_OPEN
SEED: Final = 45
"""A year that ends about where it began and in which no ticker's returns depend on the hour before."""

_TAIL_FREEDOM = 5.0  # Student t of hourly shocks: kurtosis 9 before volatility clusters
_MAX_SHOCK = 8.0  # standard deviations; keeps exp() of a shock within what markets have seen
_STEPS = 12  # five-minute steps inside an hour, from which high and low come
_LOG_VOLATILITY_MEAN = 0.22  # subtracted, so that a profile's volatility is the overall one
_OPEN_GAP = 0.04  # of an hour's volatility: how far an open lies from the close before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The parameters of a simulated ticker."""

    price: float  # the first one, in the quote currency; it also decides the number of decimals
    volatility: float  # standard deviation of an hourly log return
    factor_loading: float  # correlation of the hourly shocks with the common factor, 0 to 1
    volume: float  # typical hourly volume, in the base currency
    idle_share: float = 0.0  # share of hours without a trade


PROFILES: Final[Mapping[str, Profile]] = {
    "BTC": Profile(price=42_300, volatility=0.0055, factor_loading=0.88, volume=900),
    "ETH": Profile(price=2_280, volatility=0.0066, factor_loading=0.88, volume=11_000),
    "ADA": Profile(price=0.594, volatility=0.0088, factor_loading=0.80, volume=4.1e6),
    "DOT": Profile(price=8.19, volatility=0.0086, factor_loading=0.80, volume=160_000),
    "LINK": Profile(price=14.94, volatility=0.0090, factor_loading=0.76, volume=130_000),
    "MATIC": Profile(price=0.971, volatility=0.0092, factor_loading=0.78, volume=2.2e6),
    "UNI": Profile(price=7.34, volatility=0.0100, factor_loading=0.70, volume=95_000),
    "AAVE": Profile(price=108.7, volatility=0.0098, factor_loading=0.72, volume=5_200),
    "ATOM": Profile(price=10.6, volatility=0.0085, factor_loading=0.79, volume=98_000),
    "XTZ": Profile(price=1.01, volatility=0.0087, factor_loading=0.70, volume=150_000, idle_share=0.012),
    "ALGO": Profile(price=0.223, volatility=0.0092, factor_loading=0.76, volume=3.6e6),
    "SOL": Profile(price=101.7, volatility=0.0092, factor_loading=0.78, volume=240_000),
    "AVAX": Profile(price=38.6, volatility=0.0095, factor_loading=0.79, volume=85_000),
}
"""Every ticker of the simulation by its base; price levels of early 2024, rounded."""


def simulate_bars(
    ticker: Ticker,
    *,
    count: int = BAR_COUNT,
    seed: int = SEED,
    last_close: Hour = LAST_CLOSE,
    drift: float | FloatArray = 0.0,
) -> Bars:
    """Simulate `count` bars without gaps for a ticker whose base is in `PROFILES`.

    The same arguments give the same bars everywhere; equal `seed`, `count` and `last_close` give every ticker the
    same common factor.  `drift` is the expected return of each hour, a fraction or an array of shape (count,);
    an array plants a pattern that can be forecast.
    """
    profile = PROFILES[ticker.base]
    opened = np.arange(last_close - count, last_close, dtype=np.int64)
    common, individual = _stream(seed, "common factor"), _stream(seed, str(ticker))
    regime = 0.75 * _volatility_regime(common, count) + 0.45 * _volatility_regime(individual, count)
    scale = profile.volatility * np.exp(regime - _LOG_VOLATILITY_MEAN) * _by_time_of_day(opened, depth=0.25)
    loading = profile.factor_loading
    shock = loading * _shocks(common, count) + np.sqrt(1 - loading**2) * _shocks(individual, count)
    returns = drift - scale**2 / 2 + scale * shock
    paths = _paths(individual, returns, scale)
    volume = _volumes(individual, opened, profile, regime, shock)
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
    # Unlike a checksum, `hash()` of a text differs between processes.
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


def _volatility_regime(rng: np.random.Generator, count: int) -> FloatArray:
    """Return log volatility, shape (count,): a fast swing of about a day on a slow one of about two weeks."""
    return 0.35 * _ar1(rng, count, 0.96) + 0.35 * _ar1(rng, count, 0.998)


def _by_time_of_day(opened: HourArray, *, depth: float) -> FloatArray:
    """Return a factor that peaks at 15:00 UTC, when both Europe and America trade; geometric mean 1."""
    factor: FloatArray = np.exp(depth * np.cos(2 * np.pi * (opened % 24 - 15) / 24))
    return factor


def _paths(
    rng: np.random.Generator, returns: FloatArray, scale: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return log open, high, low and close of five-minute paths pinned to each hour's open and close."""
    count = len(returns)
    close = np.cumsum(returns)
    open_ = np.concatenate([[0.0], close[:-1]]) + _OPEN_GAP * scale * rng.standard_normal(count)
    walk = np.cumsum(rng.standard_normal((count, _STEPS)), axis=1) / np.sqrt(_STEPS)
    elapsed = np.arange(1, _STEPS + 1) / _STEPS
    bridge = walk - elapsed * walk[:, -1:]
    inside = open_[:, None] + elapsed * (close - open_)[:, None] + scale[:, None] * bridge
    high = np.maximum(open_, inside.max(axis=1))
    low = np.minimum(open_, inside.min(axis=1))
    return open_, high, low, close


def _rounded_price(first: float, path: FloatArray) -> FloatArray:
    # Rounding also hides the last bit of exp() and log(), which differs between C libraries.
    decimals = _decimals(first)
    return np.maximum(np.round(first * np.exp(path), decimals), 10.0**-decimals)


def _volumes(
    rng: np.random.Generator, opened: HourArray, profile: Profile, regime: FloatArray, shock: FloatArray
) -> FloatArray:
    """Return volumes that rise with the size of the move, the volatility and the busy hours."""
    noise = 0.45 * _ar1(rng, len(opened), 0.9)
    level = 0.7 * regime + 0.45 * (np.abs(shock) - 0.8) + noise
    volume = profile.volume * np.exp(level) * _by_time_of_day(opened, depth=0.45)
    idle = rng.random(len(opened)) < profile.idle_share
    return np.where(idle, 0.0, np.round(volume, max(0, _decimals(profile.volume) - 1)))


def _decimals(value: float) -> int:
    """Return how many decimals leave about seven significant digits (42300.12, 14.94213, 0.594312)."""
    return int(np.clip(6 - np.floor(np.log10(value)), 0, 6))
