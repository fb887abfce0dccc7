"""Commands for accounts: what they are, what they did, and what is done by hand."""
