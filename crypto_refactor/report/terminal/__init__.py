"""Results as text for the terminal, one module per command."""

__all__ = ["account", "audit", "backtest", "comparison", "replay", "signal", "trading"]
