"""Forecasts and features in, a signal with its reasons out."""
