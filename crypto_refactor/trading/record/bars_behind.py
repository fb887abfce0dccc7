"""The bars that tell how forecasts ended, where the ledger does not know it."""

from collections.abc import Mapping, Sequence

from crypto_refactor.errors import CryptoRefactorError, UnavailableError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.plausibility import RANGE_BARS
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger import ForecastRecord

_AFTER = 24
"""Bars after the last forecast, which tell a jump from a move."""


def bars_behind(
    source: Source, forecasts: Mapping[Ticker, Sequence[ForecastRecord]]
) -> tuple[dict[Ticker, Bars], tuple[str, ...]]:
    """Return bars of each ticker with forecasts whose outcome the ledger does not know, and what could not be loaded.

    A ticker that the source no longer offers costs the others nothing; where the source itself fails, nothing more is asked.
    """
    found: dict[Ticker, Bars] = {}
    missing: list[str] = []
    for ticker, made in forecasts.items():
        known = {forecast.bar for forecast in made}
        open_bars = [bar for bar in known if bar + 1 not in known]
        try:
            end = min(source.now(ticker), max(open_bars) + 1 + _AFTER)
            bars = source.bars(ticker, min(open_bars) - 4 * RANGE_BARS, end)
        except UnavailableError as error:
            missing.append(f"{ticker}: {error.what}")
            continue
        except CryptoRefactorError as error:
            missing.append(f"{ticker} and those after it: {error.what}")
            break
        if len(bars):
            found[ticker] = bars
    return found, tuple(missing)
