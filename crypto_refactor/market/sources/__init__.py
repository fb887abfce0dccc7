"""Sources of bars: Alpaca, CSV files and the bundled simulation, behind one protocol."""

from crypto_refactor.market.sources.base import LatestPrice, Source, require_reached
from crypto_refactor.market.sources.factory import SOURCES, open_source

__all__ = ["SOURCES", "LatestPrice", "Source", "open_source", "require_reached"]
