"""Hourly bars of other exchanges, for research: asked through ccxt, kept as CSV files in a folder of the exchange's own."""

from crypto_refactor.market.venues.download import Downloaded, download
from crypto_refactor.market.venues.exchange import open_exchange
from crypto_refactor.market.venues.venue import Venue

__all__ = ["Downloaded", "Venue", "download", "open_exchange"]
