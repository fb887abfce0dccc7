"""The broker interface, and Alpaca behind it (`brokers.alpaca`, which needs the network's libraries)."""

from crypto_refactor.trading.brokers.base import (
    ID_PREFIX,
    AccountSnapshot,
    Broker,
    Execution,
    FeeCharge,
    NotTradedError,
    OrderList,
    OrderRefusedError,
    OrderReport,
    OrderRequest,
    OrderState,
    Position,
    UnknownOutcomeError,
    UnreachableError,
)

__all__ = [
    "ID_PREFIX",
    "AccountSnapshot",
    "Broker",
    "Execution",
    "FeeCharge",
    "NotTradedError",
    "OrderList",
    "OrderRefusedError",
    "OrderReport",
    "OrderRequest",
    "OrderState",
    "Position",
    "UnknownOutcomeError",
    "UnreachableError",
]
