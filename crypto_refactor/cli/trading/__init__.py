"""What the trading commands share."""
