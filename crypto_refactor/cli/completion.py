"""What a shell offers for the values of options; whatever goes wrong, it offers nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps

import click

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _silent(offer: Callable[[click.Context], Iterable[str]]) -> Complete:
    """Return a completion of what `offer` returns: a shell that asks has no use for an error."""

    @wraps(offer)
    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        try:
            offered = list(offer(context))
        except Exception:  # noqa: BLE001 - an unreadable ledger is told by the command itself
            return []
        return [value for value in offered if value.lower().startswith(incomplete.lower())]

    return complete


@_silent
def tickers(context: click.Context) -> Iterable[str]:
    """Offer the list of tickers."""
    from crypto_refactor.config import packaged_tickers, tickers_file
    from crypto_refactor.market.ticker import read_tickers

    return map(str, read_tickers(tickers_file(), packaged_tickers()))


@_silent
def sources(context: click.Context) -> Iterable[str]:
    """Offer the sources of bars."""
    from crypto_refactor.market.sources.factory import SOURCES

    return SOURCES


@_silent
def accounts(context: click.Context) -> Iterable[str]:
    """Offer the accounts of the ledger."""
    from crypto_refactor.config import settings
    from crypto_refactor.trading.account_names import ledger_of
    from crypto_refactor.trading.account_status import accounts_of

    state = context.params.get("state_dir") or settings().state_dir
    return [row.name for row in accounts_of(state, ledger_of(state))]


@_silent
def models(context: click.Context) -> Iterable[str]:
    """Offer the names of models, of every ticker."""
    from crypto_refactor.config import settings

    cards = settings().model_dir.glob("*.json")
    return sorted({path.stem.split("_", 2)[-1] for path in cards})  # btc_usd_lstm_v2.json
