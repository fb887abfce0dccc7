"""Look-ahead, models, fills and accounting of one backtest, checked on the run itself."""
