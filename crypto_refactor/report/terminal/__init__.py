"""Results as text for the terminal, one module per command."""

__all__ = ["accounts", "audit", "backtest", "comparison", "signal"]
