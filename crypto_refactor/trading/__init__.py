"""Acting on signals: brokers, the ledger, the trader and its loops."""
