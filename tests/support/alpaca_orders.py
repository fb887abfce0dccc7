"""Orders as Alpaca keeps and shows them, and what may become of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

ENDED = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})


def decimals(value):
    """Return how many decimals a number has."""
    return max(-value.normalize().as_tuple().exponent, 0)


def number(value):
    """Write as Alpaca does: text without an exponent or trailing zeros."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


@dataclass(kw_only=True)
class Order:
    """One order; amounts are Decimal."""

    id: str
    client_order_id: str
    symbol: str
    side: str
    qty: Decimal | None
    notional: Decimal | None
    time_in_force: str
    created: datetime
    updated: datetime
    status: str = "accepted"
    filled_qty: Decimal = Decimal(0)
    filled_avg_price: Decimal | None = None
    on_look: object = None
    on_cancel: object = None

    @property
    def open(self):
        return self.status not in ENDED

    def json(self, asset_id):
        """Return it as Alpaca shows it."""

        def stamp(instant):
            return instant.strftime("%Y-%m-%dT%H:%M:%S.%f") + "789Z"

        ended = stamp(self.updated) if not self.open else None
        return {
            "id": self.id,
            "client_order_id": self.client_order_id,
            "created_at": stamp(self.created),
            "updated_at": stamp(self.updated),
            "submitted_at": stamp(self.created),
            "filled_at": ended if self.status == "filled" else None,
            "expired_at": None,
            "canceled_at": ended if self.status == "canceled" else None,
            "failed_at": ended if self.status == "rejected" else None,
            "replaced_at": None,
            "replaced_by": None,
            "replaces": None,
            "asset_id": asset_id,
            "symbol": self.symbol,
            "asset_class": "crypto",
            "notional": None if self.notional is None else number(self.notional),
            "qty": None if self.qty is None else number(self.qty),
            "filled_qty": number(self.filled_qty),
            "filled_avg_price": None if self.filled_avg_price is None else number(self.filled_avg_price),
            "order_class": "",
            "order_type": "market",
            "type": "market",
            "side": self.side,
            "position_intent": f"{self.side}_to_{'open' if self.side == 'buy' else 'close'}",
            "time_in_force": self.time_in_force,
            "limit_price": None,
            "stop_price": None,
            "status": self.status,
            "extended_hours": False,
            "legs": None,
            "trail_percent": None,
            "trail_price": None,
            "hwm": None,
        }


@dataclass(kw_only=True)
class Holding:
    """What is held of one pair."""

    qty: Decimal = Decimal(0)
    average_price: Decimal = Decimal(0)


# Fates: what becomes of an accepted order, in the place of filling in full at once.


def partly(fraction):
    """Fill by `fraction`, then end: what an immediate-or-cancel order does in a thin book."""

    def fate(api, order):
        api.fill(order, Decimal(str(fraction)))
        api.end(order, "canceled")

    return fate


def late(fraction=1):
    """Stay open until the order is next looked up by one of its ids, then fill by `fraction`."""

    def fate(api, order):
        order.on_look = partly(fraction) if fraction != 1 else filled

    return fate


def race(fraction=1):
    """Stay open until it is being cancelled, and fill by `fraction` at that very moment."""

    def fate(api, order):
        order.on_cancel = partly(fraction) if fraction != 1 else filled

    return fate


def filled(api, order):
    """Fill in full at once: what happens to orders without another fate."""
    api.fill(order, Decimal(1))


def stuck(api, order):
    """Stay open until cancelled."""


def growing(fraction):
    """Fill by `fraction` at once and stay open; the rest fills when the order is next looked up."""

    def fate(api, order):
        api.fill(order, Decimal(str(fraction)))
        order.on_look = filled

    return fate


def unfilled(api, order):
    """End with nothing executed."""
    api.end(order, "canceled")


def rejected(api, order):
    """End refused after it was accepted."""
    api.end(order, "rejected")
