"""The SQLite ledger of decisions, orders, fills and equity."""
