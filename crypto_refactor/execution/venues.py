"""What a venue requires of an order: a dated value, one per ticker."""

import math
from dataclasses import dataclass

from crypto_refactor.errors import UsageError
from crypto_refactor.market.ticker import Ticker

ALPACA_FEE = 0.0025
"""Alpaca's taker fee for crypto up to 100,000 USD a month (tier 1)."""
ALPACA_MAX_DRAWDOWN = 0.25
"""The drawdown halt that is on by default where Alpaca's rules apply."""
ALPACA_RULES_AS_OF = "2025-03"
ALPACA_MIN_SALE, ALPACA_MIN_BUY, ALPACA_MAX_ORDER = 1.0, 10.0, 200_000.0
"""Alpaca refuses purchases of a USD pair below 10 USD (ccxt #30101), sales below 1 USD, and orders above 200,000 USD
(its documentation, Trading Limits); read in 2026-11."""
_ROUNDING = 1e-12
"""Share of an order by which a product may exceed the amount it was divided from."""
_SALE_MARGIN = 0.95
"""A sale is sized at the close, and the venue measures it at its own price: legs stay this far below the maximum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRules:
    """Order rules of one ticker at one venue."""

    name: str
    increment: float  # quantities are multiples of it, in the base currency
    min_quantity: float  # base currency
    min_notional: float  # of a sale, quote currency
    min_buy: float = 0.0  # of a purchase, quote currency
    max_notional: float = math.inf  # of one order, quote currency
    as_of: str  # month of these figures

    def round_down(self, quantity: float) -> float:
        """Return the largest multiple of the increment that `quantity` holds, never more than it."""
        from decimal import ROUND_DOWN, Decimal  # slow to import, and not needed for `--help`

        # Binary division would turn 0.3 / 0.1 into 2.999…; decimal arithmetic on the shortest
        # representation is what the venue does with the text of the order.
        step = Decimal(repr(float(self.increment)))
        steps = (Decimal(repr(float(quantity))) / step).to_integral_value(rounding=ROUND_DOWN)
        return float(steps * step)

    def accepts(self, quantity: float, price: float) -> bool:
        """Whether a sale of `quantity` at `price` reaches the venue's minimum."""
        return quantity > 0 and quantity >= self.min_quantity and quantity * price >= self.min_notional

    def buy_legs(self, money: float) -> int:
        """Return in how many orders `money` is spent."""
        return max(1, math.ceil(money / self.max_notional - _ROUNDING))

    def sale_legs(self, quantity: float, price: float) -> int:
        """Return in how many orders `quantity` is sold at about `price`."""
        return max(1, math.ceil(quantity * price / (self.max_notional * _SALE_MARGIN) - _ROUNDING))

    def split(self, quantity: float, legs: int) -> tuple[float, ...]:
        """Split `quantity` into equal orders; the last one takes what rounding has left over."""
        from decimal import Decimal

        part = self.round_down(quantity / legs)
        rest = Decimal(repr(float(quantity))) - Decimal(repr(part)) * (legs - 1)
        return (*(part,) * (legs - 1), float(rest))


# Alpaca's asset list states nine decimals for every crypto pair.  Pairs of tickers.txt that are missing here (ADA,
# MATIC, ATOM, ALGO) were not offered for trading on that date.
_ALPACA_BASES = frozenset({"BTC", "ETH", "DOT", "LINK", "UNI", "AAVE", "XTZ", "SOL", "AVAX"})


def alpaca_rules(ticker: Ticker) -> VenueRules | None:
    """Return Alpaca's rules for `ticker`, or None where Alpaca does not trade it."""
    if ticker.quote != "USD" or ticker.base not in _ALPACA_BASES:
        return None
    return VenueRules(
        name="alpaca",
        increment=1e-9,
        min_quantity=1e-9,
        min_notional=ALPACA_MIN_SALE,
        min_buy=ALPACA_MIN_BUY,
        max_notional=ALPACA_MAX_ORDER,
        as_of=ALPACA_RULES_AS_OF,
    )


def require_alpaca_rules(ticker: Ticker) -> VenueRules:
    """Return Alpaca's rules for `ticker`; raise UsageError if Alpaca does not trade it."""
    rules = alpaca_rules(ticker)
    if rules is None:
        raise UsageError(
            f"{ticker} has no venue rules: Alpaca does not trade it (as of {ALPACA_RULES_AS_OF}).",
            expected="one of " + ", ".join(f"{base}/USD" for base in sorted(_ALPACA_BASES)) + ".",
            remedy="leave out --venue alpaca for this ticker, or choose another ticker.",
        )
    return rules
