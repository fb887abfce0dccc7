"""A backtest as one HTML file that explains itself, opens offline and loads nothing."""
