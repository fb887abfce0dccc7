"""Prices as people read them, whatever their size."""

import math

_DIGITS = 5
_MAX_DECIMALS = 20
"""More zeros than this nobody counts: smaller prices are written with an exponent."""


def price_text(value: float) -> str:
    """Return a price with at least five significant digits: ``63,120.45``, ``0.38512``, ``0.00000000000041234``."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(2, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}" if decimals <= _MAX_DECIMALS else f"{value:.{_DIGITS - 1}e}"


def exact_text(value: float) -> str:
    """Return a price or a volume with up to eight significant digits, as in a file: ``63,120.45``, ``100``."""
    text = f"{value:,.8g}"
    return price_text(value) if "e" in text else text
