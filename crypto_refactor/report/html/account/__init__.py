"""The page of an account, drawn from its ledger alone."""
