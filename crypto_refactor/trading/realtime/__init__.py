"""Trading as the hours close: the loop, its executors, orders and reconciliation."""
