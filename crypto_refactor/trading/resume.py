"""Letting sub-accounts enter again that a drawdown has halted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.account_status import ticker_status
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.locks import locked


def resume_tickers(ledger: Ledger, state: Path, account: str) -> dict[Ticker, float]:
    """Let sub-accounts that a drawdown has halted enter again, each measured from its equity of now.

    Returns
    -------
    dict of Ticker to float
        The new peak of each.

    Raises
    ------
    BrokerError
        If another process does not let go of one of them, or the ledger cannot be written.
    """
    lifted = {}
    for ticker, holding in ledger.states(account).items():
        if not holding.account.halted:
            continue
        with locked(state, account, ticker), ledger.transaction(account, ticker) as writer:
            equity = ticker_status(ledger, account, ticker).equity
            now = ledger.state(account, ticker)
            assert now is not None, "sub-accounts are never removed"
            writer.save_state(replace(now, account=now.account._replace(halted=False, peak_equity=equity)))
        lifted[ticker] = equity
    return lifted
