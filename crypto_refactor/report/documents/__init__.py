"""Results as the documented JSON, one module per command."""

__all__ = ["account", "backtest", "comparison", "trading"]
