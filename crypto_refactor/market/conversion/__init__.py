"""Files of bars in other layouts: what they are, what they hold, and the plain CSV file they become."""

from crypto_refactor.market.conversion.converter import Reading
from crypto_refactor.market.conversion.importer import ImportResult, import_bars

__all__ = ["ImportResult", "Reading", "import_bars"]
