"""How much an order buys or sells, in how many parts, and under which ids the ledger records it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal

from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import SubAccount, open_position
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger import Ledger, OrderRecord, client_order_id

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Sale:
    """A sale of the whole position in `ticker` at the bar that closed at `hour`, sized at `price`."""

    ticker: Ticker
    hour: int
    leg: str
    reason: str
    price: float
    rules: ExecutionRules

    def parts(self, held: float, available: float) -> tuple[float, ...]:
        """Return the quantity of each order; empty where what is there is below the minimum order."""
        venue = self.rules.venue
        assert venue is not None, "an account at a broker has venue rules"
        quantity = venue.round_down(min(held, available))
        if not venue.accepts(quantity, self.price):
            return ()
        return venue.split(quantity, venue.sale_legs(quantity, self.price))


def purchase(
    account: SubAccount, money: float, price: float, hour: int, rules: ExecutionRules
) -> tuple[float, ...]:
    """Return the money of each order; empty where what it buys could not be bought, or not be sold again."""
    assert rules.venue is not None, "an account at a broker has venue rules"
    fraction = money / account.cash if account.cash > 0 else 0.0
    _, sellable = open_position(account, 1, fraction, price, hour, rules)
    if sellable is None:
        return ()
    count = rules.venue.buy_legs(money)
    part = cents(money / count)
    return (*(part,) * (count - 1), cents(money - part * (count - 1)))


def cents(money: float) -> float:
    """Return `money` rounded down to cents."""
    return float(Decimal(repr(money)).quantize(_CENT, rounding=ROUND_DOWN))


@dataclass(frozen=True, slots=True, kw_only=True)
class Intents:
    """Makes the orders of one account for its ledger."""

    ledger: Ledger
    account: str
    now: datetime

    def buy(self, ticker: Ticker, hour: int, price: float, parts: Sequence[float]) -> list[OrderRecord]:
        """Return an entry for each part of the money."""
        return self._records(ticker, hour, "enter", 1, parts, "entry", price)

    def sell(self, sale: Sale, parts: Sequence[float]) -> list[OrderRecord]:
        """Return an exit for each part of the quantity."""
        return self._records(sale.ticker, sale.hour, sale.leg, -1, parts, sale.reason, sale.price)

    def _records(
        self,
        ticker: Ticker,
        hour: int,
        leg: str,
        side: int,
        amounts: Sequence[float],
        reason: str,
        price: float,
    ) -> list[OrderRecord]:
        """Return an order for each amount, numbered after those of this bar and leg that the ledger has already."""
        now = self.now.astimezone(UTC).isoformat(timespec="seconds")
        suffix = self.ledger.order_suffix(self.account)
        first = 1 + sum(
            order.leg.partition("-")[0] == leg and (leg == "close" or order.bar == hour)
            for order in self.ledger.orders(self.account, ticker)
        )
        names = [
            leg if number == 1 and leg != "close" else f"{leg}-{number}"
            for number in range(first, first + len(amounts))
        ]
        return [
            OrderRecord(
                client_order_id=client_order_id(ticker, hour, name, suffix),
                ticker=ticker,
                bar=hour,
                leg=name,
                side=side,
                notional=amount if side > 0 else None,
                quantity=amount if side < 0 else None,
                reason=reason,
                decided_at=now,
                decided_price=price,
                sent_at=now,
            )
            for name, amount in zip(names, amounts, strict=True)
        ]
