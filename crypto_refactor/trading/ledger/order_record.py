"""Orders in the ledger: the intent recorded before anything is sent, and its outcome."""

import hashlib
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from crypto_refactor.market.hours import to_datetime, to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers import OrderRequest, OrderState

ID_PREFIX = "cr-"
"""Begins every client order id of this tool, which tells its orders from those of others."""


class OrderStatus(StrEnum):
    """What is known of an order.  All but `UNSETTLED` are final."""

    UNSETTLED = "unsettled"
    """Recorded and perhaps sent; only the broker can tell."""
    FILLED = OrderState.FILLED.value
    PARTLY_FILLED = OrderState.PARTLY_FILLED.value
    UNFILLED = OrderState.UNFILLED.value
    REFUSED = "refused"
    EXPIRED = "lapsed"
    """Never arrived at the broker, and its hour has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecord:
    """One order of the ledger; the fields are the columns of its table."""

    client_order_id: str
    ticker: Ticker
    bar: int  # close of the bar it was decided at, hours since 1970
    leg: str  # ``enter``, ``exit`` or ``close-n``
    side: int  # 1 buy, -1 sell
    notional: float | None  # money to spend
    quantity: float | None  # amount to sell
    reason: str  # ``entry`` or the reason of the exit
    sent_at: str  # ISO-8601 UTC: when it was last about to be sent
    stage: OrderStatus = OrderStatus.UNSETTLED
    filled_quantity: float = 0.0  # before any fee taken in the base currency
    average_price: float | None = None  # of the executions
    detail: str = ""  # the broker's own words

    def request(self) -> OrderRequest:
        """Return the order as a broker accepts it."""
        return OrderRequest(
            client_order_id=self.client_order_id,
            ticker=self.ticker,
            side=self.side,
            notional=self.notional,
            quantity=self.quantity,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the order as JSON documents show it."""
        return {
            **asdict(self),
            "ticker": str(self.ticker),
            "bar": to_iso(self.bar),
            "stage": self.stage.value,
        }


def client_order_id(account: str, ticker: Ticker, bar: int, leg: str) -> str:
    """Return the id of one leg of one bar, at most 48 characters: ``cr-BTCUSD-2024060113-enter-1a2b3c4d``."""
    owner = hashlib.sha256(account.encode()).hexdigest()[:8]
    return f"{ID_PREFIX}{ticker.base}{ticker.quote}-{to_datetime(bar):%Y%m%d%H}-{leg}-{owner}"
