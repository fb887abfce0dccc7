"""Orders and decisions as every JSON document shows them."""

from typing import Any

from crypto_refactor.market.hours import parse_instant, to_iso
from crypto_refactor.trading.ledger.order_record import OrderRecord


def order_json(order: OrderRecord) -> dict[str, Any]:
    """Return an order of the ledger."""
    return order.to_dict() | {"sent_at": instant_json(order.sent_at)}


def decision_json(record: dict[str, Any]) -> dict[str, Any]:
    """Return a decision as the ledger records it."""
    return record | {name: to_iso(record[name]) for name in ("bar", "cutoff") if record.get(name) is not None}


def instant_json(text: str) -> str:
    """Return a moment of the ledger in the form of all other times: ``2024-05-01T13:00:05Z``."""
    return parse_instant(text).strftime("%Y-%m-%dT%H:%M:%SZ")
