"""Orders at a broker: from the intent in the ledger to what the account's own records confirm."""

from crypto_refactor.trading.orders.executor import ExecutionResult, Executor, OrderPlan

__all__ = ["ExecutionResult", "Executor", "OrderPlan"]
