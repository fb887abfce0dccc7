"""The audit of a backtest: signals, models, fills and accounts are recomputed and compared with the run."""

from crypto_refactor.backtest.audit.auditor import audit

__all__ = ["audit"]
