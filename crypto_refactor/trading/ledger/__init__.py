"""The SQLite ledger of decisions, orders, fills and equity."""

from crypto_refactor.trading.ledger.forecast_record import ForecastRecord
from crypto_refactor.trading.ledger.history import BookedFill, EventRow, LedgerEvent, SettingsRow
from crypto_refactor.trading.ledger.ledger import AccountRow, Ledger, Opening, Review
from crypto_refactor.trading.ledger.order_record import OrderRecord, OrderStatus, client_order_id
from crypto_refactor.trading.ledger.schema import LedgerUnavailableError
from crypto_refactor.trading.ledger.transaction import LedgerTransaction

__all__ = [
    "AccountRow",
    "BookedFill",
    "EventRow",
    "ForecastRecord",
    "Ledger",
    "LedgerEvent",
    "LedgerTransaction",
    "LedgerUnavailableError",
    "Opening",
    "OrderRecord",
    "OrderStatus",
    "Review",
    "SettingsRow",
    "client_order_id",
]
