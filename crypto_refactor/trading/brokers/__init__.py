"""The broker protocol and Alpaca behind it."""
