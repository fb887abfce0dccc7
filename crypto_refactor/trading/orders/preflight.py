"""The account as a whole, looked at before a pass: orders of other ledgers, flags, buying power."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers import Broker, OrderReport
from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.orders.account_review import review_orders

_BUYING_POWER_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What is known of the whole account at the start of a pass."""

    open_orders: tuple[OrderReport, ...]
    notes: tuple[str, ...]  # on orders of others that could not be read
    scale: float  # fraction of a sub-account's cash that may be spent, at most 1
    blocked: str | None  # why this pass may enter nothing
    recent: tuple[OrderReport, ...] = ()  # orders since the last review, and all that are in doubt


NOT_LOOKED_AT = Preflight(open_orders=(), notes=(), scale=1.0, blocked=None)
"""Before the first pass."""


def preflight(
    broker: Broker, ledger: Ledger, account: str, opening: Mapping[Ticker, float], now: datetime
) -> Preflight:
    """Check the whole account before a pass that opens sub-accounts with the balances of `opening`.

    Raises
    ------
    SecondLedgerError
        If another ledger of this tool trades the account.
    BrokerError
        If the broker gives no usable answer.
    """
    snapshot = broker.account()
    recent = review_orders(broker, ledger, account, now)
    open_orders = broker.open_orders()
    cash = {
        ticker: state.account.cash - _unresolved_buy_notional(ledger, account, ticker)
        for ticker, state in ledger.states(account).items()
    }
    needed = sum(({**opening, **cash}).values())
    blocked = None
    if snapshot.blocked is not None:
        blocked = f"the account at the broker accepts no orders: {snapshot.blocked}"
    elif snapshot.buying_power < needed * (1 - _BUYING_POWER_TOLERANCE):
        blocked = (
            f"the account's buying power of {snapshot.buying_power:,.2f} is more than 1 % below the "
            f"{needed:,.2f} that its sub-accounts hold in cash (use a smaller --initial-balance for new ones, or "
            "leave out tickers that are not open yet)"
        )
    return Preflight(
        open_orders=open_orders.orders,
        notes=tuple(dict.fromkeys((*recent.notes, *open_orders.notes))),
        scale=min(1.0, max(snapshot.buying_power, 0.0) / needed) if needed > 0 else 1.0,
        blocked=blocked,
        recent=recent.orders,
    )


def _unresolved_buy_notional(ledger: Ledger, account: str, ticker: Ticker) -> float:
    """Return the money of unsettled buys: the broker may have spent it, the ledger has not."""
    return sum(order.notional or 0.0 for order in ledger.orders(account, ticker, unsettled=True))
