"""Ledgers as tests need them."""

from __future__ import annotations

from support.stub_models import BTC

from crypto_refactor.trading.ledger import OrderRecord


def open_sub_account(ledger, account, ticker, state):
    """Open a sub-account with the cash of `state`."""
    with ledger.transaction(account, ticker) as writer:
        writer.open(state)


def entry_order(stage, detail=""):
    """Return an order that enters BTC/USD with 10 USD."""
    return OrderRecord(
        client_order_id="cr-1",
        ticker=BTC,
        bar=477_000,
        leg="enter",
        side=1,
        notional=10.0,
        quantity=None,
        reason="entry",
        sent_at="2024-06-01T00:00:00+00:00",
        stage=stage,
        detail=detail,
    )
