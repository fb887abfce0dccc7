"""Market data: bars of one ticker from one source, their quality, and the client that reads them."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_refactor.market.bars import Bars, fill_gaps
    from crypto_refactor.market.client import CryptoMarketDataClient
    from crypto_refactor.market.quality import QualityReport, quality_report
    from crypto_refactor.market.ticker import Ticker

__all__ = ["Bars", "CryptoMarketDataClient", "QualityReport", "Ticker", "fill_gaps", "quality_report"]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, and numpy with it."""
    for module in ("ticker", "bars", "quality", "client") if name in __all__ else ():
        value = getattr(import_module(f"{__name__}.{module}"), name, None)
        if value is not None:
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
