"""Signal and position in, orders and accounting out: shared by backtest, demo and live."""
