"""The SQLite ledger of decisions, orders, fills and equity."""

from crypto_refactor.trading.ledger.forecast_record import ForecastRecord
from crypto_refactor.trading.ledger.ledger import AccountRow, Ledger, Opening, Review
from crypto_refactor.trading.ledger.order_record import OrderRecord, OrderStatus, client_order_id
from crypto_refactor.trading.ledger.schema import LedgerUnavailableError
from crypto_refactor.trading.ledger.transaction import LedgerTransaction

__all__ = [
    "AccountRow",
    "ForecastRecord",
    "Ledger",
    "LedgerTransaction",
    "LedgerUnavailableError",
    "Opening",
    "OrderRecord",
    "OrderStatus",
    "Review",
    "client_order_id",
]
