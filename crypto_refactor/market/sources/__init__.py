"""Where bars come from: Alpaca, CSV files, the bundled simulation, and the bar store."""
