"""Many backtests side by side: tickers, parameter grids, portfolios."""
