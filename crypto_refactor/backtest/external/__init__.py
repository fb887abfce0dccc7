"""Backtests of targets that come from a file."""
