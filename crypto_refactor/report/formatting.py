"""Numbers and names as people read them."""

from collections.abc import Mapping

from crypto_refactor.market.bars import SAMPLE
from crypto_refactor.plugins import PluginFile
from crypto_refactor.price_text import price_text

UNDEFINED = "–"
_EXITS: Mapping[str, str] = {
    "neutral": "signal ended",
    "opposite": "opposite signal",
    "fade": "forecast turned",
    "stop_loss": "stop-loss",
    "take_profit": "take-profit",
    "no_data": "too many missing bars for a decision",
    "close": "closed by hand",
    "ruin": "the short lost all equity",
    "open": "still open at the end, marked at the last close",
    "dust": "remainder of rounding, marked at the last close",
}


def money(value: float | None) -> str:
    """Return an amount of the quote currency, two decimals; less than a cent is nothing."""
    if value is None:
        return UNDEFINED
    return f"{value if abs(value) >= 0.01 else 0.0:,.2f}"


price = amount = price_text
"""Return a price, or a quantity of the base currency, with at least five significant digits."""


def percent(value: float | None, decimals: int = 2, *, signed: bool = False) -> str:
    """Return a fraction as per cent: 0.0123 is ``1.23 %``."""
    if value is None:
        return UNDEFINED
    return f"{value * 100:{'+' if signed else ''},.{decimals}f} %"


def number(value: float | None, decimals: int = 2) -> str:
    """Return a plain number."""
    return UNDEFINED if value is None else f"{value:,.{decimals}f}"


def source_name(source: str) -> str:
    """Return the source, with a mark on simulated bars."""
    return f"{source} (SIMULATED bars, not a market)" if source == SAMPLE else source


def simulated_mark(*, simulated: bool) -> str:
    """Return what follows a title whose bars are simulated."""
    return "   SIMULATED" if simulated else ""


def plugins_text(plugins: tuple[PluginFile, ...]) -> str:
    """Name plug-ins with the hashes of their contents."""
    return ", ".join(f"{file.name} {file.hash}" for file in plugins) or "none"


def exit_text(reason: str) -> str:
    """Return why a position was closed, in words; a plug-in's exit has its own name."""
    return _EXITS.get(reason, reason)
