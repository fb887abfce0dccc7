"""Hold an account against the backtest of its own lifetime; every difference has a cause with its money."""
