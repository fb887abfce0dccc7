"""The broker interface, and Alpaca behind it (`brokers.alpaca`, which needs the network's libraries)."""

from crypto_refactor.trading.brokers.base import (
    AccountSnapshot,
    Broker,
    NotTradedError,
    OrderRefusedError,
    OrderReport,
    OrderRequest,
    OrderState,
    Position,
    UnknownOutcomeError,
    UnreachableError,
)

__all__ = [
    "AccountSnapshot",
    "Broker",
    "NotTradedError",
    "OrderRefusedError",
    "OrderReport",
    "OrderRequest",
    "OrderState",
    "Position",
    "UnknownOutcomeError",
    "UnreachableError",
]
