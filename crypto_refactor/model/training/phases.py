"""The phases of a fit, and what it is called while it runs."""

from enum import StrEnum

from crypto_refactor.market.hours import Hour, to_datetime
from crypto_refactor.market.ticker import Ticker


class Phase(StrEnum):
    """What a fit is doing."""

    LOADING = "loading"  # TensorFlow
    FITTING = "fitting"
    CHECKING = "checking"  # exported, and held against what was trained


def fit_name(ticker: Ticker, trained_through: Hour) -> str:
    """Return what tells the fit of one model from those beside it, for example ``BTC/USD through 2024-05-01``."""
    return f"{ticker} through {to_datetime(trained_through):%Y-%m-%d}"
