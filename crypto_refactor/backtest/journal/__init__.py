"""The journal of trials: every backtest, trial of a comparison and evaluation, so that a search counts what it tried."""
