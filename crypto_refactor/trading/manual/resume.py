"""Allow entries again in sub-accounts that their drawdown has halted."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.account_status import ticker_status
from crypto_refactor.trading.ledger import Ledger, LedgerEvent
from crypto_refactor.trading.locks import locked


def resume_tickers(
    ledger: Ledger, state: Path, account: str, tickers: Collection[Ticker]
) -> dict[Ticker, float]:
    """Allow entries again in those of `tickers` halted by drawdown; each one's peak becomes its current equity.

    Returns
    -------
    dict of Ticker to float
        The new peaks.

    Raises
    ------
    BrokerError
        If another process holds one of them for too long, or the ledger cannot be written.
    """
    peaks = {}
    for ticker in halted_tickers(ledger, account):
        if ticker not in tickers:
            continue
        with locked(state, account, ticker), ledger.transaction(account, ticker) as transaction:
            equity = ticker_status(ledger, account, ticker).equity
            now = ledger.state(account, ticker)
            assert now is not None, "sub-accounts are never removed"
            transaction.record_event(LedgerEvent.RESUMED, max(equity, 0.0))
            transaction.save_state(
                replace(now, account=now.account._replace(halted=False, peak_equity=equity))
            )
        peaks[ticker] = equity
    return peaks


def halted_tickers(ledger: Ledger, account: str) -> tuple[Ticker, ...]:
    """Return the tickers whose drawdown has halted entries."""
    return tuple(ticker for ticker, state in ledger.states(account).items() if state.account.halted)
