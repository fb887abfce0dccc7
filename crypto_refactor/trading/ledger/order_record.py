"""Orders in the ledger: the intent recorded before anything is sent, and its outcome."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from crypto_refactor.market.hours import to_datetime, to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers import ID_PREFIX, OrderRequest, OrderState


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
    leg: str  # ``enter``, ``exit`` or ``close``; a second order of the same leg is ``enter-2``
    side: int  # 1 buy, -1 sell
    notional: float | None  # money to spend
    quantity: float | None  # amount to sell
    reason: str  # ``entry`` or the reason of the exit
    decided_at: str = ""  # ISO-8601 UTC; empty in ledgers of version 1
    decided_price: float | None = None  # close it was decided at; None in ledgers of version 1
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

    @property
    def is_entry(self) -> bool:
        """Whether it opens a position."""
        return self.side > 0

    @property
    def is_bar_leg(self) -> bool:
        """Whether it is sent in the hour after its bar or never."""
        return self.leg.partition("-")[0] in {"enter", "exit"}

    def to_dict(self) -> dict[str, Any]:
        """Return the order as JSON documents show it."""
        return {
            **asdict(self),
            "ticker": str(self.ticker),
            "bar": to_iso(self.bar),
            "stage": self.stage.value,
        }


def client_order_id(ticker: Ticker, bar: int, leg: str, suffix: str) -> str:
    """Return the id of one leg of one bar, at most 48 characters: ``cr-BTCUSD-2024060113-enter-1a2b3c4d``.

    `suffix` is `Ledger.order_suffix`: no other ledger's order has this id.
    """
    return f"{ID_PREFIX}{ticker.base}{ticker.quote}-{to_datetime(bar):%Y%m%d%H}-{leg}-{suffix}"
