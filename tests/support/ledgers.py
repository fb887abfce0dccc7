"""Ledgers as tests need them."""

from __future__ import annotations


def open_sub_account(ledger, account, ticker, state):
    """Open a sub-account with the cash of `state`."""
    with ledger.transaction(account, ticker) as writer:
        writer.open(state)
