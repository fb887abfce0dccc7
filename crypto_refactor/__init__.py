"""Hourly crypto research and trading: bars, 14 indicators, an LSTM signal, an honest backtest."""

__version__ = "0.1.0"
